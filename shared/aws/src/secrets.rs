//! Customers' secret access keys under the service's KMS key.

use aws_sdk_kms::{Client, primitives::Blob};
use domain::configuration::{
    ConfigurationKey,
    access_key::{SealedSecret, SecretAccessKey},
};
use export::ports::PortError;
use zeroize::Zeroizing;

use crate::error::port_error;

/// Seals and opens secrets. A ciphertext opens only for the tenant and configuration that it was sealed for: both are the
/// encryption context, which the key's policy requires.
#[derive(Clone, Debug)]
pub struct SecretVault {
    client: Client,
    key_arn: String,
}

mod context {
    pub(super) const TENANT_ID: &str = "tenantId";
    pub(super) const CONFIGURATION_ID: &str = "configurationId";
}

impl SecretVault {
    #[must_use]
    pub fn new(client: Client, key_arn: String) -> Self {
        Self { client, key_arn }
    }

    /// # Errors
    /// Transient or internal.
    pub async fn seal(&self, key: &ConfigurationKey, secret: &SecretAccessKey) -> Result<SealedSecret, PortError> {
        let operation = "kms:Encrypt";
        let answer = self
            .client
            .encrypt()
            .key_id(&self.key_arn)
            // The SDK's copy is out of our reach; it isn't printed (the model marks it as sensitive).
            .plaintext(Blob::new(secret.expose().as_bytes()))
            .encryption_context(context::TENANT_ID, key.tenant_id.as_str())
            .encryption_context(context::CONFIGURATION_ID, key.configuration_id.to_string())
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        match answer.ciphertext_blob {
            Some(ciphertext) => Ok(SealedSecret::from_ciphertext(ciphertext.into_inner())),
            None => Err(PortError::internal(operation, "the answer has no ciphertext")),
        }
    }

    /// # Errors
    /// Transient or internal; internal too if the secret was sealed for another tenant, configuration or key.
    pub async fn open(&self, key: &ConfigurationKey, sealed: &SealedSecret) -> Result<SecretAccessKey, PortError> {
        let operation = "kms:Decrypt";
        let answer = self
            .client
            .decrypt()
            .key_id(&self.key_arn)
            .ciphertext_blob(Blob::new(sealed.ciphertext()))
            .encryption_context(context::TENANT_ID, key.tenant_id.as_str())
            .encryption_context(context::CONFIGURATION_ID, key.configuration_id.to_string())
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        let plaintext = answer.plaintext.map(|blob| Zeroizing::new(blob.into_inner()));
        plaintext
            .as_ref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|text| SecretAccessKey::parse(text).ok())
            .ok_or_else(|| PortError::internal(operation, "what was sealed is no secret access key"))
    }
}
