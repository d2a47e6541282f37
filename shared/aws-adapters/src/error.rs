//! The one place where errors of the AWS SDK become ours.

use aws_sdk_dynamodb::{operation::transact_write_items::TransactWriteItemsError, types::CancellationReason};
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::{
    error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata},
    retry::ErrorKind,
};
use domain::connection::{AwsErrorCode, Refusal};
use export_engine::ports::PortError;

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

/// What an answer of AWS says about its cause, the same for every service.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// The service's error code, such as `AccessDenied`; `None`: there was no answer, or one without a code.
    pub code: Option<&'a str>,
    pub status: Option<u16>,
    pub reached: Reached,
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It was never sent.
    Nowhere,
    /// No connection could be made: nothing listens under that name, or there is no such name.
    NoConnection,
    /// Sent, and no answer came, or none in time. Making the connection may have taken too long as well.
    NoAnswer,
    /// Something else failed before there was an answer: no credentials, or an interceptor.
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
                if failure.is_timeout() || failure.as_other() == Some(ErrorKind::TransientError) =>
            {
                Reached::NoAnswer
            }
            SdkError::DispatchFailure(_) => Reached::Unknown,
            SdkError::TimeoutError(_) => Reached::NoAnswer,
            _ => Reached::Service,
        };
        Self { code, status, reached }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let is_busy = self.code.is_some_and(is_transient_code);
        let is_server_side = self.status.is_some_and(|status| status >= 500 || status == 429);
        is_busy || is_server_side || self.is_unanswered() || self.reached == Reached::Unknown
    }

    /// Returns the refusal that a status of 4xx is, which nobody but its cause can mend. `None`: the same request may succeed
    /// later, or the answer has another status.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let status = self.status.filter(|status| (400..500).contains(status) && !self.is_transient())?;
        Some(Refusal { code: self.code.and_then(AwsErrorCode::parse), status })
    }

    /// Whether nobody answered: no such name, no connection, or no answer in time.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        matches!(self.reached, Reached::NoConnection | Reached::NoAnswer)
    }
}

/// Returns whether a service with this code is busy.
pub(crate) fn is_transient_code(code: &str) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// An error of one of our own resources: transient, or internal. Customers' resources are classified where they are used.
pub fn port_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let detail = describe(error);
    if Fault::of(error).is_transient() {
        PortError::transient(operation, detail)
    } else {
        PortError::internal(operation, detail)
    }
}

/// The same of a transaction: why it was cancelled is told by its items. Conditions that did not hold are for the caller.
pub fn transaction_error(
    operation: &'static str,
    error: &SdkError<TransactWriteItemsError, HttpResponse>,
) -> PortError {
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
        _ => &[],
    };
    let mut codes = reasons.iter().filter_map(CancellationReason::code);
    if codes.any(|code| TRANSIENT_CANCELLATIONS.contains(&code)) {
        PortError::transient(operation, describe(error))
    } else {
        port_error(operation, error)
    }
}

/// Why a transaction may be cancelled that can succeed later.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
pub(crate) const TRANSIENT_CANCELLATIONS: &[&str] =
    &["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"];

/// For the log.
pub fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.as_service_error() {
        Some(service) => {
            format!("{}: {}", service.code().unwrap_or("no code"), service.message().unwrap_or("no message"))
        }
        None => DisplayErrorContext(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    type Error = SdkError<TransactWriteItemsError, HttpResponse>;

    #[test]
    fn how_far_a_request_got_says_whether_anybody_answered() {
        let response = HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty());
        for (error, reached, is_unanswered, is_transient) in [
            (Error::construction_failure("no region"), Reached::Nowhere, false, false),
            (Error::dispatch_failure(ConnectorError::io("refused".into())), Reached::NoConnection, true, true),
            (Error::dispatch_failure(ConnectorError::timeout("3 s".into())), Reached::NoAnswer, true, true),
            (
                Error::dispatch_failure(ConnectorError::other("cut off".into(), Some(ErrorKind::TransientError))),
                Reached::NoAnswer,
                true,
                true,
            ),
            (Error::timeout_error("5 s"), Reached::NoAnswer, true, true),
            // Nobody was asked, so nobody failed to answer.
            (
                Error::dispatch_failure(ConnectorError::other("no credentials".into(), None)),
                Reached::Unknown,
                false,
                true,
            ),
            (Error::response_error("no XML", response), Reached::Service, false, false),
        ] {
            let fault = Fault::of(&error);
            assert_eq!(fault.reached, reached, "{error:?}");
            assert_eq!((fault.is_unanswered(), fault.is_transient()), (is_unanswered, is_transient), "{error:?}");
        }
    }
}
