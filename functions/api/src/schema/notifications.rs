//! The webhooks of an export, and the results of their test. No type has a field for a secret.

use async_graphql::SimpleObject;
use domain::webhook::{
    Webhook,
    failure::WebhookFailure,
    test::{WebhookTestOutcome, WebhookTestResult},
};

/// A receiver of notices about an export. Its secret is never returned.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportWebhook {
    url: String,
}

impl From<Webhook> for ExportWebhook {
    fn from(webhook: Webhook) -> Self {
        Self { url: webhook.url.into() }
    }
}

/// The result of a test for one webhook.
#[derive(Clone, Debug, SimpleObject)]
pub struct NotificationTestResult {
    url: String,
    /// Whether the receiver accepted the notice.
    is_delivered: bool,
    /// The status of the receiver's response. Null: there was none.
    status: Option<u16>,
    /// Null: the notice was delivered.
    error: Option<NotificationError>,
}

/// The reason why a receiver did not accept a notice.
#[derive(Clone, Debug, SimpleObject)]
pub struct NotificationError {
    /// A stable code, for example `WEBHOOK_TIMED_OUT`.
    code: String,
    /// The cause, and the change that fixes it.
    message: String,
}

impl From<WebhookTestResult> for NotificationTestResult {
    fn from(result: WebhookTestResult) -> Self {
        let (status, error) = match result.outcome {
            WebhookTestOutcome::Delivered(status) => (Some(status), None),
            WebhookTestOutcome::Failed(failure) => (failure.status, Some(failure.into())),
        };
        Self { url: result.url.into(), is_delivered: error.is_none(), status, error }
    }
}

impl From<WebhookFailure> for NotificationError {
    fn from(failure: WebhookFailure) -> Self {
        Self { code: failure.code.name().to_owned(), message: failure.to_string() }
    }
}
