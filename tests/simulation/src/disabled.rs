//! A requested run of a configuration that was disabled meanwhile.

use std::time::Duration;

use domain::{
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
    time::Timestamp,
};
use export_engine::run::RunOutcome;
use tokio::time::sleep;

use crate::{
    invocation::{RELEASE, invoke},
    ports::Ports,
    setup::{INTERVAL, create_calm_world, create_configuration, in_simulated_time},
};

/// Runs the request of a disabled configuration. Returns the outcome and the end of the request that is still pending. `None`:
/// the simulation could not start.
#[must_use]
pub fn run_disabled() -> Option<(RunOutcome, Option<Timestamp>)> {
    in_simulated_time(play()).flatten()
}

async fn play() -> Option<(RunOutcome, Option<Timestamp>)> {
    let world = create_calm_world(None);
    let key = create_configuration(&world, 0)?;
    sleep(INTERVAL.duration() + MIN_SETTLE).await;
    let through = world.now().saturating_sub(MIN_SETTLE);
    {
        let mut state = world.lock();
        let configuration = state.configurations.get_mut(&key)?;
        configuration.requested_through = Some(through);
        configuration.enabled = false;
    }
    let ports = Ports::new(&world, Duration::ZERO, RELEASE);
    let outcome = invoke(&ports, &RunRequest::new(key.clone(), through, RunTrigger::Manual), 1).await.ok()?;
    let pending = world.lock().configurations.get(&key)?.requested_through;
    Some((outcome, pending))
}
