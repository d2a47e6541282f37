//! The encoder of `PARQUET`: a row for each line.

use columnar::{ENCODER_VERSION, EncodeError, ParquetEncoder};
use domain::{
    block::{BlockId, StoredBlock},
    encoded_object::EncodedObject,
};
use export_engine::ports::PortError;

use crate::block_lines::BlockLines;

/// The numbers of the encoders of all events, the newest first.
pub(crate) const PARQUET_ENCODERS: [u32; 1] = [ENCODER_VERSION];

/// The numbers of the encoders with a filter, the newest first. Each makes of the events that pass what the one whose number is
/// less by 50 makes of all.
pub(crate) const FILTERED_PARQUET_ENCODERS: [u32; 1] = [ENCODER_VERSION + 50];

/// An encoder of one object.
#[expect(missing_debug_implementations, reason = "its errors are of no interest")]
pub struct ParquetObjectEncoder {
    /// The encoder of the file, or the reason why there is none.
    file: Result<ParquetEncoder, EncodeError>,
    lines: BlockLines,
}

impl ParquetObjectEncoder {
    pub(crate) fn new(version: u32, lines: BlockLines) -> Self {
        Self { file: ParquetEncoder::new(version), lines }
    }

    pub(crate) fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let lines = self.lines.next(block)?;
        let file = self.file.as_mut().map_err(|error| failed(error))?;
        file.push_lines(&lines).map_err(|error| fault(block.id, error))
    }

    pub(crate) fn raw_length(&self) -> u64 {
        self.lines.content.raw_length
    }

    pub(crate) fn stored_length(&self) -> u64 {
        self.file.as_ref().map_or(0, ParquetEncoder::stored_length)
    }

    /// Returns the object, unless no line is in it.
    pub(crate) fn finish(self) -> Result<Option<EncodedObject>, PortError> {
        if self.lines.is_empty() {
            return Ok(None);
        }
        let bytes = self.file.and_then(ParquetEncoder::finish).map_err(|error| failed(&error))?;
        Ok(Some(EncodedObject { bytes, content: self.lines.content, records: None }))
    }
}

/// Returns the error of a block's lines. Ingest stores JSON objects only, so a block with other lines was written by somebody
/// else, although its checksums are right.
fn fault(block: BlockId, error: EncodeError) -> PortError {
    if !error.is_of_lines() {
        return failed(&error);
    }
    PortError::corrupt_block(block, format!("block {block}: {error}")).caused_by(error)
}

fn failed(error: &EncodeError) -> PortError {
    PortError::internal("encode object", format!("the Parquet file failed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use domain::{block::encode_block, tenant::TenantId, time::Timestamp};
    use export_engine::ports::{ErrorKind, READ_BLOCK};

    use super::*;

    #[test]
    fn a_line_that_is_no_json_object_makes_its_block_corrupt() {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        for (raw, detail) in [
            (&b"{}\n[1]\n"[..], "line 2, byte 1: not a JSON object on one line"),
            (b"{\"a\":01}\n", "line 1, byte 6: not a JSON object on one line"),
            (b"{}\n{}\n\xFF\n", "line 3, byte 1: not UTF-8"),
        ] {
            let block = |number, raw| encode_block(&tenant, BlockId::from_parts(at, number), raw, at, at).unwrap();
            let (sound, corrupt) = (block(1, b"{}\n{}\n"), block(2, raw));
            corrupt.check(&tenant).unwrap();
            let mut encoder = ParquetObjectEncoder::new(ENCODER_VERSION, BlockLines::new(None));
            encoder.push(&sound).unwrap();
            let error = encoder.push(&corrupt).unwrap_err();
            assert_eq!((&error.kind, error.operation), (&ErrorKind::CorruptBlock(corrupt.id), READ_BLOCK));
            assert_eq!(error.detail, format!("block {}: {detail}", corrupt.id));
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn an_unknown_encoder_is_no_fault_of_a_block() {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let block = encode_block(&tenant, BlockId::lowest_at(at), b"{}\n", at, at).unwrap();
        let error = ParquetObjectEncoder::new(1, BlockLines::new(None)).push(&block).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
    }
}
