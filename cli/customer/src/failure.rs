//! The failures of commands and their exit codes, which `--help` documents.

use std::{error::Error, fmt, io, path::PathBuf};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The maximum number of causes of an error to examine.
const MAX_CAUSES: usize = 16;

/// The explanation of a failed request, with the things to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub what: String,
    pub check: &'static str,
}

impl Diagnosis {
    pub fn new(what: impl Into<String>, check: &'static str) -> Self {
        Self { what: what.into(), check }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n  {}", self.what, self.check)
    }
}

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("{} exists and is not overwritten; move it away, or give another folder", .0.display())]
    Exists(PathBuf),

    #[error("{}: {reason}", path.display())]
    InvalidFile { path: PathBuf, reason: String },

    #[error("standard output: {0}")]
    StandardOutput(io::Error),

    #[error("{what}: {reason}")]
    InvalidArgument { what: &'static str, reason: String },

    #[error("the request failed: {0}")]
    Unavailable(String),

    #[error("the export failed: {0}")]
    ExportFailed(String),

    /// No answer, or an answer that is not the service's.
    #[error("{0}")]
    NoAnswer(Diagnosis),

    #[error("the service refused {what}: {reason}")]
    Refused { what: String, reason: String },

    /// Invalid input fields, which the reason names.
    #[error("the service refused {what}: {reason}")]
    InvalidInput { what: String, reason: String },

    #[error("the service refused {what}: {reason}")]
    NotFound { what: String, reason: String },

    #[error(
        "the export configuration was changed meanwhile: its version is now {current_version}\n  Show it (audit-export config \
         get), and repeat the change with that version."
    )]
    Conflict { current_version: String },

    #[error(
        "this version of audit-export ({VERSION}) is too old: the service requires {minimum} or newer\n  Install that version, \
         and repeat the command."
    )]
    UpgradeRequired { minimum: String },

    #[error("the connection test failed: {0}")]
    ConnectionFailed(String),

    #[error("not every webhook accepted the notice: {0}")]
    WebhookFailed(String),

    /// The customer has to change something before the repair can be repeated.
    #[error("the repair failed: {0}")]
    RepairFailed(String),

    #[error("{0} can't be repaired: see above")]
    RepairIncomplete(String),

    /// The health of an export that is not as it should be.
    #[error("the export is {0}: see what to do above")]
    Unhealthy(String),

    /// The request may have taken effect; the hint says how to repeat it safely.
    #[error("{failure}\n  {hint}")]
    Unsure { failure: Box<Failure>, hint: String },

    /// The confirmation was refused, or nobody could be asked.
    #[error("nothing was done: {0}")]
    NotConfirmed(String),

    /// Repeating the command continues here.
    #[error("not finished: {0}")]
    Unfinished(String),

    #[error("the service refused the token: {0}")]
    TokenRefused(String),

    #[error("access to the bucket was refused: {0}")]
    BucketRefused(String),

    #[error(
        "there is no program duckdb on the search path\n  Install DuckDB 1.5 or newer \
         (https://duckdb.org/install, or pip install duckdb-cli), and repeat the command."
    )]
    NoDuckDb,

    #[error(
        "results are tested with DuckDB 1.5 and newer, and `duckdb -version` returned {0:?}: earlier versions changed numbers\n  \
         Install a newer DuckDB (https://duckdb.org/install, or pip install duckdb-cli), and repeat the command."
    )]
    OldDuckDb(String),

    /// DuckDB has written why.
    #[error("DuckDB did not complete the statement: see above")]
    QueryFailed,

    #[error("the bucket could not be read: {0}")]
    Bucket(String),

    #[error("the export is broken: {0}")]
    Broken(&'static str),

    #[error(
        "the copy is complete and unchanged, but older than the service's newest export\n  Fetch the copy again, and verify it. \
         If it ends at the same time, the newest digests were removed from the bucket."
    )]
    Outdated,
}

impl Failure {
    /// Returns the exit code, as `--help` lists it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unavailable(_) | Self::ExportFailed(_) | Self::NoAnswer(_) => 1,
            Self::InvalidArgument { .. } => 2,
            Self::Refused { .. } | Self::InvalidInput { .. } => 3,
            Self::TokenRefused(_) | Self::BucketRefused(_) => 4,
            Self::File { .. }
            | Self::Exists(_)
            | Self::InvalidFile { .. }
            | Self::StandardOutput(_)
            | Self::Bucket(_) => 5,
            Self::Broken(_) => 6,
            Self::ConnectionFailed(_) | Self::WebhookFailed(_) | Self::RepairFailed(_) => 7,
            Self::NotFound { .. } => 8,
            Self::Conflict { .. } => 9,
            Self::UpgradeRequired { .. } => 10,
            Self::NotConfirmed(_) => 11,
            Self::Unfinished(_) => 12,
            Self::Outdated => 13,
            Self::Unhealthy(_) => 14,
            Self::RepairIncomplete(_) => 15,
            Self::NoDuckDb | Self::OldDuckDb(_) | Self::QueryFailed => 16,
            Self::Unsure { failure, .. } => failure.exit_code(),
        }
    }

    pub fn argument(what: &'static str, reason: impl fmt::Display) -> Self {
        Self::InvalidArgument { what, reason: reason.to_string() }
    }

    pub fn invalid_file(path: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self::InvalidFile { path: path.into(), reason: reason.to_string() }
    }

    /// Converts the error of reading `path` as text, for `map_err`. Bad content is not a file that could not be read.
    pub fn text_file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::InvalidData => Self::invalid_file(path, "is not UTF-8 text"),
            _ => Self::file(path)(source),
        }
    }

    /// Converts the error of an operation on `path`, for `map_err`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Iterates over an error and its causes.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error)).take(MAX_CAUSES)
}

/// Returns the cause of an error. The source of an `io::Error` would skip the error inside it.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
