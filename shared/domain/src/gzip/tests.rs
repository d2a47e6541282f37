#![expect(clippy::format_collect, reason = "a test may panic and need not be fast")]

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    block::{BlockId, CorruptBlock, encode_block},
    tenant::TenantId,
    time::Timestamp,
};

fn block(raw: &str) -> StoredBlock {
    let tenant = TenantId::parse("acme").unwrap();
    encode_block(&tenant, BlockId::lowest_at(Timestamp::EPOCH), raw.as_bytes(), Timestamp::EPOCH, Timestamp::EPOCH)
        .unwrap()
}

fn encode(version: EncoderVersion, blocks: &[StoredBlock]) -> EncodedObject {
    let mut encoder = GzipEncoder::new(version);
    for block in blocks {
        encoder.push(block.clone()).unwrap();
    }
    encoder.finish().unwrap()
}

/// Returns similar lines, numbered from `first` on.
fn events(first: u64, count: u64) -> String {
    (first..first + count)
        .map(|number| {
            let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (action, actor) = (["QUERY", "LOGIN", "UPDATE"][(mixed >> 32) as usize % 3], (mixed >> 40) % 200);
            format!("{{\"id\":\"{mixed:016x}\",\"action\":\"{action}\",\"actor\":{{\"id\":\"user{actor}\"}},\"n\":{number}}}\n")
        })
        .collect()
}

/// Blocks of one event each.
fn short_blocks(count: u64) -> Vec<StoredBlock> {
    (0..count).map(|number| block(&events(number, 1))).collect()
}

fn inflated(object: &EncodedObject) -> Vec<u8> {
    let mut raw = Vec::new();
    let mut member = flate2::bufread::GzDecoder::new(&object.bytes[..]);
    member.read_to_end(&mut raw).unwrap();
    assert!(member.into_inner().is_empty(), "bytes behind the first member");
    raw
}

/// Returns a block of literal bytes, as any compressor may write it (RFC 1951, 3.2.4), independent of the encoder.
fn literal_block(raw: &[u8]) -> StoredBlock {
    let length = u16::try_from(raw.len()).unwrap();
    let mut deflate = vec![0x00];
    deflate.extend(length.to_le_bytes());
    deflate.extend((!length).to_le_bytes());
    deflate.extend(raw);
    deflate.extend([0x00, 0x00, 0x00, 0xFF, 0xFF]);
    StoredBlock {
        id: BlockId::lowest_at(Timestamp::EPOCH),
        event_count: u32::try_from(raw.split(|byte| *byte == b'\n').count() - 1).unwrap(),
        raw_length: length.into(),
        crc32: crc_fast::crc32_iso_hdlc(raw),
        crc32c: 0,
        oldest_event: Timestamp::EPOCH,
        newest_event: Timestamp::EPOCH,
        deflate: deflate.into(),
    }
}

fn hash(object: &EncodedObject) -> String {
    Sha256::digest(&object.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

// A change of one of these hashes changes the bytes that a retry writes. It needs another version, and the code that writes
// the old bytes has to stay: a new zlib-rs beside the old one, if that changed them.

#[test]
fn the_same_blocks_always_become_the_same_bytes_in_version_1() {
    let object =
        encode(EncoderVersion::Joining, &[literal_block(b"{\"id\":\"1\"}\n"), literal_block(b"{\"id\":\"2\"}\n")]);
    assert_eq!(EncoderVersion::Joining.number(), 1);
    assert_eq!(hash(&object), "2a21580245b046a13c56d808f0d243662e0cac0226eaff0b6380b5b273b20ee3");
    assert_eq!(&object.bytes[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
}

#[test]
fn the_same_blocks_always_become_the_same_bytes_in_version_2() {
    let long_block = |number: u64| literal_block(events(number * 1_000, 700).as_bytes());
    let short = |range: std::ops::Range<u64>| range.map(|number| literal_block(events(number, 1).as_bytes()));
    // Two full stretches of short blocks, one of long blocks that are copied, and one that ends with the object.
    let blocks: Vec<_> = short(0..25_000).chain((0..30).map(long_block)).chain(short(30_000..30_100)).collect();
    let object = encode(EncoderVersion::Recompressing, &blocks);
    assert_eq!(EncoderVersion::Recompressing.number(), 2);
    assert_eq!(hash(&object), "9b0ddfebd000f0d8c97ba91ef7ee429443b65fa0473ff5ac63ef51e7b2c4b035");
}

fn encode_lines(portions: &[&str]) -> EncodedObject {
    let mut encoder = LinesEncoder::in_buffer(BytesMut::from(&b"left over"[..]));
    let mut content = Content::default();
    for portion in portions {
        encoder.push(portion.as_bytes()).unwrap();
        content.add(&literal_block(portion.as_bytes()));
    }
    encoder.finish(content).unwrap()
}

#[test]
fn lines_become_one_member_with_a_stream_for_each_stretch() {
    let portions: Vec<String> = (0..60).map(|number| events(number * 1_000, 500)).collect();
    let portions: Vec<&str> = portions.iter().map(String::as_str).collect();
    let raw_length = portions.iter().map(|portion| portion.len()).sum::<usize>();
    assert!(raw_length > 2 * stretch::STRETCH_RAW_LENGTH && raw_length < 3 * stretch::STRETCH_RAW_LENGTH);
    let object = encode_lines(&portions);
    assert_eq!(inflated(&object), portions.concat().as_bytes());
    let full_flushes = object.bytes.windows(4).filter(|bytes| *bytes == [0, 0, 0xFF, 0xFF]).count();
    assert_eq!(full_flushes, 3);
    assert_eq!(hash(&object), "c81d8b51b85ef11243ba4afe2ade647f49d66c42b619dde6165678c23ad02908");
    let one = encode_lines(&["{\"id\":\"1\"}\n"]);
    assert_eq!(inflated(&one), b"{\"id\":\"1\"}\n");
    output_of("gzip", &["-t"], &object.bytes);
}

#[test]
fn a_number_is_of_one_version_or_of_none() {
    for version in EncoderVersion::ALL {
        assert_eq!(EncoderVersion::from_number(version.number()), Some(version));
    }
    assert_eq!(EncoderVersion::from_number(0), None);
    assert_eq!(EncoderVersion::from_number(3), None);
}

#[test]
fn short_blocks_are_recompressed_and_long_ones_are_copied() {
    let short = short_blocks(2_000);
    let joined = encode(EncoderVersion::Joining, &short);
    let recompressed = encode(EncoderVersion::Recompressing, &short);
    assert_eq!(inflated(&recompressed), inflated(&joined));
    assert!(recompressed.bytes.len() * 3 < joined.bytes.len());
    assert_eq!(EncodedObject { bytes: joined.bytes.clone(), ..recompressed }, joined);

    let long: Vec<_> = (0..40).map(|number| block(&events(number * 600, 600))).collect();
    assert!(long.iter().all(|block| block.deflate.len() >= stretch::SHORT_BLOCK_STORED_LENGTH));
    assert_eq!(encode(EncoderVersion::Recompressing, &long), encode(EncoderVersion::Joining, &long));
}

#[test]
fn nothing_gets_longer_by_being_recompressed() {
    let lone = short_blocks(1);
    assert_eq!(encode(EncoderVersion::Recompressing, &lone), encode(EncoderVersion::Joining, &lone));
    // Blocks of minimal length without any similarity.
    let bytes = |number: u8| (1..=200).map(|step: u8| step.wrapping_mul(number)).collect::<Vec<u8>>();
    let noise: Vec<_> = (0..4).map(|number| literal_block(&[&bytes(2 * number + 1)[..], b"\n"].concat())).collect();
    let joined = encode(EncoderVersion::Joining, &noise).bytes.len();
    assert!(encode(EncoderVersion::Recompressing, &noise).bytes.len() <= joined);
}

#[test]
fn a_stretch_is_bounded_and_knows_only_its_own_object() {
    let mut encoder = GzipEncoder::new(EncoderVersion::Recompressing);
    let mut most = 0;
    for number in 0..30_000 {
        encoder.push(literal_block(events(number, 1).as_bytes())).unwrap();
        most = most.max(encoder.stretch.blocks().iter().map(|block| block.raw_length as usize).sum());
    }
    assert!(encoder.raw_length() > 2 * stretch::STRETCH_RAW_LENGTH as u64);
    assert!(most < stretch::STRETCH_RAW_LENGTH, "{most}");
    let all = short_blocks(3_000);
    let (first, second) = all.split_at(1_700);
    let alone = encode(EncoderVersion::Recompressing, second);
    encode(EncoderVersion::Recompressing, first);
    assert_eq!(encode(EncoderVersion::Recompressing, second), alone);
}

#[test]
fn a_block_that_does_not_decode_stops_the_object() {
    let mut blocks = short_blocks(3);
    blocks[1].crc32 ^= 1;
    let mut encoder = GzipEncoder::new(EncoderVersion::Recompressing);
    for block in blocks.clone() {
        encoder.push(block).unwrap();
    }
    assert_eq!(encoder.finish(), Err(ObjectError::Corrupt(CorruptBlock::RawChecksum(blocks[1].id))));
}

#[test]
fn without_blocks_it_is_an_empty_file() {
    for version in EncoderVersion::ALL {
        assert_eq!(inflated(&encode(version, &[])), b"");
    }
}

/// Returns the output of `program` for `input`.
fn output_of(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", output.status);
    output.stdout
}

#[test]
fn gzip_zcat_and_python_read_it() {
    let raws: Vec<String> = (0..300)
        .map(|block| (0..=block % 40).map(|event| format!("{{\"id\":\"{block}-{event}\",\"a\":\"é\"}}\n")).collect())
        .collect();
    for version in EncoderVersion::ALL {
        let object = encode(version, &raws.iter().map(|raw| block(raw)).collect::<Vec<_>>());
        let expected = raws.concat().into_bytes();
        output_of("gzip", &["-t"], &object.bytes);
        assert_eq!(output_of("zcat", &[], &object.bytes), expected);
        let script = "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
        assert_eq!(output_of("python3", &["-c", script], &object.bytes), expected);
    }
}

proptest! {
    #[test]
    fn every_object_is_one_member_with_all_events(
        raws in proptest::collection::vec(proptest::collection::vec("[^\n]{0,120}", 1..30), 0..20),
        recompresses: bool,
    ) {
        let raws: Vec<String> = raws.iter().map(|lines| lines.iter().map(|line| format!("{line}\n")).collect()).collect();
        let version = if recompresses { EncoderVersion::Recompressing } else { EncoderVersion::Joining };
        let mut encoder = GzipEncoder::new(version);
        for raw in &raws {
            encoder.push(block(raw)).unwrap();
        }
        let stored_length = encoder.stored_length();
        let object = encoder.finish().unwrap();
        prop_assert!(object.bytes.len() <= stored_length);
        prop_assert!(recompresses || object.bytes.len() == stored_length);
        let expected = raws.concat();
        prop_assert_eq!(inflated(&object), expected.as_bytes());
        prop_assert_eq!(object.content.raw_length, expected.len() as u64);
        prop_assert_eq!(object.content.crc32, crc_fast::crc32_iso_hdlc(expected.as_bytes()));
        prop_assert_eq!(object.content.event_count, raws.iter().map(|raw| raw.matches('\n').count() as u64).sum::<u64>());
    }
}
