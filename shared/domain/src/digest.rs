//! The signed digest of a window: what was delivered, and which digest came before.
//!
//! A digest is a JSON document whose bytes are signed as they are: nobody has to make them canonical again to check the
//! signature. Its fields are told one by one in docs/SEMANTICS.md.

use serde::{Deserialize, Serialize};

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, ConfigurationKey, Destination, bucket::BucketName},
    object_key,
    tenant::TenantId,
    time::Timestamp,
};

/// The version of the format below. A reader refuses one that it doesn't know.
pub const DIGEST_VERSION: u32 = 1;

/// The most objects that one digest tells of. A window with more is closed where it stands and another one follows, so
/// that the digest of any window fits into one item of the run table (400 KB).
pub const MAX_DIGEST_OBJECTS: u64 = 400;

/// The longest that one object can be in a digest: 400 bytes of names and numbers, a bucket's name of 63 characters, and a
/// key with the longest bucket path.
const MAX_DIGEST_OBJECT_LENGTH: u64 = 900;
const _: () = assert!(MAX_DIGEST_OBJECTS * MAX_DIGEST_OBJECT_LENGTH < 400_000 - 8 * 1024, "a digest would not fit");

/// What is appended to a digest's key to name its signature: ECDSA over P-256 with SHA-256, as ASN.1 DER, the form that
/// KMS gives and that `openssl dgst -verify` reads.
pub const SIGNATURE_SUFFIX: &str = ".sig";

/// Where the digests lie, below an export's prefix.
pub const DIGEST_FOLDER: &str = "_digests/";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Digest {
    pub version: u32,
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
    /// 0 for the first of a configuration, one more for each that follows.
    pub sequence: u64,
    pub window: DigestWindow,
    /// In the order of the blocks that they hold.
    pub objects: Vec<DigestObject>,
    /// Times of receipt whose events are not in any object, because they were past their retention.
    pub gaps: Vec<Gap>,
    /// `None` for the first.
    pub previous: Option<DigestReference>,
    /// SHA-256 of the public key (DER of its `SubjectPublicKeyInfo`), in hexadecimal.
    pub signing_key: Hex32,
}

/// Which blocks a digest answers for: all that were received from `from` on and before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestWindow {
    /// The first block id that it could hold. Each window starts where the one before it ended.
    pub first_block: BlockId,
    /// The first block id after it.
    pub end_block: BlockId,
    /// The receipt time of `first_block`.
    pub from: Timestamp,
    /// Everything received before it is covered by this digest or an earlier one.
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
    /// Of the bytes as stored.
    pub sha256: Hex32,
    /// Bytes as stored.
    pub stored_length: u64,
    /// Of the raw NDJSON, as in the gzip trailer (RFC 1952).
    pub crc32: u32,
    /// Bytes of raw NDJSON.
    pub raw_length: u64,
    pub events: u64,
    pub first_block: BlockId,
    pub last_block: BlockId,
    /// The earliest `eventTimestamp` in it.
    pub oldest_event: Timestamp,
    /// The latest `eventTimestamp` in it.
    pub newest_event: Timestamp,
}

/// Receipt times that could not be exported any more: from the window's first block on, which was received at `from`, to
/// before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
}

impl Gap {
    #[must_use]
    pub fn retention_ended(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, reason: GapReason::RetentionEnded, block: None }
    }

    #[must_use]
    pub fn of_corrupt_block(block: BlockId) -> Self {
        let from = block.timestamp();
        let to = from.saturating_add(std::time::Duration::from_millis(1));
        Self { from, to, reason: GapReason::BlockCorrupt, block: Some(block) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GapReason {
    /// The retention of the events ended before they could be exported.
    RetentionEnded,
    BlockCorrupt,
}

/// A digest, named by what can't be said of any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DigestReference {
    pub bucket: BucketName,
    pub key: String,
    /// Of the digest's bytes.
    pub sha256: Hex32,
    /// Of the digest's signature.
    pub signature_sha256: Hex32,
}

/// A digest that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    #[error("it is no digest: {0}")]
    Malformed(String),
    #[error("it has version {0}, and this program knows {DIGEST_VERSION}")]
    UnknownVersion(u64),
}

impl Digest {
    /// The bytes that are signed and stored: one line of JSON with the fields in the order above.
    ///
    /// # Errors
    /// None that a digest can cause; serde's signature has one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// # Errors
    /// [`InvalidDigest`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidDigest> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let malformed = |error: serde_json::Error| InvalidDigest::Malformed(error.to_string());
        let Version { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != u64::from(DIGEST_VERSION) {
            return Err(InvalidDigest::UnknownVersion(version));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }
}

/// `<bucketPath>/<configuration id>/_digests/<sequence>_<end of the window>.json`: sorts by sequence. Query engines skip
/// names that begin with an underscore.
#[must_use]
pub fn digest_key(destination: &Destination, key: &ConfigurationKey, sequence: u64, to: Timestamp) -> String {
    format!("{}/{}", object_key::export_prefix(destination, key.configuration_id), digest_name(sequence, to))
}

/// What follows the export's prefix in [`digest_key`].
#[must_use]
pub fn digest_name(sequence: u64, to: Timestamp) -> String {
    format!("{DIGEST_FOLDER}{sequence:010}_{}.json", object_key::compact_time(to))
}

/// 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex32(pub [u8; 32]);

impl std::fmt::Display for Hex32 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hex32 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("64 lower-case hexadecimal digits are needed")]
pub struct InvalidHex;

impl TryFrom<String> for Hex32 {
    type Error = InvalidHex;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidHex),
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidHex);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? * 16 + digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl From<Hex32> for String {
    fn from(hex: Hex32) -> Self {
        hex.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
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

    #[test]
    fn a_digest_is_read_back() {
        let bytes = digest().to_bytes().unwrap();
        assert_eq!(Digest::from_bytes(&bytes).unwrap(), digest());
    }

    #[test]
    fn an_unknown_version_is_refused_as_such() {
        assert_eq!(Digest::from_bytes(b"{\"version\":2,\"else\":1}"), Err(InvalidDigest::UnknownVersion(2)));
        assert!(matches!(Digest::from_bytes(b"{}"), Err(InvalidDigest::Malformed(_))));
    }

    #[test]
    fn hexadecimal_has_one_spelling() {
        assert_eq!(Hex32::try_from("00".repeat(32)), Ok(Hex32([0; 32])));
        for bad in ["", "0", &"0".repeat(63), &"0".repeat(65), &"AB".repeat(32), &"g0".repeat(32)] {
            assert_eq!(Hex32::try_from(bad.to_owned()), Err(InvalidHex));
        }
    }
}
