//! The ranges of blocks that the proven digests cover.

use domain::block::BlockId;

use crate::chain::{Before, ProvenDigest};

/// The position of a block relative to the proven digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// In the window of a proven digest, or before the first digest of the configuration.
    Covered,
    /// In no window of a proven digest, though there are newer ones.
    Uncovered,
    /// After the newest proven digest.
    Later,
}

/// The ranges of blocks that linked digests cover, the oldest first.
pub(crate) struct Coverage {
    stretches: Vec<(BlockId, BlockId)>,
    begins_with_first: bool,
}

impl Coverage {
    pub(crate) fn of(digests: &[ProvenDigest]) -> Self {
        let mut stretches: Vec<(BlockId, BlockId)> = Vec::new();
        for digest in digests {
            match stretches.last_mut() {
                Some((_, end)) if digest.before == Before::Linked => *end = digest.end_block,
                _ => stretches.push((digest.first_block, digest.end_block)),
            }
        }
        let begins_with_first = digests.first().is_some_and(|digest| digest.before == Before::Nothing);
        Self { stretches, begins_with_first }
    }

    pub(crate) fn position_of(&self, block: BlockId) -> Position {
        let index = self.stretches.partition_point(|(first, _)| *first <= block);
        let Some((_, end)) = index.checked_sub(1).and_then(|index| self.stretches.get(index)) else {
            return if self.begins_with_first { Position::Covered } else { Position::Uncovered };
        };
        if block < *end {
            Position::Covered
        } else if index == self.stretches.len() {
            Position::Later
        } else {
            Position::Uncovered
        }
    }
}
