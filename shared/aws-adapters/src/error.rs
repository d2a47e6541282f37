//! Classification of the errors of the AWS SDK, of the service's own resources. Those of customers' are classified in
//! `connector` (STS) and `object_sink` (S3); an adapter whose conditions are an outcome takes these out before.

use std::error::Error;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::ErrorKind as RetryKind};
use domain::connection::{AwsErrorCode, Refusal};
use export_engine::ports::{ErrorKind, PortError};

/// Codes of services that are busy, whatever their HTTP status.
/// Source: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>.
const TRANSIENT_CODES: &[&str] = &[
    "BandwidthLimitExceeded",
    "IncompleteBody",
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The cause of a failed request, in terms that hold for every service.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// The service's error code, such as `AccessDenied`; `None`: the service did not answer, or without a code.
    pub code: Option<&'a str>,
    pub status: Option<u16>,
    pub reached: Reached,
}

/// The stage that a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The request was never sent.
    Nowhere,
    /// No connection: nothing listens under the name, or the name does not exist.
    NoConnection,
    /// No answer, or none in time. The time may have been spent on the connection.
    NoAnswer,
    /// A failure before an answer that says nothing about the network: no credentials, or an interceptor.
    Unknown,
    Service,
}

impl<'a> Fault<'a> {
    pub fn of<E: ProvideErrorMetadata>(error: &'a SdkError<E, HttpResponse>) -> Self {
        let status = error.raw_response().map(|response| StatusCode::as_u16(response.status()));
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let reached = match error {
            SdkError::ConstructionFailure(_) => Reached::Nowhere,
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_user() => Reached::NoConnection,
            // `TransientError`: the connection was closed before the answer.
            SdkError::DispatchFailure(failure)
                if failure.is_timeout() || failure.as_other() == Some(RetryKind::TransientError) =>
            {
                Reached::NoAnswer
            }
            SdkError::DispatchFailure(_) => Reached::Unknown,
            SdkError::TimeoutError(_) => Reached::NoAnswer,
            _ => Reached::Service,
        };
        Self { code, status, reached }
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let is_busy = self.code.is_some_and(is_transient_code);
        let is_server_side = self.status.is_some_and(|status| status >= 500 || status == 429);
        is_busy || is_server_side || self.is_unanswered() || self.reached == Reached::Unknown
    }

    /// Returns the refusal that a status of 4xx stands for. `None`: the same request may succeed later, or the status is
    /// another one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let status = self.status.filter(|status| (400..500).contains(status) && !self.is_transient())?;
        Some(Refusal { code: self.code.and_then(AwsErrorCode::parse), status })
    }

    /// Returns whether nobody answered: no such name, no connection, or no answer in time.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self.reached, Reached::NoConnection | Reached::NoAnswer)
    }
}

/// Returns whether a service with this code is busy.
pub(crate) fn is_transient_code(code: &str) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// Classifies an error of one of the service's own resources: transient or internal. Errors of customers' resources are
/// classified where they are used.
pub fn port_error<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = if Fault::of(&error).is_transient() { ErrorKind::Transient } else { ErrorKind::Internal };
    port_error_of_kind(kind, operation, error)
}

/// Returns the error of a kind that the caller has decided on.
pub fn port_error_of_kind<E>(kind: ErrorKind, operation: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let failure = PortError { kind, ..PortError::internal(operation, describe(&error)) };
    // Without the response, which may hold a secret.
    match error.into_source() {
        Ok(source) => failure.caused_by(source),
        Err(_) => failure,
    }
}

/// Returns a transient error if entries of a batch that SQS received failed.
pub(crate) fn refuse_failed(operation: &'static str, failed: &[BatchResultErrorEntry]) -> Result<(), PortError> {
    let Some(first) = failed.first() else { return Ok(()) };
    let detail = format!("{} of the batch failed, the first with {}", failed.len(), first.code);
    Err(PortError::transient(operation, detail))
}

/// Describes an error for the log: the service's code and message, or, without an answer, the texts of all causes.
pub fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(service) = error.as_service_error() {
        return format!("{}: {}", service.code().unwrap_or("no code"), service.message().unwrap_or("no message"));
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    type Failure = SdkError<GetItemError, HttpResponse>;

    #[test]
    fn an_error_without_an_answer_keeps_all_its_causes() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = port_error("test", Failure::dispatch_failure(ConnectorError::io(refused.into())));
        assert_eq!(error.to_string(), "test: transient: dispatch failure: io error: connection refused");
        let cause = error.source().and_then(Error::source).unwrap();
        assert!(cause.is::<std::io::Error>(), "{error:?}");
    }

    #[test]
    fn a_failed_request_is_classified_by_how_far_it_got() {
        let response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty());
        for (error, reached, is_unanswered, is_transient) in [
            (Failure::construction_failure("no region"), Reached::Nowhere, false, false),
            (Failure::dispatch_failure(ConnectorError::io("refused".into())), Reached::NoConnection, true, true),
            (Failure::dispatch_failure(ConnectorError::timeout("3 s".into())), Reached::NoAnswer, true, true),
            (
                Failure::dispatch_failure(ConnectorError::other("cut off".into(), Some(RetryKind::TransientError))),
                Reached::NoAnswer,
                true,
                true,
            ),
            (Failure::timeout_error("5 s"), Reached::NoAnswer, true, true),
            // Nobody was asked, so nobody failed to answer.
            (
                Failure::dispatch_failure(ConnectorError::other("no credentials".into(), None)),
                Reached::Unknown,
                false,
                true,
            ),
            (Failure::response_error("no XML", response), Reached::Service, false, false),
        ] {
            let fault = Fault::of(&error);
            assert_eq!(fault.reached, reached, "{error:?}");
            assert_eq!((fault.is_unanswered(), fault.is_transient()), (is_unanswered, is_transient), "{error:?}");
        }
    }
}
