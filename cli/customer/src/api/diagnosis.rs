//! Explanations of failed requests: what happened, and what to check.

use std::{error::Error, io};

use reqwest::{
    Response, StatusCode, Url,
    header::{LOCATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use serde_json::Value;
use terminal::text::printable;

use crate::{
    failure::{Diagnosis, Failure, VERSION, chain},
    words::in_commands,
};

/// The service's answers are short; a proxy may answer with a whole page.
const MAX_SHOWN_LENGTH_CHARACTERS: usize = 300;

/// The header to which API Gateway renames `WWW-Authenticate` of a function's response.
const REMAPPED_CHALLENGE: &str = "x-amzn-remapped-www-authenticate";

const MAY_HAVE_TAKEN_EFFECT: &str = "The request may have taken effect: look first, then try again.";

/// An error in an answer of the service.
#[derive(Debug, Deserialize)]
pub struct ServiceError {
    message: String,
    /// The path to the field that failed.
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    extensions: serde_json::Map<String, Value>,
}

impl ServiceError {
    /// Returns whether a field within the answer is missing, and not the whole answer.
    pub fn is_of_a_part(&self) -> bool {
        self.path.len() > 1
    }

    fn code(&self) -> &str {
        self.extensions.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    fn detail(&self, name: &str) -> String {
        match self.extensions.get(name) {
            None | Some(Value::Null) => "?".to_owned(),
            Some(Value::String(text)) => printable(text),
            Some(other) => printable(&other.to_string()),
        }
    }
}

/// Returns the target of a redirect, without its query, which may hold a secret.
pub fn location(answer: &Response) -> Option<String> {
    let text = answer.headers().get(LOCATION)?.to_str().ok()?;
    Some(printable(text.split(['?', '#']).next()?).chars().take(MAX_SHOWN_LENGTH_CHARACTERS).collect())
}

/// Returns the challenge of a response, under either of its names.
pub fn challenge(answer: &Response) -> Option<String> {
    let header = answer.headers().get(WWW_AUTHENTICATE).or_else(|| answer.headers().get(REMAPPED_CHALLENGE))?;
    Some(printable(header.to_str().ok()?).chars().take(MAX_SHOWN_LENGTH_CHARACTERS).collect())
}

/// Explains why there is no answer, or only a part of one.
pub fn diagnose(error: reqwest::Error, url: &Url) -> Diagnosis {
    let error = error.without_url();
    let host = url.host_str().unwrap_or("?");
    let port = url.port_or_known_default().unwrap_or(0);
    if error.is_timeout() && error.is_connect() {
        return Diagnosis::new(
            format!("no connection to {host} in time"),
            "Check the network, a VPN or a proxy (HTTPS_PROXY) that has to be used, and the host of --url.",
        );
    }
    if error.is_timeout() {
        return Diagnosis::new(format!("{host} did not answer in time"), MAY_HAVE_TAKEN_EFFECT);
    }
    if let Some(tls) = chain(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return Diagnosis::new(
            format!("no secure connection (TLS) to {host}: {}", printable(&tls.to_string())),
            "Check the host and port of --url, this machine's clock, and whether a proxy intercepts TLS with a certificate \
             that this machine doesn't trust (SSL_CERT_FILE adds certificates).",
        );
    }
    let reason = printable(&causes(&error));
    let lower = reason.to_lowercase();
    if lower.contains("dns error") || lower.contains("lookup address") {
        return Diagnosis::new(
            format!("the host {host} is not known (DNS)"),
            "Check the host of --url for a typing error, and this machine's network.",
        );
    }
    if lower.contains("tunnel") || lower.contains("proxy auth") {
        return Diagnosis::new(
            format!("the proxy refused the connection to {host}: {reason}"),
            "Check HTTPS_PROXY (with user and password, if the proxy requires them) and NO_PROXY.",
        );
    }
    let kind = chain(&error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last();
    let is_broken = error.is_body() || error.is_decode() || lower.contains("connection closed");
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => Diagnosis::new(
            format!("nothing listens at {host}:{port} (connection refused)"),
            "Check the host and port of --url, and that the service runs (a local stack: make up).",
        ),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof) => {
            broken_connection(host)
        }
        _ if is_broken => broken_connection(host),
        _ => Diagnosis::new(
            format!("no answer from {host}:{port}: {reason}"),
            "Check --url, the network, and that the service listens there.",
        ),
    }
}

fn broken_connection(host: &str) -> Diagnosis {
    Diagnosis::new(
        format!("{host} closed the connection before its answer was complete"),
        "The request may have taken effect: look first, then try again. If it happens again, check that the service listens \
         there, and whether --url needs http:// or https://.",
    )
}

/// Joins the texts of an error and its causes: the error alone often only says that sending failed.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// Explains an answer that is not the service's.
pub fn of_answer(status: StatusCode, location: Option<&str>, challenge: Option<&str>, text: &str) -> Diagnosis {
    if status.is_redirection() {
        return Diagnosis::new(
            format!("{status}: a redirect to {}, not followed: it would get the token", location.unwrap_or("nowhere")),
            "Give the service's own URL with --url. A login page or another host is in front of it.",
        );
    }
    if status == StatusCode::UNAUTHORIZED
        && let Some(challenge) = challenge
    {
        return Diagnosis::new(
            format!("{status}: the answer is not the service's, and asks for credentials: {challenge}"),
            "Check --url. Something in front of the service may want a login of its own, which this program can't send.",
        );
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Diagnosis::new(
            format!("{status}: a proxy requires a user and a password"),
            "Give them in HTTPS_PROXY (http://user:password@proxy:port), or list the service's host in NO_PROXY.",
        );
    }
    // API Gateway's own messages: <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>.
    let json: Option<Value> = serde_json::from_str(text).ok();
    match json.as_ref().and_then(|json| json.get("message")).and_then(Value::as_str) {
        Some("Missing Authentication Token") => Diagnosis::new(
            format!("{status}: an API Gateway answered, but it has no such path"),
            "Check that --url ends with the stage, for example https://…/v1, and nothing after it.",
        ),
        Some(message @ ("Internal server error" | "Endpoint request timed out" | "Service Unavailable")) => {
            Diagnosis::new(format!("{status}: {message} (from the service's API Gateway)"), MAY_HAVE_TAKEN_EFFECT)
        }
        Some("Too Many Requests" | "Limit Exceeded") => Diagnosis::new(
            format!("{status}: the service's API Gateway accepts no more requests at the moment"),
            "Try again in some seconds.",
        ),
        _ if is_page(text) && status.is_server_error() => Diagnosis::new(
            format!("{status}: a proxy or load balancer answered with {}, not the service", page(text)),
            "It can't reach the service. Try again in a minute; if that fails, check --url, HTTPS_PROXY and NO_PROXY, and \
             ask the operator of the proxy.",
        ),
        _ if is_page(text) => Diagnosis::new(
            format!("{status}: {} answered, not the service", page(text)),
            "Check --url: it must be the base URL of the API, not of a website or a login page.",
        ),
        _ => Diagnosis::new(
            format!("{status}: something other than the service answered: {}", beginning(text)),
            "Check --url: it must be the service's base URL, for example https://…/v1.",
        ),
    }
}

/// Explains an answer of the service that has an unexpected shape.
pub fn unexpected_shape(error: &serde_json::Error) -> Diagnosis {
    Diagnosis::new(
        format!("this version ({VERSION}) does not understand the answer: {}", printable(&error.to_string())),
        "Check --url, and that this program and the service are of the same release.",
    )
}

fn is_page(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(15).collect();
    let start = start.to_lowercase();
    ["<!doctype html", "<html", "<head", "<!--"].iter().any(|tag| start.starts_with(tag))
}

/// Describes a web page by its title.
fn page(text: &str) -> String {
    // Changes ASCII letters only, so that positions stay those of `text`.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").zip(lower.find("</title>")).and_then(|(start, end)| text.get(start + 7..end));
    match title.map(str::trim).filter(|title| !title.is_empty()) {
        Some(title) => format!("a web page ({})", beginning(title)),
        None => "a web page".to_owned(),
    }
}

fn beginning(text: &str) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = printable(&text).chars().take(MAX_SHOWN_LENGTH_CHARACTERS).collect();
    if shown.is_empty() { "(an empty answer)".to_owned() } else { shown }
}

/// Converts the errors of the service to a failure.
pub fn refusal(what: &str, status: StatusCode, errors: &[ServiceError]) -> Failure {
    let reason = explain_errors(errors);
    let first = errors.first();
    match first.map(ServiceError::code).unwrap_or_default() {
        "UPGRADE_REQUIRED" => {
            Failure::UpgradeRequired { minimum: first.map_or_else(String::new, |error| error.detail("minimumVersion")) }
        }
        "NOT_FOUND" => Failure::NotFound { what: what.to_owned(), reason },
        "CONFLICT" => Failure::Conflict {
            current_version: first.map_or_else(String::new, |error| error.detail("currentVersion")),
        },
        "NEW_ACCESS_KEY_REFUSED" | "NEW_CONNECTION_REFUSED" => Failure::ConnectionFailed(reason),
        "TRY_AGAIN" | "INTERNAL" | "TOO_MANY_TESTS" | "TOO_MANY_RUNS" | "TOO_MANY_COUNTS" | "TOO_MANY_CHANGES" => {
            Failure::Unavailable(reason)
        }
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Failure::TokenRefused(reason),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Failure::Unavailable(reason),
        code @ ("GRAPHQL_PARSE_FAILED" | "GRAPHQL_VALIDATION_FAILED") => Failure::Refused {
            what: what.to_owned(),
            reason: format!(
                "it does not know what this version ({VERSION}) asks for ({code})\n  Use the version of the service's release."
            ),
        },
        code => {
            let what = what.to_owned();
            let reason = format!("{reason}\n  For details: audit-export explain {}", printable(code));
            if code == "INVALID_INPUT" {
                Failure::InvalidInput { what, reason }
            } else {
                Failure::Refused { what, reason }
            }
        }
    }
}

#[derive(Deserialize)]
struct ErrorAnswer {
    errors: Vec<ServiceError>,
}

/// Returns the service's explanation, or the beginning of any other answer.
pub fn explain(status: StatusCode, text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(ErrorAnswer { errors }) => format!("{}: {}", status.as_u16(), explain_errors(&errors)),
        Err(_) => format!("{status} {}", beginning(text)),
    }
}

/// Formats each error with its code and details; one line for each input field.
pub fn explain_errors(errors: &[ServiceError]) -> String {
    let reasons: Vec<String> = errors.iter().map(explain_error).collect();
    reasons.join("; ")
}

fn explain_error(error: &ServiceError) -> String {
    let mut lines = Vec::new();
    let mut details = Vec::new();
    for (name, value) in error.extensions.iter().filter(|(name, _)| *name != "code") {
        match value {
            Value::Array(fields) => {
                for field in fields {
                    let part = |name: &str| printable(field.get(name).and_then(Value::as_str).unwrap_or("?"));
                    lines.push(format!("  {}: {} ({})", part("field"), part("message"), part("code")));
                }
            }
            Value::Object(cause) => {
                let part = |name: &str| printable(cause.get(name).and_then(Value::as_str).unwrap_or("?"));
                lines.push(format!("  {}: {}", part("code"), part("message")));
            }
            _ if name == "retryAfterSeconds" => details.push(format!("try again in {} s", error.detail(name))),
            _ => details.push(format!("{} {}", printable(name), error.detail(name))),
        }
    }
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    lines.insert(0, printable(&format!("{}: {}", error.code(), in_commands(&error.message))) + &details);
    lines.join("\n")
}
