//! The times of the archive, and the relations between them that its argument needs.

use std::time::Duration;

use crate::{
    block::{BlockId, INGEST_WRITE_BOUND},
    export_run::{MAX_CLOCK_SKEW, MIN_SETTLE},
    time::Timestamp,
};

/// The times of the archive. They are one value, so that the simulation can play days in hours: [`ArchiveTimes::are_sound`]
/// holds for its times, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveTimes {
    /// A segment ends at a multiple of this time at the latest.
    pub span: Duration,
    /// The archive of a new registry row starts this long before its creation.
    pub new_row_age: Duration,
    /// A tenant without new blocks is looked at once in this time.
    pub idle: Duration,
    /// The time for which ingest uses a registry row that it has read.
    pub cached: Duration,
    /// A block gets the short expiry only if its tenant's archive is at most this far behind its stamp.
    pub fresh: Duration,
    /// A block gets the short expiry only once its tenant's segments cover this time from the start of the row. It is longer
    /// than any deployment takes, so that one that rolls back by itself leaves no block with the short expiry.
    pub proven_after: Duration,
    /// The rescue begins once blocks of this age are neither archived nor rescued.
    pub rescued_after: Duration,
    /// The age from which on the rescue extends the expiry of blocks. No block of this age is still being written.
    pub rescued_from_age: Duration,
    /// Blocks that are younger are read from the table, archived or not.
    pub read_from_table: Duration,
    /// Blocks that are older have to be archived or rescued: a read that finds neither fails.
    pub behind: Duration,
    /// The shortest time for which blocks stay in the table.
    pub min_table_period: Duration,
    /// A registry row outlives the segments and the short-lived blocks of its tenant by this time.
    pub row_margin: Duration,
    /// A segment outlives its blocks by this time at least.
    pub segment_margin: Duration,
}

/// The time before their expiry from which on blocks don't count as stored: the clocks of the rescue and of the table differ.
const DELETION_MARGIN: Duration = MAX_CLOCK_SKEW.saturating_mul(2);

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl ArchiveTimes {
    pub const PRODUCTION: Self = Self {
        span: HOUR,
        new_row_age: Duration::from_hours(2),
        idle: Duration::from_hours(6),
        cached: Duration::from_mins(10),
        fresh: Duration::from_hours(25),
        proven_after: DAY,
        rescued_after: Duration::from_hours(3 * 24),
        rescued_from_age: Duration::from_hours(2 * 24),
        read_from_table: Duration::from_hours(5 * 24),
        behind: Duration::from_hours(6 * 24),
        min_table_period: Duration::from_hours(7 * 24),
        row_margin: Duration::from_hours(2 * 24),
        segment_margin: DAY,
    };

    /// Returns the block from which on no block is deleted at `now`, whatever its expiry.
    #[must_use]
    pub fn surely_stored_from(&self, now: Timestamp) -> BlockId {
        BlockId::lowest_at(now.saturating_sub(self.min_table_period.saturating_sub(DELETION_MARGIN)))
    }

    /// Returns whether the times have the relations that the argument of docs/SEMANTICS.md needs.
    #[must_use]
    pub const fn are_sound(&self) -> bool {
        let Self { span, new_row_age, idle, cached, fresh, proven_after, rescued_after, .. } = *self;
        let Self { rescued_from_age, read_from_table, behind, min_table_period, row_margin, segment_margin, .. } =
            *self;
        let skew = MAX_CLOCK_SKEW.as_secs();
        // A block that a writer stamps right before or after it creates the row lies in the archive's range.
        new_row_age.as_secs() > INGEST_WRITE_BOUND.as_secs() + skew
            // An archive that works is fresh, also that of an idle tenant.
            && idle.as_secs() >= span.as_secs()
            && fresh.as_secs() > idle.as_secs() + span.as_secs() + MIN_SETTLE.as_secs() + cached.as_secs() + skew
            // The proof is a segment of the time of the row: what was there before may be archived at once.
            && proven_after.as_secs() > new_row_age.as_secs() + span.as_secs()
            // What a cached row allowed is rescued in time: it is at most `fresh` ahead of an archive that never moved again.
            && rescued_after.as_secs() > fresh.as_secs() + cached.as_secs()
            // Nothing lands behind the rescue: a late write, or one by a cached row.
            && rescued_from_age.as_secs() > MIN_SETTLE.as_secs() + cached.as_secs() + skew
            && rescued_after.as_secs() >= rescued_from_age.as_secs()
            // The rescue has time until a read fails, and the read has time until the blocks may be deleted.
            && read_from_table.as_secs() > rescued_after.as_secs()
            && behind.as_secs() > read_from_table.as_secs() + skew
            && min_table_period.as_secs() > behind.as_secs() + skew + DELETION_MARGIN.as_secs()
            && row_margin.as_secs() > cached.as_secs() + skew
            && segment_margin.as_secs() > skew
    }
}

const _: () = assert!(ArchiveTimes::PRODUCTION.are_sound());
// Normal runs never touch the archive: a window that begins with the previous slot of the longest interval, and one that
// was missed.
const _: () = assert!(ArchiveTimes::PRODUCTION.read_from_table.as_secs() > 3 * DAY.as_secs() + MIN_SETTLE.as_secs());
// A merge of blocks reads with one layout for as long as a function may run, and half a day more.
const _: () = assert!(
    ArchiveTimes::PRODUCTION.min_table_period.as_secs()
        >= ArchiveTimes::PRODUCTION.behind.as_secs() + DAY.as_secs() / 2 + 900
);
