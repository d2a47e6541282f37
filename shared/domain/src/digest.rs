//! The signed digest of a window: the objects that were delivered, the gaps, and the previous digest.
//!
//! A digest is a JSON document. Its bytes are signed as they are, so a reader checks the signature without canonicalizing
//! them. docs/SEMANTICS.md describes the fields.

mod gap;
mod name;

use serde::{Deserialize, Serialize};

pub use self::{
    gap::{Gap, GapReason},
    name::{DIGEST_FOLDER, DigestTag, SIGNATURE_SUFFIX, digest_key, digest_name},
};
pub use crate::hex::{Hex32, InvalidHex};
use crate::{
    block::BlockId,
    configuration::{ConfigurationId, bucket::BucketName},
    encoding::Encoding,
    event_filter::{EventFilter, MAX_FILTER_LENGTH},
    export_format::ExportFormat,
    ocsf::{self, Class, MAX_RULE_LENGTH, MAX_RULES, OcsfSettings, OwnRules},
    tenant::TenantId,
    time::Timestamp,
};

/// The version of a digest without skipped blocks. A reader refuses versions that it doesn't know.
pub const DIGEST_VERSION: u32 = 1;

/// The version of a digest that names at least one skipped block (see [`Gap::block`]). All other digests keep
/// [`DIGEST_VERSION`], byte for byte, so that older readers still accept them.
pub const SKIPPED_BLOCK_VERSION: u32 = 2;

/// The version of a digest of an export that starts before the retention (see [`GapReason::StartBeforeRetention`]).
pub const EARLY_START_VERSION: u32 = 3;

/// The version of a digest whose objects have another format than `NDJSON_GZIP`: one of `NDJSON_ZSTD` and `PARQUET`. It may have
/// gaps of every kind. A further format needs a further version, so that today's readers say that they are too old for it,
/// and not that the digest is damaged.
pub const FORMAT_VERSION: u32 = 4;

/// The version of a digest of a window with a filter. It may have every format but `OCSF_PARQUET`, and gaps of every kind.
pub const FILTER_VERSION: u32 = 5;

/// The version of a digest whose objects have the format `OCSF_PARQUET`, with or without a filter.
pub const OCSF_FORMAT_VERSION: u32 = 6;

/// The most objects of one digest. A window with more is closed after these and another one follows, so that every digest
/// fits into one item of the run table (400 KB).
pub const MAX_DIGEST_OBJECTS: u64 = 400;

/// The most bytes of one object in a digest: 400 bytes of names and numbers, a bucket name of 63 characters, and a key with
/// the longest bucket path.
const MAX_DIGEST_OBJECT_LENGTH: u64 = 900;

/// The most gaps of one digest: the gap of the retention, and skipped blocks. A window that would have more ends before the
/// next skipped block.
pub const MAX_DIGEST_GAPS: u64 = 100;

/// The most bytes of one gap in a digest: two times, a reason and a block ID take 140.
const MAX_DIGEST_GAP_LENGTH: u64 = 200;

/// The most bytes of the filter in a digest, with its hash and the number of events that it left out.
const MAX_DIGEST_FILTER_LENGTH: u64 = MAX_FILTER_LENGTH as u64 + 200;

/// The most objects of one digest of the format `OCSF_PARQUET`, whose names are longer.
pub const MAX_OCSF_DIGEST_OBJECTS: u64 = 300;

/// The most bytes of one object in such a digest.
const MAX_OCSF_DIGEST_OBJECT_LENGTH: u64 = 1_000;
const _: () = assert!(
    MAX_OCSF_DIGEST_OBJECTS * MAX_OCSF_DIGEST_OBJECT_LENGTH
        + (MAX_RULES * MAX_RULE_LENGTH) as u64
        + MAX_DIGEST_GAPS * MAX_DIGEST_GAP_LENGTH
        + MAX_DIGEST_FILTER_LENGTH
        < 400_000 - 8 * 1024,
    "a digest would not fit"
);
const _: () = assert!(
    MAX_DIGEST_OBJECTS * MAX_DIGEST_OBJECT_LENGTH + MAX_DIGEST_GAPS * MAX_DIGEST_GAP_LENGTH + MAX_DIGEST_FILTER_LENGTH
        < 400_000 - 8 * 1024,
    "a digest would not fit"
);

/// The signed statement of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Digest {
    pub version: u32,
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
    /// 0 for the first digest of a configuration, raised by 1 with each digest.
    pub sequence: u64,
    pub window: DigestWindow,
    /// The format of the objects. `None`: `NDJSON_GZIP`, in a digest of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ExportFormat>,
    /// The version of the schema of Parquet files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<u32>,
    /// The version of OCSF of the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsf_version: Option<ocsf::Version>,
    /// The configuration's own rules, if it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<OwnRules>,
    /// The SHA-256 of their canonical text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes_sha256: Option<Hex32>,
    /// The filter that every event of the objects passes. `None`: no event was left out, and this field and the next two are
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<EventFilter>,
    /// The SHA-256 of the filter's canonical text, which is the JSON of `filter` as it stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_sha256: Option<Hex32>,
    /// The number of events of the window that are in no object because they do not pass the filter. Those in gaps are not
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
    /// In the order of their blocks; of the same blocks, of their classes.
    pub objects: Vec<DigestObject>,
    /// Received events of the window that are in no object, in ascending order.
    pub gaps: Vec<Gap>,
    /// `None` for the first digest.
    pub previous: Option<DigestReference>,
    /// The SHA-256 of the public key (DER of its `SubjectPublicKeyInfo`).
    pub signing_key: Hex32,
}

/// The window of a digest: all blocks that were received from `from` to before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestWindow {
    /// The first block ID of the window. Each window starts where the previous one ended.
    pub first_block: BlockId,
    /// The first block ID after the window.
    pub end_block: BlockId,
    /// The receipt time of `first_block`.
    pub from: Timestamp,
    /// Exclusive. This digest and earlier ones cover everything received before it.
    pub to: Timestamp,
}

impl DigestWindow {
    #[must_use]
    pub fn new(first_block: BlockId, end_block: BlockId) -> Self {
        Self { first_block, end_block, from: first_block.timestamp(), to: end_block.timestamp() }
    }
}

/// An object that was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestObject {
    pub bucket: BucketName,
    pub key: String,
    /// The SHA-256 of the bytes as stored.
    pub sha256: Hex32,
    /// The number of bytes as stored.
    pub stored_length: u64,
    /// The CRC-32 of the raw NDJSON, as in the gzip trailer (RFC 1952). Of every format: for Parquet, of the values of the
    /// column `event`, each followed by a line feed.
    pub crc32: u32,
    /// The number of bytes of raw NDJSON.
    pub raw_length: u64,
    pub events: u64,
    pub first_block: BlockId,
    pub last_block: BlockId,
    /// The earliest `eventTimestamp` in it.
    pub oldest_event: Timestamp,
    /// The latest `eventTimestamp` in it.
    pub newest_event: Timestamp,
    /// The class of its records of OCSF.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::ocsf::class_uid")]
    pub class: Option<Class>,
    /// The number of its records whose action no rule knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<u64>,
}

/// A reference to a digest, by its key and by the hashes of its bytes and signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestReference {
    pub bucket: BucketName,
    pub key: String,
    /// The SHA-256 of the digest's bytes.
    pub sha256: Hex32,
    /// The SHA-256 of the digest's signature.
    pub signature_sha256: Hex32,
}

/// The error of a digest that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    #[error("it is not a digest: {0}")]
    Malformed(String),
    #[error("it has version {0}, but this program supports {DIGEST_VERSION} to {OCSF_FORMAT_VERSION}")]
    UnknownVersion(u64),
    #[error("it has version {version}, but its format, filter and gaps need version {needed}")]
    WrongVersion { version: u32, needed: u32 },
    #[error("its gap from {} to {} has a reason, times and a block that do not match", .0.from, .0.to)]
    InconsistentGap(Box<Gap>),
    #[error("its format and the version of its schema do not match")]
    InconsistentFormat,
    #[error("its filter, the hash of the filter and the number of events that it left out do not match")]
    InconsistentFilter,
    #[error("its format, its version of OCSF, its rules and the classes of its objects do not match")]
    InconsistentClasses,
}

impl Digest {
    /// Returns the format of the objects.
    #[must_use]
    pub fn format(&self) -> ExportFormat {
        self.format.unwrap_or_default()
    }

    /// Returns the encoding of the objects.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let ocsf = self.ocsf_version.map(|version| {
            let classes = self.classes.clone().unwrap_or_default();
            OcsfSettings { version, classes }
        });
        Encoding { format: self.format(), filter: self.filter.clone(), ocsf }
    }

    /// Returns the values of `classes` and `classes_sha256` for objects with these choices.
    #[must_use]
    pub fn stated_classes(ocsf: Option<&OcsfSettings>) -> (Option<OwnRules>, Option<Hex32>) {
        let classes = ocsf.map(|ocsf| &ocsf.classes).filter(|classes| !classes.is_empty());
        (classes.cloned(), classes.map(OwnRules::sha256))
    }

    fn has_consistent_classes(&self) -> bool {
        let is_of_ocsf = self.format() == ExportFormat::OcsfParquet;
        let encoding = self.encoding();
        let stated = Self::stated_classes(encoding.ocsf.as_ref());
        let schema = self.ocsf_version.map(ocsf::Version::schema_version);
        self.ocsf_version.is_some() == is_of_ocsf
            && (!is_of_ocsf || self.schema_version == schema)
            && (self.classes.as_ref(), self.classes_sha256) == (stated.0.as_ref(), stated.1)
            && self.objects.iter().all(|object| {
                object.class.is_some() == is_of_ocsf
                    && object.other.is_some() == is_of_ocsf
                    && object.other.is_none_or(|other| other <= object.events)
            })
    }

    /// Returns the value of [`Digest::format`] for objects of this format.
    #[must_use]
    pub fn stated_format(format: ExportFormat) -> Option<ExportFormat> {
        Some(format).filter(|format| *format != ExportFormat::default())
    }

    /// Returns the version of a digest with objects of this encoding and these gaps.
    #[must_use]
    pub fn version_for(encoding: &Encoding, gaps: &[Gap]) -> u32 {
        match (encoding.format, &encoding.filter) {
            (ExportFormat::OcsfParquet, _) => return OCSF_FORMAT_VERSION,
            (_, Some(_)) => return FILTER_VERSION,
            (ExportFormat::NdjsonZstd | ExportFormat::Parquet, None) => return FORMAT_VERSION,
            (ExportFormat::NdjsonGzip, None) => {}
        }
        let version_of = |gap: &Gap| match gap.reason {
            GapReason::RetentionEnded => DIGEST_VERSION,
            GapReason::BlockCorrupt => SKIPPED_BLOCK_VERSION,
            GapReason::StartBeforeRetention => EARLY_START_VERSION,
        };
        gaps.iter().map(version_of).max().unwrap_or(DIGEST_VERSION)
    }

    /// Returns the bytes that are signed and stored: one line of JSON with the fields in the order above.
    ///
    /// # Errors
    /// None: every digest can be serialized.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Parses a digest of version 1 to 6, and refuses one whose version is not the one that its format, filter and gaps need.
    ///
    /// # Errors
    /// [`InvalidDigest`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidDigest> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let malformed = |error: serde_json::Error| InvalidDigest::Malformed(error.to_string());
        let Version { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if !(u64::from(DIGEST_VERSION)..=u64::from(OCSF_FORMAT_VERSION)).contains(&version) {
            return Err(InvalidDigest::UnknownVersion(version));
        }
        let digest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if let Some(gap) = digest.gaps.iter().find(|gap| !gap.is_consistent()) {
            return Err(InvalidDigest::InconsistentGap(Box::new(*gap)));
        }
        let has_schema = digest.schema_version.is_some();
        if digest.format == Some(ExportFormat::default()) || has_schema != digest.format().has_schema() {
            return Err(InvalidDigest::InconsistentFormat);
        }
        let filter_sha256 = digest.filter.as_ref().map(EventFilter::sha256);
        if filter_sha256 != digest.filter_sha256 || digest.filter.is_some() != digest.left_out.is_some() {
            return Err(InvalidDigest::InconsistentFilter);
        }
        if !digest.has_consistent_classes() {
            return Err(InvalidDigest::InconsistentClasses);
        }
        let needed = Self::version_for(&digest.encoding(), &digest.gaps);
        if digest.version != needed {
            return Err(InvalidDigest::WrongVersion { version: digest.version, needed });
        }
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        let at = |time: &str| Timestamp::parse(time).unwrap();
        let first = BlockId::lowest_at(at("2026-11-22T00:00:00Z"));
        let end = BlockId::lowest_at(at("2026-11-22T02:00:00Z"));
        Digest {
            version: DIGEST_VERSION,
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").unwrap(),
            sequence: 7,
            window: DigestWindow::new(first, end),
            format: None,
            schema_version: None,
            filter: None,
            filter_sha256: None,
            left_out: None,
            ocsf_version: None,
            classes: None,
            classes_sha256: None,
            objects: vec![DigestObject {
                bucket: BucketName::parse("acme-audit").unwrap(),
                key: "a/b".to_owned(),
                sha256: Hex32([0xab; 32]),
                stored_length: 1,
                crc32: 2,
                raw_length: 3,
                events: 4,
                first_block: first,
                last_block: first.next(),
                oldest_event: at("2026-11-21T23:00:00Z"),
                newest_event: at("2026-11-21T23:30:00Z"),
                class: None,
                other: None,
            }],
            gaps: vec![],
            previous: None,
            signing_key: Hex32([1; 32]),
        }
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_are_pinned() {
        let zeros = "0".repeat(16);
        let expected = format!(
            "{{\"version\":1,\"tenantId\":\"acme\",\"configurationId\":\"0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b\",\
             \"sequence\":7,\"window\":{{\"firstBlock\":\"{0}\",\"endBlock\":\"{1}\",\"from\":\"2026-11-22T00:00:00.000Z\",\
             \"to\":\"2026-11-22T02:00:00.000Z\"}},\"objects\":[{{\"bucket\":\"acme-audit\",\"key\":\"a/b\",\"sha256\":\"{2}\",\
             \"storedLength\":1,\"crc32\":2,\"rawLength\":3,\"events\":4,\"firstBlock\":\"{0}\",\"lastBlock\":\"{3}\",\
             \"oldestEvent\":\"2026-11-21T23:00:00.000Z\",\"newestEvent\":\"2026-11-21T23:30:00.000Z\"}}],\"gaps\":[],\
             \"previous\":null,\"signingKey\":\"{4}\"}}\n",
            digest().window.first_block,
            digest().window.end_block,
            "ab".repeat(32),
            digest().objects[0].last_block,
            "01".repeat(32),
        );
        assert!(digest().window.first_block.to_string().ends_with(&zeros));
        assert_eq!(String::from_utf8(digest().to_bytes().unwrap()).unwrap(), expected);
    }

    /// See [`FORMAT_VERSION`].
    #[test]
    fn a_further_format_needs_a_further_version() {
        use ExportFormat::{NdjsonGzip, NdjsonZstd, OcsfParquet, Parquet};
        let versions: Vec<_> =
            ExportFormat::ALL.iter().map(|format| (*format, Digest::version_for(&(*format).into(), &[]))).collect();
        assert_eq!(versions, [(NdjsonGzip, 1), (NdjsonZstd, 4), (Parquet, 4), (OcsfParquet, 6)]);
    }

    fn digest_with(gaps: Vec<Gap>) -> Digest {
        Digest { version: Digest::version_for(&Encoding::default(), &gaps), gaps, ..digest() }
    }

    fn corrupt_block() -> BlockId {
        BlockId::from_parts(Timestamp::parse("2026-11-22T01:00:00.500Z").unwrap(), 7)
    }

    fn retention_gap() -> Gap {
        let at = |time: &str| Timestamp::parse(time).unwrap();
        Gap::retention_ended(at("2026-11-22T00:00:00Z"), at("2026-11-22T00:30:00Z"))
    }

    fn early_start() -> Gap {
        Gap { reason: GapReason::StartBeforeRetention, ..retention_gap() }
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_of_version_3_are_pinned() {
        let gap = "{\"from\":\"2026-11-22T00:00:00.000Z\",\"to\":\"2026-11-22T00:30:00.000Z\",\
                   \"reason\":\"START_BEFORE_RETENTION\"}";
        let expected = text(&digest())
            .replace("\"version\":1", "\"version\":3")
            .replace("\"gaps\":[]", &format!("\"gaps\":[{gap}]"));
        assert_eq!(text(&digest_with(vec![early_start()])), expected);
    }

    fn text(digest: &Digest) -> String {
        String::from_utf8(digest.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn a_gap_of_the_retention_keeps_version_1_and_its_bytes() {
        let gap = "{\"from\":\"2026-11-22T00:00:00.000Z\",\"to\":\"2026-11-22T00:30:00.000Z\",\
                   \"reason\":\"RETENTION_ENDED\"}";
        let expected = text(&digest()).replace("\"gaps\":[]", &format!("\"gaps\":[{gap}]"));
        assert_eq!(text(&digest_with(vec![retention_gap()])), expected);
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_of_version_2_are_pinned() {
        let gap = format!(
            "{{\"from\":\"2026-11-22T01:00:00.500Z\",\"to\":\"2026-11-22T01:00:00.501Z\",\
             \"reason\":\"BLOCK_CORRUPT\",\"block\":\"{}\"}}",
            corrupt_block()
        );
        assert!((gap.len() as u64) < MAX_DIGEST_GAP_LENGTH);
        let expected = text(&digest())
            .replace("\"version\":1", "\"version\":2")
            .replace("\"gaps\":[]", &format!("\"gaps\":[{gap}]"));
        assert_eq!(text(&digest_with(vec![Gap::of_corrupt_block(corrupt_block())])), expected);
    }

    #[test]
    fn a_digest_is_read_back() {
        let skipped = Gap::of_corrupt_block(corrupt_block());
        for gaps in [
            vec![],
            vec![retention_gap()],
            vec![skipped],
            vec![retention_gap(), skipped],
            vec![early_start()],
            vec![early_start(), skipped],
        ] {
            let digest = digest_with(gaps);
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Ok(digest));
        }
    }

    #[test]
    fn a_version_that_the_gaps_do_not_need_is_refused() {
        let skipped = Gap::of_corrupt_block(corrupt_block());
        for (version, needed, gaps) in [
            (2, 1, vec![]),
            (2, 1, vec![retention_gap()]),
            (1, 2, vec![skipped]),
            (3, 2, vec![skipped]),
            (1, 3, vec![early_start()]),
            (2, 3, vec![early_start(), skipped]),
        ] {
            let digest = Digest { version, gaps, ..digest() };
            let read = Digest::from_bytes(&digest.to_bytes().unwrap());
            assert_eq!(read, Err(InvalidDigest::WrongVersion { version, needed }));
        }
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_of_version_4_are_pinned() {
        let stated = |fields: &str| {
            let version = text(&digest()).replace("\"version\":1", "\"version\":4");
            version.replace("\"objects\"", &format!("{fields},\"objects\""))
        };
        let of_format =
            |format, schema_version| Digest { version: 4, format: Some(format), schema_version, ..digest() };
        let zstd = of_format(ExportFormat::NdjsonZstd, None);
        assert_eq!(text(&zstd), stated("\"format\":\"NDJSON_ZSTD\""));
        let parquet = of_format(ExportFormat::Parquet, Some(1));
        assert_eq!(text(&parquet), stated("\"format\":\"PARQUET\",\"schemaVersion\":1"));
        let skipped = Digest { gaps: vec![Gap::of_corrupt_block(corrupt_block())], ..zstd.clone() };
        for digest in [zstd.clone(), parquet.clone(), skipped] {
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Ok(digest));
        }
        for (digest, error) in [
            (Digest { version: 1, ..zstd.clone() }, InvalidDigest::WrongVersion { version: 1, needed: 4 }),
            (Digest { format: None, ..zstd.clone() }, InvalidDigest::WrongVersion { version: 4, needed: 1 }),
            (Digest { format: Some(ExportFormat::NdjsonGzip), ..zstd.clone() }, InvalidDigest::InconsistentFormat),
            (Digest { schema_version: Some(1), ..zstd }, InvalidDigest::InconsistentFormat),
            (Digest { schema_version: None, ..parquet }, InvalidDigest::InconsistentFormat),
        ] {
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Err(error));
        }
    }

    fn filtered() -> Digest {
        let filter: EventFilter = serde_json::from_str(r#"{"include":{"actions":["LOGIN","Ä*"]}}"#).unwrap();
        let filter_sha256 = Some(filter.sha256());
        Digest { version: 5, filter: Some(filter), filter_sha256, left_out: Some(9), ..digest() }
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_of_version_5_are_pinned() {
        // `printf %s '{"include":{"actions":["LOGIN","Ä*"]}}' | sha256sum`
        let sha256 = "457f3bba0298783e165b41abf88b1bf9ccd80a3848132a79952d4da53c3aae74";
        let stated = |fields: &str| {
            let version = text(&digest()).replace("\"version\":1", "\"version\":5");
            let filter = r#""filter":{"include":{"actions":["LOGIN","Ä*"]}}"#;
            let rest = format!("\"filterSha256\":\"{sha256}\",\"leftOut\":9,\"objects\"");
            version.replace("\"objects\"", &format!("{fields}{filter},{rest}"))
        };
        assert_eq!(text(&filtered()), stated(""));
        let parquet = Digest { format: Some(ExportFormat::Parquet), schema_version: Some(1), ..filtered() };
        assert_eq!(text(&parquet), stated("\"format\":\"PARQUET\",\"schemaVersion\":1,"));
        let skipped = Digest { gaps: vec![Gap::of_corrupt_block(corrupt_block())], ..filtered() };
        let empty = Digest { objects: vec![], ..filtered() };
        for digest in [filtered(), parquet, skipped, empty] {
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Ok(digest));
        }
    }

    #[test]
    fn a_filter_is_stated_with_its_hash_and_a_count_or_not_at_all() {
        let all = filtered();
        for (digest, error) in [
            (Digest { version: 1, ..all.clone() }, InvalidDigest::WrongVersion { version: 1, needed: 5 }),
            (Digest { version: 4, ..all.clone() }, InvalidDigest::WrongVersion { version: 4, needed: 5 }),
            (Digest { version: 5, ..digest() }, InvalidDigest::WrongVersion { version: 5, needed: 1 }),
            (Digest { filter: None, ..all.clone() }, InvalidDigest::InconsistentFilter),
            (Digest { filter_sha256: None, ..all.clone() }, InvalidDigest::InconsistentFilter),
            (Digest { filter_sha256: Some(Hex32([1; 32])), ..all.clone() }, InvalidDigest::InconsistentFilter),
            (Digest { left_out: None, ..all }, InvalidDigest::InconsistentFilter),
            (Digest { left_out: Some(0), ..digest() }, InvalidDigest::InconsistentFilter),
        ] {
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Err(error));
        }
        let empty = text(&filtered()).replace(r#"{"include":{"actions":["LOGIN","Ä*"]}}"#, "{}");
        assert!(matches!(Digest::from_bytes(empty.as_bytes()), Err(InvalidDigest::Malformed(_))));
    }

    /// A change of these bytes is a new version of the format.
    #[test]
    fn the_bytes_of_version_6_are_pinned() {
        let rule = r#"{"action":"PUBLISH","class":"ENTITY_MANAGEMENT","activity":"Update"}"#;
        let classes: OwnRules = serde_json::from_str(&format!("[{rule}]")).unwrap();
        let object = DigestObject { class: Some(Class::ApiActivity), other: Some(3), ..digest().objects[0].clone() };
        let plain = Digest {
            version: 6,
            format: Some(ExportFormat::OcsfParquet),
            schema_version: Some(2),
            ocsf_version: Some(ocsf::Version::V1_8_0),
            objects: vec![object.clone()],
            ..digest()
        };
        let stated = |fields: &str| {
            let text = text(&digest()).replace("\"version\":1", "\"version\":6");
            let text = text.replace("\"objects\"", &format!("{fields},\"objects\""));
            text.replace("23:30:00.000Z\"}", "23:30:00.000Z\",\"class\":6003,\"other\":3}")
        };
        let head = "\"format\":\"OCSF_PARQUET\",\"schemaVersion\":2,\"ocsfVersion\":\"1.8.0\"";
        assert_eq!(text(&plain), stated(head));
        let sha256 = classes.sha256();
        let with_rules = Digest { classes: Some(classes), classes_sha256: Some(sha256), ..plain.clone() };
        let rules = format!("{head},\"classes\":[{rule}],\"classesSha256\":\"{sha256}\"");
        assert_eq!(text(&with_rules), stated(&rules));
        let ocsf = with_rules.encoding().ocsf.unwrap();
        assert_eq!((ocsf.version, ocsf.classes), (ocsf::Version::V1_8_0, with_rules.classes.clone().unwrap()));
        for digest in [plain.clone(), with_rules.clone()] {
            assert_eq!(Digest::from_bytes(&digest.to_bytes().unwrap()), Ok(digest));
        }
        let with_object = |object| Digest { objects: vec![object], ..plain.clone() };
        for digest in [
            Digest { ocsf_version: None, ..plain.clone() },
            Digest { ocsf_version: Some(ocsf::Version::V1_3_0), ..plain.clone() },
            Digest { classes: Some(OwnRules::default()), ..plain.clone() },
            Digest { classes_sha256: Some(sha256), ..plain.clone() },
            Digest { classes_sha256: Some(Hex32([0; 32])), ..with_rules },
            Digest { format: None, version: 1, schema_version: None, ..plain.clone() },
            with_object(DigestObject { class: None, ..object.clone() }),
            with_object(DigestObject { other: None, ..object.clone() }),
            with_object(DigestObject { other: Some(5), ..object }),
        ] {
            let read = Digest::from_bytes(&digest.to_bytes().unwrap());
            assert_eq!(read, Err(InvalidDigest::InconsistentClasses), "{digest:?}");
        }
    }

    #[test]
    fn a_gap_has_a_block_exactly_if_its_reason_needs_one() {
        let skipped = Gap::of_corrupt_block(corrupt_block());
        for gap in [
            Gap { block: None, ..skipped },
            Gap { reason: GapReason::RetentionEnded, ..skipped },
            Gap { block: Some(corrupt_block()), ..retention_gap() },
            Gap { block: Some(corrupt_block()), ..early_start() },
            Gap { to: retention_gap().to, from: retention_gap().from, ..skipped },
        ] {
            for version in [1, 2, 3] {
                let digest = Digest { version, gaps: vec![gap], ..digest() };
                let read = Digest::from_bytes(&digest.to_bytes().unwrap());
                assert_eq!(read, Err(InvalidDigest::InconsistentGap(Box::new(gap))), "{gap:?}");
            }
        }
    }

    #[test]
    fn a_gap_holds_its_blocks_and_no_other() {
        let skipped = Gap::of_corrupt_block(corrupt_block());
        assert_eq!((skipped.from, skipped.to.as_millis() - skipped.from.as_millis()), (corrupt_block().timestamp(), 1));
        assert!(skipped.holds(corrupt_block()) && !skipped.holds(corrupt_block().next()));
        assert!(retention_gap().holds(digest().window.first_block) && !retention_gap().holds(corrupt_block()));
    }

    #[test]
    fn a_gap_without_a_block_is_read_as_it_was_stored_before() {
        let stored =
            r#"{"from":"2026-11-22T00:00:00.000Z","to":"2026-11-22T00:30:00.000Z","reason":"RETENTION_ENDED"}"#;
        assert_eq!(serde_json::from_str::<Gap>(stored).unwrap(), retention_gap());
        assert_eq!(serde_json::to_string(&retention_gap()).unwrap(), stored);
    }

    #[test]
    fn a_name_carries_the_tag_of_the_signature() {
        let to = digest().window.to;
        let tag = DigestTag::of_signature(Hex32([0xab; 32]));
        assert_eq!(digest_name(7, to, None), "_digests/0000000007_20261122T020000000Z.json");
        assert_eq!(digest_name(7, to, Some(tag)), "_digests/0000000007_20261122T020000000Z_abababababababab.json");
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for bad in ["", "abababababababa", "ababababababababab", "ABABABABABABABAB", "gbabababababababa"] {
            assert_eq!(bad.parse::<DigestTag>(), Err(InvalidHex { digits: 16 }), "{bad}");
        }
    }

    #[test]
    fn an_unknown_version_is_refused_as_such() {
        assert_eq!(Digest::from_bytes(b"{\"version\":7,\"else\":1}"), Err(InvalidDigest::UnknownVersion(7)));
        assert!(matches!(Digest::from_bytes(b"{}"), Err(InvalidDigest::Malformed(_))));
    }

    #[test]
    fn hexadecimal_has_one_spelling() {
        assert_eq!(Hex32::try_from("00".repeat(32)), Ok(Hex32([0; 32])));
        for bad in ["", "0", &"0".repeat(63), &"0".repeat(65), &"AB".repeat(32), &"g0".repeat(32)] {
            assert_eq!(Hex32::try_from(bad.to_owned()), Err(InvalidHex { digits: 64 }));
        }
    }
}
