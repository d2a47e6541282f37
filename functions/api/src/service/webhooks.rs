//! Webhooks: sealing their secrets, and testing them.

use authentication::Caller;
use domain::{
    allowance::Allowance,
    configuration::ConfigurationKey,
    notice_id::NoticeId,
    webhook::{
        Webhook,
        input::NewWebhook,
        test::{WebhookTest, WebhookTestResult},
    },
};
use futures::future::try_join_all;

use super::shared::{Service, key_of};
use crate::error::ApiError;

/// Returns whether a secret has to be encrypted.
pub(super) fn have_new_secrets(webhooks: &[NewWebhook]) -> bool {
    webhooks.iter().any(|webhook| matches!(webhook, NewWebhook::Unsealed { .. }))
}

impl Service {
    /// Encrypts the new secrets, all at once. Each is a request to KMS, so the caller counts them against an allowance before.
    pub(super) async fn seal_webhooks(
        &self,
        key: &ConfigurationKey,
        webhooks: Vec<NewWebhook>,
    ) -> Result<Vec<Webhook>, ApiError> {
        let sealed = webhooks.into_iter().map(async |webhook| match webhook {
            NewWebhook::Kept(webhook) => Ok(webhook),
            NewWebhook::Unsealed { url, secret } => {
                let sealed_secret = self.ports.secrets.seal_webhook(key, &secret).await?;
                Ok::<_, ApiError>(Webhook { url, sealed_secret })
            }
        });
        try_join_all(sealed).await
    }

    /// Sends a test to each of the configuration's webhooks, once.
    pub async fn test_notifications(&self, caller: &Caller, id: &str) -> Result<Vec<WebhookTestResult>, ApiError> {
        let key = key_of(caller, id)?;
        let webhooks = self.load(&key).await?.webhooks;
        if webhooks.is_empty() {
            return Ok(Vec::new());
        }
        self.take(caller, Allowance::ConnectionTests).await?;
        let notice_id = format!("test-{:032x}", self.random.bits());
        let notice_id = NoticeId::parse(&notice_id).map_err(|_| ApiError::Internal)?;
        let test = WebhookTest::new(key, webhooks, notice_id, self.clock.now()).map_err(|_| ApiError::Internal)?;
        Ok(self.ports.webhook_tester.test(test).await?)
    }
}
