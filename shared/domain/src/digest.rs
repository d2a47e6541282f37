//! The signed digest of a window: what was delivered, and which digest came before.
//!
//! A digest is a JSON document whose bytes are signed as they are: nobody has to make them canonical again to check the
//! signature. Its fields are told one by one in docs/SEMANTICS.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, ConfigurationKey, Destination, bucket::BucketName},
    object_key,
    tenant::TenantId,
    time::Timestamp,
};

/// The version of a digest without skipped blocks. A reader refuses a version that it doesn't know.
pub const DIGEST_VERSION: u32 = 1;

/// The version of a digest that names at least one skipped block (see [`Gap::block`]). All other digests keep
/// [`DIGEST_VERSION`], byte for byte, so that older readers still take them.
pub const SKIPPED_BLOCK_VERSION: u32 = 2;

/// The version of a digest of an export that starts before the retention (see [`GapReason::StartBeforeRetention`]).
pub const EARLY_START_VERSION: u32 = 3;

/// The most objects that one digest tells of. A window with more is closed where it stands and another one follows, so
/// that the digest of any window fits into one item of the run table (400 KB).
pub const MAX_DIGEST_OBJECTS: u64 = 400;

/// The longest that one object can be in a digest: 400 bytes of names and numbers, a bucket's name of 63 characters, and a
/// key with the longest bucket path.
const MAX_DIGEST_OBJECT_LENGTH: u64 = 900;

/// The most gaps of one digest: the one of the retention, and skipped blocks. A window that would have more ends before
/// the next one.
pub const MAX_DIGEST_GAPS: u64 = 100;

/// The longest that one gap can be in a digest, in bytes: two times, a reason and a block ID take 140.
const MAX_DIGEST_GAP_LENGTH: u64 = 200;
const _: () = assert!(
    MAX_DIGEST_OBJECTS * MAX_DIGEST_OBJECT_LENGTH + MAX_DIGEST_GAPS * MAX_DIGEST_GAP_LENGTH < 400_000 - 8 * 1024,
    "a digest would not fit"
);

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
    /// What was received within the window and is in no object, in ascending order.
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

/// Received events that are in no object. Without `block`: all that was received from `from` (the window's first block) to
/// before `to`. With `block`: exactly that block, and `from` to before `to` is the millisecond of its receipt; other
/// blocks of that millisecond are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
    /// Set exactly when `reason` is [`GapReason::BlockCorrupt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
}

impl Gap {
    /// Returns the gap of everything received from `from` to before `to`, whose retention ended before it was exported.
    #[must_use]
    pub fn retention_ended(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, reason: GapReason::RetentionEnded, block: None }
    }

    /// Returns the gap of an export that starts at `from`, where nothing from before `to` was held any more when it was
    /// configured.
    #[must_use]
    pub fn start_before_retention(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to, reason: GapReason::StartBeforeRetention, block: None }
    }

    /// Returns the gap of one block that is stored with damaged content and that an operator approved to skip.
    #[must_use]
    pub fn of_corrupt_block(block: BlockId) -> Self {
        let from = block.timestamp();
        let to = from.saturating_add(Duration::from_millis(1));
        Self { from, to, reason: GapReason::BlockCorrupt, block: Some(block) }
    }

    /// Whether `block` is set exactly if the reason needs it, and the times are the block's.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        match (self.reason, self.block) {
            (GapReason::RetentionEnded | GapReason::StartBeforeRetention, None) => true,
            (GapReason::BlockCorrupt, Some(block)) => *self == Self::of_corrupt_block(block),
            (GapReason::RetentionEnded | GapReason::StartBeforeRetention, Some(_))
            | (GapReason::BlockCorrupt, None) => false,
        }
    }

    /// Whether a block of this ID is in the gap.
    #[must_use]
    pub fn holds(&self, block: BlockId) -> bool {
        let received = block.timestamp();
        self.block.map_or(self.from <= received && received < self.to, |skipped| skipped == block)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GapReason {
    /// The retention of the events ended before they could be exported.
    RetentionEnded,
    /// The stored block is damaged, and an operator approved to skip it.
    BlockCorrupt,
    /// The export starts before the retention: these events were not held any more when it was configured, or were
    /// received before that and not held any more when it began.
    StartBeforeRetention,
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
    #[error("it has version {0}, and this program knows {DIGEST_VERSION} to {EARLY_START_VERSION}")]
    UnknownVersion(u64),
    #[error("it has version {version}, and its gaps need version {needed}")]
    WrongVersion { version: u32, needed: u32 },
    #[error("its gap from {} to {} has a reason, times and a block that don't fit each other", .0.from, .0.to)]
    InconsistentGap(Box<Gap>),
}

impl Digest {
    /// Returns the version of a digest with these gaps.
    #[must_use]
    pub fn version_for(gaps: &[Gap]) -> u32 {
        let version_of = |gap: &Gap| match gap.reason {
            GapReason::RetentionEnded => DIGEST_VERSION,
            GapReason::BlockCorrupt => SKIPPED_BLOCK_VERSION,
            GapReason::StartBeforeRetention => EARLY_START_VERSION,
        };
        gaps.iter().map(version_of).max().unwrap_or(DIGEST_VERSION)
    }

    /// The bytes that are signed and stored: one line of JSON with the fields in the order above.
    ///
    /// # Errors
    /// None that a digest can cause; serde's signature has one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a digest of version 1 to 3, and refuses one whose version is not the one that its gaps need.
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
        if !(u64::from(DIGEST_VERSION)..=u64::from(EARLY_START_VERSION)).contains(&version) {
            return Err(InvalidDigest::UnknownVersion(version));
        }
        let digest: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if let Some(gap) = digest.gaps.iter().find(|gap| !gap.is_consistent()) {
            return Err(InvalidDigest::InconsistentGap(Box::new(*gap)));
        }
        let needed = Self::version_for(&digest.gaps);
        if digest.version != needed {
            return Err(InvalidDigest::WrongVersion { version: digest.version, needed });
        }
        Ok(digest)
    }
}

/// The part of a digest's name that nobody can know before the digest is signed: the first 8 bytes of the SHA-256 of its
/// signature. ECDSA signatures by KMS are random, so even somebody who knows the digest's bytes cannot guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestTag([u8; Self::LENGTH]);

impl DigestTag {
    const LENGTH: usize = 8;

    /// Returns the tag of the digest whose signature has this SHA-256.
    #[must_use]
    pub fn of_signature(signature_sha256: Hex32) -> Self {
        let mut tag = [0; Self::LENGTH];
        tag.iter_mut().zip(signature_sha256.0).for_each(|(own, byte)| *own = byte);
        Self(tag)
    }
}

impl std::fmt::Display for DigestTag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_hex(formatter, &self.0)
    }
}

/// Reads the 16 lower-case hexadecimal digits that `Display` writes.
impl std::str::FromStr for DigestTag {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read_hex(text).map(Self)
    }
}

/// `<bucketPath>/<configuration id>/_digests/<sequence>_<end of the window>_<tag>.json`: sorts by sequence. Query engines
/// skip names that begin with an underscore. Digests that were sealed by earlier versions have no tag.
#[must_use]
pub fn digest_key(
    destination: &Destination,
    key: &ConfigurationKey,
    sequence: u64,
    to: Timestamp,
    tag: Option<DigestTag>,
) -> String {
    format!("{}/{}", object_key::export_prefix(destination, key.configuration_id), digest_name(sequence, to, tag))
}

/// What follows the export's prefix in [`digest_key`].
#[must_use]
pub fn digest_name(sequence: u64, to: Timestamp, tag: Option<DigestTag>) -> String {
    let to = object_key::compact_time(to);
    match tag {
        Some(tag) => format!("{DIGEST_FOLDER}{sequence:010}_{to}_{tag}.json"),
        None => format!("{DIGEST_FOLDER}{sequence:010}_{to}.json"),
    }
}

/// 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex32(pub [u8; 32]);

impl std::fmt::Display for Hex32 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_hex(formatter, &self.0)
    }
}

impl std::fmt::Debug for Hex32 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

/// A text that is not as many lower-case hexadecimal digits as its type needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{digits} lower-case hexadecimal digits are needed")]
pub struct InvalidHex {
    digits: usize,
}

fn write_hex(formatter: &mut std::fmt::Formatter<'_>, bytes: &[u8]) -> std::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], InvalidHex> {
    let invalid = InvalidHex { digits: 2 * N };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(invalid),
    };
    let mut bytes = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(invalid);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? * 16 + digit(*low)?;
    }
    Ok(bytes)
}

impl TryFrom<String> for Hex32 {
    type Error = InvalidHex;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        read_hex(&text).map(Self)
    }
}

impl From<Hex32> for String {
    fn from(hex: Hex32) -> Self {
        hex.to_string()
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

    fn digest_with(gaps: Vec<Gap>) -> Digest {
        Digest { version: Digest::version_for(&gaps), gaps, ..digest() }
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
        assert_eq!(Digest::from_bytes(b"{\"version\":4,\"else\":1}"), Err(InvalidDigest::UnknownVersion(4)));
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
