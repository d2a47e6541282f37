//! Measures the service side by side with what bounds it and with what people would use instead: `make bench`.

mod corpus;
#[cfg(test)]
mod document;
mod event_items;
mod forwarder;
mod functions;
mod lean;
mod limit;
mod process;
mod report;
mod runtime_api;
mod stub;
mod suites;

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::runtime::Handle;

use crate::{process::Cores, report::Report};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub fn failure(message: impl Into<String>) -> Box<dyn Error + Send + Sync> {
    message.into().into()
}

/// Measures the service side by side with what bounds it and with what people would use instead
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The project's root
    #[arg(long, default_value = ".")]
    root: PathBuf,

    /// Where the functions' release builds are, one folder each
    #[arg(long, default_value = "target/bench/functions")]
    functions: PathBuf,

    /// Where the corpus is kept and the report is written
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,

    /// The Python that has boto3
    #[arg(long, default_value = ".tools/tools/bin/python")]
    python: PathBuf,

    /// A few percent of everything: to see that it works
    #[arg(long)]
    quick: bool,

    /// Events of the whole corpus, about 630 bytes each
    #[arg(long)]
    events: Option<u64>,

    /// How often each thing is measured
    #[arg(long)]
    rounds: Option<usize>,

    /// Also export the corpus on so many days, under new block ids; 0: don't
    #[arg(long, default_value_t = 0)]
    copies: u64,

    /// Suites to run, separated by commas; all of them if left out
    #[arg(long, value_delimiter = ',')]
    suites: Vec<suites::Suite>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Queries the pages of a window and puts their bytes, and nothing else: started by the bench
    #[command(hide = true)]
    Limit(limit::Arguments),
    /// Decompresses the blocks of a corpus and compresses them into one file each 256 MB: started by the bench
    #[command(hide = true)]
    Recompress(suites::export::RecompressArguments),
}

/// What all suites work with.
#[derive(Debug)]
pub struct Bench {
    root: PathBuf,
    functions: PathBuf,
    directory: PathBuf,
    python: PathBuf,
    is_quick: bool,
    events: u64,
    rounds: usize,
    copies: u64,
    cores: Cores,
    /// Of the thread that all servers run on.
    runtime: Handle,
}

impl Bench {
    fn function(&self, name: &str) -> Outcome<PathBuf> {
        functions::binary(&self.functions, name)
    }

    /// The larger one, unless it has to be quick.
    fn size<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

const EVENTS: u64 = 10_000_000;
const QUICK_EVENTS: u64 = 200_000;
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Command::Limit(limit)) => limit::run(limit),
        Some(Command::Recompress(recompress)) => suites::export::recompress(recompress),
        None => run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    fs::create_dir_all(&arguments.directory)?;
    let cores = Cores::find()?;
    let bench = Bench {
        root: arguments.root.clone(),
        functions: arguments.functions.clone(),
        directory: arguments.directory.clone(),
        python: arguments.python.clone(),
        is_quick: arguments.quick,
        events: arguments.events.unwrap_or(if arguments.quick { QUICK_EVENTS } else { EVENTS }),
        rounds: arguments.rounds.unwrap_or(if arguments.quick { QUICK_ROUNDS } else { ROUNDS }),
        copies: arguments.copies,
        cores,
        runtime: start_servers(cores.serving)?,
    };
    let mut report = Report { machine: machine(), is_quick: bench.is_quick, ..Report::default() };
    if cores.measured == cores.serving {
        report.note("This machine has one core: servers and what is measured share it.");
    }
    for suite in suites::Suite::ALL {
        if arguments.suites.is_empty() || arguments.suites.contains(&suite) {
            writeln!(std::io::stderr(), "bench: {suite:?}")?;
            suite.run(&bench, &mut report)?;
            // After each: an error in a later one must not lose what was measured.
            report.write(&bench.directory.join("report.json"))?;
        }
    }
    report.print(&mut std::io::stdout().lock())
}

/// The thread of all servers, on a core of its own.
fn start_servers(core: usize) -> Outcome<Handle> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("servers".to_owned()).spawn(move || {
        let runtime =
            process::pin(core).and_then(|()| Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?));
        match runtime {
            Ok(runtime) => {
                let _ = sender.send(Ok(runtime.handle().clone()));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
    })?;
    receiver.recv()?
}

/// Processor and cores.
fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", model.map_or("unknown processor", |(_, name)| name.trim()))
}

/// This program, to be started again.
fn own_path() -> Outcome<PathBuf> {
    Ok(std::env::current_exe()?)
}

/// Bytes of a file.
fn file_length(path: &Path) -> Outcome<u64> {
    Ok(fs::metadata(path)?.len())
}
