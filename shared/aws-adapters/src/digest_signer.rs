//! The KMS key that signs digests.

use aws_sdk_kms::{
    Client,
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use bytes::Bytes;
use domain::digest::Hex32;
use export_engine::ports::{DigestSigner, PortError};
use tokio::sync::OnceCell;

use crate::{error::port_error, signing_keys::read_public_key};

/// Signs with one asymmetric key (`ECC_NIST_P256`).
#[derive(Debug)]
pub struct KmsDigestSigner {
    client: Client,
    key_arn: String,
    /// A key's public half never changes.
    fingerprint: OnceCell<Hex32>,
}

impl KmsDigestSigner {
    #[must_use]
    pub fn new(client: Client, key_arn: String) -> Self {
        Self { client, key_arn, fingerprint: OnceCell::new() }
    }
}

impl DigestSigner for KmsDigestSigner {
    async fn fingerprint(&self) -> Result<Hex32, PortError> {
        let read = || async { Ok(read_public_key(&self.client, &self.key_arn).await?.fingerprint) };
        self.fingerprint.get_or_try_init(read).await.copied()
    }

    async fn sign(&self, sha256: [u8; 32]) -> Result<Bytes, PortError> {
        let operation = "kms:Sign";
        let answer = self
            .client
            .sign()
            .key_id(&self.key_arn)
            .message_type(MessageType::Digest)
            .message(Blob::new(sha256))
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let signature = answer.signature.ok_or_else(|| PortError::internal(operation, "KMS gave no signature"))?;
        Ok(Bytes::from(signature.into_inner()))
    }
}
