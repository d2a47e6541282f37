//! The client of the GraphQL API.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use terminal::text::printable_json;
use zeroize::Zeroizing;

use super::{
    diagnosis::{self, ServiceError},
    http::{GRAPHQL_PATH, client, endpoint, read_text},
    operations::Operation,
};
use crate::{access::Access, failure::Failure};

/// API Gateway gives up after 29 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);

/// The value of a field that failed.
const NULL: &str = "null";

/// The value of the field that an operation selects.
#[derive(Debug)]
pub struct Answer(Box<RawValue>);

impl Answer {
    /// Returns the unchanged JSON on one line, with control characters escaped.
    pub fn json(&self) -> String {
        printable_json(self.0.get())
    }

    /// Returns the elements of a list.
    pub fn elements(&self) -> Result<Vec<Self>, Failure> {
        self.parse::<Vec<Box<RawValue>>>().map(|elements| elements.into_iter().map(Self).collect())
    }

    /// Returns the list of `answers`.
    pub fn list(answers: &[Self]) -> Result<Self, Failure> {
        let elements: Vec<&RawValue> = answers.iter().map(|answer| &*answer.0).collect();
        serde_json::value::to_raw_value(&elements).map(Self).map_err(|error| Failure::StandardOutput(error.into()))
    }

    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.0.get()).map_err(|error| Failure::NoAnswer(diagnosis::unexpected_shape(&error)))
    }
}

#[derive(Serialize)]
struct Request<'a, V> {
    query: &'a str,
    variables: &'a V,
}

#[derive(Deserialize)]
struct GraphQlAnswer {
    #[serde(default)]
    data: Option<std::collections::HashMap<String, Box<RawValue>>>,
    #[serde(default)]
    errors: Vec<ServiceError>,
}

/// Sends operations to the API. There are no retries, because a person waits.
pub struct GraphQl {
    client: Client,
    url: Url,
}

impl GraphQl {
    pub fn new(access: &Access) -> Result<Self, Failure> {
        Self::with_timeout(access, REQUEST_TIMEOUT)
    }

    fn with_timeout(access: &Access, timeout: Duration) -> Result<Self, Failure> {
        Ok(Self { client: client(access, timeout)?, url: endpoint(&access.url, GRAPHQL_PATH)? })
    }

    pub async fn ask(&self, operation: &Operation, variables: &impl Serialize) -> Result<Answer, Failure> {
        // Variables may hold a secret, so our copy is wiped.
        let body = serde_json::to_vec(&Request { query: &operation.document(), variables })
            .map(Zeroizing::new)
            .map_err(|error| Failure::StandardOutput(error.into()))?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let answer = request.body(Bytes::from_owner(body)).send().await.map_err(|error| self.no_answer(error))?;
        let (status, location) = (answer.status(), diagnosis::location(&answer));
        let challenge = diagnosis::challenge(&answer);
        let text = read_text(answer).await.map_err(|error| self.no_answer(error))?;
        let someone_else =
            || Failure::NoAnswer(diagnosis::of_answer(status, location.as_deref(), challenge.as_deref(), &text));
        let Ok(GraphQlAnswer { data, errors }) = serde_json::from_str(&text) else {
            return Err(someone_else());
        };
        let answer = data.and_then(|mut data| data.remove(operation.field)).filter(|answer| answer.get() != NULL);
        // The operation was done, but some fields of the answer are missing.
        let is_partial = answer.is_some() && errors.iter().all(ServiceError::is_of_a_part);
        if !errors.is_empty() && !is_partial {
            return Err(diagnosis::refusal(operation.what, status, &errors));
        }
        if status != StatusCode::OK {
            return Err(someone_else());
        }
        if !errors.is_empty() {
            terminal::warn(&format!("the answer is incomplete: {}", diagnosis::explain_errors(&errors)));
        }
        answer.map(Answer).ok_or_else(someone_else)
    }

    fn no_answer(&self, error: reqwest::Error) -> Failure {
        Failure::NoAnswer(diagnosis::diagnose(error, &self.url))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::mpsc, thread};

    use serde_json::json;

    use super::*;
    use crate::{
        api::operations::IDENTITY as OPERATION,
        failure::VERSION,
        secret::Token,
        test_server::{response, serve},
    };

    const PATIENCE: Duration = Duration::from_secs(10);

    fn ask(url: &str) -> Result<Answer, Failure> {
        ask_within(url, PATIENCE)
    }

    fn ask_within(url: &str, timeout: Duration) -> Result<Answer, Failure> {
        let token = Token::parse(&Zeroizing::new("the-token".to_owned())).unwrap();
        let access = Access { url: Url::parse(url).unwrap(), token };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(GraphQl::with_timeout(&access, timeout)?.ask(&OPERATION, &json!({ "name": "Zoë" })))
    }

    fn answering(answer: Vec<u8>) -> String {
        serve(move |_| answer.clone())
    }

    /// Lists each failure with its exit code.
    fn failures(cases: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> String {
        let describe = |(what, answer)| {
            let failure = ask(&answering(answer)).unwrap_err();
            format!("{what}: exit code {}\n{failure}", failure.exit_code())
        };
        cases.into_iter().map(describe).collect::<Vec<_>>().join("\n\n")
    }

    fn json_answer(status: &str, body: &str) -> Vec<u8> {
        response(status, "content-type: application/json\r\n", body)
    }

    fn data_answer(data: &str) -> Vec<u8> {
        json_answer("200 OK", &format!(r#"{{"data":{{"exportServiceIdentity":{data}}}}}"#))
    }

    #[test]
    fn the_answer_comes_as_it_is() {
        let (sender, requests) = mpsc::channel();
        let url = serve(move |request| {
            sender.send(request.clone()).unwrap();
            data_answer(r#"{"b":1, "a":"x"}"#)
        });
        assert_eq!(ask(&url).unwrap().json(), r#"{"b":1, "a":"x"}"#);
        let request = requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.head[0], "POST /api/audit/graphql HTTP/1.1");
        for (name, value) in [
            ("authorization", "Bearer the-token"),
            ("audit-export-version", VERSION),
            ("content-type", "application/json"),
        ] {
            assert_eq!(request.header(name), Some(value), "{request:?}");
        }
        assert_eq!(
            request.body,
            r#"{"query":"query { exportServiceIdentity { account partition region } }","variables":{"name":"Zoë"}}"#
        );
    }

    #[test]
    fn nothing_in_json_steers_a_terminal() {
        let answer = ask(&answering(data_answer("\"\u{9b}31m\u{202e}\""))).unwrap();
        assert_eq!(answer.json(), r#""\u009b31m\u202e""#);
    }

    #[test]
    fn refusals_of_the_service_are_explained() {
        let field = r#","fields":[{"field":"region","code":"REGION_INVALID","message":"Give a region."}]"#;
        let refused = r#","connectionError":{"code":"WRITE_DENIED","message":"Allow it."}"#;
        let cases = [
            ("200 OK", "INVALID_INPUT", field),
            ("200 OK", "LIMIT_EXCEEDED", ""),
            ("200 OK", "GRAPHQL_VALIDATION_FAILED", ""),
            ("200 OK", "NOT_FOUND", ""),
            ("200 OK", "CONFLICT", r#","currentVersion":7"#),
            ("200 OK", "NEW_ACCESS_KEY_REFUSED", refused),
            ("200 OK", "NEW_CONNECTION_REFUSED", refused),
            ("200 OK", "TOO_MANY_TESTS", r#","retryAfterSeconds":12"#),
            ("200 OK", "TOO_MANY_RUNS", r#","retryAfterSeconds":12"#),
            ("200 OK", "TOO_MANY_COUNTS", r#","retryAfterSeconds":12"#),
            ("200 OK", "TOO_MANY_CHANGES", r#","retryAfterSeconds":12"#),
            ("200 OK", "TRY_AGAIN", ""),
            ("426 Upgrade Required", "UPGRADE_REQUIRED", r#","minimumVersion":"9.1.0""#),
            ("401 Unauthorized", "UNAUTHENTICATED", ""),
            ("403 Forbidden", "FORBIDDEN", ""),
            ("500 Internal Server Error", "INTERNAL", ""),
        ];
        insta::assert_snapshot!(failures(cases.map(|(status, code, extensions)| {
            let error = format!(r#"{{"message":"Because.","extensions":{{"code":"{code}"{extensions}}}}}"#);
            (code, json_answer(status, &format!(r#"{{"data":null,"errors":[{error}]}}"#)))
        })));
    }

    #[test]
    fn responses_of_other_servers_are_explained() {
        let page = "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head>\u{1b}[2J</html>";
        let html = |status: &str| response(status, "content-type: text/html\r\n", page);
        let gateway = |status: &str, message: &str| json_answer(status, &format!(r#"{{"message":"{message}"}}"#));
        let moved = response("302 Found", "location: https://login.example.com/?secret=1\r\n", "");
        insta::assert_snapshot!(failures([
            ("a website", html("200 OK")),
            ("a proxy that wants a login", response("401 Unauthorized", "www-authenticate: Negotiate\r\n", "")),
            (
                "API Gateway, whose function wants a login",
                response("401 Unauthorized", "x-amzn-remapped-www-authenticate: Basic realm=\"other\"\r\n", page),
            ),
            ("a proxy that wants a password", html("407 Proxy Authentication Required")),
            ("a load balancer, 502", html("502 Bad Gateway")),
            ("a load balancer, 503", html("503 Service Unavailable")),
            ("a page that was moved", moved),
            ("another API", json_answer("200 OK", r#"{"hello":"world"}"#)),
            ("another GraphQL API", json_answer("200 OK", r#"{"data":{"other":1}}"#)),
            ("a list", json_answer("200 OK", "[]")),
            ("nothing", response("200 OK", "", "")),
            ("API Gateway without the stage", gateway("403 Forbidden", "Missing Authentication Token")),
            ("API Gateway, whose function failed", gateway("502 Bad Gateway", "Internal server error")),
            ("API Gateway, too slow", gateway("504 Gateway Timeout", "Endpoint request timed out")),
            ("API Gateway, too busy", gateway("429 Too Many Requests", "Too Many Requests")),
        ]));
    }

    #[test]
    fn an_incomplete_answer_is_shown() {
        let ask = |data: &str, paths: &[&str]| {
            let errors: Vec<String> = paths
                .iter()
                .map(|path| format!(r#"{{"message":"Busy.","path":{path},"extensions":{{"code":"TRY_AGAIN"}}}}"#))
                .collect();
            let body = format!(r#"{{"data":{{"exportServiceIdentity":{data}}},"errors":[{}]}}"#, errors.join(","));
            ask(&answering(json_answer("200 OK", &body)))
        };
        let part = r#"["exportServiceIdentity","backlog"]"#;
        assert_eq!(ask(r#"{"backlog":null}"#, &[part, part]).unwrap().json(), r#"{"backlog":null}"#);
        for (data, paths) in [
            ("null", &[part][..]),
            ("null", &[r#"["exportServiceIdentity"]"#]),
            (r#"{"backlog":null}"#, &[part, "[]"]),
            (r#"{"backlog":null}"#, &[r#"["exportServiceIdentity"]"#]),
        ] {
            assert!(matches!(ask(data, paths), Err(Failure::Unavailable(_))), "{data} {paths:?}");
        }
    }

    #[test]
    fn an_answer_of_another_shape() {
        let failure = ask(&answering(data_answer("[1]"))).unwrap().parse::<String>().unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().starts_with("this version ("), "{failure}");
    }

    #[test]
    fn no_answer_at_all() {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let closed = "127.0.0.1 closed the connection";
        let incomplete = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\":";
        let http = answering(response("400 Bad Request", "", "This port speaks HTTP."));
        for (url, text) in [
            (answering(Vec::new()), closed),
            (answering(incomplete.into()), closed),
            (format!("http://127.0.0.1:{port}"), &format!("nothing listens at 127.0.0.1:{port} (connection refused)")),
            // A name that can't exist: <https://www.rfc-editor.org/rfc/rfc2606#section-2>.
            ("https://audit-export.invalid".to_owned(), "the host audit-export.invalid is not known (DNS)"),
            (http.replace("http:", "https:"), "no secure connection (TLS) to 127.0.0.1: "),
        ] {
            let failure = ask(&url).unwrap_err();
            assert_eq!(failure.exit_code(), 1);
            assert!(failure.to_string().starts_with(text), "{text}: {failure}");
        }
    }

    #[test]
    fn no_answer_in_time() {
        let url = serve(|_| {
            thread::park_timeout(PATIENCE);
            Vec::new()
        });
        assert_eq!(
            ask_within(&url, Duration::from_millis(100)).unwrap_err().to_string(),
            "127.0.0.1 did not answer in time\n  The request may have taken effect: look first, then try again."
        );
    }
}
