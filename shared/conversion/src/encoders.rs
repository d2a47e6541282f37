//! The encoders of all formats.

use bytes::BytesMut;
use domain::{block::StoredBlock, encoded_object::EncodedObject, export_format::ExportFormat, gzip::GzipEncoder};
use export_engine::{
    GzipEncoders,
    ports::{Encoders, ObjectEncoder, PortError},
};

use crate::zstd_encoder::{ZSTD_ENCODERS, ZstdEncoder};

/// The encoders of all formats. `NDJSON_GZIP` is among them, so that one run can end a window in one format and begin the next
/// in another.
#[derive(Clone, Copy, Debug)]
pub struct ConversionEncoders {
    pub gzip: GzipEncoders,
}

impl ConversionEncoders {
    pub const CURRENT: Self = Self { gzip: GzipEncoders::CURRENT };
}

impl Encoders for ConversionEncoders {
    type Encoder = ConversionEncoder;

    fn current(&self, format: ExportFormat) -> Option<u32> {
        match format {
            ExportFormat::NdjsonGzip => self.gzip.current(format),
            ExportFormat::NdjsonZstd => ZSTD_ENCODERS.first().copied(),
            ExportFormat::Parquet => None,
        }
    }

    fn numbers(&self, format: ExportFormat) -> Vec<u32> {
        match format {
            ExportFormat::NdjsonGzip => self.gzip.numbers(format),
            ExportFormat::NdjsonZstd => ZSTD_ENCODERS.to_vec(),
            ExportFormat::Parquet => Vec::new(),
        }
    }

    fn encoder(&self, number: u32, buffer: BytesMut) -> Option<ConversionEncoder> {
        match ExportFormat::of_encoder(number)? {
            ExportFormat::NdjsonGzip => self.gzip.encoder(number, buffer).map(Box::new).map(ConversionEncoder::Gzip),
            ExportFormat::NdjsonZstd if ZSTD_ENCODERS.contains(&number) => {
                Some(ConversionEncoder::Zstd(Box::new(ZstdEncoder::in_buffer(buffer))))
            }
            ExportFormat::NdjsonZstd | ExportFormat::Parquet => None,
        }
    }
}

/// The encoder of one object in any format.
#[expect(missing_debug_implementations, reason = "the encoder of zstd has none")]
pub enum ConversionEncoder {
    Gzip(Box<GzipEncoder>),
    Zstd(Box<ZstdEncoder>),
}

impl ObjectEncoder for ConversionEncoder {
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError> {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::push(&mut **encoder, block),
            Self::Zstd(encoder) => encoder.push(&block),
        }
    }

    fn raw_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => encoder.raw_length(),
            Self::Zstd(encoder) => encoder.raw_length(),
        }
    }

    fn stored_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::stored_length(&**encoder),
            Self::Zstd(encoder) => encoder.stored_length(),
        }
    }

    fn finish(self) -> Result<EncodedObject, PortError> {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::finish(*encoder),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
