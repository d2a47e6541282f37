//! The key that signs digests.

use bytes::Bytes;
use domain::digest::Hex32;

use super::error::PortError;

/// The signing key of digests.
pub trait DigestSigner: Send + Sync {
    /// Returns the SHA-256 of the public key, as DER of its `SubjectPublicKeyInfo`.
    fn fingerprint(&self) -> impl Future<Output = Result<Hex32, PortError>> + Send;

    /// Signs a SHA-256 hash with ECDSA over P-256. Returns ASN.1 DER.
    fn sign(&self, sha256: [u8; 32]) -> impl Future<Output = Result<Bytes, PortError>> + Send;
}
