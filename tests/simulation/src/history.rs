//! One history: a storm of faults, then calm.

mod archive;
mod archiver_life;
mod erasure;
mod filters;
mod people;
mod queue;
mod records;
mod repairs;
mod replays;
mod scenario;
mod schedule;
mod workers;
mod writers;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::sleep;

pub(crate) use self::repairs::places_of_window;
use self::{
    archive::{accept, archive, change_bucket, lose_reference, lose_row, rescue},
    erasure::erase_tenant,
    filters::set_first_filters,
    people::{calm_down, disturb, operate},
    queue::VISIBILITY,
    records::set_first_formats,
    repairs::{consume_repairs, lose_and_repair, repair_everything},
    replays::{replay, watch_progress},
    scenario::{CALM_SLOTS, STORM_SLOTS, draw_scenario},
    schedule::schedule,
    workers::{Counters, consume_runs},
    writers::{damage, ingest, sweep},
};
use crate::{
    bug::KnownBug,
    check, check_repairs,
    outcome::HistoryOutcome,
    setup::{INTERVAL, LONG_RETENTION, create_configurations, create_world, in_simulated_time},
};

/// Plays the history of a seed.
#[must_use]
pub fn run(seed: u64, bug: Option<KnownBug>) -> HistoryOutcome {
    in_simulated_time(play(seed, bug)).unwrap_or_else(|| HistoryOutcome {
        violations: vec!["the simulation could not start".to_owned()],
        ..HistoryOutcome::default()
    })
}

async fn play(seed: u64, bug: Option<KnownBug>) -> HistoryOutcome {
    let world = create_world(seed, bug);
    let scenario = draw_scenario(&world);
    let mut keys = create_configurations(&world, scenario.configurations);
    if scenario.refilters {
        set_first_filters(&world, &keys);
    }
    if scenario.maps {
        set_first_formats(&world, &keys);
    }
    let storm = INTERVAL.duration() * STORM_SLOTS;

    ingest(&world, scenario, storm);
    if scenario.erases {
        keys.extend(erase_tenant(&world, scenario, &keys));
    }
    if scenario.archiver.is_some() {
        tokio::spawn(archive(Arc::clone(&world), scenario));
        tokio::spawn(rescue(Arc::clone(&world), scenario));
        tokio::spawn(accept(Arc::clone(&world)));
        tokio::spawn(lose_reference(Arc::clone(&world), storm));
        tokio::spawn(lose_row(Arc::clone(&world), storm));
        tokio::spawn(change_bucket(Arc::clone(&world), storm));
    }
    tokio::spawn(schedule(Arc::clone(&world), scenario, keys.clone()));
    tokio::spawn(sweep(Arc::clone(&world)));
    tokio::spawn(disturb(Arc::clone(&world), scenario, keys.clone(), storm));
    tokio::spawn(damage(Arc::clone(&world), scenario, storm));
    tokio::spawn(operate(Arc::clone(&world)));
    if scenario.repairs {
        tokio::spawn(lose_and_repair(Arc::clone(&world), keys.clone(), storm));
        tokio::spawn(consume_repairs(Arc::clone(&world), scenario));
    }
    tokio::spawn(replay(Arc::clone(&world), scenario, keys.clone(), storm));
    tokio::spawn(watch_progress(Arc::clone(&world)));
    let counters = Arc::new(Mutex::new(Counters::default()));
    tokio::spawn(consume_runs(Arc::clone(&world), scenario, Arc::clone(&counters)));

    sleep(storm).await;
    calm_down(&world, &scenario, &keys);
    // The messages of the last slot have the settling time, and an attempt or two.
    sleep(INTERVAL.duration() * CALM_SLOTS + scenario.settle + VISIBILITY).await;

    let through = world.now().saturating_sub(scenario.settle + VISIBILITY).floor_to(INTERVAL.duration());
    if scenario.repairs {
        repair_everything(&world, &keys).await;
    }
    let counters = *counters.lock().unwrap_or_else(PoisonError::into_inner);
    let mut state = world.lock();
    state.check_kept(world.now());
    if scenario.repairs {
        check_repairs::check(&mut state, &keys, world.now(), scenario.hopeless);
    }
    let expected = check::Expectations {
        through,
        gaps_are_possible: scenario.retention < LONG_RETENTION,
        lost_through: scenario.hopeless.then(|| through.saturating_sub(scenario.retention)),
        runs: counters.runs,
        crashes: counters.crashes,
    };
    check::check(&state, &keys, &expected)
}
