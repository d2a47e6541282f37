//! `make bench`: measures the service beside its lower bound and beside the alternatives that people would use.

mod archive;
mod bench;
mod columnar;
mod corpus;
#[cfg(test)]
mod document;
mod event_items;
mod forwarder;
mod functions;
mod ingest_limit;
mod lean;
mod limit;
mod process;
mod recompress;
mod report;
mod runtime_api;
mod server;
mod stub;
mod suites;
mod targets;

use std::{fs, io::Write, path::PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    bench::{Bench, QUICK_EVENTS, start_servers},
    process::Cores,
    report::Report,
};

/// Measures the service beside its lower bound and beside the alternatives that people would use
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The project's root
    #[arg(long, default_value = ".")]
    root: PathBuf,

    /// The folder of the functions' release builds, one folder each
    #[arg(long, default_value = "target/bench/functions")]
    functions: PathBuf,

    /// The folder of the corpus and the report
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,

    /// The Python interpreter with boto3
    #[arg(long, default_value = ".tools/tools/bin/python")]
    python: PathBuf,

    /// The Python interpreter with the programs that Parquet files are compared with
    #[arg(long, default_value = ".tools/parquet-peers/bin/python")]
    peers_python: PathBuf,

    /// Measure a few percent of everything, to check that the bench works
    #[arg(long)]
    quick: bool,

    /// Events of the corpus, about 630 bytes each
    #[arg(long)]
    events: Option<u64>,

    /// Rounds of each measurement
    #[arg(long)]
    rounds: Option<usize>,

    /// Also export the corpus on this number of days, under new block IDs; 0 to leave that out
    #[arg(long, default_value_t = 0)]
    copies: u64,

    /// Suites to run, separated by commas [default: all]
    #[arg(long, value_delimiter = ',')]
    suites: Vec<suites::Suite>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Query the pages of a window and put their bytes; started by the bench
    #[command(hide = true)]
    Limit(limit::Arguments),
    /// Put a block for each invocation; started by the bench
    #[command(hide = true)]
    IngestLimit(ingest_limit::Arguments),
    /// Decompress the blocks of a corpus and compress them into files of 256 MB; started by the bench
    #[command(hide = true)]
    Recompress(recompress::Arguments),
    /// Encode a corpus as Parquet; started by the bench
    #[command(hide = true)]
    Columnar(columnar::Arguments),
}

const EVENTS: u64 = 10_000_000;
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Limit(limit)) => limit::run(limit),
        Some(Command::IngestLimit(limit)) => ingest_limit::run(limit),
        Some(Command::Recompress(recompress)) => recompress::run(recompress),
        Some(Command::Columnar(columnar)) => columnar::run(columnar),
        None => run(&arguments),
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    fs::create_dir_all(&arguments.directory)?;
    let cores = Cores::find()?;
    let bench = Bench {
        root: arguments.root.clone(),
        functions: arguments.functions.clone(),
        directory: arguments.directory.clone(),
        python: arguments.python.clone(),
        peers_python: arguments.peers_python.clone(),
        is_quick: arguments.quick,
        events: arguments.events.unwrap_or(if arguments.quick { QUICK_EVENTS } else { EVENTS }),
        rounds: arguments.rounds.unwrap_or(if arguments.quick { QUICK_ROUNDS } else { ROUNDS }),
        copies: arguments.copies,
        cores,
        runtime: start_servers(cores.serving)?,
    };
    let mut report = Report { machine: machine(), is_quick: bench.is_quick, ..Report::default() };
    if cores.measured == cores.serving {
        report.note("This machine has one core, which the servers and the measured program share.");
    }
    for suite in suites::Suite::ALL {
        if arguments.suites.is_empty() || arguments.suites.contains(&suite) {
            writeln!(std::io::stderr(), "bench: {suite:?}")?;
            suite.run(&bench, &mut report)?;
            // After each suite, so that a failure of a later one loses no figures.
            report.write(&bench.directory.join("report.json"))?;
        }
    }
    let mut output = std::io::stdout().lock();
    report.print(&mut output)?;
    targets::print(&report, &mut output)
}

/// Returns the processor and the number of cores.
fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", model.map_or("unknown processor", |(_, name)| name.trim()))
}
