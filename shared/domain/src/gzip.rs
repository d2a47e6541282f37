//! Export objects: many blocks as one gzip member, by copying bytes.
//!
//! Layout (RFC 1952): a fixed header without name or time, the blocks' DEFLATE streams one behind the other, an empty
//! final block, the CRC-32 combined from the blocks' own, and the length modulo 2^32. Nothing is decoded or compressed.

use bytes::{Bytes, BytesMut};
use crc_fast::CrcAlgorithm;

use crate::block::{StoredBlock, truncate_to_32_bits};

/// Changes whenever the same blocks would become other bytes. A run's plan names it, so that a retry under a newer
/// program doesn't write other bytes under the same key.
pub const ENCODER_VERSION: u32 = 1;

/// Magic, method 8 (DEFLATE), no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];

/// A final block of fixed Huffman codes that holds only its end.
const EMPTY_FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// CRC-32 and length, four bytes each.
const TRAILER_LENGTH: usize = 8;

/// Joins blocks to one gzip object. Blocks are pushed in the order in which their events shall appear, after
/// [`StoredBlock::verify`].
#[derive(Debug)]
pub struct ObjectEncoder {
    encoded: BytesMut,
    raw_length: u64,
    crc32: u32,
    event_count: u64,
    block_count: u32,
}

/// A finished object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedObject {
    pub bytes: Bytes,
    /// Bytes of NDJSON.
    pub raw_length: u64,
    /// CRC-32 of the NDJSON.
    pub crc32: u32,
    pub event_count: u64,
    pub block_count: u32,
}

impl Default for ObjectEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ObjectEncoder {
    #[must_use]
    pub fn new() -> Self {
        Self { encoded: BytesMut::from(&HEADER[..]), raw_length: 0, crc32: 0, event_count: 0, block_count: 0 }
    }

    /// Appends a block's events.
    pub fn push(&mut self, block: &StoredBlock) {
        let raw_length = u64::from(block.raw_length);
        self.encoded.extend_from_slice(&block.deflate);
        self.crc32 = truncate_to_32_bits(crc_fast::checksum_combine(
            CrcAlgorithm::Crc32IsoHdlc,
            self.crc32.into(),
            block.crc32.into(),
            raw_length,
        ));
        self.raw_length += raw_length;
        self.event_count += u64::from(block.event_count);
        self.block_count += 1;
    }

    /// Bytes of the object if it were finished now.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.encoded.len() + EMPTY_FINAL_BLOCK.len() + TRAILER_LENGTH
    }

    /// Bytes of NDJSON.
    #[must_use]
    pub fn raw_length(&self) -> u64 {
        self.raw_length
    }

    #[must_use]
    pub fn finish(mut self) -> EncodedObject {
        self.encoded.extend_from_slice(&EMPTY_FINAL_BLOCK);
        self.encoded.extend_from_slice(&self.crc32.to_le_bytes());
        let length_modulo_2_to_32 = truncate_to_32_bits(self.raw_length);
        self.encoded.extend_from_slice(&length_modulo_2_to_32.to_le_bytes());
        EncodedObject {
            bytes: self.encoded.freeze(),
            raw_length: self.raw_length,
            crc32: self.crc32,
            event_count: self.event_count,
            block_count: self.block_count,
        }
    }
}

#[cfg(test)]
mod tests;
