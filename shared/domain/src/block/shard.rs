//! Shards: the partitions of a tenant's events.

use std::{fmt, num::NonZeroU8};

use crate::tenant::TenantId;

/// The number of partitions of one tenant's events. It is a constant of the format: readers always merge all of them, however
/// many are written to.
pub const SHARDS: u8 = 16;

/// The most partitions that ingest may write to: all but [`Shard::CHANGES`].
pub const MAX_WRITE_SHARDS: u8 = SHARDS - 1;

/// One of the [`SHARDS`] partitions of a tenant's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

/// The error of a number or a text that is not a [`Shard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard must be one of 00 to 15")]
pub struct InvalidShard;

impl Shard {
    /// Every shard, in order.
    pub const ALL: [Self; SHARDS as usize] = {
        let mut all = [Self(0); SHARDS as usize];
        let mut number = 0;
        while number < SHARDS {
            all[number as usize] = Self(number);
            number += 1;
        }
        all
    };

    /// The shard of the events that the service writes itself: changes of configurations. The api may write to this shard only,
    /// and ingest to all others, so neither can overwrite what the other stored: template.yaml has the conditions,
    /// docs/adr/no-keyed-checksum.md the reason. Earlier versions wrote to any shard.
    pub const CHANGES: Self = Self(SHARDS - 1);

    /// # Errors
    /// [`InvalidShard`] unless `number` is below [`SHARDS`].
    pub fn new(number: u8) -> Result<Self, InvalidShard> {
        if number < SHARDS { Ok(Self(number)) } else { Err(InvalidShard) }
    }

    /// Parses the two digits that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`InvalidShard`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidShard> {
        Self::ALL.into_iter().find(|shard| shard.to_string() == text).ok_or(InvalidShard)
    }

    /// Returns one of the first `write_shards` shards, at most [`MAX_WRITE_SHARDS`], by bits of `random` that
    /// [`BlockId::from_parts`](super::BlockId::from_parts) leaves unused.
    #[must_use]
    pub fn draw(random: u128, write_shards: NonZeroU8) -> Self {
        let drawn = (random >> 96) % u128::from(write_shards.get().min(MAX_WRITE_SHARDS));
        Self(u8::try_from(drawn).unwrap_or_default())
    }

    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}", self.0)
    }
}

/// Returns the partition key of a tenant's shard: `<tenant>#<two digits>`.
#[must_use]
pub fn partition_key(tenant: &TenantId, shard: Shard) -> String {
    format!("{tenant}#{shard}")
}
