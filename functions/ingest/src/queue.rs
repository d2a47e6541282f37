//! Messages of the queues of events. Each holds events of one tenant.

use std::{borrow::Cow, time::Duration};

use aws_adapters::{
    event_queue::{REDELIVERY_TIMEOUT, Redelivery},
    events::writer::{IdempotencyRecord, WRITE_OPERATION_TIMEOUT},
};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use domain::{
    envelope::{EnvelopeError, Unwrapped},
    error_code::ErrorCode,
    event::{BodyForm, EventBatch, MAX_BODY_LENGTH, RejectedEvents},
    tenant::TenantId,
    time::Timestamp,
};
use futures::{StreamExt, stream};

use crate::{
    expiry::LONGEST_LOOKUP,
    idempotency::record_of_message,
    intake::{AcceptOutcome, Intake, IntakeError},
    ports::{BlockWriter, Host, MessageQueue},
    redelivery::{self, FailureKind},
    source::{MessageForm, Source},
};

const RECEIVES_ATTRIBUTE: &str = "ApproximateReceiveCount";

/// The most bytes of events in one write. Messages of one tenant share blocks, and as many bytes as a request may have
/// fit into one transaction.
const MAX_GROUP_LENGTH: usize = MAX_BODY_LENGTH;

/// The most messages in one write: each has a record in the transaction, which also holds the blocks.
const MAX_GROUP_MESSAGES: usize = 64;

/// The most writes of a group with messages that were stored before. The first write finds all of them, unless another
/// invocation stores some at the same time.
const MAX_GROUP_WRITES: usize = 3;

/// The most concurrent writes.
const MAX_CONCURRENT_WRITES: usize = 8;

/// The time that must remain after a write and the redelivery of messages before the invocation ends.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

/// The reason why a message is refused. SQS moves it to the dead-letter queue after its last receive.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("the message has no ID")]
    Unidentified,
    #[error(transparent)]
    Enveloped(#[from] EnvelopeError),
    #[error("{rejected}")]
    Rejected { tenant: TenantId, rejected: RejectedEvents },
}

impl MessageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unidentified => ErrorCode::Internal,
            Self::Enveloped(EnvelopeError::TenantMissing(_)) => ErrorCode::TenantMissing,
            Self::Enveloped(EnvelopeError::TenantInvalid) => ErrorCode::TenantInvalid,
            Self::Enveloped(EnvelopeError::NoNotification | EnvelopeError::NoBusEvent) => ErrorCode::EnvelopeInvalid,
            Self::Enveloped(EnvelopeError::DeliveredRaw | EnvelopeError::DeliveredInEnvelope) => {
                ErrorCode::TopicDeliveryMismatch
            }
            Self::Rejected { rejected, .. } => rejected.reason.code(),
        }
    }
}

/// Messages of one tenant for one write.
struct Group {
    messages: Vec<Message>,
}

impl Group {
    fn has_room_for(&self, message: &Message) -> bool {
        let is_same_tenant =
            self.messages.first().is_some_and(|first| first.events.tenant() == message.events.tenant());
        let length: usize = self.messages.iter().map(|message| message.events.stored_length()).sum();
        // A transaction can't contain two writes of the same item.
        let is_there_already = self.messages.iter().any(|other| other.received.id == message.received.id);
        is_same_tenant
            && !is_there_already
            && self.messages.len() < MAX_GROUP_MESSAGES
            && length + message.events.stored_length() <= MAX_GROUP_LENGTH
    }

    /// Returns all events in one batch, and the records of the messages. Returns `None` if no message is left.
    fn contents(&self) -> Option<(Cow<'_, EventBatch>, Vec<IdempotencyRecord>)> {
        let (first, others) = self.messages.split_first()?;
        let mut events = Cow::Borrowed(&first.events);
        for message in others {
            events.to_mut().append(&message.events);
        }
        Some((events, self.messages.iter().map(|message| message.record.clone()).collect()))
    }

    fn received(self) -> Vec<Received> {
        self.messages.into_iter().map(|message| message.received).collect()
    }
}

/// A message with its parsed events.
struct Message {
    received: Received,
    events: EventBatch,
    record: IdempotencyRecord,
}

/// The parts of a message that its redelivery needs.
struct Received {
    id: String,
    receipt_handle: Option<String>,
    /// The number of receives, this one included.
    receives: u32,
}

impl Received {
    fn of(message: &SqsMessage) -> Self {
        let receives = message.attributes.get(RECEIVES_ATTRIBUTE).and_then(|count| count.parse().ok());
        Self {
            // Lambda reads an empty ID as a failure of the whole batch, which is correct for a message without an ID.
            id: message.message_id.clone().unwrap_or_default(),
            receipt_handle: message.receipt_handle.clone(),
            receives: receives.unwrap_or(1),
        }
    }
}

/// Messages that were not stored for the same reason.
struct Failure {
    kind: FailureKind,
    messages: Vec<Received>,
}

/// Stores the events of all valid messages, and returns the messages that were not stored. Only messages that share a
/// write fail together. Failed messages become visible again when a further try makes sense.
pub(crate) async fn store<W: BlockWriter, H: Host, Q: MessageQueue>(
    intake: &Intake<W, H>,
    source: &Source<Q>,
    messages: Vec<SqsMessage>,
    deadline: Timestamp,
) -> SqsBatchResponse {
    let Source { form, queue, .. } = source;
    let (groups, refused) = group(form, messages);
    let longest_write = LONGEST_LOOKUP + WRITE_OPERATION_TIMEOUT;
    let last_start = deadline.saturating_sub(longest_write + REDELIVERY_TIMEOUT + TIME_TO_ANSWER);
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
            let delay = redelivery::delay(kind, receives, intake.host.fraction());
            redeliveries.extend(receipt_handle.map(|receipt_handle| Redelivery { receipt_handle, delay }));
            response.add_failure(id);
        }
    }
    redelivery::show_again(queue, &redeliveries).await;
    response
}

/// Parses every message and groups them by tenant. Also returns the refused messages.
fn group(form: &MessageForm, messages: Vec<SqsMessage>) -> (Vec<Group>, Vec<Received>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut refused = Vec::new();
    for message in messages {
        let received = Received::of(&message);
        match read(form, &message) {
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
                let (tenant, rejected) = match &error {
                    MessageError::Rejected { tenant, rejected } => (Some(tenant), Some(rejected)),
                    MessageError::Unidentified | MessageError::Enveloped(_) => (None, None),
                };
                tracing::warn!(
                    messageId = received.id,
                    code = error.code().name(),
                    tenant = tenant.map(TenantId::as_str),
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

fn read(form: &MessageForm, message: &SqsMessage) -> Result<EventBatch, MessageError> {
    if message.message_id.as_deref().is_none_or(str::is_empty) {
        return Err(MessageError::Unidentified);
    }
    let Unwrapped { tenant, body } = form.unwrap(message)?;
    let rejected = |rejected| MessageError::Rejected { tenant: tenant.clone(), rejected };
    EventBatch::parse(tenant.clone(), body.as_bytes(), BodyForm::Any).map_err(rejected)
}

/// Writes one group, without the messages that an earlier delivery stored. Returns the messages that were not stored.
async fn write<W: BlockWriter, H: Host>(
    intake: &Intake<W, H>,
    mut group: Group,
    last_start: Timestamp,
) -> Option<Failure> {
    for _ in 0..MAX_GROUP_WRITES {
        let (events, records) = group.contents()?;
        let tenant = events.tenant().as_str();
        if intake.host.now() > last_start {
            tracing::warn!(
                tenant,
                messages = records.len(),
                code = ErrorCode::OutOfTime.name(),
                "messages were deferred"
            );
            return Some(Failure { kind: FailureKind::Deferred, messages: group.received() });
        }
        match intake.accept(&events, &records).await {
            Ok(AcceptOutcome::Stored(_)) => return None,
            Ok(AcceptOutcome::AcceptedBefore(before)) => {
                let mut index = 0..;
                group.messages.retain(|_| {
                    let own = index.next();
                    before.iter().all(|before| Some(before.index) != own)
                });
            }
            Err(error) => {
                tracing::warn!(tenant, messages = records.len(), code = error.code().name(), "messages were deferred");
                // A single message that is too large can never be stored.
                let is_refused = error == IntakeError::TooLarge && records.len() == 1;
                let kind = if is_refused { FailureKind::Refused } else { FailureKind::Deferred };
                return Some(Failure { kind, messages: group.received() });
            }
        }
    }
    if group.messages.is_empty() {
        return None;
    }
    Some(Failure { kind: FailureKind::Deferred, messages: group.received() })
}
