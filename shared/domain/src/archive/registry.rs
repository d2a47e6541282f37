//! The registry of archives: how far the blocks of each tenant are archived.

use std::{fmt, time::Duration};

use crc_fast::{CrcAlgorithm, checksum};

use super::{segment::SegmentReference, times::ArchiveTimes};
use crate::{
    block::{BlockId, truncate_to_32_bits},
    configuration::bucket::BucketName,
    export_run::{BlockRange, MAX_CLOCK_SKEW},
    tenant::TenantId,
    time::Timestamp,
};

/// The partitions of the registry. It is a constant of the format.
pub const REGISTRY_SHARDS: u8 = 16;

/// One of the [`REGISTRY_SHARDS`] partitions of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryShard(u8);

impl RegistryShard {
    /// Returns every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..REGISTRY_SHARDS).map(Self)
    }

    /// Returns the shard of a tenant's row.
    #[must_use]
    pub fn of(tenant: &TenantId) -> Self {
        let hash = truncate_to_32_bits(checksum(CrcAlgorithm::Crc32Iscsi, tenant.as_str().as_bytes()));
        Self(u8::try_from(hash % u32::from(REGISTRY_SHARDS)).unwrap_or_default())
    }
}

/// The key of the partition: no tenant's ID begins with `#`, and none ends like a shard of blocks, on which roles have permissions.
impl fmt::Display for RegistryShard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#archive#{:x}", self.0)
    }
}

/// Returns the key of the partition with the references to a tenant's segments: `<tenant>#archive`.
#[must_use]
pub fn segment_partition(tenant: &TenantId) -> String {
    format!("{tenant}#archive")
}

/// The registry row of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRow {
    pub tenant: TenantId,
    /// The bucket with the segments. `None`: the row is from before it was noted, and the present bucket has them.
    pub bucket: Option<BucketName>,
    /// Every block from here to before [`ArchiveRow::archived_through`] is archived. Earlier blocks have the full expiry.
    pub archived_from: BlockId,
    pub archived_through: BlockId,
    /// The segments tile the range from `archived_from` to here. From here to `archived_through` there is no block.
    pub segments_through: BlockId,
    /// Every block from the value of `archived_through` at the first rescue to here has the full expiry. `None`: nothing had to
    /// be rescued.
    pub extended_through: Option<BlockId>,
    /// What is left of the blocks from [`ArchiveRow::safe_through`] to here has the full expiry, since a rescue that came too late:
    /// some may be gone. `None`: no rescue came too late.
    pub kept_through: Option<BlockId>,
    /// The row outlives every segment of the tenant, and every block with the short expiry that is not archived.
    pub expires_at: Timestamp,
}

/// The error of an archive whose segments are in another bucket than the stack's: the deployment that made that one was rolled
/// back, and the next one made another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the segments are in the bucket {bucket}, and the stack has the bucket {present}")]
pub struct ForeignBucket {
    pub bucket: BucketName,
    pub present: BucketName,
}

/// The error of a row that no archiver of the service can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the marks of the archive are out of order, or in the future")]
pub struct ImpossibleMarks;

impl ForeignBucket {
    /// Checks that the bucket of a row is the present one.
    ///
    /// # Errors
    /// [`ForeignBucket`].
    pub fn check(bucket: Option<&BucketName>, present: &BucketName) -> Result<(), Self> {
        match bucket {
            Some(bucket) if bucket != present => Err(Self { bucket: bucket.clone(), present: present.clone() }),
            Some(_) | None => Ok(()),
        }
    }
}

impl ArchiveRow {
    /// Returns the row of a tenant whose first block is written at `now`, for segments in `bucket`. `full` is the time for which a
    /// block is kept.
    #[must_use]
    pub fn new(tenant: TenantId, bucket: BucketName, now: Timestamp, full: Duration, times: &ArchiveTimes) -> Self {
        let start = BlockId::lowest_at(now.saturating_sub(times.new_row_age).floor_to(times.span));
        Self {
            tenant,
            bucket: Some(bucket),
            archived_from: start,
            archived_through: start,
            segments_through: start,
            extended_through: None,
            kept_through: None,
            expires_at: now.saturating_add(full).saturating_add(times.row_margin),
        }
    }

    /// Returns the row of a tenant that was erased at `now`, in place of the one that ingest may have cached. It stays for as long
    /// as blocks may appear that were written by the earlier row, and ends unless blocks are archived again.
    ///
    /// Its start is no multiple of a span, so that it differs from every earlier one: no advance of the earlier archive is
    /// taken for one of this archive.
    #[must_use]
    pub fn after_erasure(
        tenant: TenantId,
        bucket: BucketName,
        now: Timestamp,
        table_period: Duration,
        times: &ArchiveTimes,
    ) -> Self {
        let start = BlockId::lowest_at(now.saturating_sub(times.new_row_age));
        let margin = times.cached + times.row_margin + times.row_margin;
        Self {
            archived_from: start,
            archived_through: start,
            segments_through: start,
            expires_at: now.saturating_add(table_period).saturating_add(margin),
            ..Self::new(tenant, bucket, now, table_period, times)
        }
    }

    /// Checks that the segments are in the present bucket. Whoever reads or writes one checks it before.
    ///
    /// # Errors
    /// [`ForeignBucket`].
    pub fn check_bucket(&self, present: &BucketName) -> Result<(), ForeignBucket> {
        ForeignBucket::check(self.bucket.as_ref(), present)
    }

    /// Checks that the marks are in order and not in the future. Whoever could write the row could say that everything is archived.
    ///
    /// # Errors
    /// [`ImpossibleMarks`].
    pub fn check_marks(&self, now: Timestamp) -> Result<(), ImpossibleMarks> {
        let Self { archived_from, segments_through, archived_through, extended_through, kept_through, .. } = self;
        let latest = BlockId::lowest_at(now.saturating_add(MAX_CLOCK_SKEW));
        let rescued = [extended_through, kept_through].into_iter().flatten();
        let is_possible = archived_from <= segments_through
            && segments_through <= archived_through
            && rescued.chain([archived_through]).all(|mark| *mark <= latest);
        if is_possible { Ok(()) } else { Err(ImpossibleMarks) }
    }

    /// Returns the time from the start of the archive to the end of its last segment. Zero: none was stored and read back yet.
    #[must_use]
    pub fn stored_for(&self) -> Duration {
        self.segments_through.timestamp().saturating_since(self.archived_from.timestamp())
    }

    /// Returns how far the archive is behind.
    #[must_use]
    pub fn lag(&self, now: Timestamp) -> Duration {
        now.saturating_since(self.archived_through.timestamp())
    }

    /// Returns the block before which everything can be archived at `now`: the end of the last span that has settled.
    #[must_use]
    pub fn settled_end(now: Timestamp, settle: Duration, times: &ArchiveTimes) -> BlockId {
        BlockId::lowest_at(now.saturating_sub(settle).floor_to(times.span))
    }

    /// Returns whether there may be something to archive before `settled_end`. A tenant that had no blocks the last time is looked
    /// at less often.
    #[must_use]
    pub fn is_due(&self, settled_end: BlockId, times: &ArchiveTimes) -> bool {
        let waiting = settled_end.timestamp().saturating_since(self.archived_through.timestamp());
        let was_idle = self.segments_through < self.archived_through;
        waiting >= if was_idle { times.idle } else { Duration::from_millis(1) }
    }

    /// Returns the end of a segment that begins with the block `first`: the end of its span.
    #[must_use]
    pub fn span_end(first: BlockId, times: &ArchiveTimes) -> BlockId {
        BlockId::lowest_at(first.timestamp().floor_to(times.span).saturating_add(times.span))
    }

    /// Returns the row after the archiver found no block before `through`. Its expiry stays: the row of an idle tenant ends.
    #[must_use]
    pub fn past_nothing(&self, through: BlockId) -> Self {
        Self { archived_through: through, ..self.clone() }
    }

    /// Returns the row after the next segment.
    #[must_use]
    pub fn past(&self, segment: &SegmentReference, times: &ArchiveTimes) -> Self {
        Self {
            archived_through: segment.covers.end,
            segments_through: segment.covers.end,
            expires_at: self.expires_at.max(segment.expires_at.saturating_add(times.row_margin)),
            ..self.clone()
        }
    }

    /// Returns the blocks whose expiry the rescue has to extend at `now`. `None`: the archive is not behind, or they were extended
    /// not long ago.
    #[must_use]
    pub fn to_rescue(&self, now: Timestamp, times: &ArchiveTimes) -> Option<BlockRange> {
        let end = BlockId::lowest_at(now.saturating_sub(times.rescued_from_age));
        let range = BlockRange { first: self.rescued_through(), end };
        (now.saturating_since(range.first.timestamp()) > times.rescued_after && !range.is_empty()).then_some(range)
    }

    /// Returns the block before which every block is archived or has the full expiry.
    #[must_use]
    pub fn safe_through(&self) -> BlockId {
        self.extended_through.map_or(self.archived_through, |extended| extended.max(self.archived_through))
    }

    /// Returns the block before which no rescue has anything left to do: every block is archived, has the full expiry, or is gone.
    #[must_use]
    pub fn rescued_through(&self) -> BlockId {
        self.kept_through.map_or(self.safe_through(), |kept| kept.max(self.safe_through()))
    }

    /// Returns whether some of the blocks that are neither archived nor have the full expiry may be deleted.
    #[must_use]
    pub fn has_losses(&self, now: Timestamp, times: &ArchiveTimes) -> bool {
        self.safe_through() < times.surely_stored_from(now)
    }
}
