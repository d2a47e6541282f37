//! The errors of the encoder.

use parquet::errors::ParquetError;

/// The reason why no file could be made.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("encoder version {0} is not known")]
    UnknownVersion(u32),
    #[error("the lines end without a line feed")]
    UnfinishedLine,
    #[error("the lines are not UTF-8")]
    NotUtf8,
    /// Both are counted from one, the line from the first of the file.
    #[error("line {line}, byte {byte}: not a JSON object on one line")]
    Malformed { line: u64, byte: usize },
    #[error("the file would be too long")]
    TooLong,
    #[error("zstd failed: {0}")]
    Compression(std::io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}
