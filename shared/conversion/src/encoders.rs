//! The encoders of all formats.

use bytes::BytesMut;
use columnar::{ENCODER_VERSION, PARQUET_RAW_LENGTH, PARQUET_STORED_LENGTH};
use domain::{
    block::StoredBlock, encoded_object::EncodedObject, encoding::Encoding, export_format::ExportFormat,
    export_run::PlanLimits, gzip::GzipEncoder,
};
use export_engine::{
    GzipEncoders,
    ports::{Encoders, ObjectEncoder, PortError},
};

use crate::{
    block_lines::BlockLines,
    filtered_gzip_encoder::{FILTERED_GZIP_ENCODERS, FilteredGzipEncoder},
    ocsf_encoder::{OcsfEncoder, ocsf_encoder, ocsf_limits},
    parquet_encoder::{FILTERED_PARQUET_ENCODERS, PARQUET_ENCODERS, ParquetObjectEncoder},
    zstd_encoder::{FILTERED_ZSTD_ENCODERS, ZSTD_ENCODERS, ZstdEncoder},
};

/// The bytes of a part of an upload: longer than a file, so that every file is put in one request, as the connection test and
/// the customer's policies expect it. A file that does not compress has its lines twice, in `event` or `raw_data` and in the other
/// columns.
const PARQUET_PART_SIZE: u64 = 128 * 1024 * 1024;

/// The encoders of all formats, with and without a filter. `NDJSON_GZIP` is among them, so that one run can end a window in one
/// format and begin the next in another.
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
        // The operator chooses the version of the gzip encoder that joins blocks.
        self.gzip.current(encoding).or_else(|| self.numbers(encoding).first().copied())
    }

    fn numbers(&self, encoding: &Encoding) -> Vec<u32> {
        match (encoding.format, &encoding.filter) {
            (ExportFormat::NdjsonGzip, None) => self.gzip.numbers(encoding),
            (ExportFormat::NdjsonGzip, Some(_)) => FILTERED_GZIP_ENCODERS.to_vec(),
            (ExportFormat::NdjsonZstd, None) => ZSTD_ENCODERS.to_vec(),
            (ExportFormat::NdjsonZstd, Some(_)) => FILTERED_ZSTD_ENCODERS.to_vec(),
            (ExportFormat::Parquet, None) => PARQUET_ENCODERS.to_vec(),
            (ExportFormat::Parquet, Some(_)) => FILTERED_PARQUET_ENCODERS.to_vec(),
            (ExportFormat::OcsfParquet, _) => ocsf_encoder(encoding).into_iter().collect(),
        }
    }

    fn encoder(&self, number: u32, encoding: &Encoding, buffer: BytesMut) -> Option<ConversionEncoder> {
        if !self.numbers(encoding).contains(&number) {
            return None;
        }
        let lines = || BlockLines::new(encoding.filter.as_ref());
        Some(match encoding.format {
            ExportFormat::NdjsonGzip if encoding.filter.is_none() => {
                ConversionEncoder::Gzip(Box::new(self.gzip.encoder(number, encoding, buffer)?))
            }
            ExportFormat::NdjsonGzip => {
                ConversionEncoder::FilteredGzip(Box::new(FilteredGzipEncoder::in_buffer(buffer, lines())))
            }
            ExportFormat::NdjsonZstd => ConversionEncoder::Zstd(Box::new(ZstdEncoder::in_buffer(buffer, lines()))),
            ExportFormat::Parquet => {
                ConversionEncoder::Parquet(Box::new(ParquetObjectEncoder::new(ENCODER_VERSION, lines())))
            }
            ExportFormat::OcsfParquet => {
                ConversionEncoder::Ocsf(Box::new(OcsfEncoder::new(encoding.ocsf.as_ref()?, lines())))
            }
        })
    }

    fn limits(&self, encoding: &Encoding, usual: PlanLimits) -> PlanLimits {
        match encoding.format {
            ExportFormat::NdjsonGzip | ExportFormat::NdjsonZstd => usual,
            ExportFormat::Parquet => PlanLimits {
                target_stored_length: PARQUET_STORED_LENGTH,
                target_raw_length: PARQUET_RAW_LENGTH,
                part_size: PARQUET_PART_SIZE,
                ..usual
            },
            ExportFormat::OcsfParquet => PlanLimits { part_size: PARQUET_PART_SIZE, ..ocsf_limits(usual) },
        }
    }
}

/// The encoder of one object in any format.
#[expect(missing_debug_implementations, reason = "the encoder of zstd has none")]
pub enum ConversionEncoder {
    Gzip(Box<GzipEncoder>),
    FilteredGzip(Box<FilteredGzipEncoder>),
    Zstd(Box<ZstdEncoder>),
    Parquet(Box<ParquetObjectEncoder>),
    Ocsf(Box<OcsfEncoder>),
}

impl ObjectEncoder for ConversionEncoder {
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError> {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::push(&mut **encoder, block),
            Self::FilteredGzip(encoder) => encoder.push(&block),
            Self::Zstd(encoder) => encoder.push(&block),
            Self::Parquet(encoder) => encoder.push(&block),
            Self::Ocsf(encoder) => encoder.push(&block),
        }
    }

    fn raw_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => encoder.raw_length(),
            Self::FilteredGzip(encoder) => encoder.raw_length(),
            Self::Zstd(encoder) => encoder.raw_length(),
            Self::Parquet(encoder) => encoder.raw_length(),
            Self::Ocsf(encoder) => encoder.raw_length(),
        }
    }

    fn stored_length(&self) -> u64 {
        match self {
            Self::Gzip(encoder) => ObjectEncoder::stored_length(&**encoder),
            Self::FilteredGzip(encoder) => encoder.stored_length(),
            Self::Zstd(encoder) => encoder.stored_length(),
            Self::Parquet(encoder) => encoder.stored_length(),
            Self::Ocsf(encoder) => encoder.stored_length(),
        }
    }

    fn finish(self) -> Result<Vec<EncodedObject>, PortError> {
        let object = match self {
            Self::Gzip(encoder) => return ObjectEncoder::finish(*encoder),
            Self::Ocsf(encoder) => return encoder.finish(),
            Self::FilteredGzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Parquet(encoder) => encoder.finish()?,
        };
        Ok(object.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        block::{BlockId, MAX_BLOCK_RAW_LENGTH, encode_block},
        digest::Hex32,
        encoded_object::Content,
        event_filter::{EventFilter, event_times},
        ocsf::{OcsfSettings, Version},
        tenant::TenantId,
        time::Timestamp,
    };

    use super::*;

    /// Every format proves the same bytes: length and CRC-32 of the NDJSON, and the number of its lines.
    #[test]
    fn every_format_has_the_same_content() {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let raw = b"{\"id\":\"1\",\"eventTimestamp\":\"2026-11-22T00:00:00Z\",\"action\":\"READ\"}\n\
                    {\"id\":\"2\",\"eventTimestamp\":\"2026-11-22T00:00:00Z\",\"actor\":7}\n";
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
                // A record takes memory however short its line is.
                let least = if *format == ExportFormat::OcsfParquet { 4 * 512 } else { 0 };
                assert_eq!(encoder.raw_length(), least.max(2 * raw.len() as u64));
                let objects = encoder.finish().unwrap();
                assert!(objects.len() == 1 && !objects[0].bytes.is_empty());
                objects[0].content
            })
            .collect();
        assert_eq!(contents[0].event_count, 4);
        assert!(contents.iter().all(|content| *content == contents[0]), "{contents:?}");
    }

    /// Blocks of which all, some and no events pass [`logins`].
    fn mixed_blocks() -> Vec<StoredBlock> {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let day = |number: u64| at.saturating_add(Duration::from_hours(24 * number));
        let blocks = (1..=48_u64).map(|number| {
            let lines = (0..number * 5).map(|event| {
                let action = ["LOGIN", "QUERY"][usize::from(number % 3 == 0 || (number % 3 == 1 && event % 2 == 0))];
                let time = day(number).saturating_add(Duration::from_secs(event));
                format!("{{\"id\":\"{number}-{event}\",\"eventTimestamp\":\"{time}\",\"action\":\"{action}\"}}\n")
            });
            let raw: String = lines.collect();
            let id = BlockId::from_parts(at, u128::from(number));
            let newest = day(number).saturating_add(Duration::from_secs(number * 5 - 1));
            encode_block(&tenant, id, raw.as_bytes(), day(number), newest).unwrap()
        });
        blocks.collect()
    }

    fn logins() -> EventFilter {
        serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).unwrap()
    }

    fn encode(encoding: &Encoding, blocks: &[StoredBlock]) -> Vec<EncodedObject> {
        let encoders = ConversionEncoders::CURRENT;
        let number = encoders.current(encoding).unwrap();
        let mut encoder = encoders.encoder(number, encoding, BytesMut::from(&b"left over"[..])).unwrap();
        for block in blocks {
            encoder.push(block.clone()).unwrap();
        }
        encoder.finish().unwrap()
    }

    /// A change of these bytes needs another number: a retry and a repair have to write the same object.
    #[test]
    fn the_bytes_of_encoders_with_a_filter_are_pinned() {
        let blocks = mixed_blocks();
        let made = ExportFormat::ALL.iter().map(|format| {
            let encoding = Encoding { filter: Some(logins()), ..(*format).into() };
            let objects = encode(&encoding, &blocks);
            let hash = Hex32::sha256_of(&objects[0].bytes).to_string();
            assert_eq!(objects.len(), 1);
            (ConversionEncoders::CURRENT.numbers(&encoding), objects[0].bytes.len(), hash)
        });
        let pinned = [
            (vec![51], 17_422, "61f01686a5ef060db593df3360712160a8e0494eec9f2720ccbdd95648cb3f9c".to_owned()),
            (vec![151], 8_378, "29c3446622b798f5f8ea558ebc08e65169d0ebd001f237e11da37edb61e2e82e".to_owned()),
            (vec![251], 27_147, "483983f3eeac2632aa8be826adbdb27b23e58868e42c0b07c0fbdb4d4dd0faf0".to_owned()),
            (vec![351], 45_195, "48f04f1341f9313c99ae38dd3985425feae7864a7ad3b9919da8c702b88a4b76".to_owned()),
        ];
        assert_eq!(made.collect::<Vec<_>>(), pinned);
    }

    #[test]
    fn an_object_of_a_filter_holds_the_events_that_pass() {
        let (blocks, filter) = (mixed_blocks(), logins());
        let lines: Vec<u8> =
            blocks.iter().flat_map(|block| filter.apply(&block.inflate().unwrap()).lines.into_owned()).collect();
        let (oldest_event, newest_event) = event_times(&lines).unwrap();
        let (tenant, id) = (TenantId::parse("acme").unwrap(), BlockId::lowest_at(Timestamp::EPOCH));
        let whole = encode_block(&tenant, id, &lines, oldest_event, newest_event).unwrap();
        let mut expected = Content::default();
        expected.add(&whole);
        let all: u64 = blocks.iter().map(|block| u64::from(block.event_count)).sum();
        assert!(expected.event_count > 0 && expected.event_count < all);
        for format in ExportFormat::ALL.iter().copied() {
            let encoding = Encoding { filter: Some(filter.clone()), ..format.into() };
            let objects = encode(&encoding, &blocks);
            assert_eq!(objects[0].content, expected, "{format}");
            if format != ExportFormat::NdjsonGzip {
                // What passes becomes what the encoder without a filter makes of it.
                let plain = encode(&format.into(), std::slice::from_ref(&whole));
                assert!(objects[0].bytes == plain[0].bytes, "{format}");
            }
        }
    }

    #[test]
    fn there_is_no_object_of_blocks_of_which_nothing_passes() {
        let blocks: Vec<_> = mixed_blocks().into_iter().skip(2).step_by(3).collect();
        for format in ExportFormat::ALL.iter().copied() {
            assert_eq!(encode(&Encoding { filter: Some(logins()), ..format.into() }, &blocks), [], "{format}");
        }
    }

    #[test]
    fn a_number_that_no_encoder_has_is_refused() {
        let encoders = ConversionEncoders::CURRENT;
        for format in ExportFormat::ALL.iter().copied() {
            for filter in [None, Some(logins())] {
                let encoding = Encoding { filter, ..format.into() };
                let known = encoders.numbers(&encoding);
                for number in 0..=400 {
                    let encoder = encoders.encoder(number, &encoding, BytesMut::new());
                    assert_eq!(encoder.is_some(), known.contains(&number), "{number}");
                    assert!(encoder.is_none() || encoding.is_of_encoder(number), "{number}");
                }
            }
        }
    }

    #[test]
    fn a_digest_states_the_schema_of_its_files() {
        for number in [PARQUET_ENCODERS, FILTERED_PARQUET_ENCODERS].concat() {
            let schema = ExportFormat::schema_of_encoder(number);
            assert_eq!(schema.map(i64::from), Some(i64::from(columnar::SCHEMA_VERSION)));
        }
        for version in Version::ALL {
            let encoding = Encoding {
                ocsf: Some(OcsfSettings { version: *version, ..OcsfSettings::default() }),
                ..ExportFormat::OcsfParquet.into()
            };
            let number = ConversionEncoders::CURRENT.current(&encoding).unwrap();
            assert_eq!(ExportFormat::schema_of_encoder(number), Some(version.schema_version()));
        }
    }

    #[test]
    fn every_object_is_put_in_one_request() {
        let block = MAX_BLOCK_RAW_LENGTH as u64;
        for format in [ExportFormat::Parquet, ExportFormat::OcsfParquet] {
            let limits = ConversionEncoders::CURRENT.limits(&format.into(), PlanLimits::CURRENT);
            assert!(limits.part_size >= 2 * (limits.target_raw_length + block), "{format}: {limits:?}");
        }
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
