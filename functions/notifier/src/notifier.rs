//! The notifier with the services that it uses, and one attempt at a receiver.

use aws_adapters::{secrets::SecretVault, webhook_queue::WebhookQueueClient};
use domain::{
    configuration::ConfigurationKey,
    notice_id::NoticeId,
    webhook::{
        Webhook,
        delivery::WebhookBody,
        failure::WebhookFailure,
        test::{WebhookTest, WebhookTestOutcome, WebhookTestResult},
    },
};
use export_engine::ports::PortError;
use futures::future::try_join_all;
use host::{Clock, Machine};

use crate::{
    sender::Sender,
    signature::{self, SignedHeaders},
};

#[derive(Debug)]
pub(crate) struct Notifier {
    pub(crate) vault: SecretVault,
    pub(crate) queue: WebhookQueueClient,
    pub(crate) sender: Sender,
    pub(crate) machine: Machine,
}

/// The reason why a receiver has not accepted a notice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AttemptFailure {
    Receiver(WebhookFailure),
    /// A failure of the service: nothing was sent.
    Service(PortError),
}

impl From<WebhookFailure> for AttemptFailure {
    fn from(failure: WebhookFailure) -> Self {
        Self::Receiver(failure)
    }
}

impl From<PortError> for AttemptFailure {
    fn from(error: PortError) -> Self {
        Self::Service(error)
    }
}

/// A notice for one configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice<'a> {
    pub(crate) key: &'a ConfigurationKey,
    pub(crate) id: &'a NoticeId,
    pub(crate) body: &'a WebhookBody,
}

impl Notifier {
    /// Signs a notice and sends it to a receiver, once. Returns the status with which it was accepted.
    ///
    /// # Errors
    /// Those of the receiver, and of KMS.
    pub(crate) async fn attempt(&self, notice: Notice<'_>, webhook: &Webhook) -> Result<u16, AttemptFailure> {
        let secret = self.vault.open_webhook(notice.key, &webhook.sealed_secret).await?;
        let headers: SignedHeaders = signature::sign(&secret, notice.id, self.machine.now(), notice.body)
            .map_err(|error| PortError::internal_from("sign webhook", error))?;
        Ok(self.sender.post(&webhook.url, &headers, notice.body).await?)
    }

    /// Sends a test to all receivers at once.
    pub(crate) async fn test(&self, test: &WebhookTest) -> Result<Vec<WebhookTestResult>, PortError> {
        let notice = Notice { key: &test.key, id: &test.notice_id, body: &test.body };
        let results = test.webhooks.iter().map(async |webhook| {
            let outcome = match self.attempt(notice, webhook).await {
                Ok(status) => WebhookTestOutcome::Delivered(status),
                Err(AttemptFailure::Receiver(failure)) => WebhookTestOutcome::Failed(failure),
                Err(AttemptFailure::Service(error)) => return Err(error),
            };
            let (tenant, configuration) = (&test.key.tenant_id, &test.key.configuration_id);
            tracing::info!(%tenant, %configuration, host = webhook.url.host(), ?outcome, "a webhook was tested");
            Ok::<_, PortError>(WebhookTestResult { url: webhook.url.clone(), outcome })
        });
        try_join_all(results).await
    }
}
