//! The export of a window, beside the SDK's limit, the exporter that one would write in Python, and gzip.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use domain::{
    block::{BlockId, SHARDS},
    digest::{Hex32, SIGNATURE_SUFFIX},
    time::Timestamp,
};
use flate2::{Compression, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{grouped, now};
use crate::{
    Bench, Outcome, QUICK_EVENTS,
    corpus::{Corpus, CorpusFile, TENANT, Totals, WRITE_SHARDS, Window},
    event_items::EventItems,
    failure,
    functions::{self, configuration_item, run_message, run_request},
    own_path,
    process::{Split, run_to_end},
    report::{Report, float, gigabytes, mebibytes},
    stub::{REGION, Stub, Traffic},
};

const SUITE: &str = "export";
const LIMIT: &str = "limit";

/// Events of a block, as a busy producer sends them.
const BLOCK_EVENTS: u64 = 100;

/// Of the exporter, in template.yaml.
pub(super) const MEMORY_MEGABYTES: u32 = 1_769;

/// The longest that one invocation may take.
pub(super) const INVOCATION_TIME: Duration = Duration::from_mins(15);

/// Raw bytes that the slow ones are measured with; they grow in proportion.
const SAMPLE_RAW_BYTES: u64 = 300_000_000;
const QUICK_SAMPLE_RAW_BYTES: u64 = 40_000_000;

/// Events in all shards: enough for several pages in each of them.
const ALL_SHARDS_EVENTS: u64 = 2_000_000;

/// The kernel tells its share to a hundredth of a second, which is too coarse for what takes less than this.
const MIN_SPLIT_TIME: Duration = Duration::from_millis(500);

/// An object of the recompressing loop ends with so many raw bytes.
const RECOMPRESSED_OBJECT_LENGTH: u64 = 256 * 1024 * 1024;

/// What one pass over a window took.
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

pub fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.events, BLOCK_EVENTS)?;
    let corpus = Arc::new(Corpus::load(&file, first_day(bench.copies.max(1)), WRITE_SHARDS)?);
    let stub = Stub::start(&bench.runtime)?;
    let whole = corpus.window(u64::MAX);
    let blocks = whole.totals().blocks;
    let sample = corpus.window(blocks_of(&whole, bench.size(SAMPLE_RAW_BYTES, QUICK_SAMPLE_RAW_BYTES)));
    // An item for every event takes three times as long again.
    let small_sample = corpus.window(sample.totals().blocks / 3);
    let items = EventItems::load(&file, small_sample.totals().blocks)?;
    let raw_sample = write_raw_sample(bench, &file, &sample)?;

    let mut passes: BTreeMap<&'static str, Vec<Pass>> = BTreeMap::new();
    for _ in 0..bench.rounds {
        // In turns, so that whatever else the machine does meets all of them.
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

    // Memory must not grow with the window.
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
    // Nor beyond its bound where ingest writes to all shards: a page of each is held at a time.
    let file = CorpusFile::prepare(&bench.directory, bench.size(ALL_SHARDS_EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
    let window = Arc::new(Corpus::load(&file, first_day(1), SHARDS)?).window(u64::MAX);
    let pass = export(bench, &stub, &window)?;
    add_memory(report, &subject(&format!("audit-export, {SHARDS} shards"), window.totals()), &pass);
    report.note(format!(
        "export: blocks of {BLOCK_EVENTS} events in {WRITE_SHARDS} shards; HTTP without TLS for all; slow ones on a sample, \
         per raw GB."
    ));
    Ok(())
}

/// The first of so many days, the last of which is over.
pub(super) fn first_day(days: u64) -> Timestamp {
    let day = Duration::from_hours(24);
    now().floor_to(day).saturating_sub(day * u32::try_from(days).unwrap_or(u32::MAX))
}

fn blocks_of(window: &Window, raw_bytes: u64) -> u64 {
    let totals = window.totals();
    (totals.blocks * raw_bytes / totals.raw_bytes.max(1)).clamp(1, totals.blocks)
}

/// A figure of a pass.
type OfPass<'a> = &'a dyn Fn(&Pass) -> f64;

/// What the passes are compared `to` has a name.
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
        report.compare(ratio_to, crate::report::median(&of(to, figure)));
    }
    if passes.iter().all(|pass| pass.cpu >= MIN_SPLIT_TIME) {
        let system = |pass: &Pass| pass.split.system.as_secs_f64() / gigabytes(pass.raw_bytes);
        report.add(suite, subject, "of it in the kernel", "s/GB", &of(passes, &system));
    }
    if passes.iter().any(|pass| pass.peak_memory > 0) {
        report.add(suite, subject, "peak memory", "MiB", &of(passes, &|pass| mebibytes(pass.peak_memory)));
        report.compare(ratio_to, crate::report::median(&of(to, &|pass| mebibytes(pass.peak_memory))));
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

/// The real exporter, invoked until nothing of the window is left, and what it wrote, looked at.
pub(super) fn export(bench: &Bench, stub: &Stub, window: &Window) -> Outcome<Pass> {
    const NUMBER: u64 = 1;
    stub.reset()?;
    {
        let mut world = stub.world();
        world.database.window = Some(window.clone());
        let item = configuration_item(TENANT, NUMBER, window.from(), now())?;
        world.database.configurations.seed(&item).map_err(|error| failure(error.0))?;
        world.queue.push_back(run_request(TENANT, NUMBER, window.through())?);
    }
    let exporter = functions::start(bench, "exporter", stub, MEMORY_MEGABYTES)?;
    let (cpu_before, split_before) = (exporter.program.cpu()?, exporter.program.split()?);
    let mut pass = Pass::default();
    loop {
        let Some(message) = stub.world().queue.pop_front() else { break };
        let answer = exporter.api.invoke(&run_message(&message), INVOCATION_TIME)?;
        pass.wall += answer.time();
        pass.invocations += 1;
        let failures = answer.json()?["batchItemFailures"].as_array().map_or(1, Vec::len);
        if failures > 0 {
            return Err(failure(format!("the run failed: see exporter.log; {:?}", stub.check())));
        }
    }
    let split = exporter.program.split()?;
    pass.cpu = exporter.program.cpu_since(cpu_before)?;
    pass.split = split.since(split_before);
    pass.peak_memory = exporter.program.peak_memory()?;
    drop(exporter);
    stub.check()?;
    pass.traffic = stub.traffic();
    let totals = window.totals();
    (pass.raw_bytes, pass.events) = (totals.raw_bytes, totals.events);
    check_digests(stub, &totals)?;
    Ok(pass)
}

/// Every object is told of by a signed digest, is what the digest says, and all events are there.
fn check_digests(stub: &Stub, expected: &Totals) -> Outcome<()> {
    let mut world = stub.world();
    world.buckets.settle();
    let mut found = Totals::default();
    let mut objects = 0;
    let digests: Vec<_> = world.buckets.objects.iter().filter(|(path, _)| path.contains("/_digests/")).collect();
    for (path, digest) in digests.iter().filter(|(path, _)| !path.ends_with(SIGNATURE_SUFFIX)) {
        let bytes = digest.bytes.as_ref().ok_or_else(|| failure("a digest was not kept"))?;
        let signature = world.buckets.objects.get(&format!("{path}{SIGNATURE_SUFFIX}"));
        let signature = signature.and_then(|signature| signature.bytes.as_ref());
        if !signature.is_some_and(|signature| world.is_signed(bytes, signature)) {
            return Err(failure(format!("{path} is not signed")));
        }
        let digest: Value = serde_json::from_slice(bytes)?;
        for object in digest["objects"].as_array().into_iter().flatten() {
            let number = |name: &str| object[name].as_u64().ok_or_else(|| failure(format!("no {name} in a digest")));
            let path = format!("/{}/{}", text(object, "bucket")?, text(object, "key")?);
            let stored = world.buckets.objects.get(&path).ok_or_else(|| failure(format!("{path} is not there")))?;
            let is_same = Hex32(stored.sha256).to_string() == text(object, "sha256")?
                && stored.length == number("storedLength")?
                && stored.gzip_raw_length == Some(number("rawLength")?)
                && stored.decoded_lines.is_none_or(|lines| Some(lines) == object["events"].as_u64());
            if !is_same {
                return Err(failure(format!("{path} is not what its digest says: {object}")));
            }
            objects += 1;
            found.events += number("events")?;
            found.raw_bytes += number("rawLength")?;
        }
    }
    let data_objects = world.buckets.ending(".ndjson.gz").count();
    if (found.events, found.raw_bytes) != (expected.events, expected.raw_bytes) || objects != data_objects {
        return Err(failure(format!("{objects} of {data_objects} objects with {found:?}, expected {expected:?}")));
    }
    Ok(())
}

fn text<'a>(object: &'a Value, name: &str) -> Outcome<&'a str> {
    object[name].as_str().ok_or_else(|| failure(format!("no {name} in a digest")))
}

/// Files of whoever writes no digest: all raw bytes are there, and samples have lines.
fn check_files(stub: &Stub, expected: &Totals) -> Outcome<()> {
    let mut world = stub.world();
    world.buckets.settle();
    let raw_bytes: u64 = world.buckets.ending(".gz").filter_map(|(_, stored)| stored.gzip_raw_length).sum();
    let is_damaged = world.buckets.ending(".gz").any(|(_, stored)| stored.decoded_lines == Some(0));
    if raw_bytes == expected.raw_bytes && !is_damaged {
        return Ok(());
    }
    Err(failure(format!("{raw_bytes} raw bytes of {} were put; damaged: {is_damaged}", expected.raw_bytes)))
}

/// What a program over the stub's window says of itself at its end: the export alone, without the program's start, as a
/// function that is warm.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    pub peak_memory_bytes: u64,
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
}

/// A program over the window of the stub that runs to its end and then says how much memory it took.
fn run_over_stub(
    bench: &Bench,
    stub: &Stub,
    window: &Window,
    items: Option<EventItems>,
    command: &mut Command,
) -> Outcome<Pass> {
    stub.reset()?;
    stub.world().database.window = Some(window.clone());
    stub.world().database.event_items = items.unwrap_or_default();
    let told = bench.directory.join("told.json");
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
        .stdout(File::create(&told)?);
    let split = run_to_end(command, bench.cores.measured)?;
    stub.check()?;
    let told: Told = serde_json::from_slice(&fs::read(told)?)?;
    let totals = window.totals();
    check_files(stub, &totals)?;
    Ok(Pass {
        wall: Duration::from_secs_f64(told.wall_seconds),
        cpu: Duration::from_secs_f64(told.cpu_seconds),
        split,
        peak_memory: told.peak_memory_bytes,
        traffic: stub.traffic(),
        invocations: 0,
        raw_bytes: totals.raw_bytes,
        events: totals.events,
    })
}

fn limit(bench: &Bench, stub: &Stub, window: &Window, options: &[&str]) -> Outcome<Pass> {
    let mut command = Command::new(own_path()?);
    let last = BlockId::lowest_at(window.through()).previous().to_string();
    command.args(["limit", "--first", &BlockId::lowest_at(window.from()).to_string(), "--last", &last]);
    command.args(options);
    run_over_stub(bench, stub, window, None, &mut command)
}

/// Over the blocks, or over the table with an item for every event.
fn python(bench: &Bench, stub: &Stub, window: &Window, items: Option<EventItems>) -> Outcome<Pass> {
    let mut command = Command::new(&bench.python);
    command.arg(bench.root.join("tests/bench/peers/python_exporter.py")).args([TENANT, "customer-audit-logs"]);
    if items.is_some() {
        command.arg("--items");
    }
    run_over_stub(bench, stub, window, items, &mut command)
}

fn gzip(bench: &Bench, raw_sample: &PathBuf, window: &Window) -> Outcome<Pass> {
    let mut command = Command::new("gzip");
    command.args(["-6", "--stdout"]).arg(raw_sample).stdout(Stdio::null());
    run_alone(bench, window, &mut command)
}

fn run_recompress(bench: &Bench, file: &CorpusFile, window: &Window) -> Outcome<Pass> {
    let mut command = Command::new(own_path()?);
    command.arg("recompress").arg(&file.path).args(["--blocks", &window.totals().blocks.to_string()]);
    command.stdout(Stdio::null());
    run_alone(bench, window, &mut command)
}

fn run_alone(bench: &Bench, window: &Window, command: &mut Command) -> Outcome<Pass> {
    let started_at = Instant::now();
    let split = run_to_end(command, bench.cores.measured)?;
    let totals = window.totals();
    Ok(Pass {
        wall: started_at.elapsed(),
        cpu: split.user + split.system,
        split,
        raw_bytes: totals.raw_bytes,
        events: totals.events,
        ..Pass::default()
    })
}

/// The sample as plain lines.
fn write_raw_sample(bench: &Bench, file: &CorpusFile, sample: &Window) -> Outcome<PathBuf> {
    let path = bench.directory.join("sample.ndjson");
    let mut output = std::io::BufWriter::new(File::create(&path)?);
    let tenant = domain::tenant::TenantId::parse(TENANT)?;
    let blocks = usize::try_from(sample.totals().blocks)?;
    for block in file.blocks()?.take(blocks) {
        let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
        output.write_all(&block.inflate()?)?;
    }
    output.flush()?;
    Ok(path)
}

#[derive(Args, Debug)]
pub struct RecompressArguments {
    corpus: PathBuf,
    #[arg(long)]
    blocks: u64,
}

/// Each block decompressed and checked, and all of them compressed as a whole, as an exporter has to that can't join.
pub fn recompress(arguments: &RecompressArguments) -> Outcome<()> {
    let file = CorpusFile { path: arguments.corpus.clone(), events: 0, block_events: 1 };
    let tenant = domain::tenant::TenantId::parse(TENANT)?;
    let fresh = || GzEncoder::new(Vec::new(), Compression::new(6));
    let mut encoder = fresh();
    let (mut raw_bytes, mut stored_bytes) = (0, 0);
    for block in file.blocks()?.take(usize::try_from(arguments.blocks)?) {
        let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
        block.verify(&tenant)?;
        let raw = block.inflate()?;
        raw_bytes += raw.len() as u64;
        encoder.write_all(&raw)?;
        if raw_bytes >= RECOMPRESSED_OBJECT_LENGTH {
            stored_bytes += std::mem::replace(&mut encoder, fresh()).finish()?.len();
            raw_bytes = 0;
        }
    }
    stored_bytes += encoder.finish()?.len();
    writeln!(std::io::stdout(), "{stored_bytes}")?;
    Ok(())
}
