//! The envelopes in which SNS and EventBridge put events, and where each names the tenant.
//!
//! Which envelope a message has is decided by the queue that it came from, never by the message.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::tenant::TenantId;

/// The name of the message attribute with the tenant.
pub const TENANT_ATTRIBUTE: &str = "tenantId";

/// The longest [`TenantPath`], in bytes.
pub const MAX_TENANT_PATH_LENGTH: usize = 256;

/// The reason why a message can't be taken out of its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error(
        "the message is no notification of SNS; if its subscription delivers raw, set RawMessageDelivery of the subscription to \
         false, or the parameter EventTopicDelivery to Raw"
    )]
    NoNotification,
    #[error(
        "the message was delivered raw, and notifications of SNS are expected; set RawMessageDelivery of the subscription to \
         false, or the parameter EventTopicDelivery to Raw"
    )]
    DeliveredRaw,
    #[error(
        "the message is a notification of SNS, and raw messages are expected; set RawMessageDelivery of the subscription to true, \
         or the parameter EventTopicDelivery to Enveloped"
    )]
    DeliveredInEnvelope,
    #[error("the message is not an event of EventBridge with id, time, detail-type and detail")]
    NoBusEvent,
    #[error("the message names no tenant: {0}")]
    TenantMissing(&'static str),
    #[error("the tenant of the message is not a valid tenant ID")]
    TenantInvalid,
}

/// The tenant of a message, and the body with its events.
#[derive(Clone, PartialEq, Eq)]
pub struct Unwrapped<'message> {
    pub tenant: TenantId,
    pub body: Cow<'message, str>,
}

/// Prints only the tenant: the body is the tenant's data, which must not be logged.
impl fmt::Debug for Unwrapped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unwrapped").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// A notification of SNS without raw message delivery, as far as it is used:
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification<'message> {
    #[serde(borrow)]
    r#type: Cow<'message, str>,
    #[serde(borrow)]
    message: Cow<'message, str>,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

#[derive(Default, Deserialize)]
struct MessageAttributes {
    #[serde(rename = "tenantId")]
    tenant_id: Option<MessageAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageAttribute {
    r#type: String,
    value: String,
}

/// Takes the events out of a notification of SNS. The tenant is the attribute that the message was published with.
///
/// # Errors
/// See [`EnvelopeError`].
pub fn unwrap_notification(message: &str) -> Result<Unwrapped<'_>, EnvelopeError> {
    let notification: Notification<'_> = serde_json::from_str(message).map_err(|_| EnvelopeError::NoNotification)?;
    if notification.r#type != "Notification" {
        return Err(EnvelopeError::NoNotification);
    }
    let attribute = notification.message_attributes.tenant_id.filter(|attribute| attribute.r#type == "String");
    let attribute = attribute
        .ok_or(EnvelopeError::TenantMissing("the notification has no message attribute tenantId of type String"))?;
    let tenant = TenantId::parse(&attribute.value).map_err(|_| EnvelopeError::TenantInvalid)?;
    Ok(Unwrapped { tenant, body: notification.message })
}

/// Returns whether a message looks like a notification of SNS. Publishers of raw messages can send such a text: use this for
/// explanations alone.
#[must_use]
pub fn is_notification(message: &str) -> bool {
    serde_json::from_str::<Notification<'_>>(message).is_ok_and(|notification| notification.r#type == "Notification")
}

/// The place of the tenant in an event of EventBridge: a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPath(String);

/// The error of a text that is not a [`TenantPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JSON Pointer of at most {MAX_TENANT_PATH_LENGTH} bytes is required, such as /detail/tenantId")]
pub struct InvalidTenantPath;

impl TenantPath {
    /// # Errors
    /// [`InvalidTenantPath`] if `text` is not a pointer to a field.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantPath> {
        let escapes_end = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let is_pointer = text.starts_with('/') && text.len() > 1 && escapes_end;
        if is_pointer && text.len() <= MAX_TENANT_PATH_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTenantPath)
        }
    }

    /// Returns the text at the path. The rest of the message stays text, so that no number of it has to fit into a type.
    fn text_in(&self, message: &str) -> Option<String> {
        let mut value: &RawValue = serde_json::from_str(message).ok()?;
        for token in self.0.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            value = if value.get().starts_with('[') {
                let is_index = name == "0" || !name.starts_with(['0', '+']);
                let index: usize = name.parse().ok().filter(|_| is_index)?;
                serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(index)?
            } else {
                serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.get(&name)?
            };
        }
        serde_json::from_str(value.get()).ok()
    }
}

/// An event of EventBridge, as far as it is used:
/// <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>.
#[derive(Deserialize)]
struct BusEvent<'message> {
    #[serde(borrow)]
    id: &'message RawValue,
    #[serde(borrow)]
    time: &'message RawValue,
    #[serde(borrow, rename = "detail-type")]
    detail_type: &'message RawValue,
    #[serde(borrow)]
    detail: &'message RawValue,
}

/// Which fields a detail has of those that the envelope can stand in for. One that is `null` is there: an event that had it twice
/// would be refused.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OwnFields {
    #[serde(deserialize_with = "is_there")]
    id: bool,
    #[serde(deserialize_with = "is_there")]
    event_timestamp: bool,
    #[serde(deserialize_with = "is_there")]
    action: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Takes the audit event out of an event of EventBridge: its `detail`. Where the detail has no `id`, `eventTimestamp` or
/// `action`, the envelope's `id`, `time` or `detail-type` is added. The tenant is the text at `path`.
///
/// # Errors
/// See [`EnvelopeError`].
pub fn unwrap_bus_event<'message>(
    message: &'message str,
    path: &TenantPath,
) -> Result<Unwrapped<'message>, EnvelopeError> {
    let event: BusEvent<'_> = serde_json::from_str(message).map_err(|_| EnvelopeError::NoBusEvent)?;
    let missing = EnvelopeError::TenantMissing("the event of EventBridge has no text at the tenant's path");
    let tenant = path.text_in(message).ok_or(missing)?;
    let tenant = TenantId::parse(&tenant).map_err(|_| EnvelopeError::TenantInvalid)?;
    Ok(Unwrapped { tenant, body: completed(&event) })
}

/// Returns the detail with the fields that it lacks. A detail that is no object is returned unchanged: the check of events
/// refuses it.
fn completed<'message>(event: &BusEvent<'message>) -> Cow<'message, str> {
    let detail = event.detail.get();
    let Ok(own) = serde_json::from_str::<OwnFields>(detail) else { return Cow::Borrowed(detail) };
    let Some(fields) = detail.strip_prefix('{').and_then(|detail| detail.strip_suffix('}')) else {
        return Cow::Borrowed(detail);
    };
    let missing = [
        ("id", !own.id, event.id),
        ("eventTimestamp", !own.event_timestamp, event.time),
        ("action", !own.action, event.detail_type),
    ];
    let mut parts: Vec<String> = missing
        .into_iter()
        .filter(|(_, is_missing, _)| *is_missing)
        .map(|(name, _, value)| format!("\"{name}\":{}", value.get()))
        .collect();
    if parts.is_empty() {
        return Cow::Borrowed(detail);
    }
    if !fields.trim().is_empty() {
        parts.push(fields.to_owned());
    }
    Cow::Owned(format!("{{{}}}", parts.join(",")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn notification(attributes: &Value) -> String {
        json!({
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:us-east-1:111111111111:audit-events",
            "Message": "{\"id\":\"1\"}",
            "Timestamp": "2026-11-22T10:00:00.000Z",
            "SignatureVersion": "1",
            "Signature": "x",
            "MessageAttributes": attributes,
        })
        .to_string()
    }

    #[test]
    fn a_notification_names_the_tenant_in_its_attribute() {
        let message = notification(
            &json!({"tenantId": {"Type": "String", "Value": "acme"}, "b": {"Type": "Binary", "Value": "AA=="}}),
        );
        let unwrapped = unwrap_notification(&message).unwrap();
        assert_eq!((unwrapped.tenant.as_str(), &*unwrapped.body), ("acme", "{\"id\":\"1\"}"));
        assert!(!format!("{unwrapped:?}").contains("id"), "{unwrapped:?}");
    }

    #[test]
    fn any_other_notification_is_refused() {
        let missing = EnvelopeError::TenantMissing("the notification has no message attribute tenantId of type String");
        for (attributes, expected) in [
            (json!({}), missing),
            (json!({"tenantid": {"Type": "String", "Value": "acme"}}), missing),
            (json!({"tenantId": {"Type": "Binary", "Value": "acme"}}), missing),
            (json!({"tenantId": {"Type": "String.Array", "Value": "[\"acme\"]"}}), missing),
            (json!({"tenantId": {"Type": "String", "Value": "a#b"}}), EnvelopeError::TenantInvalid),
            (json!({"tenantId": "acme"}), EnvelopeError::NoNotification),
            (json!([]), EnvelopeError::NoNotification),
        ] {
            assert_eq!(unwrap_notification(&notification(&attributes)), Err(expected), "{attributes}");
        }
        let good = notification(&json!({"tenantId": {"Type": "String", "Value": "acme"}}));
        for bad in [
            good.replace("\"Notification\"", "\"SubscriptionConfirmation\""),
            good.replace("\"Type\":\"Notification\"", "\"tenantId\":\"acme\""),
            good.replacen('{', "{\"Message\":\"{}\",", 1),
            "{\"id\":\"1\",\"tenantId\":\"acme\"}".to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            assert_eq!(unwrap_notification(&bad), Err(EnvelopeError::NoNotification), "{bad}");
            assert!(!is_notification(&bad), "{bad}");
        }
        assert!(is_notification(&good));
    }

    fn bus_event(detail: &str) -> String {
        format!(
            r#"{{"version":"0","id":"e-1","detail-type":"LOGIN","source":"com.example","account":"111111111111","time":"2026-11-22T10:00:00Z","region":"us-east-1","resources":[],"detail":{detail}}}"#
        )
    }

    fn unwrap_bus(detail: &str, path: &str) -> Result<(String, String), EnvelopeError> {
        let message = bus_event(detail);
        let unwrapped = unwrap_bus_event(&message, &TenantPath::parse(path).unwrap())?;
        Ok((unwrapped.tenant.to_string(), unwrapped.body.into_owned()))
    }

    #[test]
    fn a_detail_is_the_event_and_the_envelope_fills_in_what_it_lacks() {
        let whole = r#"{"tenantId":"acme","id":"1","eventTimestamp":"2026-01-01T00:00:00Z","action":"A","n":1.50}"#;
        for (detail, body) in [
            (whole, whole),
            (
                r#"{"tenantId":"acme","n":1.50e+07}"#,
                r#"{"id":"e-1","eventTimestamp":"2026-11-22T10:00:00Z","action":"LOGIN","tenantId":"acme","n":1.50e+07}"#,
            ),
            (
                r#"{"id":"1","tenantId":"acme","action":null}"#,
                r#"{"eventTimestamp":"2026-11-22T10:00:00Z","id":"1","tenantId":"acme","action":null}"#,
            ),
            (
                r#"{"tenantId":"acme","id":"1","n":1e400}"#,
                r#"{"eventTimestamp":"2026-11-22T10:00:00Z","action":"LOGIN","tenantId":"acme","id":"1","n":1e400}"#,
            ),
        ] {
            assert_eq!(
                unwrap_bus(detail, "/detail/tenantId").unwrap(),
                ("acme".to_owned(), body.to_owned()),
                "{detail}"
            );
        }
        let empty = unwrap_bus("{ }", "/source").unwrap();
        let expected = r#"{"id":"e-1","eventTimestamp":"2026-11-22T10:00:00Z","action":"LOGIN"}"#;
        assert_eq!(empty, ("com.example".to_owned(), expected.to_owned()));
    }

    #[test]
    fn the_tenant_is_at_the_path_alone() {
        let detail = r#"{"tenantId":"acme","a":{"b/c":["x","globex"]},"number":7,"bad":"a b"}"#;
        assert_eq!(unwrap_bus(detail, "/detail/a/b~1c/1").unwrap().0, "globex");
        assert_eq!(unwrap_bus(detail, "/account").unwrap().0, "111111111111");
        for path in ["/detail/tenant", "/tenantId", "/detail/number", "/detail/a", "/detail/a/b", "/detail/a/b~1c/01"] {
            assert!(matches!(unwrap_bus(detail, path), Err(EnvelopeError::TenantMissing(_))), "{path}");
        }
        assert_eq!(unwrap_bus(detail, "/detail/bad"), Err(EnvelopeError::TenantInvalid));
    }

    #[test]
    fn any_other_message_of_the_bus_is_refused() {
        let path = TenantPath::parse("/detail/tenantId").unwrap();
        let good = bus_event(r#"{"tenantId":"acme"}"#);
        assert!(unwrap_bus_event(&good, &path).is_ok());
        for bad in [
            good.replace("\"detail\"", "\"details\""),
            good.replacen('{', "{\"detail\":{\"tenantId\":\"globex\"},", 1),
            good.replace("\"time\"", "\"times\""),
            format!("{good}{good}"),
            "[]".to_owned(),
            String::new(),
        ] {
            assert_eq!(unwrap_bus_event(&bad, &path), Err(EnvelopeError::NoBusEvent), "{bad}");
        }
        // The check of events refuses what is no object.
        assert_eq!(unwrap_bus("[7]", "/source").unwrap().1, "[7]");
        assert_eq!(unwrap_bus("\"x\"", "/source").unwrap().1, "\"x\"");
        assert_eq!(unwrap_bus(r#"{"id":1,"id":2}"#, "/source").unwrap().1, r#"{"id":1,"id":2}"#);
    }

    #[test]
    fn a_path_is_a_json_pointer() {
        for good in ["/detail/tenantId", "/a~0~1", "/detail/a b/0"] {
            assert!(TenantPath::parse(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "x".repeat(MAX_TENANT_PATH_LENGTH));
        for bad in ["", "/", "detail", "$.detail", "/a~", "/a~2", &long] {
            assert_eq!(TenantPath::parse(bad), Err(InvalidTenantPath), "{bad}");
        }
    }
}
