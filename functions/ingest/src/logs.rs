//! `POST /v1/logs`: OTLP/HTTP logs of OpenTelemetry.
//!
//! Faulty records are left out, and the response is a partial success that names the first of them:
//! <https://opentelemetry.io/docs/specs/otlp/#partial-success-1>. Exporters don't repeat such a request. Faults of the request as a
//! whole, and of all of its records, are a `google.rpc.Status` in the request's encoding:
//! <https://opentelemetry.io/docs/specs/otlp/#failures-1>.

use domain::{
    error_code::ErrorCode,
    event::{PartialBatch, RejectedPart, Rejection},
    otlp::{Encoding, OtlpError, map_logs},
    tenant::TenantId,
};
use function_runtime::{content_type::media_type, http_error::ErrorBody};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use prost::Message;
use serde_json::{Value, json};

use crate::{
    endpoint::{Endpoint, Refusal, accepted_events, idempotency_key, received_body, store},
    idempotency::record_of_content,
    intake::Intake,
    payload::{ProxyResponse, Request},
    ports::{BlockWriter, Host, QuotaCounter},
};

const PROTOBUF: &str = "application/x-protobuf";

const JSON: &str = "application/json";

/// The type of the detail with the stable code, and its domain:
/// <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>.
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

const ERROR_DOMAIN: &str = "audit-export";

/// `ExportLogsServiceResponse`:
/// <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/collector/logs/v1/logs_service.proto>.
#[derive(Clone, PartialEq, Message)]
struct ExportLogsResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportLogsPartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl PartialSuccess {
    /// Describes the rejected ones of `records`.
    fn of(rejected: &RejectedPart, records: usize) -> Self {
        let RejectedPart { count, first } = rejected;
        let message = message(first.reason.code(), first.event_index, &first.reason.to_string());
        Self {
            rejected_log_records: i64::try_from(*count).unwrap_or(i64::MAX),
            error_message: format!("{message} {count} of {records} log records were rejected; the others are stored."),
        }
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`, without metadata.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

impl<C: QuotaCounter> Endpoint<C> {
    /// Stores the log records of a request as events.
    pub(crate) async fn respond_to_logs<W: BlockWriter, H: Host>(
        &self,
        intake: &Intake<W, H>,
        request: &Request,
    ) -> ProxyResponse {
        let encoding = encoding(&request.headers);
        // Without a known encoding, JSON can be read by people at least.
        let answer_in = encoding.unwrap_or(Encoding::Json);
        // Before anything of the body is read.
        let tenant = match self.authenticate(request).await {
            Ok(tenant) => tenant,
            Err(refusal) => return refused(refusal, None, answer_in),
        };
        match self.accept_logs(intake, request, &tenant, encoding).await {
            Ok(partial_success) => accepted(partial_success, answer_in),
            Err(refusal) => refused(refusal, Some(&tenant), answer_in),
        }
    }

    async fn accept_logs<W: BlockWriter, H: Host>(
        &self,
        intake: &Intake<W, H>,
        request: &Request,
        tenant: &TenantId,
        encoding: Option<Encoding>,
    ) -> Result<Option<PartialSuccess>, Refusal> {
        self.minimum_client_version.check(&request.headers)?;
        let encoding = encoding.ok_or_else(|| {
            let message = "Send log records as application/x-protobuf or application/json; the Content-Type header must \
                           say which.";
            ErrorBody::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::ContentTypeUnsupported, message)
        })?;
        let key = idempotency_key(&request.headers)?;
        let received = received_body(request)?;
        let body = self.admit(tenant, &received, intake.host.now()).await?;
        let mapped = map_logs(&body, encoding).map_err(unreadable)?;
        if mapped.records == 0 {
            return Ok(None);
        }
        // A resource is sent once, and repeated in each event.
        let added = mapped.lines.len().saturating_sub(body.len());
        self.charge(tenant, added, intake.host.now()).await?;
        let PartialBatch { events, rejected } = PartialBatch::parse(tenant.clone(), mapped.lines.as_bytes())
            .map_err(|rejected| Refusal::of_rejected(&rejected))?;
        let accepted = accepted_events(&events);
        // Exporters repeat a request unchanged, and send no key. The same records are rejected then, so the answer is the same.
        let record = key.map_or_else(|| record_of_content(&body, accepted), |key| key.record(&body, accepted));
        store(intake, &events, &[record]).await?;
        Ok(rejected.map(|rejected| {
            log(tenant, accepted, &rejected);
            PartialSuccess::of(&rejected, events.len() + rejected.count)
        }))
    }
}

fn log(tenant: &TenantId, accepted: u64, rejected: &RejectedPart) {
    let RejectedPart { count, first } = rejected;
    tracing::warn!(
        tenant = tenant.as_str(),
        code = first.reason.code().name(),
        eventIndex = first.event_index,
        rejected = count,
        accepted,
        "log records were rejected"
    );
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    match media_type(headers)?.as_str() {
        PROTOBUF => Some(Encoding::Protobuf),
        JSON => Some(Encoding::Json),
        _ => None,
    }
}

fn unreadable(error: OtlpError) -> ErrorBody {
    let (status, code) = match error {
        OtlpError::Malformed => (StatusCode::BAD_REQUEST, ErrorCode::OtlpInvalid),
        OtlpError::TooManyRecords => (StatusCode::PAYLOAD_TOO_LARGE, Rejection::TooManyEvents.code()),
        OtlpError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Rejection::BodyTooLarge.code()),
    };
    ErrorBody::new(status, code, error.to_string())
}

/// Returns an `ExportLogsServiceResponse`.
fn accepted(partial_success: Option<PartialSuccess>, encoding: Encoding) -> ProxyResponse {
    let (mut head, ()) = Response::new(()).into_parts();
    let content_type = match encoding {
        Encoding::Protobuf => PROTOBUF,
        Encoding::Json => JSON,
    };
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match (partial_success, encoding) {
        (None, Encoding::Json) => Response::from_parts(head, "{}".to_owned()).into(),
        // Without a field, a message has no bytes.
        (None, Encoding::Protobuf) => Response::from_parts(head, String::new()).into(),
        (Some(partial_success), Encoding::Json) => {
            // A 64-bit integer is a string: <https://protobuf.dev/programming-guides/json/>.
            let rejected = partial_success.rejected_log_records.to_string();
            let body = json!({"partialSuccess": {
                "rejectedLogRecords": rejected,
                "errorMessage": partial_success.error_message,
            }});
            Response::from_parts(head, body.to_string()).into()
        }
        (partial_success, Encoding::Protobuf) => {
            Response::from_parts(head, ExportLogsResponse { partial_success }.encode_to_vec()).into()
        }
    }
}

/// Returns what exporters log, if anything: code, record and sentence.
fn message(code: ErrorCode, record: Option<usize>, sentence: &str) -> String {
    match record {
        Some(index) => format!("{code}: record {index}: {sentence}"),
        None => format!("{code}: {sentence}"),
    }
}

fn refused(refusal: Refusal, tenant: Option<&TenantId>, encoding: Encoding) -> ProxyResponse {
    let error = refusal.error();
    let (status, reason) = (rpc_code(error.status()), error.code().name());
    let message = message(error.code(), refusal.event_index(), error.message());
    let (mut head, _) = refusal.into_response(tenant).into_parts();
    if head.status.is_server_error() {
        // Exporters drop what got another 5xx than 502, 503 and 504: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>.
        head.status = StatusCode::SERVICE_UNAVAILABLE;
    }
    match encoding {
        Encoding::Json => {
            let details: Value = json!([{"@type": ERROR_INFO, "reason": reason, "domain": ERROR_DOMAIN}]);
            let body = json!({"code": status, "message": message, "details": details}).to_string();
            Response::from_parts(head, body).into()
        }
        Encoding::Protobuf => {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
            let info = ErrorInfo { reason: reason.to_owned(), domain: ERROR_DOMAIN.to_owned() };
            let details = vec![Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() }];
            let body = Status { code: status, message, details }.encode_to_vec();
            Response::from_parts(head, body).into()
        }
    }
}

/// Returns the `google.rpc.Code` for a status: <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.
fn rpc_code(status: StatusCode) -> i32 {
    match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::CONFLICT => 6,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        status if status.is_server_error() => 13,
        _ => 3,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns code, message and reason of an error in Protobuf.
    pub(crate) fn decoded(body: &[u8]) -> (i32, String, String) {
        let status = Status::decode(body).unwrap();
        let info = ErrorInfo::decode(status.details[0].value.as_slice()).unwrap();
        (status.code, status.message, info.reason)
    }

    /// Returns the number of rejected records and the message of a partial success in Protobuf.
    pub(crate) fn decoded_partial_success(body: &[u8]) -> Option<(i64, String)> {
        let partial_success = ExportLogsResponse::decode(body).unwrap().partial_success?;
        Some((partial_success.rejected_log_records, partial_success.error_message))
    }

    #[test]
    fn every_status_has_a_code() {
        let codes = [400, 401, 403, 405, 409, 413, 415, 429, 500, 503]
            .map(|status| rpc_code(StatusCode::from_u16(status).unwrap()));
        assert_eq!(codes, [3, 16, 7, 12, 6, 3, 3, 8, 13, 14]);
    }
}
