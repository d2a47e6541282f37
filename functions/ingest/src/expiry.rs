//! The expiry of blocks: short, if the archive of their tenant keeps up, else that of the whole retention.
//!
//! How far a tenant is archived is in its registry row. An instance reads it at most once in a while for each tenant, and a
//! request never fails because of it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_adapters::{
    archive::records::INGEST_OPERATION_TIMEOUT,
    events::writer::{IdempotencyRecord, StoreOutcome, WriteError},
};
use domain::{
    archive::{ArchiveRow, ArchiveTimes, BlockTerms},
    block::{Shard, StoredBlock},
    configuration::bucket::BucketName,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use host::Clock;

use crate::ports::{ArchiveRows, BlockWriter, ExpiringBlockWriter};

/// The most tenants whose rows are kept, with about 300 bytes each.
const MAX_CACHED_ROWS: usize = 10_000;

/// The time until a row is read again that could not be read or created.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// The longest time before a write: reading a tenant's row, creating it, and reading that of another instance.
pub(crate) const LONGEST_LOOKUP: Duration = INGEST_OPERATION_TIMEOUT.saturating_mul(3);

/// Writes blocks with the expiry that their tenant's archive permits.
pub(crate) struct Expiring<W, A, C> {
    pub(crate) writer: W,
    pub(crate) rows: RowCache<A, C>,
}

/// The registry rows of tenants.
pub(crate) struct RowCache<A, C> {
    source: A,
    clock: C,
    /// The present bucket of segments.
    bucket: BucketName,
    terms: BlockTerms,
    times: ArchiveTimes,
    rows: Mutex<HashMap<TenantId, CachedRow>>,
}

#[derive(Clone, Debug)]
struct CachedRow {
    /// `None`: it could not be read or created.
    row: Option<ArchiveRow>,
    /// The time from which on it is read again.
    until: Timestamp,
}

impl<W: ExpiringBlockWriter, A: ArchiveRows, C: Clock> BlockWriter for Expiring<W, A, C> {
    async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> Result<StoreOutcome, WriteError> {
        // The blocks of a write have one stamp.
        let stamp = blocks.first().map_or(Timestamp::EPOCH, |block| block.id.timestamp());
        let expires_at = self.rows.expiry(tenant, stamp).await;
        self.writer.write(tenant, shard, blocks, expires_at, records).await
    }
}

impl<A: ArchiveRows, C: Clock> RowCache<A, C> {
    pub(crate) fn new(source: A, clock: C, bucket: BucketName, terms: BlockTerms, times: ArchiveTimes) -> Self {
        Self { source, clock, bucket, terms, times, rows: Mutex::default() }
    }

    /// Returns the expiry of a block of the tenant with this stamp.
    async fn expiry(&self, tenant: &TenantId, stamp: Timestamp) -> Timestamp {
        let row = if self.terms.table().is_some() { self.row(tenant).await } else { None };
        self.terms.expiry(row.as_ref(), &self.bucket, stamp)
    }

    async fn row(&self, tenant: &TenantId) -> Option<ArchiveRow> {
        // Before the read: a row counts as old as the question for it.
        let now = self.clock.now();
        if let Some(cached) = self.lock().get(tenant).filter(|cached| now < cached.until) {
            return cached.row.clone();
        }
        let (row, lifetime) = match self.read_or_create(tenant, now).await {
            Ok(row) => (Some(row), self.times.cached),
            Err(error) => {
                tracing::warn!(tenant = tenant.as_str(), %error, "events are kept in the table: the archive's row is unknown");
                (None, RETRY_AFTER)
            }
        };
        let mut rows = self.lock();
        if rows.len() >= MAX_CACHED_ROWS && !rows.contains_key(tenant) {
            rows.retain(|_, cached| now < cached.until);
            if rows.len() >= MAX_CACHED_ROWS {
                rows.clear();
            }
        }
        rows.insert(tenant.clone(), CachedRow { row: row.clone(), until: now.saturating_add(lifetime) });
        row
    }

    async fn read_or_create(&self, tenant: &TenantId, now: Timestamp) -> Result<ArchiveRow, PortError> {
        if let Some(row) = self.source.archive_row(tenant).await? {
            return Ok(row);
        }
        let row = ArchiveRow::new(tenant.clone(), self.bucket.clone(), now, self.terms.full(), &self.times);
        if self.source.create_archive_row(&row).await? {
            return Ok(row);
        }
        // Another instance was faster.
        let found = self.source.archive_row(tenant).await?;
        found.ok_or_else(|| PortError::transient("archive row", "it was there and is gone"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, CachedRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use domain::block::BlockId;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const TIMES: ArchiveTimes = ArchiveTimes::PRODUCTION;

    #[derive(Clone, Default)]
    struct Rows(Arc<Mutex<Stored>>);

    #[derive(Default)]
    struct Stored {
        rows: HashMap<TenantId, ArchiveRow>,
        reads: usize,
        is_down: bool,
        /// A row that another instance creates right before this one.
        raced: Option<ArchiveRow>,
    }

    impl Rows {
        fn stored(&self) -> MutexGuard<'_, Stored> {
            self.0.lock().unwrap()
        }
    }

    impl ArchiveRows for Rows {
        async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
            let mut stored = self.stored();
            stored.reads += 1;
            if stored.is_down {
                Err(PortError::transient("test", "down"))
            } else {
                Ok(stored.rows.get(tenant).cloned())
            }
        }

        async fn create_archive_row(&self, row: &ArchiveRow) -> Result<bool, PortError> {
            let mut stored = self.stored();
            if let Some(raced) = stored.raced.take() {
                stored.rows.insert(raced.tenant.clone(), raced);
                return Ok(false);
            }
            Ok(stored.rows.insert(row.tenant.clone(), row.clone()).is_none())
        }
    }

    #[derive(Clone, Default)]
    struct TestClock(Arc<AtomicU64>);

    impl TestClock {
        fn pass(&self, time: Duration) {
            self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            let start = Timestamp::parse("2026-11-29T12:00:00Z").unwrap();
            start.saturating_add(Duration::from_millis(self.0.load(Ordering::Relaxed)))
        }
    }

    struct World {
        rows: Rows,
        clock: TestClock,
        cache: RowCache<Rows, TestClock>,
    }

    fn world(table_days: u32) -> World {
        let (rows, clock) = (Rows::default(), TestClock::default());
        let terms = BlockTerms::parse(table_days, DAY * 90).unwrap();
        World { cache: RowCache::new(rows.clone(), clock.clone(), bucket(), terms, TIMES), rows, clock }
    }

    fn bucket() -> BucketName {
        BucketName::parse("archive").unwrap()
    }

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    impl World {
        /// The tenant has a row, and segments of two days in its archive.
        fn archiving(self) -> Self {
            let created_at = self.clock.now().saturating_sub(DAY * 2);
            let row = ArchiveRow::new(tenant(), bucket(), created_at, DAY * 104, &TIMES);
            let through = BlockId::lowest_at(self.clock.now());
            let row = ArchiveRow { archived_through: through, segments_through: through, ..row };
            self.rows.stored().rows.insert(tenant(), row);
            self
        }

        /// Returns the days after its stamp that a block expires.
        async fn days(&self, tenant: &TenantId) -> u64 {
            let now = self.clock.now();
            self.cache.expiry(tenant, now).await.saturating_since(now).as_secs() / DAY.as_secs()
        }
    }

    #[tokio::test]
    async fn the_first_block_of_a_tenant_creates_its_row_and_is_kept() {
        let world = world(7);
        assert_eq!(world.days(&tenant()).await, 104);
        let row = world.rows.stored().rows[&tenant()].clone();
        assert_eq!(row, ArchiveRow::new(tenant(), bucket(), world.clock.now(), DAY * 104, &TIMES));
        assert_eq!(world.days(&tenant()).await, 104);
        assert_eq!(world.rows.stored().reads, 1, "the row is cached");
    }

    #[tokio::test]
    async fn a_row_is_read_again_after_its_time() {
        let world = world(7).archiving();
        assert_eq!(world.days(&tenant()).await, 7);
        // Nothing is archived for more than a day and an hour.
        world.clock.pass(TIMES.fresh + Duration::from_millis(1));
        assert_eq!(world.days(&tenant()).await, 104);
        assert_eq!(world.rows.stored().reads, 2);
        let mut row = world.rows.stored().rows[&tenant()].clone();
        row.archived_through = BlockId::lowest_at(world.clock.now());
        world.rows.stored().rows.insert(tenant(), row);
        world.clock.pass(TIMES.cached.saturating_sub(Duration::from_millis(1)));
        assert_eq!(world.days(&tenant()).await, 104);
        world.clock.pass(Duration::from_millis(1));
        assert_eq!(world.days(&tenant()).await, 7);
    }

    #[tokio::test]
    async fn a_row_of_another_instance_counts() {
        let world = world(7);
        let before = world.clock.now().saturating_sub(TIMES.fresh * 2);
        world.rows.stored().raced = Some(ArchiveRow::new(tenant(), bucket(), before, DAY * 104, &TIMES));
        assert_eq!(world.days(&tenant()).await, 104, "its archive is behind");
    }

    #[tokio::test]
    async fn the_archive_in_another_bucket_keeps_the_events_in_the_table() {
        let world = world(7).archiving();
        world.rows.stored().rows.get_mut(&tenant()).unwrap().bucket = BucketName::parse("other").ok();
        assert_eq!(world.days(&tenant()).await, 104);
    }

    #[tokio::test]
    async fn a_row_that_can_not_be_read_keeps_the_events_and_is_not_asked_for_at_once() {
        let world = world(7).archiving();
        world.rows.stored().is_down = true;
        assert_eq!((world.days(&tenant()).await, world.days(&tenant()).await), (104, 104));
        assert_eq!(world.rows.stored().reads, 1);
        world.rows.stored().is_down = false;
        world.clock.pass(RETRY_AFTER);
        assert_eq!(world.days(&tenant()).await, 7);
    }

    #[tokio::test]
    async fn without_an_archive_no_row_is_read_or_made() {
        let world = world(0);
        assert_eq!(world.days(&tenant()).await, 104);
        let stored = world.rows.stored();
        assert_eq!((stored.reads, stored.rows.len()), (0, 0));
    }

    #[tokio::test]
    async fn the_rows_of_a_bounded_number_of_tenants_are_kept() {
        let world = world(7);
        for number in 0..=MAX_CACHED_ROWS {
            world.days(&TenantId::parse(&format!("tenant-{number}")).unwrap()).await;
        }
        assert!(world.cache.lock().len() <= MAX_CACHED_ROWS);
    }
}
