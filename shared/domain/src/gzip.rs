//! Export objects: many blocks as one gzip member.
//!
//! Layout (RFC 1952): a fixed header without name or time, DEFLATE streams one behind the other, an empty final block, the
//! CRC-32 combined from the blocks' own, and the length modulo 2^32. A block's stream is copied as it is, or, where blocks
//! are short, one stream takes the place of those of a whole [stretch](Stretch) of blocks.

mod stretch;

use bytes::{Bytes, BytesMut};
use zlib_rs::crc32::crc32_combine;

use self::stretch::{Recompressor, Stretch};
use crate::block::{CorruptBlock, EncodeError, StoredBlock, truncate_to_32_bits};

/// Which bytes the same blocks become. A run's plan names it by number, so that a retry under a newer program doesn't write
/// other bytes under the same key: whatever would change one byte of an object needs another version, and an old one has to
/// stay for as long as a window that was begun with it can be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderVersion {
    /// 1: every block is copied.
    Joining,
    /// 2: stretches of short blocks are compressed anew, all others are copied.
    Recompressing,
}

impl EncoderVersion {
    pub const ALL: [Self; 2] = [Self::Joining, Self::Recompressing];

    /// That of new plans.
    pub const CURRENT: Self = Self::Recompressing;

    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Joining => 1,
            Self::Recompressing => 2,
        }
    }

    /// `None`: a plan of a newer program.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }
}

/// The number of [`EncoderVersion::CURRENT`].
pub const ENCODER_VERSION: u32 = EncoderVersion::CURRENT.number();

/// Magic, method 8 (DEFLATE), no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];

/// A final block of fixed Huffman codes that holds only its end.
const EMPTY_FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// CRC-32 and length, four bytes each.
const TRAILER_LENGTH: usize = 8;

/// Makes one gzip object of blocks. They are pushed in the order in which their events shall appear, after
/// [`StoredBlock::verify`].
#[derive(Debug)]
pub struct ObjectEncoder {
    version: EncoderVersion,
    encoded: BytesMut,
    /// Blocks that are pushed and not yet in `encoded`, as it isn't decided how they get there.
    stretch: Stretch,
    /// Made when it is needed: most objects need none.
    recompressor: Option<Recompressor>,
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

/// Why blocks can't become an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    #[error(transparent)]
    Corrupt(#[from] CorruptBlock),
    #[error("blocks can't be compressed anew: {0}")]
    Compressor(EncodeError),
    #[error("what blocks were compressed to anew doesn't decode to what they hold")]
    NotReversible,
}

impl ObjectEncoder {
    #[must_use]
    pub fn new(version: EncoderVersion) -> Self {
        Self::in_buffer(version, BytesMut::new())
    }

    /// Writes into `buffer`, whose content is dropped.
    #[must_use]
    pub fn in_buffer(version: EncoderVersion, mut buffer: BytesMut) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&HEADER);
        Self {
            version,
            encoded: buffer,
            stretch: Stretch::default(),
            recompressor: None,
            raw_length: 0,
            crc32: 0,
            event_count: 0,
            block_count: 0,
        }
    }

    /// Appends a block's events.
    ///
    /// # Errors
    /// [`ObjectError`] if blocks have to be compressed anew and can't be; then the object is of no use.
    pub fn push(&mut self, block: StoredBlock) -> Result<(), ObjectError> {
        let raw_length = u64::from(block.raw_length);
        self.crc32 = crc32_combine(self.crc32, block.crc32, raw_length);
        self.raw_length += raw_length;
        self.event_count += u64::from(block.event_count);
        self.block_count += 1;
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

    /// The most bytes of the object if it were finished now: blocks whose stretch hasn't ended count as if they were copied.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.encoded.len() + self.stretch.stored_length() + EMPTY_FINAL_BLOCK.len() + TRAILER_LENGTH
    }

    /// Bytes of NDJSON.
    #[must_use]
    pub fn raw_length(&self) -> u64 {
        self.raw_length
    }

    /// # Errors
    /// Those of [`ObjectEncoder::push`].
    pub fn finish(mut self) -> Result<EncodedObject, ObjectError> {
        self.end_stretch()?;
        self.encoded.extend_from_slice(&EMPTY_FINAL_BLOCK);
        self.encoded.extend_from_slice(&self.crc32.to_le_bytes());
        let length_modulo_2_to_32 = truncate_to_32_bits(self.raw_length);
        self.encoded.extend_from_slice(&length_modulo_2_to_32.to_le_bytes());
        Ok(EncodedObject {
            bytes: self.encoded.freeze(),
            raw_length: self.raw_length,
            crc32: self.crc32,
            event_count: self.event_count,
            block_count: self.block_count,
        })
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
