//! `POST /api/audit/events`.

use std::{borrow::Cow, time::Duration};

use authentication::{Authenticator, Permission, authorization_header};
use aws_adapters::events::writer::IdempotencyRecord;
use base64_simd::STANDARD;
use domain::{
    configuration::field_error::FieldErrorCode,
    error_code::ErrorCode,
    event::{EventBatch, RejectedEvents, Rejection},
    tenant::TenantId,
    time::Timestamp,
};
use function_runtime::{client_version::MinimumClientVersion, http_error::ErrorBody};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::json;

use crate::{
    body,
    idempotency::ProducerKey,
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
pub(crate) struct Refusal {
    error: ErrorBody,
    retry_after: Option<Duration>,
    /// The index of the faulty event, if one is faulty.
    event_index: Option<usize>,
}

impl<E: Into<ErrorBody>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        let is_busy = error.status() == StatusCode::SERVICE_UNAVAILABLE;
        Self { error, retry_after: is_busy.then_some(BUSY_RETRY_AFTER), event_index: None }
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
        // Before anything of the body is read.
        let tenant = match self.authenticate(request).await {
            Ok(tenant) => tenant,
            Err(refusal) => return refusal.into_response(None),
        };
        match self.accept(intake, request, &tenant).await {
            Ok(accepted) => accepted_response(accepted),
            Err(refusal) => refusal.into_response(Some(&tenant)),
        }
    }

    async fn accept<W: BlockWriter, H: Host>(
        &self,
        intake: &Intake<W, H>,
        request: &Request,
        tenant: &TenantId,
    ) -> Result<u64, Refusal> {
        self.minimum_client_version.check(&request.headers)?;
        let form = body::form(&request.headers)?;
        let key = idempotency_key(&request.headers)?;
        let received = received_body(request)?;
        let body = self.admit(tenant, &received, intake.host.now()).await?;
        let events =
            EventBatch::parse(tenant.clone(), &body, form).map_err(|rejected| Refusal::of_rejected(&rejected))?;
        let record = key.map(|key| key.record(&body, accepted_events(&events)));
        store(intake, &events, record.as_slice()).await
    }

    /// Returns the tenant of a caller who may send events.
    pub(crate) async fn authenticate(&self, request: &Request) -> Result<TenantId, Refusal> {
        if request.method != Method::POST {
            let message = "Send events with POST.";
            return Err(ErrorBody::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, message).into());
        }
        let header = authorization_header(&request.headers);
        Ok(self.authenticator.authenticate(header, Permission::AuditWrite).await?.tenant)
    }

    /// Decompresses a body and takes it from the tenant's quota, before the events are parsed and compressed, which is the
    /// expensive part.
    pub(crate) async fn admit<'body>(
        &self,
        tenant: &TenantId,
        received: &'body [u8],
        now: Timestamp,
    ) -> Result<Cow<'body, [u8]>, Refusal> {
        let body = body::decompressed(received)?;
        self.charge(tenant, body.len(), now).await?;
        Ok(body)
    }

    /// Takes bytes from the tenant's quota.
    pub(crate) async fn charge(&self, tenant: &TenantId, bytes: usize, now: Timestamp) -> Result<(), Refusal> {
        match self.quota.take(tenant, bytes, now).await {
            QuotaOutcome::Granted => Ok(()),
            QuotaOutcome::Exhausted { retry_after } => Err(quota_refusal(retry_after)),
        }
    }
}

/// Stores the events, and returns the number of accepted ones.
pub(crate) async fn store<W: BlockWriter, H: Host>(
    intake: &Intake<W, H>,
    events: &EventBatch,
    records: &[IdempotencyRecord],
) -> Result<u64, Refusal> {
    match intake.accept(events, records).await? {
        AcceptOutcome::Stored(accepted) => Ok(accepted),
        AcceptOutcome::AcceptedBefore(before) => Ok(before.iter().map(|before| before.accepted).sum()),
    }
}

pub(crate) fn accepted_events(events: &EventBatch) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<ProducerKey>, ErrorBody> {
    ProducerKey::of(headers).map_err(|error| {
        let code = ErrorCode::Field(FieldErrorCode::IdempotencyKeyInvalid);
        ErrorBody::new(StatusCode::BAD_REQUEST, code, error.to_string())
    })
}

/// Returns the body as it was sent, which may be gzip data and has no other compression.
pub(crate) fn received_body(request: &Request) -> Result<Cow<'_, [u8]>, ErrorBody> {
    body::check_compression(&request.headers)?;
    if !request.is_base64 {
        return Ok(Cow::Borrowed(request.body.as_bytes()));
    }
    // API Gateway encoded the body, so an error is not the producer's fault.
    STANDARD.decode_to_vec(&request.body).map(Cow::Owned).map_err(|error| {
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
    Refusal { error, retry_after: Some(retry_after), event_index: None }
}

fn accepted_response(accepted: u64) -> Response<String> {
    let mut response = Response::new(json!({ "accepted": accepted }).to_string());
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Refusal {
    /// Returns the refusal of a body with a faulty event.
    pub(crate) fn of_rejected(rejected: &RejectedEvents) -> Self {
        let RejectedEvents { reason, event_index, line } = rejected;
        let status = if reason.is_about_size() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        let mut error = ErrorBody::new(status, reason.code(), reason.to_string());
        if let Some(index) = event_index {
            error = error.with_extension("eventIndex", *index);
        }
        if let Some(line) = line {
            error = error.with_extension("line", *line);
        }
        if let Rejection::FieldDuplicated(name) = reason {
            error = error.with_extension("field", name.chars().take(MAX_FIELD_NAME_CHARACTERS).collect::<String>());
        }
        Self { event_index: *event_index, ..Self::from(error) }
    }

    /// Logs the refusal with the tenant of an authenticated caller, and returns the response.
    pub(crate) fn into_response(self, tenant: Option<&TenantId>) -> Response<String> {
        let Self { error, retry_after, event_index: _ } = self;
        let code = error.code();
        let tenant = tenant.map(TenantId::as_str);
        tracing::info!(tenant, status = error.status().as_u16(), code = code.name(), "a request was refused");
        let mut response: Response<String> = error.into_response();
        if let Some(retry_after) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        if code == ErrorCode::ContentEncodingUnsupported {
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }

    pub(crate) fn error(&self) -> &ErrorBody {
        &self.error
    }

    pub(crate) fn event_index(&self) -> Option<usize> {
        self.event_index
    }
}
