//! The turns of many tenants, and rows that can't be read.

use super::*;
use crate::archive::archiver::MAX_TENANTS;

/// The rows of many tenants. Each has a block an hour, if they have any.
struct Tenants {
    registry: Rows,
    has_blocks: bool,
    now: Timestamp,
    stored: Mutex<BTreeMap<String, Bytes>>,
}

fn named(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

impl Tenants {
    /// Creates tenants that are so many hours behind.
    fn behind(tenants: impl IntoIterator<Item = (String, u32)>, has_blocks: bool) -> Self {
        let now = start().saturating_add(DAY * 5);
        let row = |(name, hours): (String, u32)| {
            let row = ArchiveRow::new(named(&name), bucket(), now, RETENTION, &TIMES);
            let start = BlockId::lowest_at(now.saturating_sub(HOUR * hours).floor_to(HOUR));
            ArchiveRow { archived_from: start, archived_through: start, segments_through: start, ..row }
        };
        let registry = Rows::new(tenants.into_iter().map(row));
        Self { registry, has_blocks, now, stored: Mutex::default() }
    }

    async fn archive(&self) -> ArchiveOutcome {
        let settings = ArchiverSettings {
            bucket: bucket(),
            settle: MIN_SETTLE,
            retention: RETENTION,
            history: RetentionHistory::default(),
            deploy_margin: DAY,
            grace: EXPIRY_GRACE,
            times: TIMES,
            concurrency: 2,
            deadline: Timestamp::MAX,
        };
        let archiver =
            Archiver { table: self, records: &self.registry, store: self, corrupt: self, clock: self, settings };
        archiver.run(0).await.unwrap()
    }
}

impl Clock for Tenants {
    fn now(&self) -> Timestamp {
        self.now
    }
}

impl BlockSource for Tenants {
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        let mut stamp = range.first.timestamp().saturating_add(Duration::from_mins(30)).floor_to(HOUR);
        let mut items = Vec::new();
        while self.has_blocks && shard == Shard::ALL[0] && items.len() < PAGE {
            stamp = stamp.saturating_add(Duration::from_mins(30));
            let id = BlockId::from_parts(stamp, 7);
            if !range.contains(id) {
                break;
            }
            items.push(StoredItem::Block(encode_block(tenant, id, b"{}\n", stamp, stamp).unwrap()));
            stamp = stamp.saturating_add(Duration::from_mins(30));
        }
        let next = items.last().filter(|_| items.len() == PAGE).map(|item| item.id().next());
        Ok(BlockPage { items, next })
    }
}

impl SegmentStore for Tenants {
    async fn put_segment(&self, key: &str, bytes: Bytes, _sha256: [u8; 32]) -> Result<(), PortError> {
        self.stored.lock().unwrap().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn read_segment(&self, key: &str, _offset: u64, _length: u64) -> Result<Bytes, PortError> {
        Ok(self.stored.lock().unwrap()[key].clone())
    }
}

impl CorruptBlocks for Tenants {
    async fn corrupt_blocks(&self, _tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        Ok(Vec::new())
    }

    async fn record_corrupt_block(
        &self,
        _tenant: &TenantId,
        _block: BlockId,
        _found_at: Timestamp,
        _expires_at: Timestamp,
    ) -> Result<(), PortError> {
        unreachable!("no block is corrupt")
    }
}

impl BlockExpiry for Tenants {
    async fn extend_expiry(
        &self,
        _tenant: &TenantId,
        _shard: Shard,
        _range: BlockRange,
        _lifetime: Duration,
    ) -> Result<Option<BlockId>, PortError> {
        Ok(None)
    }
}

/// Tenants that were let loose after days take no turns from those that are an hour behind.
#[tokio::test]
async fn no_tenant_gets_a_second_segment_before_another_has_its_first() {
    let far = (0..4).map(|number| (format!("far-{number}"), 60 + number));
    let near = (0..8).map(|number| (format!("near-{number}"), 3));
    let tenants = Tenants::behind(far.chain(near), true);
    let outcome = tenants.archive().await;
    assert_eq!((outcome.tenants, outcome.failed, outcome.is_complete), (12, 0, true));
    let moved = tenants.registry.moved.lock().unwrap().clone();
    let mut first_round = moved[..12].to_vec();
    first_round.sort();
    assert!(first_round.into_iter().eq(tenants.registry.all().into_iter().map(|row| row.tenant)));
    assert!(moved[..2].contains(&named("far-3")), "the furthest behind is first");
    assert!(outcome.segments > 4 * 55 && moved[12..16].iter().all(|tenant| tenant.as_str().starts_with("far")));
}

#[tokio::test]
async fn of_too_many_tenants_the_furthest_behind_are_archived() {
    let tenants = (0..MAX_TENANTS + 20).map(|number| {
        let is_near = number % 1_001 == 0;
        (format!("t-{number}"), if is_near { 4 } else { 30 })
    });
    let tenants = Tenants::behind(tenants, false);
    let near: Vec<_> = (0..MAX_TENANTS + 20).step_by(1_001).map(|number| named(&format!("t-{number}"))).collect();
    assert_eq!(near.len(), 20);
    let outcome = tenants.archive().await;
    assert_eq!((outcome.tenants, outcome.is_complete), (MAX_TENANTS as u64, false));
    let moved = tenants.registry.moved.lock().unwrap();
    assert!(near.iter().all(|tenant| !moved.contains(tenant)));
}

#[tokio::test]
async fn a_row_that_can_not_be_read_is_counted_and_stops_no_other_tenant() {
    let mut tenants = Tenants::behind([("acme".to_owned(), 90)], false);
    tenants.registry.has_unreadable = true;
    let outcome = tenants.archive().await;
    assert_eq!((outcome.tenants, outcome.failed, tenants.registry.moved.lock().unwrap().len()), (1, 1, 1));
    let mut tenants = Tenants::behind([("acme".to_owned(), 90)], false);
    tenants.registry.has_unreadable = true;
    let rescue =
        Rescue { records: &tenants.registry, expiry: &tenants, clock: &tenants, settings: settings_of_rescue() };
    let outcome = rescue.run(0).await.unwrap();
    // The alarm `SweepIncompleteAlarm` is about both.
    assert_eq!((outcome.tenants, outcome.rescued, outcome.failed, outcome.is_complete), (2, 1, 1, false));
}

#[tokio::test]
async fn a_registry_without_an_end_is_an_error() {
    let mut rows = Rows::new([]);
    (rows.is_endless, rows.has_unreadable) = (true, true);
    let mut pages = 0;
    let error = for_each_row(&rows, 0, |_| pages += 1).await.unwrap_err();
    assert_eq!((error.kind, pages), (ErrorKind::Internal, MAX_ROW_PAGES));
}

#[tokio::test]
async fn the_registry_is_read_from_a_random_shard_on() {
    let names: Vec<_> = (0..64).map(|number| format!("tenant-{number}")).collect();
    let rows = Tenants::behind(names.into_iter().map(|name| (name, 1)), false).registry;
    let read = async |random| {
        let mut shards = Vec::new();
        for_each_row(&rows, random, |row| shards.push(RegistryShard::of(&row.unwrap().tenant))).await.unwrap();
        shards
    };
    let (mut rotated, in_order) = (read(21).await, read(0).await);
    assert!(in_order.is_sorted() && !rotated.is_sorted());
    assert_eq!(RegistryShard::all().nth(21 % 16), rotated.first().copied());
    rotated.sort_unstable();
    assert_eq!(rotated, in_order);
}
