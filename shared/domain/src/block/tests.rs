#![expect(clippy::format_collect, reason = "a test may panic and need not be fast")]

use std::{collections::BTreeSet, num::NonZeroU8, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use ulid::Ulid;

use super::{stored::FULL_FLUSH_MARKER, *};
use crate::{
    event::{BodyForm, EventBatch, MAX_BODY_LENGTH, MAX_EVENTS_PER_BODY},
    tenant::TenantId,
    time::Timestamp,
};

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn block(raw: &[u8]) -> StoredBlock {
    let id = BlockId::from_parts(at("2026-11-22T00:00:00Z"), 7);
    encode_block(&tenant(), id, raw, Timestamp::EPOCH, Timestamp::MAX).unwrap()
}

#[test]
fn shards_are_two_digits() {
    assert_eq!(Shard::ALL.len(), 16);
    assert_eq!(partition_key(&tenant(), Shard::new(7).unwrap()), "acme#07");
    for shard in Shard::ALL {
        assert_eq!(Shard::parse(&shard.to_string()), Ok(shard));
    }
    assert_eq!(Shard::new(16), Err(InvalidShard));
    for bad in ["", "7", "007", "16", "+7", "aa"] {
        assert_eq!(Shard::parse(bad), Err(InvalidShard), "{bad:?}");
    }
}

#[test]
fn ingest_never_draws_the_shard_of_changes() {
    let draw = |write_shards: u8| -> BTreeSet<u8> {
        let write_shards = NonZeroU8::new(write_shards).unwrap();
        (0..1_000_u128).map(|random| Shard::draw(random << 96, write_shards).number()).collect()
    };
    assert_eq!(draw(4), (0..4).collect());
    // Earlier versions had settings that allowed all shards.
    for write_shards in [15, 16, 255] {
        assert_eq!(draw(write_shards), (0..15).collect());
    }
    assert_eq!(partition_key(&tenant(), Shard::CHANGES), "acme#15");
    assert!(Shard::ALL.contains(&Shard::CHANGES), "readers read it");
}

#[test]
fn ids_sort_by_their_stamp_and_step_within_it() {
    let stamp = at("2026-11-22T00:00:00.123Z");
    let highest = BlockId::from_parts(stamp, u128::MAX);
    assert_eq!(highest.timestamp(), stamp);
    assert_eq!(highest.next().timestamp(), stamp);
    assert!(highest.next() > highest);
    let next_millisecond = stamp.saturating_add(Duration::from_millis(1));
    assert!(highest.next() < BlockId::lowest_at(next_millisecond));
    assert!(highest <= BlockId::lowest_at(next_millisecond).previous());
    assert_eq!(highest.next().previous(), highest);
    assert!(BlockId::lowest_at(Timestamp::EPOCH) <= BlockId::from_parts(Timestamp::EPOCH, 0));
}

#[test]
fn an_id_has_one_spelling() {
    let id = BlockId::from_parts(at("2026-11-22T00:00:00Z"), 0x00AB_CDEF);
    let text = id.to_string();
    assert_eq!(text.len(), 26);
    assert_eq!(BlockId::parse(&text), Ok(id));
    assert_eq!(serde_json::from_str::<BlockId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    let year_after_9999 = Ulid::from_parts(Timestamp::MAX.as_millis() + 1, 0).to_string();
    for bad in ["", &text[1..], &text.to_lowercase(), "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", &year_after_9999] {
        assert_eq!(BlockId::parse(bad), Err(InvalidBlockId), "{bad:?}");
    }
}

#[test]
fn a_foreign_or_changed_block_is_caught_without_decoding() {
    let good = block(b"{\"a\":1}\n");
    assert_eq!(good.check(&tenant()), Ok(()));
    let failed = Err(CorruptBlock::StoredChecksum(good.id));
    assert_eq!(good.check(&TenantId::parse("acm").unwrap()), failed);
    let changes: [fn(&mut StoredBlock); 7] = [
        |block| block.event_count += 1,
        |block| block.raw_length += 1,
        |block| block.crc32 ^= 1,
        |block| block.oldest_event = block.oldest_event.saturating_add(Duration::from_millis(1)),
        |block| block.newest_event = block.newest_event.saturating_sub(Duration::from_millis(1)),
        |block| block.deflate = block.deflate.slice(1..),
        |block| block.deflate = [&block.deflate[..], b"x"].concat().into(),
    ];
    for change in changes {
        let mut other = good.clone();
        change(&mut other);
        assert_eq!(other.check(&tenant()), failed);
    }
    let mut moved = good;
    moved.id = moved.id.next();
    assert!(moved.check(&tenant()).is_err());
}

#[test]
fn a_block_that_decodes_to_something_else_is_refused() {
    let good = block(b"{\"a\":1}\n{\"b\":2}\n");
    assert_eq!(good.inflate().unwrap(), b"{\"a\":1}\n{\"b\":2}\n");

    let fault_after = |change: fn(&mut StoredBlock)| {
        let mut block = good.clone();
        change(&mut block);
        block.inflate().unwrap_err()
    };
    assert_eq!(fault_after(|block| block.raw_length -= 1), CorruptBlock::RawLength(good.id));
    assert_eq!(fault_after(|block| block.raw_length += 1), CorruptBlock::RawLength(good.id));
    assert_eq!(fault_after(|block| block.raw_length = u32::MAX), CorruptBlock::RawLength(good.id));
    assert_eq!(fault_after(|block| block.crc32 ^= 1), CorruptBlock::RawChecksum(good.id));
    assert_eq!(fault_after(|block| block.event_count = 1), CorruptBlock::EventCount(good.id));
    assert_eq!(fault_after(|block| block.deflate = Bytes::new()), CorruptBlock::Deflate(good.id));
    assert_eq!(
        fault_after(|block| block.deflate = block.deflate.slice(..block.deflate.len() - 1)),
        CorruptBlock::Deflate(good.id)
    );
    // A final block in the middle would end the object there.
    assert_eq!(
        fault_after(|block| block.deflate = [&block.deflate[..], &[0x03, 0x00], &FULL_FLUSH_MARKER].concat().into()),
        CorruptBlock::Deflate(good.id)
    );
}

#[test]
fn a_bomb_is_cut_at_the_length_that_was_promised() {
    let mut bomb = block(&[b" ".repeat(MAX_BLOCK_RAW_LENGTH - 1).as_slice(), b"\n"].concat());
    bomb.raw_length = 10;
    assert_eq!(bomb.inflate(), Err(CorruptBlock::RawLength(bomb.id)));
}

#[test]
fn only_whole_lines_within_the_bound_are_encoded() {
    let encode = |raw: &[u8]| {
        encode_block(&tenant(), BlockId::lowest_at(Timestamp::EPOCH), raw, Timestamp::EPOCH, Timestamp::EPOCH)
    };
    assert_eq!(encode(b""), Err(EncodeError::RawLength));
    assert_eq!(encode(b"{}"), Err(EncodeError::RawLength));
    assert_eq!(encode(&b"\n".repeat(MAX_BLOCK_RAW_LENGTH + 1)), Err(EncodeError::RawLength));
}

#[test]
fn no_event_data_is_printed() {
    assert!(!format!("{:?}", block(b"private\n")).contains("private"));
}

fn batch(body: &str) -> EventBatch {
    EventBatch::parse(tenant(), body.as_bytes(), BodyForm::Lines).unwrap()
}

/// A generator of bytes that can't be compressed (the minimal standard generator of Park and Miller).
fn noise() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(42_u64), |state| Some(state * 48_271 % 2_147_483_647))
}

#[test]
fn packing_keeps_order_and_bounds_and_stamps_each_event() {
    let body: String = (0..5_000)
        .map(|number| {
            let minute = number % 60;
            format!(
                "{{\"id\":\"{number}\",\"eventTimestamp\":\"2026-11-22T00:{minute:02}:00Z\",\"padding\":\"{}\"}}\n",
                "x".repeat(200)
            )
        })
        .collect();
    let first_id = BlockId::from_parts(at("2026-11-22T01:02:03.004Z"), 99);
    let blocks = Packer::default().pack(&tenant(), &batch(&body), first_id).unwrap();
    assert!(blocks.len() > 1);
    let mut ids = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        assert_eq!(block.id, std::iter::successors(Some(first_id), |id| Some(id.next())).nth(number).unwrap());
        assert_eq!(block.check(&tenant()), Ok(()));
        assert_eq!(block.oldest_event, at("2026-11-22T00:00:00Z"));
        assert_eq!(block.newest_event, at("2026-11-22T00:59:00Z"));
        for line in std::str::from_utf8(&block.inflate().unwrap()).unwrap().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["tenantId"], "acme");
            assert_eq!(event["receivedTimestamp"], "2026-11-22T01:02:03.004Z");
            ids.push(event["id"].as_str().unwrap().parse::<usize>().unwrap());
        }
    }
    assert_eq!(ids, (0..5_000).collect::<Vec<_>>());
}

#[test]
fn the_worst_bodies_fit_into_items_and_one_transaction() {
    let alphabet: Vec<char> = (' '..='~').filter(|letter| !matches!(letter, '"' | '\\')).collect();
    let mut random = noise();
    for events in [14, 22, 1_000, MAX_EVENTS_PER_BODY] {
        let overhead = r#"{"id":"1","eventTimestamp":"2026-11-22T00:00:00Z","n":""}"#.len() + 1;
        let length = (MAX_BODY_LENGTH / events - overhead).min(260_000);
        let body: String = (0..events)
            .map(|_| {
                let text: String = (0..length)
                    .map(|_| alphabet[usize::try_from(random.next().unwrap()).unwrap() % alphabet.len()])
                    .collect();
                format!("{{\"id\":\"1\",\"eventTimestamp\":\"2026-11-22T00:00:00Z\",\"n\":\"{text}\"}}\n")
            })
            .collect();
        let blocks = Packer::default().pack(&tenant(), &batch(&body), BlockId::lowest_at(Timestamp::EPOCH)).unwrap();
        let longest = blocks.iter().map(|block| block.deflate.len()).max().unwrap();
        let total: usize = blocks.iter().map(|block| block.deflate.len()).sum();
        assert!(longest + 1_024 < 400 * 1024, "{longest}");
        assert!(
            blocks.len() < 100 && total + blocks.len() * 1_024 < 4_000_000,
            "{} blocks, {total} bytes",
            blocks.len()
        );
    }
}

#[test]
fn incompressible_blocks_fit_into_an_item() {
    let mut random = noise();
    let mut raw: Vec<u8> =
        (1..MAX_BLOCK_RAW_LENGTH).map(|_| u8::try_from(random.next().unwrap() >> 13 & 0xFF).unwrap()).collect();
    raw.push(b'\n');
    let stored = block(&raw).deflate.len();
    assert!(stored >= raw.len() && stored + 1_024 < 400 * 1024, "{stored}");
}

proptest! {
    #[test]
    fn every_block_comes_back(lines in proptest::collection::vec("[^\n]{0,200}", 1..200)) {
        let raw: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let block = block(raw.as_bytes());
        prop_assert_eq!(block.inflate().unwrap(), raw.as_bytes());
        prop_assert_eq!(usize::try_from(block.event_count).unwrap(), lines.len());
    }

    #[test]
    fn no_stored_bytes_panic(deflate in proptest::collection::vec(any::<u8>(), 0..300), raw_length in 0..2_000_u32) {
        let mut block = block(b"{}\n");
        block.deflate = [&deflate[..], &FULL_FLUSH_MARKER].concat().into();
        block.raw_length = raw_length;
        let _ = block.inflate();
    }
}

proptest! {
    /// The IDs from the first one after a key on are those that sort after it, whatever the key.
    #[test]
    fn the_first_id_after_a_key_sorts_after_it(
        key in prop_oneof!["[0-9A-Z]{0,30}", "0[0-9A-Z]{25}", any::<String>()],
        millis in 0..Timestamp::MAX.as_millis(),
        random in any::<u128>(),
    ) {
        let id = BlockId::from_parts(Timestamp::from_millis(millis).unwrap(), random);
        let first = BlockId::first_after(&key);
        for id in [Some(id), first, first.map(BlockId::previous)].into_iter().flatten() {
            prop_assert_eq!(id.to_string() > key, first.is_some_and(|first| id >= first), "{} {:?}", id, first);
        }
        prop_assert_eq!(BlockId::first_after(&id.to_string()), Some(id.next()));
    }
}
