//! The export of a window, beside the limit of the SDK, an exporter in Python, and gzip.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use domain::{
    block::{BlockId, SHARDS},
    digest::Hex32,
    encoding::Encoding,
    export_format::ExportFormat,
    tenant::TenantId,
    time::Timestamp,
};
use host::{Clock, Machine};
use serde_json::{Value, json};

use crate::{
    archive::Archive,
    bench::{Bench, QUICK_EVENTS},
    corpus::{Corpus, CorpusFile, TENANT, Totals, WRITE_SHARDS, Window},
    event_items::EventItems,
    functions::{self, EXPORTER_MEGABYTES, configuration_item, run_request, state_item},
    process::{Split, Usage, run_to_end},
    report::{Report, float, gigabytes, grouped, mebibytes, median},
    stub::{REGION, Stub, Traffic, World},
};

const SUITE: &str = "export";
const LIMIT: &str = "limit";

/// More than the functions' `SETTLE_SECONDS` of 1,200.
const SETTLED: Duration = Duration::from_mins(30);

/// The events of a block of a busy producer.
const BLOCK_EVENTS: u64 = 100;

/// The raw bytes that slow subjects are measured with. Their times grow in proportion.
const SAMPLE_RAW_BYTES: u64 = 300_000_000;
const QUICK_SAMPLE_RAW_BYTES: u64 = 40_000_000;

/// The events in all shards: enough for several pages in each.
const ALL_SHARDS_EVENTS: u64 = 2_000_000;

/// The shortest CPU time whose share in the kernel is reported: the kernel counts hundredths of a second.
const MIN_SPLIT_TIME: Duration = Duration::from_millis(500);

/// The resources of one pass over a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Pass {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) split: Split,
    pub(super) peak_memory: u64,
    pub(super) traffic: Traffic,
    pub(super) invocations: u64,
    pub(super) raw_bytes: u64,
    pub(super) events: u64,
}

impl Pass {
    /// A pass whose resources are not measured yet.
    pub(super) fn over(window: &Window) -> Self {
        let Totals { raw_bytes, events, .. } = window.totals();
        Self { raw_bytes, events, ..Self::default() }
    }
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.events, BLOCK_EVENTS)?;
    let corpus = Arc::new(Corpus::load(&file, first_day(bench.copies.max(1)), WRITE_SHARDS)?);
    let stub = Stub::start(&bench.runtime)?;
    let whole = corpus.window(u64::MAX);
    let blocks = whole.totals().blocks;
    let sample = corpus.window(blocks_of(&whole, bench.size(SAMPLE_RAW_BYTES, QUICK_SAMPLE_RAW_BYTES)));
    // An item for every event takes three times as long.
    let small_sample = corpus.window(sample.totals().blocks / 3);
    let items = EventItems::load(&file, small_sample.totals().blocks)?;
    let raw_sample = write_raw_sample(bench, &file, &sample)?;

    let mut passes: BTreeMap<&'static str, Vec<Pass>> = BTreeMap::new();
    for _ in 0..bench.rounds {
        // In turns, so that other load on the machine affects all of them.
        let mut push = |name, pass| passes.entry(name).or_default().push(pass);
        push("1 limit", limit(bench, &stub, &whole, &[])?);
        push("6 lean", limit(bench, &stub, &whole, &["--lean"])?);
        push("2 exporter", export(bench, &stub, &whole)?);
        push("3 recompressing", run_recompress(bench, &file, &sample)?);
        push("4 gzip -6", gzip(bench, &raw_sample, &sample)?);
        push("5 python", python(bench, &stub, &sample, None)?);
        push("7 python", python(bench, &stub, &small_sample, Some(items.clone()))?);
    }
    let limit = passes.get("1 limit").cloned().unwrap_or_default();
    let subject = |what: &str, totals: Totals| format!("{what}, {} events", grouped(totals.events));
    for (name, title, totals) in [
        ("1 limit", "SDK's limit: query the pages, put the bytes", whole.totals()),
        ("2 exporter", "audit-export", whole.totals()),
        ("3 recompressing", "inflate and deflate only (zlib-rs, level 6)", sample.totals()),
        ("4 gzip -6", "gzip -6 of the raw file", sample.totals()),
        ("5 python", "Python (boto3, gzip), the same blocks", sample.totals()),
        ("7 python", "Python (boto3, gzip), an item for every event", small_sample.totals()),
        ("6 lean", "limit without the SDK for queries", whole.totals()),
    ] {
        let passes = passes.get(name).map(Vec::as_slice).unwrap_or_default();
        add(report, SUITE, &subject(title, totals), passes, (LIMIT, &limit));
    }

    // Memory must not grow with the window,
    for parts in [100, 10] {
        let window = corpus.window(blocks / parts);
        let pass = export(bench, &stub, &window)?;
        add_memory(report, &subject("audit-export", window.totals()), &pass);
    }
    if let Some(pass) = passes.get("2 exporter").and_then(|passes| passes.first()) {
        add_memory(report, &subject("audit-export", whole.totals()), pass);
    }
    if bench.copies > 1 {
        let window = corpus.copies(bench.copies);
        let pass = export(bench, &stub, &window)?;
        add_memory(report, &subject("audit-export (corpus replayed)", window.totals()), &pass);
    }
    // nor beyond its bound when ingest writes to all shards: a page of each is held at a time.
    let file = CorpusFile::prepare(&bench.directory, bench.size(ALL_SHARDS_EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
    let window = Arc::new(Corpus::load(&file, first_day(1), SHARDS)?).window(u64::MAX);
    let pass = export(bench, &stub, &window)?;
    add_memory(report, &subject(&format!("audit-export, {SHARDS} shards"), window.totals()), &pass);
    report.note(format!(
        "export: blocks of {BLOCK_EVENTS} events in {WRITE_SHARDS} shards; HTTP without TLS for all; slow subjects on a sample, \
         per raw GB."
    ));
    Ok(())
}

/// Returns the first of the last `days` days.
pub(super) fn first_day(days: u64) -> Timestamp {
    let day = Duration::from_hours(24);
    // The last day is settled: a run within its first minutes would be tried again later.
    let last = Machine.now().saturating_sub(SETTLED);
    last.floor_to(day).saturating_sub(day * u32::try_from(days).unwrap_or(u32::MAX))
}

fn blocks_of(window: &Window, raw_bytes: u64) -> u64 {
    let totals = window.totals();
    (totals.blocks * raw_bytes / totals.raw_bytes.max(1)).clamp(1, totals.blocks)
}

/// A figure of a pass.
type OfPass<'a> = &'a dyn Fn(&Pass) -> f64;

/// Adds the figures of the passes, compared with those of the named passes `to`.
pub(super) fn add(
    report: &mut Report,
    suite: &'static str,
    subject: &str,
    passes: &[Pass],
    to: (&'static str, &[Pass]),
) {
    let (ratio_to, to) = to;
    let per_gigabyte = |pass: &Pass| pass.cpu.as_secs_f64() / gigabytes(pass.raw_bytes);
    let speed = |pass: &Pass| float(pass.raw_bytes) / 1e6 / pass.wall.as_secs_f64();
    let rate = |pass: &Pass| float(pass.events) / pass.wall.as_secs_f64();
    let of = |passes: &[Pass], figure: OfPass<'_>| passes.iter().map(figure).collect::<Vec<_>>();
    let figures: [(&'static str, &'static str, OfPass<'_>); 3] =
        [("CPU per raw GB", "s/GB", &per_gigabyte), ("raw speed", "MB/s", &speed), ("events per second", "1/s", &rate)];
    for (measure, unit, figure) in figures {
        report.add(suite, subject, measure, unit, &of(passes, figure));
        report.compare(ratio_to, median(&of(to, figure)));
    }
    if passes.iter().all(|pass| pass.cpu >= MIN_SPLIT_TIME) {
        let system = |pass: &Pass| pass.split.system.as_secs_f64() / gigabytes(pass.raw_bytes);
        report.add(suite, subject, "of it in the kernel", "s/GB", &of(passes, &system));
    }
    if passes.iter().any(|pass| pass.peak_memory > 0) {
        report.add(suite, subject, "peak memory", "MiB", &of(passes, &|pass| mebibytes(pass.peak_memory)));
        report.compare(ratio_to, median(&of(to, &|pass| mebibytes(pass.peak_memory))));
    }
    if let Some(pass) = passes.first().filter(|pass| pass.traffic.total() > 0) {
        for (measure, prefix) in
            [("requests to DynamoDB", "dynamodb:"), ("requests to S3", "s3:"), ("requests to STS and KMS", "")]
        {
            let count = if prefix.is_empty() {
                pass.traffic.of("sts:") + pass.traffic.of("kms:")
            } else {
                pass.traffic.of(prefix)
            };
            report.add(suite, subject, measure, "", &[float(count)]);
        }
    }
}

fn add_memory(report: &mut Report, subject: &str, pass: &Pass) {
    let suite = "memory";
    report.add(suite, subject, "peak memory", "MiB", &[mebibytes(pass.peak_memory)]);
    report.add(suite, subject, "CPU per raw GB", "s/GB", &[pass.cpu.as_secs_f64() / gigabytes(pass.raw_bytes)]);
    report.add(suite, subject, "invocations", "", &[float(pass.invocations)]);
    report.add(suite, subject, "requests", "", &[float(pass.traffic.total())]);
}

/// Prepares the export of a tenant's n-th configuration, and queues the request for it.
pub(super) fn prepare(world: &mut World, window: &Window, tenant: &str, number: u64) -> Result<()> {
    world.database.window = Some(window.clone());
    world.database.seed_configuration(&configuration_item(tenant, number, window.from(), Machine.now())?);
    world.database.seed_state(&state_item(tenant, number, window.from())?);
    world.queue.messages.push_back(run_request(tenant, number, window.through())?);
    Ok(())
}

/// Runs the real exporter until the window is exported, and checks the objects against the digests.
pub(super) fn export(bench: &Bench, stub: &Stub, window: &Window) -> Result<Pass> {
    export_from(ExportFormat::NdjsonGzip, bench, stub, window, None)
}

/// The same where the blocks are in segments. They are in the table as well, but nobody asks for them there.
pub(super) fn export_archived(bench: &Bench, stub: &Stub, window: &Window, archive: &Arc<Archive>) -> Result<Pass> {
    let pass = export_from(ExportFormat::NdjsonGzip, bench, stub, window, Some(Arc::clone(archive)))?;
    ensure!(pass.traffic.of("s3:GetObject") > 0, "no segment was read");
    Ok(pass)
}

/// The same for the function that makes a format.
pub(super) fn export_as(format: ExportFormat, bench: &Bench, stub: &Stub, window: &Window) -> Result<Pass> {
    export_from(format, bench, stub, window, None)
}

fn export_from(
    format: ExportFormat,
    bench: &Bench,
    stub: &Stub,
    window: &Window,
    archive: Option<Arc<Archive>>,
) -> Result<Pass> {
    stub.reset();
    stub.world().database.archive = archive;
    prepare(&mut stub.world(), window, TENANT, 1)?;
    let mut configuration = configuration_item(TENANT, 1, window.from(), Machine.now())?;
    configuration["format"] = json!({ "S": format.name() });
    if let Some(ocsf) = Encoding::from(format).ocsf {
        configuration["ocsfVersion"] = json!({ "S": ocsf.version.to_string() });
    }
    stub.world().database.seed_configuration(&configuration);
    let function = if format == ExportFormat::NdjsonGzip { "exporter" } else { "converter" };
    let exporter = functions::start(bench, function, stub, EXPORTER_MEGABYTES)?;
    let (cpu_before, split_before) = (exporter.program.cpu()?, exporter.program.split()?);
    let mut pass = Pass::over(window);
    loop {
        let Some(message) = stub.world().queue.messages.pop_front() else { break };
        pass.wall += exporter.export(&message).with_context(|| format!("{:?}", stub.check()))?;
        pass.invocations += 1;
    }
    pass.split = exporter.program.split()?.since(split_before);
    pass.cpu = exporter.program.cpu_since(cpu_before)?;
    pass.peak_memory = exporter.program.peak_memory()?;
    drop(exporter);
    stub.check()?;
    pass.traffic = stub.world().traffic.clone();
    check_digests(&stub.world(), &window.totals(), format)?;
    Ok(pass)
}

/// Checks that every object is in a digest and has the described bytes, and that no event is missing.
fn check_digests(world: &World, expected: &Totals, format: ExportFormat) -> Result<()> {
    let (mut objects, mut events, mut raw_bytes) = (0, 0, 0);
    for (path, digest) in world.buckets.ending(".json") {
        let digest: Value = serde_json::from_slice(digest.bytes.as_ref().context("a digest was not kept")?)?;
        for object in digest["objects"].as_array().with_context(|| format!("{path} has no objects"))? {
            let text = |name: &str| object[name].as_str().unwrap_or_default();
            let number = |name: &str| object[name].as_u64().unwrap_or_default();
            let stored = world.buckets.objects.get(&format!("/{}/{}", text("bucket"), text("key")));
            let is_same = stored.is_some_and(|stored| {
                Hex32(stored.sha256).to_string() == text("sha256")
                    && stored.length == number("storedLength")
                    && stored.gzip_raw_length.is_none_or(|length| length == number("rawLength"))
            });
            ensure!(is_same, "the bucket does not have this object: {object}");
            (objects, events, raw_bytes) = (objects + 1, events + number("events"), raw_bytes + number("rawLength"));
        }
    }
    let found = (objects, events, raw_bytes);
    let expected = (world.buckets.ending(format.extension()).count(), expected.events, expected.raw_bytes);
    ensure!(found == expected, "the digests have {found:?} objects, events and raw bytes, expected {expected:?}");
    Ok(())
}

/// Runs a program over the window of the stub to its end. It prints its usage.
fn run_over_stub(
    bench: &Bench,
    stub: &Stub,
    window: &Window,
    items: Option<EventItems>,
    command: &mut Command,
) -> Result<Pass> {
    stub.reset();
    stub.world().database.window = Some(window.clone());
    stub.world().database.event_items = items.unwrap_or_default();
    let usage = bench.directory.join("usage.json");
    command
        .env_clear()
        .envs([
            ("AWS_ENDPOINT_URL", stub.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
            ("AWS_SESSION_TOKEN", "bench".to_owned()),
            ("PATH", "/usr/bin:/bin".to_owned()),
        ])
        .stdin(Stdio::null())
        .stdout(File::create(&usage)?);
    let split = run_to_end(command, bench.cores.measured)?;
    stub.check()?;
    let usage: Usage = serde_json::from_slice(&fs::read(usage)?)?;
    let traffic = stub.world().traffic.clone();
    let raw_bytes: u64 = stub.world().buckets.ending(".gz").filter_map(|(_, stored)| stored.gzip_raw_length).sum();
    let pass = Pass {
        wall: Duration::from_secs_f64(usage.wall_seconds),
        cpu: Duration::from_secs_f64(usage.cpu_seconds),
        split,
        peak_memory: usage.peak_memory_bytes,
        traffic,
        ..Pass::over(window)
    };
    ensure!(raw_bytes == pass.raw_bytes, "{raw_bytes} of {} raw bytes were put", pass.raw_bytes);
    Ok(pass)
}

fn limit(bench: &Bench, stub: &Stub, window: &Window, options: &[&str]) -> Result<Pass> {
    let mut command = Command::new(std::env::current_exe()?);
    let last = BlockId::lowest_at(window.through()).previous().to_string();
    command.args(["limit", "--first", &BlockId::lowest_at(window.from()).to_string(), "--last", &last]);
    command.args(options);
    run_over_stub(bench, stub, window, None, &mut command)
}

/// Runs the Python exporter over the blocks, or over `items`.
fn python(bench: &Bench, stub: &Stub, window: &Window, items: Option<EventItems>) -> Result<Pass> {
    let mut command = Command::new(&bench.python);
    command.arg(bench.root.join("tests/bench/peers/python_exporter.py")).args([TENANT, "customer-audit-logs"]);
    if items.is_some() {
        command.arg("--items");
    }
    run_over_stub(bench, stub, window, items, &mut command)
}

fn gzip(bench: &Bench, raw_sample: &Path, window: &Window) -> Result<Pass> {
    let mut command = Command::new("gzip");
    command.args(["-6", "--stdout"]).arg(raw_sample).stdout(Stdio::null());
    run_alone(bench, window, &mut command)
}

fn run_recompress(bench: &Bench, file: &CorpusFile, window: &Window) -> Result<Pass> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("recompress").arg(&file.path).args(["--blocks", &window.totals().blocks.to_string()]);
    command.stdout(Stdio::null());
    run_alone(bench, window, &mut command)
}

fn run_alone(bench: &Bench, window: &Window, command: &mut Command) -> Result<Pass> {
    let started_at = Instant::now();
    let split = run_to_end(command, bench.cores.measured)?;
    Ok(Pass { wall: started_at.elapsed(), cpu: split.user + split.system, split, ..Pass::over(window) })
}

/// Writes the sample as plain lines.
fn write_raw_sample(bench: &Bench, file: &CorpusFile, sample: &Window) -> Result<PathBuf> {
    let path = bench.directory.join("sample.ndjson");
    let mut output = std::io::BufWriter::new(File::create(&path)?);
    let tenant = TenantId::parse(TENANT)?;
    let blocks = usize::try_from(sample.totals().blocks)?;
    for block in file.blocks()?.take(blocks) {
        let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
        output.write_all(&block.inflate()?)?;
    }
    output.flush()?;
    Ok(path)
}
