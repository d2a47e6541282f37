//! Blocks: how audit events are stored.
//!
//! A block holds events of one tenant as NDJSON, compressed to a raw DEFLATE stream that ends on a byte boundary with a
//! full flush and has no final block. Such streams can be put one behind the other and stay one valid stream, which is
//! what [`crate::gzip`] does.

use std::{fmt, num::NonZeroU8, time::Duration};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{event::EventBatch, tenant::TenantId, time::Timestamp};

/// How many partitions the events of one tenant may lie in. A constant of the format: readers always merge all of them,
/// however many of them are written to.
pub const SHARDS: u8 = 16;

/// How many of them ingest may write to: all but [`Shard::CHANGES`].
pub const MAX_WRITE_SHARDS: u8 = SHARDS - 1;

/// The most bytes of NDJSON in one block. Even if nothing of it can be compressed, the block and its attributes stay
/// under the 409,600 bytes that a `DynamoDB` item may have.
pub const MAX_BLOCK_RAW_LENGTH: usize = 320 * 1024;

/// The most bytes of a block's stream: those of an item,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>.
pub const MAX_BLOCK_STORED_LENGTH: usize = 400 * 1024;

/// The most events in one block.
pub const MAX_BLOCK_EVENTS: usize = 2_000;

/// Of a block's stream, 1 to 9. What level 8 saves against 6 in writing and storing a block is worth many times what it takes
/// longer; level 9 of zlib-rs gains nothing more: docs/adr/blocks-are-compressed-at-level-8.md.
const COMPRESSION_LEVEL: u32 = 8;

/// Bytes that are decoded at once where decoding only proves something.
const DECODE_CHUNK: usize = 16 * 1024;

/// What a full flush leaves at the end: an empty stored block (RFC 1951, 3.2.4), on a byte boundary.
const FULL_FLUSH_MARKER: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// The longest that may pass between the stamp in a block's ID and the signing of its write, and between the stamp and
/// the success that is answered. With [`SIGNATURE_LIFETIME`] it bounds how long after its stamp a block can appear.
pub const INGEST_WRITE_BOUND: Duration = Duration::from_secs(20);

/// How long AWS honours the signature of a request (Signature Version 4, requests in headers: five minutes are
/// documented for most services, fifteen are the most that any allows).
pub const SIGNATURE_LIFETIME: Duration = Duration::from_mins(15);

/// How long an item stays after its retention has ended. An export's window never reaches back beyond the retention, so
/// that `DynamoDB`'s deletion of expired items can't change what a retry reads.
pub const EXPIRY_GRACE: Duration = Duration::from_hours(14 * 24);

/// One of the [`SHARDS`] partitions of a tenant's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

/// A number or a text that is no [`Shard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard is one of 00 to 15")]
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

    /// The shard of events that the service writes itself, those of changes to configurations. The api may write to no other
    /// and ingest not to this one, so that neither can overwrite what the other stored: template.yaml has the conditions,
    /// docs/adr/no-keyed-checksum.md the reason. Before, either wrote to any shard.
    pub const CHANGES: Self = Self(SHARDS - 1);

    /// # Errors
    /// [`InvalidShard`] unless `number` is below [`SHARDS`].
    pub fn new(number: u8) -> Result<Self, InvalidShard> {
        if number < SHARDS { Ok(Self(number)) } else { Err(InvalidShard) }
    }

    /// Reads the two digits that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`InvalidShard`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidShard> {
        Self::ALL.into_iter().find(|shard| shard.to_string() == text).ok_or(InvalidShard)
    }

    /// One of the first `write_shards` shards, at most [`MAX_WRITE_SHARDS`], by bits of `random` that
    /// [`BlockId::from_parts`] leaves unused.
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

/// The partition key of a tenant's shard: `<tenant>#<two digits>`.
#[must_use]
pub fn partition_key(tenant: &TenantId, shard: Shard) -> String {
    format!("{tenant}#{shard}")
}

/// The identity and the place of a block: a ULID, whose time is the server's stamp right before the write. Blocks are
/// exported in the order of their IDs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockId(Ulid);

/// A text that is no [`BlockId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block ID is a ULID: 26 characters of Crockford's base 32 in upper case, not after the year 9999")]
pub struct InvalidBlockId;

impl BlockId {
    /// The bits that [`BlockId::from_parts`] takes from the random number. The 80th stays zero, so that no number of
    /// [`BlockId::next`] steps that a request can take reaches into the next millisecond.
    const RANDOM_BITS: u32 = 79;

    /// The ID of a block stamped at `timestamp`, with the low 79 bits of `random`.
    #[must_use]
    pub fn from_parts(timestamp: Timestamp, random: u128) -> Self {
        Self(Ulid::from_parts(timestamp.as_millis(), random & ((1 << Self::RANDOM_BITS) - 1)))
    }

    /// The lowest ID of a millisecond: every block stamped earlier sorts before it.
    #[must_use]
    pub fn lowest_at(timestamp: Timestamp) -> Self {
        Self(Ulid::from_parts(timestamp.as_millis(), 0))
    }

    /// The ID right after this one, for the next block of the same request.
    #[must_use]
    pub fn next(self) -> Self {
        Self(Ulid(self.0.0.saturating_add(1)))
    }

    /// The ID right before this one: the inclusive end of a range that excludes this.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(Ulid(self.0.0.saturating_sub(1)))
    }

    /// The server's stamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0.timestamp_ms()).unwrap_or(Timestamp::MAX)
    }

    /// # Errors
    /// [`InvalidBlockId`] unless `text` is exactly what [`fmt::Display`] writes for some ID.
    pub fn parse(text: &str) -> Result<Self, InvalidBlockId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidBlockId)?;
        // The decoder also takes lower case; two spellings of one key would be two keys.
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

/// A block as it lies in the table.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredBlock {
    pub id: BlockId,
    pub event_count: u32,
    /// Bytes of NDJSON.
    pub raw_length: u32,
    /// CRC-32 (the one of gzip) of the NDJSON.
    pub crc32: u32,
    /// CRC-32C over everything else here and the tenant; see [`StoredBlock::verify`].
    pub crc32c: u32,
    /// The earliest `eventTimestamp` in the block.
    pub oldest_event: Timestamp,
    /// The latest `eventTimestamp` in the block.
    pub newest_event: Timestamp,
    /// The compressed NDJSON.
    pub deflate: Bytes,
}

/// Events are the tenant's data and have no place in a log: only the shape is printed.
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

/// What is wrong with a block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorruptBlock {
    #[error("block {0}: the stored bytes or attributes were changed, or belong to another tenant or block")]
    StoredChecksum(BlockId),
    #[error("block {0}: the stored bytes are no raw DEFLATE stream that ends with a full flush")]
    Deflate(BlockId),
    #[error("block {0}: the events have another length than the block says")]
    RawLength(BlockId),
    #[error("block {0}: the events have another CRC-32 than the block says")]
    RawChecksum(BlockId),
    #[error("block {0}: there are not as many lines as the block says events")]
    EventCount(BlockId),
}

impl CorruptBlock {
    /// The ID of the block.
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
    /// Checks that stored bytes and attributes are what was written, for this tenant and under this ID, without decoding.
    ///
    /// The CRC-32C is taken over, in this order: the DEFLATE bytes; the tenant's id in UTF-8; the 16 bytes of the block
    /// ID; event count, raw length and CRC-32 as 4 bytes each; oldest and newest event time in milliseconds as 8 bytes
    /// each. Every number is big-endian.
    ///
    /// # Errors
    /// [`CorruptBlock::StoredChecksum`] if the sum is another.
    pub fn verify(&self, tenant: &TenantId) -> Result<(), CorruptBlock> {
        if self.stored_checksum(tenant) == self.crc32c { Ok(()) } else { Err(CorruptBlock::StoredChecksum(self.id)) }
    }

    fn stored_checksum(&self, tenant: &TenantId) -> u32 {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&self.deflate);
        digest.update(tenant.as_str().as_bytes());
        digest.update(&self.id.0.to_bytes());
        digest.update(&self.event_count.to_be_bytes());
        digest.update(&self.raw_length.to_be_bytes());
        digest.update(&self.crc32.to_be_bytes());
        digest.update(&self.oldest_event.as_millis().to_be_bytes());
        digest.update(&self.newest_event.as_millis().to_be_bytes());
        truncate_to_32_bits(digest.finalize())
    }

    /// The NDJSON. Never takes more memory than [`MAX_BLOCK_RAW_LENGTH`].
    ///
    /// # Errors
    /// [`CorruptBlock`] if the bytes don't decode to exactly what the attributes say.
    pub fn inflate(&self) -> Result<Vec<u8>, CorruptBlock> {
        let mut raw = Vec::new();
        BlockDecoder::default().append(self, &mut raw)?;
        Ok(raw)
    }
}

/// Decodes blocks one behind the other. Keeps the decompressor's state (about 50 KB) from block to block.
#[derive(Debug)]
pub(crate) struct BlockDecoder {
    decompress: Decompress,
}

impl Default for BlockDecoder {
    fn default() -> Self {
        Self { decompress: Decompress::new(false) }
    }
}

impl BlockDecoder {
    /// Appends the block's NDJSON to `raw`, which grows by no more than [`MAX_BLOCK_RAW_LENGTH`].
    ///
    /// # Errors
    /// [`CorruptBlock`] if the bytes don't decode to exactly what the attributes say; then `raw` is of no use.
    pub(crate) fn append(&mut self, block: &StoredBlock, raw: &mut Vec<u8>) -> Result<(), CorruptBlock> {
        let expected = usize::try_from(block.raw_length).unwrap_or(usize::MAX);
        if expected > MAX_BLOCK_RAW_LENGTH {
            return Err(CorruptBlock::RawLength(block.id));
        }
        if !block.deflate.ends_with(&FULL_FLUSH_MARKER) {
            return Err(CorruptBlock::Deflate(block.id));
        }
        let start = raw.len();
        // One byte of room more than needed, so that a longer stream shows.
        raw.reserve(expected + 1);
        self.decompress.reset(false);
        loop {
            let consumed = self.decompress.total_in();
            let rest = usize::try_from(consumed).ok().and_then(|from| block.deflate.get(from..)).unwrap_or_default();
            let length = raw.len();
            let status = self
                .decompress
                .decompress_vec(rest, raw, FlushDecompress::Sync)
                .map_err(|_| CorruptBlock::Deflate(block.id))?;
            if status == Status::StreamEnd {
                return Err(CorruptBlock::Deflate(block.id));
            }
            if raw.len() - start > expected {
                return Err(CorruptBlock::RawLength(block.id));
            }
            if self.decompress.total_in() == consumed && raw.len() == length {
                break;
            }
        }
        if self.decompress.total_in() != u64::try_from(block.deflate.len()).unwrap_or(u64::MAX) {
            return Err(CorruptBlock::Deflate(block.id));
        }
        let appended = raw.get(start..).unwrap_or_default();
        if appended.len() != expected {
            return Err(CorruptBlock::RawLength(block.id));
        }
        if crc_fast::crc32_iso_hdlc(appended) != block.crc32 {
            return Err(CorruptBlock::RawChecksum(block.id));
        }
        if count_lines(appended) != Some(block.event_count) {
            return Err(CorruptBlock::EventCount(block.id));
        }
        Ok(())
    }

    /// Whether `deflate`, a stream without a final block, is one of exactly `raw`.
    pub(crate) fn decodes_to(&mut self, deflate: &[u8], raw: &[u8]) -> bool {
        self.decompress.reset(false);
        let mut decoded = [0; DECODE_CHUNK];
        let (mut deflate, mut raw) = (deflate, raw);
        loop {
            let (total_in, total_out) = (self.decompress.total_in(), self.decompress.total_out());
            let status = self.decompress.decompress(deflate, &mut decoded, FlushDecompress::Sync);
            let consumed = usize::try_from(self.decompress.total_in() - total_in).unwrap_or(usize::MAX);
            let produced = usize::try_from(self.decompress.total_out() - total_out).unwrap_or(usize::MAX);
            let is_open = status.is_ok_and(|status| status != Status::StreamEnd);
            let rest = decoded.get(..produced).and_then(|decoded| raw.strip_prefix(decoded));
            let (true, Some(rest), Some(unread)) = (is_open, rest, deflate.get(consumed..)) else { return false };
            (deflate, raw) = (unread, rest);
            if consumed == 0 && produced == 0 {
                return deflate.is_empty() && raw.is_empty();
            }
        }
    }
}

/// Why NDJSON can't become a block. Only a fault of ours leads here: ingest keeps the bounds before it encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("a block holds 1 to {MAX_BLOCK_RAW_LENGTH} bytes, every line ended by a line feed")]
    RawLength,
    #[error("the compressor failed")]
    Compressor,
    #[error("the compressed block doesn't decode to what went in: {0}")]
    NotReversible(#[from] CorruptBlock),
}

/// Compresses NDJSON to blocks. Keeps the compressor's state (a quarter of a megabyte) from block to block.
#[derive(Debug)]
pub struct BlockEncoder {
    compress: Compress,
}

impl Default for BlockEncoder {
    fn default() -> Self {
        Self::with_level(COMPRESSION_LEVEL)
    }
}

impl BlockEncoder {
    pub(crate) fn with_level(level: u32) -> Self {
        Self { compress: Compress::new(Compression::new(level), false) }
    }

    /// Encodes `raw` (NDJSON; one event a line, each ended by a line feed) and proves that it can be decoded.
    ///
    /// # Errors
    /// [`EncodeError`] if `raw` is empty, too long or not made of whole lines, or if the compressor is at fault.
    pub fn encode(
        &mut self,
        tenant: &TenantId,
        id: BlockId,
        raw: &[u8],
        oldest_event: Timestamp,
        newest_event: Timestamp,
    ) -> Result<StoredBlock, EncodeError> {
        if raw.is_empty() || raw.len() > MAX_BLOCK_RAW_LENGTH {
            return Err(EncodeError::RawLength);
        }
        let mut block = StoredBlock {
            id,
            event_count: count_lines(raw).ok_or(EncodeError::RawLength)?,
            raw_length: u32::try_from(raw.len()).map_err(|_| EncodeError::RawLength)?,
            crc32: crc_fast::crc32_iso_hdlc(raw),
            crc32c: 0,
            oldest_event,
            newest_event,
            deflate: self.deflate(raw)?,
        };
        block.crc32c = block.stored_checksum(tenant);
        block.inflate()?;
        Ok(block)
    }

    /// The DEFLATE stream of `raw`, ended by a full flush.
    pub(crate) fn deflate(&mut self, raw: &[u8]) -> Result<Bytes, EncodeError> {
        self.compress.reset();
        let mut stored = Vec::with_capacity(raw.len() / 4 + 64);
        loop {
            let consumed = usize::try_from(self.compress.total_in()).unwrap_or(usize::MAX);
            let rest = raw.get(consumed..).unwrap_or_default();
            self.compress.compress_vec(rest, &mut stored, FlushCompress::Full).map_err(|_| EncodeError::Compressor)?;
            // Room left over: the flush is complete. A full buffer may hide more output.
            if stored.len() < stored.capacity() {
                break;
            }
            stored.reserve(stored.capacity());
        }
        let complete = self.compress.total_in() == u64::try_from(raw.len()).unwrap_or(u64::MAX);
        if complete && stored.ends_with(&FULL_FLUSH_MARKER) {
            stored.shrink_to_fit();
            Ok(stored.into())
        } else {
            Err(EncodeError::Compressor)
        }
    }
}

/// Encodes one block; for several in a row, keep a [`BlockEncoder`].
///
/// # Errors
/// Those of [`BlockEncoder::encode`].
pub fn encode_block(
    tenant: &TenantId,
    id: BlockId,
    raw: &[u8],
    oldest_event: Timestamp,
    newest_event: Timestamp,
) -> Result<StoredBlock, EncodeError> {
    BlockEncoder::default().encode(tenant, id, raw, oldest_event, newest_event)
}

/// Packs events into as few blocks as the bounds allow, in order, with ascending IDs from `first_id` on. The time of
/// `first_id` becomes the `receivedTimestamp` of every event.
///
/// # Errors
/// [`EncodeError`] if the batch holds an event that no block can take, which [`EventBatch`] rules out.
pub fn pack(tenant: &TenantId, events: &EventBatch, first_id: BlockId) -> Result<Vec<StoredBlock>, EncodeError> {
    let stamp = events.stamp(first_id.timestamp());
    let mut encoder = BlockEncoder::default();
    let mut blocks = Vec::new();
    let mut id = first_id;
    let mut raw: Vec<u8> = Vec::with_capacity(MAX_BLOCK_RAW_LENGTH.min(events.stored_length()));
    let mut count = 0;
    let mut span: Option<(Timestamp, Timestamp)> = None;
    for (line, event_timestamp) in events.iter() {
        let full = count == MAX_BLOCK_EVENTS || raw.len() + line.len() + stamp.len() > MAX_BLOCK_RAW_LENGTH;
        if let (true, Some((oldest, newest))) = (full, span) {
            blocks.push(encoder.encode(tenant, id, &raw, oldest, newest)?);
            id = id.next();
            raw.clear();
            count = 0;
            span = None;
        }
        raw.extend_from_slice(line);
        raw.extend_from_slice(stamp.as_bytes());
        count += 1;
        let (oldest, newest) = span.unwrap_or((event_timestamp, event_timestamp));
        span = Some((oldest.min(event_timestamp), newest.max(event_timestamp)));
    }
    if let Some((oldest, newest)) = span {
        blocks.push(encoder.encode(tenant, id, &raw, oldest, newest)?);
    }
    Ok(blocks)
}

/// The number of lines, if the last one is ended and their number fits.
fn count_lines(raw: &[u8]) -> Option<u32> {
    #[expect(clippy::naive_bytecount, reason = "as fast as the dependency it asks for: it becomes vector code")]
    let lines = raw.iter().filter(|byte| **byte == b'\n').count();
    if raw.last() == Some(&b'\n') { u32::try_from(lines).ok() } else { None }
}

/// The value of a 32-bit CRC, which the library hands out in the low half of 64 bits.
pub(crate) fn truncate_to_32_bits(checksum: u64) -> u32 {
    u32::try_from(checksum & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
