//! The queues from which the exporter's runs are started.
//!
//! They are standard queues. Each message names its tenant as its group, so that SQS delivers the messages of quiet tenants
//! before those of a noisy one (fair queues):
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>.

mod replay;

use std::time::Duration;

use aws_sdk_sqs::Client;
use domain::{
    export_run::RunRequest,
    repair::{RepairMessage, RepairRequest},
    tenant::TenantId,
};
use export_engine::ports::{PortError, RunQueue};
use serde::Serialize;

use crate::{
    error::port_error,
    send_batch::{self, send_batch, send_later},
};

/// Sends run requests.
#[derive(Clone, Debug)]
pub struct RunQueueClient {
    client: Client,
    queue_url: String,
}

impl RunQueueClient {
    #[must_use]
    pub fn new(client: Client, queue_url: String) -> Self {
        Self { client, queue_url }
    }
}

impl RunQueueClient {
    /// Makes a received message visible after `delay`.
    ///
    /// # Errors
    /// Those of SQS; the message then keeps its visibility time-out.
    pub async fn show_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), PortError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("sqs:ChangeMessageVisibility", error))
    }
}

impl RunQueueClient {
    /// Sends a request that becomes visible after `delay`, 15 minutes at most.
    ///
    /// # Errors
    /// Those of SQS.
    pub async fn send_later(&self, request: &RunRequest, delay: Duration) -> Result<(), PortError> {
        self.send_body("sqs:SendMessage (later)", request, &request.key.tenant_id, delay).await
    }

    /// Sends a request for a repair that becomes visible after `delay`, 15 minutes at most.
    ///
    /// # Errors
    /// Those of SQS.
    pub async fn send_repair(&self, request: &RepairRequest, delay: Duration) -> Result<(), PortError> {
        let message = RepairMessage { repair: request.clone() };
        self.send_body("sqs:SendMessage (repair)", &message, &request.key.tenant_id, delay).await
    }

    async fn send_body(
        &self,
        operation: &'static str,
        body: &impl Serialize,
        tenant: &TenantId,
        delay: Duration,
    ) -> Result<(), PortError> {
        send_later(&self.client, &self.queue_url, operation, (tenant, body), delay).await
    }
}

impl RunQueue for RunQueueClient {
    const MAX_BATCH: usize = send_batch::MAX_BATCH;

    async fn send(&self, batch: &[RunRequest]) -> Result<(), PortError> {
        let messages = batch.iter().map(|request| (&request.key.tenant_id, request));
        send_batch(&self.client, &self.queue_url, "sqs:SendMessage", messages).await
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        operation::{send_message::SendMessageOutput, send_message_batch::SendMessageBatchOutput},
        types::{BatchResultErrorEntry, SendMessageBatchRequestEntry},
    };
    use aws_smithy_mocks::{mock, mock_client};
    use domain::{
        configuration::{ConfigurationId, ConfigurationKey},
        export_run::RunTrigger,
        repair::RepairId,
        tenant::TenantId,
        time::Timestamp,
    };
    use export_engine::ports::ErrorKind;

    use super::*;

    fn request(number: u8) -> RunRequest {
        let key = ConfigurationKey {
            tenant_id: TenantId::parse(&format!("tenant-{number}")).unwrap(),
            configuration_id: ConfigurationId::from_bytes([number; 16]),
        };
        RunRequest::new(key, Timestamp::EPOCH, RunTrigger::Schedule)
    }

    async fn send(failed: Option<Vec<BatchResultErrorEntry>>) -> Result<(), PortError> {
        let rule = mock!(Client::send_message_batch)
            .match_requests(|input| {
                let requests: Vec<RunRequest> =
                    input.entries().iter().map(|entry| serde_json::from_str(entry.message_body()).unwrap()).collect();
                let groups: Vec<_> =
                    input.entries().iter().map(SendMessageBatchRequestEntry::message_group_id).collect();
                requests == [request(1), request(2)] && groups == [Some("tenant-1"), Some("tenant-2")]
            })
            .then_output(move || {
                let answer = SendMessageBatchOutput::builder().set_successful(Some(Vec::new()));
                answer.set_failed(Some(failed.clone().unwrap_or_default())).build().unwrap()
            });
        let queue = RunQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
        queue.send(&[request(1), request(2)]).await
    }

    /// SQS shares a queue out fairly by the group of its messages:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>.
    #[tokio::test]
    async fn a_request_is_sent_later_in_the_group_of_its_tenant() {
        for (delay, seconds) in [(12, 12), (900, 900), (901, 900)] {
            let deferred = request(1).deferred();
            let expected = deferred.clone();
            let rule = mock!(Client::send_message)
                .match_requests(move |input| {
                    serde_json::from_str::<RunRequest>(input.message_body().unwrap()).unwrap() == expected
                        && input.message_group_id() == Some("tenant-1")
                        && input.delay_seconds() == Some(seconds)
                        && input.queue_url() == Some("queue")
                })
                .then_output(|| SendMessageOutput::builder().build());
            let queue = RunQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
            assert_eq!(queue.send_later(&deferred, Duration::from_secs(delay)).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_repair_is_sent_in_the_group_of_its_tenant() {
        let repair = RepairRequest { key: request(1).key, repair_id: RepairId::from_random(1) };
        let expected = RepairMessage { repair: repair.clone() };
        let rule = mock!(Client::send_message)
            .match_requests(move |input| {
                serde_json::from_str::<RepairMessage>(input.message_body().unwrap()).unwrap() == expected
                    && input.message_group_id() == Some("tenant-1")
                    && input.queue_url() == Some("queue")
            })
            .then_output(|| SendMessageOutput::builder().build());
        let queue = RunQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
        assert_eq!(queue.send_repair(&repair, Duration::ZERO).await, Ok(()));
    }

    /// The group of a message is all that SQS knows of its tenant.
    #[test]
    fn every_tenant_can_be_a_group() {
        // Of a message group: at most 128 letters, digits and punctuation characters,
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
        let longest = "a".repeat(domain::tenant::MAX_TENANT_ID_LENGTH);
        assert!(TenantId::parse(&longest).is_ok() && longest.len() <= 128);
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric() && !byte.is_ascii_punctuation()) {
            assert!(TenantId::parse(&format!("a{}", char::from(byte))).is_err(), "{byte}");
        }
    }

    #[tokio::test]
    async fn a_batch_that_was_taken_in_part_has_failed() {
        assert_eq!(send(None).await, Ok(()));
        let failed =
            BatchResultErrorEntry::builder().id("1").code("InternalError").sender_fault(false).build().unwrap();
        let error = send(Some(vec![failed])).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert_eq!(error.detail, "1 of the batch failed, the first with InternalError");
    }
}
