//! HTTP around GraphQL: who may, and what is a request at all.

use std::time::Duration;

use async_graphql::{Request as GraphQlRequest, Variables};
use domain::{configuration::change::Author, error_code::ErrorCode};
use function_runtime::{
    client_version::MinimumClientVersion,
    http_error::ErrorBody,
    token::{AccessError, Caller, Permission, TokenVerifier, authorization_header},
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

use crate::schema::{ApiSchema, errors::ApiError};

/// Bytes of a request's body. A configuration has less than 4 KiB.
pub const MAX_BODY_LENGTH: usize = 64 * 1024;

/// Bytes of an answer. Lambda takes 6 MB, in which a JSON text within JSON may have twice its length:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. All fields of all configurations that a tenant
/// may have fill a half of it; aliases can ask for them many times.
pub const MAX_ANSWER_LENGTH: usize = 2_500_000;

/// How long a request may take: the function has 27 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(26);

/// Answers requests.
pub struct Handler {
    pub tokens: TokenVerifier,
    pub minimum_client_version: MinimumClientVersion,
    pub schema: ApiSchema,
}

/// A request as in <https://graphql.github.io/graphql-over-http/draft/#sec-Request>.
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
        self.answer(&request).instrument(span).await.unwrap_or_else(ErrorBody::into_response)
    }

    async fn answer(&self, request: &Request) -> Result<Response<Body>, ErrorBody> {
        if request.method() != Method::POST {
            let mut response: Response<Body> = method_not_allowed().into_response();
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        let caller = self.authenticate(request.headers()).await?;
        tracing::Span::current().record("tenant", caller.tenant.as_str());
        self.minimum_client_version.check(request.headers())?;
        if !is_json(request.headers()) {
            return Err(ErrorBody::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ErrorCode::UnsupportedMediaType,
                "Send the request as application/json.",
            ));
        }
        let body = parse_body(request.body().as_ref())?;
        let author = author_of(request, &caller);
        let response = json_response(&self.execute(body, caller, author).await);
        if response.body().len() > MAX_ANSWER_LENGTH {
            return Ok(json_response(&self.schema.refuse(too_long_an_answer())));
        }
        Ok(response)
    }

    async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AccessError> {
        self.tokens.verify(authorization_header(headers), Permission::Audit).await
    }

    async fn execute(&self, body: RequestBody, caller: Caller, author: Author) -> async_graphql::Response {
        let mut request = GraphQlRequest::new(body.query)
            .variables(Variables::from_json(Value::Object(body.variables.unwrap_or_default())))
            .data(author);
        request.operation_name = body.operation_name;
        let Ok(response) = tokio::time::timeout(REQUEST_TIMEOUT, self.schema.execute(request, caller)).await else {
            tracing::error!(seconds = REQUEST_TIMEOUT.as_secs(), "a request took too long");
            return self.schema.refuse(ApiError::TryAgain);
        };
        log(&response);
        response
    }
}

/// Who is calling, as the audit event of a change tells it. The request is called what API Gateway answers and logs.
fn author_of(request: &Request, caller: &Caller) -> Author {
    let (ip, request_id) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let ip = context.identity.source_ip.as_deref().and_then(|ip| ip.parse().ok());
            (ip, context.request_id.clone())
        }
        _ => (None, None),
    };
    Author { subject: caller.subject.clone(), ip, request_id }
}

/// One line for each request that was run: what came out, nothing of what went in.
fn log(response: &async_graphql::Response) {
    let codes: Vec<&str> = response
        .errors
        .iter()
        .filter_map(|error| match error.extensions.as_ref()?.get("code")? {
            async_graphql::Value::String(code) => Some(code.as_str()),
            _ => None,
        })
        .collect();
    tracing::info!(errors = codes.join(","), "answered");
}

fn too_long_an_answer() -> ApiError {
    ApiError::ValidationFailed(format!(
        "The answer would have more than {MAX_ANSWER_LENGTH} bytes. What was to be changed may have been: look first, and \
         ask for less at once, for example in pages."
    ))
}

fn method_not_allowed() -> ErrorBody {
    ErrorBody::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, "Send a POST request.")
}

/// `application/json`, alone or with UTF-8 as its charset.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| {
            let parameter = parameter.to_ascii_lowercase();
            matches!(parameter.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
        })
}

fn parse_body(body: &[u8]) -> Result<RequestBody, ErrorBody> {
    let bad_request = |message| ErrorBody::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message);
    if body.len() > MAX_BODY_LENGTH {
        return Err(ErrorBody::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::PayloadTooLarge,
            format!("A request may have {MAX_BODY_LENGTH} bytes."),
        ));
    }
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(bad_request("Send one operation per request: batches are not taken."));
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
            tracing::error!(%error, "an answer can't be written as JSON");
            let internal = ApiError::Internal;
            ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, internal.code(), internal.to_string()).into_response()
        }
    }
}
