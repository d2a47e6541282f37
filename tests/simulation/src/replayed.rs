//! Replays around the ends of their time and of the retention.

use std::time::Duration;

use domain::{
    configuration::ConfigurationKey,
    digest::Gap,
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
    replay::{RawReplay, Replay, ReplayId, ReplayKey, ReplayStep, ReplayTerms},
};
use export_engine::ReplayOutcome;
use tokio::time::sleep;

use crate::{
    invocation::{RELEASE, invoke, invoke_replay},
    ports::Ports,
    setup::{INTERVAL, LONG_RETENTION, create_calm_world, create_configuration, in_simulated_time, store_blocks},
    world::World,
};

/// The blocks of the replayed period.
const BLOCKS: u64 = 100;

/// The outcome of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayedOutcome {
    /// The outcome of a message from before the last request.
    pub earlier: ReplayOutcome,
    pub outcome: ReplayOutcome,
    pub events: u64,
    pub gaps: Vec<Gap>,
}

/// Exports a period, requests a replay of it shortly before it is past its retention, and runs that after `delay`. `None`: the
/// simulation could not start.
#[must_use]
pub fn run_replayed(delay: Duration) -> Option<ReplayedOutcome> {
    in_simulated_time(play(delay)).flatten()
}

async fn play(delay: Duration) -> Option<ReplayedOutcome> {
    let world = create_calm_world(None);
    let key = create_configuration(&world, 0)?;
    let from = world.now();
    world.lock().configurations.get_mut(&key)?.start_from = from;
    store_blocks(&world, &key, BLOCKS);
    sleep(INTERVAL.duration() + MIN_SETTLE).await;
    let to = from.saturating_add(INTERVAL.duration());
    let ports = Ports::new(&world, Duration::ZERO, RELEASE);
    let request = RunRequest::new(key.clone(), to, RunTrigger::Schedule);
    invoke(&ports, &request, 1).await.ok()?;

    sleep(LONG_RETENTION.saturating_sub(INTERVAL.duration() * 2)).await;
    let replay = request_replay(&world, &key, [from.to_string(), to.to_string()])?;
    sleep(delay).await;
    let repeated = replay.repeated();
    world.lock().replays.insert(replay.key.export(), repeated.clone());
    let earlier = Box::pin(invoke_replay(&ports, &replay.message(), "invocation-2")).await.ok()?;
    let outcome = Box::pin(invoke_replay(&ports, &repeated.message(), "invocation-3")).await.ok()?;
    let state = world.lock();
    let records = state.runs.get(&replay.key.export()).map(|items| items.records.clone()).unwrap_or_default();
    Some(ReplayedOutcome {
        earlier,
        outcome,
        events: records.iter().map(|record| record.delivered.events).sum(),
        gaps: records.iter().filter_map(|record| record.gap).collect(),
    })
}

fn request_replay(world: &World, key: &ConfigurationKey, [from, to]: [String; 2]) -> Option<Replay> {
    let mut state = world.lock();
    let configuration = state.configurations.get(key)?;
    let terms = ReplayTerms {
        configuration,
        slot_length: INTERVAL.duration(),
        retention_floor: world.now().saturating_sub(LONG_RETENTION),
        now: world.now(),
    };
    let raw = RawReplay { from: &from, to: &to, bucket_path: "replay" };
    let ReplayStep::Create(request) = terms.parse(&raw, &[]).ok()? else { return None };
    let id = ReplayId::from_random(state.chance.bits());
    let replay = Replay::new(ReplayKey::new(key.clone(), id), request, "", world.now());
    state.replays.insert(replay.key.export(), replay.clone());
    Some(replay)
}
