//! Export objects: many blocks as one gzip member.
//!
//! Layout (RFC 1952): a fixed header without name or time, consecutive DEFLATE streams, an empty final block, the CRC-32
//! combined from those of the blocks, and the length modulo 2^32. The stream of a block is copied unchanged; where blocks are
//! short, one stream replaces those of a whole stretch of blocks.

mod error;
mod lines;
mod member;
mod stretch;

use bytes::BytesMut;
use strum::FromRepr;

pub use self::{error::ObjectError, lines::LinesEncoder, stretch::SHORT_BLOCK_STORED_LENGTH};
use self::{
    member::{ENDING_LENGTH, HEADER, ended},
    stretch::{Recompressor, Stretch},
};
use crate::{
    block::StoredBlock,
    encoded_object::{Content, EncodedObject},
};

/// The version of the encoder, which decides the bytes of an object. A run's plan names it by number, so that a retry under a
/// newer program doesn't write other bytes under the same key. A change of one byte of an object needs another version, and
/// an old version has to stay while a window that was begun with it can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRepr)]
#[repr(u32)]
pub enum EncoderVersion {
    /// Every block is copied.
    Joining = 1,
    /// Stretches of short blocks are recompressed, all others are copied.
    Recompressing = 2,
}

impl EncoderVersion {
    pub const ALL: [Self; 2] = [Self::Joining, Self::Recompressing];

    /// The version of new plans.
    pub const CURRENT: Self = Self::Recompressing;

    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns the version of a plan. `None`: a newer program made the plan.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::from_repr(number)
    }
}

/// An encoder of blocks as one gzip object. Blocks are pushed in the order of their events, after [`StoredBlock::check`].
#[derive(Debug)]
pub struct GzipEncoder {
    version: EncoderVersion,
    encoded: BytesMut,
    /// Blocks that were pushed and are not yet in `encoded`.
    stretch: Stretch,
    /// Created on first use: most objects need none.
    recompressor: Option<Recompressor>,
    content: Content,
}

impl GzipEncoder {
    #[must_use]
    pub fn new(version: EncoderVersion) -> Self {
        Self::in_buffer(version, BytesMut::new())
    }

    /// Creates an encoder that writes into `buffer`, after clearing it.
    #[must_use]
    pub fn in_buffer(version: EncoderVersion, mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&HEADER);
        Self { version, encoded: buffer, stretch: Stretch::default(), recompressor: None, content: Content::default() }
    }

    /// Appends a block's events.
    ///
    /// # Errors
    /// [`ObjectError`] if blocks have to be recompressed and can't be. The object is not valid then.
    pub fn push(&mut self, block: StoredBlock) -> Result<(), ObjectError> {
        self.content.add(&block);
        match self.version {
            EncoderVersion::Joining => self.encoded.extend_from_slice(&block.deflate),
            EncoderVersion::Recompressing => {
                self.stretch.push(block);
                if self.stretch.is_full() {
                    self.end_stretch()?;
                }
            }
        }
        Ok(())
    }

    /// Returns the most bytes of the object if it were finished now. Blocks of an open stretch count as copied.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.encoded.len() + self.stretch.stored_length() + ENDING_LENGTH
    }

    /// Returns the length of the NDJSON in bytes.
    #[must_use]
    pub fn raw_length(&self) -> u64 {
        self.content.raw_length
    }

    /// # Errors
    /// Those of [`GzipEncoder::push`].
    pub fn finish(mut self) -> Result<EncodedObject, ObjectError> {
        self.end_stretch()?;
        Ok(ended(self.encoded, self.content))
    }

    fn end_stretch(&mut self) -> Result<(), ObjectError> {
        let stretch = std::mem::take(&mut self.stretch);
        if stretch.is_of_short_blocks() {
            let recompressed = self.recompressor.get_or_insert_default().recompress(&stretch)?;
            if recompressed.len() < stretch.stored_length() {
                self.encoded.extend_from_slice(&recompressed);
                return Ok(());
            }
        }
        for block in stretch.blocks() {
            self.encoded.extend_from_slice(&block.deflate);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
