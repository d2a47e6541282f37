//! The begin and the end of a gzip member.

use bytes::BytesMut;

use crate::{
    block::truncate_to_32_bits,
    encoded_object::{Content, EncodedObject},
};

/// Magic, method 8 (DEFLATE), no flags, no time, no extra flags, unknown operating system.
pub(super) const HEADER: [u8; 10] = [0x1F, 0x8B, 0x08, 0, 0, 0, 0, 0, 0, 0xFF];

/// A final block of fixed Huffman codes without content.
const EMPTY_FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

/// The length of the trailer: CRC-32 and length, four bytes each.
const TRAILER_LENGTH: usize = 8;

/// The length of everything after the streams.
pub(super) const ENDING_LENGTH: usize = EMPTY_FINAL_BLOCK.len() + TRAILER_LENGTH;

/// Ends the member with its final block and trailer.
pub(super) fn ended(mut encoded: BytesMut, content: Content) -> EncodedObject {
    encoded.extend_from_slice(&EMPTY_FINAL_BLOCK);
    encoded.extend_from_slice(&content.crc32.to_le_bytes());
    let length_modulo_2_to_32 = truncate_to_32_bits(content.raw_length);
    encoded.extend_from_slice(&length_modulo_2_to_32.to_le_bytes());
    EncodedObject { bytes: encoded.freeze(), content, records: None }
}
