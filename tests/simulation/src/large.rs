//! One worker for a tenant with very many blocks and one with a single block.

use std::{collections::VecDeque, time::Duration};

use domain::{
    configuration::ConfigurationKey,
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
};
use export_engine::run::RunOutcome;
use tokio::time::sleep;

use crate::{
    check::{self, Expectations},
    invocation::{RELEASE, invoke},
    outcome::HistoryOutcome,
    ports::Ports,
    setup::{INTERVAL, create_calm_world, create_configurations, in_simulated_time, store_blocks},
};

/// The outcome for both tenants.
#[derive(Clone, Debug)]
pub struct LargeOutcome {
    pub history: HistoryOutcome,
    /// The invocations until the tenant with very many blocks was exported.
    pub slices: u64,
    /// The number of the invocation that exported the tenant with the single block, whose message came second.
    pub small_done_at: u64,
    /// The most bytes of pages that one invocation held.
    pub peak_page_bytes: usize,
}

/// Exports `blocks` blocks of one tenant and one block of another, whose message comes later. `None`: the simulation could not
/// start.
#[must_use]
pub fn run_large(blocks: u64) -> Option<LargeOutcome> {
    in_simulated_time(play(blocks))
}

async fn play(blocks: u64) -> LargeOutcome {
    let world = create_calm_world(None);
    let keys = create_configurations(&world, 2);
    for (key, count) in keys.iter().zip([blocks, 1]) {
        store_blocks(&world, key, count);
    }
    sleep(INTERVAL.duration() + MIN_SETTLE).await;

    let through = world.now().saturating_sub(MIN_SETTLE);
    let request = |key: &ConfigurationKey| RunRequest::new(key.clone(), through, RunTrigger::Schedule);
    let mut queue: VecDeque<RunRequest> = keys.iter().map(request).collect();
    let (mut slices, mut small_done_at, mut peak_page_bytes) = (0, 0, 0);
    while let Some(request) = queue.pop_front() {
        slices += 1;
        let ports = Ports::new(&world, Duration::ZERO, RELEASE);
        let outcome = invoke(&ports, &request, slices).await;
        peak_page_bytes = peak_page_bytes.max(ports.peak_page_bytes());
        match outcome {
            Ok(RunOutcome::Paused { next, .. }) => queue.extend(next),
            Ok(_) if Some(&request.key) == keys.last() => small_done_at = slices,
            Ok(_) => {}
            Err(error) => {
                world.lock().violations.push(error.to_string());
                break;
            }
        }
    }
    let expected = Expectations { through, gaps_are_possible: false, lost_through: None, runs: slices, crashes: 0 };
    let history = check::check(&world.lock(), &keys, &expected);
    LargeOutcome { history, slices, small_done_at, peak_page_bytes }
}
