//! Answers of AWS: how long they may take, and the classification of errors.

use std::{future::Future, time::Duration};

use aws_adapters::error::{Fault, describe};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{
    call::Call,
    failure::{CallFailure, CallFailureKind},
};

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest attempt of a request.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// The codes with which AWS's services say that a permission is missing.
pub(super) const DENIED_CODES: [&str; 5] =
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
    let has_code = |codes: &[&str]| fault.code.is_some_and(|code| codes.contains(&code));
    let kind = if has_code(&DENIED_CODES) {
        CallFailureKind::Denied
    } else if has_code(&UNSUPPORTED_CODES) {
        CallFailureKind::Unsupported
    } else if fault.is_transient() {
        CallFailureKind::Unavailable
    } else {
        CallFailureKind::Refused
    };
    CallFailure { call, kind, detail }
}

/// Returns the failure of an answer without a field that AWS always gives.
pub(super) fn incomplete(call: Call, field: &str) -> CallFailure {
    CallFailure { call, kind: CallFailureKind::Refused, detail: format!("the answer has no {field}") }
}
