//! Moving settled blocks to segments.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, ArchiveTimes, DayClass, SegmentReference, segment_key},
    block::BlockId,
    configuration::bucket::BucketName,
    digest::Hex32,
    export_run::BlockRange,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use futures::stream::{FuturesUnordered, StreamExt};
use host::Clock;

use super::{
    reader::{check_bucket, damaged, first_segment, uncounted},
    registry::for_each_row,
    segment::{NextSegment, read_segment},
};
use crate::{
    alarms::{ARCHIVE_BEHIND, ARCHIVE_DAMAGED, CORRUPT_BLOCK},
    merge::BlockMerge,
    ports::{
        AdvanceOutcome, ArchiveRecords, BlockSource, CorruptBlocks, ErrorKind, KnownCorruptBlock, PortError,
        SegmentStore,
    },
};

/// The bytes that are compared at a time with what was stored: the length of a request that reads a segment back.
pub const COMPARED_LENGTH: usize = 4 * 1024 * 1024;

/// The most tenants that one invocation works on. The others come next: they are further behind then.
pub(super) const MAX_TENANTS: usize = 20_000;

/// The settings of the archiver.
#[derive(Clone, Debug)]
pub struct ArchiverSettings {
    /// The bucket that segments are put into.
    pub bucket: BucketName,
    /// The time after its stamp from which a block is sure to be readable.
    pub settle: Duration,
    /// The retention in force, and those that runs have seen: a segment is kept for the longest that counts for one of its
    /// blocks.
    pub retention: Duration,
    pub history: RetentionHistory,
    /// The time around a change of the retention in which writers may have used either value.
    pub deploy_margin: Duration,
    /// The time for which a block is kept after its retention.
    pub grace: Duration,
    pub times: ArchiveTimes,
    /// The tenants that are worked on at a time. Each takes the memory of a segment and of the pages of a merge.
    pub concurrency: usize,
    /// The time after which no further segment is begun.
    pub deadline: Timestamp,
}

/// The archiver, over its ports.
#[derive(Debug)]
pub struct Archiver<'a, T, A, S, C, K> {
    /// The blocks of the table. Its layout is not used.
    pub table: &'a T,
    pub records: &'a A,
    pub store: &'a S,
    pub corrupt: &'a C,
    pub clock: &'a K,
    pub settings: ArchiverSettings,
}

/// The result of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveOutcome {
    pub tenants: u64,
    pub segments: u64,
    pub blocks: u64,
    pub stored_bytes: u64,
    /// The tenants that could not be archived further. Their causes are logged.
    pub failed: u64,
    /// True if nothing that has settled is left, except for tenants that failed.
    pub is_complete: bool,
}

/// The rows that have something to archive, by the segments that they got in this invocation: no tenant gets a second one while
/// another waits for its first. Of those with as many, the furthest behind is first.
type Waiting = BTreeMap<(u32, BlockId, TenantId), ArchiveRow>;

/// The outcome of a step for one tenant.
enum Step {
    /// A segment counts, or there was none.
    Advanced { row: ArchiveRow, blocks: u64, stored_bytes: u64 },
    /// Another archiver has moved the row.
    Moved,
}

impl<T, A, S, C, K> Archiver<'_, T, A, S, C, K>
where
    T: BlockSource,
    A: ArchiveRecords,
    S: SegmentStore,
    C: CorruptBlocks,
    K: Clock,
{
    /// Archives one segment of each tenant in turn, in each turn the furthest behind first, until everything is archived or the time is over.
    /// It begins to read the registry at a random shard, so that two invocations meet rarely. They do no harm if they do.
    ///
    /// # Errors
    /// Those of reading the registry. A failure of one tenant is logged and stops no other.
    pub async fn run(&self, random: u128) -> Result<ArchiveOutcome, PortError> {
        let mut outcome = ArchiveOutcome { is_complete: true, ..ArchiveOutcome::default() };
        let mut waiting = self.due_rows(random, &mut outcome).await?;
        let mut steps = FuturesUnordered::new();
        loop {
            while steps.len() < self.settings.concurrency.max(1) {
                let Some(((turns, ..), row)) = waiting.pop_first() else { break };
                if self.clock.now() >= self.settings.deadline {
                    outcome.is_complete = false;
                    waiting.clear();
                    break;
                }
                steps.push(async move { (self.step(&row).await, row, turns + 1) });
            }
            let Some((step, row, turns)) = steps.next().await else { return Ok(outcome) };
            match step {
                Ok(Step::Advanced { row, blocks, stored_bytes }) => {
                    outcome.segments += u64::from(blocks > 0);
                    outcome.blocks += blocks;
                    outcome.stored_bytes += stored_bytes;
                    if row.archived_through < self.settled_end() {
                        waiting.insert((turns, row.archived_through, row.tenant.clone()), row);
                    }
                }
                Ok(Step::Moved) => {
                    tracing::info!(tenant = %row.tenant, "another archiver works on the tenant, or it was erased");
                }
                Err(error) => {
                    outcome.failed += 1;
                    self.report(&row, &error).await;
                }
            }
        }
    }

    async fn due_rows(&self, random: u128, outcome: &mut ArchiveOutcome) -> Result<Waiting, PortError> {
        let mut due = Waiting::new();
        let take = |row: Result<ArchiveRow, PortError>| match row.and_then(|row| possible(row, self.clock.now())) {
            Ok(row) if row.is_due(self.settled_end(), &self.settings.times) => {
                due.insert((0, row.archived_through, row.tenant.clone()), row);
                if due.len() > MAX_TENANTS {
                    due.pop_last();
                    outcome.is_complete = false;
                }
            }
            Ok(_) => {}
            Err(error) => {
                outcome.failed += 1;
                tracing::error!(%error, alarm = ARCHIVE_DAMAGED,
                    "a registry row can't be read: its tenant is not archived");
            }
        };
        for_each_row(self.records, random, take).await?;
        outcome.tenants = due.len() as u64;
        Ok(due)
    }

    fn settled_end(&self) -> BlockId {
        ArchiveRow::settled_end(self.clock.now(), self.settings.settle, &self.settings.times)
    }

    /// Archives the next segment of a tenant, or moves its archive over a time without blocks.
    ///
    /// The order of the writes makes it harmless to stop or repeat at any point: the object counts only with its reference, and
    /// the reference only after the object was read back.
    async fn step(&self, row: &ArchiveRow) -> Result<Step, PortError> {
        let (times, tenant) = (&self.settings.times, &row.tenant);
        check_bucket(row, &self.settings.bucket)?;
        self.check_start(row).await?;
        // From `segments_through` on: if a block is there, the row says too much, and the segment would not tile.
        let range = BlockRange { first: row.segments_through, end: self.settled_end() };
        let rest = BlockRange { first: row.archived_through, ..range };
        row.check_behind(rest, self.clock.now(), times).map_err(|behind| {
            tracing::error!(%tenant, since = %behind.since, alarm = ARCHIVE_BEHIND, "{behind}");
            PortError::internal_from("archive blocks", behind)
        })?;
        let known = self.corrupt.corrupt_blocks(tenant).await?;
        let of = |is_skip_approved: bool| {
            let is_of =
                |known: &&KnownCorruptBlock| range.contains(known.block) && known.is_skip_approved == is_skip_approved;
            known.iter().filter(is_of).map(|known| known.block).collect::<Vec<_>>()
        };
        let (approved, expected) = (of(true), of(false));
        let mut blocks = BlockMerge::in_table(self.table, tenant, range).with_corrupt_blocks(&approved, &expected);
        let Some(segment) = read_segment(&mut blocks, row, range.end, times).await? else {
            return self.advance(row, row.past_nothing(range.end), None).await;
        };
        drop(blocks);
        let left_out = approved.iter().filter(|block| segment.covers.contains(**block)).count();
        let (reference, bytes) = self.describe(row, segment, left_out);
        self.store(row, &reference, bytes).await?;
        self.advance(row, row.past(&reference, times), Some(&reference)).await
    }

    /// Checks that an archive without a segment has none before its start: there are some if the row was lost and created again,
    /// or was set back. A second archive would begin, and readers don't find the first one.
    async fn check_start(&self, row: &ArchiveRow) -> Result<(), PortError> {
        if row.archived_from < row.segments_through {
            return Ok(());
        }
        let before = BlockRange { first: BlockId::LOWEST, end: row.archived_from };
        let found = first_segment(self.records, &row.tenant, before, self.clock.now()).await?;
        found.map_or(Ok(()), |segment| Err(uncounted(&row.tenant, &segment)))
    }

    /// Returns the bytes of a segment and the reference to it.
    fn describe(&self, row: &ArchiveRow, segment: NextSegment, left_out: usize) -> (SegmentReference, Bytes) {
        let ArchiverSettings { retention, history, deploy_margin, grace, times, .. } = &self.settings;
        let NextSegment { first, covers, writer } = segment;
        let (blocks, event_count) = (writer.blocks(), writer.event_count());
        let bytes = writer.finish(&row.tenant, covers);
        let sha256 = Hex32::sha256_of(&bytes);
        let kept = history.longest_since(first.timestamp(), *deploy_margin, *retention);
        let kept = kept.saturating_add(*grace).saturating_add(times.segment_margin);
        let reference = SegmentReference {
            covers,
            object_key: segment_key(DayClass::of(kept), &row.tenant, covers, sha256),
            length: bytes.len() as u64,
            sha256,
            event_count,
            blocks,
            left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
            expires_at: covers.end.timestamp().saturating_add(kept),
        };
        (reference, bytes)
    }

    /// Stores a segment and proves that its bytes can be read back, also if it was stored before.
    async fn store(&self, row: &ArchiveRow, segment: &SegmentReference, bytes: Bytes) -> Result<(), PortError> {
        let key = &segment.object_key;
        self.store.put_segment(key, bytes.clone(), segment.sha256.0).await?;
        let mut offset = 0;
        for expected in bytes.chunks(COMPARED_LENGTH) {
            let stored = self.store.read_segment(key, offset, expected.len() as u64).await?;
            if stored != expected {
                return Err(damaged(
                    &row.tenant,
                    &format!("{key} has other bytes than were archived, from {offset} on"),
                ));
            }
            offset += expected.len() as u64;
        }
        Ok(())
    }

    /// Lets a segment count, or moves the archive over a time without blocks. The row notes the bucket from then on.
    async fn advance(
        &self,
        current: &ArchiveRow,
        row: ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> Result<Step, PortError> {
        let row = ArchiveRow { bucket: Some(self.settings.bucket.clone()), ..row };
        match self.records.advance_archive(current, &row, segment).await? {
            AdvanceOutcome::Done => {}
            AdvanceOutcome::Moved => return Ok(Step::Moved),
            AdvanceOutcome::ReferenceExists => {
                let id = segment.map_or(row.archived_through, SegmentReference::id);
                let detail = format!("a reference {id} exists, and the row says that nothing is archived there");
                return Err(damaged(&row.tenant, &detail));
            }
        }
        let (blocks, stored_bytes) = segment.map_or((0, 0), |segment| (segment.blocks.into(), segment.length));
        Ok(Step::Advanced { row, blocks, stored_bytes })
    }

    /// Logs why a tenant could not be archived further, and records a corrupt block, so that exports of the tenant stop at it
    /// even if somebody deletes it.
    async fn report(&self, row: &ArchiveRow, error: &PortError) {
        let tenant = &row.tenant;
        match error.kind {
            ErrorKind::CorruptBlock(block) => {
                tracing::error!(%tenant, %block, %error, alarm = CORRUPT_BLOCK, "the archive stops at a corrupt block");
                let now = self.clock.now();
                let ArchiverSettings { retention, grace, .. } = self.settings;
                let expires_at = now.saturating_add(retention).saturating_add(grace);
                if let Err(error) = self.corrupt.record_corrupt_block(tenant, block, now, expires_at).await {
                    tracing::warn!(%error, %block, "a corrupt block was not recorded");
                }
            }
            ErrorKind::Transient => tracing::warn!(%tenant, %error, "a tenant is archived later"),
            _ => tracing::error!(%tenant, %error, "a tenant can't be archived"),
        }
    }
}

/// Refuses a row that no archiver can have written.
fn possible(row: ArchiveRow, now: Timestamp) -> Result<ArchiveRow, PortError> {
    match row.check_marks(now) {
        Ok(()) => Ok(row),
        Err(error) => {
            let detail = format!("the row of {}: {error}", row.tenant);
            Err(PortError::internal("read archive row", detail).caused_by(error))
        }
    }
}
