//! The decision on the expiry of a block.

use std::time::Duration;

use super::{registry::ArchiveRow, times::ArchiveTimes};
use crate::{block::EXPIRY_GRACE, configuration::bucket::BucketName, time::Timestamp};

/// The most days for which blocks stay in the table while there is an archive.
pub const MAX_TABLE_DAYS: u32 = 365;

/// The times for which a writer keeps blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTerms {
    /// The time from the stamp of a block to its full expiry.
    full: Duration,
    /// The time from the stamp to the short expiry. `None`: there is no archive, and every block has the full expiry.
    table: Option<Duration>,
    times: ArchiveTimes,
}

/// The error of a number of days for which blocks can't stay in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("blocks stay in the table for 7 to 365 days, or 0: for all of their retention, without an archive")]
pub struct InvalidTableDays;

impl BlockTerms {
    /// Returns the terms of `TableDays` and the retention. 0 days, or at least as many as the retention and
    /// [`EXPIRY_GRACE`]: there is no archive.
    ///
    /// # Errors
    /// [`InvalidTableDays`].
    pub fn parse(table_days: u32, retention: Duration) -> Result<Self, InvalidTableDays> {
        let full = retention.saturating_add(EXPIRY_GRACE);
        let table = Duration::from_hours(u64::from(table_days) * 24);
        match table_days {
            0 => Ok(Self { full, table: None, times: ArchiveTimes::PRODUCTION }),
            1..=MAX_TABLE_DAYS if table >= ArchiveTimes::PRODUCTION.min_table_period => {
                Ok(Self::new(full, table, ArchiveTimes::PRODUCTION))
            }
            _ => Err(InvalidTableDays),
        }
    }

    /// Returns terms with other times than those of production. A table time that is shorter than the times allow counts as the
    /// shortest one.
    #[must_use]
    pub fn new(full: Duration, table: Duration, times: ArchiveTimes) -> Self {
        let table = table.max(times.min_table_period);
        Self { full, table: (table < full).then_some(table), times }
    }

    /// Returns the time for which a block is kept that gets the full expiry.
    #[must_use]
    pub fn full(&self) -> Duration {
        self.full
    }

    /// Returns the time for which archived blocks stay in the table. `None`: there is no archive.
    #[must_use]
    pub fn table(&self) -> Option<Duration> {
        self.table
    }

    /// Returns the expiry of a block, by the registry row of its tenant: read at most [`ArchiveTimes::cached`] ago, or `None` if
    /// there is none or it can't be read. `bucket` is the present bucket of segments.
    ///
    /// The short expiry needs an archive that is fresh, that has proved itself, and whose row outlives the block: as long as the
    /// row is there, the rescue extends what the archive does not reach in time. The proof is a segment that was stored and read
    /// back a day after the row began: the archive of a younger one may be that of a deployment that rolls back. An archive in
    /// another bucket is not continued.
    #[must_use]
    pub fn expiry(&self, row: Option<&ArchiveRow>, bucket: &BucketName, stamp: Timestamp) -> Timestamp {
        let full = stamp.saturating_add(self.full);
        let (Some(table), Some(row)) = (self.table, row) else { return full };
        let short = stamp.saturating_add(table);
        let is_fresh = stamp.saturating_since(row.archived_through.timestamp()) <= self.times.fresh;
        // So the block is not before `archived_from` either: that lies a day before a mark that is not in the future.
        let is_possible = row.check_marks(stamp).is_ok();
        let is_outlived = row.expires_at >= short.saturating_add(self.times.row_margin);
        let is_proven = row.stored_for() >= self.times.proven_after;
        let is_present = row.check_bucket(bucket).is_ok();
        if is_fresh && is_proven && is_possible && is_outlived && is_present { short.min(full) } else { full }
    }
}
