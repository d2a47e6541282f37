//! One history: who does what, when.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    block::{BlockId, INGEST_WRITE_BOUND, SHARDS, SIGNATURE_LIFETIME, Shard, StoredBlock, encode_block},
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
use export_engine::{
    MAX_PAGES,
    message::while_hidden,
    ports::ErrorKind,
    retention::observe_retention,
    run::{DeferralReason, EngineSettings, ExportEngine, RunOutcome},
};
use tokio::time::sleep;

use crate::{
    bug::KnownBug,
    check,
    faults::{Weather, millis},
    ports::{PAGE_BLOCKS, Ports, Received, Release},
    process::{Doom, Process},
    world::{Message, World, WorldState},
};

/// When histories begin: twice an interval before midnight, so that each crosses a day.
pub(crate) const ORIGIN: &str = "2026-11-21T20:00:00Z";
pub(crate) const INTERVAL: ExportInterval = ExportInterval::Every2Hours;

/// Slots in which things go wrong, and slots in which nothing does: the promises have to hold after those.
const STORM_SLOTS: u32 = 4;
const CALM_SLOTS: u32 = 3;

/// By how much the clocks of two processes may differ here. Half of it goes either way of [`Ports::ahead`].
const SKEW: Duration = MAX_CLOCK_SKEW;

/// How long the queue hides a message whose process died before it said how long.
const VISIBILITY: Duration = Duration::from_mins(36);

/// How long a Lambda invocation may take.
const INVOCATION: Duration = Duration::from_mins(6);

/// By how much sooner than it is deleted a block counts as gone: longer than a process lives, frozen or not.
const GRACE_MARGIN: Duration = Duration::from_mins(45);

/// A retention that no history outlasts.
pub(crate) const LONG_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The retentions of histories in which it ends.
const SHORT_RETENTIONS: [Duration; 2] = [Duration::from_hours(3), Duration::from_hours(9)];

/// How long a deploy takes to reach every process, and what the engine reckons with.
const DEPLOY: Duration = Duration::from_mins(10);
const DEPLOY_MARGIN: Duration = Duration::from_mins(15);

/// How many runs of a tenant and trigger may go on at the same time.
pub(crate) const RUNS_PER_TENANT: u32 = 2;

/// How long a run waits that was deferred.
const DEFERRAL: Duration = Duration::from_secs(15);

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
#[expect(clippy::struct_excessive_bools, reason = "what happens in a history is drawn one by one")]
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
    /// Somebody damages a block.
    damage: bool,
    /// The outage never ends.
    hopeless: bool,
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
    tokio::spawn(sweep(Arc::clone(&world)));
    tokio::spawn(disturb(Arc::clone(&world), scenario, keys.clone(), storm));
    tokio::spawn(damage(Arc::clone(&world), scenario, storm));
    tokio::spawn(operate(Arc::clone(&world)));
    let counters = Arc::new(std::sync::Mutex::new(Counters::default()));
    tokio::spawn(consume(Arc::clone(&world), scenario, Arc::clone(&counters)));

    sleep(storm).await;
    calm_down(&world, &scenario, &keys);
    // The last slot's messages have a settling time and a try or two to be done.
    sleep(INTERVAL.duration() * CALM_SLOTS + scenario.settle + VISIBILITY).await;

    let through = world.now().saturating_sub(scenario.settle + VISIBILITY).floor_to(INTERVAL.duration());
    let counters = *counters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let state = world.lock();
    let question = check::Question {
        through,
        gaps_are_possible: scenario.retention < LONG_RETENTION,
        lost_through: scenario.hopeless.then(|| through.saturating_sub(scenario.retention)),
        runs: counters.runs,
        crashes: counters.crashes,
    };
    check::verdict(&state, &keys, &question)
}

fn draw_scenario(world: &World) -> Scenario {
    let mut state = world.lock();
    let chance = &mut state.chance;
    let short_retention = chance.happens(200);
    let retention = if short_retention { SHORT_RETENTIONS[0] } else { LONG_RETENTION };
    let hopeless = short_retention && chance.happens(250);
    let mut retentions = vec![(Timestamp::EPOCH, retention)];
    if short_retention && !hopeless && chance.happens(700) {
        // Raised, lowered, or both.
        let first = usize::try_from(chance.below(2)).unwrap_or(0);
        let changes = 1 + chance.below(3);
        retentions = vec![(Timestamp::EPOCH, SHORT_RETENTIONS[first])];
        let mut at = Duration::ZERO;
        for number in 1..=usize::try_from(changes).unwrap_or(1) {
            // Each stays in force from one dispatch to the next at least: docs/SEMANTICS.md, known limits.
            at += chance.between(INTERVAL.duration() + DEPLOY * 2, Duration::from_hours(4));
            retentions.push((world.now().saturating_add(at), SHORT_RETENTIONS[(first + number) % 2]));
        }
    }
    state.retentions = retentions;
    let chance = &mut state.chance;
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
        damage: chance.happens(250),
        hopeless,
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
    let start_from = match state.chance.below(8) {
        0 | 1 => Timestamp::EPOCH,
        // Mostly of before the retention.
        2 => now.saturating_sub(state.chance.between(Duration::from_hours(1), LONG_RETENTION * 2)),
        _ => now,
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
        start_from,
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
            let mut state = writer.lock();
            let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
            if let Some(retention) = state.retention_at(stamp.saturating_sub(deployed_by)) {
                let expires_at = stamp.saturating_add(retention + scenario.grace);
                state.expires_at.insert((tenant.clone(), id), expires_at);
            }
            state.store_block(&tenant, shard, block, Bytes::from(raw));
        });
    }
}

/// One message for each enabled configuration and slot; some come twice or late.
async fn schedule(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>) {
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
                    // The schedule's clock may be ahead of the worker's.
                    SKEW
                };
                let request = RunRequest::new(key.clone(), through, RunTrigger::Schedule);
                state.enqueue(request, now.saturating_add(delay));
            }
            if state.chance.happens(300) {
                // Somebody asks for a run in the same moment.
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

/// A dispatch sees the retention that is in force. One that fails is left to the next.
async fn observe(world: &Arc<World>) {
    let retention = {
        let mut state = world.lock();
        let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
        state.retention_at(world.now().saturating_sub(deployed_by))
    };
    let limits = PlanLimits::CURRENT;
    let ports = Ports::new(world, Duration::ZERO, Release { encoder_version: EncoderVersion::CURRENT, limits });
    if let Some(retention) = retention {
        drop(observe_retention(&ports, retention, &ports).await);
    }
}

/// The table's time to live: what is long past its retention goes, at some time.
async fn sweep(world: Arc<World>) {
    loop {
        sleep(Duration::from_mins(17)).await;
        let now = world.now();
        let mut state = world.lock();
        let WorldState { blocks, expires_at, .. } = &mut *state;
        for ((tenant, _), blocks) in blocks {
            blocks.retain(|id, _| expires_at.get(&(tenant.clone(), *id)).is_none_or(|end| *end > now));
        }
    }
}

/// Somebody damages a block of the table, and later restores it, or deletes it after a run has found it.
async fn damage(world: Arc<World>, scenario: Scenario, storm: Duration) {
    if !scenario.damage {
        return;
    }
    let (at, until, restores) = {
        let mut state = world.lock();
        let until = state.chance.between(Duration::from_mins(30), Duration::from_hours(5));
        (state.chance.between(Duration::ZERO, storm), until, state.chance.happens(300))
    };
    sleep(at).await;
    let Some((partition, sound)) = damage_newest(&mut world.lock()) else { return };
    sleep(until).await;
    let mut state = world.lock();
    let is_reported = state.reported.contains(&(partition.0.clone(), sound.id));
    let Some(blocks) = state.blocks.get_mut(&partition) else { return };
    if restores && blocks.contains_key(&sound.id) {
        blocks.insert(sound.id, sound);
    } else if is_reported {
        blocks.remove(&sound.id);
    }
}

/// Damages the newest block of the table. Returns where it lies, and what it was.
fn damage_newest(state: &mut WorldState) -> Option<((TenantId, Shard), StoredBlock)> {
    let all = state.blocks.iter().flat_map(|(partition, blocks)| blocks.values().map(move |block| (partition, block)));
    let (partition, sound) = all.max_by_key(|(_, block)| block.id)?;
    let (partition, sound) = (partition.clone(), sound.clone());
    let damaged = StoredBlock { crc32: !sound.crc32, ..sound.clone() };
    state.damaged.insert((partition.0.clone(), sound.id));
    state.blocks.get_mut(&partition)?.insert(sound.id, damaged);
    Some((partition, sound))
}

/// An operator, who looks now and then at what was found corrupt, and approves to leave it out.
async fn operate(world: Arc<World>) {
    loop {
        sleep(Duration::from_mins(20)).await;
        let mut state = world.lock();
        if state.chance.happens(500) {
            continue;
        }
        let unsound: Vec<_> =
            state.corrupt_blocks.keys().filter(|(tenant, id)| !state.is_sound(tenant, *id)).cloned().collect();
        for name in unsound {
            state.corrupt_blocks.insert(name, true);
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
            let kind = state.chance.below(5);
            for bucket in BUCKETS {
                let bucket = state.bucket(bucket);
                match kind {
                    0 => bucket.silent_until.0 = until,
                    1 => bucket.busy_until.0 = until,
                    _ => bucket.denied_until.0 = until,
                }
            }
        }
    }
}

/// Nothing goes wrong any more; an operator redrives the dead letters.
fn calm_down(world: &World, scenario: &Scenario, keys: &[ConfigurationKey]) {
    let now = world.now();
    let mut state = world.lock();
    state.weather = Weather::default();
    for bucket in BUCKETS {
        let bucket = state.bucket(bucket);
        bucket.busy_until.0 = now;
        bucket.silent_until.0 = now;
        bucket.denied_until.0 = if scenario.hopeless { Timestamp::MAX } else { now };
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
    let weather = state.weather;
    // At least once: now and then one that is hidden is delivered again.
    let sees_hidden = state.chance.happens(weather.message_doubles);
    let visible: Vec<usize> = (0..state.queue.len())
        .filter(|index| {
            state
                .queue
                .get(*index)
                .is_some_and(|message| message.visible_at <= now || (sees_hidden && message.tries > 0))
        })
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

/// A process with its clock and its release, what will become of it, and its name.
fn start_process(world: &Arc<World>) -> (Ports, Doom, String) {
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
}

/// One invocation of the exporter. `true`: it died.
async fn invoke(world: &Arc<World>, scenario: Scenario, message: &Message) -> bool {
    let (ports, doom, holder) = start_process(world);
    let (retention, settle) = {
        let mut state = world.lock();
        let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
        let retention = state.retention_at(world.now().saturating_sub(deployed_by)).unwrap_or(scenario.retention);
        // The operator has it higher for a while.
        let is_calm = state.weather.message_doubles == 0;
        let settle = if is_calm || state.chance.happens(900) { scenario.settle } else { scenario.settle + DEPLOY };
        (retention, settle)
    };
    let engine = ExportEngine {
        configurations: &ports,
        runs: &ports,
        blocks: &ports,
        connector: &ports,
        signer: &ports,
        clock: &ports,
        settings: EngineSettings {
            settle,
            retention,
            history: Duration::ZERO,
            grace: scenario.grace.saturating_sub(GRACE_MARGIN),
            deploy_margin: DEPLOY_MARGIN,
            max_runs_per_tenant: RUNS_PER_TENANT,
            encoder_version: ports.release.encoder_version,
            limits: ports.release.limits,
        },
        holder: &holder,
        message: &message.number.to_string(),
        deadline: world.now().saturating_add(INVOCATION),
    };
    let received = Received { ports: &ports, number: message.number };
    let work = while_hidden(&received, &ports, engine.run(&message.request));
    let outcome = Process::new(tokio::time::timeout(INVOCATION * 2, work), doom).await;
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
                    state.enqueue(next, now);
                }
                RunOutcome::Deferred { reason, next } => {
                    let until = match reason {
                        DeferralReason::NoFreeShare => now,
                        DeferralReason::RegionUnreachable { until } => until,
                    };
                    state.enqueue(next, until.max(now).saturating_add(DEFERRAL));
                }
                _ => {}
            }
            // At least once: now and then the deletion is lost.
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

/// A run that died with the lease is repeated before the next slot: no other run has deleted its message because this one was at
/// work on it, unless there is another message.
fn check_repetition(state: &mut WorldState, message: &Message, holder: &str) {
    let key = &message.request.key;
    let Some(items) = state.runs.get(key) else { return };
    let holds_lease = items.lease.as_ref().is_some_and(|lease| lease.holder == holder);
    let is_wanted = state.configurations.get(key).is_some_and(|configuration| configuration.enabled);
    let is_exported = items.state.exported_through() >= message.request.through;
    let is_left = state.left_to_itself.contains(&message.number);
    let is_queued = state.queue.iter().any(|queued| queued.request.key == *key);
    if holds_lease && is_wanted && !is_exported && is_left && !is_queued {
        state.violations.push(format!("{key}: a run died, and no message is left that asks for it"));
    }
}

/// What somebody asked the holder of the lease for is done, tried, or in the queue.
fn check_notes(state: &mut WorldState, ports: &Ports, request: &RunRequest) {
    let key = &request.key;
    // Of one that never held the lease, nothing was asked.
    let Some(tried_through) = ports.tried_through() else { return };
    let tried = state.tried_through.entry(key.clone()).or_insert(Timestamp::EPOCH);
    *tried = tried_through.max(request.through).max(*tried);
    let Some(items) = state.runs.get(key) else { return };
    let Some(noted) = items.state.rerun_through.filter(|noted| *noted > items.state.exported_through()) else { return };
    let is_tried = *tried >= noted;
    let is_wanted = state.configurations.get(key).is_some_and(|configuration| configuration.enabled);
    let is_queued = state.queue.iter().any(|message| message.request.key == *key);
    if items.lease.is_none() && !is_tried && is_wanted && !is_queued {
        state.violations.push(format!("{key}: a run through {noted} was asked for and forgotten"));
    }
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
