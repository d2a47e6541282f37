//! The engine's promises over many histories, and the proof that this simulation would notice if they were broken.

#![expect(clippy::panic, clippy::print_stderr, reason = "tests")]

use clap::ValueEnum;
use export::run::RunOutcome;
use simulation::{Corruption, bug::KnownBug, run, run_corrupt, run_large, run_many};

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
fn very_many_blocks_are_exported_in_slices_and_delay_nobody() {
    let Some(large) = run_large(100_000) else { panic!("the simulation could not start") };
    assert_eq!(large.verdict.violations, Vec::<String>::new());
    assert_eq!(large.verdict.blocks, 100_001);
    assert!(large.slices > 10, "{} slices", large.slices);
    assert_eq!(large.small_done_at, 2, "the other tenant waits for one slice, not for all");
    assert!(large.peak_page_bytes < 16 * 3 * 200, "{} bytes of pages", large.peak_page_bytes);
    eprintln!(
        "100,000 blocks: {} slices, {} objects, {} digests",
        large.slices, large.verdict.objects, large.verdict.digests
    );
}

#[test]
fn a_corrupt_block_stops_its_tenant_alone_and_loses_nothing() {
    for corruption in [Corruption::BitTurned, Corruption::Foreign, Corruption::CopiedToAnotherShard] {
        let Some(corrupt) = run_corrupt(corruption) else { panic!("the simulation could not start") };
        assert!(corrupt.raises_the_alarm(), "{corruption:?}: {:?}", corrupt.stopped);
        assert_eq!(corrupt.objects_written, 0, "{corruption:?}");
        assert!(matches!(&corrupt.other, Ok(RunOutcome::Exported(windows)) if windows.len() == 1), "{corruption:?}");
        assert_eq!(corrupt.verdict.violations, Vec::<String>::new(), "{corruption:?}");
    }
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}
