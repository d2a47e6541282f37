//! Segments: archived blocks of one tenant, as one object in the service's bucket.

use std::{fmt, time::Duration};

use crate::{block::BlockId, digest::Hex32, export_run::BlockRange, tenant::TenantId, time::Timestamp};

/// The stored bytes with which a segment ends.
pub const SEGMENT_LENGTH: u64 = 32 * 1024 * 1024;

/// The blocks with which a segment ends, so that its index stays small.
pub const MAX_SEGMENT_BLOCKS: u32 = 16_384;

/// The days for which objects are kept, each with a lifecycle rule of the bucket. It is a fixed list, so that lowering
/// `RetentionDays` deletes nothing that has to be kept longer. Days may be added; none may be removed or changed.
pub const DAY_CLASSES: [u16; 11] = [30, 60, 110, 140, 210, 400, 800, 1_200, 1_900, 2_600, 3_700];

/// The days by which an object outlives its reference at least: time to live takes some to delete it.
const OBJECT_MARGIN_DAYS: u16 = 3;

/// The most days for which an object has to be kept: the longest `RetentionDays`, `EXPIRY_GRACE` and margins.
const MAX_DAYS: u16 = 3_650 + 14 + 2 + OBJECT_MARGIN_DAYS;
const _: () = assert!(DAY_CLASSES[DAY_CLASSES.len() - 1] >= MAX_DAYS);

/// One of [`DAY_CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayClass(u16);

impl DayClass {
    /// Returns the class of objects whose references are kept for `time` after the last block was stamped: the least one that
    /// outlives them.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        let fits = |days: &u16| Duration::from_hours(u64::from(days.saturating_sub(OBJECT_MARGIN_DAYS)) * 24) >= time;
        let longest = DAY_CLASSES.last().copied().unwrap_or(MAX_DAYS);
        Self(DAY_CLASSES.into_iter().find(fits).unwrap_or(longest))
    }

    /// Returns the prefix of the keys of a class, for its lifecycle rule.
    #[must_use]
    pub fn prefix(self) -> String {
        format!("{self}/")
    }

    /// Returns every class, the shortest first.
    pub fn all() -> impl Iterator<Item = Self> {
        DAY_CLASSES.into_iter().map(Self)
    }

    #[must_use]
    pub fn days(self) -> u16 {
        self.0
    }
}

impl fmt::Display for DayClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "keep-{}-days", self.0)
    }
}

/// The prefix of a tenant's segments in each class, for their erasure.
#[derive(Clone, Copy, Debug)]
pub struct TenantSegments<'a>(pub &'a TenantId);

impl TenantSegments<'_> {
    /// Returns the prefixes of all objects of the tenant.
    pub fn prefixes(&self) -> impl Iterator<Item = String> {
        DayClass::all().map(|class| format!("{class}/{}/", self.0))
    }
}

/// Returns the key of a segment. It has the beginning of the hash of the bytes: one key never gets two contents, whatever was
/// damaged, restored or approved to be left out between two attempts.
#[must_use]
pub fn segment_key(class: DayClass, tenant: &TenantId, covers: BlockRange, sha256: Hex32) -> String {
    let (first, last) = (covers.first, covers.end.previous());
    let day = last.timestamp().utc_date().replace('-', "/");
    let hash: String = sha256.to_string().chars().take(16).collect();
    format!("{class}/{tenant}/{day}/{first}-{last}-{hash}.segment")
}

/// The reference to a segment, from which on it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReference {
    /// The segment holds every block of this range. It begins where the previous segment ends.
    pub covers: BlockRange,
    pub object_key: String,
    /// The length of the object.
    pub length: u64,
    pub sha256: Hex32,
    pub event_count: u64,
    pub blocks: u32,
    /// The corrupt blocks of the range that were left out, because an operator had approved that.
    pub left_out: u32,
    /// The reference and the object outlive the retention of their blocks.
    pub expires_at: Timestamp,
}

impl SegmentReference {
    /// Returns the ID under which the reference is stored: so the first one at or after a block is that of the block's segment.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.covers.end.previous()
    }
}
