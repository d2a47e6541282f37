//! The ingest function, and the ratios and costs of compression levels.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use dev_tools::event_generator::EventGenerator;
use domain::{
    block::{BlockId, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};
use flate2::{Compress, Compression, FlushCompress};

use crate::{
    bench::Bench,
    corpus::{CorpusFile, TENANT},
    functions::{self, ANSWER_TIME, Function, RecordedRequest},
    process::measured,
    report::{Report, float, gigabytes, grouped, mebibytes, median, milliseconds, quantile},
    stub::Stub,
};

const SUITE: &str = "ingest";

/// The least that a request takes with this runtime and SDK.
const LIMIT: &str = "limit";

/// In template.yaml.
const MEMORY_MEGABYTES: u32 = 1_024;

/// The events of a request, and the number of requests.
const BATCHES: [(u64, usize); 4] = [(1, 1_000), (10, 1_000), (100, 500), (1_000, 100)];

/// The requests before the measurement, which open connections and touch memory.
const WARMING_UP: usize = 20;

/// The events that the levels are measured with, and those of a block.
const LEVEL_EVENTS: u64 = 100_000;
const LEVEL_BLOCK_EVENTS: [u64; 2] = [100, 500];
const LEVELS: std::ops::RangeInclusive<u32> = 1..=9;

/// The current level, with which the others are compared.
const CURRENT_LEVEL: u32 = 8;

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    requests(bench, report)?;
    levels(bench, report)
}

fn requests(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    let recorded = RecordedRequest::read(&bench.root, "http-plain-array.json")?;
    let ingest = functions::start(bench, "ingest", &stub, MEMORY_MEGABYTES)?;
    for (batch, count) in BATCHES {
        let count = bench.size(count, (count / 10).max(WARMING_UP));
        let body = events(batch)?;
        let requests = Requests { payload: recorded.with_body("application/json", &body), batch, count };
        let limit =
            functions::start_own(bench, "ingest-limit", &limit_arguments(batch, &body)?, &stub, MEMORY_MEGABYTES)?;
        requests.warm_up(&ingest)?;
        requests.warm_up(&limit)?;
        let (mut ours, mut lowest) = (Samples::default(), Samples::default());
        for _ in 0..bench.rounds {
            requests.send(&ingest, &stub, &mut ours)?;
            requests.send(&limit, &stub, &mut lowest)?;
        }
        stub.check()?;
        let subject = format!("requests of {} events", grouped(batch));
        report.add(SUITE, &format!("{LIMIT}, {subject}"), "CPU per event", "us", &lowest.cpu);
        report.add(SUITE, &subject, "events per second", "1/s", &ours.rate);
        report.add(SUITE, &subject, "CPU per event", "us", &ours.cpu);
        report.compare(LIMIT, median(&lowest.cpu));
        report.add(SUITE, &subject, "time per request", "ms", &time_quantiles(&ours.time));
    }
    report.add(SUITE, "function", "peak memory", "MiB", &[mebibytes(ingest.program.peak_memory()?)]);
    Ok(())
}

/// Returns what the limit puts: a block as ingest stores it.
fn limit_arguments(batch: u64, body: &[u8]) -> Result<[String; 2]> {
    let mut block = Vec::with_capacity(body.len() + 1_024);
    Compress::new(Compression::new(CURRENT_LEVEL), false).compress_vec(body, &mut block, FlushCompress::Full)?;
    Ok([format!("--events={batch}"), format!("--bytes={}", block.len())])
}

/// The same request, several times.
struct Requests {
    payload: Bytes,
    batch: u64,
    count: usize,
}

/// What the rounds took: microseconds of CPU for an event, events per second, milliseconds of each request.
#[derive(Default)]
struct Samples {
    cpu: Vec<f64>,
    rate: Vec<f64>,
    time: Vec<f64>,
}

impl Requests {
    fn invoke(&self, function: &Function) -> Result<Duration> {
        let answer = function.api.invoke(&self.payload, ANSWER_TIME)?;
        let body = answer.json()?;
        ensure!(body["statusCode"] == 202, "the answer is {body}");
        Ok(answer.time)
    }

    fn warm_up(&self, function: &Function) -> Result<()> {
        (0..WARMING_UP).try_for_each(|_| self.invoke(function).map(drop))
    }

    fn send(&self, function: &Function, stub: &Stub, samples: &mut Samples) -> Result<()> {
        let (put_before, cpu_before) = (stub.world().database.events_put, function.program.cpu()?);
        let mut wall = Duration::ZERO;
        for _ in 0..self.count {
            let took = self.invoke(function)?;
            wall += took;
            samples.time.push(milliseconds(took));
        }
        let events = self.batch * self.count as u64;
        let stored = stub.world().database.events_put - put_before;
        ensure!(stored == events, "{stored} of {events} events were stored");
        samples.cpu.push(function.program.cpu_since(cpu_before)?.as_secs_f64() * 1e6 / float(events));
        samples.rate.push(float(events) / wall.as_secs_f64());
        Ok(())
    }
}

/// Returns the percentiles, which the report has instead of all times.
fn time_quantiles(samples: &[f64]) -> Vec<f64> {
    (1..100_u64).map(|hundredth| quantile(samples, float(hundredth) / 100.0)).collect()
}

/// Returns a JSON array of events.
fn events(count: u64) -> Result<Bytes> {
    let start = Timestamp::parse("2026-11-22T00:00:00Z")?;
    let mut generator = EventGenerator::new(TenantId::parse(TENANT)?, 7, start, Duration::from_millis(10));
    let mut body = b"[".to_vec();
    for number in 0..count {
        if number > 0 {
            body.push(b',');
        }
        generator.write_next(&mut body)?;
    }
    body.push(b']');
    Ok(body.into())
}

fn levels(bench: &Bench, report: &mut Report) -> Result<()> {
    let tenant = TenantId::parse(TENANT)?;
    for block_events in LEVEL_BLOCK_EVENTS {
        let file = CorpusFile::prepare(&bench.directory, bench.size(LEVEL_EVENTS, LEVEL_EVENTS / 10), block_events)?;
        let id = BlockId::lowest_at(Timestamp::EPOCH);
        let blocks = file.blocks()?.map(|block| {
            let block: StoredBlock = block?.stored(&tenant, id)?;
            Ok(block.inflate()?)
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let tried = LEVELS.map(|level| Ok((level, compress(&blocks, level)?))).collect::<Result<Vec<_>>>()?;
        let current = tried.iter().find(|(level, _)| *level == CURRENT_LEVEL).map(|(_, tried)| *tried);
        let (current_ratio, current_cpu) = current.unwrap_or_default();
        for (level, (ratio, cpu)) in tried {
            let subject = format!("blocks of {block_events} events, level {level}");
            report.add(SUITE, &subject, "compressed by", "", &[ratio]);
            report.compare("level 8", current_ratio);
            report.add(SUITE, &subject, "CPU per raw GB", "s/GB", &[cpu]);
            report.compare("level 8", current_cpu);
        }
    }
    Ok(())
}

/// Returns the compression ratio and the CPU seconds per raw GB.
fn compress(blocks: &[Vec<u8>], level: u32) -> Result<(f64, f64)> {
    let mut compress = Compress::new(Compression::new(level), false);
    let (mut raw_bytes, mut stored_bytes) = (0, 0);
    let ((), seconds) = measured(|| {
        for raw in blocks {
            compress.reset();
            // Enough for incompressible blocks.
            let mut stored = Vec::with_capacity(raw.len() + 1_024);
            compress.compress_vec(raw, &mut stored, FlushCompress::Full)?;
            ensure!(stored.len() < stored.capacity(), "a block was not compressed to its end");
            raw_bytes += raw.len() as u64;
            stored_bytes += stored.len() as u64;
        }
        Ok(())
    })?;
    Ok((float(raw_bytes) / float(stored_bytes), seconds / gigabytes(raw_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_as_many_events_as_asked_for() {
        let events: Vec<serde_json::Value> = serde_json::from_slice(&events(3).unwrap()).unwrap();
        assert_eq!(events.len(), 3);
    }

    #[test]
    fn higher_levels_compress_more() {
        let blocks = [events(100).unwrap().to_vec()];
        assert!(compress(&blocks, 9).unwrap().0 > compress(&blocks, 1).unwrap().0);
    }
}
