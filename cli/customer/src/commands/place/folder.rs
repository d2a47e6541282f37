//! A copy of an export in a folder.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    vec,
};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, LocalBoxStream},
};
use verification::{Entry, ExportFiles, ReadError};

use crate::failure::Failure;

/// Bytes of one read.
const PIECE_LENGTH: usize = 256 * 1_024;
/// Levels of folders; an export has one.
const MAX_DEPTH: usize = 8;
/// Twice the files of the maximum number of digests.
const MAX_FILES_PER_FOLDER: usize = 4_000_000;

/// A folder with the files of one export.
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn open(root: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(root).map_err(Failure::file(root))?;
        if !metadata.is_dir() {
            return Err(Failure::file(root)(ErrorKind::NotADirectory.into()));
        }
        Ok(Self { root: root.to_owned() })
    }
}

impl ExportFiles for Folder {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        stream::iter(Walk::new(&self.root, folder)).boxed_local()
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        let path = self.root.join(name);
        stream::try_unfold(None, move |file| {
            // Opened when the first piece is read.
            let piece = file.map_or_else(|| File::open(&path), Ok).and_then(next_piece).map_err(read_error(&path));
            std::future::ready(piece)
        })
        .boxed_local()
    }
}

/// Returns the next bytes of the file, or `None` at its end.
fn next_piece(mut file: File) -> io::Result<Option<(Bytes, Option<File>)>> {
    let mut piece = Vec::with_capacity(PIECE_LENGTH);
    (&mut file).take(PIECE_LENGTH as u64).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| (piece.into(), Some(file))))
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    move |error| match error.kind() {
        ErrorKind::NotFound => ReadError::NotFound,
        _ => ReadError::Unreadable(format!("{}: {error}", path.display())),
    }
}

/// An entry of a folder. The name of a folder ends in `/`, so that names sort like those in a bucket.
struct Item {
    name: String,
    path: PathBuf,
}

/// An iterator over all files below a folder, sorted by name, with one folder of each level in memory.
struct Walk {
    levels: Vec<vec::IntoIter<Item>>,
    failure: Option<ReadError>,
}

impl Walk {
    fn new(root: &Path, folder: &str) -> Self {
        match items(&root.join(folder), folder) {
            Ok(items) => Self { levels: vec![items], failure: None },
            // A bucket has no folders, so a missing one is empty.
            Err(ReadError::NotFound) => Self { levels: Vec::new(), failure: None },
            Err(error) => Self { levels: Vec::new(), failure: Some(error) },
        }
    }

    /// Ends the list with a failure.
    fn fail(&mut self, error: ReadError) -> Result<Entry, ReadError> {
        self.levels.clear();
        Err(error)
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            return Some(Err(error));
        }
        loop {
            let Some(item) = self.levels.last_mut()?.next() else {
                self.levels.pop();
                continue;
            };
            if !item.name.ends_with('/') {
                return match fs::symlink_metadata(&item.path) {
                    Ok(metadata) if metadata.is_file() => Some(Ok(Entry { name: item.name, length: metadata.len() })),
                    Ok(_) => {
                        let detail = format!("{} is neither a file nor a folder", item.path.display());
                        Some(self.fail(ReadError::Unreadable(detail)))
                    }
                    Err(error) => Some(self.fail(read_error(&item.path)(error))),
                };
            }
            if self.levels.len() >= MAX_DEPTH {
                let detail = format!("{} is nested too deep", item.path.display());
                return Some(self.fail(ReadError::Unreadable(detail)));
            }
            match items(&item.path, &item.name) {
                Ok(items) => self.levels.push(items),
                Err(error) => return Some(self.fail(error)),
            }
        }
    }
}

fn items(path: &Path, prefix: &str) -> Result<vec::IntoIter<Item>, ReadError> {
    let mut items = Vec::new();
    for entry in fs::read_dir(path).map_err(read_error(path))? {
        let entry = entry.map_err(read_error(path))?;
        let is_folder = entry.file_type().map_err(read_error(path))?.is_dir();
        // Exports have only UTF-8 names; others are only reported.
        let name = entry.file_name().to_string_lossy().into_owned();
        let end = if is_folder { "/" } else { "" };
        items.push(Item { name: format!("{prefix}{name}{end}"), path: entry.path() });
        if items.len() > MAX_FILES_PER_FOLDER {
            return Err(ReadError::Unreadable(format!("{} has too many files", path.display())));
        }
    }
    items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(items.into_iter())
}
