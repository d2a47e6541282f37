//! The direct reader beside the SDK's deserializer, over good, odd and damaged answers.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::config_bag::ConfigBag;
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::dynamodb::direct::SdkDeserializer;

/// Returns the page as the SDK's deserializer reads it. `None`: it refuses the answer.
fn by_sdk(answer: &[u8]) -> Option<DirectPage<PageOfBlocks>> {
    let response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::from(answer));
    let sdk = SdkDeserializer::new().unwrap();
    let output = sdk.get().unwrap().deserialize_nonstreaming_with_config(&response, &ConfigBag::base()).ok()?;
    Some(DirectPage::Sdk(output.downcast::<QueryOutput>().unwrap().into()))
}

/// Checks that the direct reader either refuses the answer, or reads the page that the SDK reads.
fn check(answer: &[u8]) -> Result<bool, TestCaseError> {
    let Some(direct) = PageOfBlocks::read(answer) else { return Ok(false) };
    let text = String::from_utf8_lossy(answer);
    let Some(sdk) = by_sdk(answer) else { return Err(TestCaseError::fail(format!("the SDK refuses {text}"))) };
    let page = |page| simplified(to_block_page(OPERATION, PARTITION, page));
    prop_assert_eq!(page(DirectPage::Direct(direct)), page(sdk));
    Ok(true)
}

prop_compose! {
    fn any_block()(
        (id, oldest, newest) in (any::<u128>(), 0..4_000_000_000_000_u64, 0..4_000_000_000_000_u64),
        (event_count, raw_length, crc32, crc32c) in any::<(u32, u32, u32, u32)>(),
        deflate in vec(any::<u8>(), 0..60),
    ) -> StoredBlock {
        let time = |millis| Timestamp::from_millis(millis).unwrap();
        StoredBlock {
            id: BlockId::from_parts(time(newest), id),
            event_count, raw_length, crc32, crc32c,
            oldest_event: time(oldest),
            newest_event: time(newest),
            deflate: deflate.into(),
        }
    }
}

/// The members of an item of a block, in any order.
fn any_item() -> impl Strategy<Value = Vec<String>> {
    any_block().prop_flat_map(|block| Just(members(&block)).prop_shuffle())
}

fn any_answer() -> impl Strategy<Value = String> {
    (vec(any_item(), 0..4), any::<bool>()).prop_map(|(items, is_last)| answer(&items, is_last))
}

/// Values which other programs could write where a block has its own.
fn odd_value() -> impl Strategy<Value = String> {
    let number = prop_oneof![Just("+7".to_owned()), "-?0?[0-9]{1,11}", "[0-9]{1,3}[.eE_ ][0-9]{0,3}"];
    let time = "20[0-9]{2}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,4})?(Z|z|\\+01:00)?";
    let text =
        prop_oneof![number, time, "[0-8][0-9A-Za-z]{25}", "[A-Za-z0-9+/]{0,8}={0,2}", "[ -~]{0,6}", any::<String>()];
    let kind = prop_oneof![Just("S"), Just("N"), Just("B"), Just("BOOL"), Just("SS"), Just("s"), Just("__type")];
    let value = (kind, text).prop_map(|(kind, text)| format!(r#"{{"{kind}":"{text}"}}"#));
    prop_oneof![9 => value, 1 => prop_oneof![Just("null".to_owned()), Just("{}".to_owned()), Just("7".to_owned())]]
}

/// A change of some bytes: the place, the number of bytes removed, and those put there.
fn any_damage() -> impl Strategy<Value = (Index, usize, Vec<u8>)> {
    let byte = prop_oneof![
        3 => prop::sample::select(br#"{}[]":,\ 0123456789SNB+-/=.AaZz"#.as_slice()),
        1 => any::<u8>(),
    ];
    (any::<Index>(), 0..3_usize, vec(byte, 0..3))
}

proptest! {
    #[test]
    fn what_dynamodb_writes_is_read_directly(answer in any_answer()) {
        prop_assert!(check(answer.as_bytes())?);
    }

    #[test]
    fn odd_values_are_read_as_by_the_sdk(item in any_item(), place: Index, value in odd_value(), is_last: bool) {
        let mut item = item;
        let member = place.get(&item).clone();
        let (name, _) = member.split_once(':').unwrap();
        let member = format!("{name}:{value}");
        *place.get_mut(&mut item) = member;
        check(answer(&[item], is_last).as_bytes())?;
    }

    #[test]
    fn damaged_answers_are_read_as_by_the_sdk(answer in any_answer(), damages in vec(any_damage(), 1..4)) {
        let mut answer = answer.into_bytes();
        for (place, removed, put) in damages {
            let start = place.index(answer.len().max(1)).min(answer.len());
            let end = (start + removed).min(answer.len());
            answer.splice(start..end, put);
        }
        check(&answer)?;
    }

    #[test]
    fn any_bytes_are_read_as_by_the_sdk(bytes in vec(any::<u8>(), 0..200)) {
        check(&bytes)?;
    }
}
