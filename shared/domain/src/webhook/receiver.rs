//! A receiver with its secret.

use serde::{Deserialize, Serialize};

use super::{secret::SealedWebhookSecret, url::WebhookUrl};

/// The most webhooks of an export configuration.
pub const MAX_WEBHOOKS: usize = 3;

/// A receiver of a customer, with the secret that signs what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub url: WebhookUrl,
    pub sealed_secret: SealedWebhookSecret,
}
