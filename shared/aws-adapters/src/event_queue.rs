//! The queue of events, as far as ingest changes its messages.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::ChangeMessageVisibilityBatchRequestEntry};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use export_engine::ports::PortError;

use crate::error::{port_error, refuse_failed};

/// The time limit of one change of a batch, including its retries. An invocation reserves this time.
pub const REDELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(900);

const MAX_ATTEMPTS: u32 = 2;

const OPERATION: &str = "sqs:ChangeMessageVisibility";

/// A message that was received and not stored, and the delay before it is visible again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelivery {
    pub receipt_handle: String,
    pub delay: Duration,
}

/// Changes the visibility of messages in the audit-events queue.
#[derive(Clone, Debug)]
pub struct EventQueueClient {
    client: Client,
    queue_url: String,
}

impl EventQueueClient {
    /// The most messages of one request:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html>.
    pub const MAX_BATCH: usize = 10;

    /// Creates a client with the time-outs above.
    #[must_use]
    pub fn new(shared: &SdkConfig, queue_url: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(REDELIVERY_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let configuration = aws_sdk_sqs::config::Builder::from(shared)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .build();
        Self { client: Client::from_conf(configuration), queue_url }
    }

    /// Makes at most [`MAX_BATCH`](Self::MAX_BATCH) messages visible after their delays.
    ///
    /// # Errors
    /// Transient or internal, also if only some of the messages were not changed. These come back after the queue's
    /// visibility time-out.
    pub async fn show_again(&self, batch: &[Redelivery]) -> Result<(), PortError> {
        let entries = batch.iter().enumerate().map(|(index, redelivery)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&redelivery.receipt_handle)
                .visibility_timeout(i32::try_from(redelivery.delay.as_secs()).unwrap_or(i32::MAX))
                .build()
                .map_err(|error| PortError::internal_from(OPERATION, error))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let answer = self
            .client
            .change_message_visibility_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| port_error(OPERATION, error))?;
        refuse_failed(OPERATION, &answer.failed)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        operation::change_message_visibility_batch::ChangeMessageVisibilityBatchOutput, types::BatchResultErrorEntry,
    };
    use aws_smithy_mocks::{mock, mock_client};
    use export_engine::ports::ErrorKind;

    use super::*;

    fn redelivery(number: u32, seconds: u64) -> Redelivery {
        Redelivery { receipt_handle: format!("receipt-{number}"), delay: Duration::from_secs(seconds) }
    }

    async fn show_again(failed: Vec<BatchResultErrorEntry>) -> Result<(), PortError> {
        let rule = mock!(Client::change_message_visibility_batch)
            .match_requests(|input| {
                let entries: Vec<_> = input
                    .entries()
                    .iter()
                    .map(|entry| (entry.id(), entry.receipt_handle(), entry.visibility_timeout()))
                    .collect();
                input.queue_url() == Some("queue")
                    && entries == [("0", "receipt-1", Some(0)), ("1", "receipt-2", Some(90))]
            })
            .then_output(move || {
                ChangeMessageVisibilityBatchOutput::builder()
                    .set_successful(Some(Vec::new()))
                    .set_failed(Some(failed.clone()))
                    .build()
                    .unwrap()
            });
        let queue = EventQueueClient { client: mock_client!(aws_sdk_sqs, [&rule]), queue_url: "queue".to_owned() };
        queue.show_again(&[redelivery(1, 0), redelivery(2, 90)]).await
    }

    #[tokio::test]
    async fn each_message_gets_its_own_delay_and_one_that_was_not_changed_is_an_error() {
        assert_eq!(show_again(Vec::new()).await, Ok(()));
        let failed =
            BatchResultErrorEntry::builder().id("1").code("ReceiptHandleIsInvalid").sender_fault(true).build().unwrap();
        let error = show_again(vec![failed]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert_eq!(error.detail, "1 of the batch failed, the first with ReceiptHandleIsInvalid");
    }
}
