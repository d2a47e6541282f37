//! The public keys that a verification accepts as signing keys of digests.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use domain::digest::Hex32;

/// The most keys that may be given: one for each rotation, so far more than anyone has.
pub const MAX_PUBLIC_KEYS: usize = 64;

/// The bytes before the point in the `SubjectPublicKeyInfo` (RFC 5480) of every P-256 key: the sequence, the algorithm
/// id-ecPublicKey with the curve secp256r1, the head of the bit string. DER allows no other spelling.
const P256_HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const PEM_LABEL: &str = "PUBLIC KEY";

/// The error of a text or DER that is not a public key of the kind that signs digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicKey {
    #[error("it is not PEM: give the text from -----BEGIN PUBLIC KEY----- on")]
    NotPem,
    #[error("it holds more than public keys: give the public key alone, and never a private one")]
    OtherContent,
    #[error("it is not an ECDSA key on the curve P-256 (NIST_P256, secp256r1)")]
    OtherKind,
    #[error("there are more than {MAX_PUBLIC_KEYS} keys")]
    TooMany,
}

#[derive(Clone)]
struct PublicKey {
    fingerprint: Hex32,
    key: ParsedPublicKey,
}

/// Public keys, found by their fingerprints.
#[derive(Clone, Default)]
pub struct PublicKeys(Vec<PublicKey>);

impl std::fmt::Debug for PublicKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.fingerprints()).finish()
    }
}

impl PublicKeys {
    /// Adds the keys of a PEM text: one or more `SubjectPublicKeyInfo`, as `openssl pkey -pubout` writes them.
    ///
    /// # Errors
    /// [`InvalidPublicKey`]; then no key is added.
    pub fn add_pem(&mut self, text: &str) -> Result<(), InvalidPublicKey> {
        let sections = pem::parse_many(text).map_err(|_| InvalidPublicKey::NotPem)?;
        if sections.is_empty() {
            return Err(InvalidPublicKey::NotPem);
        }
        let mut all = self.clone();
        for section in sections {
            if section.tag() != PEM_LABEL {
                return Err(InvalidPublicKey::OtherContent);
            }
            all.add_der(section.contents())?;
        }
        *self = all;
        Ok(())
    }

    /// Adds the key of a `SubjectPublicKeyInfo` in DER, as KMS returns it. A key that was added before is not repeated.
    ///
    /// # Errors
    /// [`InvalidPublicKey`].
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), InvalidPublicKey> {
        let point = der.strip_prefix(&P256_HEADER).ok_or(InvalidPublicKey::OtherKind)?;
        // This also checks the length, and that the point lies on the curve.
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).map_err(|_| InvalidPublicKey::OtherKind)?;
        let fingerprint = Hex32::sha256_of(der);
        if self.get(fingerprint).is_some() {
            return Ok(());
        }
        if self.0.len() >= MAX_PUBLIC_KEYS {
            return Err(InvalidPublicKey::TooMany);
        }
        self.0.push(PublicKey { fingerprint, key });
        Ok(())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the SHA-256 of each key's DER.
    pub fn fingerprints(&self) -> impl Iterator<Item = Hex32> {
        self.0.iter().map(|key| key.fingerprint)
    }

    fn get(&self, fingerprint: Hex32) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.fingerprint == fingerprint)
    }

    /// Returns whether the key of that fingerprint signed `bytes`. `None`: the key is unknown.
    #[must_use]
    pub fn verify(&self, fingerprint: Hex32, bytes: &[u8], signature: &[u8]) -> Option<bool> {
        self.get(fingerprint).map(|key| key.key.verify_sig(bytes, signature).is_ok())
    }

    /// Returns whether any of the keys signed `bytes`.
    pub(crate) fn any_verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        self.0.iter().any(|key| key.key.verify_sig(bytes, signature).is_ok())
    }
}
