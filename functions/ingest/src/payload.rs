//! The payloads of Lambda: a request of the REST API, or messages of the queue.

use std::{collections::HashMap, fmt};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use function_runtime::client_version::VERSION_HEADER;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE},
    response,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};

use crate::idempotency::IDEMPOTENCY_HEADER;

/// The headers that are read. The others of a request, about twenty, are not kept.
const READ_HEADERS: [HeaderName; 5] = [
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HeaderName::from_static(IDEMPOTENCY_HEADER),
    HeaderName::from_static(VERSION_HEADER),
];

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
    /// Those of [`READ_HEADERS`].
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
    #[serde(default, deserialize_with = "headers")]
    headers: HeaderMap,
    #[serde(default, deserialize_with = "multi_value_headers")]
    multi_value_headers: HeaderMap,
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
                // API Gateway sends both, the latter with all values.
                headers: match payload.multi_value_headers {
                    none if none.is_empty() => payload.headers,
                    all => all,
                },
                body: payload.body.unwrap_or_default(),
                is_base64: payload.is_base64_encoded.unwrap_or_default(),
            })),
            _ => Err(UnknownPayload),
        }
    }
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    deserializer.deserialize_option(HeadersVisitor { are_lists: false })
}

fn multi_value_headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    deserializer.deserialize_option(HeadersVisitor { are_lists: true })
}

/// Takes the [`READ_HEADERS`] from an object. Values that HTTP doesn't allow are dropped.
struct HeadersVisitor {
    are_lists: bool,
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = HeaderMap;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("headers")
    }

    fn visit_none<E: Error>(self) -> Result<HeaderMap, E> {
        Ok(HeaderMap::new())
    }

    fn visit_unit<E: Error>(self) -> Result<HeaderMap, E> {
        Ok(HeaderMap::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<HeaderMap, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
        let mut headers = HeaderMap::new();
        while let Some(name) = map.next_key_seed(ReadHeader)? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let values: Vec<String> = if self.are_lists { map.next_value()? } else { vec![map.next_value()?] };
            for value in values.into_iter().filter_map(|value| HeaderValue::try_from(value).ok()) {
                headers.append(name.clone(), value);
            }
        }
        Ok(headers)
    }
}

/// Reads the name of a header. Returns `None` for one that is not read.
struct ReadHeader;

impl<'de> DeserializeSeed<'de> for ReadHeader {
    type Value = Option<HeaderName>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ReadHeader {
    type Value = Option<HeaderName>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a header")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(READ_HEADERS.into_iter().find(|read| name.eq_ignore_ascii_case(read.as_str())))
    }
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
            "multiValueHeaders": {
                "Authorization": ["a", "b"], "X-Other": ["x"], "bad name": ["x"], "CONTENT-type": ["\n"],
            },
        }));
        assert_eq!(several.headers.get_all(AUTHORIZATION).iter().count(), 2);
        assert_eq!(several.headers.len(), 2);
        let one = request(json!({"httpMethod": "POST", "headers": {"AUTHORIZATION": "a"}}));
        assert_eq!(one.headers[AUTHORIZATION], "a");
        let read: serde_json::Map<String, Value> =
            READ_HEADERS.iter().map(|name| (name.to_string(), json!(["x"]))).collect();
        assert_eq!(request(json!({"httpMethod": "POST", "multiValueHeaders": read})).headers.len(), READ_HEADERS.len());
    }
}
