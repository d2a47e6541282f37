//! The service over HTTP: what every command that talks to it shares.

use std::{path::Path, time::Duration};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Where GraphQL is answered, below the service's base URL.
pub const GRAPHQL_PATH: &str = "/api/audit/graphql";
/// Bytes. 64 public keys in PEM have a fifth of it.
pub const MAX_ANSWER_LENGTH_BYTES: usize = 64 * 1_024;
/// The environment variable that may stand for `--url`.
pub const URL_VARIABLE: &str = "AUDIT_EXPORT_URL";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer of the service is short; what stands between may answer with a page.
const MAX_SHOWN_LENGTH_CHARACTERS: usize = 300;
/// A larger token fits into no header that API Gateway accepts.
const MAX_TOKEN_LENGTH_BYTES: u64 = 8 * 1_024;

#[derive(Deserialize)]
struct ErrorAnswer {
    errors: Vec<ServiceError>,
}

#[derive(Deserialize)]
struct ServiceError {
    message: String,
    #[serde(default)]
    extensions: serde_json::Map<String, serde_json::Value>,
}

impl ServiceError {
    fn code(&self) -> &str {
        self.extensions.get("code").and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct GraphQlAnswer {
    #[serde(default)]
    data: serde_json::Value,
    #[serde(default)]
    errors: Vec<ServiceError>,
}

/// A client that sends the token of `token_file` with every request, and follows no redirect.
///
/// # Errors
/// The file holds no token, or TLS can't be set up.
pub fn client(token_file: &Path, request_timeout: Duration) -> Result<Client, Failure> {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", read_token(token_file)?.as_str()))
        .map_err(|_| Failure::InvalidFile { path: token_file.to_owned(), reason: "holds no token".to_owned() })?;
    authorization.set_sensitive(true);
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(request_timeout)
        // A redirect would carry the token to where it doesn't belong.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("audit-export/", env!("CARGO_PKG_VERSION")))
        .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization)]))
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
    let is_local = matches!(base.host_str(), Some(host) if host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1" || host == "[::1]");
    if base.scheme() == "http" && !is_local {
        return Err(invalid("http:// is only for a stack on this machine"));
    }
    let joined = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&joined).map_err(|error| invalid(&error.to_string()))
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let metadata = path.metadata().map_err(Failure::file(path))?;
    let invalid = |reason: &str| Failure::InvalidFile { path: path.to_owned(), reason: reason.to_owned() };
    if metadata.len() > MAX_TOKEN_LENGTH_BYTES {
        return Err(invalid("is too long for a token"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(Failure::file(path))?);
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() { Err(invalid("holds no token")) } else { Ok(token) }
}

/// Asks the service by GraphQL. One attempt: a person waits for it.
pub struct GraphQl {
    client: Client,
    url: Url,
}

impl GraphQl {
    /// # Errors
    /// Those of [`client`] and [`endpoint`].
    pub fn new(base: &Url, token_file: &Path) -> Result<Self, Failure> {
        Ok(Self { client: client(token_file, QUERY_TIMEOUT)?, url: endpoint(base, GRAPHQL_PATH)? })
    }

    /// The answer's `data`. `what` says in a failure what was asked for.
    ///
    /// # Errors
    /// The service refused (its codes are in the text), could not be reached, or something else answered.
    pub async fn query<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &str,
        variables: serde_json::Value,
    ) -> Result<T, Failure> {
        let body = serde_json::json!({ "query": query, "variables": variables }).to_string();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|error| Failure::Unavailable(describe(&error.without_url())))?;
        let status = answer.status();
        let text = read_text(answer).await.map_err(Failure::Unavailable)?;
        let is_someone_else = || Failure::Unavailable(no_answer_of_the_service(status, &text));
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Failure::TokenRefused(explain(status, &text)));
        }
        let GraphQlAnswer { data, errors } = serde_json::from_str(&text).map_err(|_| is_someone_else())?;
        if !errors.is_empty() {
            let reason = explain_errors(&errors);
            let is_passing = status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || errors.iter().any(|error| matches!(error.code(), "TRY_AGAIN" | "INTERNAL"));
            return Err(if is_passing {
                Failure::Unavailable(reason)
            } else {
                Failure::Refused { what: what.to_owned(), reason }
            });
        }
        if !status.is_success() {
            return Err(is_someone_else());
        }
        serde_json::from_value(data).map_err(|_| is_someone_else())
    }
}

fn no_answer_of_the_service(status: StatusCode, text: &str) -> String {
    format!("not the service answered, but something else; is the URL right? {}", explain(status, text))
}

/// The body of an answer. What is longer than [`MAX_ANSWER_LENGTH_BYTES`] is a page of something else: its beginning is
/// enough to say so.
///
/// # Errors
/// Why there is none, in words.
pub async fn read_text(mut answer: Response) -> Result<String, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| describe(&error.without_url()))? {
        let space = MAX_ANSWER_LENGTH_BYTES - body.len();
        body.extend_from_slice(chunk.get(..space).unwrap_or(&chunk));
        if chunk.len() > space {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The service's own words, or the beginning of whatever answered instead.
pub fn explain(status: StatusCode, text: &str) -> String {
    let Ok(ErrorAnswer { errors }) = serde_json::from_str(text) else {
        let beginning: String = printable(text).take(MAX_SHOWN_LENGTH_CHARACTERS).collect();
        return format!("{status} {beginning}");
    };
    format!("{}: {}", status.as_u16(), explain_errors(&errors))
}

fn explain_errors(errors: &[ServiceError]) -> String {
    let reasons: Vec<String> = errors
        .iter()
        .map(|error| {
            let details: Vec<String> = error
                .extensions
                .iter()
                .filter(|(name, _)| *name != "code")
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
            format!("{}: {}{details}", error.code(), error.message)
        })
        .collect();
    printable(&reasons.join("; ")).collect()
}

/// Without what could steer a terminal.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !character.is_control())
}

/// An error with what caused it: alone it often says only that sending failed.
pub fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
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

    #[test]
    fn the_services_words_are_shown() {
        let text = r#"{"errors":[{"message":"no id","extensions":{"code":"EVENT_ID_MISSING","eventIndex":3}}]}"#;
        assert_eq!(explain(StatusCode::BAD_REQUEST, text), "400: EVENT_ID_MISSING: no id (eventIndex 3)");
        assert_eq!(explain(StatusCode::NOT_FOUND, "<html>\u{1b}[2J"), "404 Not Found <html>[2J");
    }
}
