//! The encoder of `PARQUET`: a row for each line.

use columnar::{ENCODER_VERSION, EncodeError, ParquetEncoder};
use domain::{block::StoredBlock, encoded_object::EncodedObject};
use export_engine::ports::PortError;

use crate::block_lines::BlockLines;

/// The numbers of the encoders, the newest first.
pub(crate) const PARQUET_ENCODERS: [u32; 1] = [ENCODER_VERSION];

/// An encoder of one object.
#[expect(missing_debug_implementations, reason = "its errors are of no interest")]
pub struct ParquetObjectEncoder {
    /// The encoder of the file, or the reason why there is none.
    file: Result<ParquetEncoder, EncodeError>,
    lines: BlockLines,
}

impl ParquetObjectEncoder {
    pub(crate) fn new(number: u32) -> Self {
        Self { file: ParquetEncoder::new(number), lines: BlockLines::default() }
    }

    pub(crate) fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let lines = self.lines.next(block)?;
        let file = self.file.as_mut().map_err(|error| failed(error))?;
        file.push_lines(lines).map_err(|error| failed(&error))
    }

    pub(crate) fn raw_length(&self) -> u64 {
        self.lines.content.raw_length
    }

    pub(crate) fn stored_length(&self) -> u64 {
        self.file.as_ref().map_or(0, ParquetEncoder::stored_length)
    }

    pub(crate) fn finish(self) -> Result<EncodedObject, PortError> {
        let bytes = self.file.and_then(ParquetEncoder::finish).map_err(|error| failed(&error))?;
        Ok(EncodedObject { bytes, content: self.lines.content })
    }
}

fn failed(error: &EncodeError) -> PortError {
    PortError::internal("encode object", format!("the Parquet file failed: {error}"))
}
