//! `sim --seeds 1000000`: plays histories and stops at the first that breaks a promise.

use std::process::ExitCode;

use clap::Parser;
use simulation::bug::KnownBug;

/// Plays histories of the export engine, one for each seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories to play.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Play only the history of this seed, and tell about it.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Switch on a known bug, to see it caught.
    #[arg(long)]
    bug: Option<KnownBug>,
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn main() -> ExitCode {
    let Arguments { seeds, first, seed, bug } = Arguments::parse();
    if let Some(seed) = seed {
        let verdict = simulation::run(seed, bug);
        println!("{verdict:#?}");
        return if verdict.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let outcome = simulation::run_many(first, seeds, bug);
    println!("{outcome}");
    if outcome.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
