//! Answers of AWS: how long they may take, and the classification of errors.

use std::{future::Future, time::Duration};

use aws_adapters::error::{Fault, Reached, describe};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind},
};

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest attempt of a request.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The codes with which AWS's services refuse credentials.
const UNAUTHENTICATED_CODES: [&str; 8] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// The codes with which AWS's services say that a permission is missing.
const DENIED_CODES: [&str; 5] =
    ["AccessDenied", "AccessDeniedException", "AuthorizationError", "NotAuthorized", "UnauthorizedOperation"];

/// The codes of operations that a service does not know.
const UNSUPPORTED_CODES: [&str; 4] = [
    "AWS.SimpleQueueService.UnsupportedOperation",
    "InvalidAction",
    "UnknownOperationException",
    "UnsupportedOperation",
];

/// Awaits the answer of a request and classifies its error.
pub(super) async fn call<T, E>(
    call: Call,
    answer: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, CallFailure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    answer.await.map_err(|error| failure(call, &Fault::of(&error), describe(&error)))
}

/// Classifies a failed call for the operator.
pub(super) fn failure(call: Call, fault: &Fault<'_>, detail: String) -> CallFailure {
    let kind = fault.code.and_then(kind_of_code).unwrap_or(if fault.reached == Reached::NoAnswer {
        CallFailureKind::Unanswered
    } else if fault.is_transient() {
        CallFailureKind::Unavailable
    } else {
        CallFailureKind::Refused
    });
    CallFailure { call, kind, detail }
}

/// Returns the kind of a code that says more than whether a retry helps.
pub(super) fn kind_of_code(code: &str) -> Option<CallFailureKind> {
    if UNAUTHENTICATED_CODES.contains(&code) {
        Some(CallFailureKind::Unauthenticated)
    } else if DENIED_CODES.contains(&code) {
        Some(CallFailureKind::Denied)
    } else if UNSUPPORTED_CODES.contains(&code) {
        Some(CallFailureKind::Unsupported)
    } else {
        None
    }
}

/// Returns the failure of an answer without a field that AWS always gives.
pub(super) fn incomplete(call: Call, field: &str) -> CallFailure {
    CallFailure { call, kind: CallFailureKind::Refused, detail: format!("the answer has no {field}") }
}
