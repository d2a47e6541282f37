//! The engine's promises over many histories, and the proof that this simulation would notice if they were broken.

#![expect(clippy::panic, clippy::print_stderr, reason = "tests")]

use clap::ValueEnum;
use simulation::{bug::KnownBug, run, run_many};

/// Histories of one test run; `make sim` plays more.
const HISTORIES: u64 = 10_000;

/// A known bug that isn't caught within so many histories counts as not caught.
const HISTORIES_PER_BUG: u64 = 3_000;

#[test]
fn no_history_breaks_a_promise() {
    let outcome = run_many(0, HISTORIES, None);
    assert!(outcome.broken.is_none(), "{outcome}");
    // A simulation in which nothing happens proves nothing.
    assert!(
        outcome.crashes > HISTORIES / 10 && outcome.objects > HISTORIES && outcome.digests > HISTORIES,
        "{outcome}"
    );
}

#[test]
fn every_known_bug_is_caught() {
    for bug in KnownBug::value_variants() {
        let outcome = run_many(0, HISTORIES_PER_BUG, Some(*bug));
        let Some((seed, verdict)) = outcome.broken else { panic!("{bug:?} was not caught") };
        let first = verdict.violations.first().map_or("", String::as_str);
        eprintln!("{bug:?}: caught by seed {seed}, after {} histories: {first}", outcome.histories);
    }
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}
