//! Messages to SQS, in batches or later.

use std::time::Duration;

use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};
use domain::tenant::TenantId;
use export_engine::ports::PortError;
use serde::Serialize;

use crate::error::{port_error, refuse_failed};

/// The most messages of a batch:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.
pub(crate) const MAX_BATCH: usize = 10;

/// The longest delay that SQS accepts:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
pub(crate) const MAX_DELAY: Duration = Duration::from_mins(15);

/// Sends at most [`MAX_BATCH`] messages, each in the group of its tenant.
///
/// # Errors
/// Those of SQS. Some of the messages may have been sent.
pub(crate) async fn send_batch<'a, T: Serialize + 'a>(
    client: &Client,
    queue_url: &str,
    operation: &'static str,
    batch: impl IntoIterator<Item = (&'a TenantId, &'a T)>,
) -> Result<(), PortError> {
    let entries = batch.into_iter().enumerate().map(|(index, (tenant, message))| {
        let body = serde_json::to_string(message).map_err(|error| PortError::internal_from(operation, error))?;
        SendMessageBatchRequestEntry::builder()
            .id(index.to_string())
            .message_body(body)
            .message_group_id(tenant.as_str())
            .build()
            .map_err(|error| PortError::internal_from(operation, error))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let request = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries));
    let answer = request.send().await.map_err(|error| port_error(operation, error))?;
    refuse_failed(operation, &answer.failed)
}

/// Sends a message in the group of its tenant. It becomes visible after `delay`, [`MAX_DELAY`] at most, and never before.
///
/// # Errors
/// Those of SQS.
pub(crate) async fn send_later(
    client: &Client,
    queue_url: &str,
    operation: &'static str,
    (tenant, message): (&TenantId, &impl Serialize),
    delay: Duration,
) -> Result<(), PortError> {
    let body = serde_json::to_string(message).map_err(|error| PortError::internal_from(operation, error))?;
    // Rounded up to seconds.
    let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
    client
        .send_message()
        .queue_url(queue_url)
        .message_body(body)
        .message_group_id(tenant.as_str())
        .delay_seconds(i32::try_from(seconds).unwrap_or(i32::MAX))
        .send()
        .await
        .map(|_| ())
        .map_err(|error| port_error(operation, error))
}
