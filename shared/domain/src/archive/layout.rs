//! Where the blocks of a range are read from.

use std::time::Duration;

use super::{registry::ArchiveRow, segment::SegmentReference, times::ArchiveTimes};
use crate::{block::BlockId, export_run::BlockRange, time::Timestamp};

/// A part of a range, and where its blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockPart {
    /// In the shards of the events table.
    Table(BlockRange),
    /// In segments, which cover the part without a hole.
    Archive(BlockRange),
}

/// The parts of a range, in order. They are fixed once for each merge: with a boundary that moves between the pages of two
/// shards, a block could be in neither part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockLayout {
    pub parts: Vec<BlockPart>,
}

/// The error of a range with blocks that may be deleted soon, or are, and are neither archived nor rescued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "blocks from {since} on are neither archived nor rescued, and older than {} h: they may be deleted",
    age.as_secs() / 3_600
)]
pub struct ArchiveBehind {
    pub since: BlockId,
    pub age: Duration,
}

impl BlockLayout {
    /// Returns the layout of a range that is in the table.
    #[must_use]
    pub fn in_table(range: BlockRange) -> Self {
        Self { parts: Vec::from_iter((!range.is_empty()).then_some(BlockPart::Table(range))) }
    }

    /// Returns whether the layout of the range depends on the registry row. If not, it is [`BlockLayout::in_table`].
    #[must_use]
    pub fn needs_row(range: BlockRange, now: Timestamp, times: &ArchiveTimes) -> bool {
        !range.is_empty() && range.first < table_start(now, times)
    }

    /// Returns the layout of a range, by the registry row of its tenant. `None`: there is none, and every block is in the table
    /// with the full expiry. That the row does not say too little is checked with [`BlockLayout::without_segments`].
    ///
    /// Of what is archived, the youngest is read from the table, where it is sure to be. That depends on no setting, because
    /// blocks may have been written by others than the present ones.
    ///
    /// # Errors
    /// [`ArchiveBehind`]: the blocks may be gone. It is never a silent hole.
    pub fn of(
        row: Option<&ArchiveRow>,
        range: BlockRange,
        now: Timestamp,
        times: &ArchiveTimes,
    ) -> Result<Self, ArchiveBehind> {
        let Some(row) = row.filter(|_| Self::needs_row(range, now, times)) else { return Ok(Self::in_table(range)) };
        row.check_behind(range, now, times)?;
        let from = row.archived_from.clamp(range.first, range.end);
        // From here to `archived_through` there is no block. The table is read there all the same: a row that says too much
        // hides nothing that is still stored.
        let segments = row.segments_through.min(table_start(now, times)).clamp(from, range.end);
        let parts = [
            BlockPart::Table(BlockRange { first: range.first, end: from }),
            BlockPart::Archive(BlockRange { first: from, end: segments }),
            BlockPart::Table(BlockRange { first: segments, end: range.end }),
        ];
        Ok(Self { parts: parts.into_iter().filter(|part| !part.range().is_empty()).collect() })
    }

    /// Returns the ranges in which no segment may be that has not expired, if the table has the old blocks of a range, as its
    /// layout says. A segment there means that the row says too little, or is lost: the blocks may be gone from the table.
    ///
    /// Before the start of an archive, segments of any age count: a lost row may have been created again later than the end of
    /// the last segment, and blocks with the short expiry may be between them.
    #[must_use]
    pub fn without_segments(
        row: Option<&ArchiveRow>,
        range: BlockRange,
        now: Timestamp,
        times: &ArchiveTimes,
    ) -> Vec<BlockRange> {
        let old = table_start(now, times);
        let from = row.map_or(old, |row| row.archived_from.min(old));
        let mut ranges = Vec::new();
        if range.first < from && !range.is_empty() {
            ranges.push(BlockRange { first: BlockId::LOWEST, end: from });
        }
        if let Some(row) = row {
            let rest = BlockRange { first: row.segments_through.max(range.first), end: range.end.min(old) };
            ranges.extend((!rest.is_empty()).then_some(rest));
        }
        ranges
    }
}

impl BlockPart {
    #[must_use]
    pub fn range(&self) -> BlockRange {
        match self {
            Self::Table(range) | Self::Archive(range) => *range,
        }
    }
}

impl ArchiveRow {
    /// Checks that no block of the range may be gone from the table that is not archived. The archiver checks it before it
    /// reads: after it, the archive would count as complete.
    ///
    /// # Errors
    /// [`ArchiveBehind`].
    pub fn check_behind(&self, range: BlockRange, now: Timestamp, times: &ArchiveTimes) -> Result<(), ArchiveBehind> {
        let since = self.safe_through().max(range.first);
        let old = BlockId::lowest_at(now.saturating_sub(times.behind));
        if since < old.min(range.end) { Err(ArchiveBehind { since, age: times.behind }) } else { Ok(()) }
    }

    /// Returns whether the segment is one of those that the row counts.
    #[must_use]
    pub fn counts(&self, segment: &SegmentReference) -> bool {
        self.archived_from <= segment.covers.first && segment.covers.end <= self.segments_through
    }
}

/// Returns the block from which on everything is in the table.
fn table_start(now: Timestamp, times: &ArchiveTimes) -> BlockId {
    BlockId::lowest_at(now.saturating_sub(times.read_from_table))
}
