#![expect(clippy::unwrap_used, clippy::format_collect, reason = "a test may panic and need not be fast")]

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    block::{BlockId, encode_block},
    tenant::TenantId,
    time::Timestamp,
};

fn block(raw: &str) -> StoredBlock {
    let tenant = TenantId::parse("acme").unwrap();
    encode_block(&tenant, BlockId::lowest_at(Timestamp::EPOCH), raw.as_bytes(), Timestamp::EPOCH, Timestamp::EPOCH)
        .unwrap()
}

fn encode(blocks: &[StoredBlock]) -> EncodedObject {
    let mut encoder = ObjectEncoder::new();
    for block in blocks {
        encoder.push(block);
    }
    encoder.finish()
}

/// A block of literal bytes, as any compressor may write it (RFC 1951, 3.2.4): independent of ours.
fn literal_block(raw: &[u8]) -> StoredBlock {
    let length = u16::try_from(raw.len()).unwrap();
    let mut deflate = vec![0x00];
    deflate.extend(length.to_le_bytes());
    deflate.extend((!length).to_le_bytes());
    deflate.extend(raw);
    deflate.extend([0x00, 0x00, 0x00, 0xFF, 0xFF]);
    StoredBlock {
        deflate: deflate.into(),
        raw_length: length.into(),
        crc32: crc_fast::crc32_iso_hdlc(raw),
        event_count: 1,
        ..block("x\n")
    }
}

#[test]
fn the_same_blocks_always_become_the_same_bytes() {
    let object = encode(&[literal_block(b"{\"id\":\"1\"}\n"), literal_block(b"{\"id\":\"2\"}\n")]);
    // Changing this hash means changing what a retry writes: then ENCODER_VERSION must change too.
    let hash: String = Sha256::digest(&object.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (ENCODER_VERSION, hash.as_str()),
        (1, "2a21580245b046a13c56d808f0d243662e0cac0226eaff0b6380b5b273b20ee3")
    );
    assert_eq!(&object.bytes[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
}

#[test]
fn without_blocks_it_is_an_empty_file() {
    let encoder = ObjectEncoder::new();
    let object = encoder.finish();
    let mut raw = Vec::new();
    flate2::bufread::GzDecoder::new(&object.bytes[..]).read_to_end(&mut raw).unwrap();
    assert!(raw.is_empty());
}

/// What `program` prints when it is given `input`.
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
    let object = encode(&raws.iter().map(|raw| block(raw)).collect::<Vec<_>>());
    let expected = raws.concat().into_bytes();
    output_of("gzip", &["-t"], &object.bytes);
    assert_eq!(output_of("zcat", &[], &object.bytes), expected);
    let script = "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    assert_eq!(output_of("python3", &["-c", script], &object.bytes), expected);
}

proptest! {
    #[test]
    fn every_object_is_one_member_with_all_events(
        raws in proptest::collection::vec(proptest::collection::vec("[^\n]{0,120}", 1..30), 0..20),
    ) {
        let raws: Vec<String> = raws.iter().map(|lines| lines.iter().map(|line| format!("{line}\n")).collect()).collect();
        let mut encoder = ObjectEncoder::new();
        for raw in &raws {
            encoder.push(&block(raw));
        }
        let stored_length = encoder.stored_length();
        let object = encoder.finish();
        prop_assert_eq!(object.bytes.len(), stored_length);
        let expected = raws.concat();
        let mut read = Vec::new();
        let mut member = flate2::bufread::GzDecoder::new(&object.bytes[..]);
        member.read_to_end(&mut read).unwrap();
        prop_assert!(member.into_inner().is_empty(), "bytes behind the first member");
        prop_assert_eq!(read, expected.as_bytes());
        prop_assert_eq!(object.raw_length, expected.len() as u64);
        prop_assert_eq!(object.crc32, crc_fast::crc32_iso_hdlc(expected.as_bytes()));
        prop_assert_eq!(object.event_count, raws.iter().map(|raw| raw.matches('\n').count() as u64).sum::<u64>());
        prop_assert_eq!(object.block_count as usize, raws.len());
    }
}
