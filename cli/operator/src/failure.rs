//! The failures of commands and their exit codes, which `--help` documents.

use std::{fmt, io, path::PathBuf};

use authentication::AccessError;
use function_runtime::environment::EnvironmentError;

use crate::call::Call;

/// The kind of a failed call to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailureKind {
    /// AWS does not accept the credentials.
    Unauthenticated,
    /// The permission is missing.
    Denied,
    /// No connection, throttling, or a fault of AWS: the same call may succeed later.
    Unavailable,
    /// No answer to a request that may have been sent: AWS may still carry it out.
    Unanswered,
    /// The service does not know the operation: an emulator.
    Unsupported,
    Refused,
}

/// A failed call to AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CallFailure {
    pub call: Call,
    pub kind: CallFailureKind,
    /// AWS's code and message.
    pub detail: String,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, kind, detail } = self;
        match kind {
            CallFailureKind::Unauthenticated => {
                write!(formatter, "AWS does not accept the credentials; check them, and this machine's clock: {detail}")
            }
            CallFailureKind::Denied => write!(formatter, "the permission {call} is missing: {detail}"),
            CallFailureKind::Unavailable | CallFailureKind::Unanswered => {
                write!(formatter, "{call} was not answered, try again: {detail}")
            }
            CallFailureKind::Unsupported => write!(formatter, "{call} is not supported here: {detail}"),
            CallFailureKind::Refused => write!(formatter, "{call}: {detail}"),
        }
    }
}

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Call(#[from] CallFailure),

    #[error("{what}: {reason}")]
    InvalidArgument { what: &'static str, reason: String },

    #[error(transparent)]
    Settings(#[from] EnvironmentError),

    #[error("the service refused it: {0}")]
    Refused(String),

    #[error("{0}")]
    Credentials(String),

    /// A token that was to be checked.
    #[error("{code}: {0}", code = .0.code().name())]
    RefusedToken(#[from] AccessError),

    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("standard output: {0}")]
    StandardOutput(#[from] io::Error),

    /// A check of `doctor`, or a signature.
    #[error("{0}")]
    Unhealthy(String),

    #[error("there is no {0}")]
    NotFound(String),

    #[error("nothing was done: {0}")]
    NotConfirmed(String),

    /// Repeating the command continues.
    #[error("not finished: {0}")]
    Unfinished(String),
}

impl Failure {
    /// Returns the exit code, as `--help` lists it. The codes are those of `audit-export`, where it has the same failure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Call(failure) => match failure.kind {
                CallFailureKind::Unavailable | CallFailureKind::Unanswered => 1,
                CallFailureKind::Unsupported | CallFailureKind::Refused => 3,
                CallFailureKind::Unauthenticated | CallFailureKind::Denied => 4,
            },
            Self::InvalidArgument { .. } | Self::Settings(_) => 2,
            Self::Refused(_) => 3,
            Self::Credentials(_) | Self::RefusedToken(_) => 4,
            Self::File { .. } | Self::StandardOutput(_) => 5,
            Self::Unhealthy(_) => 6,
            Self::NotFound(_) => 8,
            Self::NotConfirmed(_) => 11,
            Self::Unfinished(_) => 12,
        }
    }

    /// Converts the error of an operation on `path`, for `map_err`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
