//! Webhooks: the HTTPS receivers of a customer, to which notices about an export are sent.
//!
//! Requests are signed as the Standard Webhooks specification says (<https://www.standardwebhooks.com>).

pub mod delivery;
pub mod failure;
pub mod input;
pub mod receiver;
pub mod schedule;
pub mod secret;
pub mod test;
pub mod url;

pub use self::{
    receiver::{MAX_WEBHOOKS, Webhook},
    secret::{SealedWebhookSecret, WebhookSecret},
    url::WebhookUrl,
};
