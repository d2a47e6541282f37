//! `sim --seeds 1000000`: plays histories and stops at the first one that breaks a promise.

use std::process::ExitCode;

use clap::Parser;
use simulation::bug::KnownBug;

/// Plays histories of the export engine, one for each seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of histories to play.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// Seed of the first history.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Play the history of this seed and print its outcome.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Enable a known bug, to check that it is caught.
    #[arg(long)]
    bug: Option<KnownBug>,
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
fn main() -> ExitCode {
    let Arguments { seeds, first, seed, bug } = Arguments::parse();
    if let Some(seed) = seed {
        let outcome = simulation::run(seed, bug);
        println!("{outcome:#?}");
        return if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let outcome = simulation::run_many(first, seeds, bug);
    println!("{outcome}");
    if outcome.broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
