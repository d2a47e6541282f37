//! The errors of the API: a stable code and a sentence for the caller. Details go to the log only.

use domain::{
    allowance::Allowance, configuration::field_error::FieldError, connection::ConnectionError, error_code::ErrorCode,
    replay::ReplayRefusal,
};

use crate::ports::{ErrorKind, PortError};

/// The reason why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("The document is not valid GraphQL.")]
    ParseFailed,
    /// The document doesn't match the schema, or exceeds a limit. The text has none of the caller's values.
    #[error("{0}")]
    ValidationFailed(String),
    #[error("A request can test one connection. Send mutations that test a connection one at a time.")]
    TooManyTestsInRequest,
    #[error("The input is not valid. See extensions.fields for the fields to change.")]
    InvalidInput(Vec<FieldError>),
    #[error("There is no such export configuration.")]
    NotFound,
    #[error("The idempotency key was used for another request, or its configuration was deleted. Send a new key.")]
    IdempotencyKeyReused,
    #[error("The limit of {limit} export configurations is reached. Delete one first.")]
    LimitExceeded { limit: u16 },
    #[error("Another replay of the export configuration has not ended. Wait for its end, or cancel it.")]
    ReplayInProgress,
    #[error("The export configuration is disabled. Enable it first.")]
    ConfigurationDisabled,
    #[error(
        "A repair of this export configuration has not ended. Wait for its end, or for 5 hours without progress, then request the repair again."
    )]
    RepairInProgress,
    #[error("The export configuration has changed. Read it again, and send the change with its current version.")]
    Conflict { current_version: u64 },
    #[error(
        "The new access key can't write to the bucket, so nothing was changed. See extensions.connectionError for what to \
         change."
    )]
    NewAccessKeyRefused(ConnectionError),
    #[error(
        "The connection test of the change failed, so nothing was changed and the export continues as before. See \
         extensions.connectionError for what to change, or send the update with force."
    )]
    NewConnectionRefused(ConnectionError),
    #[error("The cursor is not valid for this list. Send a cursor of an earlier page, or none for the first page.")]
    CursorInvalid,
    #[error("{}", exhausted(*.allowance, *.retry_after_seconds))]
    AllowanceExhausted { allowance: Allowance, retry_after_seconds: u64 },
    #[error("The service is busy. The request may have taken effect: check the current state, then try again.")]
    TryAgain,
    #[error("The service failed. The operators are notified.")]
    Internal,
}

/// Returns the message of a refusal: the limit, and when to try again.
fn exhausted(allowance: Allowance, retry_after_seconds: u64) -> String {
    let limit = allowance.limit();
    let limit = match allowance {
        Allowance::ConnectionTests => {
            format!("The limit of {limit} connection tests in {} seconds is reached.", allowance.period().as_secs())
        }
        Allowance::ManualRuns => format!("The limit of {limit} requested runs per minute is reached."),
        Allowance::ConfigurationRuns(_) => {
            format!("The limit of {limit} requested runs per hour of one export configuration is reached.")
        }
        Allowance::BacklogCounts => {
            format!("The limit of {limit} backlog counts per minute is reached, and none includes this configuration.")
        }
        Allowance::NoticedChanges => {
            format!(
                "The limit of {limit} changes per hour that send notices or create exports with webhooks is reached."
            )
        }
        Allowance::NoticedChangesOf(_) => format!(
            "Your limit of {limit} changes per hour that send notices or create exports with webhooks is reached. Others can \
             still make some."
        ),
    };
    format!("{limit} Try again in {retry_after_seconds} seconds.")
}

impl ApiError {
    /// Returns the stable code that callers may rely on.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::ParseFailed => ErrorCode::GraphQlParseFailed,
            Self::ValidationFailed(_) => ErrorCode::GraphQlValidationFailed,
            Self::TooManyTestsInRequest => ErrorCode::TooManyVerifications,
            Self::InvalidInput(_) => ErrorCode::InvalidInput,
            Self::NotFound => ErrorCode::NotFound,
            Self::IdempotencyKeyReused => ErrorCode::IdempotencyKeyReused,
            Self::LimitExceeded { .. } => ErrorCode::LimitExceeded,
            Self::ReplayInProgress => ErrorCode::ReplayInProgress,
            Self::ConfigurationDisabled => ErrorCode::ConfigurationDisabled,
            Self::RepairInProgress => ErrorCode::RepairInProgress,
            Self::Conflict { .. } => ErrorCode::Conflict,
            Self::NewAccessKeyRefused(_) => ErrorCode::NewAccessKeyRefused,
            Self::NewConnectionRefused(_) => ErrorCode::NewConnectionRefused,
            Self::CursorInvalid => ErrorCode::CursorInvalid,
            Self::AllowanceExhausted { allowance, .. } => match allowance {
                Allowance::ConnectionTests => ErrorCode::TooManyTests,
                Allowance::ManualRuns | Allowance::ConfigurationRuns(_) => ErrorCode::TooManyRuns,
                Allowance::BacklogCounts => ErrorCode::TooManyCounts,
                Allowance::NoticedChanges | Allowance::NoticedChangesOf(_) => ErrorCode::TooManyChanges,
            },
            Self::TryAgain => ErrorCode::TryAgain,
            Self::Internal => ErrorCode::Internal,
        }
    }
}

impl From<ReplayRefusal> for ApiError {
    fn from(refusal: ReplayRefusal) -> Self {
        match refusal {
            ReplayRefusal::InvalidInput(errors) => Self::InvalidInput(errors),
            ReplayRefusal::InProgress => Self::ReplayInProgress,
        }
    }
}

impl From<PortError> for ApiError {
    /// Logs the detail, and drops it.
    fn from(error: PortError) -> Self {
        let PortError { kind, operation, detail, .. } = error;
        match kind {
            ErrorKind::Transient | ErrorKind::Unreachable => {
                tracing::warn!(operation, detail, "a dependency is busy");
                Self::TryAgain
            }
            // No port of this function calls the customer's account, or needs a lease.
            ErrorKind::Internal | ErrorKind::Customer(_) | ErrorKind::Fenced | ErrorKind::CorruptBlock(_) => {
                tracing::error!(operation, detail, kind = %kind, "an operation failed");
                Self::Internal
            }
        }
    }
}
