//! The deletions of an erasure in the events table and the archive.

use domain::{archive::ArchiveRow, block::Shard, configuration::bucket::BucketName, tenant::TenantId};

use super::error::PortError;

/// A partition of a tenant in the events table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPartition {
    Blocks(Shard),
    /// Counts of bytes.
    Quota,
    /// Records of idempotency keys.
    Idempotency,
    /// References to the segments of the archive.
    Segments,
}

impl EventPartition {
    /// Returns all partitions of a tenant.
    pub fn all() -> impl Iterator<Item = Self> {
        Shard::ALL.into_iter().map(Self::Blocks).chain([Self::Quota, Self::Idempotency, Self::Segments])
    }
}

/// The items of the events table, for their erasure.
pub trait ItemEraser: Send + Sync {
    /// Deletes a page of a partition, and returns the number of its items; 0: none is left. After an error, some of the page may be
    /// deleted.
    fn erase_items(
        &self,
        tenant: &TenantId,
        partition: EventPartition,
    ) -> impl Future<Output = Result<u64, PortError>> + Send;
}

/// The objects of segments, for their erasure.
pub trait SegmentEraser: Send + Sync {
    /// Deletes all versions of some segments of a tenant, whether or not a reference names them, and returns their number; 0: none is
    /// left. After an error, some may be deleted.
    fn erase_segments(&self, tenant: &TenantId) -> impl Future<Output = Result<u64, PortError>> + Send;
}

/// The registry rows, for an erasure.
pub trait ArchiveReset: Send + Sync {
    /// Returns the bucket of a tenant's segments; reads nothing else of the row. `None`: there is no row, or it is from before the
    /// bucket was noted.
    fn archive_bucket(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<BucketName>, PortError>> + Send;

    /// Replaces the row of an erased tenant, whatever it says. Does nothing if there is none.
    fn reset_archive_row(&self, row: &ArchiveRow) -> impl Future<Output = Result<(), PortError>> + Send;
}
