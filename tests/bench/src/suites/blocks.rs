//! The size and cost of objects by the size of their blocks: joined, as exported, and compressed as a whole.

use std::{io::Write, sync::Arc};

use anyhow::Result;
use domain::{
    block::{BlockId, StoredBlock},
    gzip::{EncoderVersion, GzipEncoder},
    tenant::TenantId,
    time::Timestamp,
};
use flate2::{Compression, write::GzEncoder};

use super::export::{self, first_day};
use crate::{
    bench::Bench,
    corpus::{Corpus, CorpusFile, TENANT, WRITE_SHARDS},
    process::measured,
    report::{Report, float, gigabytes},
    stub::Stub,
};

const SUITE: &str = "block size";
const BLOCK_EVENTS: [u64; 5] = [1, 5, 20, 100, 500];
const EVENTS: u64 = 200_000;
const QUICK_EVENTS: u64 = 20_000;

/// The result of one way to make a file.
struct File {
    stored_bytes: u64,
    cpu_seconds: f64,
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    let tenant = TenantId::parse(TENANT)?;
    for block_events in BLOCK_EVENTS {
        let file = CorpusFile::prepare(&bench.directory, bench.size(EVENTS, QUICK_EVENTS), block_events)?;
        let id = BlockId::lowest_at(Timestamp::EPOCH);
        let blocks = file.blocks()?.map(|block| block?.stored(&tenant, id)).collect::<Result<Vec<_>>>()?;
        let raw_bytes: u64 = blocks.iter().map(|block| u64::from(block.raw_length)).sum();
        let whole = whole(&blocks)?;
        let joined = encoded(&blocks, EncoderVersion::Joining)?;
        let current = encoded(&blocks, EncoderVersion::CURRENT)?;
        let subject = format!("{block_events} events a block");
        for (measure, file) in [("joined", &joined), ("as exported", &current)] {
            let ratio = float(raw_bytes) / float(file.stored_bytes);
            report.add(SUITE, &format!("{subject}, {measure}"), "compressed by", "", &[ratio]);
            report.compare("whole file", float(raw_bytes) / float(whole.stored_bytes));
            let cpu = file.cpu_seconds / gigabytes(raw_bytes);
            report.add(SUITE, &format!("{subject}, {measure}"), "CPU per raw GB", "s/GB", &[cpu]);
            report.compare("whole file", whole.cpu_seconds / gigabytes(raw_bytes));
        }
        let corpus = Arc::new(Corpus::load(&file, first_day(1), WRITE_SHARDS)?);
        let window = corpus.window(u64::MAX);
        let mut samples = Vec::new();
        for _ in 0..bench.rounds {
            let pass = export::export(bench, &stub, &window)?;
            samples.push(pass.cpu.as_secs_f64() / gigabytes(raw_bytes));
        }
        report.add(SUITE, &format!("{subject}, whole export"), "CPU per raw GB", "s/GB", &samples);
    }
    Ok(())
}

/// Compresses all blocks in one stream, for comparison.
fn whole(blocks: &[StoredBlock]) -> Result<File> {
    let (stored_bytes, cpu_seconds) = measured(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        for block in blocks {
            encoder.write_all(&block.inflate()?)?;
        }
        Ok(encoder.finish()?.len() as u64)
    })?;
    Ok(File { stored_bytes, cpu_seconds })
}

fn encoded(blocks: &[StoredBlock], version: EncoderVersion) -> Result<File> {
    let (stored_bytes, cpu_seconds) = measured(|| {
        let mut encoder = GzipEncoder::new(version);
        for block in blocks {
            encoder.push(block.clone())?;
        }
        Ok(encoder.finish()?.bytes.len() as u64)
    })?;
    Ok(File { stored_bytes, cpu_seconds })
}
