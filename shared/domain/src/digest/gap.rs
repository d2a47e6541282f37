//! The gaps of a digest: received events that are in no object.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{block::BlockId, time::Timestamp};

/// Received events that are in no object. Without `block`: everything received from `from` (the window's first block) to
/// before `to`. With `block`: exactly that block, and `from` to before `to` is the millisecond of its receipt; other blocks of
/// that millisecond are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
    /// Set exactly when `reason` is [`GapReason::BlockCorrupt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
}

impl Gap {
    /// Returns the gap of everything received from `from` to before `to` that was past its retention before it was exported.
    #[must_use]
    pub fn retention_ended(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, reason: GapReason::RetentionEnded, block: None }
    }

    /// Returns the gap of an export that starts at `from`, if everything before `to` had expired when it was configured.
    #[must_use]
    pub fn start_before_retention(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, reason: GapReason::StartBeforeRetention, block: None }
    }

    /// Returns the gaps of a window, in the order of its digest: what was lost before it, and the blocks that it skips.
    #[must_use]
    pub fn of_window(lost: Option<Self>, skipped: impl IntoIterator<Item = BlockId>) -> Vec<Self> {
        lost.into_iter().chain(skipped.into_iter().map(Self::of_corrupt_block)).collect()
    }

    /// Returns the gap of one block whose stored content is damaged, and which an operator approved to skip.
    #[must_use]
    pub fn of_corrupt_block(block: BlockId) -> Self {
        let from = block.timestamp();
        let to = from.saturating_add(Duration::from_millis(1));
        Self { from, to, reason: GapReason::BlockCorrupt, block: Some(block) }
    }

    /// Returns whether `block` is set exactly if the reason needs it, and the times are those of the block.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        match (self.reason, self.block) {
            (GapReason::RetentionEnded | GapReason::StartBeforeRetention, None) => true,
            (GapReason::BlockCorrupt, Some(block)) => *self == Self::of_corrupt_block(block),
            (GapReason::RetentionEnded | GapReason::StartBeforeRetention, Some(_))
            | (GapReason::BlockCorrupt, None) => false,
        }
    }

    /// Returns whether a block of this ID is in the gap.
    #[must_use]
    pub fn holds(&self, block: BlockId) -> bool {
        let received = block.timestamp();
        self.block.map_or(self.from <= received && received < self.to, |skipped| skipped == block)
    }
}

/// The reason why received events are in no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GapReason {
    /// The retention of the events ended before they could be exported.
    RetentionEnded,
    /// The stored block is damaged, and an operator approved to skip it.
    BlockCorrupt,
    /// The export starts before the retention: these events had expired when it was configured, or were received before that
    /// and had expired when it began.
    StartBeforeRetention,
}
