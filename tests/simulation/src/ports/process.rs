//! One process: its clock, its release and its memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{block::Shard, configuration::bucket::BucketName, time::Timestamp};
use export_engine::{
    message::ReceivedMessage,
    ports::PortError,
    run::{EnginePorts, EngineSettings, ExportEngine},
};
use host::{Clock, Machine, Timer};

use super::encoders::Release;
use crate::{
    archive::{OtherBucket, bucket},
    bug::KnownBug,
    world::{World, WorldState},
};

/// The blocks of one page of a shard.
pub(crate) const PAGE_BLOCKS: usize = 3;

/// The ports of one process.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) world: Arc<World>,
    /// The difference between the process's clock and the true time.
    pub(crate) ahead: Duration,
    pub(crate) release: Release,
    /// The bucket of the archive that the process was deployed with.
    pub(crate) archive_bucket: BucketName,
    /// True if the process works on repairs.
    pub(super) is_of_repair: bool,
    pub(super) memory: Arc<Memory>,
    /// The segments that this process has put, if it is one of the archiver.
    pub(super) put_segments: Arc<Mutex<BTreeMap<(String, String), Bytes>>>,
    /// The time through which this process was asked to export, once it held the lease.
    pub(super) tried_through: Arc<Mutex<Option<Timestamp>>>,
    /// The time of the requested run in the configuration that this process read.
    pub(super) asked_through: Arc<Mutex<Option<Timestamp>>>,
    pub(super) seen_shards: Arc<Mutex<BTreeSet<Shard>>>,
}

impl EnginePorts for Ports {
    type Configurations = Self;
    type Runs = Self;
    type Blocks = Self;
    type Connector = Self;
    type Signer = Self;
    type Encoders = Release;
    type Clock = Self;
}

impl Ports {
    pub(crate) fn new(world: &Arc<World>, ahead: Duration, release: Release) -> Self {
        let archive_bucket = bucket(world.lock().archive.other_bucket == OtherBucket::Now);
        Self {
            world: Arc::clone(world),
            ahead,
            release,
            archive_bucket,
            is_of_repair: false,
            memory: Arc::default(),
            put_segments: Arc::default(),
            tried_through: Arc::default(),
            asked_through: Arc::default(),
            seen_shards: Arc::default(),
        }
    }

    /// Returns the ports of a process that works on repairs.
    pub(crate) fn of_repair(self) -> Self {
        Self { is_of_repair: true, ..self }
    }

    /// Returns an engine over these ports for one invocation.
    pub(crate) fn engine<'a>(
        &'a self,
        settings: EngineSettings,
        holder: &'a str,
        message: &'a str,
        time_limit: Duration,
    ) -> ExportEngine<'a, Self> {
        ExportEngine {
            configurations: self,
            runs: self,
            blocks: self,
            connector: self,
            signer: self,
            encoders: &self.release,
            clock: self,
            settings,
            holder,
            message,
            deadline: self.world.now().saturating_add(time_limit),
        }
    }

    pub(super) fn has(&self, bug: KnownBug) -> bool {
        self.world.has(bug)
    }

    /// Returns the time through which this process was asked to export when it took the lease. `None`: it never held it.
    pub(crate) fn tried_through(&self) -> Option<Timestamp> {
        *self.tried_through.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the most bytes of pages that this process held at once.
    pub(crate) fn peak_page_bytes(&self) -> usize {
        self.memory.peak.load(Ordering::Relaxed)
    }
}

/// The bytes of pages that a process holds.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// Bytes that are counted until they are dropped.
pub(super) struct Held {
    bytes: Bytes,
    memory: Arc<Memory>,
}

impl Held {
    pub(super) fn track(bytes: Bytes, memory: &Arc<Memory>) -> Bytes {
        let held = memory.held.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        memory.peak.fetch_max(held, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, memory: Arc::clone(memory) })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
/// A received message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) number: u64,
}

impl ReceivedMessage for Received<'_> {
    async fn show_after(&self, delay: Duration) -> Result<(), PortError> {
        let (world, number) = (Arc::clone(&self.ports.world), self.number);
        let effect = move |state: &mut WorldState| {
            if let Some(queued) = state.queue.iter_mut().find(|queued| queued.number == number) {
                queued.visible_at = world.now().saturating_add(delay);
            }
            if let Some(queued) = state.repair_queue.iter_mut().find(|queued| queued.number == number) {
                queued.visible_at = world.now().saturating_add(delay);
            }
            Ok(())
        };
        self.ports.world.call("show message", effect).await
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.world.now().saturating_add(self.ahead)
    }
}

impl Timer for Ports {
    async fn sleep(&self, duration: Duration) {
        Machine.sleep(duration).await;
    }
}
