//! The service over HTTP: what every command that talks to it shares.

mod diagnosis;
mod graphql;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the server of a test has its own thread")]
pub mod test_server;

use std::time::Duration;

use reqwest::{
    Client, Response, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

pub use self::{
    diagnosis::{Diagnosis, explain},
    graphql::{Answer, GraphQl, Operation},
};
use crate::{access::Access, failure::Failure};

/// Where GraphQL is answered, below the service's base URL.
pub const GRAPHQL_PATH: &str = "/api/audit/graphql";

/// Tells the service which version asks, so that it can say when that one is too old.
pub const VERSION_HEADER: HeaderName = HeaderName::from_static("audit-export-version");
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes. An API Gateway answers with at most 10 MB; the longest list of ours has a tenth of that.
const MAX_ANSWER_LENGTH: usize = 10_000_000;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that sends the token and the version with every request, and follows no redirect.
///
/// # Errors
/// TLS can't be set up.
pub fn client(access: &Access, request_timeout: Duration) -> Result<Client, Failure> {
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, access.token.authorization()),
        (VERSION_HEADER, HeaderValue::from_static(VERSION)),
    ]);
    let builder = Client::builder();
    // No proxy reaches what listens on this machine.
    let builder = if is_local(&access.url) { builder.no_proxy() } else { builder };
    builder
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout)
        // A redirect would carry the token to where it doesn't belong.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("audit-export/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .build()
        .map_err(|error| Failure::Unavailable(error.to_string()))
}

/// `path` below the service's base URL, where a token may be sent to.
///
/// # Errors
/// The URL is not of HTTPS, nor of HTTP on this machine.
pub fn endpoint(base: &Url, path: &str) -> Result<Url, Failure> {
    let invalid = |reason: &str| Failure::InvalidArgument { what: "--url", reason: reason.to_owned() };
    if !matches!(base.scheme(), "http" | "https") {
        return Err(invalid("begins with https:// (or http:// for a local stack)"));
    }
    // The token would go over the wire for everyone to read.
    if base.scheme() == "http" && !is_local(base) {
        return Err(invalid("http:// is only for a stack on this machine"));
    }
    let joined = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&joined).map_err(|error| invalid(&error.to_string()))
}

fn is_local(url: &Url) -> bool {
    matches!(url.host_str(), Some(host) if matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost"))
}

/// The body of an answer. What is longer than [`MAX_ANSWER_LENGTH`] is a page of something else: its beginning is enough
/// to say so.
///
/// # Errors
/// The connection ended within it, or it took too long.
pub async fn read_text(mut answer: Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let space = MAX_ANSWER_LENGTH - body.len();
        body.extend_from_slice(chunk.get(..space).unwrap_or(&chunk));
        if chunk.len() > space {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_leaves_in_the_clear() {
        for bad in ["http://example.com/x", "ftp://localhost", "http://localhost.example.com"] {
            assert!(endpoint(&Url::parse(bad).unwrap(), GRAPHQL_PATH).is_err(), "{bad}");
        }
        for good in ["https://example.com/production/", "http://localhost:4566/a", "http://127.0.0.1:1"] {
            let url =
                endpoint(&Url::parse(good).unwrap(), GRAPHQL_PATH).unwrap_or_else(|failure| unreachable!("{failure}"));
            assert!(url.path().ends_with(GRAPHQL_PATH) && !url.path().contains("//"), "{url}");
        }
    }
}
