//! The queue from which the exporter's runs are started.

use std::time::Duration;

use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};
use domain::export_run::RunRequest;
use export::ports::{PortError, RunQueue};

use crate::error::port_error;

/// The most entries of one `SendMessageBatch`:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.
const MAX_BATCH: usize = 10;

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
    /// Shows a message again after `delay`, so that a retry doesn't wait for the whole visibility time-out.
    ///
    /// # Errors
    /// Those of SQS; the message then comes back later by itself.
    pub async fn retry_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), PortError> {
        self.client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error("sqs:ChangeMessageVisibility", &error))
    }
}

impl RunQueue for RunQueueClient {
    async fn send(&self, requests: &[RunRequest]) -> Result<(), PortError> {
        let operation = "sqs:SendMessage";
        for batch in requests.chunks(MAX_BATCH) {
            let entries = batch.iter().enumerate().map(|(index, request)| {
                let body = serde_json::to_string(request)
                    .map_err(|error| PortError::internal(operation, error.to_string()))?;
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(body)
                    .build()
                    .map_err(|error| PortError::internal(operation, error.to_string()))
            });
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| port_error(operation, &error))?;
            if let Some(failed) = answer.failed.first() {
                let count = answer.failed.len();
                return Err(PortError::transient(operation, format!("{count} not sent, the first: {}", failed.code)));
            }
        }
        Ok(())
    }
}
