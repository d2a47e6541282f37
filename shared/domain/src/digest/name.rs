//! The names of digests in the customer's bucket.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

use crate::{
    configuration::{ConfigurationKey, Destination},
    hex::{self, Hex32, InvalidHex},
    object_key,
    time::Timestamp,
};

/// The suffix of a digest's key that names its signature: ECDSA over P-256 with SHA-256, as ASN.1 DER, the form that KMS
/// returns and that `openssl dgst -verify` reads.
pub const SIGNATURE_SUFFIX: &str = ".sig";

/// The folder of the digests, below an export's prefix.
pub const DIGEST_FOLDER: &str = "_digests/";

/// The part of a digest's name that can't be known before the digest is signed: the first 8 bytes of the SHA-256 of its
/// signature. ECDSA signatures by KMS are random, so the tag can't be guessed even from the digest's bytes.
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

impl fmt::Display for DigestTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

/// Parses the 16 lower-case hexadecimal digits that `Display` writes.
impl FromStr for DigestTag {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text).map(Self)
    }
}

/// Returns `<bucketPath>/<configuration ID>/_digests/<sequence>_<end of the window>_<tag>.json`, which sorts by sequence.
/// Query engines skip names that begin with an underscore. Digests that earlier versions sealed have no tag.
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

/// Returns the part of [`digest_key`] after the export's prefix.
#[must_use]
pub fn digest_name(sequence: u64, to: Timestamp, tag: Option<DigestTag>) -> String {
    let to = object_key::compact_time(to);
    match tag {
        Some(tag) => format!("{DIGEST_FOLDER}{sequence:010}_{to}_{tag}.json"),
        None => format!("{DIGEST_FOLDER}{sequence:010}_{to}.json"),
    }
}
