//! The queue of deliveries to customers' webhooks.
//!
//! It is a standard queue. Each message names its tenant as its group, so that the deliveries of a tenant with many or slow
//! receivers don't hold up those of others (fair queues, see [`crate::run_queue`]).

use std::time::Duration;

use aws_sdk_sqs::Client;
use domain::webhook::delivery::WebhookDelivery;
use export_engine::ports::{PortError, WebhookDeliveries};

use crate::send_batch::{MAX_BATCH, send_batch, send_later};

/// Sends deliveries, at once or later.
#[derive(Clone, Debug)]
pub struct WebhookQueueClient {
    client: Client,
    queue_url: String,
}

impl WebhookQueueClient {
    #[must_use]
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }

    /// Sends at most 10 deliveries, of at most 20 KiB each; a batch may have 1 MiB.
    ///
    /// # Errors
    /// Those of SQS. Some of the deliveries may have been sent.
    pub async fn send(&self, batch: &[WebhookDelivery]) -> Result<(), PortError> {
        let messages = batch.iter().map(|delivery| (&delivery.tenant_id, delivery));
        send_batch(&self.client, &self.queue_url, "sqs:SendMessage (webhooks)", messages).await
    }

    /// Sends a delivery that becomes visible after `delay`, 15 minutes at most, and never before.
    ///
    /// # Errors
    /// Those of SQS.
    pub async fn send_later(&self, delivery: &WebhookDelivery, delay: Duration) -> Result<(), PortError> {
        let message = (&delivery.tenant_id, delivery);
        send_later(&self.client, &self.queue_url, "sqs:SendMessage (webhook again)", message, delay).await
    }
}

impl WebhookDeliveries for WebhookQueueClient {
    async fn send(&self, deliveries: &[WebhookDelivery]) -> Result<(), PortError> {
        for batch in deliveries.chunks(MAX_BATCH) {
            self.send(batch).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        operation::{send_message::SendMessageOutput, send_message_batch::SendMessageBatchOutput},
        types::SendMessageBatchRequestEntry,
    };
    use aws_smithy_mocks::{mock, mock_client};
    use domain::{
        configuration::ConfigurationId,
        customer_server::CustomerServers,
        notice_id::NoticeId,
        tenant::TenantId,
        time::Timestamp,
        webhook::{
            SealedWebhookSecret, Webhook, WebhookUrl,
            delivery::{MAX_WEBHOOK_BODY_BYTES, WebhookBody},
            url::MAX_WEBHOOK_URL_LENGTH,
        },
    };

    use super::*;

    fn delivery(tenant: &str) -> WebhookDelivery {
        let url = format!("https://a.example/{}", "a".repeat(MAX_WEBHOOK_URL_LENGTH - 18));
        WebhookDelivery {
            notice_id: NoticeId::parse("notice-1").unwrap(),
            tenant_id: TenantId::parse(tenant).unwrap(),
            configuration_id: ConfigurationId::from_bytes([1; 16]),
            webhook: Webhook {
                url: WebhookUrl::parse_for(CustomerServers::Public, &url).unwrap(),
                sealed_secret: SealedWebhookSecret::from_ciphertext(vec![0; 512]),
            },
            body: WebhookBody::new("\"".repeat(MAX_WEBHOOK_BODY_BYTES)).unwrap(),
            created_at: Timestamp::EPOCH,
            next_attempt_at: Some(Timestamp::EPOCH),
        }
    }

    #[tokio::test]
    async fn a_delivery_is_sent_in_the_group_of_its_tenant() {
        let rule = mock!(Client::send_message_batch)
            .match_requests(|input| {
                let entries = input.entries();
                let read = |entry: &SendMessageBatchRequestEntry| serde_json::from_str(entry.message_body()).unwrap();
                let deliveries: Vec<WebhookDelivery> = entries.iter().map(read).collect();
                let groups: Vec<_> = entries.iter().map(SendMessageBatchRequestEntry::message_group_id).collect();
                // A batch of the longest deliveries fits into SQS's limit.
                entries.iter().all(|entry| entry.message_body().len() < (1 << 20) / MAX_BATCH)
                    && deliveries == [delivery("acme"), delivery("zenith")]
                    && groups == [Some("acme"), Some("zenith")]
                    && input.queue_url() == Some("queue")
            })
            .then_output(|| {
                let answer = SendMessageBatchOutput::builder().set_successful(Some(Vec::new()));
                answer.set_failed(Some(Vec::new())).build().unwrap()
            });
        let queue = WebhookQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
        assert_eq!(queue.send(&[delivery("acme"), delivery("zenith")]).await, Ok(()));
    }

    #[tokio::test]
    async fn a_delivery_is_sent_later_but_never_before_its_time() {
        for (delay, seconds) in [(5_000, 5), (5_001, 6), (900_000, 900), (900_001, 900), (36_000_000, 900)] {
            let rule = mock!(Client::send_message)
                .match_requests(move |input| {
                    serde_json::from_str::<WebhookDelivery>(input.message_body().unwrap()).unwrap() == delivery("acme")
                        && input.message_group_id() == Some("acme")
                        && input.delay_seconds() == Some(seconds)
                        && input.queue_url() == Some("queue")
                })
                .then_output(|| SendMessageOutput::builder().build());
            let queue = WebhookQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
            assert_eq!(queue.send_later(&delivery("acme"), Duration::from_millis(delay)).await, Ok(()), "{delay}");
        }
    }
}
