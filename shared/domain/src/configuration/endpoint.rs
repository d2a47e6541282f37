//! The address of an S3 server other than AWS's.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::{
    field_error::{FieldErrorCode, ValueError},
    region::Partition,
    text_type::text_type,
};
use crate::customer_server::{CustomerServers, is_host_name};

/// The most characters of an endpoint's URL: room for the longest host name and a port.
pub const MAX_ENDPOINT_URL_LENGTH: usize = 300;

/// The lowest port of an endpoint, other than that of HTTPS. Below it are the well-known ports of other protocols, which no
/// customer may make the service knock at: <https://www.iana.org/assignments/service-names-port-numbers>.
pub const MIN_ENDPOINT_PORT: u16 = 1_024;

/// The last labels of AWS's dual-stack endpoints, in addition to [`Partition::domain_suffix`]:
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html#dual-stack-endpoints>.
const DUAL_STACK_SUFFIXES: [&str; 2] = ["api.aws", "api.amazonwebservices.com.cn"];

/// The HTTPS address of an S3 server other than AWS's: `https://`, a host name, and a port unless it is that of HTTPS. The
/// host is a name, never an address: a certificate proves a name, and the addresses of a name are checked when it is resolved.
///
/// Whether the host is public depends on the stack: see [`EndpointUrl::parse_for`], which also checks the port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// Parses a URL that a stack which connects to these servers accepts.
    ///
    /// # Errors
    /// `ENDPOINT_URL_INVALID`.
    pub fn parse_for(servers: CustomerServers, text: &str) -> Result<Self, ValueError> {
        let url = Self::parse(text)?;
        if url.port().is_some_and(|port| port < MIN_ENDPOINT_PORT) {
            return invalid(
                "Let the server listen on port 443, or on one from 1024 on, for example https://s3.example.com:9000.",
            );
        }
        if servers.admits(url.host()) {
            Ok(url)
        } else {
            invalid("Give a URL with a public host name, for example https://s3.example.com.")
        }
    }

    fn parse(text: &str) -> Result<Self, ValueError> {
        const FORM: &str = "An endpoint URL has https://, a host name and, if it is not 443, a port, for example \
                            https://s3.example.com:9000. It has no path, user name, '?' or '#'.";
        if text.len() > MAX_ENDPOINT_URL_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return invalid(FORM);
        }
        let Ok(url) = Url::parse(text) else { return invalid(FORM) };
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if url.scheme() != "https" || !is_bare {
            return invalid(FORM);
        }
        match url.host() {
            Some(Host::Domain(host)) if is_of_aws(host) => {
                invalid("Leave out the endpoint URL for a bucket in AWS: its Region is enough.")
            }
            Some(Host::Domain(host)) if is_host_name(host) => Ok(Self(url.origin().ascii_serialization())),
            _ => invalid("Give the server's host name, not an IP address and without a dot at its end."),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the host and, unless it is that of HTTPS, the port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or_default()
    }

    fn host(&self) -> &str {
        let authority = self.authority();
        authority.split_once(':').map_or(authority, |(host, _)| host)
    }

    /// Returns the port, unless it is that of HTTPS.
    fn port(&self) -> Option<u16> {
        self.authority().split_once(':')?.1.parse().ok()
    }
}

text_type!(EndpointUrl, 0);

fn invalid<T>(rule: &'static str) -> Result<T, ValueError> {
    Err(ValueError::new(FieldErrorCode::EndpointUrlInvalid, rule))
}

fn is_of_aws(host: &str) -> bool {
    let suffixes = Partition::ALL.iter().map(|partition| partition.domain_suffix()).chain(DUAL_STACK_SUFFIXES);
    suffixes
        .into_iter()
        .any(|suffix| host.strip_suffix(suffix).is_some_and(|name| name.is_empty() || name.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_name_and_maybe_a_port() {
        for (text, normal, authority) in [
            ("https://s3.example.com", "https://s3.example.com", "s3.example.com"),
            ("HTTPS://S3.Example.com:443/", "https://s3.example.com", "s3.example.com"),
            ("https://minio.example.com:9000", "https://minio.example.com:9000", "minio.example.com:9000"),
            ("https://s3.example.com:1024", "https://s3.example.com:1024", "s3.example.com:1024"),
            ("https://s3.example.com:65535", "https://s3.example.com:65535", "s3.example.com:65535"),
            (
                "https://0123abcd.r2.cloudflarestorage.com/",
                "https://0123abcd.r2.cloudflarestorage.com",
                "0123abcd.r2.cloudflarestorage.com",
            ),
            ("https://notamazonaws.com", "https://notamazonaws.com", "notamazonaws.com"),
        ] {
            let url = EndpointUrl::parse_for(CustomerServers::Public, text).unwrap();
            assert_eq!((url.as_str(), url.authority()), (normal, authority));
            assert_eq!(EndpointUrl::parse_for(CustomerServers::Public, normal).unwrap(), url);
        }
    }

    #[test]
    fn every_other_address_is_refused() {
        let too_long = format!("https://{}.example", "a".repeat(MAX_ENDPOINT_URL_LENGTH));
        for text in [
            "",
            "s3.example.com",
            "http://s3.example.com",
            "https://",
            "https://s3.example.com/bucket",
            "https://s3.example.com//",
            "https://s3.example.com?",
            "https://s3.example.com/#",
            "https://user@s3.example.com",
            "https://:password@s3.example.com",
            "https://s3.example.com:0",
            "https://s3.example.com:22",
            "https://s3.example.com:80",
            "https://s3.example.com:1023",
            "https://s3.example.com:99999",
            "https://s3.example.com.",
            "https://127.0.0.1",
            "https://8.8.8.8",
            "https://2130706433",
            "https://[2600:1f18::1]",
            "https://localhost",
            "https://localhost:9000",
            "https://minio",
            "https://minio.local",
            "https://minio.internal",
            "https://a_b.example.com",
            "https://s3.exämple.com",
            "https://s3.example.com\\@evil.example",
            "https://s3.example.com\n",
            "https://amazonaws.com",
            "https://s3.eu-west-1.amazonaws.com",
            "https://bucket.vpce-1-2.s3.us-east-1.vpce.amazonaws.com",
            "https://s3.cn-north-1.amazonaws.com.cn",
            "https://s3.eusc-de-east-1.amazonaws.eu",
            "https://s3.dualstack.eu-west-1.api.aws",
            &too_long,
        ] {
            let error = EndpointUrl::parse_for(CustomerServers::Public, text).unwrap_err();
            assert_eq!(error.code, FieldErrorCode::EndpointUrlInvalid, "{text:?}");
        }
    }

    #[test]
    fn a_development_stack_connects_to_this_machine() {
        let local = EndpointUrl::parse_for(CustomerServers::PublicAndLocal, "https://localhost:9000").unwrap();
        assert_eq!(local.host(), "localhost");
        assert!(EndpointUrl::parse_for(CustomerServers::PublicAndLocal, "https://minio.local").is_err());
    }
}
