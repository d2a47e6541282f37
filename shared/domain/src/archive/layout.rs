//! Where the blocks of a range are read from.

use std::time::Duration;

use super::{registry::ArchiveRow, times::ArchiveTimes};
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
    /// with the full expiry.
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
}

/// Returns the block from which on everything is in the table.
fn table_start(now: Timestamp, times: &ArchiveTimes) -> BlockId {
    BlockId::lowest_at(now.saturating_sub(times.read_from_table))
}
