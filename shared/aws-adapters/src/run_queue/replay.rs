//! Messages of replays, which share the queue of manual runs.

use std::time::Duration;

use domain::replay::ReplayMessage;
use export_engine::ports::PortError;

use super::RunQueueClient;

impl RunQueueClient {
    /// Sends the message of a replay, which becomes visible after `delay`, 15 minutes at most.
    ///
    /// # Errors
    /// Those of SQS.
    pub async fn send_replay(&self, message: &ReplayMessage, delay: Duration) -> Result<(), PortError> {
        self.send_body("sqs:SendMessage (replay)", message, &message.replay.tenant_id, delay).await
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
