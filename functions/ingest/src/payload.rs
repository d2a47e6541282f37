//! The payloads of Lambda: a request of the REST API, or messages of the queue.

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, response};
use serde::{Deserialize, Serialize};

/// A payload, recognised by its shape and parsed in one pass, because bodies are large.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AnyPayload")]
pub(crate) enum Payload {
    Http(Request),
    Queue(Vec<SqsMessage>),
}

/// The used parts of API Gateway's proxy request.
/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) endpoint: EndpointKind,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) is_base64: bool,
}

/// The endpoint that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointKind {
    Events,
    /// OTLP/HTTP logs of OpenTelemetry.
    Logs,
}

/// The path of [`EndpointKind::Logs`], as in the template.
const LOGS_PATH: &str = "/v1/logs";

/// A payload of neither shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is neither a proxy request of API Gateway nor a batch of SQS messages")]
pub(crate) struct UnknownPayload;

/// All fields of both shapes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyPayload {
    #[serde(rename = "Records")]
    records: Option<Vec<SqsMessage>>,
    http_method: Option<String>,
    /// The path in the template.
    resource: Option<String>,
    headers: Option<HashMap<String, String>>,
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

impl TryFrom<AnyPayload> for Payload {
    type Error = UnknownPayload;

    fn try_from(payload: AnyPayload) -> Result<Self, Self::Error> {
        match (payload.records, payload.http_method) {
            (Some(messages), None) => Ok(Self::Queue(messages)),
            (None, Some(method)) => Ok(Self::Http(Request {
                endpoint: match payload.resource.as_deref() {
                    Some(LOGS_PATH) => EndpointKind::Logs,
                    _ => EndpointKind::Events,
                },
                method: method.parse().map_err(|_| UnknownPayload)?,
                headers: headers(payload.multi_value_headers, payload.headers),
                body: payload.body.unwrap_or_default(),
                is_base64: payload.is_base64_encoded.unwrap_or_default(),
            })),
            _ => Err(UnknownPayload),
        }
    }
}

/// Returns the headers, with all values if API Gateway provides them. Headers that HTTP doesn't allow are dropped.
fn headers(
    multi_value: Option<HashMap<String, Vec<String>>>,
    single_value: Option<HashMap<String, String>>,
) -> HeaderMap {
    let pairs: Vec<(String, String)> = match multi_value.filter(|headers| !headers.is_empty()) {
        Some(headers) => headers
            .into_iter()
            .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
            .collect(),
        None => single_value.unwrap_or_default().into_iter().collect(),
    };
    let mut map = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            map.append(name, value);
        }
    }
    map
}

/// The outcome of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum InvocationOutcome {
    Http(ProxyResponse),
    Queue(SqsBatchResponse),
}

/// API Gateway's proxy response, from the same source.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProxyResponse {
    pub(crate) status_code: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    pub(crate) is_base64_encoded: bool,
}

impl From<Response<String>> for ProxyResponse {
    fn from(response: Response<String>) -> Self {
        let (head, body) = response.into_parts();
        Self::new(&head, body, false)
    }
}

/// A body of bytes, which API Gateway decodes.
impl From<Response<Vec<u8>>> for ProxyResponse {
    fn from(response: Response<Vec<u8>>) -> Self {
        let (head, body) = response.into_parts();
        Self::new(&head, STANDARD.encode(body), true)
    }
}

impl ProxyResponse {
    fn new(head: &response::Parts, body: String, is_base64_encoded: bool) -> Self {
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        Self { status_code: head.status.as_u16(), headers, body, is_base64_encoded }
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use serde_json::{Value, json};

    use super::*;

    fn request(payload: Value) -> Request {
        match serde_json::from_value(payload).unwrap() {
            Payload::Http(request) => request,
            Payload::Queue(_) => panic!("a batch"),
        }
    }

    #[test]
    fn the_shape_distinguishes_request_and_batch() {
        let batch = json!({"Records": [{"messageId": "1", "body": "{}"}]});
        assert!(matches!(serde_json::from_value(batch).unwrap(), Payload::Queue(messages) if messages.len() == 1));
        for (resource, endpoint) in [
            (json!("/v1/logs"), EndpointKind::Logs),
            (json!("/api/audit/events"), EndpointKind::Events),
            (json!(null), EndpointKind::Events),
        ] {
            assert_eq!(request(json!({"httpMethod": "POST", "resource": resource})).endpoint, endpoint);
        }
        let request = request(json!({"httpMethod": "POST", "headers": null, "multiValueHeaders": null, "body": null}));
        assert_eq!((request.method, request.body.as_str(), request.is_base64), (Method::POST, "", false));
        for neither in [json!({}), json!({"Records": [], "httpMethod": "POST"}), json!({"detail": {}}), json!([])] {
            assert!(serde_json::from_value::<Payload>(neither).is_err());
        }
    }

    #[test]
    fn headers_keep_all_their_values() {
        let several = request(json!({
            "httpMethod": "POST",
            "headers": {"authorization": "b"},
            "multiValueHeaders": {"Authorization": ["a", "b"], "bad name": ["x"], "bad-value": ["\n"]},
        }));
        assert_eq!(several.headers.get_all(AUTHORIZATION).iter().count(), 2);
        assert_eq!(several.headers.len(), 2);
        let one = request(json!({"httpMethod": "POST", "headers": {"AUTHORIZATION": "a"}}));
        assert_eq!(one.headers[AUTHORIZATION], "a");
    }
}
