//! Block IDs: the order of a tenant's blocks.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::time::Timestamp;

/// The identity and the position of a block: a ULID with the server's stamp right before the write as its time. Blocks are
/// exported in the order of their IDs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockId(Ulid);

/// The error of a text that is not a [`BlockId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block ID must be a ULID: 26 characters of Crockford's base 32 in upper case, not after the year 9999")]
pub struct InvalidBlockId;

impl BlockId {
    /// The bits that [`BlockId::from_parts`] uses of the random number. The 80th stays zero, so that the [`BlockId::next`]
    /// steps of one request can't reach into the next millisecond.
    const RANDOM_BITS: u32 = 79;

    /// The lowest ID of all.
    pub const LOWEST: Self = Self(Ulid(0));

    /// Returns the ID of a block stamped at `timestamp`, with the low 79 bits of `random`.
    #[must_use]
    pub fn from_parts(timestamp: Timestamp, random: u128) -> Self {
        Self(Ulid::from_parts(timestamp.as_millis(), random & ((1 << Self::RANDOM_BITS) - 1)))
    }

    /// Returns the lowest ID of a millisecond. Every block stamped earlier sorts before it.
    #[must_use]
    pub fn lowest_at(timestamp: Timestamp) -> Self {
        Self(Ulid::from_parts(timestamp.as_millis(), 0))
    }

    /// Returns the ID right after this one, for the next block of the same request.
    #[must_use]
    pub fn next(self) -> Self {
        Self(Ulid(self.0.0.saturating_add(1)))
    }

    /// Returns the ID right before this one: the inclusive end of a range that excludes this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(Ulid(self.0.0.saturating_sub(1)))
    }

    /// Returns the server's stamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0.timestamp_ms()).unwrap_or(Timestamp::MAX)
    }

    /// Returns the ID as bytes, for the block's checksum and the index of a segment.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// Returns the first ID that sorts after a key of the events table, which may be malformed. `None`: there is none.
    #[must_use]
    pub fn first_after(key: &str) -> Option<Self> {
        let end = Self::lowest_at(Timestamp::MAX).0.0;
        // The order of IDs is that of their texts.
        let (mut first, mut rest) = (0, end);
        while first < rest {
            let middle = first + (rest - first) / 2;
            if &*Ulid(middle).array_to_str(&mut [0; ulid::ULID_LEN]) <= key {
                first = middle + 1;
            } else {
                rest = middle;
            }
        }
        (first < end).then_some(Self(Ulid(first)))
    }

    /// # Errors
    /// [`InvalidBlockId`] unless `text` is exactly what [`fmt::Display`] writes for some ID.
    pub fn parse(text: &str) -> Result<Self, InvalidBlockId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidBlockId)?;
        // The decoder also accepts lower case. Two spellings of one key would be two keys.
        let canonical = id.array_to_str(&mut [0; ulid::ULID_LEN]) == text;
        let in_range = Timestamp::from_millis(id.timestamp_ms()).is_some();
        if canonical && in_range { Ok(Self(id)) } else { Err(InvalidBlockId) }
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for BlockId {
    type Error = InvalidBlockId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<BlockId> for String {
    fn from(id: BlockId) -> Self {
        id.to_string()
    }
}
