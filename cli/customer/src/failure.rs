//! How a command can fail, and which exit code tells a script so. The codes are documented in `--help`.

use std::{io, path::PathBuf};

use crate::api::Diagnosis;

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("{} exists already and is not overwritten; move it away, or give another folder", .0.display())]
    Exists(PathBuf),

    #[error("{}: {reason}", path.display())]
    InvalidFile { path: PathBuf, reason: String },

    #[error("standard output: {0}")]
    StandardOutput(io::Error),

    #[error("{what}: {reason}")]
    InvalidArgument { what: &'static str, reason: String },

    #[error("the service could not be used: {0}")]
    Unavailable(String),

    /// The service did not answer, or something else did.
    #[error("{0}")]
    NoAnswer(Diagnosis),

    #[error("the service refused {what}: {reason}")]
    Refused { what: String, reason: String },

    /// Something was given that can be given otherwise; the reason names each field.
    #[error("the service refused {what}: {reason}")]
    InvalidInput { what: String, reason: String },

    #[error("the service refused {what}: {reason}")]
    NotFound { what: String, reason: String },

    #[error(
        "somebody else changed the export configuration meanwhile: its version is now {current_version}\n  Look at it \
         (audit-export config get), and repeat the change with that version."
    )]
    Conflict { current_version: String },

    #[error(
        "this version of audit-export ({}) is too old for the service, which needs at least {minimum}\n  \
         Install that version or a newer one from where you got this one, and repeat the command.",
        crate::api::VERSION
    )]
    UpgradeRequired { minimum: String },

    #[error("the connection test failed: {0}")]
    ConnectionFailed(String),

    /// It may have been done all the same, and can be repeated in a way that doesn't do it twice.
    #[error("{failure}\n  {hint}")]
    Unsure { failure: Box<Failure>, hint: String },

    /// A person was asked, or could not be.
    #[error("nothing was done: {0}")]
    NotConfirmed(String),

    /// Asking once more goes on where this ended.
    #[error("not finished: {0}")]
    Unfinished(String),

    #[error("the service refused the token: {0}")]
    TokenRefused(String),

    #[error("access to the bucket was refused: {0}")]
    BucketRefused(String),

    #[error("the bucket could not be read: {0}")]
    Bucket(String),

    #[error("the export is broken: {0}")]
    Broken(&'static str),

    #[error(
        "the copy is older than the service's newest export: what is here is complete and unchanged\n  Fetch the copy again, \
         and verify it; if that one ends at the same time, the newest digests were removed from the bucket."
    )]
    Outdated,
}

impl Failure {
    /// As `--help` lists them.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unavailable(_) | Self::NoAnswer(_) => 1,
            Self::InvalidArgument { .. } => 2,
            Self::Refused { .. } | Self::InvalidInput { .. } => 3,
            Self::TokenRefused(_) | Self::BucketRefused(_) => 4,
            Self::File { .. }
            | Self::Exists(_)
            | Self::InvalidFile { .. }
            | Self::StandardOutput(_)
            | Self::Bucket(_) => 5,
            Self::Broken(_) => 6,
            Self::ConnectionFailed(_) => 7,
            Self::NotFound { .. } => 8,
            Self::Conflict { .. } => 9,
            Self::UpgradeRequired { .. } => 10,
            Self::NotConfirmed(_) => 11,
            Self::Unfinished(_) => 12,
            Self::Outdated => 13,
            Self::Unsure { failure, .. } => failure.exit_code(),
        }
    }

    /// For `map_err` after an operation on `path`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
