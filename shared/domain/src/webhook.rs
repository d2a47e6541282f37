//! Webhooks: the HTTPS receivers of a customer, to which notices about an export are sent.
//!
//! Requests are signed as the Standard Webhooks specification says (<https://www.standardwebhooks.com>).

pub mod delivery;
pub mod schedule;
pub mod secret;
pub mod url;

use serde::{Deserialize, Serialize};

pub use self::{
    delivery::{WebhookBody, WebhookDelivery},
    secret::{SealedWebhookSecret, WebhookSecret},
    url::{Receivers, WebhookUrl},
};

/// The most webhooks of an export configuration.
pub const MAX_WEBHOOKS: usize = 3;

/// A receiver of a customer, with the secret that signs what it gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    pub url: WebhookUrl,
    pub sealed_secret: SealedWebhookSecret,
}
