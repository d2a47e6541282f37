//! The signature of the Standard Webhooks specification.

use domain::{
    notice_id::NoticeId,
    time::Timestamp,
    webhook::{WebhookSecret, delivery::WebhookBody},
};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError};

/// The headers by which a receiver recognizes a notice and its sender: names and values.
pub(crate) type SignedHeaders = [(&'static str, String); 3];

/// Signs a notice for an attempt at `now`.
///
/// # Errors
/// None that a valid secret and a text can cause.
pub(crate) fn sign(
    secret: &WebhookSecret,
    id: &NoticeId,
    now: Timestamp,
    body: &WebhookBody,
) -> Result<SignedHeaders, WebhookError> {
    let seconds = now.as_seconds();
    // Until the year 9999 there is no difference.
    let timestamp = i64::try_from(seconds).unwrap_or(i64::MAX);
    let signature = Webhook::new(secret.expose())?.sign(id.as_str(), timestamp, body.as_str().as_bytes())?;
    Ok([
        (HEADER_WEBHOOK_ID, id.to_string()),
        (HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
        (HEADER_WEBHOOK_SIGNATURE, signature),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's authors:
    /// <https://docs.svix.com/receiving/verifying-payloads/how-manual>.
    #[test]
    fn a_signature_is_the_published_one() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = NoticeId::parse("msg_p5jXN8AQM9LWM0D4loKWxJek").unwrap();
        let body = WebhookBody::new("{\"test\": 2432232314}".to_owned()).unwrap();
        let now = Timestamp::from_millis(1_614_265_330_999).unwrap();
        let headers = sign(&secret, &id, now, &body).unwrap();
        assert_eq!(
            headers,
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
            ]
        );
    }
}
