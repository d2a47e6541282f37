//! A requested run of a configuration that was changed meanwhile: disabled, or given a filter.

use std::time::Duration;

use domain::{
    configuration::ExportConfiguration,
    event_filter::EventFilter,
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
    time::Timestamp,
};
use export_engine::{ports::PortError, run::RunOutcome};
use tokio::time::sleep;

use crate::{
    invocation::{RELEASE, invoke},
    ports::{Ports, Release},
    setup::{INTERVAL, create_calm_world, create_configuration, in_simulated_time},
};

/// The outcome of the run, and the end of the request that is still pending.
type Changed = (Result<RunOutcome, PortError>, Option<Timestamp>);

/// Runs the request of a disabled configuration. `None`: the simulation could not start.
#[must_use]
pub fn run_disabled() -> Option<Changed> {
    in_simulated_time(play(|configuration| configuration.enabled = false)).flatten()
}

/// Runs the request of a configuration with a filter, by the exporter. `None`: the simulation could not start.
#[must_use]
pub fn run_filtered(filter: &EventFilter) -> Option<Changed> {
    in_simulated_time(play(|configuration| configuration.filter = Some(filter.clone()))).flatten()
}

async fn play(change: impl FnOnce(&mut ExportConfiguration)) -> Option<Changed> {
    let world = create_calm_world(None);
    let key = create_configuration(&world, 0)?;
    sleep(INTERVAL.duration() + MIN_SETTLE).await;
    let through = world.now().saturating_sub(MIN_SETTLE);
    {
        let mut state = world.lock();
        let configuration = state.configurations.get_mut(&key)?;
        configuration.requested_through = Some(through);
        change(configuration);
    }
    let ports = Ports::new(&world, Duration::ZERO, Release { converts: false, ..RELEASE });
    let outcome = invoke(&ports, &RunRequest::new(key.clone(), through, RunTrigger::Manual), 1).await;
    let pending = world.lock().configurations.get(&key)?.requested_through;
    Some((outcome, pending))
}
