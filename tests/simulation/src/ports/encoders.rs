//! The encoders of a release.

use std::collections::BTreeSet;

use bytes::BytesMut;
use conversion::{ConversionEncoder, ConversionEncoders};
use domain::{
    block::StoredBlock,
    encoded_object::{Content, EncodedObject, OcsfRecords},
    encoding::Encoding,
    event_filter::EventFilter,
    export_format::ExportFormat,
    export_run::PlanLimits,
    gzip::EncoderVersion,
    ocsf::OcsfSettings,
};
use export_engine::{
    GzipEncoders,
    ports::{Encoders, ObjectEncoder, PortError},
};

use crate::records::{of_class, records, to_file};

/// The parts of a release that deploys change, and the function that the process is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// The version of `NDJSON_GZIP`.
    pub(crate) encoder_version: EncoderVersion,
    pub(crate) limits: PlanLimits,
    /// True for the converter, which makes every format.
    pub(crate) converts: bool,
    pub(crate) ocsf_files: OcsfFiles,
}

/// The form of the files of `OCSF_PARQUET` in a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OcsfFiles {
    /// Lines, as [`to_file`] writes them. A file of Parquet has a hundred columns and takes milliseconds to make and to read, and
    /// what the engine does with the objects of several classes does not depend on their bytes.
    #[default]
    Lines,
    /// Those of the program.
    Parquet,
}

impl Release {
    /// Returns the release of the converter.
    pub(super) fn of_converter(self) -> Self {
        Self { converts: true, ..self }
    }

    fn all_encoders(self) -> ConversionEncoders {
        ConversionEncoders { gzip: GzipEncoders { current: self.encoder_version } }
    }
}

impl Encoders for Release {
    type Encoder = SimulatedEncoder;

    fn current(&self, encoding: &Encoding) -> Option<u32> {
        let all = self.all_encoders();
        all.current(encoding).filter(|_| self.converts || all.gzip.makes(encoding))
    }

    fn numbers(&self, encoding: &Encoding) -> Vec<u32> {
        if self.makes(encoding) { self.all_encoders().numbers(encoding) } else { Vec::new() }
    }

    fn encoder(&self, number: u32, encoding: &Encoding, buffer: BytesMut) -> Option<SimulatedEncoder> {
        if !self.numbers(encoding).contains(&number) {
            return None;
        }
        let is_ocsf = encoding.format == ExportFormat::OcsfParquet;
        if is_ocsf && self.ocsf_files == OcsfFiles::Lines {
            let (settings, filter) = (encoding.ocsf.clone()?, encoding.filter.clone());
            let lines = ClassLines { number, settings, filter, lines: Vec::new(), stored_length: 0 };
            return Some(SimulatedEncoder::ClassLines(Box::new(lines)));
        }
        self.all_encoders().encoder(number, encoding, buffer).map(SimulatedEncoder::Real)
    }
}

/// An encoder of consecutive blocks.
pub(crate) enum SimulatedEncoder {
    Real(ConversionEncoder),
    ClassLines(Box<ClassLines>),
}

/// An encoder of one file of lines for each class that occurs.
pub(crate) struct ClassLines {
    number: u32,
    settings: OcsfSettings,
    filter: Option<EventFilter>,
    /// Those that pass the filter.
    lines: Vec<u8>,
    stored_length: u64,
}

impl ClassLines {
    fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let raw = block.inflate()?;
        match &self.filter {
            Some(filter) => self.lines.extend_from_slice(&filter.apply(&raw).lines),
            None => self.lines.extend_from_slice(&raw),
        }
        self.stored_length += block.deflate.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<Vec<EncodedObject>, PortError> {
        let Some(records) = records(&self.lines, &self.settings) else {
            return Err(PortError::internal("encode object", "a history has events that are no records"));
        };
        let classes: BTreeSet<_> = records.iter().map(|record| record.class).collect();
        let objects = classes.into_iter().map(|class| {
            let in_order = of_class(&records, class);
            let mut content = Content::default();
            for record in &in_order {
                content.add_line(record.line.as_bytes(), record.time);
            }
            let other = in_order.iter().filter(|record| record.is_other).count() as u64;
            let bytes = to_file(self.number, class, &in_order);
            EncodedObject { bytes, content, records: Some(OcsfRecords { class, other }) }
        });
        Ok(objects.collect())
    }
}

impl ObjectEncoder for SimulatedEncoder {
    fn push(&mut self, block: StoredBlock) -> Result<(), PortError> {
        match self {
            Self::Real(encoder) => encoder.push(block),
            Self::ClassLines(encoder) => encoder.push(&block),
        }
    }

    fn raw_length(&self) -> u64 {
        match self {
            Self::Real(encoder) => encoder.raw_length(),
            Self::ClassLines(encoder) => encoder.lines.len() as u64,
        }
    }

    fn stored_length(&self) -> u64 {
        match self {
            Self::Real(encoder) => encoder.stored_length(),
            Self::ClassLines(encoder) => encoder.stored_length,
        }
    }

    fn finish(self) -> Result<Vec<EncodedObject>, PortError> {
        match self {
            Self::Real(encoder) => encoder.finish(),
            Self::ClassLines(encoder) => encoder.finish(),
        }
    }
}
