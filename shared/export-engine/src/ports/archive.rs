//! The registry of archives, their segments, and the expiry of blocks in the events table.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, RegistryShard, SegmentReference},
    block::{BlockId, Shard},
    export_run::BlockRange,
    tenant::TenantId,
};

use super::error::PortError;

/// A page of registry rows. A row that can't be read is an error inside the list, so that it stops no other tenant.
#[derive(Clone, Debug, Default)]
pub struct ArchiveRowPage {
    pub rows: Vec<Result<ArchiveRow, PortError>>,
    /// The place after which the next page begins. `None`: this is the last.
    pub next: Option<RowPosition>,
}

/// The place of a row in its shard: the text of its key. It is no tenant's ID, because a page may end with a malformed key, which
/// must not hide the rows after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPosition(String);

impl RowPosition {
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(key)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The outcome of moving the archive of a tenant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvanceOutcome {
    Done,
    /// The row does not exist, or was moved by another archiver or an erasure. Nothing was changed.
    Moved,
    /// The row is as it was, and a reference is stored under the ID of the segment. Nothing was changed. No archiver causes
    /// that: it stores a reference and moves the row in one transaction.
    ReferenceExists,
}

/// The registry rows and the references to segments, in the events table.
///
/// Every read is strongly consistent, and sees items past their `expires_at` as long as they are stored.
pub trait ArchiveRecords: Send + Sync {
    /// Returns a page of the rows of a shard, in the order of the tenants.
    fn archive_rows(
        &self,
        shard: RegistryShard,
        after: Option<&RowPosition>,
    ) -> impl Future<Output = Result<ArchiveRowPage, PortError>> + Send;

    /// Returns the row of a tenant. `None`: there is none.
    fn archive_row(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<ArchiveRow>, PortError>> + Send;

    /// Stores a row unless the tenant has one. `false`: it has one.
    fn create_archive_row(&self, row: &ArchiveRow) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Moves the archive of a tenant on, in one transaction:
    ///
    /// - the row gets the `bucket`, `archived_through`, `segments_through` and `expires_at` of `next`, if it exists and its `bucket`,
    ///   `archived_from` and `archived_through` are still those of `current`. `extended_through` and `kept_through` are not touched: a
    ///   rescue may have moved them;
    /// - the segment, if there is one, is stored under [`SegmentReference::id`], if nothing is stored there.
    ///
    /// The outcome of a request that was interrupted may be any.
    fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> impl Future<Output = Result<AdvanceOutcome, PortError>> + Send;

    /// Sets `extended_through` and `kept_through` of a row to those of `next`, if they and `archived_from` are still those of
    /// `current`. `false`: they are not, or the row does not exist.
    fn extend_archive_row(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Returns the references to the first segments that cover some of the range, in order: those whose last block is not before
    /// the range, and that begin before its end. An empty list: there is none. One call may return fewer than all of them (a
    /// page), but at least one; the caller asks for the rest.
    fn segments(
        &self,
        tenant: &TenantId,
        range: BlockRange,
    ) -> impl Future<Output = Result<Vec<SegmentReference>, PortError>> + Send;
}

/// The objects of segments, in the service's bucket.
///
/// Errors: transient, or internal. An object that does not exist, or has fewer bytes than were asked for, is an internal error.
pub trait SegmentStore: Send + Sync {
    /// Stores an object unless there is one under the key (`If-None-Match: *`), with its SHA-256 for S3 to check. One that is there
    /// is no error, although it may have other bytes: the caller reads back what is stored.
    fn put_segment(
        &self,
        key: &str,
        bytes: Bytes,
        sha256: [u8; 32],
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns exactly `length` bytes of an object from `offset` on (a range request). `length` is greater than zero.
    fn read_segment(
        &self,
        key: &str,
        offset: u64,
        length: u64,
    ) -> impl Future<Output = Result<Bytes, PortError>> + Send;
}

/// The expiry of blocks in the events table.
pub trait BlockExpiry: Send + Sync {
    /// Sets the expiry of blocks of a shard and a range to `lifetime` after their stamp, where it is shorter. Each is one
    /// conditional update: the item exists, and its expiry is shorter. So no deleted block comes back, no other attribute
    /// changes, and no expiry is shortened. The read that finds the blocks is strongly consistent.
    ///
    /// One call does a page. Returns the start of the rest, also if the page ends with a malformed key; `None`: the range is done.
    fn extend_expiry(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
        lifetime: Duration,
    ) -> impl Future<Output = Result<Option<BlockId>, PortError>> + Send;
}
