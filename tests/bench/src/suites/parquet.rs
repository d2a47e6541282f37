//! Parquet files from stored blocks and from an exported file, beside the programs that people would use for it; and the function
//! that makes these and other formats.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use domain::{
    block::BlockId,
    export_format::ExportFormat,
    gzip::{EncoderVersion, GzipEncoder},
    tenant::TenantId,
    time::Timestamp,
};

use super::export::{Pass, export_as, first_day};
use crate::{
    bench::Bench,
    columnar::{Columns, Form, Work},
    corpus::{Corpus, CorpusFile, Kind, TENANT, WRITE_SHARDS},
    process::output_of,
    report::{Report, float, gigabytes, grouped, mebibytes, median},
    stub::Stub,
};

const SUITE: &str = "parquet";
const EVENTS: u64 = 500_000;
const QUICK_EVENTS: u64 = 20_000;
const BLOCK_EVENTS: u64 = 100;
const PEERS: [&str; 4] = ["duckdb", "chdb", "polars", "pyarrow"];
/// The peer that the others are compared with.
const MEASURE: &str = "duckdb";

/// The suite of the function.
const CONVERTER: &str = "converter";

/// The formats that it makes, beside that of the exporter.
const CONVERTED: [ExportFormat; 3] = [ExportFormat::NdjsonZstd, ExportFormat::Parquet, ExportFormat::OcsfParquet];

/// The events in both forms.
struct Source {
    blocks: PathBuf,
    gzip: PathBuf,
    raw_bytes: u64,
    events: u64,
}

/// A way to make the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Ours(Form),
    Peer(&'static str),
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let source = Source::prepare(bench)?;
    for columns in [Columns::Typed, Columns::Event] {
        let mut subjects = vec![Subject::Ours(Form::Blocks), Subject::Ours(Form::Gzip)];
        subjects.extend(PEERS.map(Subject::Peer));
        let mut measured: Vec<(Subject, Vec<Work>)> =
            subjects.into_iter().map(|subject| (subject, Vec::new())).collect();
        for round in 0..bench.rounds {
            for (subject, work) in &mut measured {
                // What failed once is not repeated.
                if work.len() == round {
                    match subject.measure(bench, &source, columns) {
                        Ok(done) => work.push(done),
                        Err(error) => report.note(format!("{}: {error:#}", subject.name(columns))),
                    }
                }
            }
        }
        add(report, columns, &source, &measured);
    }
    measure_converter(bench, report)
}

/// Measures the real function on the stub, with windows of several objects of each format.
fn measure_converter(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    for (kind, name, events, quick_events, block_events) in [
        (Kind::Ordinary, "events", EVENTS, QUICK_EVENTS, BLOCK_EVENTS),
        (Kind::Random, "events of 2 KiB that hardly compress", 100_000, 1_000, BLOCK_EVENTS),
        (Kind::Long, "events of 200 KiB that hardly compress", 1_000, 100, 1),
    ] {
        let events = bench.size(events, quick_events);
        let file = CorpusFile::prepare_of(kind, &bench.directory, events, block_events)?;
        let window = Arc::new(Corpus::load(&file, first_day(1), WRITE_SHARDS)?).window(u64::MAX);
        // The others are measured for their memory.
        let rounds = if kind == Kind::Ordinary { bench.rounds } else { 1 };
        for format in CONVERTED {
            let passes = (0..rounds).map(|_| export_as(format, bench, &stub, &window)).collect::<Result<Vec<_>>>()?;
            let subject = format!("{format}, {} {name}", grouped(events));
            let of = |figure: &dyn Fn(&Pass) -> f64| passes.iter().map(figure).collect::<Vec<_>>();
            let cpu = of(&|pass| pass.cpu.as_secs_f64() / gigabytes(pass.raw_bytes));
            report.add(CONVERTER, &subject, "CPU per raw GB", "s/GB", &cpu);
            let memory = of(&|pass| mebibytes(pass.peak_memory));
            report.add(CONVERTER, &subject, "peak memory", "MiB", &memory);
        }
    }
    Ok(())
}

fn add(report: &mut Report, columns: Columns, source: &Source, measured: &[(Subject, Vec<Work>)]) {
    let speed = |work: &Work| float(source.raw_bytes) / 1e6 / work.cpu_seconds;
    let measure = measured.iter().find(|(subject, _)| *subject == Subject::Peer(MEASURE));
    let speed_to_beat =
        median(&measure.map(|(_, work)| work.iter().map(speed).collect::<Vec<_>>()).unwrap_or_default());
    for (subject, work) in measured {
        let Some(last) = work.last() else { continue };
        let name = subject.name(columns);
        report.add(SUITE, &name, "raw speed per CPU second", "MB/s", &work.iter().map(speed).collect::<Vec<_>>());
        report.compare(MEASURE, speed_to_beat);
        let memory: Vec<f64> = work.iter().map(|work| mebibytes(work.peak_memory_bytes)).collect();
        report.add(SUITE, &name, "peak memory", "MiB", &memory);
        report.add(SUITE, &name, "size", "MB", &[float(last.stored_bytes) / 1e6]);
        report.add(SUITE, &name, "compressed by", "", &[float(source.raw_bytes) / float(last.stored_bytes)]);
        report.add(SUITE, &name, "row groups", "", &[float(last.row_groups)]);
    }
}

impl Source {
    /// Writes the blocks, and the objects that an export would make of them as one file.
    fn prepare(bench: &Bench) -> Result<Self> {
        let file = CorpusFile::prepare(&bench.directory, bench.size(EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
        let gzip = file.path.with_extension("ndjson.gz");
        let tenant = TenantId::parse(TENANT)?;
        let mut encoder = GzipEncoder::new(EncoderVersion::CURRENT);
        let (mut raw_bytes, mut events) = (0, 0);
        for block in file.blocks()? {
            let block = block?.stored(&tenant, BlockId::lowest_at(Timestamp::EPOCH))?;
            raw_bytes += u64::from(block.raw_length);
            events += u64::from(block.event_count);
            encoder.push(block)?;
        }
        fs::write(&gzip, &encoder.finish()?.bytes)?;
        Ok(Self { blocks: file.path, gzip, raw_bytes, events })
    }
}

impl Subject {
    fn name(self, columns: Columns) -> String {
        let subject = match self {
            Self::Ours(Form::Blocks) => "audit-export, from stored blocks",
            Self::Ours(Form::Gzip) => "audit-export, from .ndjson.gz",
            Self::Peer(peer) => peer,
        };
        match columns {
            Columns::Typed => format!("{subject}, typed columns"),
            Columns::Event => format!("{subject}, with event"),
        }
    }

    fn measure(self, bench: &Bench, source: &Source, columns: Columns) -> Result<Work> {
        let mut command = match self {
            Self::Ours(form) => {
                let path = if form == Form::Blocks { &source.blocks } else { &source.gzip };
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("columnar").arg(path).args(["--form", &value_name(&form)]);
                command.args(["--columns", &value_name(&columns)]);
                command
            }
            Self::Peer(peer) => {
                let mut command = Command::new(&bench.peers_python);
                // It imports the names of the columns.
                command.env("PYTHONPATH", &bench.root);
                command.arg(bench.root.join("tests/bench/peers/parquet_peers.py")).args([peer, &value_name(&columns)]);
                command.arg(&source.gzip).arg(bench.directory.join(format!("{peer}.parquet")));
                command
            }
        };
        let output = output_of(&mut command, bench.cores.measured)?;
        let work: Work = serde_json::from_str(output.lines().last().context("no result")?)?;
        ensure!(work.rows == source.events, "{} rows of {}", work.rows, source.events);
        Ok(work)
    }
}

fn value_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
