//! The encoder of blocks.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::{
    decoder::BlockDecoder,
    id::BlockId,
    limits::{MAX_BLOCK_EVENTS, MAX_BLOCK_RAW_LENGTH},
    stored::{FULL_FLUSH_MARKER, StoredBlock, count_lines},
};
use crate::{event::EventBatch, tenant::TenantId, time::Timestamp};

/// The compression level of a block's stream, from 1 to 9. Level 8 saves many times more in writing and storing a block than
/// it costs in time against level 6; level 9 of zlib-rs gains nothing more: docs/adr/blocks-are-compressed-at-level-8.md.
const COMPRESSION_LEVEL: u32 = 8;

/// The error of NDJSON that can't be encoded. Only a bug of the service leads to it: ingest keeps the limits before it
/// encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("a block must hold 1 to {MAX_BLOCK_RAW_LENGTH} bytes, with a line feed at the end of every line")]
    RawLength,
    #[error("the compressor failed")]
    Compressor,
    #[error("the compressed block doesn't decode to its input")]
    NotReversible,
}

/// An encoder of NDJSON as blocks. It keeps the states of compressor and decompressor (300 KB) from block to block.
#[derive(Debug)]
pub struct BlockEncoder {
    compress: Compress,
    decoder: BlockDecoder,
}

impl Default for BlockEncoder {
    fn default() -> Self {
        Self::with_level(COMPRESSION_LEVEL)
    }
}

impl BlockEncoder {
    pub(crate) fn with_level(level: u32) -> Self {
        Self { compress: Compress::new(Compression::new(level), false), decoder: BlockDecoder::default() }
    }

    /// Encodes `raw` (NDJSON: one event per line, each ended by a line feed), and checks that it can be decoded.
    ///
    /// # Errors
    /// [`EncodeError`] if `raw` is empty, too long or not made of whole lines, or if the compressor fails.
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
        if self.decoder.decodes_to(&block.deflate, raw) { Ok(block) } else { Err(EncodeError::NotReversible) }
    }

    /// Returns the DEFLATE stream of `raw`, ended by a full flush.
    ///
    /// The compressor is asked for a sync flush, whose bytes are the same. It does not clear the hash table, which the
    /// next reset does.
    pub(crate) fn deflate(&mut self, raw: &[u8]) -> Result<Bytes, EncodeError> {
        self.compress.reset();
        let mut stored = Vec::with_capacity(raw.len() / 4 + 64);
        loop {
            let consumed = usize::try_from(self.compress.total_in()).unwrap_or(usize::MAX);
            let rest = raw.get(consumed..).unwrap_or_default();
            self.compress.compress_vec(rest, &mut stored, FlushCompress::Sync).map_err(|_| EncodeError::Compressor)?;
            // The flush is complete if room is left. A full buffer may mean that there is more output.
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

/// Encodes one block. For several in a row, keep a [`BlockEncoder`].
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

/// A packer of events as blocks. It keeps its memory, about a megabyte, from call to call.
#[derive(Debug, Default)]
pub struct Packer {
    encoder: BlockEncoder,
    /// The NDJSON of the block that is being filled.
    raw: Vec<u8>,
}

impl Packer {
    /// Packs events into as few blocks as the limits allow, in order, with ascending IDs from `first_id` on. The time of
    /// `first_id` becomes the `receivedTimestamp` of every event.
    ///
    /// # Errors
    /// [`EncodeError`] if the batch holds an event that does not fit into a block, which [`EventBatch`] rules out.
    pub fn pack(
        &mut self,
        tenant: &TenantId,
        events: &EventBatch,
        first_id: BlockId,
    ) -> Result<Vec<StoredBlock>, EncodeError> {
        let Self { encoder, raw } = self;
        let stamp = events.stamp(first_id.timestamp());
        let mut blocks = Vec::new();
        let mut id = first_id;
        raw.clear();
        raw.reserve(MAX_BLOCK_RAW_LENGTH.min(events.stored_length()));
        let mut count = 0;
        let mut span: Option<(Timestamp, Timestamp)> = None;
        for (line, event_timestamp) in events.iter() {
            let full = count == MAX_BLOCK_EVENTS || raw.len() + line.len() + stamp.len() > MAX_BLOCK_RAW_LENGTH;
            if let (true, Some((oldest, newest))) = (full, span) {
                blocks.push(encoder.encode(tenant, id, raw, oldest, newest)?);
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
            blocks.push(encoder.encode(tenant, id, raw, oldest, newest)?);
        }
        Ok(blocks)
    }
}
