//! The encoders of `NDJSON_GZIP`, which join the stored blocks.

use bytes::BytesMut;
use domain::{
    block::StoredBlock,
    encoded_object::EncodedObject,
    encoding::Encoding,
    export_format::ExportFormat,
    gzip::{EncoderVersion, GzipEncoder, ObjectError},
};

use crate::ports::{Encoders, ObjectEncoder, PortError};

/// The encoders of all events as `NDJSON_GZIP`, and no others.
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

    fn current(&self, encoding: &Encoding) -> Option<u32> {
        joins(encoding).then(|| self.current.number())
    }

    fn numbers(&self, encoding: &Encoding) -> Vec<u32> {
        let versions = EncoderVersion::ALL.into_iter().rev().filter(|_| joins(encoding));
        versions.map(EncoderVersion::number).collect()
    }

    fn encoder(&self, number: u32, encoding: &Encoding, buffer: BytesMut) -> Option<GzipEncoder> {
        let version = EncoderVersion::from_number(number).filter(|_| joins(encoding));
        version.map(|version| GzipEncoder::in_buffer(version, buffer))
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

    fn finish(self) -> Result<Vec<EncodedObject>, PortError> {
        self.finish().map(|object| vec![object]).map_err(unusable)
    }
}

/// Returns whether the objects of an encoding are joined of the stored blocks as they are.
fn joins(encoding: &Encoding) -> bool {
    encoding.format == ExportFormat::NdjsonGzip && encoding.filter.is_none()
}

fn unusable(error: ObjectError) -> PortError {
    match error {
        ObjectError::Corrupt(error) => error.into(),
        error => PortError::internal_from("encode object", error),
    }
}
