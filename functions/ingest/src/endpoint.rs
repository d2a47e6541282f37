//! `POST /api/audit/events`.

use std::{borrow::Cow, time::Duration};

use authentication::{Authenticator, Permission, authorization_header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    configuration::field_error::FieldErrorCode,
    error_code::ErrorCode,
    event::{EventBatch, RejectedEvents, Rejection},
};
use function_runtime::{client_version::MinimumClientVersion, http_error::ErrorBody};
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    body,
    idempotency::IdempotencyKey,
    intake::{AcceptOutcome, Intake},
    payload::Request,
    ports::{BlockWriter, Host, QuotaCounter},
    quota::{Quota, QuotaOutcome},
};

/// The delay after which a client should repeat a request when the service is busy.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest name of a field in a response, in characters.
const MAX_FIELD_NAME_CHARACTERS: usize = 64;

/// An error response, and the time after which the same request may succeed.
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

/// The HTTP endpoint for events.
pub(crate) struct Endpoint<C> {
    pub(crate) authenticator: Authenticator,
    pub(crate) minimum_client_version: MinimumClientVersion,
    pub(crate) quota: Quota<C>,
}

impl<C: QuotaCounter> Endpoint<C> {
    /// Stores the events of a request.
    pub(crate) async fn respond<W: BlockWriter, H: Host>(
        &self,
        intake: &Intake<W, H>,
        request: &Request,
    ) -> Response<String> {
        match self.accept(intake, request).await {
            Ok(accepted) => accepted_response(accepted),
            Err(refusal) => error_response(refusal),
        }
    }

    /// Authenticates the caller before anything of the body is read.
    async fn accept<W: BlockWriter, H: Host>(&self, intake: &Intake<W, H>, request: &Request) -> Result<u64, Refusal> {
        if request.method != Method::POST {
            let message = "Send events with POST.";
            return Err(ErrorBody::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, message).into());
        }
        let header = authorization_header(&request.headers);
        let caller = self.authenticator.authenticate(header, Permission::AuditWrite).await?;
        self.minimum_client_version.check(&request.headers)?;
        let form = body::form(&request.headers)?;
        let key = IdempotencyKey::of(&request.headers).map_err(|error| {
            let code = ErrorCode::Field(FieldErrorCode::IdempotencyKeyInvalid);
            ErrorBody::new(StatusCode::BAD_REQUEST, code, error.to_string())
        })?;

        let received = received_body(request)?;
        let body = body::decompressed(&received)?;
        // Checked before the events are parsed and compressed, which is the expensive part.
        if let QuotaOutcome::Exhausted { retry_after } =
            self.quota.take(&caller.tenant, body.len(), intake.host.now()).await
        {
            return Err(quota_refusal(retry_after));
        }
        let events = EventBatch::parse(caller.tenant, &body, form).map_err(|rejected| rejection_body(&rejected))?;
        let accepted = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let record = key.map(|key| key.record(&body, accepted));
        match intake.accept(&events, record.as_slice()).await? {
            AcceptOutcome::Stored(accepted) => Ok(accepted),
            AcceptOutcome::AcceptedBefore(before) => Ok(before.iter().map(|before| before.accepted).sum()),
        }
    }
}

/// Returns the body as it was sent.
fn received_body(request: &Request) -> Result<Cow<'_, [u8]>, ErrorBody> {
    if !request.is_base64 {
        return Ok(Cow::Borrowed(request.body.as_bytes()));
    }
    // API Gateway encoded the body, so an error is not the producer's fault.
    STANDARD.decode(&request.body).map(Cow::Owned).map_err(|error| {
        tracing::error!(%error, "the body isn't Base64 although API Gateway says so");
        ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, "The body could not be read.")
    })
}

fn quota_refusal(retry_after: Duration) -> Refusal {
    let seconds = retry_after.as_secs();
    let message = format!(
        "The tenant has used up its quota for this minute; no event was stored. Send the events again in {seconds} s."
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
