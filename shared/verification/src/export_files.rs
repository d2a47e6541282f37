//! The port through which the files of an export are read: a bucket, a folder, or a map in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, LocalBoxStream},
};

use crate::names::BESIDE;

/// A file and its length in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the export's prefix, with `/` between its parts.
    pub name: String,
    pub length: u64,
}

/// The reason why a file or a list could not be read. Only [`ReadError::NotFound`] says something about the export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the file does not exist")]
    NotFound,
    /// The reader has no permission.
    #[error("{0}")]
    Denied(String),
    /// A retry may succeed.
    #[error("{0}")]
    Unavailable(String),
    /// Any other reason.
    #[error("{0}")]
    Unreadable(String),
}

/// The files of one export: everything below `<bucketPath>/<configuration ID>/`. A name that begins with `../` is of a file
/// beside that folder, such as one in the layout of Security Lake.
pub trait ExportFiles {
    /// Lists the files whose names begin with `folder` (empty, or ending in `/`), in ascending order of their bytes, which
    /// is the order in which S3 lists. Without `../`, no file beside the folder is listed.
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>>;

    /// Reads a file's bytes, piece by piece.
    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>>;
}

impl ExportFiles for BTreeMap<String, Bytes> {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        // Those beside the export are not in it.
        let is_listed = |name: &str| folder.starts_with(BESIDE) || !name.starts_with(BESIDE);
        let files = self.range(folder.to_owned()..).take_while(move |(name, _)| name.starts_with(folder));
        let files = files.filter(move |(name, _)| is_listed(name));
        let entries = files.map(|(name, bytes)| Ok(Entry { name: name.clone(), length: bytes.len() as u64 }));
        stream::iter(entries).boxed_local()
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        let bytes = self.get(name).cloned().ok_or(ReadError::NotFound);
        stream::iter([bytes]).boxed_local()
    }
}
