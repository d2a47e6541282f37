//! The schedule, which sends messages to the queue of runs.

use std::{sync::Arc, time::Duration};

use domain::{
    configuration::ConfigurationKey,
    export_run::{PlanLimits, RunRequest, RunTrigger},
    gzip::EncoderVersion,
};
use export_engine::retention::observe_retention;
use tokio::time::sleep;

use super::scenario::{CALM_SLOTS, DEPLOY, SKEW, STORM_SLOTS, Scenario};
use crate::{
    ports::{OcsfFiles, Ports, Release},
    setup::INTERVAL,
    world::World,
};

/// The attempts of a dispatch to observe the retention.
const OBSERVATION_ATTEMPTS: u32 = 4;

/// Sends one message for each enabled configuration and slot. Some arrive twice or late.
pub(super) async fn schedule(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>) {
    observe(&world).await;
    sleep(scenario.settle).await;
    for _ in 0..=STORM_SLOTS + CALM_SLOTS {
        sleep(INTERVAL.duration()).await;
        observe(&world).await;
        let now = world.now();
        let through = now.saturating_sub(scenario.settle).floor_to(INTERVAL.duration());
        let mut state = world.lock();
        for key in &keys {
            if !state.configurations.get(key).is_some_and(|configuration| configuration.enabled) {
                continue;
            }
            let weather = state.weather;
            let copies = 1 + u32::from(state.chance.happens(weather.message_doubles));
            for _ in 0..copies {
                let delay = if state.chance.happens(weather.message_doubles) {
                    state.chance.between(Duration::ZERO, Duration::from_hours(3))
                } else {
                    // The clock of the schedule may be ahead of that of the worker.
                    SKEW
                };
                let request = RunRequest::new(key.clone(), through, RunTrigger::Schedule);
                state.enqueue(request, now.saturating_add(delay));
            }
            if state.chance.happens(300) {
                // A person requests a run at the same moment.
                let asked_at = now.saturating_add(SKEW);
                let through = asked_at.saturating_sub(scenario.settle + SKEW);
                if state.chance.happens(500)
                    && let Some(configuration) = state.configurations.get_mut(key)
                {
                    configuration.requested_through = Some(through);
                }
                state.enqueue(RunRequest::new(key.clone(), through, RunTrigger::Manual), asked_at);
            }
        }
    }
}

/// Observes the retention that is in force, as a dispatch does. Like the SDK, it repeats what fails: the only dispatch while a
/// short retention is in force has to observe it (docs/SEMANTICS.md, known limits).
async fn observe(world: &Arc<World>) {
    let retention = {
        let mut state = world.lock();
        let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
        state.retention_at(world.now().saturating_sub(deployed_by))
    };
    let limits = PlanLimits::CURRENT;
    let ports = Ports::new(
        world,
        Duration::ZERO,
        Release { encoder_version: EncoderVersion::CURRENT, limits, converts: false, ocsf_files: OcsfFiles::Lines },
    );
    if let Some(retention) = retention {
        for _ in 0..OBSERVATION_ATTEMPTS {
            if observe_retention(&ports, retention, &ports).await.is_ok() {
                return;
            }
        }
    }
}
