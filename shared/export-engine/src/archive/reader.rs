//! Reading blocks from the table and the archive.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, ArchiveTimes, BlockLayout, BlockPart, IndexedBlock, SegmentIndex, SegmentReference},
    block::{BlockId, Shard},
    configuration::bucket::BucketName,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};
use futures::stream::{StreamExt, TryStreamExt, iter};
use host::Clock;
use sha2::{Digest, Sha256};

use crate::{
    alarms::{ARCHIVE_BEHIND, ARCHIVE_DAMAGED, FOREIGN_BUCKET},
    ports::{ArchiveRecords, BlockPage, BlockSource, ErrorKind, PortError, SeenRetentions, SegmentStore, StoredItem},
};

/// The bytes of a page, unless one block has more. A merge holds two pages.
const PAGE_LENGTH: u64 = 4 * 1024 * 1024;

/// The most small segments in one page, and their concurrent reads.
const MAX_SEGMENTS_OF_PAGE: usize = 32;
const MAX_CONCURRENT_SEGMENT_READS: usize = 8;

/// The reads of a row that is moved after each of them.
const MAX_MOVES: usize = 5;

/// The indexes that are kept between the pages of large segments: of the page that is used, and the next.
const MAX_INDEXES: usize = 2;

/// The settings of readers.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// The bucket that segments are read from.
    pub bucket: BucketName,
    pub times: ArchiveTimes,
    /// The time for which a block is kept after its retention.
    pub grace: Duration,
    /// The time around a change of the retention in which writers may have used either value.
    pub deploy_margin: Duration,
}

/// A source of blocks that reads what is archived from segments, and everything else from the table.
#[derive(Debug)]
pub struct ArchivedBlocks<T, A, S, R, K> {
    /// The table alone.
    table: T,
    records: A,
    store: S,
    retentions: R,
    clock: K,
    settings: ReaderSettings,
    /// The indexes of the segments that were read last, by the keys of their objects.
    indexes: Mutex<VecDeque<(String, Arc<SegmentIndex>)>>,
}

impl<T, A, S, R, K> ArchivedBlocks<T, A, S, R, K> {
    /// Returns a source over the table, which must have no archive, and the ports of the archive.
    #[must_use]
    pub fn new(table: T, records: A, store: S, retentions: R, clock: K, settings: ReaderSettings) -> Self {
        Self { table, records, store, retentions, clock, settings, indexes: Mutex::default() }
    }
}

impl<T, A, S, R, K> BlockSource for ArchivedBlocks<T, A, S, R, K>
where
    T: BlockSource,
    A: ArchiveRecords,
    S: SegmentStore,
    R: SeenRetentions,
    K: Clock,
{
    /// A range that is young enough is in the table: normal runs don't even read the registry row.
    async fn layout(&self, tenant: &TenantId, range: BlockRange) -> Result<BlockLayout, PortError> {
        let (now, times) = (self.clock.now(), &self.settings.times);
        if !BlockLayout::needs_row(range, now, times) {
            return Ok(BlockLayout::in_table(range));
        }
        let mut row = self.row(tenant).await?;
        for _ in 0..MAX_MOVES {
            let layout = self.layout_of(tenant, row.as_ref(), range, now)?;
            let Some(segment) = self.uncounted_segment(tenant, row.as_ref(), range, now).await? else {
                return Ok(layout);
            };
            // The archiver may have stored it since the row was read: then the row counts it now.
            row = self.row(tenant).await?;
            if !row.as_ref().is_some_and(|row| row.counts(&segment)) {
                return Err(uncounted(tenant, &segment));
            }
        }
        Err(PortError::transient("read archive", format!("the archive of {tenant} moves at each read")))
    }

    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        self.table.page(tenant, shard, range).await
    }

    async fn archived_page(&self, tenant: &TenantId, range: BlockRange) -> Result<BlockPage, PortError> {
        let listed = listed_segments(&self.records, tenant, range).await?;
        // The object of a reference that has expired may be gone already.
        let now = self.clock.now();
        let kept: Vec<_> = listed.iter().filter(|segment| segment.expires_at > now).collect();
        let (mut position, mut length) = (range.first, 0);
        let mut page: Vec<&SegmentReference> = Vec::new();
        for segment in &kept {
            self.check_tiled(tenant, position, segment.covers.first, page.last().copied()).await?;
            if segment.length > PAGE_LENGTH && page.is_empty() {
                return self.page_of_large(tenant, segment, range).await;
            }
            length += segment.length;
            if length > PAGE_LENGTH || page.len() == MAX_SEGMENTS_OF_PAGE {
                break;
            }
            page.push(segment);
            position = segment.covers.end;
        }
        if kept.is_empty() {
            let end = listed.last().map_or(range.end, |last| last.covers.end.min(range.end));
            self.check_tiled(tenant, position, end, None).await?;
            position = end;
        }
        let blocks: Vec<_> = page.into_iter().map(|segment| self.whole(tenant, segment, range)).collect();
        let blocks: Vec<Vec<StoredItem>> = iter(blocks).buffered(MAX_CONCURRENT_SEGMENT_READS).try_collect().await?;
        Ok(BlockPage { items: blocks.concat(), next: (position < range.end).then_some(position) })
    }
}

impl<T, A, S, R, K> ArchivedBlocks<T, A, S, R, K>
where
    A: ArchiveRecords,
    T: Sync,
    S: Sync,
    R: Sync,
    K: Sync,
{
    async fn row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        self.records.archive_row(tenant).await.inspect_err(|error| {
            if error.kind == ErrorKind::Internal {
                tracing::error!(%tenant, %error, alarm = ARCHIVE_DAMAGED, "the registry row of a tenant can't be read");
            }
        })
    }

    fn layout_of(
        &self,
        tenant: &TenantId,
        row: Option<&ArchiveRow>,
        range: BlockRange,
        now: Timestamp,
    ) -> Result<BlockLayout, PortError> {
        if let Some(row) = row {
            row.check_marks(now).map_err(|error| damaged(tenant, &error.to_string()))?;
        }
        let layout = BlockLayout::of(row, range, now, &self.settings.times).map_err(|behind| {
            tracing::error!(%tenant, since = %behind.since, alarm = ARCHIVE_BEHIND, "{behind}");
            PortError::internal_from("read blocks behind the archive", behind)
        })?;
        if let Some(row) = row
            && layout.parts.iter().any(|part| matches!(part, BlockPart::Archive(_)))
        {
            check_bucket(row, &self.settings.bucket)?;
        }
        Ok(layout)
    }

    /// Returns a segment where the table alone is read, if there is one.
    async fn uncounted_segment(
        &self,
        tenant: &TenantId,
        row: Option<&ArchiveRow>,
        range: BlockRange,
        now: Timestamp,
    ) -> Result<Option<SegmentReference>, PortError> {
        for without in BlockLayout::without_segments(row, range, now, &self.settings.times) {
            if let Some(segment) = first_segment(&self.records, tenant, without, now).await? {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }
}

impl<T, A, S, R, K> ArchivedBlocks<T, A, S, R, K>
where
    S: SegmentStore,
    R: SeenRetentions,
    K: Clock,
    T: Sync,
    A: Sync,
{
    /// Checks that a segment begins where the previous one of the page, if there is one, has ended. A reference that is gone is
    /// an error, unless everything that it covered lies before the time from which on every block is still stored: time to live
    /// deletes in any order, and the window of a run may reach back further than its retention.
    async fn check_tiled(
        &self,
        tenant: &TenantId,
        end: BlockId,
        next: BlockId,
        previous: Option<&SegmentReference>,
    ) -> Result<(), PortError> {
        if next == end || (next < end && previous.is_none()) {
            return Ok(());
        }
        let ReaderSettings { grace, deploy_margin, .. } = &self.settings;
        let history = self.retentions.retention_history().await?;
        let floor = history.floor(self.clock.now().saturating_sub(*grace), *deploy_margin);
        let has_expired = next > end && next <= BlockId::lowest_at(floor);
        if has_expired { Ok(()) } else { Err(damaged(tenant, &format!("no segment covers {end} to {next}"))) }
    }

    /// Reads bytes of a segment. One that is gone or too short raises the alarm.
    async fn read(
        &self,
        tenant: &TenantId,
        segment: &SegmentReference,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, PortError> {
        let key = &segment.object_key;
        let read = self.store.read_segment(key, offset, length).await;
        if let Err(error) = &read
            && error.kind == ErrorKind::Internal
        {
            tracing::error!(%tenant, object_key = key, %error, alarm = ARCHIVE_DAMAGED, "a segment can't be read");
        }
        read
    }

    /// Reads the blocks of the range from a segment that fits into a page.
    async fn whole(
        &self,
        tenant: &TenantId,
        segment: &SegmentReference,
        range: BlockRange,
    ) -> Result<Vec<StoredItem>, PortError> {
        let bytes = self.read(tenant, segment, 0, segment.length).await?;
        if Sha256::digest(&bytes).as_slice() != segment.sha256.0 {
            return Err(damaged(tenant, &format!("{} has another SHA-256 than its item", segment.object_key)));
        }
        let tail = SegmentIndex::tail_length(tenant, segment.blocks);
        let tail = bytes.len().checked_sub(to_usize(tail)).and_then(|start| bytes.get(start..)).unwrap_or_default();
        let index = read_index(tenant, segment, tail)?;
        index.of_range(range).iter().map(|block| item(tenant, block, &bytes, 0)).collect()
    }

    /// Reads as many blocks of the range from a large segment as fit into a page.
    async fn page_of_large(
        &self,
        tenant: &TenantId,
        segment: &SegmentReference,
        range: BlockRange,
    ) -> Result<BlockPage, PortError> {
        let index = self.index(tenant, segment).await?;
        let blocks = index.of_range(range);
        let start = blocks.first().map_or(0, |first| first.offset);
        let fits = |block: &&IndexedBlock| block.range().end - start <= PAGE_LENGTH || block.offset == start;
        let page: Vec<_> = blocks.iter().take_while(fits).collect();
        let items = match page.last() {
            None => Vec::new(),
            Some(last) => {
                let length = last.range().end - start;
                let bytes = self.read(tenant, segment, start, length).await?;
                page.iter().map(|block| item(tenant, block, &bytes, start)).collect::<Result<_, _>>()?
            }
        };
        let next = blocks.get(page.len()).map_or(segment.covers.end, IndexedBlock::id);
        Ok(BlockPage { items, next: (next < range.end).then_some(next) })
    }

    /// Returns the index of a segment, which one request reads.
    async fn index(&self, tenant: &TenantId, segment: &SegmentReference) -> Result<Arc<SegmentIndex>, PortError> {
        let key = &segment.object_key;
        let known = self
            .indexes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find_map(|(of, index)| (of == key).then(|| Arc::clone(index)));
        if let Some(index) = known {
            return Ok(index);
        }
        let length = SegmentIndex::tail_length(tenant, segment.blocks).min(segment.length);
        let tail = self.read(tenant, segment, segment.length - length, length).await?;
        let index = Arc::new(read_index(tenant, segment, &tail)?);
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.push_back((key.clone(), Arc::clone(&index)));
        if indexes.len() > MAX_INDEXES {
            indexes.pop_front();
        }
        Ok(index)
    }
}

fn read_index(tenant: &TenantId, segment: &SegmentReference, tail: &[u8]) -> Result<SegmentIndex, PortError> {
    SegmentIndex::read(tail, segment.length, tenant, segment.covers)
        .map_err(|error| damaged(tenant, &format!("{}: {error}", segment.object_key)))
}

/// Returns a block from bytes of a segment that begin at `start`. Whoever uses it checks it, as blocks of the table.
fn item(tenant: &TenantId, block: &IndexedBlock, bytes: &Bytes, start: u64) -> Result<StoredItem, PortError> {
    let range = block.range();
    let range = to_usize(range.start.saturating_sub(start))..to_usize(range.end.saturating_sub(start));
    if bytes.get(range.clone()).is_none() {
        return Err(damaged(tenant, &format!("block {} is not where the index says", block.id())));
    }
    Ok(StoredItem::Block(block.with_bytes(bytes.slice(range))))
}

/// Checks that the segments of a tenant are in the present bucket. Else it raises the alarm, which names both.
pub(super) fn check_bucket(row: &ArchiveRow, present: &BucketName) -> Result<(), PortError> {
    row.check_bucket(present).map_err(|foreign| {
        tracing::error!(tenant = %row.tenant, bucket = %foreign.bucket, present_bucket = %foreign.present,
            alarm = ARCHIVE_DAMAGED, code = FOREIGN_BUCKET, "{foreign}");
        PortError::internal_from("read archive of another bucket", foreign)
    })
}

/// Returns the references to the first segments of a range. One that can't be read raises the alarm.
async fn listed_segments(
    records: &impl ArchiveRecords,
    tenant: &TenantId,
    range: BlockRange,
) -> Result<Vec<SegmentReference>, PortError> {
    records.segments(tenant, range).await.inspect_err(|error| {
        if error.kind == ErrorKind::Internal {
            tracing::error!(%tenant, %error, alarm = ARCHIVE_DAMAGED, "a reference to a segment can't be read");
        }
    })
}

/// Returns the first segment that covers some of the range and has not expired. Time to live may not have deleted earlier ones yet.
pub(super) async fn first_segment(
    records: &impl ArchiveRecords,
    tenant: &TenantId,
    range: BlockRange,
    now: Timestamp,
) -> Result<Option<SegmentReference>, PortError> {
    let mut rest = range;
    while !rest.is_empty() {
        let listed = listed_segments(records, tenant, rest).await?;
        let Some(last) = listed.last() else { break };
        rest.first = last.covers.end;
        if let Some(kept) = listed.into_iter().find(|segment| segment.expires_at > now) {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// Raises the alarm of a segment that the row of its tenant does not count: the row says too little, or was lost.
pub(super) fn uncounted(tenant: &TenantId, segment: &SegmentReference) -> PortError {
    damaged(tenant, &format!("segment {} is not in what the row of the tenant says is archived", segment.id()))
}

/// Raises the alarm of a segment or a reference that is gone or was changed.
pub(super) fn damaged(tenant: &TenantId, detail: &str) -> PortError {
    tracing::error!(%tenant, alarm = ARCHIVE_DAMAGED, "the archive is damaged: {detail}");
    PortError::internal("read archive", detail)
}

pub(super) fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
