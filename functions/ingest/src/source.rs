//! The queues that deliver messages, and the rule for the messages of each.
//!
//! Which rule applies is decided by the queue alone: its policy says who may send to it, so no message can choose another rule.

use std::borrow::Cow;

use aws_lambda_events::sqs::SqsMessage;
use domain::{
    envelope::{EnvelopeError, TENANT_ATTRIBUTE, TenantPath, Unwrapped, unwrap_bus_event, unwrap_notification},
    tenant::TenantId,
};

/// The form of a queue's messages.
#[derive(Clone, Debug)]
pub(crate) enum MessageForm {
    /// The body has the events, and the attribute `tenantId` the tenant.
    Plain,
    /// As `Plain`, or a notification of SNS, if the subscription does not deliver raw messages.
    Topic,
    /// An event of EventBridge, with the tenant at the path.
    Rule(TenantPath),
}

impl MessageForm {
    /// Returns the tenant of a message, and the body with its events.
    pub(crate) fn unwrap<'message>(&self, message: &'message SqsMessage) -> Result<Unwrapped<'message>, EnvelopeError> {
        let body = message.body.as_deref().unwrap_or_default();
        match (self, tenant_attribute(message)) {
            (Self::Plain | Self::Topic, Some(tenant)) => {
                let tenant = TenantId::parse(tenant).map_err(|_| EnvelopeError::TenantInvalid)?;
                Ok(Unwrapped { tenant, body: Cow::Borrowed(body) })
            }
            (Self::Plain, None) => Err(EnvelopeError::TenantMissing("it has no attribute tenantId of type String")),
            (Self::Topic, None) => unwrap_notification(body),
            (Self::Rule(path), _) => unwrap_bus_event(body, path),
        }
    }
}

fn tenant_attribute(message: &SqsMessage) -> Option<&str> {
    let attribute = message.message_attributes.get(TENANT_ATTRIBUTE)?;
    // A custom label may follow the type.
    let is_text = attribute.data_type.as_deref().is_some_and(|kind| kind == "String" || kind.starts_with("String."));
    attribute.string_value.as_deref().filter(|_| is_text)
}

/// A queue, and the form of its messages.
#[derive(Debug)]
pub(crate) struct Source<Q> {
    /// The last part of the queue's URL and ARN. All queues are of one account and Region.
    name: String,
    pub(crate) form: MessageForm,
    pub(crate) queue: Q,
}

impl<Q> Source<Q> {
    pub(crate) fn new(queue_url: &str, form: MessageForm, queue: Q) -> Self {
        Self { name: queue_url.rsplit('/').next().unwrap_or_default().to_owned(), form, queue }
    }
}

/// All queues that deliver messages.
#[derive(Debug)]
pub(crate) struct Sources<Q> {
    /// The queue of the senders that the operator names.
    pub(crate) senders: Source<Q>,
    /// The queues that only SNS, or only EventBridge, can send to.
    pub(crate) services: [Source<Q>; 2],
}

impl<Q> Sources<Q> {
    /// Returns the queue that a batch came from: an event source mapping delivers messages of one queue.
    pub(crate) fn of(&self, messages: &[SqsMessage]) -> &Source<Q> {
        let arn = messages.first().and_then(|message| message.event_source_arn.as_deref());
        let name = arn.and_then(|arn| arn.rsplit(':').next());
        self.services.iter().find(|source| Some(source.name.as_str()) == name).unwrap_or(&self.senders)
    }
}
