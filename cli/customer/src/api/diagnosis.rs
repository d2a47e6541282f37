//! Why there is no answer of the service, or none that does what was asked: what happened, and what to check.

use std::{error::Error, fmt, io};

use reqwest::{Response, StatusCode, Url, header::LOCATION};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use terminal::text::printable;

/// An answer of the service is short; what stands between may answer with a page.
const MAX_SHOWN_LENGTH_CHARACTERS: usize = 300;

/// What happened, and what to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub what: String,
    pub check: &'static str,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n  {}", self.what, self.check)
    }
}

/// One of the errors in an answer of the service.
#[derive(Debug, Deserialize)]
pub struct ServiceError {
    message: String,
    /// The fields that lead to the one that failed.
    #[serde(default)]
    path: Vec<Value>,
    #[serde(default)]
    extensions: serde_json::Map<String, Value>,
}

impl ServiceError {
    /// Whether it says of a field within the answer, and not of the answer as a whole, that it is missing.
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

/// Where a redirect leads to, without what may be a secret in it.
pub fn location(answer: &Response) -> Option<String> {
    let text = answer.headers().get(LOCATION)?.to_str().ok()?;
    Some(printable(text.split(['?', '#']).next()?).chars().take(MAX_SHOWN_LENGTH_CHARACTERS).collect())
}

impl Diagnosis {
    /// No answer came, or not the whole of it.
    pub fn of_error(error: reqwest::Error, url: &Url) -> Self {
        of_error(error, url)
    }
}

/// No answer came, or not the whole of it.
pub fn of_error(error: reqwest::Error, url: &Url) -> Diagnosis {
    let error = error.without_url();
    let host = url.host_str().unwrap_or("?").to_owned();
    let port = url.port_or_known_default().unwrap_or(0);
    if error.is_timeout() {
        return if error.is_connect() {
            Diagnosis {
                what: format!("no connection to {host} within the time allowed"),
                check: "Check the network, a VPN or a proxy (HTTPS_PROXY) that has to be used, and the host of --url.",
            }
        } else {
            Diagnosis {
                what: format!("{host} did not answer in time"),
                check: "The request may have taken effect: look first, then try again.",
            }
        };
    }
    let reason = printable(&causes(&error));
    if let Some(tls) = find_tls_error(&error) {
        return Diagnosis {
            what: format!("no secure connection (TLS) to {host}: {tls}"),
            check: "Check that --url has the right host and port, this machine's clock, and whether a proxy intercepts \
                    TLS with a certificate that this machine doesn't trust (SSL_CERT_FILE names more).",
        };
    }
    let lower = reason.to_lowercase();
    if lower.contains("dns error") || lower.contains("lookup address") {
        return Diagnosis {
            what: format!("the host {host} is not known (DNS)"),
            check: "Check the host of --url for a typing error, and this machine's network.",
        };
    }
    if lower.contains("tunnel") || lower.contains("proxy auth") {
        return Diagnosis {
            what: format!("the proxy let no connection through to {host}: {reason}"),
            check: "Check HTTPS_PROXY (with its user and password, if it wants them) and NO_PROXY.",
        };
    }
    match find_io_error(&error) {
        Some(io::ErrorKind::ConnectionRefused) => Diagnosis {
            what: format!("nothing listens at {host}:{port} (connection refused)"),
            check: "Check host and port of --url, and that the service runs (a local stack: make up).",
        },
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof) => {
            broken_connection(&host)
        }
        _ if error.is_body() || error.is_decode() || lower.contains("connection closed") => broken_connection(&host),
        _ => Diagnosis {
            what: format!("no answer of {host}:{port}: {reason}"),
            check: "Check --url, the network, and that it is the service that listens there.",
        },
    }
}

fn broken_connection(host: &str) -> Diagnosis {
    Diagnosis {
        what: format!("{host} broke the connection off before its answer was whole"),
        check: "The request may have taken effect: look first, then try again. If it stays so: is it the service that \
                listens there, and is http:// or https:// right?",
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// An `io::Error`'s source is its inner error's source: the inner one itself would be passed over.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn find_tls_error(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()).map(|error| printable(&error.to_string()))
}

fn find_io_error(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

/// An error with what caused it: alone it often says only that sending failed.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// Something answered, but not as the service does.
pub fn of_answer(status: StatusCode, location: Option<&str>, text: &str) -> Diagnosis {
    let beginning = beginning(text);
    if status.is_redirection() {
        return Diagnosis {
            what: format!(
                "{status}: a redirect to {}, which isn't followed: it would get the token",
                location.unwrap_or("nowhere")
            ),
            check: "Give the service's own URL with --url: a page to log in, or another host, stands before it.",
        };
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Diagnosis {
            what: format!("{status}: a proxy on the way wants a user and a password"),
            check: "Give them in HTTPS_PROXY (http://user:password@proxy:port), or list the service's host in NO_PROXY.",
        };
    }
    // What API Gateway says by itself: <https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>.
    match serde_json::from_str::<Value>(text).ok().as_ref().and_then(|json| json.get("message")).and_then(Value::as_str)
    {
        Some("Missing Authentication Token") => {
            return Diagnosis {
                what: format!("{status}: an API Gateway answered, but it knows no such path"),
                check: "Check that --url ends with the stage, for example https://…/production, and nothing behind it.",
            };
        }
        Some(message @ ("Internal server error" | "Endpoint request timed out" | "Service Unavailable")) => {
            return Diagnosis {
                what: format!("{status}: {message} (from the service's API Gateway)"),
                check: "The request may have taken effect: look first, then try again.",
            };
        }
        Some("Too Many Requests" | "Limit Exceeded") => {
            return Diagnosis {
                what: format!("{status}: the service's API Gateway takes no more requests at the moment"),
                check: "Try again in some seconds.",
            };
        }
        _ => {}
    }
    if is_page(text) {
        return if status.is_server_error() {
            Diagnosis {
                what: format!("{status}: a proxy or load balancer answered with {}, not the service", page(text)),
                check: "It doesn't reach the service: try again in a minute; if it stays so, check --url, HTTPS_PROXY and \
                        NO_PROXY, and ask whoever runs what stands between.",
            }
        } else {
            Diagnosis {
                what: format!("{status}: {} answered, not the service", page(text)),
                check: "Check --url: it is the base URL of the API, not of a website or a page to log in.",
            }
        };
    }
    Diagnosis {
        what: format!("{status}: something answered that is not this service: {beginning}"),
        check: "Check --url: it is the service's base URL, for example https://…/production.",
    }
}

/// The service's answer has another shape than ours expects.
pub fn unexpected_shape(error: &serde_json::Error) -> Diagnosis {
    Diagnosis {
        what: format!(
            "the answer has another shape than this version ({}) knows: {}",
            super::VERSION,
            printable(&error.to_string())
        ),
        check: "Check --url, and whether this command line and the service are of the same release.",
    }
}

fn is_page(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(15).collect();
    let start = start.to_lowercase();
    start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || start.starts_with("<head")
        || start.starts_with("<!--")
}

/// "a web page (Bad gateway)", after its title.
fn page(text: &str) -> String {
    // Letters of ASCII alone: positions stay those of `text`.
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

/// The failure that the errors of the service stand for.
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
        "TRY_AGAIN" | "INTERNAL" | "TOO_MANY_TESTS" | "TOO_MANY_RUNS" | "TOO_MANY_COUNTS" => {
            Failure::Unavailable(reason)
        }
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Failure::TokenRefused(reason),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Failure::Unavailable(reason),
        "GRAPHQL_PARSE_FAILED" | "GRAPHQL_VALIDATION_FAILED" => Failure::Refused {
            what: what.to_owned(),
            reason: format!(
                "{reason}\n  It doesn't know what this version ({}) asks for: use the command line of the service's \
                 release.",
                super::VERSION
            ),
        },
        code => {
            let what = what.to_owned();
            let reason = format!("{reason}\n  audit-export explain {} tells more.", printable(code));
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

/// The service's own words, or the beginning of whatever answered instead.
pub fn explain(status: StatusCode, text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(ErrorAnswer { errors }) => format!("{}: {}", status.as_u16(), explain_errors(&errors)),
        Err(_) => format!("{status} {}", beginning(text)),
    }
}

/// Each error with its code and details; the fields of an input each on a line of their own.
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
            _ => details.push(format!("{} {}", printable(name), error.detail(name))),
        }
    }
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    lines.insert(0, printable(&format!("{}: {}", error.code(), error.message)) + &details);
    lines.join("\n")
}
