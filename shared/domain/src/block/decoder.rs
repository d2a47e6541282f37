//! The decoder of blocks.

use flate2::{Decompress, FlushDecompress, Status};

use super::{
    limits::MAX_BLOCK_RAW_LENGTH,
    stored::{CorruptBlock, FULL_FLUSH_MARKER, StoredBlock, count_lines},
};

/// The bytes that are decoded at once for a comparison.
const DECODE_CHUNK: usize = 16 * 1024;

impl StoredBlock {
    /// Decodes the NDJSON. Never uses more memory than [`MAX_BLOCK_RAW_LENGTH`].
    ///
    /// # Errors
    /// [`CorruptBlock`] if the bytes don't decode to exactly what the attributes say.
    pub fn inflate(&self) -> Result<Vec<u8>, CorruptBlock> {
        let mut raw = Vec::new();
        BlockDecoder::default().append(self, &mut raw)?;
        Ok(raw)
    }
}

/// A decoder of consecutive blocks. It keeps the decompressor's state (about 50 KB) from block to block.
#[derive(Debug)]
pub struct BlockDecoder {
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
    /// [`CorruptBlock`] if the bytes don't decode to exactly what the attributes say. The content of `raw` is not valid then.
    pub fn append(&mut self, block: &StoredBlock, raw: &mut Vec<u8>) -> Result<(), CorruptBlock> {
        let expected = usize::try_from(block.raw_length).unwrap_or(usize::MAX);
        if expected > MAX_BLOCK_RAW_LENGTH {
            return Err(CorruptBlock::RawLength(block.id));
        }
        if !block.deflate.ends_with(&FULL_FLUSH_MARKER) {
            return Err(CorruptBlock::Deflate(block.id));
        }
        let start = raw.len();
        // One byte more than needed, so that a longer stream shows.
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

    /// Returns whether `deflate`, a stream without a final block, decodes to exactly `raw`.
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
