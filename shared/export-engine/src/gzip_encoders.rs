//! The encoders of `NDJSON_GZIP`, which join the stored blocks.

use bytes::BytesMut;
use domain::{
    block::StoredBlock,
    encoded_object::EncodedObject,
    export_format::ExportFormat,
    gzip::{EncoderVersion, GzipEncoder, ObjectError},
};

use crate::ports::{Encoders, ObjectEncoder, PortError};

/// The encoders of `NDJSON_GZIP`, and no others.
#[derive(Clone, Copy, Debug)]
pub struct GzipEncoders {
    /// The version of new plans.
    pub current: EncoderVersion,
}

impl GzipEncoders {
    pub const CURRENT: Self = Self { current: EncoderVersion::CURRENT };
}

impl Encoders for GzipEncoders {
    type Encoder = GzipEncoder;

    fn current(&self, format: ExportFormat) -> Option<u32> {
        (format == ExportFormat::NdjsonGzip).then(|| self.current.number())
    }

    fn numbers(&self, format: ExportFormat) -> Vec<u32> {
        let versions = EncoderVersion::ALL.into_iter().rev().filter(|_| format == ExportFormat::NdjsonGzip);
        versions.map(EncoderVersion::number).collect()
    }

    fn encoder(&self, number: u32, buffer: BytesMut) -> Option<GzipEncoder> {
        EncoderVersion::from_number(number).map(|version| GzipEncoder::in_buffer(version, buffer))
    }
}

impl ObjectEncoder for GzipEncoder {
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError> {
        self.push(block).map_err(unusable)
    }

    fn raw_length(&self) -> u64 {
        self.raw_length()
    }

    fn stored_length(&self) -> u64 {
        self.stored_length() as u64
    }

    fn finish(self) -> Result<EncodedObject, PortError> {
        self.finish().map_err(unusable)
    }
}

fn unusable(error: ObjectError) -> PortError {
    match error {
        ObjectError::Corrupt(error) => error.into(),
        error => PortError::internal_from("encode object", error),
    }
}
