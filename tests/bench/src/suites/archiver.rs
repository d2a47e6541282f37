//! The archiver: the last settled hour of tenants with segments of ordinary size, of some with full ones, and of many with short
//! ones.
//!
//! At the end of each pass, the segments of every tenant have to tile its archive, and to hold exactly its blocks.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use domain::{
    archive::{SegmentIndex, segment_partition},
    block::{BlockId, StoredBlock},
    digest::Hex32,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};
use host::{Clock, Machine};
use serde_json::json;

use super::export::Pass;
use crate::{
    archive::{BUCKET, row_item},
    bench::Bench,
    corpus::{Corpus, CorpusFile, TENANT, WRITE_SHARDS},
    functions::{self, EXPORTER_MEGABYTES, RUN_TIME},
    report::{Report, float, gigabytes, grouped, mebibytes},
    stub::{Stub, World, dynamodb::Item},
};

const SUITE: &str = "archiver";

/// The bytes of a request that reads a segment back: `COMPARED_LENGTH` of `export_engine::archive`.
const READ_BACK_LENGTH: u64 = 4 * 1024 * 1024;

/// The time after which a block has settled: `SETTLE_SECONDS` of the functions.
const SETTLE: Duration = Duration::from_mins(20);

const HOUR: Duration = Duration::from_hours(1);

/// The tenants, and the blocks of an hour of each.
struct Load {
    tenants: u64,
    events: u64,
    block_events: u64,
}

impl Load {
    fn subject(&self) -> String {
        let Self { tenants, events, block_events } = self;
        format!("{} tenants, {} events each in blocks of {block_events}", grouped(*tenants), grouped(*events))
    }

    /// Returns the IDs of the tenants.
    fn tenants(&self) -> Result<Vec<TenantId>> {
        let others = (1..self.tenants).map(|number| format!("tenant-{number}"));
        [TENANT.to_owned()].into_iter().chain(others).map(|id| Ok(TenantId::parse(&id)?)).collect()
    }
}

/// The segments of a pass.
#[derive(Clone, Copy, Debug, Default)]
struct Segments {
    count: u64,
    stored_bytes: u64,
    /// The requests that read them back.
    reads: u64,
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    for load in [
        // A million events a day, for which docs/COST.md calculates.
        Load { tenants: bench.size(12, 4), events: 41_600, block_events: 100 },
        // More than the 32 MiB of a segment, of as many tenants as are archived at a time: the most memory.
        Load { tenants: 4, events: 400_000, block_events: 100 },
        Load { tenants: bench.size(500, 50), events: 10, block_events: 10 },
    ] {
        measure(&load, bench, &stub, report)?;
    }
    Ok(())
}

fn measure(load: &Load, bench: &Bench, stub: &Stub, report: &mut Report) -> Result<()> {
    let file = CorpusFile::prepare(&bench.directory, load.events, load.block_events)?.within(HOUR);
    // If another hour settles meanwhile, each tenant gets an empty look in addition.
    let hour = Machine.now().saturating_sub(SETTLE).floor_to(HOUR).saturating_sub(HOUR);
    let corpus = Arc::new(Corpus::load(&file, hour, WRITE_SHARDS)?);
    let blocks = file.placed(hour, WRITE_SHARDS)?.map(|placed| Ok(placed?.block)).collect::<Result<Vec<_>>>()?;
    let tenants = load.tenants()?;
    let window = corpus.window(u64::MAX).with_others(u64::MAX);
    let mut passes = Vec::new();
    let mut segments = Segments::default();
    for _ in 0..bench.rounds {
        stub.reset();
        stub.world().database.window = Some(window.clone());
        for tenant in &tenants {
            stub.world().database.seed_archive_row(&row_item(tenant, [BlockId::lowest_at(hour); 3]));
        }
        let archiver = functions::start(bench, "archiver", stub, EXPORTER_MEGABYTES)?;
        let before = archiver.program.cpu()?;
        let invoked = archiver.api.invoke(&json!({"archive": {}}).to_string().into(), RUN_TIME)?;
        let outcome = invoked.json()?;
        let mut pass = Pass::over(&window);
        pass.cpu = archiver.program.cpu_since(before)?;
        pass.peak_memory = archiver.program.peak_memory()?;
        pass.wall = invoked.time;
        pass.raw_bytes *= load.tenants;
        drop(archiver);
        stub.check()?;
        pass.traffic = stub.world().traffic.clone();
        segments = check(&stub.world(), &tenants, hour, &blocks)?;
        let requests = ["s3:PutObject", "s3:GetObject"].map(|operation| pass.traffic.of(operation));
        ensure!(requests == [segments.count, segments.reads], "{requests:?} requests for {segments:?}");
        ensure!(
            outcome["isComplete"] == true && outcome["failed"] == 0 && outcome["segments"] == segments.count,
            "not everything was archived: {outcome}"
        );
        passes.push(pass);
    }
    let subject = load.subject();
    let count = float(segments.count);
    let of = |figure: &dyn Fn(&Pass) -> f64| passes.iter().map(figure).collect::<Vec<_>>();
    let per_gigabyte = of(&|pass| pass.cpu.as_secs_f64() / gigabytes(pass.raw_bytes));
    report.add(SUITE, &subject, "CPU per raw GB", "s/GB", &per_gigabyte);
    report.add(SUITE, &subject, "CPU per segment", "ms", &of(&|pass| pass.cpu.as_secs_f64() * 1e3 / count));
    report.add(SUITE, &subject, "time per segment", "ms", &of(&|pass| pass.wall.as_secs_f64() * 1e3 / count));
    report.add(SUITE, &subject, "peak memory", "MiB", &of(&|pass| mebibytes(pass.peak_memory)));
    report.add(SUITE, &subject, "segments", "", &[count]);
    report.add(SUITE, &subject, "bytes of a segment", "MB", &[float(segments.stored_bytes) / 1e6 / count]);
    for (measure, service) in [("requests to DynamoDB per segment", "dynamodb:"), ("requests to S3 per segment", "s3:")]
    {
        report.add(SUITE, &subject, measure, "", &of(&|pass| float(pass.traffic.of(service)) / count));
    }
    Ok(())
}

/// Checks that each tenant's blocks can be read from its segments, and no others.
fn check(world: &World, tenants: &[TenantId], hour: Timestamp, blocks: &[StoredBlock]) -> Result<Segments> {
    let mut found = Segments::default();
    for tenant in tenants {
        let mut expected = blocks.iter();
        let mut next = BlockId::lowest_at(hour);
        for item in world.database.archive_partition(&segment_partition(tenant)) {
            let segment = Segment::read(world, tenant, item)?;
            ensure!(segment.covers.first == next, "the segments of {tenant} have a hole, or overlap, at {next}");
            next = segment.covers.end;
            for block in segment.blocks()? {
                block.check(tenant)?;
                // The checksum covers the tenant.
                let expected = expected.next().map(|expected| StoredBlock { crc32c: block.crc32c, ..expected.clone() });
                ensure!(expected.as_ref() == Some(&block), "the archive of {tenant} has another block {}", block.id);
            }
            let length = segment.bytes.len() as u64;
            found.count += 1;
            found.stored_bytes += length;
            found.reads += length.div_ceil(READ_BACK_LENGTH);
        }
        ensure!(expected.next().is_none(), "blocks of {tenant} are not archived");
    }
    Ok(found)
}

/// A segment with its index.
struct Segment {
    covers: BlockRange,
    bytes: Bytes,
    index: SegmentIndex,
}

impl Segment {
    /// Reads a segment from the bucket, by the item that refers to it.
    fn read(world: &World, tenant: &TenantId, item: &Item) -> Result<Self> {
        let attribute = |name: &str, kind: &str| item.get(name).and_then(|value| value[kind].as_str());
        let text = |name: &str| attribute(name, "S").with_context(|| format!("no {name}: {item:?}"));
        let number = |name: &str| {
            let number = attribute(name, "N").and_then(|number| number.parse::<u64>().ok());
            number.with_context(|| format!("no {name}: {item:?}"))
        };
        let covers =
            BlockRange { first: BlockId::parse(text("firstBlock")?)?, end: BlockId::parse(text("blockId")?)?.next() };
        let key = text("objectKey")?;
        let stored = world.buckets.objects.get(&format!("/{BUCKET}/{key}"));
        let stored = stored.with_context(|| format!("{key} is not in the bucket"))?;
        let bytes = stored.bytes.clone().with_context(|| format!("{key} was not kept"))?;
        ensure!(Hex32(stored.sha256).to_string() == text("sha256")?, "{key} has another SHA-256");
        ensure!(stored.length == number("length")?, "{key} has another length");
        let tail = SegmentIndex::tail_length(tenant, u32::try_from(number("blocks")?)?);
        let start = stored.length.checked_sub(tail).and_then(|start| usize::try_from(start).ok());
        let tail = start.and_then(|start| bytes.get(start..)).with_context(|| format!("{key} is too short"))?;
        let index = SegmentIndex::read(tail, stored.length, tenant, covers)?;
        Ok(Self { covers, bytes, index })
    }

    fn blocks(&self) -> Result<Vec<StoredBlock>> {
        let blocks = self.index.blocks.iter().map(|block| {
            let range = block.range();
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            Ok(block.with_bytes(self.bytes.slice(range)))
        });
        blocks.collect()
    }
}
