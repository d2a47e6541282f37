//! The queues that deliver messages, and the rule for the messages of each.
//!
//! Which rule applies is decided by the queue alone: its policy says who may send to it, so no message can choose another rule.

use std::{borrow::Cow, iter};

use aws_lambda_events::sqs::SqsMessage;
use domain::{
    envelope::{
        EnvelopeError, TENANT_ATTRIBUTE, TenantPath, Unwrapped, is_notification, unwrap_bus_event, unwrap_notification,
    },
    tenant::TenantId,
};

/// The way in which all subscriptions of the topics' queue deliver. There is one: a queue with both would have to guess from a
/// message's text whether it is an envelope, and the publisher writes the text of a raw message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicDelivery {
    /// In an envelope of SNS, which names the tenant: the default of subscriptions.
    Enveloped,
    /// As published, with the message attributes: `RawMessageDelivery` of the subscriptions is true.
    Raw,
}

impl TopicDelivery {
    /// Returns the delivery of a name, as in the template.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "Enveloped" => Some(Self::Enveloped),
            "Raw" => Some(Self::Raw),
            _ => None,
        }
    }
}

/// The form of a queue's messages.
#[derive(Clone, Debug)]
pub(crate) enum MessageForm {
    /// The body has the events, and the attribute `tenantId` the tenant.
    Plain,
    /// A message that SNS delivered.
    Topic(TopicDelivery),
    /// An event of EventBridge, with the tenant at the path.
    Rule(TenantPath),
}

impl MessageForm {
    /// Returns the tenant of a message, and the body with its events.
    pub(crate) fn unwrap<'message>(&self, message: &'message SqsMessage) -> Result<Unwrapped<'message>, EnvelopeError> {
        let body = message.body.as_deref().unwrap_or_default();
        match self {
            Self::Plain => of_attribute(message, body),
            // SNS gives message attributes to raw messages alone. The body of a raw message is the publisher's text. One
            // without attributes can't be distinguished from an envelope.
            Self::Topic(TopicDelivery::Enveloped) if !message.message_attributes.is_empty() => {
                Err(EnvelopeError::DeliveredRaw)
            }
            Self::Topic(TopicDelivery::Enveloped) => unwrap_notification(body),
            Self::Topic(TopicDelivery::Raw) => of_attribute(message, body).map_err(|error| match error {
                EnvelopeError::TenantMissing(_) if is_notification(body) => EnvelopeError::DeliveredInEnvelope,
                error => error,
            }),
            Self::Rule(path) => unwrap_bus_event(body, path),
        }
    }
}

/// Returns the body, and the tenant that the attribute names.
fn of_attribute<'message>(message: &SqsMessage, body: &'message str) -> Result<Unwrapped<'message>, EnvelopeError> {
    let tenant = tenant_attribute(message)
        .ok_or(EnvelopeError::TenantMissing("it has no message attribute tenantId of type String"))?;
    let tenant = TenantId::parse(tenant).map_err(|_| EnvelopeError::TenantInvalid)?;
    Ok(Unwrapped { tenant, body: Cow::Borrowed(body) })
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

/// A batch whose messages are not all of one known queue, so that no rule says which tenant they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the messages of a batch are not of one queue of this function")]
pub(crate) struct UnknownQueue;

impl<Q> Sources<Q> {
    /// Returns the queue that a batch came from: an event source mapping delivers messages of one queue.
    ///
    /// # Errors
    /// [`UnknownQueue`]: the deployment is wrong. Another queue's rule would let a message choose how its tenant is read.
    pub(crate) fn of(&self, messages: &[SqsMessage]) -> Result<&Source<Q>, UnknownQueue> {
        let mut names = messages.iter().map(|message| message.event_source_arn.as_deref()?.rsplit(':').next());
        let name = names.next().flatten().ok_or(UnknownQueue)?;
        let is_one_queue = names.all(|other| other == Some(name));
        let mut sources = iter::once(&self.senders).chain(&self.services);
        sources.find(|source| is_one_queue && source.name == name).ok_or(UnknownQueue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = include_str!("../../../template.yaml");

    fn message(body: &str, attribute: Option<&str>) -> SqsMessage {
        let attributes = attribute.map(|tenant| json!({"tenantId": {"stringValue": tenant, "dataType": "String"}}));
        serde_json::from_value(json!({"body": body, "messageAttributes": attributes.unwrap_or(json!({}))})).unwrap()
    }

    #[test]
    fn a_message_of_the_other_delivery_is_refused_with_what_to_change() {
        let attributes = json!({"tenantId": {"Type": "String", "Value": "globex"}});
        let envelope = json!({"Type": "Notification", "Message": "{}", "MessageAttributes": attributes}).to_string();
        let unwrap = |delivery, body: &str, attribute| {
            let message = message(body, attribute);
            let unwrapped = MessageForm::Topic(delivery).unwrap(&message)?;
            Ok((unwrapped.tenant.to_string(), unwrapped.body.into_owned()))
        };
        let found = |tenant: &str, body: &str| Ok((tenant.to_owned(), body.to_owned()));

        let enveloped = |body: &str, attribute| unwrap(TopicDelivery::Enveloped, body, attribute);
        assert_eq!(enveloped(&envelope, None), found("globex", "{}"));
        assert_eq!(enveloped("{}", None), Err(EnvelopeError::NoNotification));
        assert_eq!(enveloped("{}", Some("acme")), Err(EnvelopeError::DeliveredRaw));
        assert_eq!(enveloped(&envelope, Some("acme")), Err(EnvelopeError::DeliveredRaw));

        let raw = |body: &str, attribute| unwrap(TopicDelivery::Raw, body, attribute);
        assert_eq!(raw("{}", Some("acme")), found("acme", "{}"));
        assert_eq!(
            raw(&envelope, Some("acme")),
            found("acme", &envelope),
            "an envelope in a raw message stays as it is"
        );
        assert_eq!(raw(&envelope, None), Err(EnvelopeError::DeliveredInEnvelope));
        assert!(matches!(raw("{}", None), Err(EnvelopeError::TenantMissing(_))));
        assert_eq!(raw("{}", Some("a b")), Err(EnvelopeError::TenantInvalid));

        for error in [EnvelopeError::NoNotification, EnvelopeError::DeliveredRaw, EnvelopeError::DeliveredInEnvelope] {
            let sentence = error.to_string();
            assert!(sentence.contains("RawMessageDelivery") && sentence.contains("EventTopicDelivery"), "{sentence}");
        }
    }

    #[test]
    fn the_names_of_the_deliveries_are_those_of_the_template() {
        let (_, parameter) = TEMPLATE.split_once("\n  EventTopicDelivery:\n").unwrap();
        assert!(parameter.lines().take(7).any(|line| line.trim() == "AllowedValues: [Enveloped, Raw]"));
        let parsed = ["Enveloped", "Raw", "raw", ""].map(TopicDelivery::parse);
        assert_eq!(parsed, [Some(TopicDelivery::Enveloped), Some(TopicDelivery::Raw), None, None]);
    }
}
