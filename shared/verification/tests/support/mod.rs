//! Real exports for tests: blocks, objects and digests by the domain's encoders, signed with a new key.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::format_collect, reason = "a test may panic and need not be fast")]

use std::{collections::BTreeMap, io::Write, time::Duration};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use bytes::Bytes;
use columnar::{EventLines, ParquetEncoder};
use domain::{
    block::{BlockId, encode_block},
    configuration::{
        ConfigurationId, ConfigurationKey, Destination, Layout,
        bucket::{BucketName, BucketPath},
        region::Region,
    },
    digest::{
        Digest, DigestObject, DigestReference, DigestTag, DigestWindow, Gap, Hex32, SIGNATURE_SUFFIX, digest_key,
        digest_name,
    },
    encoding::Encoding,
    event_filter::EventFilter,
    export_format::ExportFormat,
    gzip::{EncoderVersion, GzipEncoder},
    object_key,
    ocsf::{Class, OwnRules},
    tenant::TenantId,
    time::Timestamp,
};

pub const CONFIGURATION: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";
pub const OTHER_CONFIGURATION: &str = "9d1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b";
pub const WINDOW: Duration = Duration::from_hours(2);

pub fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

pub fn sha256(bytes: &[u8]) -> Hex32 {
    Hex32::sha256_of(bytes)
}

pub struct Signer(EcdsaKeyPair);

impl Signer {
    pub fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    pub fn public_key_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der = self.0.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub fn public_key_pem(&self) -> String {
        pem::encode(&pem::Pem::new("PUBLIC KEY", self.public_key_der()))
    }

    pub fn fingerprint(&self) -> Hex32 {
        sha256(&self.public_key_der())
    }

    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec()
    }
}

/// An export that a test builds. `files` holds everything below its prefix.
#[derive(Clone)]
pub struct Export {
    /// True: digests have the names of today. False: those of earlier versions.
    pub is_tagged: bool,
    /// The format of the next objects.
    pub format: ExportFormat,
    /// The filter of the next objects and digests, and the number of events that each of these says it left out.
    pub filter: Option<EventFilter>,
    pub left_out: u64,
    pub destination: Destination,
    pub key: ConfigurationKey,
    pub files: BTreeMap<String, Bytes>,
    /// The names of the digests, the oldest first.
    pub digests: Vec<String>,
    /// The names of the objects, the oldest first.
    pub objects: Vec<String>,
    pub head: Option<DigestReference>,
    pub sequence: u64,
    pub cursor: BlockId,
}

impl Export {
    pub fn new(tenant: &str, configuration: &str) -> Self {
        Self {
            is_tagged: true,
            format: ExportFormat::NdjsonGzip,
            filter: None,
            left_out: 0,
            destination: Destination {
                bucket_name: BucketName::parse("acme-audit").unwrap(),
                bucket_path: Some(BucketPath::parse("audit/logs").unwrap()),
                site: Region::parse("eu-central-1").unwrap().into(),
                kms_key_arn: None,
                expected_bucket_owner: None,
                layout: Layout::default(),
            },
            key: ConfigurationKey {
                tenant_id: TenantId::parse(tenant).unwrap(),
                configuration_id: ConfigurationId::parse(configuration).unwrap(),
            },
            files: BTreeMap::new(),
            digests: Vec::new(),
            objects: Vec::new(),
            head: None,
            sequence: 0,
            cursor: BlockId::lowest_at(at("2026-11-21T20:00:00Z")),
        }
    }

    /// Five windows, one of them empty, over a midnight.
    pub fn sample(signer: &Signer, is_tagged: bool) -> Self {
        let mut export = Self { is_tagged, ..Self::new("acme", CONFIGURATION) };
        for objects in [&[3, 2][..], &[4], &[], &[1, 5, 2], &[6]] {
            export.add_window(signer, objects);
        }
        export
    }

    pub fn place(&self) -> String {
        let prefix = object_key::export_prefix(&self.destination, self.key.configuration_id);
        format!("s3://{}/{prefix}", self.destination.bucket_name.as_str())
    }

    /// Delivers a window of two hours, with an object for each number of events, and its digest.
    pub fn add_window(&mut self, signer: &Signer, events: &[u64]) {
        self.add_window_with(signer, events, |_| {});
    }

    /// The same, with a digest that is changed before it is signed.
    pub fn add_window_with(&mut self, signer: &Signer, events: &[u64], change: impl FnOnce(&mut Digest)) {
        let objects = self.add_objects(events);
        self.seal(signer, objects, change);
    }

    /// Delivers a window of two hours, with an object for each list of lines.
    pub fn add_window_of(&mut self, signer: &Signer, objects: &[&[&str]]) {
        let from = self.cursor.timestamp();
        let deliver = |(index, lines): (usize, &&[&str])| {
            let received = from.saturating_add(Duration::from_secs(60 * (index as u64 + 1)));
            let raw: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let times = lines.iter().map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                at(event["eventTimestamp"].as_str().unwrap())
            });
            let (oldest, newest) = (times.clone().min().unwrap(), times.max().unwrap());
            self.deliver(&[(BlockId::from_parts(received, 7), raw)], oldest, newest)
        };
        let objects = objects.iter().enumerate().map(deliver).collect();
        self.seal(signer, objects, |_| {});
    }

    /// Signs the digest of the next window.
    fn seal(&mut self, signer: &Signer, objects: Vec<DigestObject>, change: impl FnOnce(&mut Digest)) {
        let from = self.cursor;
        let to = BlockId::lowest_at(from.timestamp().saturating_add(WINDOW));
        let mut digest = Digest {
            version: Digest::version_for(&Encoding { filter: self.filter.clone(), ..self.format.into() }, &[]),
            tenant_id: self.key.tenant_id.clone(),
            configuration_id: self.key.configuration_id,
            sequence: self.sequence,
            window: DigestWindow::new(from, to),
            format: Digest::stated_format(self.format),
            schema_version: self.format.has_schema().then_some(1),
            ocsf_version: Encoding::from(self.format).ocsf.map(|ocsf| ocsf.version),
            classes: None,
            classes_sha256: None,
            filter: self.filter.clone(),
            filter_sha256: self.filter.as_ref().map(EventFilter::sha256),
            left_out: self.filter.as_ref().map(|_| self.left_out),
            objects,
            gaps: vec![],
            previous: self.head.clone(),
            signing_key: signer.fingerprint(),
        };
        change(&mut digest);
        let bytes = digest.to_bytes().unwrap();
        let signature = signer.sign(&bytes);
        let tag = self.tag(&signature);
        let name = digest_name(self.sequence, digest.window.to, tag);
        self.head = Some(DigestReference {
            bucket: self.destination.bucket_name.clone(),
            key: digest_key(&self.destination, &self.key, self.sequence, digest.window.to, tag),
            sha256: sha256(&bytes),
            signature_sha256: sha256(&signature),
        });
        self.put_digest(&name, bytes, signature);
        self.digests.push(name);
        self.sequence += 1;
        self.cursor = to;
    }

    fn tag(&self, signature: &[u8]) -> Option<DigestTag> {
        self.is_tagged.then(|| DigestTag::of_signature(sha256(signature)))
    }

    pub fn put_digest(&mut self, name: &str, bytes: Vec<u8>, signature: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes.into());
        self.files.insert(format!("{name}{SIGNATURE_SUFFIX}"), signature.into());
    }

    /// Delivers objects, one for each number of events, at the beginning of the next window; each holds two blocks.
    pub fn add_objects(&mut self, events: &[u64]) -> Vec<DigestObject> {
        let from = self.cursor.timestamp();
        let mut objects = Vec::new();
        for (index, count) in events.iter().enumerate() {
            let received = from.saturating_add(Duration::from_secs(60 * (index as u64 + 1)));
            let first = BlockId::from_parts(received, 7);
            let blocks: Vec<(BlockId, String)> = [(first, count.div_ceil(2)), (first.next(), count / 2)]
                .into_iter()
                .map(|(id, count)| (id, (0..count).map(|event| self.line(id, event)).collect()))
                .filter(|(_, raw): &(BlockId, String)| !raw.is_empty())
                .collect();
            objects.push(self.deliver(&blocks, from, received));
        }
        objects
    }

    /// Returns the line of an event. A record of OCSF needs a time.
    fn line(&self, block: BlockId, event: u64) -> String {
        let time = match self.format {
            ExportFormat::OcsfParquet => format!(",\"eventTimestamp\":\"{}\"", block.timestamp()),
            _ => String::new(),
        };
        format!("{{\"id\":\"{block}-{event}\"{time}}}\n")
    }

    /// Delivers an object of blocks of NDJSON.
    fn deliver(&mut self, blocks: &[(BlockId, String)], oldest: Timestamp, newest: Timestamp) -> DigestObject {
        let mut encoder = GzipEncoder::new(EncoderVersion::CURRENT);
        for (id, raw) in blocks {
            encoder.push(encode_block(&self.key.tenant_id, *id, raw.as_bytes(), oldest, newest).unwrap()).unwrap();
        }
        let object = encoder.finish().unwrap();
        let bytes = match self.format {
            ExportFormat::NdjsonGzip => object.bytes,
            other => in_format(other, &lines_of(ExportFormat::NdjsonGzip, &object.bytes)),
        };
        let (first, last) = (blocks[0].0, blocks[blocks.len() - 1].0);
        let encoding = Encoding { filter: self.filter.clone(), ..self.format.into() };
        let class = encoding.ocsf.as_ref().map(|_| Class::ApiActivity);
        let name = match class {
            None => object_key::data_object_name(self.format, self.filter.as_ref().map(EventFilter::tag), first, last),
            Some(class) => {
                let (region, id) = (self.destination.site.region_name(), self.key.configuration_id);
                format!("../{}", object_key::lake_object_name(region, id, (first, last), class, &encoding.tag()))
            }
        };
        let delivered = DigestObject {
            bucket: self.destination.bucket_name.clone(),
            key: object_key::data_object(&self.destination, self.key.configuration_id, &encoding, class, first, last),
            sha256: sha256(&bytes),
            stored_length: bytes.len() as u64,
            crc32: object.content.crc32,
            raw_length: object.content.raw_length,
            events: object.content.event_count,
            first_block: first,
            last_block: last,
            oldest_event: oldest,
            newest_event: newest,
            class,
            other: class.map(|_| 0),
        };
        self.files.insert(name.clone(), bytes);
        self.objects.push(name);
        delivered
    }

    pub fn digest(&self, sequence: usize) -> Digest {
        Digest::from_bytes(&self.files[&self.digests[sequence]]).unwrap()
    }

    /// Changes a digest and signs it again; the digests after it are left as they are.
    pub fn change_digest(&mut self, signer: &Signer, sequence: usize, change: impl FnOnce(&mut Digest)) {
        let mut digest = self.digest(sequence);
        change(&mut digest);
        let bytes = digest.to_bytes().unwrap();
        self.sign_again(signer, sequence, bytes);
    }

    /// Puts other bytes in the place of a digest, with a signature of them.
    pub fn sign_again(&mut self, signer: &Signer, sequence: usize, bytes: Vec<u8>) {
        let signature = signer.sign(&bytes);
        if sequence + 1 == self.digests.len() {
            // Only the newest can get the name of its new signature: the digests after the others know the old one.
            self.remove_digest(sequence);
            self.digests[sequence] = self.name_for(self.digests[sequence].clone(), &signature);
        }
        self.put_digest(&self.digests[sequence].clone(), bytes, signature);
    }

    /// Returns the name of the digest with another signature.
    fn name_for(&self, name: String, signature: &[u8]) -> String {
        match (self.tag(signature), name.rsplit_once('_')) {
            (Some(tag), Some((beginning, _))) => format!("{beginning}_{tag}.json"),
            _ => name,
        }
    }

    pub fn remove_digest(&mut self, sequence: usize) {
        self.files.remove(&self.digests[sequence]).unwrap();
        self.files.remove(&self.signature(sequence)).unwrap();
    }

    pub fn signature(&self, sequence: usize) -> String {
        format!("{}{SIGNATURE_SUFFIX}", self.digests[sequence])
    }

    pub fn flip(&mut self, name: &str, index: usize) {
        let mut bytes = self.files[name].to_vec();
        bytes[index] ^= 1;
        self.files.insert(name.to_owned(), bytes.into());
    }

    pub fn copy(&mut self, from: &str, to: &str) {
        self.files.insert(to.to_owned(), self.files[from].clone());
    }

    pub fn swap(&mut self, one: &str, other: &str) {
        let (first, second) = (self.files[one].clone(), self.files[other].clone());
        self.files.insert(one.to_owned(), second);
        self.files.insert(other.to_owned(), first);
    }

    /// Returns the name of an object received at that time.
    pub fn object_name_at(time: &str) -> String {
        let block = BlockId::from_parts(at(time), 9);
        object_key::data_object_name(ExportFormat::NdjsonGzip, None, block, block)
    }
}

/// Returns lines as an object of a format.
pub fn in_format(format: ExportFormat, raw: &str) -> Bytes {
    match format {
        ExportFormat::NdjsonGzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(raw.as_bytes()).unwrap();
            encoder.finish().unwrap().into()
        }
        ExportFormat::NdjsonZstd => zstd::encode_all(raw.as_bytes(), 3).unwrap().into(),
        ExportFormat::Parquet => {
            let mut encoder = ParquetEncoder::new(columnar::ENCODER_VERSION).unwrap();
            encoder.push_lines(raw.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        ExportFormat::OcsfParquet => records(raw),
    }
}

/// Returns a file with records of OCSF of lines that are in the order of their times and belong to API Activity.
fn records(raw: &str) -> Bytes {
    let version = Encoding::from(ExportFormat::OcsfParquet).ocsf.unwrap().version;
    let table = ocsf::Table::new(&OwnRules::default()).unwrap();
    let mut file = ocsf::ClassFile::new(Class::ApiActivity, version).unwrap();
    for line in raw.lines() {
        file.push(&ocsf::map(line.as_bytes(), version, &table).unwrap()).unwrap();
    }
    file.finish().unwrap().into()
}

/// Returns the lines of an object.
pub fn lines_of(format: ExportFormat, object: &[u8]) -> String {
    match format {
        ExportFormat::NdjsonGzip => std::io::read_to_string(flate2::read::GzDecoder::new(object)),
        ExportFormat::NdjsonZstd => std::io::read_to_string(zstd::Decoder::new(object).unwrap()),
        ExportFormat::Parquet | ExportFormat::OcsfParquet => std::io::read_to_string(EventLines::of(object).unwrap()),
    }
    .unwrap()
}

pub fn gap(from: Timestamp, to: Timestamp) -> Gap {
    Gap::retention_ended(from, to)
}
