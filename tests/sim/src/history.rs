//! One history: who does what, when.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    block::{BlockId, INGEST_WRITE_BOUND, SHARDS, SIGNATURE_LIFETIME, Shard, encode_block},
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress,
        access_key::{AccessKeyId, SealedSecret},
        bucket::BucketName,
        region::Region,
    },
    connection::Connection,
    export_run::{MAX_CLOCK_SKEW, MIN_SETTLE, PlanLimits, RunRequest, RunTrigger},
    gzip::EncoderVersion,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export::{
    MAX_PAGES,
    ports::ErrorKind,
    run::{EngineSettings, ExportEngine, RunOutcome},
};
use tokio::time::sleep;

use crate::{
    bug::KnownBug,
    check,
    faults::{Weather, millis},
    ports::{PAGE_BLOCKS, Ports, Release},
    process::{Doom, Process},
    world::{Message, World},
};

/// When histories begin: twice an interval before midnight, so that each crosses a day.
pub(crate) const ORIGIN: &str = "2026-11-21T20:00:00Z";
pub(crate) const INTERVAL: ExportInterval = ExportInterval::Every2Hours;

/// Slots in which things go wrong, and slots in which nothing does: the promises have to hold after those.
const STORM_SLOTS: u32 = 4;
const CALM_SLOTS: u32 = 3;

/// By how much the clocks of two processes may differ here. Half of it goes either way of [`Ports::ahead`].
const SKEW: Duration = MAX_CLOCK_SKEW;

/// How long the queue hides a message that is being worked on.
const VISIBILITY: Duration = Duration::from_mins(90);

/// How long a Lambda invocation may take.
const INVOCATION: Duration = Duration::from_mins(15);

/// By how much sooner than it is deleted a block counts as gone: longer than a process lives, frozen or not.
const GRACE_MARGIN: Duration = Duration::from_mins(45);

/// A retention that no history outlasts.
pub(crate) const LONG_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Tries before a message becomes a dead letter.
const MAX_TRIES: u32 = 5;

/// How long the event source mapping waits after it found nothing.
const POLL: Duration = Duration::from_secs(30);

/// Processes that work at the same time.
const MAX_PROCESSES: usize = 3;

const BUCKETS: [&str; 2] = ["acme-first", "acme-second"];

/// What became of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Promises that were broken; none in a good history.
    pub violations: Vec<String>,
    pub blocks: usize,
    pub objects: usize,
    pub digests: usize,
    pub runs: u64,
    pub crashes: u64,
}

/// What one history is about.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    settle: Duration,
    retention: Duration,
    /// How long a block stays in the table after its retention.
    grace: Duration,
    blocks: u64,
    configurations: u64,
    edits: bool,
    outage: bool,
    deletion: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    runs: u64,
    crashes: u64,
}

/// Plays the history of a seed.
#[must_use]
pub fn run(seed: u64, bug: Option<KnownBug>) -> Verdict {
    in_simulated_time(play(seed, bug)).unwrap_or_else(|| Verdict {
        violations: vec!["the simulation could not start".to_owned()],
        ..Verdict::default()
    })
}

/// Runs `work` on one thread with a clock that jumps to whatever is awaited next. `None`: there is no runtime.
pub(crate) fn in_simulated_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    Some(runtime.ok()?.block_on(work))
}

async fn play(seed: u64, bug: Option<KnownBug>) -> Verdict {
    let origin = Timestamp::parse(ORIGIN).unwrap_or(Timestamp::EPOCH);
    let world = World::new(seed, bug, origin);
    let scenario = draw_scenario(&world);
    let keys = create_configurations(&world, &scenario);
    let storm = INTERVAL.duration() * STORM_SLOTS;

    ingest(&world, scenario, storm);
    tokio::spawn(schedule(Arc::clone(&world), scenario, keys.clone()));
    tokio::spawn(sweep(Arc::clone(&world), scenario));
    tokio::spawn(disturb(Arc::clone(&world), scenario, keys.clone(), storm));
    let counters = Arc::new(std::sync::Mutex::new(Counters::default()));
    tokio::spawn(consume(Arc::clone(&world), scenario, Arc::clone(&counters)));

    sleep(storm).await;
    calm_down(&world, &keys);
    // The last slot's messages have a settling time and a try or two to be done.
    sleep(INTERVAL.duration() * CALM_SLOTS + scenario.settle + VISIBILITY).await;

    let through = world.now().saturating_sub(scenario.settle + VISIBILITY).floor_to(INTERVAL.duration());
    let counters = *counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let state = world.lock();
    let question = check::Question {
        through,
        gaps_are_possible: scenario.retention < LONG_RETENTION,
        runs: counters.runs,
        crashes: counters.crashes,
    };
    check::verdict(&state, &keys, &question)
}

fn draw_scenario(world: &World) -> Scenario {
    let mut state = world.lock();
    let chance = &mut state.chance;
    let short_retention = chance.happens(150);
    let retention = if short_retention { Duration::from_hours(3) } else { LONG_RETENTION };
    Scenario {
        settle: if world.has(KnownBug::SettleOfZero) { Duration::ZERO } else { MIN_SETTLE },
        retention,
        // In the design it is two weeks; here it is short enough for the sweeper to come by.
        grace: if world.has(KnownBug::RetentionByDeletion) { Duration::ZERO } else { Duration::from_hours(2) },
        blocks: 4 + chance.below(24),
        configurations: 1 + u64::from(chance.happens(200)),
        edits: chance.happens(300),
        outage: chance.happens(350) || short_retention,
        deletion: chance.happens(100),
    }
}

fn create_configurations(world: &World, scenario: &Scenario) -> Vec<ConfigurationKey> {
    (0..scenario.configurations).filter_map(|number| create_configuration(world, number)).collect()
}

/// A configuration of the tenant of this number, from now on or from the earliest.
pub(crate) fn create_configuration(world: &World, number: u64) -> Option<ConfigurationKey> {
    let mut state = world.lock();
    let now = world.now();
    let key = ConfigurationKey {
        tenant_id: TenantId::parse(&format!("tenant-{number}")).ok()?,
        configuration_id: ConfigurationId::from_uuid(uuid::Uuid::from_u128(state.chance.bits())),
    };
    let configuration = ExportConfiguration {
        key: key.clone(),
        version: 1,
        description: None,
        interval: INTERVAL,
        enabled: true,
        destination: destination(0)?,
        authentication: Authentication::AccessKey {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").ok()?,
            secret: SealedSecret::from_ciphertext(Vec::new()),
        },
        user_arn: None,
        start_from: if state.chance.happens(250) { Timestamp::EPOCH } else { now },
        connection: Connection::Pending,
        progress: ExportProgress::default(),
        requested_through: None,
        requested_until: None,
        created_by: String::new(),
        created_at: now,
        updated_by: String::new(),
        updated_at: now,
    };
    state.configurations.insert(key.clone(), configuration);
    Some(key)
}

fn destination(bucket: usize) -> Option<Destination> {
    Some(Destination {
        bucket_name: BucketName::parse(BUCKETS.get(bucket)?).ok()?,
        bucket_path: None,
        region: Region::parse("us-east-1").ok()?,
        kms_key_arn: None,
        expected_bucket_owner: None,
    })
}

/// Blocks come at any time, most of them close to a boundary, and land as late as ingest's bounds permit.
fn ingest(world: &Arc<World>, scenario: Scenario, storm: Duration) {
    for _ in 0..scenario.blocks {
        let writer = Arc::clone(world);
        let (tenant, at, ahead, lateness) = {
            let mut state = world.lock();
            let chance = &mut state.chance;
            let tenant = TenantId::parse(&format!("tenant-{}", chance.below(scenario.configurations)));
            let boundary = INTERVAL.duration() * u32::try_from(chance.below(u64::from(STORM_SLOTS))).unwrap_or(0);
            let at = if chance.happens(400) {
                // The last and the first milliseconds of a slot, and so of a day.
                (boundary + INTERVAL.duration()).saturating_sub(Duration::from_millis(3))
                    + chance.between(Duration::ZERO, Duration::from_millis(6))
            } else {
                chance.between(Duration::ZERO, storm)
            };
            let ahead = chance.between(Duration::ZERO, SKEW);
            let latest = INGEST_WRITE_BOUND + SIGNATURE_LIFETIME;
            let lateness = if chance.happens(300) {
                chance.between(latest.saturating_sub(Duration::from_mins(1)), latest)
            } else {
                chance.between(Duration::ZERO, Duration::from_secs(2))
            };
            (tenant, at, ahead, lateness)
        };
        let Ok(tenant) = tenant else { continue };
        tokio::spawn(async move {
            sleep(at).await;
            // The clock that stamps is ahead of or behind the reader's by no more than the skew.
            let stamp = writer.now().saturating_add(ahead).saturating_sub(SKEW / 2);
            let (id, shard, lines) = {
                let mut state = writer.lock();
                let id = BlockId::from_parts(stamp, state.chance.bits());
                // Deploys change how many shards are written to.
                let shards = 1 + state.chance.below(u64::from(SHARDS));
                let shard = u8::try_from(state.chance.below(shards)).unwrap_or(0);
                (id, shard, 1 + state.chance.below(3))
            };
            let raw: Vec<String> = (0..lines).map(|line| format!("{{\"id\":\"{id}-{line}\"}}\n")).collect();
            let raw = raw.concat();
            let (Ok(shard), Ok(block)) = (Shard::new(shard), encode_block(&tenant, id, raw.as_bytes(), stamp, stamp))
            else {
                return;
            };
            sleep(lateness).await;
            writer.lock().store_block(&tenant, shard, block, Bytes::from(raw));
        });
    }
}

/// One message for each enabled configuration and slot; some come twice or late.
async fn schedule(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>) {
    sleep(scenario.settle).await;
    for _ in 0..=STORM_SLOTS + CALM_SLOTS {
        sleep(INTERVAL.duration()).await;
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
                    // The schedule's clock may be ahead of the worker's.
                    SKEW
                };
                let request = RunRequest { key: key.clone(), through, trigger: RunTrigger::Schedule };
                state.enqueue(request, now.saturating_add(delay));
            }
        }
    }
}

/// The table's time to live: what is long past its retention goes, at some time.
async fn sweep(world: Arc<World>, scenario: Scenario) {
    loop {
        sleep(Duration::from_mins(17)).await;
        let oldest = world.now().saturating_sub(scenario.retention + scenario.grace);
        let mut state = world.lock();
        for blocks in state.blocks.values_mut() {
            blocks.retain(|id, _| id.timestamp() >= oldest);
        }
    }
}

/// People and buckets: edits, pauses, outages.
async fn disturb(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>, storm: Duration) {
    let steps = 12;
    for _ in 0..steps {
        sleep(storm / (steps + 1)).await;
        let now = world.now();
        let mut state = world.lock();
        let pick = usize::try_from(state.chance.below(keys.len() as u64)).unwrap_or(0);
        let Some(key) = keys.get(pick) else { return };
        if scenario.edits && state.chance.happens(250) {
            let bucket = usize::try_from(state.chance.below(2)).unwrap_or(0);
            let toggles = state.chance.happens(400);
            let mut is_new_destination = false;
            if let Some(configuration) = state.configurations.get_mut(key) {
                configuration.version += 1;
                if toggles {
                    configuration.enabled = !configuration.enabled;
                } else if let Some(destination) = destination(bucket) {
                    is_new_destination = destination != configuration.destination;
                    configuration.destination = destination;
                    configuration.connection = Connection::Pending;
                }
            }
            if is_new_destination {
                state.edited.insert(key.clone());
            }
        }
        if scenario.deletion && state.chance.happens(60) {
            state.configurations.remove(key);
        }
        if scenario.outage && state.chance.happens(300) {
            let until = now.saturating_add(state.chance.between(Duration::from_mins(1), Duration::from_hours(7)));
            let is_denied = state.chance.happens(600);
            for bucket in BUCKETS {
                let bucket = state.bucket(bucket);
                if is_denied {
                    bucket.denied_until.0 = until;
                } else {
                    bucket.busy_until.0 = until;
                }
            }
        }
    }
}

/// Nothing goes wrong any more; an operator redrives the dead letters.
fn calm_down(world: &World, keys: &[ConfigurationKey]) {
    let now = world.now();
    let mut state = world.lock();
    state.weather = Weather::default();
    for bucket in BUCKETS {
        let bucket = state.bucket(bucket);
        bucket.busy_until.0 = now;
        bucket.denied_until.0 = now;
    }
    for key in keys {
        if let Some(configuration) = state.configurations.get_mut(key)
            && !configuration.enabled
        {
            configuration.enabled = true;
            configuration.version += 1;
        }
    }
    for request in std::mem::take(&mut state.dead_letters) {
        state.enqueue(request, now);
    }
}

/// The event source mapping: takes visible messages and starts a process for each.
async fn consume(world: Arc<World>, scenario: Scenario, counters: Arc<std::sync::Mutex<Counters>>) {
    let slots = Arc::new(tokio::sync::Semaphore::new(MAX_PROCESSES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Some(message) = take_message(&world) else {
            drop(slot);
            sleep(POLL).await;
            continue;
        };
        let (world, counters) = (Arc::clone(&world), Arc::clone(&counters));
        tokio::spawn(async move {
            let crashed = invoke(&world, scenario, &message).await;
            let mut counters = counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            counters.runs += 1;
            counters.crashes += u64::from(crashed);
            drop(slot);
        });
    }
}

fn take_message(world: &World) -> Option<Message> {
    let now = world.now();
    let mut state = world.lock();
    let visible: Vec<usize> = (0..state.queue.len())
        .filter(|index| state.queue.get(*index).is_some_and(|message| message.visible_at <= now))
        .collect();
    // A standard queue keeps no order.
    let pick = usize::try_from(state.chance.below(visible.len() as u64)).unwrap_or(0);
    let index = *visible.get(pick)?;
    let message = state.queue.get_mut(index)?;
    message.tries += 1;
    message.visible_at = now.saturating_add(VISIBILITY);
    if message.tries > MAX_TRIES {
        let message = state.queue.remove(index);
        state.dead_letters.push(message.request);
        return None;
    }
    Some(message.clone())
}

/// One invocation of the exporter. `true`: it died.
async fn invoke(world: &Arc<World>, scenario: Scenario, message: &Message) -> bool {
    let (ports, doom, holder) = {
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
        // Deploys change the sizes and the encoder, to and fro.
        let limits = PlanLimits {
            target_stored_length: 60 + state.chance.below(400),
            target_raw_length: 200 + state.chance.below(2_000),
            part_size: 40 + state.chance.below(200),
            max_objects: 2 + state.chance.below(6),
        };
        let encoder_version =
            if state.chance.happens(500) { EncoderVersion::Joining } else { EncoderVersion::Recompressing };
        let release = Release { encoder_version, limits };
        let holder = format!("invocation-{}", state.number());
        (Ports::new(world, ahead, release), doom, holder)
    };
    let engine = ExportEngine {
        configurations: &ports,
        runs: &ports,
        blocks: &ports,
        connector: &ports,
        signer: &ports,
        clock: &ports,
        settings: EngineSettings {
            settle: scenario.settle,
            retention: scenario.retention,
            grace: scenario.grace.saturating_sub(GRACE_MARGIN),
            encoder_version: ports.release.encoder_version,
            limits: ports.release.limits,
        },
        holder: &holder,
        deadline: world.now().saturating_add(INVOCATION),
    };
    let work = tokio::time::timeout(INVOCATION * 2, engine.run(&message.request));
    let outcome = Process::new(work, doom).await;
    let now = world.now();
    let mut state = world.lock();
    check_memory(&mut state.violations, &ports);
    let position = state.queue.iter().position(|queued| queued.number == message.number);
    match outcome {
        None | Some(Err(_)) => return true,
        Some(Ok(Ok(outcome))) => {
            if let RunOutcome::Paused { next, .. } = outcome {
                state.enqueue(next, now);
            }
            // At least once: now and then the deletion is lost.
            let weather = state.weather;
            if !state.chance.happens(weather.call_fails)
                && let Some(position) = position
            {
                state.queue.remove(position);
            }
        }
        Some(Ok(Err(error))) => {
            if error.kind == ErrorKind::Internal {
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

/// A process holds no more pages than it may.
fn check_memory(violations: &mut Vec<String>, ports: &Ports) {
    const MAX_BLOCK_LENGTH: usize = 200;
    let bound = MAX_PAGES * PAGE_BLOCKS * MAX_BLOCK_LENGTH;
    let peak = ports.peak_page_bytes();
    if peak > bound {
        violations.push(format!("a process held {peak} bytes of pages, more than {bound}"));
    }
}
