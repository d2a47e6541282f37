//! Requests to the service: the client, its URL, and reading responses.

use std::time::Duration;

use reqwest::{
    Client, Response, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    access::Access,
    failure::{Failure, VERSION},
};

/// The path of the GraphQL API below the service's base URL.
pub const GRAPHQL_PATH: &str = "/api/audit/graphql";

/// Names the version of this program, so that the service can refuse one that is too old.
pub const VERSION_HEADER: HeaderName = HeaderName::from_static("audit-export-version");

/// Bytes. API Gateway responds with at most 10 MB; our longest list has a tenth of that.
const MAX_ANSWER_LENGTH: usize = 10_000_000;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Creates a client that sends the token and the version with every request, and follows no redirect.
pub fn client(access: &Access, request_timeout: Duration) -> Result<Client, Failure> {
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, access.token.authorization()),
        (VERSION_HEADER, HeaderValue::from_static(VERSION)),
    ]);
    let builder = Client::builder();
    // A proxy can't reach this machine's own ports.
    let builder = if is_local(&access.url) { builder.no_proxy() } else { builder };
    builder
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout)
        // A redirect would send the token to another host.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("audit-export/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .build()
        .map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Returns the URL of `path` below the service's base URL.
///
/// # Errors
/// The URL is neither HTTPS nor HTTP on this machine: the token would be sent in clear text.
pub fn endpoint(base: &Url, path: &str) -> Result<Url, Failure> {
    let invalid = |reason: &str| Failure::argument("--url", reason);
    if !matches!(base.scheme(), "http" | "https") {
        return Err(invalid("must begin with https:// (or http:// for a local stack)"));
    }
    if base.scheme() == "http" && !is_local(base) {
        return Err(invalid("http:// is only for a stack on this machine"));
    }
    let joined = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&joined).map_err(|error| invalid(&error.to_string()))
}

fn is_local(url: &Url) -> bool {
    matches!(url.host_str(), Some(host) if matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost"))
}

/// Reads the body of a response, up to [`MAX_ANSWER_LENGTH`]: a longer one is not the service's, and its beginning is enough
/// to report that.
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
        for good in ["https://example.com/v1/", "http://localhost:4566/a", "http://127.0.0.1:1"] {
            let url =
                endpoint(&Url::parse(good).unwrap(), GRAPHQL_PATH).unwrap_or_else(|failure| unreachable!("{failure}"));
            assert!(url.path().ends_with(GRAPHQL_PATH) && !url.path().contains("//"), "{url}");
        }
    }
}
