//! The world outside of the processes: tables, buckets, the queue, and time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    block::{BlockId, Shard, StoredBlock},
    circuit::Circuit,
    configuration::{ConfigurationKey, ExportConfiguration, region::Region},
    digest::DigestObject,
    export_run::{ExportState, RunRequest, RunTrigger, WindowId, WindowRecord},
    notice::gap::SignedGap,
    ocsf::Class,
    repair::{Repair, RepairRequest},
    replay::Replay,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{PortError, SealedDigest};
use tokio::time::{Instant, sleep};

use crate::{
    archive::ArchiveState,
    bug::KnownBug,
    faults::{Chance, Fate, Weather},
    ports::OcsfFiles,
};

/// Makes the seed of filters another one than those of a history and its formats.
const FILTER_SEED: u64 = 0x0F11_7E85;

/// The same for OCSF.
const OCSF_SEED: u64 = 0x0C5F_0C5F;
/// The same for the archive.
const ARCHIVE_SEED: u64 = 0xA7C4_17E5;
/// The same for the erasure.
const ERASURE_SEED: u64 = 0xE7A5_07E5;
/// The same for lost registry rows.
const ROW_SEED: u64 = 0x0105_7209;

/// The time after which a caller gives up.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A world, which its processes share.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<WorldState>,
    origin: Timestamp,
    started: Instant,
    pub(crate) bug: Option<KnownBug>,
}

#[derive(Debug)]
pub(crate) struct WorldState {
    pub(crate) chance: Chance,
    /// Decides on formats alone, so that histories without another format stay as they are.
    pub(crate) format_chance: Chance,
    /// Decides on filters alone, for the same reason.
    pub(crate) filter_chance: Chance,
    /// Decides on OCSF alone, for the same reason.
    pub(crate) ocsf_chance: Chance,
    pub(crate) ocsf_files: OcsfFiles,
    /// Decides on the archive alone, for the same reason.
    pub(crate) archive_chance: Chance,
    /// Decides on lost registry rows alone, for the same reason.
    pub(crate) row_chance: Chance,
    pub(crate) archive: ArchiveState,
    /// Decides on the erasure of a tenant alone, for the same reason.
    pub(crate) erasure_chance: Chance,
    pub(crate) erasure: ErasureState,
    pub(crate) weather: Weather,
    /// The events table.
    pub(crate) blocks: BTreeMap<(TenantId, Shard), BTreeMap<BlockId, StoredBlock>>,
    /// Every block that was ever stored, deleted or not. All of them have to be delivered.
    pub(crate) landed: BTreeMap<TenantId, BTreeMap<BlockId, Bytes>>,
    pub(crate) configurations: BTreeMap<ConfigurationKey, ExportConfiguration>,
    /// Replays, by their keys as exports of their own.
    pub(crate) replays: BTreeMap<ConfigurationKey, Replay>,
    pub(crate) runs: BTreeMap<ConfigurationKey, RunItems>,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// What exports have written, by bucket and key, whatever customers did to it since.
    pub(crate) written: BTreeMap<(String, String), Bytes>,
    pub(crate) uploads: HashMap<String, PendingUpload>,
    pub(crate) queue: Vec<Message<RunRequest>>,
    pub(crate) dead_letters: Vec<Message<RunRequest>>,
    /// The last repair of each configuration.
    pub(crate) repairs: BTreeMap<ConfigurationKey, Repair>,
    /// The files that repairs wrote because they were missing or altered.
    pub(crate) repaired: u64,
    pub(crate) repair_queue: Vec<Message<RepairRequest>>,
    /// The sequences before which digests and records have expired.
    pub(crate) expired_before: BTreeMap<ConfigurationKey, u64>,
    /// Messages that were deleted while another run of the same message was in progress.
    pub(crate) left_to_itself: BTreeSet<u64>,
    /// Broken promises that were noticed during the history.
    pub(crate) violations: Vec<String>,
    /// The newest gap that each export has signed.
    pub(crate) signed_gaps: BTreeMap<ConfigurationKey, SignedGap>,
    /// Configurations whose destination was edited.
    pub(crate) edited: BTreeSet<ConfigurationKey>,
    /// The times from which time to live may delete blocks, by the retention of their writers.
    pub(crate) expires_at: BTreeMap<(TenantId, BlockId), Timestamp>,
    /// The values of `RetentionDays`, and the times from which they are in force.
    pub(crate) retentions: Vec<(Timestamp, Duration)>,
    pub(crate) retention_history: RetentionHistory,
    /// Blocks that somebody damaged or deleted.
    pub(crate) damaged: BTreeSet<(TenantId, BlockId)>,
    /// Blocks that runs reported as corrupt, whether or not that was stored.
    pub(crate) reported: BTreeSet<(TenantId, BlockId)>,
    /// The stored records of corrupt blocks, and whether an operator has approved to skip them.
    pub(crate) corrupt_blocks: BTreeMap<(TenantId, BlockId), bool>,
    pub(crate) shares: BTreeMap<(TenantId, RunTrigger, u32), (String, Timestamp)>,
    pub(crate) circuits: BTreeMap<Region, Circuit>,
    /// The latest time of each configuration through which runs that held the lease were asked to export.
    pub(crate) tried_through: BTreeMap<ConfigurationKey, Timestamp>,
    /// Configurations whose role can't be assumed.
    pub(crate) untrusting: BTreeSet<ConfigurationKey>,
    /// Configurations whose role everybody may assume, and the end of that time.
    pub(crate) open_roles: BTreeMap<ConfigurationKey, Timestamp>,
    /// The version of each configuration that changed its connection last.
    pub(crate) reconnected: BTreeMap<ConfigurationKey, u64>,
    /// The connections whose role was refused to others, by the version that changed them.
    pub(crate) tested: BTreeSet<(ConfigurationKey, u64)>,
    /// The latency of requests to buckets.
    pub(crate) bucket_latency: Duration,
    next_number: u64,
}

#[derive(Debug)]
pub(crate) struct HeldLease {
    pub(crate) holder: String,
    /// The message that its holder works on.
    pub(crate) message: String,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct RunItems {
    pub(crate) state: ExportState,
    pub(crate) lease: Option<HeldLease>,
    /// By window, first block and class.
    pub(crate) intents: BTreeMap<(WindowId, BlockId, Option<Class>), DigestObject>,
    pub(crate) digests: BTreeMap<u64, SealedDigest>,
    pub(crate) records: Vec<WindowRecord>,
    /// Sequences whose intents have an expiry. No run finds them any more, because time to live may delete them at once.
    pub(crate) expired_intents: BTreeSet<u64>,
    /// Sequences whose digests have an expiry.
    pub(crate) expired_digests: BTreeSet<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Bytes>,
    /// The time until which it answers 503.
    pub(crate) busy_until: Timestamp0,
    /// The time until which it answers 403.
    pub(crate) denied_until: Timestamp0,
    /// The time until which it does not answer.
    pub(crate) silent_until: Timestamp0,
}

/// A time whose default is the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp0(pub(crate) Timestamp);

impl Default for Timestamp0 {
    fn default() -> Self {
        Self(Timestamp::EPOCH)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PendingUpload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u16, Bytes>,
}

/// A message of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Message<R> {
    pub(crate) number: u64,
    pub(crate) request: R,
    /// The attempt of the replay that it continues; 0: it is no replay's.
    pub(crate) attempt: u32,
    /// True if it is in a queue of the converter.
    pub(crate) converts: bool,
    pub(crate) visible_at: Timestamp,
    pub(crate) tries: u32,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<KnownBug>, origin: Timestamp) -> Arc<Self> {
        let mut chance = Chance::new(seed);
        let weather = Weather::draw(&mut chance);
        let state = WorldState {
            chance,
            format_chance: Chance::new(!seed),
            filter_chance: Chance::new(seed.rotate_left(32) ^ FILTER_SEED),
            ocsf_chance: Chance::new(seed.rotate_left(16) ^ OCSF_SEED),
            ocsf_files: OcsfFiles::default(),
            archive_chance: Chance::new(seed.rotate_left(16) ^ ARCHIVE_SEED),
            row_chance: Chance::new(seed.rotate_left(16) ^ ROW_SEED),
            archive: ArchiveState::default(),
            erasure_chance: Chance::new(seed.rotate_left(16) ^ ERASURE_SEED),
            erasure: ErasureState::default(),
            weather,
            blocks: BTreeMap::new(),
            landed: BTreeMap::new(),
            configurations: BTreeMap::new(),
            replays: BTreeMap::new(),
            runs: BTreeMap::new(),
            buckets: BTreeMap::new(),
            written: BTreeMap::new(),
            uploads: HashMap::new(),
            queue: Vec::new(),
            dead_letters: Vec::new(),
            repairs: BTreeMap::new(),
            repaired: 0,
            repair_queue: Vec::new(),
            expired_before: BTreeMap::new(),
            left_to_itself: BTreeSet::new(),
            violations: Vec::new(),
            signed_gaps: BTreeMap::new(),
            edited: BTreeSet::new(),
            expires_at: BTreeMap::new(),
            retentions: Vec::new(),
            retention_history: RetentionHistory::default(),
            damaged: BTreeSet::new(),
            reported: BTreeSet::new(),
            corrupt_blocks: BTreeMap::new(),
            shares: BTreeMap::new(),
            circuits: BTreeMap::new(),
            tried_through: BTreeMap::new(),
            untrusting: BTreeSet::new(),
            open_roles: BTreeMap::new(),
            reconnected: BTreeMap::new(),
            tested: BTreeSet::new(),
            bucket_latency: Duration::ZERO,
            next_number: 0,
        };
        Arc::new(Self { state: Mutex::new(state), origin, started: Instant::now(), bug })
    }

    pub(crate) fn has(&self, bug: KnownBug) -> bool {
        self.bug == Some(bug)
    }

    /// Returns the true time. Processes have their own clocks.
    pub(crate) fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.started.elapsed())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, WorldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call over the network, which may be slow, fail, be repeated by the client, or take effect late.
    pub(crate) async fn call<T, E>(self: &Arc<Self>, operation: &'static str, effect: E) -> Result<T, PortError>
    where
        T: Send + 'static,
        E: Fn(&mut WorldState) -> Result<T, PortError> + Send + 'static,
    {
        let (latency, fate, repeats) = {
            let mut state = self.lock();
            let is_slow = state.chance.happens(60);
            let latency = is_slow.then(|| state.chance.between(Duration::from_millis(1), Duration::from_secs(4)));
            let weather = state.weather;
            (latency, weather.fate(&mut state.chance), state.chance.happens(500))
        };
        match latency {
            Some(latency) => sleep(latency).await,
            None => tokio::task::yield_now().await,
        }
        match fate {
            Fate::Works => effect(&mut self.lock()),
            Fate::FailsBefore if repeats => effect(&mut self.lock()),
            Fate::FailsBefore => Err(PortError::transient(operation, "failed before its effect")),
            Fate::FailsAfter => {
                let first = effect(&mut self.lock());
                tokio::task::yield_now().await;
                if repeats {
                    effect(&mut self.lock())
                } else {
                    first.and(Err(PortError::transient(operation, "failed after its effect")))
                }
            }
            Fate::LandsLate(delay) => {
                let world = Arc::clone(self);
                tokio::spawn(async move {
                    sleep(delay).await;
                    // The caller has given up.
                    drop(effect(&mut world.lock()));
                });
                sleep(CALL_TIMEOUT).await;
                Err(PortError::transient(operation, "timed out; may land later"))
            }
        }
    }
}

impl WorldState {
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(crate) fn enqueue(&mut self, request: RunRequest, visible_at: Timestamp) {
        self.enqueue_attempt(request, 0, visible_at);
    }

    /// Sends a message of this attempt of a replay, or of an export if it is 0.
    pub(crate) fn enqueue_attempt(&mut self, request: RunRequest, attempt: u32, visible_at: Timestamp) {
        let number = self.number();
        self.queue.push(Message { number, request, attempt, converts: false, visible_at, tries: 0 });
    }

    /// Sends the rest of the work of a message to the exporter or the converter.
    pub(crate) fn enqueue_next(
        &mut self,
        request: RunRequest,
        of: &Message<RunRequest>,
        converts: bool,
        visible_at: Timestamp,
    ) {
        let number = self.number();
        self.queue.push(Message { number, request, attempt: of.attempt, converts, visible_at, tries: 0 });
    }

    pub(crate) fn enqueue_repair(&mut self, request: RepairRequest, converts: bool, visible_at: Timestamp) {
        let number = self.number();
        self.repair_queue.push(Message { number, request, attempt: 0, converts, visible_at, tries: 0 });
    }

    pub(crate) fn store_block(&mut self, tenant: &TenantId, shard: Shard, block: StoredBlock, raw: Bytes) {
        self.landed.entry(tenant.clone()).or_default().insert(block.id, raw);
        self.blocks.entry((tenant.clone(), shard)).or_default().insert(block.id, block);
    }

    /// Returns the retention of a process that was deployed by `time`.
    pub(crate) fn retention_at(&self, time: Timestamp) -> Option<Duration> {
        self.retentions
            .iter()
            .rev()
            .find(|(from, _)| *from <= time)
            .or(self.retentions.first())
            .map(|(_, length)| *length)
    }

    /// Returns whether the table has the block as it was stored, or the archive has it instead of the table.
    pub(crate) fn is_sound(&self, tenant: &TenantId, id: BlockId) -> bool {
        let of_tenant = self.blocks.iter().filter(|((owner, _), _)| owner == tenant);
        let mut found = of_tenant.filter_map(|(_, blocks)| blocks.get(&id));
        found.next().map_or_else(|| self.archive.has(tenant, id), |block| block.check(tenant).is_ok())
    }

    /// Checks the tenet of the archive: a block whose full expiry is not over is in the table or in a segment that counts, unless
    /// somebody damaged it. What was lost because archiver and rescue were dead has to stop its readers.
    pub(crate) fn check_kept(&mut self, now: Timestamp) {
        let is_in_table = |tenant: &TenantId, id| {
            Shard::ALL
                .iter()
                .any(|shard| self.blocks.get(&(tenant.clone(), *shard)).is_some_and(|blocks| blocks.contains_key(id)))
        };
        let archive = &self.archive;
        let landed = self
            .landed
            .iter()
            .filter(|(tenant, _)| !self.erasure.concerns(tenant))
            .flat_map(|(tenant, blocks)| blocks.keys().map(move |id| (tenant, id)));
        let lost = landed
            .filter(|(tenant, id)| {
                let name = ((*tenant).clone(), **id);
                archive.full_expires_at.get(&name).is_some_and(|end| *end > now) && !self.damaged.contains(&name)
            })
            .filter(|(tenant, id)| !is_in_table(tenant, id) && !archive.has(tenant, **id))
            .find(|(tenant, id)| !(archive.may_lose && archive.refuses(tenant, **id, now)));
        if let Some((tenant, id)) = lost {
            self.violations.push(format!("{id} of {tenant} is neither in the table nor in the archive"));
        }
    }

    /// Returns the version that changed the connection of a configuration last. `None`: it is newer than `read`.
    pub(crate) fn connection_of(&self, key: &ConfigurationKey, read: u64) -> Option<u64> {
        let version = self.reconnected.get(key).copied().unwrap_or_default();
        (version <= read).then_some(version)
    }

    pub(crate) fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.buckets.entry(name.to_owned()).or_default()
    }
}

/// The tenant that is erased, from the beginning until everything has ended that was in progress.
#[derive(Debug, Default)]
pub(crate) struct ErasureState {
    pub(crate) erased: Option<ErasedTenant>,
    /// The segments that were erased, in all buckets.
    pub(crate) segments: u64,
    /// The exports of the tenant as they were when they were erased. What they delivered stays in the customer's bucket.
    pub(crate) exports: BTreeMap<ConfigurationKey, RunItems>,
    /// The blocks that these exports could read, once the erasure has ended.
    pub(crate) landed: BTreeMap<BlockId, Bytes>,
}

#[derive(Clone, Debug)]
pub(crate) struct ErasedTenant {
    pub(crate) tenant: TenantId,
    /// True if its access is revoked, as docs/OPERATIONS.md demands.
    pub(crate) is_revoked: bool,
}

impl ErasureState {
    /// Returns whether the tenant is being erased.
    pub(crate) fn concerns(&self, tenant: &TenantId) -> bool {
        self.erased.as_ref().is_some_and(|erased| erased.tenant == *tenant)
    }

    /// Returns whether ingest refuses the tenant's events.
    pub(crate) fn refuses(&self, tenant: &TenantId) -> bool {
        self.concerns(tenant) && self.erased.as_ref().is_some_and(|erased| erased.is_revoked)
    }
}
