use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    archive::{
        ArchiveRow, ArchiveTimes, BlockLayout, BlockPart, BlockTerms, MAX_SEGMENT_BLOCKS, RegistryShard,
        SegmentReference,
    },
    block::{BlockId, EXPIRY_GRACE, Shard, StoredBlock, encode_block},
    configuration::bucket::BucketName,
    export_run::{BlockRange, MIN_SETTLE},
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use host::Clock;

use self::rows::Rows;
use super::*;
use crate::{
    alarms::{ARCHIVE_BEHIND, ARCHIVE_DAMAGED},
    merge::BlockMerge,
    ports::{
        AdvanceOutcome, ArchiveRecords, ArchiveRowPage, BlockExpiry, BlockPage, BlockSource, CorruptBlocks, ErrorKind,
        KnownCorruptBlock, PortError, RowPosition, SeenRetentions, SegmentStore, StoredItem,
    },
};

mod beside_erasure;
mod rows;
mod turns;
mod wrong_rows;

const TIMES: ArchiveTimes = ArchiveTimes::PRODUCTION;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const RETENTION: Duration = Duration::from_hours(90 * 24);
const PAGE: usize = 3;

/// The tables and the bucket of a tenant, without faults.
#[derive(Default)]
struct Store {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Option<Timestamp>,
    blocks: BTreeMap<(Shard, BlockId), (StoredBlock, Timestamp)>,
    row: Option<ArchiveRow>,
    /// The row that the next read gets, because it was moved right after.
    stale_row: Option<ArchiveRow>,
    references: BTreeMap<BlockId, SegmentReference>,
    /// The error of reading the references, if there is one.
    unreadable_references: Option<PortError>,
    objects: BTreeMap<String, Bytes>,
    known: Vec<KnownCorruptBlock>,
    recorded: Vec<BlockId>,
    rows_read: usize,
    reads: Vec<(u64, u64)>,
    loses_puts: bool,
    /// The time that a page of the rescue takes, and the pages so far.
    time_of_page: Duration,
    pages_of_rescue: usize,
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn bucket() -> BucketName {
    BucketName::parse("archive").unwrap()
}

fn start() -> Timestamp {
    Timestamp::parse("2026-11-01T00:00:00Z").unwrap()
}

fn settings_of_rescue() -> RescueSettings {
    RescueSettings {
        retention: RETENTION,
        history: RetentionHistory::default(),
        deploy_margin: DAY,
        grace: EXPIRY_GRACE,
        times: TIMES,
        deadline: Timestamp::MAX,
    }
}

impl Store {
    /// Creates a store with blocks at these times since the start, and the registry row of then.
    fn with_blocks(ages: impl IntoIterator<Item = Duration>) -> Self {
        let store = Self::default();
        for (number, after) in (0_u64..).zip(ages) {
            let stamp = start().saturating_add(after);
            let line = format!("{{\"id\":\"{number}\"}}\n");
            let id = BlockId::from_parts(stamp, number.into());
            let block = encode_block(&tenant(), id, line.as_bytes(), stamp, stamp).unwrap();
            let shard = Shard::new(u8::try_from(number * 7 % 16).unwrap()).unwrap();
            store.lock().blocks.insert((shard, id), (block, stamp.saturating_add(DAY * 7)));
        }
        store.lock().row = Some(ArchiveRow::new(tenant(), bucket(), start(), RETENTION + EXPIRY_GRACE, &TIMES));
        store.set_now(start());
        store
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn set_now(&self, now: Timestamp) {
        self.lock().now = Some(now);
    }

    fn archiver(&self) -> Archiver<'_, Self, Self, Self, Self, Self> {
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
        Archiver { table: self, records: self, store: self, corrupt: self, clock: self, settings }
    }

    fn rescue(&self) -> Rescue<'_, Self, Self, Self> {
        Rescue { records: self, expiry: self, clock: self, settings: settings_of_rescue() }
    }

    fn source(&self) -> ArchivedBlocks<&Self, &Self, &Self, &Self, &Self> {
        let settings = ReaderSettings { bucket: bucket(), times: TIMES, grace: EXPIRY_GRACE, deploy_margin: DAY };
        ArchivedBlocks::new(self, self, self, self, self, settings)
    }

    /// Deletes what is past its expiry.
    fn delete_expired(&self) {
        let mut state = self.lock();
        let now = state.now.unwrap();
        state.blocks.retain(|_, (_, expires_at)| *expires_at > now);
        state.references.retain(|_, reference| reference.expires_at > now);
    }

    fn ids(&self) -> Vec<BlockId> {
        let mut ids: Vec<_> = self.lock().blocks.keys().map(|(_, id)| *id).collect();
        ids.sort();
        ids
    }

    fn row(&self) -> ArchiveRow {
        self.lock().row.clone().unwrap()
    }

    fn references(&self) -> Vec<SegmentReference> {
        self.lock().references.values().cloned().collect()
    }
}

/// Reads everything from the start on.
async fn read(source: &impl BlockSource, range: BlockRange) -> Result<Vec<BlockId>, PortError> {
    let tenant = tenant();
    let mut blocks = BlockMerge::new(source, &tenant, range);
    let mut ids = Vec::new();
    while let Some(block) = blocks.next().await? {
        assert_eq!(block.check(&tenant), Ok(()));
        ids.push(block.id);
        if ids.len() % 5 == 0 {
            blocks.read_ahead().await;
        }
    }
    Ok(ids)
}

fn from_start(end: Timestamp) -> BlockRange {
    BlockRange::between(start(), end)
}

impl Clock for &Store {
    fn now(&self) -> Timestamp {
        self.lock().now.unwrap()
    }
}

impl Clock for Store {
    fn now(&self) -> Timestamp {
        self.lock().now.unwrap()
    }
}

impl BlockSource for Store {
    async fn page(&self, _tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        let state = self.lock();
        let of_shard =
            state.blocks.range((shard, range.first)..(shard, range.end)).map(|(_, (block, _))| block.clone());
        let mut items: Vec<_> = of_shard.map(StoredItem::Block).collect();
        let next = items.get(PAGE).map(StoredItem::id);
        items.truncate(PAGE);
        Ok(BlockPage { items, next })
    }
}

impl BlockSource for &Store {
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        (**self).page(tenant, shard, range).await
    }
}

impl ArchiveRecords for Store {
    async fn archive_rows(
        &self,
        shard: RegistryShard,
        _after: Option<&RowPosition>,
    ) -> Result<ArchiveRowPage, PortError> {
        let rows = if shard == RegistryShard::of(&tenant()) { self.lock().row.clone() } else { None };
        Ok(ArchiveRowPage { rows: rows.into_iter().map(Ok).collect(), next: None })
    }

    async fn archive_row(&self, _tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        let mut state = self.lock();
        state.rows_read += 1;
        Ok(state.stale_row.take().or_else(|| state.row.clone()))
    }

    async fn create_archive_row(&self, _row: &ArchiveRow) -> Result<bool, PortError> {
        unreachable!("ingest creates rows")
    }

    async fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> Result<AdvanceOutcome, PortError> {
        let mut state = self.lock();
        let State { row: Some(row), references, .. } = &mut *state else { return Ok(AdvanceOutcome::Moved) };
        let identity = |row: &ArchiveRow| (row.bucket.clone(), row.archived_from, row.archived_through);
        if identity(row) != identity(current) {
            return Ok(AdvanceOutcome::Moved);
        }
        if segment.is_some_and(|segment| references.contains_key(&segment.id())) {
            return Ok(AdvanceOutcome::ReferenceExists);
        }
        *row = ArchiveRow { extended_through: row.extended_through, kept_through: row.kept_through, ..next.clone() };
        references.extend(segment.map(|segment| (segment.id(), segment.clone())));
        Ok(AdvanceOutcome::Done)
    }

    async fn extend_archive_row(&self, current: &ArchiveRow, next: &ArchiveRow) -> Result<bool, PortError> {
        let mut state = self.lock();
        let row = state.row.as_mut().unwrap();
        assert_eq!(row, current);
        *row = next.clone();
        Ok(true)
    }

    async fn segments(&self, _tenant: &TenantId, range: BlockRange) -> Result<Vec<SegmentReference>, PortError> {
        let state = self.lock();
        if let Some(error) = &state.unreadable_references {
            return Err(error.clone());
        }
        let from = state.references.range(range.first..).map(|(_, reference)| reference.clone());
        Ok(from.take_while(|reference| reference.covers.first < range.end).take(PAGE).collect())
    }
}

impl ArchiveRecords for &Store {
    async fn archive_rows(
        &self,
        shard: RegistryShard,
        after: Option<&RowPosition>,
    ) -> Result<ArchiveRowPage, PortError> {
        (**self).archive_rows(shard, after).await
    }

    async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        (**self).archive_row(tenant).await
    }

    async fn create_archive_row(&self, row: &ArchiveRow) -> Result<bool, PortError> {
        (**self).create_archive_row(row).await
    }

    async fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> Result<AdvanceOutcome, PortError> {
        (**self).advance_archive(current, next, segment).await
    }

    async fn extend_archive_row(&self, current: &ArchiveRow, next: &ArchiveRow) -> Result<bool, PortError> {
        (**self).extend_archive_row(current, next).await
    }

    async fn segments(&self, tenant: &TenantId, range: BlockRange) -> Result<Vec<SegmentReference>, PortError> {
        (**self).segments(tenant, range).await
    }
}

impl SegmentStore for Store {
    async fn put_segment(&self, key: &str, bytes: Bytes, _sha256: [u8; 32]) -> Result<(), PortError> {
        let mut state = self.lock();
        if state.objects.contains_key(key) {
            return Ok(());
        }
        if !state.loses_puts {
            state.objects.insert(key.to_owned(), bytes);
        }
        Ok(())
    }

    async fn read_segment(&self, key: &str, offset: u64, length: u64) -> Result<Bytes, PortError> {
        let mut state = self.lock();
        state.reads.push((offset, length));
        let bytes = state.objects.get(key).ok_or_else(|| PortError::internal("s3:GetObject", "no such key"))?;
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        bytes.get(range.clone()).map(|_| bytes.slice(range)).ok_or_else(|| PortError::internal("s3:GetObject", "short"))
    }
}

impl SegmentStore for &Store {
    async fn put_segment(&self, key: &str, bytes: Bytes, sha256: [u8; 32]) -> Result<(), PortError> {
        (**self).put_segment(key, bytes, sha256).await
    }

    async fn read_segment(&self, key: &str, offset: u64, length: u64) -> Result<Bytes, PortError> {
        (**self).read_segment(key, offset, length).await
    }
}

impl SeenRetentions for &Store {
    /// Runs have seen the retention from the start on.
    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        Ok(RetentionHistory::default().observed(RETENTION, start()).unwrap())
    }
}

impl CorruptBlocks for Store {
    async fn corrupt_blocks(&self, _tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        Ok(self.lock().known.clone())
    }

    async fn record_corrupt_block(
        &self,
        _tenant: &TenantId,
        block: BlockId,
        _found_at: Timestamp,
        _expires_at: Timestamp,
    ) -> Result<(), PortError> {
        self.lock().recorded.push(block);
        Ok(())
    }
}

impl BlockExpiry for Store {
    async fn extend_expiry(
        &self,
        _tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
        lifetime: Duration,
    ) -> Result<Option<BlockId>, PortError> {
        let mut state = self.lock();
        state.now = Some(state.now.unwrap().saturating_add(state.time_of_page));
        state.pages_of_rescue += 1;
        let mut blocks = state.blocks.range_mut((shard, range.first)..(shard, range.end));
        for ((_, id), (_, expires_at)) in blocks.by_ref().take(PAGE) {
            *expires_at = (*expires_at).max(id.timestamp().saturating_add(lifetime));
        }
        Ok(blocks.next().map(|((_, id), _)| *id))
    }
}

/// Blocks of ten days: 100 a day in the first hours, some days without any.
fn days() -> Vec<Duration> {
    let of_day = |day: u32| (0..40_u64).map(move |number| DAY * day + Duration::from_mins(number * 7));
    [0, 1, 2, 5, 6, 9].into_iter().flat_map(of_day).collect()
}

async fn archive_everything(store: &Store, now: Timestamp) -> ArchiveOutcome {
    store.lock().row.as_mut().unwrap().extended_through = Some(BlockId::lowest_at(now));
    store.set_now(now);
    store.archiver().run(3).await.unwrap()
}

#[tokio::test]
async fn what_is_archived_is_read_from_segments_once_it_is_gone_from_the_table() {
    let store = Store::with_blocks(days());
    let all = store.ids();
    let now = start().saturating_add(DAY * 10);
    let outcome = archive_everything(&store, now).await;
    assert_eq!((outcome.tenants, outcome.blocks, outcome.failed, outcome.is_complete), (1, 240, 0, true));
    assert!(outcome.segments > 20);
    assert_eq!(store.row().archived_through, ArchiveRow::settled_end(now, MIN_SETTLE, &TIMES));
    store.delete_expired();
    assert_eq!(store.ids().len(), 120, "those of the first days are gone");
    assert_eq!(read(&store.source(), from_start(now)).await, Ok(all.clone()));
    // Any part of it, too.
    for (first, end) in [(0, 1), (3, 77), (39, 41), (100, 239), (239, 240)] {
        let range = BlockRange { first: all[first], end: all[end - 1].next() };
        assert_eq!(read(&store.source(), range).await.as_deref(), Ok(&all[first..end]));
    }
}

#[tokio::test]
async fn the_segments_tile_the_archive_and_are_the_same_whenever_they_are_made() {
    let store = Store::with_blocks(days());
    let all_at_once = Store::with_blocks(days());
    for hours in 1..=240 {
        let now = start().saturating_add(HOUR * hours);
        assert_eq!(archive_everything(&store, now).await.failed, 0);
    }
    archive_everything(&all_at_once, start().saturating_add(DAY * 10)).await;
    let (references, others) = (store.references(), all_at_once.references());
    assert_eq!(references, others);
    assert_eq!(store.lock().objects, all_at_once.lock().objects);
    assert_eq!(references[0].covers.first, store.row().archived_from);
    assert!(references.windows(2).all(|pair| pair[0].covers.end == pair[1].covers.first));
    assert_eq!(references.last().unwrap().covers.end, store.row().segments_through);
    assert!(references.iter().all(|reference| reference.expires_at <= store.row().expires_at));
}

#[tokio::test]
async fn a_young_range_reads_no_row_and_an_old_one_reads_it_once() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    archive_everything(&store, now).await;
    store.lock().reads.clear();
    let young = BlockRange::between(now.saturating_sub(DAY * 5), now);
    assert_eq!(read(&store.source(), young).await.unwrap().len(), 120);
    assert_eq!(store.lock().rows_read, 0);
    assert!(store.lock().reads.is_empty());
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap().len(), 240);
    assert_eq!(store.lock().rows_read, 1);
}

#[tokio::test]
async fn a_lost_segment_does_not_count() {
    let store = Store::with_blocks(days());
    store.lock().loses_puts = true;
    let outcome = archive_everything(&store, start().saturating_add(DAY)).await;
    assert_eq!((outcome.segments, outcome.failed), (0, 1));
    assert_eq!(store.row().archived_through, store.row().archived_from);
    assert_eq!(store.references(), []);
}

#[tokio::test]
async fn other_bytes_under_the_key_of_a_segment_are_refused() {
    let store = Store::with_blocks(days());
    archive_everything(&store, start().saturating_add(HOUR * 2)).await;
    let again = Store::with_blocks(days());
    let damaged = |bytes: &Bytes| bytes.iter().map(|byte| byte ^ 1).collect::<Bytes>();
    again.lock().objects = store.lock().objects.iter().map(|(key, bytes)| (key.clone(), damaged(bytes))).collect();
    let outcome = archive_everything(&again, start().saturating_add(HOUR * 2)).await;
    assert_eq!((outcome.segments, outcome.failed), (0, 1));
}

#[tokio::test]
async fn a_hole_is_an_error_until_all_of_it_is_past_its_retention_and_grace() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    archive_everything(&store, now).await;
    store.delete_expired();
    let ids: Vec<_> = store.references().iter().map(SegmentReference::id).collect();
    for (place, hole) in [("first", ids[0]), ("inner", ids[5])] {
        let removed = store.lock().references.remove(&hole).unwrap();
        let error = read(&store.source(), from_start(now)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal, "{place}");
        store.lock().references.insert(hole, removed);
    }
    let object = store.references()[3].object_key.clone();
    store.lock().objects.remove(&object);
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap_err().kind, ErrorKind::Internal);
    // Its age does not matter, but what is kept.
    store.lock().references.retain(|id, _| *id > ids[10]);
    let hole_end = store.references()[0].covers.first.timestamp();
    let range = from_start(start().saturating_add(DAY * 2));
    let kept = RETENTION + EXPIRY_GRACE;
    for (age, is_expired) in [(DAY * 20, false), (kept.saturating_sub(Duration::from_millis(1)), false), (kept, true)] {
        store.set_now(hole_end.saturating_add(age));
        let found = read(&store.source(), BlockRange { end: BlockId::lowest_at(hole_end), ..range }).await;
        assert_eq!(found.is_ok(), is_expired, "{age:?}");
    }
    // Everything has expired, and time to live deletes in any order: of some, the object is gone and the reference is not.
    let late = store.references().iter().map(|reference| reference.expires_at).max().unwrap();
    store.set_now(late);
    store.lock().objects.clear();
    assert_eq!(read(&store.source(), range).await, Ok(vec![]));
}

/// A deployment that was rolled back and repeated has another bucket, without the segments of the first.
#[tokio::test]
async fn segments_of_another_bucket_stop_archiver_and_readers_and_not_the_table() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    // The row of a release that did not note the bucket counts as the present one's, and notes it.
    store.lock().row.as_mut().unwrap().bucket = None;
    archive_everything(&store, start().saturating_add(DAY * 4)).await;
    assert_eq!(store.row().bucket, Some(bucket()));
    let stored = store.lock().objects.len();
    let other = BucketName::parse("other").unwrap();
    let mut archiver = store.archiver();
    archiver.settings.bucket = other.clone();
    let through = BlockId::lowest_at(now);
    store.lock().row.as_mut().unwrap().extended_through = Some(through);
    store.set_now(now);
    let outcome = archiver.run(0).await.unwrap();
    assert_eq!((outcome.segments, outcome.failed, store.lock().objects.len()), (0, 1, stored));
    let settings = ReaderSettings { bucket: other.clone(), times: TIMES, grace: EXPIRY_GRACE, deploy_margin: DAY };
    let source = ArchivedBlocks::new(&store, &store, &store, &store, &store, settings);
    let error = read(&source, from_start(now)).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (ErrorKind::Internal, "read archive of another bucket"));
    assert_eq!(error.detail, "the segments are in the bucket archive, and the stack has the bucket other");
    // What is in the table is read.
    let in_table = BlockRange { first: store.row().archived_through, end: through };
    assert_eq!(read(&source, in_table).await.unwrap().len(), 120);
    // The rescue needs no bucket, and in the first one everything is found.
    store.lock().row.as_mut().unwrap().extended_through = None;
    assert_eq!(store.rescue().run(0).await.unwrap().failed, 0);
    assert!(store.row().extended_through.is_some());
    assert_eq!(archive_everything(&store, now).await.failed, 0);
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap().len(), 240);
}

/// Whoever can write a segment can't write one that passes for another, although its blocks may be right.
#[tokio::test]
async fn a_segment_with_another_hash_than_its_item_is_refused() {
    let store = Store::with_blocks(days());
    let now = start().saturating_add(DAY * 10);
    archive_everything(&store, now).await;
    let key = store.references()[3].object_key.clone();
    let changed = |bytes: &Bytes| [&bytes.slice(..9)[..], &[bytes[9] ^ 1], &bytes.slice(10..)[..]].concat();
    let bytes = changed(&store.lock().objects[&key]);
    store.lock().objects.insert(key, bytes.into());
    let error = read(&store.source(), from_start(now)).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (ErrorKind::Internal, "read archive"));
}

/// A row that says that more is archived than there is: of a mistake, or of somebody who can write it.
#[tokio::test]
async fn a_row_that_says_too_much_hides_nothing_and_raises_the_alarm() {
    let store = Store::with_blocks(days());
    archive_everything(&store, start().saturating_add(DAY)).await;
    let now = start().saturating_add(DAY * 10);
    store.set_now(now);
    let honest = store.row();
    store.lock().row.as_mut().unwrap().archived_through = BlockId::lowest_at(now.saturating_sub(HOUR * 12));
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap().len(), 240);
    let outcome = store.archiver().run(0).await.unwrap();
    assert_eq!((outcome.segments, outcome.failed), (0, 1));
    store.lock().row.as_mut().unwrap().archived_through = BlockId::lowest_at(now.saturating_add(DAY));
    assert!(read(&store.source(), from_start(now)).await.is_err());
    let outcome = store.archiver().run(0).await.unwrap();
    assert_eq!((outcome.tenants, outcome.failed), (0, 1));
    // As docs/RUNBOOKS.md says: set back to the end of the last segment.
    store.lock().row = Some(honest);
    let outcome = archive_everything(&store, now).await;
    assert_eq!((outcome.blocks, outcome.failed), (200, 0));
}

/// Where nothing is archived any more, the alarm is about the rescue of what is left.
#[tokio::test]
async fn without_an_archiver_the_lag_is_that_of_the_rescue() {
    let store = Store::with_blocks(days());
    let begun = store.row().archived_through.timestamp();
    store.set_now(begun.saturating_add(DAY * 3 + HOUR));
    let outcome = store.rescue().run(0).await.unwrap();
    assert_eq!((outcome.lag(true), outcome.lag(false)), (DAY * 3 + HOUR, HOUR));
    let outcome = store.rescue().run(0).await.unwrap();
    assert_eq!((outcome.lag(true), outcome.lag(false)), (DAY * 3 + HOUR, Duration::ZERO), "they are rescued");
}

#[tokio::test]
async fn a_corrupt_block_stops_the_archive_until_its_skip_is_approved() {
    let store = Store::with_blocks(days());
    let all = store.ids();
    let corrupt = all[13];
    for ((_, id), (block, _)) in &mut store.lock().blocks {
        if *id == corrupt {
            block.crc32 ^= 1;
        }
    }
    let now = start().saturating_add(DAY * 3);
    let outcome = archive_everything(&store, now).await;
    assert_eq!((outcome.blocks, outcome.failed), (13, 1));
    assert_eq!((store.row().archived_through, store.lock().recorded.clone()), (corrupt, vec![corrupt]));
    // Its deletion does not let the archive go on.
    store.lock().known = vec![KnownCorruptBlock { block: corrupt, is_skip_approved: false }];
    let kept: Vec<_> = store.lock().blocks.extract_if(.., |(_, id), _| *id == corrupt).collect();
    assert_eq!(archive_everything(&store, now).await.failed, 1);
    store.lock().blocks.extend(kept);
    store.lock().known[0].is_skip_approved = true;
    let outcome = archive_everything(&store, now).await;
    assert_eq!((outcome.blocks, outcome.failed), (120 - 14, 0));
    assert_eq!(store.references().iter().map(|reference| reference.left_out).sum::<u32>(), 1);
}

#[tokio::test]
async fn large_segments_end_early_and_are_read_in_pages() {
    let count = MAX_SEGMENT_BLOCKS + 10;
    let store = Store::with_blocks((0..count).map(|number| Duration::from_millis(u64::from(number))));
    let all = store.ids();
    let now = start().saturating_add(DAY * 8);
    let outcome = archive_everything(&store, now).await;
    assert_eq!((outcome.segments, outcome.blocks), (2, u64::from(count)));
    assert_eq!(store.references()[0].covers.end, all[MAX_SEGMENT_BLOCKS as usize - 1].next());
    store.delete_expired();
    assert_eq!(store.ids(), []);
    assert_eq!(read(&store.source(), from_start(now)).await, Ok(all));
}

/// Blocks that can't be compressed, so that a segment has several pages.
#[tokio::test]
async fn a_page_of_a_large_segment_is_bounded() {
    let store = Store::with_blocks([]);
    let mut state = 1_u64;
    for number in 0..40_u64 {
        let stamp = start().saturating_add(Duration::from_secs(number));
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b' ' + u8::try_from(state >> 40 & 63).unwrap()
        })
        .take(300_000)
        .chain([b'\n'])
        .collect();
        let id = BlockId::from_parts(stamp, number.into());
        let block = encode_block(&tenant(), id, &noise, stamp, stamp).unwrap();
        store.lock().blocks.insert((Shard::ALL[0], id), (block, stamp));
    }
    let all = store.ids();
    let now = start().saturating_add(DAY * 8);
    assert_eq!(archive_everything(&store, now).await.segments, 1);
    store.delete_expired();
    store.lock().reads.clear();
    assert_eq!(read(&store.source(), from_start(now)).await, Ok(all));
    let reads = store.lock().reads.clone();
    // One of the index, and the pages.
    assert_eq!(reads.len(), 1 + 3, "{reads:?}");
    assert!(reads.iter().all(|(_, length)| *length <= 4 * 1024 * 1024), "{reads:?}");
}

#[tokio::test]
async fn nothing_is_lost_when_the_archiver_is_dead_and_restored_late() {
    let store = Store::with_blocks(days());
    let all = store.ids();
    for hours in 1..=240 {
        store.set_now(start().saturating_add(HOUR * hours));
        if hours > 13 && hours < 230 {
            store.rescue().run(0).await.unwrap();
        } else if hours < 230 {
            store.archiver().run(0).await.unwrap();
        }
        store.delete_expired();
        let now = store.lock().now.unwrap();
        let through = store.ids().into_iter().chain(all.iter().copied()).max().unwrap().next();
        let range = BlockRange { first: BlockId::lowest_at(start()), end: through.min(BlockId::lowest_at(now)) };
        let expected: Vec<_> = all.iter().copied().filter(|id| range.contains(*id)).collect();
        assert_eq!(read(&store.source(), range).await, Ok(expected), "after {hours} hours");
    }
    let outcome = store.archiver().run(0).await.unwrap();
    assert_eq!((outcome.failed, outcome.is_complete), (0, true));
}

#[tokio::test]
async fn without_a_rescue_a_dead_archiver_is_an_error_and_no_hole() {
    let store = Store::with_blocks(days());
    store.set_now(start().saturating_add(DAY * 8));
    store.delete_expired();
    let now = store.lock().now.unwrap();
    assert_eq!(read(&store.source(), from_start(now)).await.unwrap_err().kind, ErrorKind::Internal);
    // The archiver does not take the table for complete, either.
    let outcome = store.archiver().run(0).await.unwrap();
    assert_eq!((outcome.segments, outcome.failed), (0, 1));
    // What is left is kept, and opens nothing: some may be gone.
    let outcome = store.rescue().run(0).await.unwrap();
    assert_eq!((outcome.rescued, outcome.late, outcome.failed, outcome.is_complete), (1, 1, 0, true));
    assert!(outcome.furthest_lag > DAY * 8);
    assert_eq!(store.row().extended_through, None);
    assert!(read(&store.source(), from_start(now)).await.is_err());
    let left = store.ids();
    assert!(!left.is_empty());
    store.set_now(start().saturating_add(DAY * 20));
    store.delete_expired();
    let of_before = |ids: Vec<BlockId>| ids.into_iter().filter(|id| id.timestamp() < now.saturating_sub(DAY * 2));
    assert!(of_before(store.ids()).eq(of_before(left)), "what was left was not kept");
    // An operator accepts what is there.
    store.set_now(now);
    store.lock().row.as_mut().unwrap().extended_through = Some(BlockId::lowest_at(now.saturating_sub(DAY * 2)));
    assert!(read(&store.source(), from_start(now)).await.is_ok());
}

#[tokio::test]
async fn a_rescue_that_ends_too_late_opens_nothing() {
    let store = Store::with_blocks(days());
    let first = store.row().archived_through.timestamp();
    // The last moment at which the rescue may still be in time.
    let sure = (DAY * 7).saturating_sub(Duration::from_mins(2));
    store.set_now(first.saturating_add(sure));
    store.lock().time_of_page = Duration::from_millis(1);
    let outcome = store.rescue().run(0).await.unwrap();
    assert_eq!((outcome.rescued, outcome.late), (1, 1));
    assert_eq!(store.row().extended_through, None);
    let in_time = Store::with_blocks(days());
    in_time.set_now(first.saturating_add(sure));
    assert_eq!(in_time.rescue().run(0).await.unwrap().late, 0);
    assert!(in_time.row().extended_through.is_some());
}

/// A tenant with more blocks than a rescue has time for: each continues where the previous one ended.
#[tokio::test]
async fn a_rescue_that_runs_out_of_time_stores_how_far_it_came() {
    let store = Store::with_blocks((0..3_000_u64).map(Duration::from_secs));
    store.lock().time_of_page = Duration::from_secs(1);
    let started = start().saturating_add(DAY * 4);
    let mut through = store.row().safe_through();
    for number in 0..1_000 {
        store.set_now(started);
        let mut rescue = store.rescue();
        rescue.settings.deadline = started.saturating_add(Duration::from_secs(20));
        let outcome = rescue.run(number).await.unwrap();
        assert!(store.lock().now.unwrap() < started.saturating_add(Duration::from_mins(1)), "a piece is not bounded");
        assert!(store.row().safe_through() > through, "no progress after {number}");
        through = store.row().safe_through();
        if outcome.is_complete {
            assert!(number > 5, "{number}");
            let shortest =
                store.lock().blocks.iter().map(|((_, id), (_, end))| end.saturating_since(id.timestamp())).min();
            assert_eq!(shortest, Some(RETENTION + EXPIRY_GRACE));
            return;
        }
    }
    panic!("the rescue never ends");
}

/// The blocks of many tenants, each page of which takes a while.
struct Many {
    now: Mutex<Timestamp>,
    /// The tenant with more blocks than any rescue has time for, and the number of its pages.
    endless: TenantId,
    pages_of_endless: Mutex<u32>,
}

impl Many {
    fn clock_now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
}

impl Clock for Many {
    fn now(&self) -> Timestamp {
        self.clock_now()
    }
}

impl BlockExpiry for Many {
    async fn extend_expiry(
        &self,
        tenant: &TenantId,
        _shard: Shard,
        range: BlockRange,
        _lifetime: Duration,
    ) -> Result<Option<BlockId>, PortError> {
        let mut now = self.now.lock().unwrap();
        *now = now.saturating_add(Duration::from_millis(5));
        let is_endless = *tenant == self.endless;
        *self.pages_of_endless.lock().unwrap() += u32::from(is_endless);
        Ok(is_endless.then(|| range.first.next()))
    }
}

/// A dead archiver, more tenants than one rescue has time for, and one whose rescue never ends: nobody comes too late.
#[tokio::test]
async fn no_tenant_starves_the_rescue_of_the_others() {
    let tenants = (0..800).map(|number| TenantId::parse(&format!("tenant-{number}")).unwrap());
    let registry = Rows::new(tenants.map(|tenant| ArchiveRow::new(tenant, bucket(), start(), RETENTION, &TIMES)));
    let endless = TenantId::parse("tenant-0").unwrap();
    let many = Many { now: Mutex::new(start()), endless: endless.clone(), pages_of_endless: Mutex::default() };
    // A sweep an hour, each with time for a few tenants.
    for hour in 24..24 * 12 {
        let started = start().saturating_add(HOUR * hour);
        *many.now.lock().unwrap() = started;
        let settings =
            RescueSettings { deadline: started.saturating_add(Duration::from_secs(5)), ..settings_of_rescue() };
        let rescue = Rescue { records: &registry, expiry: &many, clock: &many, settings };
        rescue.run(u128::from(hour)).await.unwrap();
        let now = many.clock_now();
        for row in registry.all().iter().filter(|row| row.tenant != endless) {
            assert!(
                row.safe_through() >= BlockId::lowest_at(now.saturating_sub(DAY * 5)),
                "{} after {hour}",
                row.tenant
            );
        }
    }
    assert!(*many.pages_of_endless.lock().unwrap() > 100);
}

/// Where the blocks are, and at which time they are read, changes nothing.
#[tokio::test]
async fn any_split_between_archive_and_table_gives_the_same_sequence() {
    let mut hours = (1_u64..).map(|number| number * 7 % 23 + 1);
    for archived_hours in (0..240).step_by(9) {
        let store = Store::with_blocks(days());
        let all = store.ids();
        archive_everything(&store, start().saturating_add(HOUR * archived_hours)).await;
        // The blocks that are not archived stay.
        let now = start().saturating_add(DAY * 10);
        store.lock().row.as_mut().unwrap().extended_through = Some(BlockId::lowest_at(now));
        let row = store.row();
        store
            .lock()
            .blocks
            .retain(|(_, id), _| *id >= row.archived_through.min(BlockId::lowest_at(now.saturating_sub(DAY * 5))));
        store.set_now(now);
        let later = Duration::from_hours(hours.next().unwrap());
        for range in [from_start(now), BlockRange::between(start().saturating_add(later), now.saturating_sub(later))] {
            let expected: Vec<_> = all.iter().copied().filter(|id| range.contains(*id)).collect();
            assert_eq!(read(&store.source(), range).await, Ok(expected), "{archived_hours} hours");
        }
    }
}

/// Ingest's decision and the archiver agree: what has the short expiry is archived before it ends.
#[test]
fn a_row_that_an_advance_keeps_alive_lets_the_next_block_be_short() {
    let terms = BlockTerms::parse(7, RETENTION).unwrap();
    let row = ArchiveRow::new(tenant(), bucket(), start(), terms.full(), &TIMES);
    assert_eq!(
        terms.expiry(Some(&row), &bucket(), start()),
        start().saturating_add(terms.full()),
        "no segment is stored yet"
    );
    let (later, through) = (start().saturating_add(DAY), BlockId::lowest_at(start().saturating_add(DAY)));
    let works = ArchiveRow { archived_through: through, segments_through: through, ..row.clone() };
    assert_eq!(terms.expiry(Some(&works), &bucket(), later), later.saturating_add(DAY * 7));
    let parts = BlockLayout::of(Some(&row), from_start(start()), start(), &TIMES).unwrap().parts;
    assert!(!parts.iter().any(|part| matches!(part, BlockPart::Archive(_))));
}
