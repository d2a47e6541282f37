//! Messages of replays, which share the queue of manual runs.

use std::time::Duration;

use domain::replay::ReplayMessage;
use export_engine::ports::PortError;

use super::{MAX_DELAY, RunQueueClient};
use crate::error::port_error;

impl RunQueueClient {
    /// Sends the message of a replay, which becomes visible after `delay`, 15 minutes at most.
    ///
    /// # Errors
    /// Those of SQS.
    pub async fn send_replay(&self, message: &ReplayMessage, delay: Duration) -> Result<(), PortError> {
        let operation = "sqs:SendMessage (replay)";
        let body = serde_json::to_string(message).map_err(|error| PortError::internal_from(operation, error))?;
        self.client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .message_group_id(message.replay.tenant_id.as_str())
            .delay_seconds(i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| port_error(operation, error))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{Client, operation::send_message::SendMessageOutput};
    use aws_smithy_mocks::{mock, mock_client};
    use domain::replay::test_support::replay;

    use super::*;

    #[tokio::test]
    async fn a_replay_is_sent_in_the_group_of_its_tenant() {
        let rule = mock!(Client::send_message)
            .match_requests(|input| {
                let message = serde_json::from_str::<ReplayMessage>(input.message_body().unwrap_or_default());
                message.is_ok_and(|message| message == replay().message())
                    && input.message_group_id() == Some("acme")
                    && input.delay_seconds() == Some(90)
            })
            .then_output(|| SendMessageOutput::builder().build());
        let queue = RunQueueClient::new(mock_client!(aws_sdk_sqs, [&rule]), "queue".to_owned());
        assert_eq!(queue.send_replay(&replay().message(), Duration::from_secs(90)).await, Ok(()));
    }
}
