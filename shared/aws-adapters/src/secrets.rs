//! Customers' secrets under the service's KMS key: the secret access keys of exports, and the secrets of webhooks.

use aws_sdk_kms::{Client, primitives::Blob};
use domain::{
    configuration::{
        ConfigurationKey,
        access_key::{SealedSecret, SecretAccessKey},
    },
    webhook::{SealedWebhookSecret, WebhookSecret},
};
use export_engine::ports::PortError;
use zeroize::Zeroizing;

use crate::error::port_error;

/// Seals and opens secrets. A ciphertext opens only for the tenant, configuration and purpose that it was sealed for: they
/// are in the encryption context, which the key's policy requires.
#[derive(Clone, Debug)]
pub struct SecretVault {
    client: Client,
    key_arn: String,
}

mod context {
    pub(super) const TENANT_ID: &str = "tenantId";
    pub(super) const CONFIGURATION_ID: &str = "configurationId";
    pub(super) const PURPOSE: &str = "purpose";
}

/// The use of a secret.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// The first purpose there was: it is not in the context.
    AccessKey,
    Webhook,
}

impl Purpose {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::AccessKey => None,
            Self::Webhook => Some("webhook"),
        }
    }
}

impl SecretVault {
    #[must_use]
    pub fn new(client: Client, key_arn: String) -> Self {
        Self { client, key_arn }
    }

    /// Encrypts the secret of an access key.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn seal(&self, key: &ConfigurationKey, secret: &SecretAccessKey) -> Result<SealedSecret, PortError> {
        self.encrypt(key, Purpose::AccessKey, secret.expose()).await.map(SealedSecret::from_ciphertext)
    }

    /// Decrypts the secret of an access key.
    ///
    /// # Errors
    /// Transient or internal; also internal if the secret was sealed for another tenant, configuration, purpose or key.
    pub async fn open(&self, key: &ConfigurationKey, sealed: &SealedSecret) -> Result<SecretAccessKey, PortError> {
        self.decrypt(key, Purpose::AccessKey, sealed.ciphertext(), |text| SecretAccessKey::parse(text).ok()).await
    }

    /// Encrypts the secret of a webhook.
    ///
    /// # Errors
    /// As [`SecretVault::seal`].
    pub async fn seal_webhook(
        &self,
        key: &ConfigurationKey,
        secret: &WebhookSecret,
    ) -> Result<SealedWebhookSecret, PortError> {
        self.encrypt(key, Purpose::Webhook, secret.expose()).await.map(SealedWebhookSecret::from_ciphertext)
    }

    /// Decrypts the secret of a webhook.
    ///
    /// # Errors
    /// As [`SecretVault::open`].
    pub async fn open_webhook(
        &self,
        key: &ConfigurationKey,
        sealed: &SealedWebhookSecret,
    ) -> Result<WebhookSecret, PortError> {
        self.decrypt(key, Purpose::Webhook, sealed.ciphertext(), |text| WebhookSecret::parse(text).ok()).await
    }

    async fn encrypt(&self, key: &ConfigurationKey, purpose: Purpose, secret: &str) -> Result<Vec<u8>, PortError> {
        let operation = "kms:Encrypt";
        let mut request = self
            .client
            .encrypt()
            .key_id(&self.key_arn)
            // The SDK's copy can't be wiped; it isn't printed (the model marks it as sensitive).
            .plaintext(Blob::new(secret.as_bytes()))
            .encryption_context(context::TENANT_ID, key.tenant_id.as_str())
            .encryption_context(context::CONFIGURATION_ID, key.configuration_id.to_string());
        if let Some(purpose) = purpose.name() {
            request = request.encryption_context(context::PURPOSE, purpose);
        }
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        match answer.ciphertext_blob {
            Some(ciphertext) => Ok(ciphertext.into_inner()),
            None => Err(PortError::internal(operation, "the answer has no ciphertext")),
        }
    }

    async fn decrypt<T>(
        &self,
        key: &ConfigurationKey,
        purpose: Purpose,
        ciphertext: &[u8],
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, PortError> {
        let operation = "kms:Decrypt";
        let mut request = self
            .client
            .decrypt()
            .key_id(&self.key_arn)
            .ciphertext_blob(Blob::new(ciphertext))
            .encryption_context(context::TENANT_ID, key.tenant_id.as_str())
            .encryption_context(context::CONFIGURATION_ID, key.configuration_id.to_string());
        if let Some(purpose) = purpose.name() {
            request = request.encryption_context(context::PURPOSE, purpose);
        }
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        let plaintext = answer.plaintext.map(|blob| Zeroizing::new(blob.into_inner()));
        plaintext
            .as_ref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(parse)
            .ok_or_else(|| PortError::internal(operation, "what was sealed is not a secret of this purpose"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_kms::{
        operation::{
            decrypt::{DecryptError, DecryptOutput},
            encrypt::EncryptOutput,
        },
        types::error::InvalidCiphertextException,
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use domain::{configuration::ConfigurationId, tenant::TenantId};
    use export_engine::ports::ErrorKind;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const KEY_ARN: &str = "arn:aws:kms:us-east-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

    fn key() -> ConfigurationKey {
        ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse(ID).unwrap(),
        }
    }

    fn vault(rule: &Rule) -> SecretVault {
        SecretVault::new(mock_client!(aws_sdk_kms, RuleMode::MatchAny, [rule]), KEY_ARN.to_owned())
    }

    fn is_exactly_ours(context: Option<&HashMap<String, String>>) -> bool {
        let ours =
            HashMap::from([("tenantId".to_owned(), "acme".to_owned()), ("configurationId".to_owned(), ID.to_owned())]);
        context == Some(&ours)
    }

    #[tokio::test]
    async fn a_secret_is_bound_to_tenant_and_configuration() {
        let secret = SecretAccessKey::parse(SECRET).unwrap();
        let encrypt = mock!(Client::encrypt)
            .match_requests(|request| {
                request.key_id() == Some(KEY_ARN)
                    && request.plaintext().is_some_and(|blob| blob.as_ref() == SECRET.as_bytes())
                    && is_exactly_ours(request.encryption_context())
                    && !format!("{request:?}").contains(SECRET)
            })
            .then_output(|| EncryptOutput::builder().ciphertext_blob(Blob::new("sealed")).build());
        let sealed = vault(&encrypt).seal(&key(), &secret).await.unwrap();
        assert_eq!(sealed.ciphertext(), b"sealed");

        let decrypt = mock!(Client::decrypt)
            .match_requests(|request| {
                request.key_id() == Some(KEY_ARN)
                    && request.ciphertext_blob().is_some_and(|blob| blob.as_ref() == b"sealed")
                    && is_exactly_ours(request.encryption_context())
            })
            .then_output(|| DecryptOutput::builder().plaintext(Blob::new(SECRET)).build());
        let opened = vault(&decrypt).open(&key(), &sealed).await.unwrap();
        assert_eq!(opened.expose(), SECRET);
    }

    #[tokio::test]
    async fn a_webhooks_secret_is_bound_to_its_purpose_too() {
        const WEBHOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let is_of_webhook = |context: Option<&HashMap<String, String>>| {
            let mut expected = HashMap::from([("purpose".to_owned(), "webhook".to_owned())]);
            expected.insert("tenantId".to_owned(), "acme".to_owned());
            expected.insert("configurationId".to_owned(), ID.to_owned());
            context == Some(&expected)
        };
        let secret = WebhookSecret::parse(WEBHOOK_SECRET).unwrap();
        let encrypt = mock!(Client::encrypt)
            .match_requests(move |request| is_of_webhook(request.encryption_context()))
            .then_output(|| EncryptOutput::builder().ciphertext_blob(Blob::new("sealed")).build());
        let sealed = vault(&encrypt).seal_webhook(&key(), &secret).await.unwrap();

        let decrypt = mock!(Client::decrypt)
            .match_requests(move |request| is_of_webhook(request.encryption_context()))
            .then_output(|| DecryptOutput::builder().plaintext(Blob::new(WEBHOOK_SECRET)).build());
        let opened = vault(&decrypt).open_webhook(&key(), &sealed).await.unwrap();
        assert_eq!(opened.expose(), WEBHOOK_SECRET);
    }

    #[tokio::test]
    async fn failures_are_ours_or_pass() {
        let secret = SecretAccessKey::parse(SECRET).unwrap();
        let sealed = SealedSecret::from_ciphertext(b"sealed".to_vec());

        let busy = mock!(Client::encrypt).then_http_response(|| {
            let body = r#"{"__type":"KMSInternalException"}"#;
            aws_smithy_runtime_api::http::Response::new(500.try_into().unwrap(), body.into())
        });
        assert_eq!(vault(&busy).seal(&key(), &secret).await.unwrap_err().kind, ErrorKind::Transient);
        let foreign = mock!(Client::decrypt)
            .then_error(|| DecryptError::InvalidCiphertextException(InvalidCiphertextException::builder().build()));
        assert_eq!(vault(&foreign).open(&key(), &sealed).await.unwrap_err().kind, ErrorKind::Internal);

        let no_secret = mock!(Client::decrypt)
            .then_output(|| DecryptOutput::builder().plaintext(Blob::new("not forty letters but private")).build());
        let error = vault(&no_secret).open(&key(), &sealed).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(!error.to_string().contains("private"));
    }
}
