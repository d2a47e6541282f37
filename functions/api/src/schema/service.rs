//! The service as customers' accounts and verifiers know it: its AWS account, and its signing keys.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use domain::configuration::ServiceIdentity;

use super::context;
use crate::ports::SigningPublicKey;

#[derive(Default)]
pub struct ServiceQuery;

#[expect(clippy::unused_async, reason = "a resolver is async, whether it waits or not")]
#[Object]
impl ServiceQuery {
    /// The AWS account of this service, which the trust policy of a role has to name.
    async fn export_service_identity(&self, context: &Context<'_>) -> Result<Option<ExportServiceIdentity>> {
        let (service, _) = context::of(context)?;
        Ok(Some((&service.identity).into()))
    }

    /// The public keys that digests are or were signed with, the current one first. Keep them where nobody who can write to
    /// the bucket can change them.
    async fn export_signing_keys(&self, context: &Context<'_>) -> Result<Option<Vec<ExportSigningKey>>> {
        let (service, _) = context::of(context)?;
        let keys = service.signing_keys().await?;
        Ok(Some(keys.into_iter().enumerate().map(|(index, key)| ExportSigningKey::of(key, index == 0)).collect()))
    }
}

/// The AWS account, partition and Region of this service.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportServiceIdentity {
    /// The account ID, 12 digits.
    account: String,
    /// For example `aws` or `aws-us-gov`.
    partition: String,
    region: String,
}

impl From<&ServiceIdentity> for ExportServiceIdentity {
    fn from(identity: &ServiceIdentity) -> Self {
        Self {
            account: identity.account.to_string(),
            partition: identity.partition.to_string(),
            region: identity.region.to_string(),
        }
    }
}

/// The signature algorithm of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SigningAlgorithm {
    /// ECDSA on the curve P-256 over the SHA-256 of the digest's bytes; the signature is ASN.1 DER.
    #[graphql(name = "ECDSA_P256_SHA256")]
    EcdsaP256Sha256,
}

/// A key that digests are or were signed with.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportSigningKey {
    /// The SHA-256 of the key's `SubjectPublicKeyInfo` in DER, 64 hexadecimal digits. Digests have it as `signingKey`.
    fingerprint: String,
    algorithm: SigningAlgorithm,
    /// The `SubjectPublicKeyInfo` in PEM.
    public_key: String,
    /// True if new digests are signed with it.
    current: bool,
}

impl ExportSigningKey {
    fn of(key: &SigningPublicKey, current: bool) -> Self {
        Self {
            fingerprint: key.fingerprint.to_string(),
            algorithm: SigningAlgorithm::EcdsaP256Sha256,
            public_key: key.to_pem(),
            current,
        }
    }
}
