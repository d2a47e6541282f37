//! The address of a receiver.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::configuration::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The most characters of a receiver's URL.
pub const MAX_WEBHOOK_URL_LENGTH: usize = 1_024;

const HTTPS_PORT: u16 = 443;

/// The receivers that a stack sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// Servers with a public name and public addresses, on port 443.
    Public,
    /// Those, and servers on this machine, on any port. For development stacks.
    PublicAndLocal,
}

/// The HTTPS address of a receiver, in the normal form of the WHATWG URL standard. The host is a name, never an address:
/// a certificate proves a name.
///
/// Whether the host is public depends on the stack: see [`WebhookUrl::parse_for`]. What is stored or queued is read
/// without that rule, so the sender checks it again with [`WebhookUrl::suits`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Parses a URL that a stack with these receivers accepts.
    ///
    /// # Errors
    /// `WEBHOOK_URL_INVALID`.
    pub fn parse_for(receivers: Receivers, text: &str) -> Result<Self, ValueError> {
        let url = Self::parse(text)?;
        if url.suits(receivers) {
            Ok(url)
        } else {
            invalid("Give a URL with a public host name, for example hooks.example.com, and without a port.")
        }
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        const FORM: &str = "A webhook URL has at most 1,024 characters of visible ASCII and starts with https://, for example \
                            https://hooks.example.com/audit-export.";
        if text.len() > MAX_WEBHOOK_URL_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return invalid(FORM);
        }
        let Ok(url) = Url::parse(text) else { return invalid(FORM) };
        if url.scheme() != "https" || url.as_str().len() > MAX_WEBHOOK_URL_LENGTH {
            return invalid(FORM);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid(
                "Leave out the user name and the password. The signature proves to the receiver who sent a notice.",
            );
        }
        if url.fragment().is_some() {
            return invalid("Leave out the part after '#'. It is never sent.");
        }
        match url.host() {
            Some(Host::Domain(host)) if is_host_name(host) => Ok(Self(url.into())),
            _ => invalid("Give the receiver's host name, not an IP address and without a dot at its end."),
        }
    }

    /// Returns whether a stack with these receivers sends to the URL.
    #[must_use]
    pub fn suits(&self, receivers: Receivers) -> bool {
        match receivers {
            Receivers::Public => self.port() == HTTPS_PORT && is_public_name(self.host()),
            Receivers::PublicAndLocal => is_public_name(self.host()) || is_local_name(self.host()),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn host(&self) -> &str {
        self.authority().0
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority().1.unwrap_or(HTTPS_PORT)
    }

    /// Returns the host and, unless it is that of HTTPS, the port. In the normal form, a URL without user information
    /// has nothing else between `https://` and the path.
    fn authority(&self) -> (&str, Option<u16>) {
        let rest = self.0.strip_prefix("https://").unwrap_or_default();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, None),
        }
    }
}

text_type!(WebhookUrl, 0);

fn invalid<T>(rule: &'static str) -> Result<T, ValueError> {
    Err(ValueError::new(FieldErrorCode::WebhookUrlInvalid, rule))
}

/// Returns whether `host` has the form of a host name of DNS (RFC 1123).
fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// The last labels of names that are never public.
///
/// Source: <https://www.iana.org/assignments/special-use-domain-names/special-use-domain-names.xhtml>, and `internal`,
/// which ICANN reserved for private use in 2024.
const PRIVATE_TOP_LEVEL_DOMAINS: [&str; 7] = ["alt", "internal", "invalid", "local", "localhost", "onion", "test"];

fn is_public_name(host: &str) -> bool {
    host.rsplit_once('.')
        .is_some_and(|(_, top)| !PRIVATE_TOP_LEVEL_DOMAINS.contains(&top) && !host.ends_with(".home.arpa"))
}

fn is_local_name(host: &str) -> bool {
    host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_have_a_public_name_and_the_port_of_https() {
        let longest = format!("https://a.example/{}", "a".repeat(MAX_WEBHOOK_URL_LENGTH - 18));
        for (text, normal) in [
            ("https://hooks.example.com", "https://hooks.example.com/"),
            ("HTTPS://Hooks.Example.com:443/x?y=1&z=%20", "https://hooks.example.com/x?y=1&z=%20"),
            ("https://hooks.example.com?token=a:b/c@d", "https://hooks.example.com/?token=a:b/c@d"),
            ("https://xn--bcher-kva.example/a/../b", "https://xn--bcher-kva.example/b"),
            ("https://localhost.example.com/", "https://localhost.example.com/"),
            (&longest, &longest),
        ] {
            let url = WebhookUrl::parse_for(Receivers::Public, text).unwrap();
            assert_eq!(url.as_str(), normal);
            assert_eq!(url.port(), 443);
            assert_eq!(WebhookUrl::parse_for(Receivers::Public, normal).unwrap(), url);
        }
    }

    #[test]
    fn every_other_address_is_refused() {
        let too_long = format!("https://a.example/{}", "a".repeat(MAX_WEBHOOK_URL_LENGTH - 17));
        // A quotation mark is escaped to three characters.
        let too_long_when_escaped = format!("https://a.example/{}", "\"".repeat(400));
        for text in [
            "",
            "hooks.example.com",
            "http://hooks.example.com/",
            "ftp://hooks.example.com/",
            "https://",
            "https:///x",
            "https://user@hooks.example.com/",
            "https://user:password@hooks.example.com/",
            "https://:password@hooks.example.com/",
            "https://hooks.example.com/#part",
            "https://hooks.example.com/#",
            "https://hooks.example.com:8443/",
            "https://hooks.example.com:80/",
            "https://hooks.example.com:0/",
            "https://hooks.example.com:99999/",
            "https://hooks.example.com./",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://[::1]/",
            "https://[fd00:ec2::254]/",
            "https://localhost/",
            "https://LOCALHOST/",
            "https://a.localhost/",
            "https://receiver/",
            "https://printer.local/",
            "https://instance-data.ec2.internal/",
            "https://router.home.arpa/",
            "https://a_b.example.com/",
            "https://-a.example.com/",
            "https://a..example.com/",
            "https://*.example.com/",
            "https://hooks.example.com/ x",
            "https://hooks.example.com/\n",
            "https://hooks.exämple.com/",
            "https://hooks.example.com\\@evil.example/",
            "https:\\\\hooks.example.com/",
            "https://%6cocalhost/",
            &too_long,
            &too_long_when_escaped,
        ] {
            assert!(WebhookUrl::parse_for(Receivers::Public, text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_development_stack_sends_to_this_machine_on_any_port() {
        let local = WebhookUrl::parse_for(Receivers::PublicAndLocal, "https://localhost:8443/x").unwrap();
        assert_eq!((local.host(), local.port()), ("localhost", 8443));
        assert!(!local.suits(Receivers::Public));
        for text in ["https://127.0.0.1:8443/", "http://localhost:8443/", "https://printer.local/"] {
            assert!(WebhookUrl::parse_for(Receivers::PublicAndLocal, text).is_err(), "{text:?}");
        }
        // What a production stack finds in its queue was not necessarily stored by it.
        let read: WebhookUrl = serde_json::from_str("\"https://localhost:8443/x\"").unwrap();
        assert!(read == local && !read.suits(Receivers::Public));
        assert!(serde_json::from_str::<WebhookUrl>("\"http://hooks.example.com/\"").is_err());
    }
}
