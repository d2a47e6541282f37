//! Messages of the webhooks queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::receiver::Webhook;
use crate::{
    configuration::{ConfigurationId, ConfigurationKey},
    notice_id::NoticeId,
    tenant::TenantId,
    time::Timestamp,
};

/// The most bytes of a request's body.
pub const MAX_WEBHOOK_BODY_BYTES: usize = 16 * 1024;

/// The body of a request to a receiver: JSON of at most 16 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookBody(String);

/// The error of a text that is too long for a [`WebhookBody`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of a webhook must have at most {MAX_WEBHOOK_BODY_BYTES} bytes")]
pub struct WebhookBodyTooLong;

impl WebhookBody {
    /// # Errors
    /// [`WebhookBodyTooLong`].
    pub fn new(json: String) -> Result<Self, WebhookBodyTooLong> {
        if json.len() <= MAX_WEBHOOK_BODY_BYTES { Ok(Self(json)) } else { Err(WebhookBodyTooLong) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookBody {
    type Error = WebhookBodyTooLong;

    fn try_from(json: String) -> Result<Self, Self::Error> {
        Self::new(json)
    }
}

impl From<WebhookBody> for String {
    fn from(body: WebhookBody) -> Self {
        body.0
    }
}

/// A message of the webhooks queue: a notice for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    pub notice_id: NoticeId,
    pub tenant_id: TenantId,
    pub configuration_id: ConfigurationId,
    pub webhook: Webhook,
    pub body: WebhookBody,
    /// The time when the delivery was queued. Attempts end a day later: see [`super::schedule`].
    pub created_at: Timestamp,
    /// The time before which a delivery that failed is not attempted again. `None`: it was not attempted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
}

impl WebhookDelivery {
    #[must_use]
    pub fn key(&self) -> ConfigurationKey {
        ConfigurationKey { tenant_id: self.tenant_id.clone(), configuration_id: self.configuration_id }
    }

    /// Returns the time until the next attempt. `None`: it is due.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> Option<Duration> {
        let next = self.next_attempt_at.filter(|next| *next > now)?;
        Some(next.saturating_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let text = r#"{"noticeId":"01KB3C0VQ6","tenantId":"acme","configurationId":"0b0c7e1c-8d0f-4f3e-9f65-6f1d3c1f2a5b","webhook":{"url":"https://hooks.example.com/","sealedSecret":"AQID"},"body":"{\"version\":1}","createdAt":"2026-11-29T00:00:00.000Z"}"#;
        let delivery: WebhookDelivery = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&delivery).unwrap(), text);
        assert_eq!(delivery.key().to_string(), "acme#0b0c7e1c-8d0f-4f3e-9f65-6f1d3c1f2a5b");
        // The first message has no time, nor have those of earlier versions: they are due.
        assert_eq!(delivery.waits(Timestamp::EPOCH), None);
        let later = text.replace("000Z\"}", "000Z\",\"nextAttemptAt\":\"2026-11-29T01:00:00.000Z\"}");
        let delivery: WebhookDelivery = serde_json::from_str(&later).unwrap();
        assert_eq!(serde_json::to_string(&delivery).unwrap(), later);
        let next = delivery.next_attempt_at.unwrap();
        for (now, waits) in [
            (next.saturating_sub(Duration::from_millis(1)), Some(Duration::from_millis(1))),
            (next, None),
            (next.saturating_add(Duration::from_hours(1)), None),
        ] {
            assert_eq!(delivery.waits(now), waits);
        }
    }

    #[test]
    fn a_body_is_bounded() {
        assert!(WebhookBody::new("a".repeat(16_384)).is_ok());
        assert_eq!(WebhookBody::new("a".repeat(16_385)), Err(WebhookBodyTooLong));
    }
}
