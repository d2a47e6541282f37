//! Windows: the blocks that one digest answers for.

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::{
    block::BlockId,
    digest::{DigestObject, Gap},
    time::Timestamp,
};

/// The identity of a window of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowId {
    /// The sequence of its digest.
    pub sequence: u64,
    /// The number of windows of this sequence that were given up before anything was delivered, because the destination was
    /// edited.
    pub revision: u64,
}

/// A window: the blocks from `from` to before `to` without those in the gap, and how many of them are delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    #[serde(flatten)]
    pub id: WindowId,
    /// The cursor when the window was fixed.
    pub from: BlockId,
    /// The first block ID after the window.
    pub to: BlockId,
    /// The events that were past their retention when the window was fixed, deleted or not. No retry reads them.
    pub gap: Option<Gap>,
    pub started_at: Timestamp,
    pub plan: Plan,
    pub checkpoint: Checkpoint,
    /// The number of runs that worked on it.
    #[serde(default = "first_attempt")]
    pub attempts: u32,
    /// Corrupt blocks that an operator approved to skip, in order. No retry reads them, even if they are restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<BlockId>,
}

/// The default for windows that were stored before attempts were counted.
pub(super) fn first_attempt() -> u32 {
    1
}

impl Window {
    /// Returns the window for one more run. The bytes that are written don't depend on the number of runs.
    #[must_use]
    pub fn taken_up_again(self) -> Self {
        Self { attempts: self.attempts.saturating_add(1), ..self }
    }

    /// Returns the blocks that are not delivered yet.
    #[must_use]
    pub fn remaining(&self) -> BlockRange {
        let after_gap = self.gap.map(|gap| BlockId::lowest_at(gap.to));
        let first = match self.checkpoint.last_block {
            Some(block) => block.next(),
            None => after_gap.map_or(self.from, |block| block.max(self.from)),
        };
        BlockRange { first, end: self.to }
    }

    /// Returns whether remaining blocks may have been deleted, if every block from `grace_floor` on is still in the table. The
    /// window then ends with what is delivered, and the next one states the gap.
    #[must_use]
    pub fn is_stale(&self, grace_floor: Timestamp) -> bool {
        self.remaining().first.timestamp() < grace_floor
    }

    /// Returns the window with these blocks skipped too.
    #[must_use]
    pub fn skipping(mut self, blocks: impl IntoIterator<Item = BlockId>) -> Self {
        self.skipped.extend(blocks);
        self.skipped.sort_unstable();
        self.skipped.dedup();
        self
    }

    /// Returns the gaps of its digest, if the window ends before `end`.
    #[must_use]
    pub fn gaps_before(&self, end: BlockId) -> Vec<Gap> {
        Gap::of_window(self.gap, self.skipped.iter().copied().filter(|block| *block < end))
    }

    /// Returns whether its digest has no room for this number of further objects. The first ones always fit.
    #[must_use]
    pub fn is_full_before(&self, objects: u64) -> bool {
        self.checkpoint.objects > 0 && self.checkpoint.objects + objects > self.plan.limits.max_objects
    }

    /// Returns the end of the window if it has to end with what is delivered. `None`: nothing is delivered.
    #[must_use]
    pub fn delivered_end(&self) -> Option<BlockId> {
        self.checkpoint.last_block.map(BlockId::next)
    }
}

/// The block IDs from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    pub first: BlockId,
    pub end: BlockId,
}

impl BlockRange {
    /// Returns the range of all blocks.
    #[must_use]
    pub fn all() -> Self {
        Self::between(Timestamp::EPOCH, Timestamp::MAX)
    }

    /// Returns the range of the blocks that were received from `from` to before `to`.
    #[must_use]
    pub fn between(from: Timestamp, to: Timestamp) -> Self {
        Self { first: BlockId::lowest_at(from), end: BlockId::lowest_at(to) }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first >= self.end
    }

    #[must_use]
    pub fn contains(&self, block: BlockId) -> bool {
        self.first <= block && block < self.end
    }
}

/// The part of a window that is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    pub last_block: Option<BlockId>,
    pub objects: u64,
    pub blocks: u64,
    pub events: u64,
    /// The events that the filter left out.
    #[serde(default)]
    pub left_out: u64,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

impl Checkpoint {
    /// Returns whether an announced object of the window is delivered.
    #[must_use]
    pub fn covers(&self, announced: &DigestObject) -> bool {
        Some(announced.last_block) <= self.last_block
    }
}
