//! The people who request, cancel and continue replays.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    configuration::{
        ConfigurationKey, ExportConfiguration,
        bucket::BucketPath,
        field_error::{FieldError, FieldErrorCode},
    },
    export_run::{RunRequest, RunTrigger},
    replay::{
        RawReplay, Replay, ReplayEnd, ReplayId, ReplayKey, ReplayRefusal, ReplayState, ReplayStatus, ReplayStep,
        ReplayTerms,
    },
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
            Some(replay) if state.chance.happens(150) => request_again(&mut state, scenario, &replay, now),
            Some(_) => {}
            None if state.chance.happens(300) => continue_stopped(&mut state, scenario, now),
            None => request(&mut state, scenario, key, now),
        }
    }
}

fn replays_of<'a>(state: &'a WorldState, key: &'a ConfigurationKey) -> impl Iterator<Item = &'a Replay> {
    state.replays.values().filter(move |replay| replay.key.configuration() == *key)
}

fn send(state: &mut WorldState, replay: &Replay, now: Timestamp) {
    let request = RunRequest::new(replay.key.export(), replay.period.to, RunTrigger::Manual);
    state.enqueue_attempt(request, replay.attempt, now);
}

/// Requests a replay of a random period, if the export has exported one.
fn request(state: &mut WorldState, scenario: Scenario, key: &ConfigurationKey, now: Timestamp) {
    let Some(configuration) = state.configurations.get(key).cloned() else { return };
    let Some(exported) = configuration.progress.exported_through else { return };
    let slot = INTERVAL.duration();
    let to = exported.floor_to(slot).saturating_sub(slot * u32::try_from(state.chance.below(2)).unwrap_or(0));
    let from = to.saturating_sub(slot * u32::try_from(1 + state.chance.below(3)).unwrap_or(1));
    let path = format!("replay-{}", state.number());
    let raw = RawReplay { from: &from.to_string(), to: &to.to_string(), bucket_path: &path };
    let others: Vec<_> = replays_of(state, key).cloned().collect();
    let request = match terms(&configuration, scenario, now).parse(&raw, &others) {
        Ok(ReplayStep::Create(request)) => request,
        Err(ReplayRefusal::InvalidInput(errors)) if !errors.iter().any(is_about_path) => return,
        unexpected => return state.violations.push(format!("{key}: a new replay is {unexpected:?}")),
    };
    let replay_id = ReplayId::from_random(state.chance.bits());
    let replay = Replay::new(ReplayKey::new(key.clone(), replay_id), request, "", now);
    send(state, &replay, now);
    state.replays.insert(replay.key.export(), replay);
}

fn terms(configuration: &ExportConfiguration, scenario: Scenario, now: Timestamp) -> ReplayTerms<'_> {
    let retention_floor = now.saturating_sub(scenario.retention);
    ReplayTerms { configuration, slot_length: INTERVAL.duration(), retention_floor, now }
}

fn is_about_path(error: &FieldError) -> bool {
    error.code == FieldErrorCode::ReplayPathOverlaps
}

/// Continues every replay that failed or was cancelled.
pub(super) fn continue_stopped(state: &mut WorldState, scenario: Scenario, now: Timestamp) {
    let stopped = |replay: &&Replay| matches!(replay.state.status(), ReplayStatus::Failed | ReplayStatus::Cancelled);
    for replay in state.replays.values().filter(stopped).cloned().collect::<Vec<_>>() {
        request_again(state, scenario, &replay, now);
    }
}

/// Makes the same request again: an unfinished replay gets another message, one that stopped continues. A person whose
/// configuration has another bucket by now edits it back before.
fn request_again(state: &mut WorldState, scenario: Scenario, replay: &Replay, now: Timestamp) {
    let Replay { key, period, destination, .. } = replay;
    let Some(configuration) = state.configurations.get(&key.configuration()).cloned() else { return };
    let configuration = ExportConfiguration { destination: destination.clone(), ..configuration };
    let raw = RawReplay {
        from: &period.from.to_string(),
        to: &period.to.to_string(),
        bucket_path: destination.bucket_path.as_ref().map_or("", BucketPath::as_str),
    };
    match terms(&configuration, scenario, now).parse(&raw, std::slice::from_ref(replay)) {
        Ok(ReplayStep::Repeat(next) | ReplayStep::Continue(next)) => {
            send(state, &next, now);
            state.replays.insert(next.key.export(), next);
        }
        unexpected => state.violations.push(format!("{key:?}: the same request of a replay is {unexpected:?}")),
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
