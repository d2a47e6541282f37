//! The encoders of all formats.

use bytes::BytesMut;
use columnar::{PARQUET_RAW_LENGTH, PARQUET_STORED_LENGTH};
use domain::{
    block::StoredBlock, encoded_object::EncodedObject, encoding::Encoding, export_format::ExportFormat,
    export_run::PlanLimits, gzip::GzipEncoder,
};
use export_engine::{
    GzipEncoders,
    ports::{Encoders, ObjectEncoder, PortError},
};

use crate::{
    parquet_encoder::{PARQUET_ENCODERS, ParquetObjectEncoder},
    zstd_encoder::{ZSTD_ENCODERS, ZstdEncoder},
};

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

    fn current(&self, encoding: &Encoding) -> Option<u32> {
        match encoding.format {
            ExportFormat::NdjsonGzip => self.gzip.current(encoding),
            ExportFormat::NdjsonZstd => ZSTD_ENCODERS.first().copied(),
            ExportFormat::Parquet => PARQUET_ENCODERS.first().copied(),
        }
    }

    fn numbers(&self, encoding: &Encoding) -> Vec<u32> {
        match encoding.format {
            ExportFormat::NdjsonGzip => self.gzip.numbers(encoding),
            ExportFormat::NdjsonZstd => ZSTD_ENCODERS.to_vec(),
            ExportFormat::Parquet => PARQUET_ENCODERS.to_vec(),
        }
    }

    fn encoder(&self, number: u32, encoding: &Encoding, buffer: BytesMut) -> Option<ConversionEncoder> {
        match ExportFormat::of_encoder(number).filter(|format| *format == encoding.format)? {
            ExportFormat::NdjsonGzip => {
                self.gzip.encoder(number, encoding, buffer).map(Box::new).map(ConversionEncoder::Gzip)
            }
            ExportFormat::NdjsonZstd if ZSTD_ENCODERS.contains(&number) => {
                Some(ConversionEncoder::Zstd(Box::new(ZstdEncoder::in_buffer(buffer))))
            }
            ExportFormat::Parquet if PARQUET_ENCODERS.contains(&number) => {
                Some(ConversionEncoder::Parquet(Box::new(ParquetObjectEncoder::new(number))))
            }
            ExportFormat::NdjsonZstd | ExportFormat::Parquet => None,
        }
    }

    fn limits(&self, encoding: &Encoding, usual: PlanLimits) -> PlanLimits {
        match encoding.format {
            ExportFormat::NdjsonGzip | ExportFormat::NdjsonZstd => usual,
            ExportFormat::Parquet => PlanLimits {
                target_stored_length: PARQUET_STORED_LENGTH,
                target_raw_length: PARQUET_RAW_LENGTH,
                ..usual
            },
        }
    }
}

/// The encoder of one object in any format.
#[expect(missing_debug_implementations, reason = "the encoder of zstd has none")]
pub enum ConversionEncoder {
    Gzip(Box<GzipEncoder>),
    Zstd(Box<ZstdEncoder>),
    Parquet(Box<ParquetObjectEncoder>),
}

impl ObjectEncoder for ConversionEncoder {
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError> {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::push(&mut **encoder, block),
            Self::Zstd(encoder) => encoder.push(&block),
            Self::Parquet(encoder) => encoder.push(&block),
        }
    }

    fn raw_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => encoder.raw_length(),
            Self::Zstd(encoder) => encoder.raw_length(),
            Self::Parquet(encoder) => encoder.raw_length(),
        }
    }

    fn stored_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::stored_length(&**encoder),
            Self::Zstd(encoder) => encoder.stored_length(),
            Self::Parquet(encoder) => encoder.stored_length(),
        }
    }

    fn finish(self) -> Result<Vec<EncodedObject>, PortError> {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::finish(*encoder),
            Self::Zstd(encoder) => Ok(vec![encoder.finish()?]),
            Self::Parquet(encoder) => Ok(vec![encoder.finish()?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        block::{BlockId, encode_block},
        tenant::TenantId,
        time::Timestamp,
    };

    use super::*;

    /// Every format proves the same bytes: length and CRC-32 of the NDJSON, and the number of its lines.
    #[test]
    fn every_format_has_the_same_content() {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let raw = b"{\"id\":\"1\",\"action\":\"READ\"}\n{\"id\":\"2\",\"actor\":7}\n";
        let blocks = [1, 2].map(|number| encode_block(&tenant, BlockId::from_parts(at, number), raw, at, at).unwrap());
        let encoders = ConversionEncoders::CURRENT;
        let contents: Vec<_> = ExportFormat::ALL
            .iter()
            .map(|format| {
                let encoding = Encoding::from(*format);
                let number = encoders.current(&encoding).unwrap();
                assert_eq!((ExportFormat::of_encoder(number), encoders.numbers(&encoding)[0]), (Some(*format), number));
                let mut encoder = encoders.encoder(number, &encoding, BytesMut::new()).unwrap();
                for block in &blocks {
                    encoder.push(block.clone()).unwrap();
                }
                assert_eq!(encoder.raw_length(), 2 * raw.len() as u64);
                let objects = encoder.finish().unwrap();
                assert!(objects.len() == 1 && !objects[0].bytes.is_empty());
                objects[0].content
            })
            .collect();
        assert_eq!(contents[0].event_count, 4);
        assert!(contents.iter().all(|content| *content == contents[0]), "{contents:?}");
    }

    #[test]
    fn a_number_that_no_encoder_has_is_refused() {
        for number in [0, 3, 99, 100, 102, 202, 301] {
            for encoding in ExportFormat::ALL.iter().copied().map(Encoding::from) {
                let encoder = ConversionEncoders::CURRENT.encoder(number, &encoding, BytesMut::new());
                assert!(encoder.is_none(), "{number}");
            }
        }
    }

    #[test]
    fn a_digest_states_the_schema_of_its_files() {
        let schema = ExportFormat::schema_of_encoder(columnar::ENCODER_VERSION);
        assert_eq!(schema.map(i64::from), Some(i64::from(columnar::SCHEMA_VERSION)));
    }

    /// A run holds two objects, the one that is uploaded and the one that is filled.
    #[test]
    fn two_files_of_parquet_fit_into_the_memory_of_a_run() {
        let limits = ConversionEncoders::CURRENT.limits(&ExportFormat::Parquet.into(), PlanLimits::CURRENT);
        assert_eq!(
            ConversionEncoders::CURRENT.limits(&ExportFormat::NdjsonZstd.into(), PlanLimits::CURRENT),
            PlanLimits::CURRENT
        );
        assert!(2 * limits.target_stored_length <= 64 * 1024 * 1024);
        assert!(limits.target_raw_length <= PlanLimits::CURRENT.target_raw_length);
    }
}
