//! Parsing the webhooks of a new or changed configuration.

use super::{
    receiver::{MAX_WEBHOOKS, Webhook},
    secret::WebhookSecret,
    url::WebhookUrl,
};
use crate::{
    configuration::{
        field,
        field_error::{FieldError, FieldErrorCode},
    },
    customer_server::CustomerServers,
};

/// An unparsed webhook.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it may hold a secret")]
pub struct RawWebhook<'a> {
    pub url: &'a str,
    /// `None`: the secret that is stored for the URL stays.
    pub secret: Option<&'a str>,
}

/// A webhook of a new or changed configuration.
#[derive(Clone, Debug)]
pub enum NewWebhook {
    /// A stored one that stays as it is.
    Kept(Webhook),
    /// One whose secret has to be sealed.
    Unsealed { url: WebhookUrl, secret: WebhookSecret },
}

impl NewWebhook {
    #[must_use]
    pub fn url(&self) -> &WebhookUrl {
        match self {
            Self::Kept(webhook) => &webhook.url,
            Self::Unsealed { url, .. } => url,
        }
    }
}

/// Parses the list that replaces `current`, and returns every field that has to change beside it.
///
/// A list with an error is not returned whole.
pub(crate) fn parse_webhooks(
    servers: CustomerServers,
    current: &[Webhook],
    raw: &[RawWebhook<'_>],
) -> (Vec<NewWebhook>, Vec<FieldError>) {
    if raw.len() > MAX_WEBHOOKS {
        let message = format!("Give at most {MAX_WEBHOOKS} webhooks.");
        let error = FieldError { field: field::NOTIFICATIONS, code: FieldErrorCode::WebhooksTooMany, message };
        return (Vec::new(), vec![error]);
    }
    let (mut webhooks, mut errors) = (Vec::<NewWebhook>::new(), Vec::new());
    for (raw, (url_field, secret_field)) in raw.iter().zip(field::WEBHOOKS) {
        // Forms send an empty secret for none.
        let secret = raw.secret.filter(|secret| !secret.is_empty());
        let secret = secret.map(|secret| WebhookSecret::parse(secret).map_err(|error| error.at(secret_field)));
        let secret = secret.transpose().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let url = match WebhookUrl::parse_for(servers, raw.url) {
            Ok(url) => url,
            Err(error) => {
                errors.push(error.at(url_field));
                continue;
            }
        };
        if webhooks.iter().any(|other| *other.url() == url) {
            let message = "Give each URL once.".to_owned();
            errors.push(FieldError { field: url_field, code: FieldErrorCode::WebhookUrlRepeated, message });
            continue;
        }
        match (secret, current.iter().find(|stored| stored.url == url)) {
            (Some(secret), _) => webhooks.push(NewWebhook::Unsealed { url, secret }),
            (None, Some(stored)) => webhooks.push(NewWebhook::Kept(stored.clone())),
            (None, None) if errors.iter().any(|error| error.field == secret_field) => {}
            (None, None) => errors.push(FieldError::missing(secret_field)),
        }
    }
    (webhooks, errors)
}

/// Returns whether the list is the stored one.
pub(crate) fn is_unchanged(current: &[Webhook], new: &[NewWebhook]) -> bool {
    current.len() == new.len()
        && current.iter().zip(new).all(|(stored, new)| matches!(new, NewWebhook::Kept(kept) if kept == stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::secret::SealedWebhookSecret;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn stored(url: &str) -> Webhook {
        Webhook {
            url: WebhookUrl::parse_for(CustomerServers::Public, url).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(url.as_bytes().to_vec()),
        }
    }

    fn raw<'a>(url: &'a str, secret: Option<&'a str>) -> RawWebhook<'a> {
        RawWebhook { url, secret }
    }

    #[test]
    fn a_stored_secret_stays_unless_another_one_is_given() {
        let current = [stored("https://a.example/"), stored("https://b.example/x")];
        let list = [
            raw("https://b.example/x", None),
            raw("https://A.example", Some(SECRET)),
            raw("https://c.example/", Some(SECRET)),
        ];
        let (webhooks, errors) = parse_webhooks(CustomerServers::Public, &current, &list);
        assert_eq!(errors, []);
        let [NewWebhook::Kept(kept), NewWebhook::Unsealed { url, .. }, NewWebhook::Unsealed { secret, .. }] =
            webhooks.as_slice()
        else {
            unreachable!("{webhooks:?}")
        };
        assert_eq!((kept, url.as_str(), secret.expose()), (&current[1], "https://a.example/", SECRET));
        assert!(!is_unchanged(&current, &webhooks));
        assert!(!format!("{webhooks:?}").contains("C2FV"));
    }

    #[test]
    fn only_the_same_list_changes_nothing() {
        let current = [stored("https://a.example/"), stored("https://b.example/")];
        let (a, b) = (raw("https://a.example/", None), raw("https://b.example", Some("")));
        for (list, is_same) in
            [(vec![a, b], true), (vec![b, a], false), (vec![a], false), (vec![], false), (vec![a, a], false)]
        {
            let (webhooks, _) = parse_webhooks(CustomerServers::Public, &current, &list);
            assert_eq!(is_unchanged(&current, &webhooks), is_same);
        }
        assert!(is_unchanged(&[], &[]));
    }

    #[test]
    fn every_error_has_its_field_and_code() {
        let current = [stored("https://a.example/")];
        let parse = |list: &[RawWebhook<'_>]| {
            let (_, errors) = parse_webhooks(CustomerServers::Public, &current, list);
            errors.iter().map(|error| (error.field, error.code.name())).collect::<Vec<_>>()
        };
        assert_eq!(
            parse(&[raw("http://a.example/", Some("short")), raw("https://b.example/", None)]),
            [
                ("notifications[0].secret", "WEBHOOK_SECRET_INVALID"),
                ("notifications[0].url", "WEBHOOK_URL_INVALID"),
                ("notifications[1].secret", "REQUIRED"),
            ]
        );
        assert_eq!(
            parse(&[raw("https://a.example/", None), raw("https://a.example", None), raw("", Some(SECRET))]),
            [("notifications[1].url", "WEBHOOK_URL_REPEATED"), ("notifications[2].url", "WEBHOOK_URL_INVALID")]
        );
        assert_eq!(
            parse(&[raw("https://b.example/", Some("short"))]),
            [("notifications[0].secret", "WEBHOOK_SECRET_INVALID")]
        );
        assert_eq!(parse(&[raw("https://b.example/", Some(SECRET)); 4]), [("notifications", "WEBHOOKS_TOO_MANY")]);
    }
}
