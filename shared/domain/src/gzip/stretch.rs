//! Runs of consecutive blocks, and the rule by which they are compressed anew.
//!
//! What a block loses by being compressed alone is what it could have referred to in the blocks before it: at most about
//! 1.6 KB, however long it is, measured on audit events of 640 bytes. Copying takes about a hundredth of what
//! compressing anew takes. So blocks are copied where that loss is small beside them. The figures are in
//! docs/adr/short-blocks-are-compressed-again.md.

use bytes::Bytes;

use super::ObjectError;
use crate::block::{BlockDecoder, BlockEncoder, StoredBlock};

/// A stretch ends with the block that brings its NDJSON to so many bytes. A stretch that is compressed anew begins with an
/// empty window, which costs a hundredth of this length; and it is held in memory, inflated, with at most one block more.
pub(super) const STRETCH_RAW_LENGTH: usize = 1024 * 1024;

/// Blocks whose streams are shorter than this on average are compressed anew. At this length, copying costs about a fifth of
/// the object's bytes; blocks of 100 audit events have 11 KB.
pub(super) const SHORT_BLOCK_STORED_LENGTH: usize = 8 * 1024;

/// At which a stretch is compressed anew. Part of what `EncoderVersion` 2 is: another one would give other objects.
const COMPRESSION_LEVEL: u32 = 6;

/// Consecutive blocks of one object. Where it begins and ends depends on nothing but the object's blocks.
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

    /// Bytes of the blocks' streams.
    pub(super) fn stored_length(&self) -> usize {
        self.stored_length
    }

    pub(super) fn is_full(&self) -> bool {
        self.raw_length >= STRETCH_RAW_LENGTH
    }

    /// Whether it gains much by being compressed anew. A single block gains nothing.
    pub(super) fn is_of_short_blocks(&self) -> bool {
        let blocks = self.blocks.len();
        blocks > 1 && self.stored_length < blocks * SHORT_BLOCK_STORED_LENGTH
    }
}

/// Compresses stretches anew. Keeps what that takes (2 MiB) from stretch to stretch.
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
    /// One stream of all blocks' NDJSON, ended by a full flush, and proved to decode to it.
    pub(super) fn recompress(&mut self, stretch: &Stretch) -> Result<Bytes, ObjectError> {
        self.raw.clear();
        for block in &stretch.blocks {
            self.decoder.append(block, &mut self.raw)?;
        }
        let recompressed = self.encoder.deflate(&self.raw).map_err(ObjectError::Compressor)?;
        let is_reversible = self.decoder.decodes_to(&recompressed, &self.raw);
        if is_reversible { Ok(recompressed) } else { Err(ObjectError::NotReversible) }
    }
}
