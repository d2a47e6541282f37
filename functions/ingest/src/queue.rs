//! Messages of the audit-events queue. Each holds events of one tenant, whom its attribute `tenantId` names.

use std::time::Duration;

use aws::{
    event_queue::{REDELIVERY_TIMEOUT, Redelivery},
    events::writer::WRITE_OPERATION_TIMEOUT,
};
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
    intake::{BlockStore, Intake, IntakeError},
    redelivery::{self, FailureKind, MessageQueue},
};

const TENANT_ATTRIBUTE: &str = "tenantId";

const RECEIVES_ATTRIBUTE: &str = "ApproximateReceiveCount";

/// The most bytes of events that are written together: with one tenant's messages shared blocks fill up, and what one
/// request may hold fits into one transaction.
const MAX_GROUP_LENGTH: usize = MAX_BODY_LENGTH;

/// The most groups that are written at the same time.
const MAX_CONCURRENT_WRITES: usize = 8;

/// A write is begun only if it can end this long before the invocation does, beside the time that redelivery may take.
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
    messages: Vec<Received>,
}

/// A message as far as its redelivery is concerned.
struct Received {
    id: String,
    receipt_handle: Option<String>,
    /// How often it has been received, this time included.
    receives: u32,
}

impl Received {
    fn of(message: &SqsMessage) -> Self {
        let receives = message.attributes.get(RECEIVES_ATTRIBUTE).and_then(|count| count.parse().ok());
        Self {
            // Lambda takes an empty id for all messages of the batch, which is right for one that can't be named.
            id: message.message_id.clone().unwrap_or_default(),
            receipt_handle: message.receipt_handle.clone(),
            receives: receives.unwrap_or(1),
        }
    }
}

/// Messages that were not stored, for one reason.
struct Failure {
    kind: FailureKind,
    messages: Vec<Received>,
}

/// Stores the events of all messages that can be stored; answers which messages could not. A message fails alone, unless
/// the write that it shares with others does. The queue shows what failed again when a further try makes sense.
pub(crate) async fn store<S: BlockStore, H: Host, Q: MessageQueue>(
    intake: &Intake<S, H>,
    queue: &Q,
    messages: Vec<SqsMessage>,
    deadline: Timestamp,
) -> SqsBatchResponse {
    let (groups, refused) = group(messages);
    let last_start = deadline.saturating_sub(WRITE_OPERATION_TIMEOUT + REDELIVERY_TIMEOUT + TIME_TO_ANSWER);
    let mut failures: Vec<Failure> = stream::iter(groups)
        .map(|group| write(intake, group, last_start))
        .buffer_unordered(MAX_CONCURRENT_WRITES)
        .filter_map(std::future::ready)
        .collect()
        .await;
    failures.push(Failure { kind: FailureKind::Refused, messages: refused });

    let mut response = SqsBatchResponse::default();
    let mut redeliveries = Vec::new();
    for Failure { kind, messages } in failures {
        for Received { id, receipt_handle, receives } in messages {
            let delay = redelivery::delay(kind, receives, intake.host.random());
            redeliveries.extend(receipt_handle.map(|receipt_handle| Redelivery { receipt_handle, delay }));
            response.add_failure(id);
        }
    }
    redelivery::show_again(queue, &redeliveries).await;
    response
}

/// Reads every message; puts those of one tenant together. Also answers which can't be read.
fn group(messages: Vec<SqsMessage>) -> (Vec<Group>, Vec<Received>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut refused = Vec::new();
    for message in messages {
        let received = Received::of(&message);
        match read(&message) {
            Ok(events) => {
                let room = groups.iter_mut().find(|group| {
                    group.events.tenant() == events.tenant()
                        && group.events.stored_length() + events.stored_length() <= MAX_GROUP_LENGTH
                });
                match room {
                    Some(group) => {
                        group.events.append(&events);
                        group.messages.push(received);
                    }
                    None => groups.push(Group { events, messages: vec![received] }),
                }
            }
            Err(error) => {
                let rejected = if let MessageError::Rejected(rejected) = &error { Some(rejected) } else { None };
                tracing::warn!(
                    messageId = received.id,
                    code = error.code().name(),
                    tenant = tenant_attribute(&message),
                    eventIndex = rejected.and_then(|rejected| rejected.event_index),
                    line = rejected.and_then(|rejected| rejected.line),
                    %error,
                    "a message was refused"
                );
                refused.push(received);
            }
        }
    }
    (groups, refused)
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

/// Writes one group; answers its messages if that failed.
async fn write<S: BlockStore, H: Host>(intake: &Intake<S, H>, group: Group, last_start: Timestamp) -> Option<Failure> {
    let tenant = group.events.tenant().as_str();
    if intake.host.now() > last_start {
        tracing::warn!(
            tenant,
            messages = group.messages.len(),
            code = ErrorCode::OutOfTime.name(),
            "messages were put off"
        );
        return Some(Failure { kind: FailureKind::PutOff, messages: group.messages });
    }
    match intake.accept(&group.events, None).await {
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(
                tenant,
                messages = group.messages.len(),
                code = error.code().name(),
                "messages were put off"
            );
            // One message that is too large by itself stays so.
            let is_refused = error == IntakeError::TooLarge && group.messages.len() == 1;
            let kind = if is_refused { FailureKind::Refused } else { FailureKind::PutOff };
            Some(Failure { kind, messages: group.messages })
        }
    }
}
