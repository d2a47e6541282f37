//! The encoder of `NDJSON_ZSTD`: the lines of all blocks as one Zstandard frame (RFC 8878) with the length and the checksum of
//! its content.

use std::io::{self, Write};

use bytes::{BufMut, BytesMut, buf::Writer};
use domain::{block::StoredBlock, encoded_object::EncodedObject};
use export_engine::ports::PortError;
use zstd::stream::write::Encoder;

use crate::block_lines::BlockLines;

/// The numbers of the encoders of all events, the newest first. 101: level 3 of zstd 1.5.7.
pub(crate) const ZSTD_ENCODERS: [u32; 1] = [101];

/// The numbers of the encoders with a filter, the newest first. 151 makes of the events that pass what 101 makes of all.
pub(crate) const FILTERED_ZSTD_ENCODERS: [u32; 1] = [151];

/// The compression level. It is part of encoders 101 and 151: another one would change the objects. On 100 MB of generated events, level 1
/// makes 3 % more bytes in half of the time, and level 6 makes 3 % fewer in 2.6 times the time.
const COMPRESSION_LEVEL: i32 = 3;

/// The length of the frame's header as the compressor writes it: magic number, descriptor, window.
const PLAIN_HEADER_LENGTH: usize = 6;

/// The place of the frame header's descriptor.
const DESCRIPTOR: usize = 4;

/// The flag of the descriptor for a content length of 8 bytes.
const LENGTH_OF_8_BYTES: u8 = 0b1100_0000;

/// The bytes of the content's length.
const CONTENT_LENGTH: usize = 8;

/// An encoder of one object.
#[expect(missing_debug_implementations, reason = "the compressor has none")]
pub struct ZstdEncoder {
    /// The compressor, or the reason why there is none.
    compressor: io::Result<Encoder<'static, Writer<BytesMut>>>,
    lines: BlockLines,
}

impl ZstdEncoder {
    /// Creates an encoder that writes into `buffer`, after clearing it.
    pub(crate) fn in_buffer(mut buffer: BytesMut, lines: BlockLines) -> Self {
        buffer.clear();
        // The length of the content is known at the end only. It gets a place in front of what the compressor writes.
        buffer.extend_from_slice(&[0; CONTENT_LENGTH]);
        Self { compressor: compressor(buffer), lines }
    }

    pub(crate) fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let lines = self.lines.next(block)?;
        let compressor = self.compressor.as_mut().map_err(|error| failed(error))?;
        compressor.write_all(&lines).map_err(|error| failed(&error))
    }

    pub(crate) fn raw_length(&self) -> u64 {
        self.lines.content.raw_length
    }

    /// Returns the bytes that the compressor has written. It holds back at most one block of 128 KiB of NDJSON.
    pub(crate) fn stored_length(&self) -> u64 {
        self.compressor.as_ref().map_or(0, |compressor| compressor.get_ref().get_ref().len() as u64)
    }

    /// Returns the object, unless no line is in it.
    pub(crate) fn finish(self) -> Result<Option<EncodedObject>, PortError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let compressor = self.compressor.map_err(|error| failed(&error))?;
        let mut bytes = compressor.finish().map_err(|error| failed(&error))?.into_inner();
        state_length(&mut bytes, self.lines.content.raw_length)
            .ok_or_else(|| PortError::internal("encode object", "the compressor wrote another header"))?;
        Ok(Some(EncodedObject { bytes: bytes.freeze(), content: self.lines.content, records: None }))
    }
}

fn compressor(buffer: BytesMut) -> io::Result<Encoder<'static, Writer<BytesMut>>> {
    let mut compressor = Encoder::new(buffer.writer(), COMPRESSION_LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.include_contentsize(false)?;
    Ok(compressor)
}

/// Moves the header in front of the place for the content's length, and writes the length there (RFC 8878, 3.1.1.1).
fn state_length(bytes: &mut BytesMut, raw_length: u64) -> Option<()> {
    let header = bytes.get(CONTENT_LENGTH..CONTENT_LENGTH + PLAIN_HEADER_LENGTH)?;
    let mut header: [u8; PLAIN_HEADER_LENGTH] = header.try_into().ok()?;
    let descriptor = header.get_mut(DESCRIPTOR)?;
    // No dictionary, no single segment, no length yet: the checksum's flag alone.
    if *descriptor != 0b0000_0100 {
        return None;
    }
    *descriptor |= LENGTH_OF_8_BYTES;
    bytes.get_mut(..PLAIN_HEADER_LENGTH)?.copy_from_slice(&header);
    bytes
        .get_mut(PLAIN_HEADER_LENGTH..PLAIN_HEADER_LENGTH + CONTENT_LENGTH)?
        .copy_from_slice(&raw_length.to_le_bytes());
    Some(())
}

fn failed(error: &io::Error) -> PortError {
    PortError::internal("encode object", format!("the compressor failed: {error}"))
}

#[cfg(test)]
mod tests {
    use domain::{
        block::{BlockId, encode_block},
        digest::Hex32,
        tenant::TenantId,
        time::Timestamp,
    };

    use super::*;

    fn blocks() -> (Vec<u8>, Vec<StoredBlock>) {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let mut all = Vec::new();
        let blocks = (1..=40_u32).map(|number| {
            let lines = (0..number * 7).map(|event| {
                format!("{{\"id\":\"{number}-{event}\",\"action\":\"READ\",\"actor\":{{\"id\":\"{}\"}}}}\n", event % 13)
            });
            let raw: Vec<u8> = lines.flat_map(String::into_bytes).collect();
            all.extend_from_slice(&raw);
            encode_block(&tenant, BlockId::from_parts(at, u128::from(number)), &raw, at, at).unwrap()
        });
        let blocks = blocks.collect();
        (all, blocks)
    }

    fn encoded(blocks: &[StoredBlock], buffer: BytesMut) -> EncodedObject {
        let mut encoder = ZstdEncoder::in_buffer(buffer, BlockLines::new(None));
        for block in blocks {
            encoder.push(block).unwrap();
        }
        encoder.finish().unwrap().unwrap()
    }

    #[test]
    fn an_object_is_one_frame_that_states_length_and_checksum() {
        let (raw, blocks) = blocks();
        let object = encoded(&blocks, BytesMut::new());
        assert_eq!(object.bytes[..4], [0x28, 0xB5, 0x2F, 0xFD]);
        assert_eq!(object.bytes[4], 0b1100_0100);
        assert_eq!(zstd::zstd_safe::get_frame_content_size(&object.bytes).ok(), Some(Some(raw.len() as u64)));
        assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&object.bytes), Ok(object.bytes.len()));
        assert_eq!(zstd::decode_all(&*object.bytes).unwrap(), raw);
        assert_eq!(object.content.raw_length, raw.len() as u64);
        assert_eq!(object.content.crc32, crc32(&raw));
        assert_eq!(object.content.event_count, 7 * 40 * 41 / 2);
        let mut altered = object.bytes.to_vec();
        let last = altered.len() - 1;
        altered[last] ^= 1;
        assert!(zstd::decode_all(&*altered).is_err(), "the checksum");
    }

    fn crc32(raw: &[u8]) -> u32 {
        let at = Timestamp::EPOCH;
        let (tenant, id) = (TenantId::parse("acme").unwrap(), BlockId::lowest_at(at));
        encode_block(&tenant, id, raw, at, at).unwrap().crc32
    }

    /// A change of these bytes needs another number: a retry and a repair have to write the same object.
    #[test]
    fn the_bytes_of_encoder_101_are_pinned() {
        let (_, blocks) = blocks();
        let object = encoded(&blocks, BytesMut::new());
        let reused = encoded(&blocks, BytesMut::from(&b"left over"[..]));
        assert_eq!(object, reused);
        let hash = Hex32::sha256_of(&object.bytes).to_string();
        assert_eq!(
            (object.bytes.len(), &*hash),
            (7_568, "f9da43062232235023f6b8f849e8faf8c30125e7df78b5701b87e6c1c3ca4074")
        );
    }

    #[test]
    fn a_block_that_does_not_decode_is_named() {
        let (_, blocks) = blocks();
        let corrupt = StoredBlock { crc32: blocks[0].crc32 ^ 1, ..blocks[0].clone() };
        let error = ZstdEncoder::in_buffer(BytesMut::new(), BlockLines::new(None)).push(&corrupt).unwrap_err();
        assert_eq!(error.kind, export_engine::ports::ErrorKind::CorruptBlock(corrupt.id));
    }
}
