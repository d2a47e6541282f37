//! The format of segments; docs/FORMATS.md describes it.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

use crate::{
    block::{BlockId, StoredBlock, truncate_to_32_bits},
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};

/// The beginning and the end of a segment: a name, and the version of the format.
const MAGIC: [u8; 8] = *b"AUDSEG01";

/// The bytes of a block's entry in the index.
const ENTRY_LENGTH: usize = 60;

/// The bytes of the footer: the length of the index, its CRC-32C, and the magic.
const FOOTER_LENGTH: usize = 4 + 4 + MAGIC.len();

/// The fault of a segment that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSegment {
    #[error("it has another magic or version")]
    Magic,
    #[error("the index has another length")]
    Length,
    #[error("the checksum of the index differs")]
    Checksum,
    #[error("it belongs to another tenant, or covers other blocks")]
    Foreign,
    #[error("the blocks of the index are out of order, not covered, or not where they can be")]
    Order,
}

/// Writes a segment: the magic, the blocks byte for byte, the index, the footer. The same blocks give the same bytes.
#[derive(Debug)]
pub struct SegmentWriter {
    bytes: BytesMut,
    entries: Vec<IndexedBlock>,
    event_count: u64,
}

/// A block in the index of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedBlock {
    pub offset: u64,
    /// The block without its bytes.
    block: StoredBlock,
    length: u32,
}

impl IndexedBlock {
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.block.id
    }

    #[must_use]
    pub fn event_count(&self) -> u32 {
        self.block.event_count
    }

    /// Returns the bytes of the object that are those of the block.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.length)
    }

    /// Returns the block with the bytes of [`IndexedBlock::range`]. It is not yet [checked](StoredBlock::check).
    #[must_use]
    pub fn with_bytes(&self, deflate: Bytes) -> StoredBlock {
        StoredBlock { deflate, ..self.block.clone() }
    }
}

impl Default for SegmentWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl SegmentWriter {
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: BytesMut::from(&MAGIC[..]), entries: Vec::new(), event_count: 0 }
    }

    /// Appends the next block. Blocks come in the order of their IDs, and are checked.
    pub fn push(&mut self, block: &StoredBlock) {
        self.event_count += u64::from(block.event_count);
        self.entries.push(IndexedBlock {
            offset: self.bytes.len() as u64,
            block: StoredBlock { deflate: Bytes::new(), ..block.clone() },
            length: u32::try_from(block.deflate.len()).unwrap_or(u32::MAX),
        });
        self.bytes.extend_from_slice(&block.deflate);
    }

    #[must_use]
    pub fn stored_length(&self) -> u64 {
        self.bytes.len() as u64
    }

    #[must_use]
    pub fn blocks(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.event_count
    }

    /// Returns the bytes of the segment.
    #[must_use]
    pub fn finish(self, tenant: &TenantId, covers: BlockRange) -> Bytes {
        let Self { mut bytes, entries, .. } = self;
        let start = bytes.len();
        bytes.put_u8(u8::try_from(tenant.as_str().len()).unwrap_or(u8::MAX));
        bytes.put_slice(tenant.as_str().as_bytes());
        bytes.put_slice(&covers.first.to_bytes());
        bytes.put_slice(&covers.end.to_bytes());
        for IndexedBlock { offset, block, length } in &entries {
            bytes.put_slice(&block.id.to_bytes());
            bytes.put_u64(*offset);
            for number in [*length, block.event_count, block.raw_length, block.crc32, block.crc32c] {
                bytes.put_u32(number);
            }
            bytes.put_u64(block.oldest_event.as_millis());
            bytes.put_u64(block.newest_event.as_millis());
        }
        let index = bytes.get(start..).unwrap_or_default();
        let (length, crc32c) = (index.len(), checksum(index));
        bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        bytes.put_u32(crc32c);
        bytes.put_slice(&MAGIC);
        bytes.freeze()
    }
}

/// The index of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentIndex {
    pub covers: BlockRange,
    /// In the order of their IDs.
    pub blocks: Vec<IndexedBlock>,
}

impl SegmentIndex {
    /// Returns the length of index and footer, which are the end of a segment: so one request reads them.
    #[must_use]
    pub fn tail_length(tenant: &TenantId, blocks: u32) -> u64 {
        let head = 1 + tenant.as_str().len() + 16 + 16;
        (head + FOOTER_LENGTH) as u64 + u64::from(blocks) * ENTRY_LENGTH as u64
    }

    /// Reads the index from the last [`SegmentIndex::tail_length`] bytes of a segment with `length` bytes.
    ///
    /// # Errors
    /// [`InvalidSegment`] unless the bytes are exactly those that [`SegmentWriter::finish`] wrote for the tenant and the range.
    pub fn read(tail: &[u8], length: u64, tenant: &TenantId, covers: BlockRange) -> Result<Self, InvalidSegment> {
        let (index, footer) = tail.split_last_chunk::<FOOTER_LENGTH>().ok_or(InvalidSegment::Length)?;
        let mut footer = Fields(footer);
        let (index_length, crc32c) = (footer.u32()?, footer.u32()?);
        if footer.0 != MAGIC {
            return Err(InvalidSegment::Magic);
        }
        if index.len() as u64 != u64::from(index_length) {
            return Err(InvalidSegment::Length);
        }
        if checksum(index) != crc32c {
            return Err(InvalidSegment::Checksum);
        }
        let mut fields = Fields(index);
        let [name_length] = fields.take()?;
        let (name, rest) = fields.0.split_at_checked(usize::from(name_length)).ok_or(InvalidSegment::Length)?;
        fields.0 = rest;
        let range = BlockRange { first: fields.id()?, end: fields.id()? };
        if name != tenant.as_str().as_bytes() || range != covers {
            return Err(InvalidSegment::Foreign);
        }
        let mut blocks = Vec::with_capacity(fields.0.len() / ENTRY_LENGTH);
        while !fields.0.is_empty() {
            blocks.push(fields.entry()?);
        }
        let end = length.checked_sub(tail.len() as u64).ok_or(InvalidSegment::Length)?;
        let index = Self { covers, blocks };
        if index.is_ordered(end) { Ok(index) } else { Err(InvalidSegment::Order) }
    }

    /// Returns whether the blocks are covered and in order, and their bytes follow each other without a gap up to `end`.
    fn is_ordered(&self, end: u64) -> bool {
        let mut last = None;
        let mut offset = MAGIC.len() as u64;
        for block in &self.blocks {
            let id = block.id();
            if !self.covers.contains(id) || last >= Some(id) || block.offset != offset {
                return false;
            }
            last = Some(id);
            offset = block.range().end;
        }
        offset == end
    }

    /// Returns the blocks of a range.
    #[must_use]
    pub fn of_range(&self, range: BlockRange) -> &[IndexedBlock] {
        let start = self.blocks.partition_point(|block| block.id() < range.first);
        let end = self.blocks.partition_point(|block| block.id() < range.end);
        self.blocks.get(start..end).unwrap_or_default()
    }
}

/// Fields that are read from the start. Every number is big-endian.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], InvalidSegment> {
        let (field, rest) = self.0.split_first_chunk().ok_or(InvalidSegment::Length)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u32(&mut self) -> Result<u32, InvalidSegment> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, InvalidSegment> {
        self.take().map(u64::from_be_bytes)
    }

    fn id(&mut self) -> Result<BlockId, InvalidSegment> {
        self.take().map(BlockId::from_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, InvalidSegment> {
        Timestamp::from_millis(self.u64()?).ok_or(InvalidSegment::Order)
    }

    fn entry(&mut self) -> Result<IndexedBlock, InvalidSegment> {
        let (id, offset, length) = (self.id()?, self.u64()?, self.u32()?);
        let block = StoredBlock {
            id,
            event_count: self.u32()?,
            raw_length: self.u32()?,
            crc32: self.u32()?,
            crc32c: self.u32()?,
            oldest_event: self.time()?,
            newest_event: self.time()?,
            deflate: Bytes::new(),
        };
        Ok(IndexedBlock { offset, block, length })
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(bytes);
    truncate_to_32_bits(digest.finalize())
}
