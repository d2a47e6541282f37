//! The errors of the commands.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error("{}: {reason}", path.display())]
    InvalidFile { path: PathBuf, reason: String },

    #[error("{} exists; --force replaces it, and tokens signed with the old key are then refused", .0.display())]
    WouldOverwrite(PathBuf),

    #[error("--tenant-claim or --permissions-claim names a claim that every token has")]
    ClaimTwice,

    #[error("the cryptographic library failed: {0}")]
    Cryptography(String),

    #[error("standard output: {0}")]
    StandardOutput(#[from] io::Error),
}

impl Failure {
    /// Returns the exit code, as in `audit-export`: 1 for cryptography, 2 for wrong arguments, 5 for files.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cryptography(_) => 1,
            Self::ClaimTwice => 2,
            Self::File { .. } | Self::InvalidFile { .. } | Self::WouldOverwrite(_) | Self::StandardOutput(_) => 5,
        }
    }

    /// For `map_err` after an operation on `path`.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
