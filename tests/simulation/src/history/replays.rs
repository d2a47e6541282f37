//! The people who request, cancel and continue replays.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    configuration::ConfigurationKey,
    export_run::{RunRequest, RunTrigger},
    replay::{RawReplay, Replay, ReplayEnd, ReplayId, ReplayKey, ReplayRequest, ReplayState, ReplayTerms, check_path},
    time::Timestamp,
};
use tokio::time::sleep;

use super::scenario::Scenario;
use crate::{
    setup::INTERVAL,
    world::{World, WorldState},
};

/// Requests, cancels and continues replays.
pub(super) async fn replay(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>, storm: Duration) {
    if !scenario.replays {
        return;
    }
    let steps = 16;
    for _ in 0..steps {
        sleep(storm / (steps + 1)).await;
        let now = world.now();
        let mut state = world.lock();
        let pick = usize::try_from(state.chance.below(keys.len() as u64)).unwrap_or(0);
        let Some(key) = keys.get(pick) else { return };
        let unfinished = replays_of(&state, key).find(|replay| !replay.has_ended()).cloned();
        match unfinished {
            Some(replay) if state.chance.happens(150) => {
                let end = ReplayState::Ended { at: now, end: ReplayEnd::Cancelled };
                state.replays.insert(replay.key.export(), Replay { state: end, ..replay });
            }
            // The same request again sends another message.
            Some(replay) if state.chance.happens(150) => send(&mut state, &replay, now),
            Some(_) => {}
            None if state.chance.happens(300) => continue_stopped(&mut state, now),
            None => request(&mut state, scenario, key, now),
        }
    }
}

fn replays_of<'a>(state: &'a WorldState, key: &'a ConfigurationKey) -> impl Iterator<Item = &'a Replay> {
    state.replays.values().filter(move |replay| replay.key.configuration() == *key)
}

fn send(state: &mut WorldState, replay: &Replay, now: Timestamp) {
    state.enqueue(RunRequest::new(replay.key.export(), replay.period.to, RunTrigger::Manual), now);
}

/// Requests a replay of a random period, if the export has exported one.
fn request(state: &mut WorldState, scenario: Scenario, key: &ConfigurationKey, now: Timestamp) {
    let Some(configuration) = state.configurations.get(key).cloned() else { return };
    let Some(exported) = configuration.progress.exported_through else { return };
    let slot = INTERVAL.duration();
    let to = exported.floor_to(slot).saturating_sub(slot * u32::try_from(state.chance.below(2)).unwrap_or(0));
    let from = to.saturating_sub(slot * u32::try_from(1 + state.chance.below(3)).unwrap_or(1));
    let path = format!("replay-{}", state.number());
    let terms = ReplayTerms {
        configuration: &configuration,
        slot_length: slot,
        retention_floor: now.saturating_sub(scenario.retention),
    };
    let raw = RawReplay { from: &from.to_string(), to: &to.to_string(), bucket_path: &path };
    let Ok(request) = terms.parse(&raw) else { return };
    let others: Vec<_> = replays_of(state, key).cloned().collect();
    if let Err(error) = check_path(&request, &configuration, &others) {
        state.violations.push(format!("{key}: the path of a replay is refused: {}", error.message));
    }
    let replay_id = ReplayId::from_random(state.chance.bits());
    let replay = Replay::new(ReplayKey::new(key.clone(), replay_id), request, "", now);
    send(state, &replay, now);
    state.replays.insert(replay.key.export(), replay);
}

/// Continues every replay that failed or was cancelled.
pub(super) fn continue_stopped(state: &mut WorldState, now: Timestamp) {
    let continued = state.replays.values().filter_map(|replay| {
        let request = ReplayRequest { period: replay.period, destination: replay.destination.clone() };
        replay.continued(request, now)
    });
    for replay in continued.collect::<Vec<_>>() {
        send(state, &replay, now);
        state.replays.insert(replay.key.export(), replay);
    }
}

/// Watches that the progress of no configuration goes back.
pub(super) async fn watch_progress(world: Arc<World>) {
    let mut seen = BTreeMap::new();
    loop {
        sleep(Duration::from_mins(1)).await;
        let mut state = world.lock();
        let WorldState { configurations, violations, .. } = &mut *state;
        for (key, configuration) in configurations {
            let through = configuration.progress.exported_through;
            if seen.insert(key.clone(), through) > Some(through) {
                violations.push(format!("{key}: the progress goes back to {through:?}"));
            }
        }
    }
}
