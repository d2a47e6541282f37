//! Where the files come from: a bucket, a folder, a map in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, LocalBoxStream},
};

/// A file and its length in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the export's prefix, with `/` between its parts.
    pub name: String,
    pub length: u64,
}

/// Why a file or a list could not be read. Only [`ReadError::NotFound`] says something about the export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such file")]
    NotFound,
    /// Whoever holds the files doesn't hand them out to this person.
    #[error("{0}")]
    Denied(String),
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Unreadable(String),
}

/// The files of one export: everything below `<bucketPath>/<configuration id>/`.
pub trait Archive {
    /// The files whose names begin with `folder` (empty, or ending in `/`), in ascending order of their bytes, which is
    /// the order in which S3 lists.
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>>;

    /// A file's bytes, piece by piece.
    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>>;
}

impl Archive for BTreeMap<String, Bytes> {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        let files = self.range(folder.to_owned()..).take_while(move |(name, _)| name.starts_with(folder));
        let entries = files.map(|(name, bytes)| Ok(Entry { name: name.clone(), length: bytes.len() as u64 }));
        stream::iter(entries).boxed_local()
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        let bytes = self.get(name).cloned().ok_or(ReadError::NotFound);
        stream::iter([bytes]).boxed_local()
    }
}
