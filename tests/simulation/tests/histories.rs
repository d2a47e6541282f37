//! The engine's promises over many histories, and the proof that the simulation notices broken ones.

#![expect(clippy::print_stderr, reason = "tests")]

use std::time::Duration;

use clap::ValueEnum;
use domain::{
    connection::{Connection, ConnectionErrorCode},
    event_filter::{EventFilter, RawFilter, RawLists},
    gzip::EncoderVersion,
};
use export_engine::{
    MAX_PAGES, ReplayOutcome,
    ports::ErrorKind,
    run::{DeferralReason, RunOutcome},
};
use simulation::{
    Corruption, Disturbance, Protection, SilentPlace, bug::KnownBug, run, run_corrupt, run_disabled, run_fair,
    run_filtered, run_large, run_many, run_replayed, run_silent, run_upgrade, run_waiting,
};

/// The histories of a test run. `make sim` plays more.
const HISTORIES: u64 = 10_000;

/// The histories within which a known bug has to be caught.
const HISTORIES_PER_BUG: u64 = 10_000;

#[test]
fn no_history_breaks_a_promise() {
    let outcome = run_many(0, HISTORIES, None);
    assert!(outcome.broken.is_none(), "{outcome}");
    // A simulation without crashes and exports proves nothing.
    assert!(
        outcome.crashes > HISTORIES / 10 && outcome.objects > HISTORIES && outcome.digests > HISTORIES,
        "{outcome}"
    );
    assert!(outcome.left_out > HISTORIES && outcome.of_classes > HISTORIES / 2, "{outcome}");
    assert!(outcome.archived > HISTORIES && outcome.erased > HISTORIES / 20, "{outcome}");
    assert!(outcome.repaired > HISTORIES / 2 && outcome.unrepaired > HISTORIES / 20, "{outcome}");
}

/// In this one the rescue leaves a block in the table for longer than its segment counts, and a repair rightly says that it is
/// past its retention.
#[test]
fn a_rescued_block_past_its_retention_is_not_demanded_from_a_repair() {
    assert_eq!(run(101_702, None).violations, Vec::<String>::new());
}

#[test]
fn every_known_bug_is_caught() {
    // That one delays others and breaks no promise. The test of a silent Region uses it.
    for bug in KnownBug::value_variants().iter().filter(|bug| **bug != KnownBug::CircuitForgotten) {
        let outcome = run_many(0, HISTORIES_PER_BUG, Some(*bug));
        let Some((seed, history)) = outcome.broken else { panic!("{bug:?} was not caught") };
        let first = history.violations.first().map_or("", String::as_str);
        eprintln!("{bug:?}: caught by seed {seed}, after {} histories: {first}", outcome.histories);
    }
}

#[test]
fn very_many_blocks_are_exported_in_slices_and_delay_nobody() {
    let Some(large) = run_large(100_000) else { panic!("the simulation could not start") };
    assert_eq!(large.history.violations, Vec::<String>::new());
    assert_eq!(large.history.blocks, 100_001);
    assert!(large.slices > 10, "{} slices", large.slices);
    assert_eq!(large.small_done_at, 2, "the other tenant waits for one slice, not for all");
    assert!(large.peak_page_bytes < MAX_PAGES * 3 * 200, "{} bytes of pages", large.peak_page_bytes);
    eprintln!(
        "100,000 blocks: {} slices, {} objects, {} digests",
        large.slices, large.history.objects, large.history.digests
    );
}

#[test]
fn a_corrupt_block_stops_its_tenant_alone_and_loses_nothing() {
    for corruption in [Corruption::BitTurned, Corruption::Foreign, Corruption::CopiedToAnotherShard] {
        let Some(corrupt) = run_corrupt(corruption) else { panic!("the simulation could not start") };
        assert!(corrupt.raises_the_alarm(), "{corruption:?}: {:?}", corrupt.stopped);
        assert_eq!(corrupt.objects_written, 0, "{corruption:?}");
        assert!(matches!(&corrupt.other, Ok(RunOutcome::Exported(windows)) if windows.len() == 1), "{corruption:?}");
        assert_eq!(corrupt.history.violations, Vec::<String>::new(), "{corruption:?}");
        assert_eq!(corrupt.skipped, usize::from(corruption == Corruption::Foreign), "{corruption:?}");
    }
}

/// The old program dies at each await in turn. If it had begun the window, the new one writes the same bytes.
#[test]
fn a_window_that_one_encoder_began_another_program_finishes_with_the_same_bytes() {
    let [joining, recompressing] = EncoderVersion::ALL;
    for (before, after) in [(joining, recompressing), (recompressing, joining)] {
        let export = |dies_at_poll| {
            let Some(upgrade) = run_upgrade(before, dies_at_poll, after) else {
                panic!("the simulation could not start")
            };
            assert_eq!(upgrade.history.violations, Vec::<String>::new(), "{before:?} dies at {dies_at_poll:?}");
            upgrade
        };
        let begun = export(None);
        let not_begun = export(Some(1));
        assert!(begun.objects != not_begun.objects, "the encoders return the same bytes");
        let (mut in_between, mut at_poll) = (0, 1);
        loop {
            at_poll += 1;
            let upgrade = export(Some(at_poll));
            if upgrade.history.crashes == 0 {
                break;
            }
            let is_whole = upgrade.objects == begun.objects || upgrade.objects == not_begun.objects;
            assert!(is_whole, "{before:?} dies at {at_poll}");
            if upgrade.objects_before > 0 {
                assert_eq!(upgrade.objects, begun.objects, "{before:?} dies at {at_poll}");
                in_between += u64::from(upgrade.objects_before < begun.objects.len());
            }
        }
        assert!(in_between > 10, "{before:?} died {in_between} times between objects");
    }
}

/// The delay with which the exporter sends a run again that had the last share of its tenant.
const PAUSE: Duration = Duration::from_secs(25);

/// Large exports of the tenant itself have all of its shares, but a run waits for the rest of a slice at most.
#[test]
fn a_run_that_waits_for_a_share_gets_one_after_a_slice() {
    let shares = [1, 2, 3];
    let times = |pause| {
        shares.map(|max_runs_per_tenant| run_waiting(Protection { max_runs_per_tenant, circuits: true, pause }))
    };
    let (with, without) = (times(PAUSE), times(Duration::ZERO));
    eprintln!("{shares:?} shares: {with:?} with a pause, {without:?} without");
    assert!(with.iter().all(|time| time.is_some_and(|time| time < Duration::from_mins(4))), "{with:?}");
    // Without a pause it is rarely there when a share is free.
    assert!(without.iter().any(|time| time.is_none_or(|time| time > Duration::from_mins(20))), "{without:?}");
}

/// Another tenant's requests, or a Region that does not answer, delay 50 tenants by a fifth at most, and by more without shares
/// and circuits.
#[test]
fn neither_a_flood_nor_a_silent_region_delays_the_others() {
    let shared = Protection { max_runs_per_tenant: 2, circuits: true, pause: PAUSE };
    let time = |disturbance, protection| match run_fair(disturbance, protection) {
        Some(time) => time.as_secs_f64(),
        None => f64::INFINITY,
    };
    let alone = time(Disturbance::Nothing, shared);
    assert!(alone.is_finite());
    for (disturbance, unprotected) in [
        (Disturbance::Flood, Protection { max_runs_per_tenant: 1_000, ..shared }),
        (Disturbance::SilentRegion, Protection { circuits: false, ..shared }),
    ] {
        let (with, without) = (time(disturbance, shared), time(disturbance, unprotected));
        eprintln!(
            "{disturbance:?}: alone {alone:.0} s, {:.2} times with, {:.2} without",
            with / alone,
            without / alone
        );
        assert!(with <= 1.2 * alone, "{disturbance:?}: {with} s instead of {alone} s");
        assert!(without > 1.2 * alone, "{disturbance:?} needs no protection: {without} s instead of {alone} s");
    }
}

/// Nobody but its owner can end the outage of a server, and it says nothing about the Region that its requests are signed for.
#[test]
fn a_silent_server_of_a_customer_opens_no_circuit_of_a_region() {
    let unreachable = |connection: &Connection| {
        connection.error().is_some_and(|error| error.code == ConnectionErrorCode::EndpointUnreachable)
    };
    let Some(server) = run_silent(SilentPlace::Server) else { panic!("the simulation could not start") };
    for outcome in &server.silent {
        let is_ended = matches!(outcome, Ok(RunOutcome::Refused { connection, .. }) if unreachable(connection));
        assert!(is_ended, "{outcome:?}");
    }
    assert_eq!(server.circuits, 0);
    assert!(matches!(&server.other, Ok(RunOutcome::Exported(windows)) if windows.len() == 1), "{:?}", server.other);

    // A Region gets one, so that the run of the third tenant waits.
    let Some(region) = run_silent(SilentPlace::Region) else { panic!("the simulation could not start") };
    for outcome in &region.silent {
        assert!(outcome.as_ref().is_err_and(|error| error.kind == ErrorKind::Unreachable), "{outcome:?}");
    }
    assert_eq!(region.circuits, 1);
    let Ok(RunOutcome::Deferred { reason, .. }) = region.other else { panic!("{:?}", region.other) };
    assert!(matches!(reason, DeferralReason::RegionUnreachable { .. }), "{reason:?}");
}

#[test]
fn a_request_is_not_pending_once_its_message_is_gone() {
    let Some((outcome, pending)) = run_disabled() else { panic!("the simulation could not start") };
    assert_eq!((outcome.ok(), pending), (Some(RunOutcome::NotWanted), None));
}

/// The exporter joins blocks as they are, so it leaves a filter to the converter, and keeps the request for it.
#[test]
fn a_run_with_a_filter_goes_to_the_converter() {
    let include = RawLists { actions: Some(vec!["LOGIN".to_owned()]), ..RawLists::default() };
    let filter = EventFilter::parse(&RawFilter { include: Some(include), exclude: None }).unwrap();
    let Some((outcome, pending)) = run_filtered(&filter) else { panic!("the simulation could not start") };
    let Ok(RunOutcome::Elsewhere { windows, next }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((windows.len(), Some(next.through)), (0, pending));
}

/// What was within its retention when the replay was requested is delivered, although it is past it when the replay runs.
#[test]
fn a_replay_is_complete_as_of_its_request_and_fails_after_seven_days() {
    let day = Duration::from_hours(24);
    for days in [0, 1, 6] {
        let Some(replayed) = run_replayed(day * days) else { panic!("the simulation could not start") };
        assert_eq!(replayed.earlier, ReplayOutcome::NotWanted, "{days} days");
        assert!(matches!(replayed.outcome, ReplayOutcome::Succeeded(_)), "{days} days: {:?}", replayed.outcome);
        assert_eq!((replayed.events, replayed.gaps), (100, Vec::new()), "{days} days");
    }
    let Some(late) = run_replayed(day * 7) else { panic!("the simulation could not start") };
    let ReplayOutcome::Failed(error) = late.outcome else { panic!("{:?}", late.outcome) };
    assert_eq!((error.code.name(), late.events), ("REPLAY_TIMED_OUT", 0));
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}
