//! A deploy in the middle of a window: a release with another encoder completes it.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    export_run::{LEASE_DURATION, MIN_SETTLE, PlanLimits, RunRequest, RunTrigger},
    gzip::EncoderVersion,
};
use tokio::time::sleep;

use crate::{
    check::{self, Expectations},
    invocation::invoke,
    outcome::HistoryOutcome,
    ports::{OcsfFiles, Ports, Release},
    process::{Doom, Process},
    setup::{INTERVAL, create_calm_world, create_configuration, in_simulated_time, store_blocks},
    world::World,
};

/// Sizes that make several objects of the blocks.
const LIMITS: PlanLimits =
    PlanLimits { target_stored_length: 600, target_raw_length: 65_536, part_size: 200, max_objects: 50 };

const BLOCKS: u64 = 60;

/// The outcome of one window.
#[derive(Clone, Debug)]
pub struct UpgradeOutcome {
    /// The objects in the bucket at the end of the first process.
    pub objects_before: usize,
    /// The objects under `date=` at the end.
    pub objects: BTreeMap<String, Bytes>,
    pub history: HistoryOutcome,
}

/// Exports one window with the encoder `before`, whose process may die at the poll of number `dies_at_poll`; then the rest with
/// the encoder `after`. `None`: the simulation could not start.
#[must_use]
pub fn run_upgrade(before: EncoderVersion, dies_at_poll: Option<u64>, after: EncoderVersion) -> Option<UpgradeOutcome> {
    in_simulated_time(play(before, dies_at_poll, after)).flatten()
}

async fn play(before: EncoderVersion, dies_at_poll: Option<u64>, after: EncoderVersion) -> Option<UpgradeOutcome> {
    let world = create_calm_world(None);
    let key = create_configuration(&world, 0)?;
    store_blocks(&world, &key, BLOCKS);
    sleep(INTERVAL.duration() + MIN_SETTLE).await;

    let through = world.now().saturating_sub(MIN_SETTLE);
    let request = RunRequest::new(key.clone(), through, RunTrigger::Schedule);
    let ports = |encoder_version| {
        Ports::new(
            &world,
            Duration::ZERO,
            Release { encoder_version, limits: LIMITS, converts: false, ocsf_files: OcsfFiles::Lines },
        )
    };
    let first = ports(before);
    let doom = dies_at_poll.map_or(Doom::None, |at_poll| Doom::Dies { at_poll });
    let died = Process::new(invoke(&first, &request, 1), doom).await.is_none();
    let objects_before = objects(&world).len();
    sleep(LEASE_DURATION).await;
    if let Err(error) = invoke(&ports(after), &request, 2).await {
        world.lock().violations.push(error.to_string());
    }
    let expected =
        Expectations { through, gaps_are_possible: false, lost_through: None, runs: 2, crashes: u64::from(died) };
    let history = check::check(&world.lock(), &[key], &expected);
    Some(UpgradeOutcome { objects_before, objects: objects(&world), history })
}

fn objects(world: &World) -> BTreeMap<String, Bytes> {
    let state = world.lock();
    let all = state.buckets.values().flat_map(|bucket| &bucket.objects);
    all.filter(|(name, _)| name.contains("/date=")).map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}
