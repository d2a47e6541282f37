//! The encoder of `OCSF_PARQUET`: a record of OCSF for each line, and a file for each class that occurs.

use std::fmt::Display;

use domain::{
    block::{BlockId, MAX_BLOCK_RAW_LENGTH, StoredBlock},
    encoded_object::{Content, EncodedObject, OcsfRecords},
    encoding::Encoding,
    export_format::ExportFormat,
    export_run::PlanLimits,
    ocsf::{Class, OcsfSettings, Version},
    time::Timestamp,
};
use export_engine::ports::PortError;
use ocsf::{ClassFile, InvalidEvent, InvalidTable, OcsfEvent, Table, encoder_version, map};

use crate::block_lines::BlockLines;

/// The NDJSON that the files of some consecutive blocks hold together. With [`OCSF_STORED_LENGTH`] it bounds the memory of a run,
/// which has the lines, the columns of one row group, these files, and those that are uploaded: at most 256 MiB in all, see
/// [`ClassFile`].
const OCSF_RAW_LENGTH: u64 = 32 * 1024 * 1024;

/// The length that an event counts as, if it is shorter, so that files have at most 65,536 records and those of one block
/// together. A record is kept as [`Record`], and its values are written however short its line is.
const MIN_RECORD_LENGTH: u64 = 512;

/// The compressed length of those blocks.
const OCSF_STORED_LENGTH: u64 = 16 * 1024 * 1024;

/// Added to the number of an encoder of all events: that of the encoder with a filter.
const FILTERED: u32 = 50;

/// Returns the number of the encoder. `None`: the encoding is of another format.
pub(crate) fn ocsf_encoder(encoding: &Encoding) -> Option<u32> {
    let ocsf = encoding.ocsf.as_ref().filter(|_| encoding.format == ExportFormat::OcsfParquet)?;
    let number = encoder_version(ocsf.version);
    Some(if encoding.filter.is_some() { number + FILTERED } else { number })
}

/// Returns the limits of a plan.
pub(crate) fn ocsf_limits(usual: PlanLimits) -> PlanLimits {
    PlanLimits {
        target_stored_length: OCSF_STORED_LENGTH,
        target_raw_length: OCSF_RAW_LENGTH,
        max_objects: domain::digest::MAX_OCSF_DIGEST_OBJECTS,
        ..usual
    }
}

/// An encoder of the objects of some consecutive blocks.
#[expect(missing_debug_implementations, reason = "its errors are of no interest")]
pub struct OcsfEncoder {
    version: Version,
    /// The table of the mapping, or the reason why there is none.
    table: Result<Table, InvalidTable>,
    blocks: BlockLines,
    /// The lines of all blocks that pass the filter.
    lines: Vec<u8>,
    records: Vec<Record>,
    stored_length: u64,
}

/// The place of a line, and what decides about the place of its record. The record itself is made when its file is written.
#[derive(Clone, Copy, Debug)]
struct Record {
    class: Class,
    time: u64,
    is_other: bool,
    /// The line with its line feed.
    start: usize,
    end: usize,
}

impl OcsfEncoder {
    pub(crate) fn new(ocsf: &OcsfSettings, blocks: BlockLines) -> Self {
        Self {
            version: ocsf.version,
            table: Table::new(&ocsf.classes),
            blocks,
            // At once, so that they don't move as they grow. Pages that are never written to take no memory.
            lines: Vec::with_capacity(usize::try_from(OCSF_RAW_LENGTH).unwrap_or(0) + MAX_BLOCK_RAW_LENGTH),
            records: Vec::new(),
            stored_length: 0,
        }
    }

    pub(crate) fn push(&mut self, block: &StoredBlock) -> Result<(), PortError> {
        let table = self.table.as_ref().map_err(failed)?;
        let lines = self.blocks.next(block)?;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let record = map(event(line), self.version, table).map_err(|error| fault(block.id, error))?;
            let start = self.lines.len();
            let OcsfEvent { class, time, is_other, .. } = record;
            self.records.push(Record { class, time, is_other, start, end: start + line.len() });
            self.lines.extend_from_slice(line);
        }
        // The share of the block's bytes that its kept lines have.
        let kept = (lines.len() as u64).saturating_mul(block.deflate.len() as u64);
        self.stored_length += kept / u64::from(block.raw_length).max(1);
        Ok(())
    }

    /// Returns the length of the lines, each of which counts as [`MIN_RECORD_LENGTH`] at least.
    pub(crate) fn raw_length(&self) -> u64 {
        (self.lines.len() as u64).max(self.records.len() as u64 * MIN_RECORD_LENGTH)
    }

    /// Returns the compressed length of the blocks, which is near that of the files.
    pub(crate) fn stored_length(&self) -> u64 {
        self.stored_length
    }

    /// Returns the objects in the order of the numbers of their classes.
    pub(crate) fn finish(mut self) -> Result<Vec<EncodedObject>, PortError> {
        // Records of one time stay in the order of their blocks.
        self.records.sort_by_key(|record| (record.class, record.time));
        self.records.chunk_by(|one, other| one.class == other.class).map(|records| self.object(records)).collect()
    }

    /// Returns the object of some records of one class, in their order.
    fn object(&self, records: &[Record]) -> Result<EncodedObject, PortError> {
        let table = self.table.as_ref().map_err(failed)?;
        let class = records.first().map_or(Class::ApiActivity, |record| record.class);
        let mut file = ClassFile::new(class, self.version).map_err(failed)?;
        let mut content = Content::default();
        let mut other = 0;
        for record in records {
            let line = self.lines.get(record.start..record.end).unwrap_or_default();
            file.push(&map(event(line), self.version, table).map_err(failed)?).map_err(failed)?;
            content.add_line(line, Timestamp::from_millis(record.time).unwrap_or(Timestamp::MAX));
            other += u64::from(record.is_other);
        }
        let bytes = file.finish().map_err(failed)?;
        Ok(EncodedObject { bytes: bytes.into(), content, records: Some(OcsfRecords { class, other }) })
    }
}

/// Returns a line without its line feed.
fn event(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Returns the error of a line that ingest would not have stored: somebody else wrote its block, although its checksums are right.
fn fault(block: BlockId, error: InvalidEvent) -> PortError {
    PortError::corrupt_block(block, format!("block {block}: {error}")).caused_by(error)
}

fn failed(error: impl Display) -> PortError {
    PortError::internal("encode object", format!("the files of OCSF failed: {error}"))
}

#[cfg(test)]
mod tests {
    use domain::{block::encode_block, digest::Hex32, tenant::TenantId};
    use export_engine::ports::ErrorKind;

    use super::*;

    fn block(number: u32, lines: &[&str]) -> StoredBlock {
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let raw: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        encode_block(&tenant, BlockId::from_parts(at, u128::from(number)), &raw, at, at).unwrap()
    }

    fn line(id: &str, minute: u32, action: &str) -> String {
        format!(r#"{{"id":"{id}","eventTimestamp":"2026-11-21T23:{minute:02}:00Z","action":"{action}"}}"#)
    }

    fn encoded(encoding: &Encoding, blocks: &[StoredBlock]) -> Result<Vec<EncodedObject>, PortError> {
        let mut encoder = OcsfEncoder::new(encoding.ocsf.as_ref().unwrap(), BlockLines::new(encoding.filter.as_ref()));
        for block in blocks {
            encoder.push(block)?;
        }
        encoder.finish()
    }

    fn of_version(version: Version) -> Encoding {
        let ocsf = Some(OcsfSettings { version, ..OcsfSettings::default() });
        Encoding { ocsf, ..ExportFormat::OcsfParquet.into() }
    }

    fn two_blocks() -> [StoredBlock; 2] {
        let lines = [line("1", 9, "LOGIN"), line("2", 8, "QUERY"), line("3", 7, "INVITE"), line("4", 6, "LOGOUT")];
        [block(1, &[&lines[0], &lines[1]]), block(2, &[&lines[2], &lines[3]])]
    }

    #[test]
    fn an_object_for_each_class_has_the_content_of_its_lines() {
        let objects = encoded(&of_version(Version::V1_3_0), &two_blocks()).unwrap();
        let [authentication, api] = &objects[..] else { unreachable!("{} objects", objects.len()) };
        let lines = format!("{}\n{}\n", line("1", 9, "LOGIN"), line("4", 6, "LOGOUT"));
        let at = |minute: &str| Timestamp::parse(&format!("2026-11-21T23:{minute}:00Z")).unwrap();
        assert_eq!(authentication.records, Some(OcsfRecords { class: Class::Authentication, other: 0 }));
        assert_eq!(authentication.content.raw_length, lines.len() as u64);
        // In the order of the file, which is that of the times.
        let same = block(3, &[&line("4", 6, "LOGOUT"), &line("1", 9, "LOGIN")]);
        assert_eq!((authentication.content.crc32, authentication.content.event_count), (same.crc32, 2));
        assert_eq!((authentication.content.oldest_event, authentication.content.newest_event), (at("06"), at("09")));
        assert_eq!(api.records, Some(OcsfRecords { class: Class::ApiActivity, other: 1 }));
        assert_eq!((api.content.oldest_event, api.content.newest_event), (at("07"), at("08")));
    }

    #[test]
    fn a_filter_leaves_lines_and_whole_classes_out() {
        let filter = serde_json::from_str(r#"{"include":{"actions":["LOG*"]}}"#).unwrap();
        let encoding = Encoding { filter: Some(filter), ..of_version(Version::V1_3_0) };
        assert_eq!((ocsf_encoder(&encoding), ocsf_encoder(&of_version(Version::V1_8_0))), (Some(351), Some(302)));
        let filtered = encoded(&encoding, &two_blocks()).unwrap();
        let all = encoded(&of_version(Version::V1_3_0), &two_blocks()).unwrap();
        assert_eq!(filtered, all[..1]);
        assert_eq!(encoded(&encoding, &two_blocks()[..0]).unwrap(), []);
        let nothing = serde_json::from_str(r#"{"include":{"actions":["X"]}}"#).unwrap();
        assert_eq!(encoded(&Encoding { filter: Some(nothing), ..encoding }, &two_blocks()).unwrap(), []);
    }

    /// A change of these bytes needs another number: a retry and a repair have to write the same objects.
    #[test]
    fn the_bytes_of_encoders_301_and_302_are_pinned() {
        let hashes = Version::ALL.iter().flat_map(|version| {
            let objects = encoded(&of_version(*version), &two_blocks()).unwrap();
            objects.into_iter().map(|object| Hex32::sha256_of(&object.bytes).to_string())
        });
        let hashes: Vec<String> = hashes.collect();
        let pinned = [
            "96f050858d4a66a40219ba8486f6ac1c1c7936f33c780d6d7e28f9285ac30580",
            "7570494dda78f97db6c0c02ae3aedec49e7ae01436b9e53d56cebbcf5bc07b52",
            "4ddda11ddafcd6b84fee83cf950f6567c47f39aa8ab7e73b98b65288f284433a",
            "19390f62a182a9d8462216a4d4c77add59f4042c3aa57b7d18037c896e4b7b11",
        ];
        assert_eq!(hashes, pinned);
    }

    #[test]
    fn a_line_that_is_no_event_makes_its_block_corrupt() {
        let [sound, _] = two_blocks();
        let corrupt = block(2, &["{}"]);
        let error = encoded(&of_version(Version::V1_3_0), &[sound, corrupt.clone()]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::CorruptBlock(corrupt.id));
        assert_eq!(error.detail, format!("block {}: the event has no id", corrupt.id));
    }
}
