//! `POST /api/audit/events`.

use std::{borrow::Cow, time::Duration};

use authentication::{Permission, authorization_header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    configuration::field_error::FieldErrorCode,
    error_code::ErrorCode,
    event::{EventBatch, RejectedEvents, Rejection},
};
use function_runtime::http_error::ErrorBody;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    body,
    handler::Ingest,
    host::Host,
    idempotency::IdempotencyKey,
    intake::{Accepted, BlockStore},
    payload::Request,
    quota::{QuotaCounter, QuotaOutcome},
    redelivery::MessageQueue,
};

/// The time after which a request that found the service busy may come again.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The most characters of a field's name in a response.
const MAX_FIELD_NAME_CHARACTERS: usize = 64;

/// A refusal, and when the same request may succeed.
struct Refusal {
    error: ErrorBody,
    retry_after: Option<Duration>,
}

impl<E: Into<ErrorBody>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_busy = error.status() == StatusCode::SERVICE_UNAVAILABLE;
        Self { error, retry_after: is_busy.then_some(BUSY_RETRY_AFTER) }
    }
}

/// Answers a request.
pub(crate) async fn respond<S: BlockStore, H: Host, Q: MessageQueue, C: QuotaCounter>(
    ingest: &Ingest<S, H, Q, C>,
    request: &Request,
) -> Response<String> {
    match accept(ingest, request).await {
        Ok(accepted) => accepted_response(accepted),
        Err(refusal) => error_response(refusal),
    }
}

/// Who may comes first: nothing of the body is looked at before.
async fn accept<S: BlockStore, H: Host, Q: MessageQueue, C: QuotaCounter>(
    ingest: &Ingest<S, H, Q, C>,
    request: &Request,
) -> Result<u64, Refusal> {
    if request.method != Method::POST {
        return Err(ErrorBody::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::MethodNotAllowed,
            "Send events with POST.",
        )
        .into());
    }
    let caller = ingest
        .authenticator
        .authenticate(authorization_header(&request.headers), Permission::AuditWrite)
        .await?;
    ingest.minimum_client_version.check(&request.headers)?;
    let form = body::form(&request.headers)?;
    let key = IdempotencyKey::of(&request.headers).map_err(|error| {
        ErrorBody::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Field(FieldErrorCode::IdempotencyKeyInvalid),
            error.to_string(),
        )
    })?;

    let received = received_body(request)?;
    let body = body::decompressed(&received)?;
    // Before the events are read: parsing and compressing them is what costs.
    if let QuotaOutcome::Exhausted { retry_after } =
        ingest.quota.take(&caller.tenant, body.len(), ingest.intake.host.now()).await
    {
        return Err(quota_refusal(retry_after));
    }
    let events = EventBatch::parse(caller.tenant, &body, form).map_err(|rejected| rejection_body(&rejected))?;
    let accepted = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let record = key.map(|key| key.record(&body, accepted));
    match ingest.intake.accept(&events, record.as_slice()).await? {
        Accepted::Now(accepted) => Ok(accepted),
        Accepted::Before(before) => Ok(before.iter().map(|before| before.accepted).sum()),
    }
}

/// The bytes that came over the wire.
fn received_body(request: &Request) -> Result<Cow<'_, [u8]>, ErrorBody> {
    if !request.is_base64 {
        return Ok(Cow::Borrowed(request.body.as_bytes()));
    }
    // API Gateway made the Base64, so that it isn't the producer's fault.
    STANDARD.decode(&request.body).map(Cow::Owned).map_err(|error| {
        tracing::error!(%error, "the body isn't Base64 although API Gateway says so");
        ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "The body could not be read.")
    })
}

fn quota_refusal(retry_after: Duration) -> Refusal {
    let seconds = retry_after.as_secs();
    let message = format!(
        "The tenant has sent as many events within this minute as it may; nothing was stored. Send them again in {seconds} s."
    );
    let error = ErrorBody::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
        .with_extension("retryAfterSeconds", seconds);
    Refusal { error, retry_after: Some(retry_after) }
}

fn rejection_body(rejected: &RejectedEvents) -> ErrorBody {
    let status = if rejected.reason.is_about_size() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    let mut error = ErrorBody::new(status, rejected.reason.code(), rejected.reason.to_string());
    if let Some(index) = rejected.event_index {
        error = error.with_extension("eventIndex", index);
    }
    if let Some(line) = rejected.line {
        error = error.with_extension("line", line);
    }
    if let Rejection::FieldDuplicated(name) = &rejected.reason {
        error = error.with_extension("field", name.chars().take(MAX_FIELD_NAME_CHARACTERS).collect::<String>());
    }
    error
}

fn accepted_response(accepted: u64) -> Response<String> {
    let mut response = Response::new(json!({ "accepted": accepted }).to_string());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn error_response(Refusal { error, retry_after }: Refusal) -> Response<String> {
    tracing::info!(status = error.status().as_u16(), code = error.code().name(), "a request was refused");
    let mut response: Response<String> = error.into_response();
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}
