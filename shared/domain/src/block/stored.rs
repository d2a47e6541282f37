//! Blocks as they are stored, and their checksum.

use std::fmt;

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use super::id::BlockId;
use crate::{tenant::TenantId, time::Timestamp};

/// The end of a full flush: an empty stored block (RFC 1951, 3.2.4), on a byte boundary.
pub(super) const FULL_FLUSH_MARKER: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// A block as it is stored in the events table.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredBlock {
    pub id: BlockId,
    pub event_count: u32,
    /// The length of the NDJSON in bytes.
    pub raw_length: u32,
    /// The CRC-32 of the NDJSON, as in gzip.
    pub crc32: u32,
    /// The CRC-32C over all other fields and the tenant; see [`StoredBlock::check`].
    pub crc32c: u32,
    /// The earliest `eventTimestamp` in the block.
    pub oldest_event: Timestamp,
    /// The latest `eventTimestamp` in the block.
    pub newest_event: Timestamp,
    /// The compressed NDJSON.
    pub deflate: Bytes,
}

/// Prints only the shape: the events are the tenant's data, which must not be logged.
impl fmt::Debug for StoredBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredBlock")
            .field("id", &self.id)
            .field("event_count", &self.event_count)
            .field("raw_length", &self.raw_length)
            .field("stored_length", &self.deflate.len())
            .finish_non_exhaustive()
    }
}

/// The fault of a block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorruptBlock {
    #[error("block {0}: the stored bytes or attributes were changed, or belong to another tenant or block")]
    StoredChecksum(BlockId),
    #[error("block {0}: the stored bytes are not a raw DEFLATE stream that ends with a full flush")]
    Deflate(BlockId),
    #[error("block {0}: the length of the events differs from the attribute")]
    RawLength(BlockId),
    #[error("block {0}: the CRC-32 of the events differs from the attribute")]
    RawChecksum(BlockId),
    #[error("block {0}: the number of lines differs from the attribute")]
    EventCount(BlockId),
}

impl CorruptBlock {
    #[must_use]
    pub fn id(&self) -> BlockId {
        match self {
            Self::StoredChecksum(id)
            | Self::Deflate(id)
            | Self::RawLength(id)
            | Self::RawChecksum(id)
            | Self::EventCount(id) => *id,
        }
    }
}

impl StoredBlock {
    /// Checks without decoding that bytes and attributes are as written, for this tenant and under this ID.
    ///
    /// The CRC-32C is taken over, in this order: the DEFLATE bytes; the tenant's ID in UTF-8; the 16 bytes of the block
    /// ID; event count, raw length and CRC-32 as 4 bytes each; oldest and newest event time in milliseconds as 8 bytes
    /// each. Every number is big-endian.
    ///
    /// # Errors
    /// [`CorruptBlock::StoredChecksum`] if the sum differs.
    pub fn check(&self, tenant: &TenantId) -> Result<(), CorruptBlock> {
        if self.stored_checksum(tenant) == self.crc32c { Ok(()) } else { Err(CorruptBlock::StoredChecksum(self.id)) }
    }

    pub(super) fn stored_checksum(&self, tenant: &TenantId) -> u32 {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&self.deflate);
        digest.update(tenant.as_str().as_bytes());
        digest.update(&self.id.to_bytes());
        digest.update(&self.event_count.to_be_bytes());
        digest.update(&self.raw_length.to_be_bytes());
        digest.update(&self.crc32.to_be_bytes());
        digest.update(&self.oldest_event.as_millis().to_be_bytes());
        digest.update(&self.newest_event.as_millis().to_be_bytes());
        truncate_to_32_bits(digest.finalize())
    }
}

/// Returns the number of lines, if the last one is complete and the number fits.
pub(super) fn count_lines(raw: &[u8]) -> Option<u32> {
    let lines = memchr::memchr_iter(b'\n', raw).count();
    if raw.last() == Some(&b'\n') { u32::try_from(lines).ok() } else { None }
}

/// Returns the value of a 32-bit CRC, which the library returns in the low half of 64 bits.
pub(crate) fn truncate_to_32_bits(checksum: u64) -> u32 {
    u32::try_from(checksum & u64::from(u32::MAX)).unwrap_or_default()
}
