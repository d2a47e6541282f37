//! One tenant with very many blocks beside one with a single block, on one worker.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    block::{BlockId, SHARDS, Shard, encode_block},
    configuration::ConfigurationKey,
    export_run::{MIN_SETTLE, PlanLimits, RunRequest, RunTrigger},
    gzip::EncoderVersion,
    time::Timestamp,
};
use export_engine::{
    ports::PortError,
    run::{EngineSettings, ExportEngine, RunOutcome},
};
use tokio::time::sleep;

use crate::{
    check::{self, Question},
    faults::Weather,
    history::{INTERVAL, LONG_RETENTION, ORIGIN, RUNS_PER_TENANT, Verdict, create_configuration, in_simulated_time},
    ports::{Ports, Release},
    world::World,
};

/// Sizes that make many objects of few bytes.
pub(crate) const RELEASE: Release = Release {
    encoder_version: EncoderVersion::CURRENT,
    limits: PlanLimits { target_stored_length: 4_096, target_raw_length: 65_536, part_size: 1_024, max_objects: 50 },
};

/// How the two were served.
#[derive(Clone, Debug)]
pub struct Large {
    pub verdict: Verdict,
    /// Invocations until the tenant with very many blocks was exported.
    pub slices: u64,
    /// Which invocation exported the tenant with the single block, whose message came second.
    pub small_done_at: u64,
    /// The most bytes of pages that one invocation held.
    pub peak_page_bytes: usize,
}

/// Exports `blocks` blocks of one tenant and one of another, whose message comes later. `None`: it could not start.
#[must_use]
pub fn run_large(blocks: u64) -> Option<Large> {
    in_simulated_time(play(blocks))
}

async fn play(blocks: u64) -> Large {
    let world = World::new(0, None, Timestamp::parse(ORIGIN).unwrap_or(Timestamp::EPOCH));
    world.lock().weather = Weather::default();
    let keys: Vec<ConfigurationKey> = (0..2).filter_map(|number| create_configuration(&world, number)).collect();
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
    let question = Question { through, gaps_are_possible: false, lost_through: None, runs: slices, crashes: 0 };
    let verdict = check::verdict(&world.lock(), &keys, &question);
    Large { verdict, slices, small_done_at, peak_page_bytes }
}

/// One invocation of the exporter, in good weather.
pub(crate) async fn invoke(ports: &Ports, request: &RunRequest, number: u64) -> Result<RunOutcome, PortError> {
    invoke_with(ports, request, RUNS_PER_TENANT, &format!("invocation-{number}")).await
}

/// The same with so many shares for a tenant, and under a name of the invocation.
pub(crate) async fn invoke_with(
    ports: &Ports,
    request: &RunRequest,
    max_runs_per_tenant: u32,
    holder: &str,
) -> Result<RunOutcome, PortError> {
    let engine = ExportEngine {
        configurations: ports,
        runs: ports,
        blocks: ports,
        connector: ports,
        signer: ports,
        clock: ports,
        settings: EngineSettings {
            settle: MIN_SETTLE,
            retention: LONG_RETENTION,
            history: Duration::ZERO,
            deploy_margin: Duration::ZERO,
            max_runs_per_tenant,
            grace: LONG_RETENTION,
            encoder_version: ports.release.encoder_version,
            limits: ports.release.limits,
        },
        holder,
        message: holder,
        deadline: ports.world.now().saturating_add(Duration::from_mins(12)),
    };
    engine.run(request).await
}

/// Spread evenly over one interval and all shards.
pub(crate) fn store_blocks(world: &Arc<World>, key: &ConfigurationKey, count: u64) {
    let mut state = world.lock();
    let step = INTERVAL.duration() / u32::try_from(count).unwrap_or(u32::MAX);
    for number in 0..count {
        let stamp = world.now().saturating_add(step * u32::try_from(number).unwrap_or(u32::MAX));
        let id = BlockId::from_parts(stamp, state.chance.bits());
        let raw = format!("{{\"id\":\"{id}\"}}\n");
        let shard = u8::try_from(number % u64::from(SHARDS)).unwrap_or(0);
        let encoded = encode_block(&key.tenant_id, id, raw.as_bytes(), stamp, stamp);
        if let (Ok(shard), Ok(block)) = (Shard::new(shard), encoded) {
            state.store_block(&key.tenant_id, shard, block, Bytes::from(raw));
        }
    }
}
