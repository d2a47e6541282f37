//! Many tenants at one queue: one floods it, or a Region does not answer, and the others wait no longer.
//!
//! The queue is a standard queue and not a fair one: messages arrive in any order, a fixed number at a time.

use std::{sync::Arc, time::Duration};

use domain::{
    configuration::{ConfigurationKey, Destination, Layout, bucket::BucketName, region::Region},
    connection::Connection,
    export_run::{MIN_SETTLE, PlanLimits, RunRequest, RunTrigger},
    gzip::EncoderVersion,
    time::Timestamp,
};
use export_engine::run::{DeferralReason, RunOutcome};
use tokio::time::{Instant, sleep};

use crate::{
    bug::KnownBug,
    invocation::invoke_with,
    ports::{OcsfFiles, Ports, Release},
    setup::{
        INTERVAL, create_calm_world, create_configuration, create_configurations, in_simulated_time, store_blocks,
    },
    world::World,
};

/// The default of `MaximumConcurrentRuns`.
const SLOTS: usize = 20;

/// The undisturbing tenants, and the blocks of each. Every block becomes an object.
const OTHERS: u64 = 50;
const BLOCKS: u64 = 12;

/// The blocks of a tenant whose export takes forty minutes.
const LARGE: u64 = 600;

/// The latency of a bucket, with which the export of a tenant takes about a minute.
const BUCKET_LATENCY: Duration = Duration::from_secs(4);

/// A release with sizes that make an object of each block.
const RELEASE: Release = Release {
    ocsf_files: OcsfFiles::Lines,
    encoder_version: EncoderVersion::CURRENT,
    converts: true,
    limits: PlanLimits { target_stored_length: 4_096, target_raw_length: 1, part_size: 1_024, max_objects: 2 * BLOCKS },
};

/// The most configurations of a tenant, each with a role that can't be assumed.
const FLOOD: u64 = 100;

/// The tenants whose Region does not answer.
const SILENT: u64 = 30;

/// The first and the longest wait before a message reappears. Each attempt doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(20);
const MAX_RETRY: Duration = Duration::from_mins(15);

/// The time limit of a history.
const PATIENCE: Duration = Duration::from_hours(2);

/// The disturbance of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    Nothing,
    /// One tenant requests runs of 100 configurations with a role that can't be assumed, and repeats each after its answer.
    Flood,
    /// The Region of 30 tenants accepts requests and does not answer.
    SilentRegion,
}

/// The concurrent runs of one tenant, and whether Regions have circuits.
#[derive(Clone, Copy, Debug)]
pub struct Protection {
    pub max_runs_per_tenant: u32,
    pub circuits: bool,
    /// The delay of the next slice of a run that had the last share.
    pub pause: Duration,
}

/// Returns the time until 50 tenants are exported whose messages arrive together with those of the disturbance. `None`: the
/// simulation could not start or did not end.
#[must_use]
pub fn run_fair(disturbance: Disturbance, protection: Protection) -> Option<Duration> {
    in_simulated_time(play(disturbance, protection)).flatten()
}

/// Returns the time that a run waits whose tenant has a large export, of forty minutes, for each of its shares. `None`: the
/// simulation could not start or did not end.
#[must_use]
pub fn run_waiting(protection: Protection) -> Option<Duration> {
    in_simulated_time(play_waiting(protection)).flatten()
}

#[derive(Clone, Debug)]
struct Queued {
    request: RunRequest,
    visible_at: Instant,
    tries: u32,
    is_others: bool,
}

async fn play(disturbance: Disturbance, protection: Protection) -> Option<Duration> {
    let bug = (!protection.circuits).then_some(KnownBug::CircuitForgotten);
    let world = create_calm_world(bug);
    let others = create_configurations(&world, OTHERS);
    for key in &others {
        store_blocks(&world, key, BLOCKS);
    }
    let disturbing = disturb(&world, disturbance)?;
    let through = pass_an_interval(&world).await;
    let mut queue: Vec<Queued> = disturbing.iter().map(|key| queued(key, through, false)).collect();
    queue.extend(others.iter().map(|key| queued(key, through, true)));
    serve(&world, queue, protection, others.len()).await
}

async fn play_waiting(protection: Protection) -> Option<Duration> {
    let world = create_calm_world(None);
    let large: Vec<_> = (0..protection.max_runs_per_tenant).filter_map(|_| create_configuration(&world, 0)).collect();
    store_blocks(&world, large.first()?, LARGE);
    let waiting = create_configuration(&world, 0)?;
    // It ends soon, whatever the tenant has to export.
    world.lock().untrusting.insert(waiting.clone());
    let through = pass_an_interval(&world).await;
    let mut queue: Vec<Queued> = large.iter().map(|key| queued(key, through, false)).collect();
    // The large ones come first.
    queue.push(Queued { visible_at: Instant::now() + Duration::from_secs(5), ..queued(&waiting, through, true) });
    serve(&world, queue, protection, 1).await
}

/// Lets the configurations begin now, and waits until they can be exported. Returns the boundary.
async fn pass_an_interval(world: &World) -> Timestamp {
    {
        let mut state = world.lock();
        let now = world.now();
        for configuration in state.configurations.values_mut() {
            configuration.start_from = now;
            configuration.connection = Connection::Success { checked_at: now };
        }
        state.bucket_latency = BUCKET_LATENCY;
        state.bucket("silent-bucket").silent_until.0 = Timestamp::MAX;
    }
    sleep(INTERVAL.duration() + MIN_SETTLE).await;
    world.now().saturating_sub(MIN_SETTLE)
}

fn queued(key: &ConfigurationKey, through: Timestamp, is_others: bool) -> Queued {
    let request = RunRequest::new(key.clone(), through, RunTrigger::Schedule);
    Queued { request, visible_at: Instant::now(), tries: 0, is_others }
}

/// Creates the configurations of the disturbance.
fn disturb(world: &Arc<World>, disturbance: Disturbance) -> Option<Vec<ConfigurationKey>> {
    let keys: Vec<ConfigurationKey> = match disturbance {
        Disturbance::Nothing => Vec::new(),
        Disturbance::Flood => {
            let keys: Vec<_> = (0..FLOOD).filter_map(|_| create_configuration(world, OTHERS)).collect();
            world.lock().untrusting.extend(keys.iter().cloned());
            keys
        }
        Disturbance::SilentRegion => {
            let keys: Vec<_> = (0..SILENT).filter_map(|number| create_configuration(world, OTHERS + number)).collect();
            let destination = Destination {
                bucket_name: BucketName::parse("silent-bucket").ok()?,
                bucket_path: None,
                site: Region::parse("eu-south-2").ok()?.into(),
                kms_key_arn: None,
                expected_bucket_owner: None,
                layout: Layout::default(),
            };
            let mut state = world.lock();
            for key in &keys {
                state.configurations.get_mut(key)?.destination = destination.clone();
            }
            keys
        }
    };
    Some(keys)
}

/// Processes messages in any order until those of the others are done.
async fn serve(world: &Arc<World>, queue: Vec<Queued>, protection: Protection, others: usize) -> Option<Duration> {
    let started_at = Instant::now();
    let queue = Arc::new(std::sync::Mutex::new((queue, others)));
    let slots: Vec<_> =
        (0..SLOTS).map(|slot| tokio::spawn(work(Arc::clone(world), Arc::clone(&queue), protection, slot))).collect();
    let lock = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    while lock().1 > 0 && started_at.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100)).await;
    }
    let is_done = lock().1 == 0;
    for slot in &slots {
        slot.abort();
    }
    is_done.then(|| started_at.elapsed())
}

async fn work(
    world: Arc<World>,
    queue: Arc<std::sync::Mutex<(Vec<Queued>, usize)>>,
    protection: Protection,
    slot: usize,
) {
    let max_runs = protection.max_runs_per_tenant;
    let lock = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut number = 0_u64;
    loop {
        let taken = {
            let mut queue = lock();
            let visible: Vec<usize> = (0..queue.0.len())
                .filter(|index| queue.0.get(*index).is_some_and(|message| message.visible_at <= Instant::now()))
                .collect();
            let pick = usize::try_from(world.lock().chance.below(visible.len() as u64)).unwrap_or(0);
            visible.get(pick).map(|index| queue.0.swap_remove(*index))
        };
        let Some(mut message) = taken else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        number += 1;
        message.tries += 1;
        let ports = Ports::new(&world, Duration::ZERO, RELEASE);
        let outcome = invoke_with(&ports, &message.request, max_runs, &format!("slot-{slot}-{number}")).await;
        let mut queue = lock();
        match outcome {
            Ok(RunOutcome::Deferred { reason, next }) => {
                let wait = match reason {
                    DeferralReason::NoFreeShare => Duration::from_secs(15),
                    DeferralReason::RegionUnreachable { until } => until.saturating_since(world.now()),
                };
                queue.0.push(Queued { request: next, visible_at: Instant::now() + wait, tries: 0, ..message });
            }
            Ok(RunOutcome::Paused { next: Some(next), had_last_share, .. }) => {
                let wait = if had_last_share { protection.pause } else { Duration::ZERO };
                queue.0.push(Queued { request: next, visible_at: Instant::now() + wait, tries: 0, ..message });
            }
            // The tenant repeats the request at once.
            Ok(_) if !message.is_others => queue.0.push(Queued { visible_at: Instant::now(), tries: 0, ..message }),
            Ok(_) => queue.1 -= 1,
            Err(_) => {
                let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(message.tries - 1)).min(MAX_RETRY);
                queue.0.push(Queued { visible_at: Instant::now() + wait, ..message });
            }
        }
    }
}
