//! The damage of a file.

use std::io;

/// The reason why the lines of a file can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamagedFile {
    #[error("it does not begin and end as a Parquet file")]
    NoParquet,
    #[error("its footer is damaged")]
    Footer,
    #[error("it was not written by this service")]
    OtherProducer,
    #[error("it has no column of lines in the form of this service")]
    NoLines,
    #[error("a page of lines is damaged")]
    Page,
    #[error("it has another number of lines than its footer says")]
    RowCount,
}

impl From<DamagedFile> for io::Error {
    fn from(damaged: DamagedFile) -> Self {
        Self::new(io::ErrorKind::InvalidData, damaged)
    }
}
