//! The test of a configuration's webhooks, which a person requests.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    delivery::{WebhookBody, WebhookBodyTooLong},
    failure::WebhookFailure,
    receiver::Webhook,
    url::WebhookUrl,
};
use crate::{configuration::ConfigurationKey, notice_id::NoticeId, time::Timestamp};

/// The `kind` of the notice that a test sends.
pub const TEST_KIND: &str = "NOTIFICATIONS_TEST";

/// The request to send a notice to webhooks once, and to report what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTest {
    #[serde(flatten)]
    pub key: ConfigurationKey,
    pub notice_id: NoticeId,
    pub webhooks: Vec<Webhook>,
    pub body: WebhookBody,
}

impl WebhookTest {
    /// Makes the test of a configuration's webhooks.
    ///
    /// # Errors
    /// None: the parts of the body are far shorter than its bound.
    pub fn new(
        key: ConfigurationKey,
        webhooks: Vec<Webhook>,
        notice_id: NoticeId,
        at: Timestamp,
    ) -> Result<Self, WebhookBodyTooLong> {
        let body = json!({
            "id": notice_id,
            "version": 1,
            "kind": TEST_KIND,
            "tenantId": key.tenant_id,
            "configurationId": key.configuration_id,
            "occurredAt": at,
            "detail": {"message": "A person tested the notifications of this export. Nothing has to be done."},
        });
        Ok(Self { key, notice_id, webhooks, body: WebhookBody::new(body.to_string())? })
    }
}

/// The payload of a direct invocation of the notifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifierRequest {
    pub test: WebhookTest,
}

/// The result for one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTestResult {
    pub url: WebhookUrl,
    pub outcome: WebhookTestOutcome,
}

/// The outcome of a request to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WebhookTestOutcome {
    /// The status of the response.
    Delivered(u16),
    Failed(WebhookFailure),
}
