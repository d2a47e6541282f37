//! The encoder of `NDJSON_GZIP` with a filter. Without one, the stored blocks are joined as they are.

use bytes::BytesMut;
use domain::{
    block::StoredBlock,
    encoded_object::EncodedObject,
    gzip::{LinesEncoder, ObjectError},
};
use export_engine::ports::PortError;

use crate::block_lines::BlockLines;

/// The numbers of the encoders, the newest first.
pub(crate) const FILTERED_GZIP_ENCODERS: [u32; 1] = [51];

/// An encoder of one object.
#[derive(Debug)]
pub struct FilteredGzipEncoder {
    member: LinesEncoder,
    lines: BlockLines,
}

impl FilteredGzipEncoder {
    /// Creates an encoder that writes into `buffer`, after clearing it.
    pub(crate) fn in_buffer(buffer: BytesMut, lines: BlockLines) -> Self {
        Self { member: LinesEncoder::in_buffer(buffer), lines }
    }

    pub(crate) fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let lines = self.lines.next(block)?;
        self.member.push(&lines).map_err(failed)
    }

    pub(crate) fn raw_length(&self) -> u64 {
        self.lines.content.raw_length
    }

    /// Returns the bytes that the compressor has written. It holds back at most 1 MiB of NDJSON and a block.
    pub(crate) fn stored_length(&self) -> u64 {
        self.member.stored_length() as u64
    }

    /// Returns the object, unless no line is in it.
    pub(crate) fn finish(self) -> Result<Option<EncodedObject>, PortError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        self.member.finish(self.lines.content).map(Some).map_err(failed)
    }
}

fn failed(error: ObjectError) -> PortError {
    PortError::internal_from("encode object", error)
}
