//! Reads of files whose length or order nobody vouches for.

use futures::TryStreamExt;

use crate::export_files::{ExportFiles, ReadError};

/// The result of reading a file up to a bound.
pub(crate) enum BoundedFile {
    Read(Vec<u8>),
    Missing,
    TooLong,
}

/// Reads a file of at most `limit` bytes.
pub(crate) async fn read_bounded<F: ExportFiles + ?Sized>(
    export: &F,
    name: &str,
    limit: u64,
) -> Result<BoundedFile, ReadError> {
    let mut pieces = export.read(name);
    let mut bytes = Vec::new();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) if (bytes.len() + piece.len()) as u64 > limit => return Ok(BoundedFile::TooLong),
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return Ok(BoundedFile::Read(bytes)),
            Err(ReadError::NotFound) => return Ok(BoundedFile::Missing),
            Err(error) => return Err(error),
        }
    }
}

/// Checks that `name` follows `last`, and remembers it. A list that is out of order could be endless, or hide a file.
pub(crate) fn check_order(last: &mut Option<String>, name: &str) -> Result<(), ReadError> {
    if last.as_deref().is_some_and(|last| last >= name) {
        return Err(ReadError::Unreadable(format!("the list of files is not in order at {name}")));
    }
    *last = Some(name.to_owned());
    Ok(())
}

/// Returns whether this is the object that the S3 console creates for an empty folder. Copies on disk don't have it.
pub(crate) fn is_folder_marker(name: &str, length: u64) -> bool {
    length == 0 && (name.is_empty() || name.ends_with('/'))
}
