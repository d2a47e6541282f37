//! The compression of files with blocks of different producers, measured with generated events.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fmt::Write, fs, time::Duration};

use bytes::Bytes;
use dev_tools::event_generator::EventGenerator;
use domain::{
    block::{BlockId, Packer, StoredBlock},
    event::{BodyForm, EventBatch},
    gzip::{EncoderVersion, GzipEncoder},
    tenant::TenantId,
    time::Timestamp,
};
use flate2::{Compress, Compression, FlushCompress};

/// Events of one file: about 5 MB, several stretches.
const EVENTS: usize = 8_000;

/// Returns the blocks of a producer with `size` events per request.
fn blocks(events: usize, size: usize) -> Vec<StoredBlock> {
    let tenant = TenantId::parse("acme").unwrap();
    let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let spacing = Duration::from_millis(250);
    let mut generator = EventGenerator::new(tenant.clone(), 1, start, spacing);
    let mut received = start;
    let mut blocks = Vec::new();
    for _ in 0..events / size {
        let mut body = Vec::new();
        for _ in 0..size {
            generator.write_next(&mut body).unwrap();
        }
        received = received.saturating_add(spacing * u32::try_from(size).unwrap());
        let batch = EventBatch::parse(tenant.clone(), &body, BodyForm::Lines).unwrap();
        blocks.extend(Packer::default().pack(&tenant, &batch, BlockId::lowest_at(received)).unwrap());
    }
    blocks
}

fn encode(version: EncoderVersion, blocks: &[StoredBlock]) -> Bytes {
    let mut encoder = GzipEncoder::new(version);
    for block in blocks {
        encoder.push(block.clone()).unwrap();
    }
    encoder.finish().unwrap().bytes
}

/// Returns the stored bytes of all events in one compressed stream.
fn whole(blocks: &[StoredBlock], level: u32) -> usize {
    let raw: Vec<u8> = blocks.iter().flat_map(|block| block.inflate().unwrap()).collect();
    let mut stored = Vec::with_capacity(raw.len());
    Compress::new(Compression::new(level), false).compress_vec(&raw, &mut stored, FlushCompress::Finish).unwrap();
    stored.len()
}

#[test]
fn a_file_of_small_blocks_is_at_most_a_tenth_longer_than_one_stream() {
    for size in [1, 2, 5, 10, 20, 50] {
        let blocks = blocks(EVENTS, size);
        let (file, whole) = (encode(EncoderVersion::CURRENT, &blocks).len(), whole(&blocks, 6));
        // The compression ratio is at least nine tenths of the stream's.
        assert!(file * 9 <= whole * 10, "blocks of {size}: {file} bytes, as one stream {whole}");
    }
}

#[test]
fn large_blocks_are_copied() {
    for size in [100, 500] {
        let blocks = blocks(EVENTS, size);
        assert_eq!(
            encode(EncoderVersion::CURRENT, &blocks),
            encode(EncoderVersion::Joining, &blocks),
            "blocks of {size}"
        );
    }
}

/// A mix of small and large blocks changes the result only slightly.
#[test]
fn a_file_of_mixed_blocks_loses_at_most_a_fifth() {
    let (small, large) = (blocks(200, 1), blocks(EVENTS, 100));
    for every in [1, 3, 20] {
        let mut mixed = Vec::new();
        for (number, block) in large.iter().enumerate() {
            mixed.push(block.clone());
            mixed.extend((number % every == 0).then(|| small.get(number).cloned()).flatten());
        }
        let (file, whole) = (encode(EncoderVersion::CURRENT, &mixed).len(), whole(&mixed, 6));
        assert!(file * 8 <= whole * 10, "every {every}: {file} bytes, as one stream {whole}");
    }
}

/// The table of docs/adr/short-blocks-are-compressed-again.md:
/// `cargo test --release -p dev-tools --test compression -- --ignored --nocapture table`.
#[test]
#[ignore = "prints figures, proves nothing"]
#[expect(clippy::print_stderr, clippy::cast_precision_loss, reason = "a table of figures")]
fn table() {
    // Repeats the work, because the clock is coarse.
    let repeated = |work: &dyn Fn() -> usize| {
        let (before, mut times) = (processor_seconds(), 0.0);
        while processor_seconds() - before < 1.0 {
            assert!(work() > 0);
            times += 1.0;
        }
        (processor_seconds() - before) / times
    };
    eprintln!(
        "events per block | stored bytes per block | one stream | copied | lost | CPU s/GB | recompressed | lost | CPU s/GB"
    );
    for size in [1, 2, 5, 10, 20, 50, 70, 100, 200, 500] {
        let blocks = blocks(64_000, size);
        let raw: f64 = blocks.iter().map(|block| f64::from(block.raw_length)).sum();
        let stored: usize = blocks.iter().map(|block| block.deflate.len()).sum();
        let whole = raw / whole(&blocks, 6) as f64;
        let mut row = format!("{size} | {} | {whole:.2}", stored / blocks.len());
        for version in EncoderVersion::ALL {
            let ratio = raw / encode(version, &blocks).len() as f64;
            let seconds = repeated(&|| encode(version, &blocks).len());
            let _ = write!(row, " | {ratio:.2} | {:.1} % | {:.2}", 100.0 * (1.0 - ratio / whole), seconds / raw * 1e9);
        }
        eprintln!("{row}");
    }
}

/// Returns the processor time of this thread.
fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
