//! The processes that take messages from the queue of runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    export_run::{LEASE_DURATION, PlanLimits, RunRequest},
    gzip::EncoderVersion,
    replay::ReplayMessage,
    time::Timestamp,
};
use export_engine::{
    MAX_PAGES, ReplayOutcome,
    message::while_hidden,
    ports::ErrorKind,
    run::{DeferralReason, EngineSettings, RunOutcome},
};
use tokio::time::timeout;

use super::{
    queue::{consume, take_message},
    scenario::{DEPLOY, SKEW, Scenario},
};
use crate::{
    archive::DEPLOY_MARGIN,
    faults::millis,
    ports::{PAGE_BLOCKS, Ports, Received, Release},
    process::{Doom, Process},
    setup::RUNS_PER_TENANT,
    world::{Message, World, WorldState},
};

/// The time limit of a Lambda invocation.
pub(super) const INVOCATION: Duration = Duration::from_mins(6);

/// The time by which a block counts as gone before it is deleted: longer than a process lives, frozen or not.
const GRACE_MARGIN: Duration = Duration::from_mins(45);

/// The wait of a deferred run.
pub(super) const DEFERRAL: Duration = Duration::from_secs(15);

/// The delay of the next slice of a replay, longer than that of a run that waits for a share.
const PAUSE: Duration = Duration::from_secs(25);
const _: () = assert!(PAUSE.as_secs() > DEFERRAL.as_secs());

/// The attempts before a message becomes a dead letter.
const MAX_TRIES: u32 = 5;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) runs: u64,
    pub(super) crashes: u64,
}

/// Starts a process for each message.
pub(super) async fn consume_runs(world: Arc<World>, scenario: Scenario, counters: Arc<Mutex<Counters>>) {
    let invoke = move |world, message| {
        let counters = Arc::clone(&counters);
        async move {
            let crashed = invoke(&world, scenario, &message).await;
            let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.runs += 1;
            counters.crashes += u64::from(crashed);
        }
    };
    consume(world, take_run, invoke).await;
}

fn take_run(state: &mut WorldState, now: Timestamp) -> Option<Message<RunRequest>> {
    let message = take_message(state, |state| &mut state.queue, now)?;
    if message.tries <= MAX_TRIES {
        return Some(message);
    }
    state.queue.retain(|queued| queued.number != message.number);
    state.dead_letters.push(message);
    None
}

/// Returns a process with its clock and its release, its fault, and its name. `converts`: it is one of the converter.
pub(super) fn start_process(world: &Arc<World>, converts: bool) -> (Ports, Doom, String) {
    let mut state = world.lock();
    let weather = state.weather;
    let at_poll = 1 + state.chance.below(60);
    let doom = if state.chance.happens(weather.process_dies) {
        Doom::Dies { at_poll }
    } else if state.chance.happens(weather.process_freezes) {
        let pause = state.chance.between(Duration::from_secs(30), Duration::from_secs(400));
        Doom::Freezes { at_poll, pause }
    } else {
        Doom::None
    };
    let ahead = state.chance.between(Duration::ZERO, SKEW / 2);
    // Deploys change the sizes and the encoder in both directions.
    let limits = PlanLimits {
        target_stored_length: 60 + state.chance.below(400),
        target_raw_length: 200 + state.chance.below(2_000),
        part_size: 40 + state.chance.below(200),
        max_objects: 2 + state.chance.below(6),
    };
    let encoder_version =
        if state.chance.happens(500) { EncoderVersion::Joining } else { EncoderVersion::Recompressing };
    let release = Release { encoder_version, limits, converts, ocsf_files: state.ocsf_files };
    let holder = format!("invocation-{}", state.number());
    drop(state);
    (Ports::new(world, ahead, release), doom, holder)
}

/// Returns the settings of a process, which the operator's deploys change.
pub(super) fn draw_settings(world: &World, scenario: Scenario, release: Release) -> EngineSettings {
    let (retention, settle) = {
        let mut state = world.lock();
        let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
        let retention = state.retention_at(world.now().saturating_sub(deployed_by)).unwrap_or(scenario.retention);
        // The operator raises it for a while.
        let is_calm = state.weather.message_doubles == 0;
        let settle = if is_calm || state.chance.happens(900) { scenario.settle } else { scenario.settle + DEPLOY };
        (retention, settle)
    };
    EngineSettings {
        settle,
        retention,
        history: Duration::ZERO,
        retention_at: None,
        grace: scenario.grace.saturating_sub(GRACE_MARGIN),
        deploy_margin: DEPLOY_MARGIN,
        max_runs_per_tenant: RUNS_PER_TENANT,
        limits: release.limits,
    }
}

/// Runs one invocation of the exporter or converter. `true`: it died.
async fn invoke(world: &Arc<World>, scenario: Scenario, message: &Message<RunRequest>) -> bool {
    let (ports, doom, holder) = start_process(world, message.converts);
    let settings = draw_settings(world, scenario, ports.release);
    let message_id = message.number.to_string();
    let engine = ports.engine(settings, &holder, &message_id, INVOCATION);
    let received = Received { ports: &ports, number: message.number };
    let key = &message.request.key;
    let replay = world.lock().replays.get(key).map(|replay| replay.key.clone());
    let work = async {
        let Some(replay) = replay else { return Box::pin(engine.run(&message.request)).await };
        let continued = ReplayMessage { replay, attempt: message.attempt };
        Ok(match Box::pin(engine.replay(&ports, &continued)).await? {
            ReplayOutcome::Succeeded(windows) => RunOutcome::Exported(windows),
            ReplayOutcome::Elsewhere => RunOutcome::Elsewhere { windows: Vec::new(), next: message.request.clone() },
            ReplayOutcome::Paused => {
                RunOutcome::Paused { windows: Vec::new(), next: Some(message.request.clone()), had_last_share: false }
            }
            ReplayOutcome::Deferred(reason) => RunOutcome::Deferred { reason, next: message.request.clone() },
            ReplayOutcome::LeftToAnother => {
                let until = world.now().saturating_add(LEASE_DURATION);
                let reason = DeferralReason::RegionUnreachable { until };
                RunOutcome::Deferred { reason, next: message.request.clone() }
            }
            ReplayOutcome::NotWanted | ReplayOutcome::Failed(_) => RunOutcome::NotWanted,
        })
    };
    let work = while_hidden(&received, &ports, work);
    let outcome = Process::new(timeout(INVOCATION * 2, work), doom).await;
    let now = world.now();
    let mut state = world.lock();
    check_memory(&mut state.violations, &ports);
    let position = state.queue.iter().position(|queued| queued.number == message.number);
    match outcome {
        None | Some(Err(_)) => {
            check_repetition(&mut state, message, &holder);
            return true;
        }
        Some(Ok(Ok(outcome))) => {
            let is_left = outcome == RunOutcome::LeftToAnother;
            match outcome {
                RunOutcome::Paused { next: Some(next), .. } | RunOutcome::Refused { next: Some(next), .. } => {
                    let pause = if message.attempt > 0 { PAUSE } else { Duration::ZERO };
                    state.enqueue_next(next, message, message.converts, now.saturating_add(pause));
                }
                RunOutcome::Elsewhere { next, .. } => {
                    if message.converts {
                        state.violations.push("the converter left a format to another function".to_owned());
                    }
                    state.enqueue_next(next, message, true, now);
                }
                RunOutcome::Deferred { reason, next } => {
                    let until = match reason {
                        DeferralReason::NoFreeShare => now,
                        DeferralReason::RegionUnreachable { until } => until,
                    };
                    let visible_at = until.max(now).saturating_add(DEFERRAL);
                    state.enqueue_next(next, message, message.converts, visible_at);
                }
                _ => {}
            }
            // Delivery is at least once: now and then, a deletion is lost.
            let weather = state.weather;
            if !state.chance.happens(weather.call_fails)
                && let Some(position) = position
            {
                state.queue.remove(position);
                let lease = state.runs.get(&message.request.key).and_then(|items| items.lease.as_ref());
                if is_left && lease.is_some_and(|lease| lease.message == message.number.to_string()) {
                    state.left_to_itself.insert(message.number);
                }
            }
            check_notes(&mut state, &ports, &message.request);
        }
        Some(Ok(Err(error))) => {
            if error.kind == ErrorKind::Internal && !state.explains(&error, &message.request.key.tenant_id) {
                state.violations.push(format!("internal error: {error}"));
            }
            let delay = Duration::from_millis(millis(Duration::from_secs(20)) * u64::from(message.tries));
            if let Some(queued) = position.and_then(|position| state.queue.get_mut(position)) {
                queued.visible_at = now.saturating_add(delay);
            }
        }
    }
    false
}

/// Checks that a run that died with the lease is repeated before the next slot: no other run has deleted its message because
/// this one was working on it, unless there is another message.
fn check_repetition(state: &mut WorldState, message: &Message<RunRequest>, holder: &str) {
    let key = &message.request.key;
    let Some(items) = state.runs.get(key) else { return };
    let holds_lease = items.lease.as_ref().is_some_and(|lease| lease.holder == holder);
    let is_wanted = state.configurations.get(key).is_some_and(|configuration| configuration.enabled);
    let is_exported = items.state.exported_through() >= message.request.through;
    let is_left = state.left_to_itself.contains(&message.number);
    let is_queued = state.queue.iter().any(|queued| queued.request.key == *key);
    if holds_lease && is_wanted && !is_exported && is_left && !is_queued {
        state.violations.push(format!("{key}: a run died, and no message is left that requests it"));
    }
}

/// Checks that a rerun that was requested of the holder of the lease is done, attempted, or queued.
fn check_notes(state: &mut WorldState, ports: &Ports, request: &RunRequest) {
    let key = &request.key;
    // A process that never held the lease was asked for nothing.
    let Some(tried_through) = ports.tried_through() else { return };
    let tried = state.tried_through.entry(key.clone()).or_insert(Timestamp::EPOCH);
    *tried = tried_through.max(request.through).max(*tried);
    let Some(items) = state.runs.get(key) else { return };
    let Some(noted) = items.state.rerun_through.filter(|noted| *noted > items.state.exported_through()) else { return };
    let is_tried = *tried >= noted;
    let is_wanted = state.configurations.get(key).is_some_and(|configuration| configuration.enabled);
    let is_queued = state.queue.iter().any(|message| message.request.key == *key);
    if items.lease.is_none() && !is_tried && is_wanted && !is_queued {
        state.violations.push(format!("{key}: a run through {noted} was requested and forgotten"));
    }
}

/// Checks that a process held no more pages than it may.
pub(super) fn check_memory(violations: &mut Vec<String>, ports: &Ports) {
    const MAX_BLOCK_LENGTH: usize = 200;
    let bound = MAX_PAGES * PAGE_BLOCKS * MAX_BLOCK_LENGTH;
    let peak = ports.peak_page_bytes();
    if peak > bound {
        violations.push(format!("a process held {peak} bytes of pages, more than {bound}"));
    }
}
