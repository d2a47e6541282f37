//! GraphQL over HTTP: authentication, and the form of requests and responses.

use std::{sync::Arc, time::Duration};

use async_graphql::{Request as GraphQlRequest, Variables};
use authentication::{AccessError, Authenticator, Caller, Permission, authorization_header};
use domain::{configuration::change::Author, error_code::ErrorCode};
use function_runtime::{
    client_version::MinimumClientVersion, content_type::media_type, http_error::ErrorBody, lazy::Lazy,
};
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
    },
    request::RequestContext,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::Instrument;

use crate::{error::ApiError, schema::ApiSchema};

/// The most bytes of a request's body. The largest input of a configuration has less than 60 KiB.
pub const MAX_BODY_LENGTH: usize = 64 * 1024;

/// The most bytes of a response in the form that Lambda takes, a JSON text within JSON. Lambda takes 6 MB, and the headers are
/// in them too: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. A list of as many and as large
/// configurations as a tenant may have fits. Aliases can select them many times.
pub const MAX_RESPONSE_LENGTH: usize = 5_900_000;

/// The time limit of a request, its authentication included. The function has 27 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(26);

/// The HTTP handler.
pub struct Handler {
    pub tokens: Authenticator,
    pub minimum_client_version: MinimumClientVersion,
    pub schema: Arc<Lazy<ApiSchema>>,
}

/// The body of a request: <https://graphql.github.io/graphql-over-http/draft/#sec-Request>.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody {
    query: String,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default)]
    operation_name: Option<String>,
}

impl Handler {
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let request_id = request.lambda_context_ref().map(|context| context.request_id.clone()).unwrap_or_default();
        let span = tracing::info_span!("request", requestId = request_id, tenant = tracing::field::Empty);
        self.respond_in_time(&request).instrument(span).await
    }

    async fn respond_in_time(&self, request: &Request) -> Response<Body> {
        if let Ok(response) = tokio::time::timeout(REQUEST_TIMEOUT, self.respond(request)).await {
            return response.unwrap_or_else(ErrorBody::into_response);
        }
        tracing::error!(seconds = REQUEST_TIMEOUT.as_secs(), "a request took too long");
        let response = self.schema.refuse(ApiError::TryAgain);
        log(&response);
        json_response(&response)
    }

    async fn respond(&self, request: &Request) -> Result<Response<Body>, ErrorBody> {
        if request.method() != Method::POST {
            let mut response: Response<Body> = method_not_allowed().into_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        let caller = self.authenticate(request.headers()).await?;
        tracing::Span::current().record("tenant", caller.tenant.as_str());
        self.minimum_client_version.check(request.headers())?;
        if media_type(request.headers()).as_deref() != Some("application/json") {
            return Err(ErrorBody::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ErrorCode::UnsupportedMediaType,
                "Send the request as application/json.",
            ));
        }
        let body = parse_body(request.body().as_ref())?;
        let author = author_of(request, &caller);
        let response = json_response(&self.execute(body, caller, author).await);
        if length_for_lambda(response.body().as_ref()) > MAX_RESPONSE_LENGTH {
            return Ok(json_response(&self.schema.refuse(response_too_long())));
        }
        Ok(response)
    }

    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AccessError> {
        self.tokens.authenticate(authorization_header(headers), Permission::Audit).await
    }

    async fn execute(&self, body: RequestBody, caller: Caller, author: Author) -> async_graphql::Response {
        let mut request = GraphQlRequest::new(body.query)
            .variables(Variables::from_json(Value::Object(body.variables.unwrap_or_default())))
            .data(author);
        request.operation_name = body.operation_name;
        let response = self.schema.execute(request, caller).await;
        log(&response);
        response
    }
}

/// Returns the author for the audit event of a change. The request ID is the one that API Gateway returns and logs.
fn author_of(request: &Request, caller: &Caller) -> Author {
    let (ip, request_id) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let ip = context.identity.source_ip.as_deref().and_then(|ip| ip.parse().ok());
            (ip, context.request_id.clone())
        }
        _ => (None, None),
    };
    Author { subject: caller.subject.clone(), issuer: caller.issuer.clone(), ip, request_id }
}

/// Whose fault a response reports. Its HTTP status is 200 in each case, so alarms read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// None, or the caller's.
    NotOurs,
    /// A dependency was busy. One such response is normal.
    Busy,
    /// The service failed. The caller is promised that the operators are notified.
    Internal,
}

impl Fault {
    fn of(codes: &[&str]) -> Self {
        if codes.contains(&ErrorCode::Internal.name()) {
            Self::Internal
        } else if codes.contains(&ErrorCode::TryAgain.name()) {
            Self::Busy
        } else {
            Self::NotOurs
        }
    }
}

/// Logs one line for each executed request: the codes of its errors, and nothing of its content.
fn log(response: &async_graphql::Response) {
    let codes: Vec<&str> = response
        .errors
        .iter()
        .filter_map(|error| match error.extensions.as_ref()?.get("code")? {
            async_graphql::Value::String(code) => Some(code.as_str()),
            _ => None,
        })
        .collect();
    let errors = codes.join(",");
    match Fault::of(&codes) {
        Fault::NotOurs => {
            tracing::info!(errors, "answered");
        }
        Fault::Busy => {
            tracing::warn!(errors, "the caller has to try again");
        }
        Fault::Internal => {
            tracing::error!(errors, alarm = "REQUEST_FAILED", "the request failed");
        }
    }
}

/// Returns the length of a JSON text within JSON. Its control characters are escaped already.
fn length_for_lambda(json: &[u8]) -> usize {
    json.len() + json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

fn response_too_long() -> ApiError {
    ApiError::ValidationFailed(format!(
        "The response exceeds {MAX_RESPONSE_LENGTH} bytes. Mutations may have taken effect: check the current state, and \
         select less at once, for example in pages."
    ))
}

fn method_not_allowed() -> ErrorBody {
    ErrorBody::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, "Send a POST request.")
}

fn parse_body(body: &[u8]) -> Result<RequestBody, ErrorBody> {
    let bad_request = |message| ErrorBody::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message);
    if body.len() > MAX_BODY_LENGTH {
        return Err(ErrorBody::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::PayloadTooLarge,
            format!("The request is too large. The limit is {MAX_BODY_LENGTH} bytes."),
        ));
    }
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(bad_request("Send one operation per request. Batches are not supported."));
    }
    // The parser's own message may quote a value.
    serde_json::from_slice(body).map_err(|_| {
        bad_request("Send a JSON object with the text `query`, and optionally `variables` and `operationName`.")
    })
}

fn json_response(response: &async_graphql::Response) -> Response<Body> {
    match serde_json::to_string(response) {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a response can't be written as JSON");
            let internal = ApiError::Internal;
            ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, internal.code(), internal.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_measured_as_lambda_takes_it() {
        let body = serde_json::json!({ "name": "a \"quoted\" \\ text\n" }).to_string();
        let taken = serde_json::Value::from(body.as_str()).to_string();
        assert_eq!(length_for_lambda(body.as_bytes()), taken.len() - "\"\"".len());
    }

    #[test]
    fn a_response_with_any_fault_of_the_service_is_no_answer() {
        for (codes, fault) in [
            (&[][..], Fault::NotOurs),
            (&["NOT_FOUND", "INVALID_INPUT"], Fault::NotOurs),
            (&["NOT_FOUND", "TRY_AGAIN"], Fault::Busy),
            (&["TRY_AGAIN", "INTERNAL"], Fault::Internal),
        ] {
            assert_eq!(Fault::of(codes), fault, "{codes:?}");
        }
    }
}
