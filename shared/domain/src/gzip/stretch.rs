//! Stretches of consecutive blocks, and the rule by which they are recompressed.
//!
//! A block that was compressed alone can't refer to the blocks before it. That costs at most about 1.6 KB, however long the
//! block is, measured on audit events of 640 bytes. Copying takes about a hundredth of the time of recompressing, so blocks
//! are copied where that loss is small compared to their length. The figures are in
//! docs/adr/short-blocks-are-compressed-again.md.

use bytes::Bytes;

use super::error::ObjectError;
use crate::block::{BlockDecoder, BlockEncoder, StoredBlock};

/// The bytes of NDJSON with which a stretch ends. A recompressed stretch begins with an empty window, which costs a hundredth
/// of this length, and is held in memory, inflated, with at most one block more.
pub(super) const STRETCH_RAW_LENGTH: usize = 1024 * 1024;

/// The average length of a block's stream below which blocks are recompressed. At this length, copying costs about a fifth of
/// the object's bytes. Blocks of 100 audit events have 11 KB.
pub const SHORT_BLOCK_STORED_LENGTH: usize = 8 * 1024;

/// The compression level of stretches. It is part of `EncoderVersion` 2 and of encoder 51: another one would change the objects.
const COMPRESSION_LEVEL: u32 = 6;

/// Consecutive blocks of one object. Its begin and end depend on the object's blocks only.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    blocks: Vec<StoredBlock>,
    raw_length: usize,
    stored_length: usize,
}

impl Stretch {
    pub(super) fn push(&mut self, block: StoredBlock) {
        self.raw_length += usize::try_from(block.raw_length).unwrap_or(usize::MAX);
        self.stored_length += block.deflate.len();
        self.blocks.push(block);
    }

    pub(super) fn blocks(&self) -> &[StoredBlock] {
        &self.blocks
    }

    /// Returns the bytes of the blocks' streams.
    pub(super) fn stored_length(&self) -> usize {
        self.stored_length
    }

    pub(super) fn is_full(&self) -> bool {
        self.raw_length >= STRETCH_RAW_LENGTH
    }

    /// Returns whether recompressing gains much. A single block gains nothing.
    pub(super) fn is_of_short_blocks(&self) -> bool {
        let blocks = self.blocks.len();
        blocks > 1 && self.stored_length < blocks * SHORT_BLOCK_STORED_LENGTH
    }
}

/// A compressor of stretches. It keeps its buffers (2 MiB) from stretch to stretch.
#[derive(Debug)]
pub(super) struct Recompressor {
    decoder: BlockDecoder,
    encoder: BlockEncoder,
    raw: Vec<u8>,
}

impl Default for Recompressor {
    fn default() -> Self {
        let encoder = BlockEncoder::with_level(COMPRESSION_LEVEL);
        Self { decoder: BlockDecoder::default(), encoder, raw: Vec::new() }
    }
}

impl Recompressor {
    /// Returns one stream of the NDJSON of all blocks, ended by a full flush, after checking that it decodes to the NDJSON.
    pub(super) fn recompress(&mut self, stretch: &Stretch) -> Result<Bytes, ObjectError> {
        self.raw.clear();
        for block in &stretch.blocks {
            self.decoder.append(block, &mut self.raw)?;
        }
        let raw = std::mem::take(&mut self.raw);
        let recompressed = self.compress(&raw);
        self.raw = raw;
        recompressed
    }

    /// Returns one stream of some NDJSON, ended by a full flush, after checking that it decodes to the NDJSON.
    pub(super) fn compress(&mut self, raw: &[u8]) -> Result<Bytes, ObjectError> {
        let compressed = self.encoder.deflate(raw).map_err(ObjectError::Compressor)?;
        let is_reversible = self.decoder.decodes_to(&compressed, raw);
        if is_reversible { Ok(compressed) } else { Err(ObjectError::NotReversible) }
    }
}
