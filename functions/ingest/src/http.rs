//! `POST /api/audit/events`.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    configuration::field_error::FieldErrorCode,
    error_code::ErrorCode,
    event::{EventBatch, RejectedEvents},
};
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use runtime::{
    http_error::ErrorBody,
    token::{Permission, authorization_header},
};
use serde_json::json;

use crate::{body, handler::Ingest, host::Host, idempotency::IdempotencyKey, intake::BlockStore, payload::Request};

/// Seconds after which a request that found the service busy may come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// Answers a request.
pub(crate) async fn respond<S: BlockStore, H: Host>(ingest: &Ingest<S, H>, request: &Request) -> Response<String> {
    match accept(ingest, request).await {
        Ok(accepted) => accepted_response(accepted),
        Err(error) => error_response(error),
    }
}

/// Who may comes first: nothing of the body is looked at before.
async fn accept<S: BlockStore, H: Host>(ingest: &Ingest<S, H>, request: &Request) -> Result<u64, ErrorBody> {
    if request.method != Method::POST {
        return Err(ErrorBody::new(
            StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::MethodNotAllowed,
            "Send events with POST.",
        ));
    }
    let caller = ingest.verifier.verify(authorization_header(&request.headers), Permission::AuditWrite).await?;
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
    let events = EventBatch::parse(caller.tenant, &body, form).map_err(|rejected| rejection_body(&rejected))?;
    let accepted = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let record = key.map(|key| key.record(&body, accepted));
    Ok(ingest.intake.accept(&events, record.as_ref()).await?)
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

fn rejection_body(rejected: &RejectedEvents) -> ErrorBody {
    let status = if rejected.reason.is_about_size() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    let mut error = ErrorBody::new(status, rejected.reason.code(), rejected.reason.to_string());
    if let Some(index) = rejected.event_index {
        error = error.with_extension("eventIndex", index);
    }
    if let Some(line) = rejected.line {
        error = error.with_extension("line", line);
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

fn error_response(error: ErrorBody) -> Response<String> {
    tracing::info!(status = error.status().as_u16(), code = error.code().name(), "a request was refused");
    let mut response: Response<String> = error.into_response();
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}
