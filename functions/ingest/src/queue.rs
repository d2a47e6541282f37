//! Messages of the audit-events queue. Each holds events of one tenant, whom its attribute `tenantId` names.

use std::time::Duration;

use aws::events::writer::WRITE_OPERATION_TIMEOUT;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use domain::{
    error_code::ErrorCode,
    event::{BodyForm, EventBatch, MAX_BODY_LENGTH, RejectedEvents},
    tenant::TenantId,
    time::Timestamp,
};
use futures::{StreamExt, stream};

use crate::{
    host::Host,
    intake::{BlockStore, Intake},
};

const TENANT_ATTRIBUTE: &str = "tenantId";

/// The most bytes of events that are written together: with one tenant's messages shared blocks fill up, and what one
/// request may hold fits into one transaction.
const MAX_GROUP_LENGTH: usize = MAX_BODY_LENGTH;

/// The most groups that are written at the same time.
const MAX_CONCURRENT_WRITES: usize = 8;

/// A write is begun only if it can end this long before the invocation does.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// Why a message is not taken. It comes back, and goes to the dead-letter queue in the end.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("the message has no attribute tenantId of type String")]
    TenantMissing,
    #[error("the attribute tenantId is no tenant's id")]
    TenantInvalid,
    #[error(transparent)]
    Rejected(#[from] RejectedEvents),
}

impl MessageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TenantMissing => ErrorCode::TenantMissing,
            Self::TenantInvalid => ErrorCode::TenantInvalid,
            Self::Rejected(rejected) => rejected.reason.code(),
        }
    }
}

/// Events that are written together, and the messages they came in.
struct Group {
    events: EventBatch,
    message_ids: Vec<String>,
}

/// Stores the events of all messages that can be stored; answers which messages could not. A message fails alone, unless
/// the write that it shares with others does.
pub(crate) async fn store<S: BlockStore, H: Host>(
    intake: &Intake<S, H>,
    messages: Vec<SqsMessage>,
    deadline: Timestamp,
) -> SqsBatchResponse {
    let (groups, mut failed) = group(messages);
    let last_start = deadline.saturating_sub(WRITE_OPERATION_TIMEOUT + TIME_TO_ANSWER);
    let unwritten: Vec<Vec<String>> = stream::iter(groups)
        .map(|group| write(intake, group, last_start))
        .buffer_unordered(MAX_CONCURRENT_WRITES)
        .collect()
        .await;
    failed.extend(unwritten.into_iter().flatten());

    let mut response = SqsBatchResponse::default();
    for message_id in failed {
        response.add_failure(message_id);
    }
    response
}

/// Reads every message; puts those of one tenant together. Also answers which can't be read.
fn group(messages: Vec<SqsMessage>) -> (Vec<Group>, Vec<String>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut failed = Vec::new();
    for message in messages {
        // Lambda takes an empty id for all messages of the batch, which is right for one that can't be named.
        let message_id = message.message_id.clone().unwrap_or_default();
        match read(&message) {
            Ok(events) => {
                let room = groups.iter_mut().find(|group| {
                    group.events.tenant() == events.tenant()
                        && group.events.stored_length() + events.stored_length() <= MAX_GROUP_LENGTH
                });
                match room {
                    Some(group) => {
                        group.events.append(&events);
                        group.message_ids.push(message_id);
                    }
                    None => groups.push(Group { events, message_ids: vec![message_id] }),
                }
            }
            Err(error) => {
                let rejected = if let MessageError::Rejected(rejected) = &error { Some(rejected) } else { None };
                tracing::warn!(
                    messageId = message_id,
                    code = error.code().name(),
                    tenant = tenant_attribute(&message),
                    eventIndex = rejected.and_then(|rejected| rejected.event_index),
                    line = rejected.and_then(|rejected| rejected.line),
                    %error,
                    "a message was refused"
                );
                failed.push(message_id);
            }
        }
    }
    (groups, failed)
}

fn read(message: &SqsMessage) -> Result<EventBatch, MessageError> {
    let tenant = tenant_attribute(message).ok_or(MessageError::TenantMissing)?;
    let tenant = TenantId::parse(tenant).map_err(|_| MessageError::TenantInvalid)?;
    let body = message.body.as_deref().unwrap_or_default();
    Ok(EventBatch::parse(tenant, body.as_bytes(), BodyForm::Any)?)
}

fn tenant_attribute(message: &SqsMessage) -> Option<&str> {
    let attribute = message.message_attributes.get(TENANT_ATTRIBUTE)?;
    // A custom label may follow the type.
    let is_text = attribute.data_type.as_deref().is_some_and(|kind| kind == "String" || kind.starts_with("String."));
    attribute.string_value.as_deref().filter(|_| is_text)
}

/// Writes one group; answers the messages that it failed.
async fn write<S: BlockStore, H: Host>(intake: &Intake<S, H>, group: Group, last_start: Timestamp) -> Vec<String> {
    let tenant = group.events.tenant().as_str();
    if intake.host.now() > last_start {
        tracing::warn!(
            tenant,
            messages = group.message_ids.len(),
            code = ErrorCode::OutOfTime.name(),
            "messages were put off"
        );
        return group.message_ids;
    }
    match intake.accept(&group.events, None).await {
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::warn!(
                tenant,
                messages = group.message_ids.len(),
                code = error.code().name(),
                "messages were put off"
            );
            group.message_ids
        }
    }
}
