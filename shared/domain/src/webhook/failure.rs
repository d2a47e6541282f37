//! The reasons why a request to a receiver failed.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::{explanation::Explanation, named::named};

/// The reason why a receiver did not accept a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum WebhookFailureCode {
    WebhookHostNotFound,
    WebhookAddressNotPublic,
    WebhookUnreachable,
    WebhookTlsFailed,
    WebhookTimedOut,
    WebhookRedirected,
    WebhookGone,
    WebhookRefused,
    WebhookServerError,
}

named!(WebhookFailureCode);

impl WebhookFailureCode {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the failure that the status of a response stands for. `None`: the notice was accepted.
    #[must_use]
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            300..=399 => Some(Self::WebhookRedirected),
            410 => Some(Self::WebhookGone),
            500..=599 => Some(Self::WebhookServerError),
            _ => Some(Self::WebhookRefused),
        }
    }

    /// Returns whether another attempt can succeed. 410 is the answer of a receiver that wants no more notices.
    #[must_use]
    pub fn is_retried(self) -> bool {
        self != Self::WebhookGone
    }

    /// Returns the meaning and the remedy, for the list of all codes.
    #[must_use]
    pub fn explanation(self) -> Explanation {
        let (meaning, remedy) = match self {
            Self::WebhookHostNotFound => (
                "The receiver's host name has no address in public DNS.",
                "Correct the URL, or publish the name in public DNS.",
            ),
            Self::WebhookAddressNotPublic => (
                "The receiver's host name leads to an address that is not public, such as one of a private network.",
                "Give the receiver public addresses only, for example with a load balancer or an API gateway before it.",
            ),
            Self::WebhookUnreachable => (
                "No connection to the receiver came about, or it broke off.",
                "Check that the receiver runs and that its firewall admits connections from the internet on port 443.",
            ),
            Self::WebhookTlsFailed => (
                "No secure connection to the receiver came about. Often its certificate is for another name, has expired, or \
                 is not issued by a public certificate authority.",
                "Install a valid certificate with all intermediate certificates, and allow TLS 1.2 or 1.3.",
            ),
            Self::WebhookTimedOut => (
                "The receiver did not answer within 10 seconds.",
                "Store the notice first, answer with 2xx, and process it later.",
            ),
            Self::WebhookRedirected => {
                ("The receiver answered with a redirect (3xx), which is never followed.", "Give the URL it leads to.")
            }
            Self::WebhookGone => (
                "The receiver answered 410 Gone. A notice that gets this answer is not sent again.",
                "Remove the webhook, or let the receiver accept notices again.",
            ),
            Self::WebhookRefused => (
                "The receiver refused the notice (4xx).",
                "Check the receiver's log: often its secret is another one, or it parses the body before it checks the signature.",
            ),
            Self::WebhookServerError => ("The receiver failed (5xx).", "Check the receiver's log."),
        };
        Explanation { meaning, remedy }
    }
}

/// A failed request to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookFailure {
    pub code: WebhookFailureCode,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
}

impl WebhookFailure {
    /// Makes the failure of a request that got no response.
    #[must_use]
    pub fn without_response(code: WebhookFailureCode) -> Self {
        Self { code, status: None }
    }
}

impl fmt::Display for WebhookFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { meaning, remedy } = self.code.explanation();
        write!(formatter, "{meaning} {remedy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_accepts_a_notice() {
        use WebhookFailureCode as Code;
        for (status, code) in [
            (200, None),
            (204, None),
            (299, None),
            (199, Some(Code::WebhookRefused)),
            (300, Some(Code::WebhookRedirected)),
            (304, Some(Code::WebhookRedirected)),
            (308, Some(Code::WebhookRedirected)),
            (400, Some(Code::WebhookRefused)),
            (410, Some(Code::WebhookGone)),
            (429, Some(Code::WebhookRefused)),
            (500, Some(Code::WebhookServerError)),
            (503, Some(Code::WebhookServerError)),
            (999, Some(Code::WebhookRefused)),
        ] {
            assert_eq!(Code::of_status(status), code, "{status}");
        }
        let final_codes: Vec<_> = Code::ALL.iter().filter(|code| !code.is_retried()).collect();
        assert_eq!(final_codes, [&Code::WebhookGone]);
    }
}
