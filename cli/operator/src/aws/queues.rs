//! Queues, and moves of messages between them.

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use super::{
    Aws,
    answer::{call, incomplete},
};
use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind},
    ports::{MessageMoves, MoveProgress, QueueState, Queues},
};

/// The most messages of a batch:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.
const BATCH: i32 = 10;

/// Seconds for which received messages are hidden, so that each is sent and deleted before it shows again.
const HIDDEN_SECONDS: i32 = 60;

impl Queues for Aws {
    async fn queue(&self, url: &str) -> Result<QueueState, CallFailure> {
        use QueueAttributeName as Name;
        let names = [
            Name::QueueArn,
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let attributes = call(Call::GetQueueAttributes, request.send()).await?.attributes.unwrap_or_default();
        let text =
            |name: Name| attributes.get(&name).ok_or_else(|| incomplete(Call::GetQueueAttributes, name.as_str()));
        let number = |name: Name| text(name).map(|text| text.parse().unwrap_or_default());
        Ok(QueueState {
            arn: text(Name::QueueArn)?.clone(),
            visible: number(Name::ApproximateNumberOfMessages)?,
            in_flight: number(Name::ApproximateNumberOfMessagesNotVisible)?,
            delayed: number(Name::ApproximateNumberOfMessagesDelayed)?,
        })
    }
}

impl MessageMoves for Aws {
    async fn start_move(&self, source_arn: &str, destination_arn: &str) -> Result<(), CallFailure> {
        let request = self.sqs.start_message_move_task().source_arn(source_arn).destination_arn(destination_arn);
        call(Call::StartMessageMoveTask, request.send()).await.map(drop)
    }

    async fn progress(&self, source_arn: &str) -> Result<Option<MoveProgress>, CallFailure> {
        let request = self.sqs.list_message_move_tasks().source_arn(source_arn).max_results(1);
        let tasks = call(Call::ListMessageMoveTasks, request.send()).await?.results.unwrap_or_default();
        Ok(tasks.into_iter().next().map(|task| MoveProgress {
            status: task.status.unwrap_or_default(),
            moved: u64::try_from(task.approximate_number_of_messages_moved).unwrap_or_default(),
            reason: task.failure_reason,
        }))
    }

    async fn move_some(&self, source_url: &str, destination_url: &str) -> Result<u64, CallFailure> {
        let request = self
            .sqs
            .receive_message()
            .queue_url(source_url)
            .max_number_of_messages(BATCH)
            .visibility_timeout(HIDDEN_SECONDS)
            .wait_time_seconds(1)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
        let messages = call(Call::ReceiveMessage, request.send()).await?.messages.unwrap_or_default();
        if messages.is_empty() {
            return Ok(0);
        }
        let entries = messages.iter().enumerate().map(|(index, message)| sent_again(index, message));
        let entries = Some(entries.collect::<Result<Vec<_>, _>>()?);
        let request = self.sqs.send_message_batch().queue_url(destination_url).set_entries(entries);
        let sent = call(Call::SendMessage, request.send()).await?;
        // A message that was not sent shows again in its queue.
        let entries = sent.successful.iter().filter_map(|entry| {
            let handle = messages.get(entry.id.parse::<usize>().ok()?)?.receipt_handle.as_deref()?;
            DeleteMessageBatchRequestEntry::builder().id(&entry.id).receipt_handle(handle).build().ok()
        });
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            let request = self.sqs.delete_message_batch().queue_url(source_url).set_entries(Some(entries));
            let deleted = call(Call::DeleteMessage, request.send()).await?;
            if let Some(kept) = deleted.failed.first() {
                return Err(refused(Call::DeleteMessage, &kept.code));
            }
        }
        match sent.failed.first() {
            None => Ok(sent.successful.len() as u64),
            Some(failed) => Err(refused(Call::SendMessage, &failed.code)),
        }
    }
}

/// Returns the entry that sends a message with its attributes and its group, which name the tenant.
fn sent_again(index: usize, message: &Message) -> Result<SendMessageBatchRequestEntry, CallFailure> {
    let group = message.attributes.as_ref().and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId));
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .set_message_body(message.body.clone())
        .set_message_attributes(message.message_attributes.clone())
        .set_message_group_id(group.cloned())
        .build()
        .map_err(|error| refused(Call::SendMessage, &error.to_string()))
}

fn refused(call: Call, detail: &str) -> CallFailure {
    CallFailure { call, kind: CallFailureKind::Refused, detail: format!("some messages stayed: {detail}") }
}
