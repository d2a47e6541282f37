//! The errors of the encoder.

use parquet::errors::ParquetError;

/// The reason why no file could be made.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("encoder version {0} is not known")]
    UnknownVersion(u32),
    /// Lines and bytes are counted from one, lines from the first of those that were pushed together.
    #[error("line {line}: no line feed at its end")]
    UnfinishedLine { line: usize },
    #[error("line {line}, byte {byte}: not UTF-8")]
    NotUtf8 { line: usize, byte: usize },
    #[error("line {line}, byte {byte}: not a JSON object on one line")]
    Malformed { line: usize, byte: usize },
    #[error("the file would be too long")]
    TooLong,
    #[error("zstd failed: {0}")]
    Compression(std::io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

impl EncodeError {
    /// Returns whether the lines are the cause.
    #[must_use]
    pub fn is_of_lines(&self) -> bool {
        matches!(self, Self::UnfinishedLine { .. } | Self::NotUtf8 { .. } | Self::Malformed { .. })
    }
}

/// A text is not JSON. The reason is the position where the scanner stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Counted in bytes, from zero.
    pub(crate) position: usize,
}
