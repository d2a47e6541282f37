//! The archive of a history: its times, which play days in hours, and what is stored.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, ArchiveTimes, SegmentIndex, SegmentReference},
    block::{BlockId, Shard, StoredBlock},
    configuration::bucket::BucketName,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;

/// The times of the archive. The relations between them are those of production.
pub(crate) const TIMES: ArchiveTimes = ArchiveTimes {
    span: Duration::from_mins(10),
    new_row_age: Duration::from_mins(20),
    idle: Duration::from_mins(20),
    cached: Duration::from_mins(5),
    fresh: Duration::from_mins(55),
    proven_after: Duration::from_mins(31),
    rescued_after: Duration::from_mins(62),
    rescued_from_age: Duration::from_mins(30),
    read_from_table: Duration::from_mins(70),
    behind: Duration::from_mins(100),
    min_table_period: Duration::from_mins(130),
    row_margin: Duration::from_mins(10),
    segment_margin: Duration::from_mins(10),
};
const _: () = assert!(TIMES.are_sound());

/// The margin around a change of the retention that the engine assumes.
pub(crate) const DEPLOY_MARGIN: Duration = Duration::from_mins(15);

/// The time for which time to live leaves some of the references that have expired.
const LATE_DELETION: Duration = Duration::from_mins(40);

/// The time for which an object outlives its reference: three days in production, and longer than an invocation that has read the
/// reference.
const OBJECT_MARGIN: Duration = Duration::from_mins(10);

/// Everything about archives.
#[derive(Debug, Default)]
pub(crate) struct ArchiveState {
    /// True in histories with an archive.
    pub(crate) is_on: bool,
    pub(crate) rows: BTreeMap<TenantId, ArchiveRow>,
    pub(crate) references: BTreeMap<(TenantId, BlockId), SegmentReference>,
    /// The objects, by bucket and key.
    pub(crate) objects: BTreeMap<(String, String), Bytes>,
    /// The end of the objects whose reference has expired, by their keys.
    expiring: BTreeMap<String, Timestamp>,
    pub(crate) other_bucket: OtherBucket,
    /// The time for which blocks are kept after their retention.
    pub(crate) grace: Duration,
    /// True in histories whose rescue is dead for so long that blocks may be lost. Then reads of them have to fail.
    pub(crate) may_lose: bool,
    /// What was deleted before its full expiry, as point-in-time recovery has it.
    pub(crate) backup: BTreeMap<(TenantId, BlockId), (Shard, StoredBlock)>,
    /// A reference that somebody has deleted, until it is restored.
    pub(crate) lost: Option<((TenantId, BlockId), SegmentReference)>,
    /// The row that somebody has deleted or set back, until it is restored.
    pub(crate) lost_row: Option<ArchiveRow>,
    /// True once a reference or a row was lost.
    pub(crate) has_lost: bool,
    /// The full expiry of blocks with the short one.
    pub(crate) full_expires_at: BTreeMap<(TenantId, BlockId), Timestamp>,
    /// The blocks that were read from the archive.
    pub(crate) blocks_read: u64,
}

/// Whether the stack has another bucket than at first: a deployment was rolled back, and the next one made another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OtherBucket {
    #[default]
    Never,
    Now,
    Before,
}

/// Returns the name of the first bucket of the stack, or of the other one.
pub(crate) fn bucket(is_other: bool) -> BucketName {
    let name = if is_other { "archive-2" } else { "archive-1" };
    BucketName::parse(name).unwrap_or_else(|_| unreachable!("it is the name of a bucket"))
}

impl ArchiveState {
    /// Moves all objects of the other bucket into the first one, under the same keys, and says so in the rows: as docs/RUNBOOKS.md.
    pub(crate) fn move_to_first_bucket(&mut self) {
        let (first, other) = (bucket(false), bucket(true));
        let objects = std::mem::take(&mut self.objects).into_iter();
        self.objects = objects
            .map(|((name, key), bytes)| {
                let name = if name == other.as_str() { first.as_str().to_owned() } else { name };
                ((name, key), bytes)
            })
            .collect();
        for row in self.rows.values_mut().chain(&mut self.lost_row) {
            row.bucket = Some(first.clone());
        }
    }

    /// Returns whether a segment that counts has the block.
    pub(crate) fn has(&self, tenant: &TenantId, id: BlockId) -> bool {
        let covering = self.references.range((tenant.clone(), id)..).next();
        let lost = self.lost.as_ref().map(|(name, segment)| (name, segment));
        covering.into_iter().chain(lost).any(|((owner, _), segment)| {
            owner == tenant && segment.covers.contains(id) && self.blocks_of(tenant, segment).contains(&id)
        })
    }

    /// Returns whether readers have to find the block, in the table or in a segment. The rescue may have left it in the table for
    /// longer than its full expiry, up to which segments count: then they need not.
    pub(crate) fn keeps(&self, tenant: &TenantId, id: BlockId, now: Timestamp, is_in_table: bool) -> bool {
        if !self.is_on {
            return is_in_table;
        }
        let is_kept = self.full_expires_at.get(&(tenant.clone(), id)).is_some_and(|end| *end > now);
        is_kept && (is_in_table || self.has(tenant, id))
    }

    /// Returns what a reader would leave out of the table that asks for the boundary at `now`.
    pub(crate) fn boundary(&self, tenant: &TenantId, now: Timestamp) -> Option<BlockRange> {
        let row = self.rows.get(tenant).filter(|_| self.is_on)?;
        let old = BlockId::lowest_at(now.saturating_sub(TIMES.read_from_table));
        Some(BlockRange { first: row.archived_from, end: row.archived_through.min(old) })
    }

    /// Returns whether a failure is what has to happen when blocks may be gone, or a reference is.
    pub(crate) fn explains(&self, error: &PortError) -> bool {
        match error.operation {
            "read blocks behind the archive" => self.may_lose,
            "read archive" => self.has_lost,
            "read archive of another bucket" => self.other_bucket != OtherBucket::Never,
            _ => false,
        }
    }

    /// Returns whether a read of the block fails, because it may be gone.
    pub(crate) fn refuses(&self, tenant: &TenantId, id: BlockId, now: Timestamp) -> bool {
        let range = BlockRange { first: id, end: id.next() };
        self.rows.get(tenant).is_some_and(|row| row.check_behind(range, now, &TIMES).is_err())
    }

    /// Deletes everything that may be deleted: objects as soon as they may be, and half of the references later.
    pub(crate) fn delete_expired(&mut self, now: Timestamp) {
        let Self { rows, references, objects, expiring, .. } = self;
        rows.retain(|_, row| row.expires_at > now);
        for segment in references.values().filter(|segment| segment.expires_at <= now) {
            expiring.insert(segment.object_key.clone(), segment.expires_at.saturating_add(OBJECT_MARGIN));
        }
        objects.retain(|(_, key), _| expiring.get(key).is_none_or(|end| *end > now));
        references.retain(|_, segment| {
            let is_late = segment.sha256.0.first().is_some_and(|byte| byte % 2 == 0);
            segment.expires_at.saturating_add(if is_late { LATE_DELETION } else { Duration::ZERO }) > now
        });
    }

    fn blocks_of(&self, tenant: &TenantId, segment: &SegmentReference) -> Vec<BlockId> {
        let bucket = self.rows.get(tenant).and_then(|row| row.bucket.clone()).unwrap_or_else(|| bucket(false));
        let name = (bucket.as_str().to_owned(), segment.object_key.clone());
        let Some(bytes) = self.objects.get(&name) else { return Vec::new() };
        let length = usize::try_from(SegmentIndex::tail_length(tenant, segment.blocks)).unwrap_or(usize::MAX);
        let tail = bytes.get(bytes.len().saturating_sub(length)..).unwrap_or_default();
        let index = SegmentIndex::read(tail, bytes.len() as u64, tenant, segment.covers);
        index.map(|index| index.blocks.iter().map(domain::archive::IndexedBlock::id).collect()).unwrap_or_default()
    }
}
