//! The address of a receiver.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    configuration::{
        field_error::{FieldErrorCode, ValueError},
        text_type::text_type,
    },
    customer_server::{CustomerServers, HTTPS_PORT, is_host_name},
};

/// The most characters of a receiver's URL.
pub const MAX_WEBHOOK_URL_LENGTH: usize = 1_024;

/// The HTTPS address of a receiver, in the normal form of the WHATWG URL standard. The host is a name, never an address:
/// a certificate proves a name.
///
/// Whether the host is public depends on the stack: see [`WebhookUrl::parse_for`]. What is stored or queued is read
/// without that rule, so the sender checks it again with [`WebhookUrl::suits`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Parses a URL that a stack which connects to these servers accepts.
    ///
    /// # Errors
    /// `WEBHOOK_URL_INVALID`.
    pub fn parse_for(servers: CustomerServers, text: &str) -> Result<Self, ValueError> {
        let url = Self::parse(text)?;
        if url.suits(servers) {
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

    /// Returns whether a stack which connects to these servers sends to the URL. Only a receiver of a development stack may
    /// have another port than that of HTTPS.
    #[must_use]
    pub fn suits(&self, servers: CustomerServers) -> bool {
        let is_port_open = self.port() == HTTPS_PORT || servers == CustomerServers::PublicAndLocal;
        is_port_open && servers.admits(self.host())
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
            let url = WebhookUrl::parse_for(CustomerServers::Public, text).unwrap();
            assert_eq!(url.as_str(), normal);
            assert_eq!(url.port(), 443);
            assert_eq!(WebhookUrl::parse_for(CustomerServers::Public, normal).unwrap(), url);
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
            assert!(WebhookUrl::parse_for(CustomerServers::Public, text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_development_stack_sends_to_this_machine_on_any_port() {
        let local = WebhookUrl::parse_for(CustomerServers::PublicAndLocal, "https://localhost:8443/x").unwrap();
        assert_eq!((local.host(), local.port()), ("localhost", 8443));
        assert!(!local.suits(CustomerServers::Public));
        for text in ["https://127.0.0.1:8443/", "http://localhost:8443/", "https://printer.local/"] {
            assert!(WebhookUrl::parse_for(CustomerServers::PublicAndLocal, text).is_err(), "{text:?}");
        }
        // What a production stack finds in its queue was not necessarily stored by it.
        let read: WebhookUrl = serde_json::from_str("\"https://localhost:8443/x\"").unwrap();
        assert!(read == local && !read.suits(CustomerServers::Public));
        assert!(serde_json::from_str::<WebhookUrl>("\"http://hooks.example.com/\"").is_err());
    }
}
