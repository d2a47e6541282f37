//! The services of ingest, in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_adapters::{
    event_queue::Redelivery,
    events::writer::{AcceptedBefore, IdempotencyRecord, MAX_TRANSACTION_ITEMS, StoreOutcome, WriteError},
};
use domain::{
    block::{BlockId, Shard, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use host::{Clock, Random};

use crate::ports::{BlockWriter, MessageQueue};

/// A writer with the rules of the events table.
#[derive(Default)]
pub(super) struct MemoryWriter {
    pub(super) blocks: Mutex<BTreeMap<(TenantId, BlockId), (Shard, StoredBlock)>>,
    records: Mutex<BTreeMap<(TenantId, String), IdempotencyRecord>>,
    /// Errors of the next writes, the last one first.
    pub(super) failures: Mutex<Vec<WriteError>>,
    pub(super) writes: AtomicU64,
    /// The duration of a write.
    pub(super) delay: Mutex<Duration>,
    host: TestHost,
}

impl MemoryWriter {
    /// Creates an empty table. Writes take time on the clock of `host`.
    pub(super) fn new(host: TestHost) -> Self {
        Self { host, ..Self::default() }
    }
}

impl BlockWriter for MemoryWriter {
    async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> Result<StoreOutcome, WriteError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.host.advance(*self.delay.lock().unwrap());
        if let Some(error) = self.failures.lock().unwrap().pop() {
            return Err(error);
        }
        let mut known = self.records.lock().unwrap();
        let mut before = Vec::new();
        for (index, record) in records.iter().enumerate() {
            match known.get(&(tenant.clone(), record.key_hash.clone())) {
                Some(known) if known.body_hash == record.body_hash => {
                    before.push(AcceptedBefore { index, accepted: known.accepted });
                }
                Some(_) => return Err(WriteError::KeyReused),
                None => {}
            }
        }
        if !before.is_empty() {
            return Ok(StoreOutcome::AcceptedBefore(before));
        }
        known.extend(records.iter().map(|record| ((tenant.clone(), record.key_hash.clone()), record.clone())));
        assert!(blocks.len() + records.len() <= MAX_TRANSACTION_ITEMS);
        for block in blocks {
            let key = (tenant.clone(), block.id);
            assert!(self.blocks.lock().unwrap().insert(key, (shard, block.clone())).is_none(), "a block twice");
        }
        Ok(StoreOutcome::Written)
    }
}

/// A clock that moves only when a test advances it, and predictable random numbers.
#[derive(Clone, Default)]
pub(super) struct TestHost {
    millis: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl TestHost {
    pub(super) fn advance(&self, duration: Duration) {
        self.millis.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestHost {
    fn now(&self) -> Timestamp {
        let start = Timestamp::parse("2026-11-22T10:00:00Z").unwrap();
        start.saturating_add(Duration::from_millis(self.millis.load(Ordering::Relaxed)))
    }
}

impl Random for TestHost {
    fn bits(&self) -> u128 {
        let drawn = u128::from(self.drawn.fetch_add(1, Ordering::Relaxed));
        drawn << 96 | drawn << 32
    }

    fn fraction(&self) -> f64 {
        0.0
    }
}

/// A queue that records the delays of messages.
#[derive(Default)]
pub(super) struct MemoryQueue {
    pub(super) batches: Mutex<Vec<Vec<Redelivery>>>,
    pub(super) is_down: bool,
}

impl MessageQueue for MemoryQueue {
    async fn show_again(&self, batch: &[Redelivery]) -> Result<(), PortError> {
        self.batches.lock().unwrap().push(batch.to_vec());
        if self.is_down { Err(PortError::transient("change", "down")) } else { Ok(()) }
    }
}

impl MemoryQueue {
    /// Returns the delay of each message in seconds, by its receipt handle.
    pub(super) fn delays(&self) -> BTreeMap<String, u64> {
        let batches = self.batches.lock().unwrap();
        let redeliveries = batches.iter().flatten();
        redeliveries.map(|redelivery| (redelivery.receipt_handle.clone(), redelivery.delay.as_secs())).collect()
    }
}
