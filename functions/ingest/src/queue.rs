//! Messages of the audit-events queue. Each holds events of one tenant, whom its attribute `tenantId` names.

use std::time::Duration;

use aws_adapters::{
    event_queue::{REDELIVERY_TIMEOUT, Redelivery},
    events::writer::{IdempotencyRecord, WRITE_OPERATION_TIMEOUT},
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
    idempotency::record_of_message,
    intake::{Accepted, BlockStore, Intake, IntakeError},
    redelivery::{self, FailureKind, MessageQueue},
};

const TENANT_ATTRIBUTE: &str = "tenantId";

const RECEIVES_ATTRIBUTE: &str = "ApproximateReceiveCount";

/// The most bytes of events that are written together: with one tenant's messages shared blocks fill up, and what one
/// request may hold fits into one transaction.
const MAX_GROUP_LENGTH: usize = MAX_BODY_LENGTH;

/// The most messages that are written together: each has a record in the transaction, which has room for its blocks as well.
const MAX_GROUP_MESSAGES: usize = 64;

/// How often a group is written in which there are messages that were stored before. The first write finds all of them, unless
/// another invocation stores some at the same time.
const MAX_GROUP_WRITES: usize = 3;

/// The most groups that are written at the same time.
const MAX_CONCURRENT_WRITES: usize = 8;

/// A write is begun only if it can end this long before the invocation does, beside the time that redelivery may take.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// Why a message is not taken. It comes back, and goes to the dead-letter queue in the end.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("the message has no ID")]
    Unidentified,
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
            Self::Unidentified => ErrorCode::Internal,
            Self::TenantMissing => ErrorCode::TenantMissing,
            Self::TenantInvalid => ErrorCode::TenantInvalid,
            Self::Rejected(rejected) => rejected.reason.code(),
        }
    }
}

/// Messages of one tenant that are written together.
struct Group {
    messages: Vec<Message>,
}

impl Group {
    fn has_room_for(&self, message: &Message) -> bool {
        let is_same_tenant =
            self.messages.first().is_some_and(|first| first.events.tenant() == message.events.tenant());
        let length: usize = self.messages.iter().map(|message| message.events.stored_length()).sum();
        // A transaction takes one write of an item.
        let is_there_already = self.messages.iter().any(|other| other.received.id == message.received.id);
        is_same_tenant
            && !is_there_already
            && self.messages.len() < MAX_GROUP_MESSAGES
            && length + message.events.stored_length() <= MAX_GROUP_LENGTH
    }

    /// All events in one batch, and the records of the messages.
    fn together(&self) -> Option<(EventBatch, Vec<IdempotencyRecord>)> {
        let (first, others) = self.messages.split_first()?;
        let mut events = first.events.clone();
        for message in others {
            events.append(&message.events);
        }
        Some((events, self.messages.iter().map(|message| message.record.clone()).collect()))
    }

    fn received(self) -> Vec<Received> {
        self.messages.into_iter().map(|message| message.received).collect()
    }
}

/// A message with the events that were read from it.
struct Message {
    received: Received,
    events: EventBatch,
    record: IdempotencyRecord,
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
                let accepted = u64::try_from(events.len()).unwrap_or(u64::MAX);
                let body = message.body.as_deref().unwrap_or_default();
                let record = record_of_message(&received.id, body.as_bytes(), accepted);
                let message = Message { received, events, record };
                match groups.iter_mut().find(|group| group.has_room_for(&message)) {
                    Some(group) => group.messages.push(message),
                    None => groups.push(Group { messages: vec![message] }),
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
    if message.message_id.as_deref().is_none_or(str::is_empty) {
        return Err(MessageError::Unidentified);
    }
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

/// Writes one group; returns its messages if that failed. What was stored before, when a message was delivered for the first time, is
/// left out.
async fn write<S: BlockStore, H: Host>(
    intake: &Intake<S, H>,
    mut group: Group,
    last_start: Timestamp,
) -> Option<Failure> {
    for _ in 0..MAX_GROUP_WRITES {
        let (events, records) = group.together()?;
        let tenant = events.tenant().as_str();
        if intake.host.now() > last_start {
            tracing::warn!(
                tenant,
                messages = records.len(),
                code = ErrorCode::OutOfTime.name(),
                "messages were put off"
            );
            return Some(Failure { kind: FailureKind::PutOff, messages: group.received() });
        }
        match intake.accept(&events, &records).await {
            Ok(Accepted::Now(_)) => return None,
            Ok(Accepted::Before(before)) => {
                let mut index = 0..;
                group.messages.retain(|_| {
                    let own = index.next();
                    before.iter().all(|before| Some(before.index) != own)
                });
            }
            Err(error) => {
                tracing::warn!(tenant, messages = records.len(), code = error.code().name(), "messages were put off");
                // One message that is too large by itself stays so.
                let is_refused = error == IntakeError::TooLarge && records.len() == 1;
                let kind = if is_refused { FailureKind::Refused } else { FailureKind::PutOff };
                return Some(Failure { kind, messages: group.received() });
            }
        }
    }
    if group.messages.is_empty() {
        return None;
    }
    Some(Failure { kind: FailureKind::PutOff, messages: group.received() })
}
