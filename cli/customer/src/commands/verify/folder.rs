//! A copy on disk.

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
use verification::{Archive, Entry, ReadError};

use crate::failure::Failure;

/// Bytes that are read at once.
const PIECE_LENGTH: usize = 256 * 1_024;
/// An export has folders of one level.
const MAX_DEPTH: usize = 8;
/// Two files for each of the digests that a verification takes on, and as many again.
const MAX_FILES_PER_FOLDER: usize = 4_000_000;

/// A folder with the files of one export.
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(root).map_err(Failure::file(root))?;
        if !metadata.is_dir() {
            return Err(Failure::file(root)(ErrorKind::NotADirectory.into()));
        }
        Ok(Self { root: root.to_owned() })
    }
}

impl Archive for Folder {
    fn list<'a>(&'a self, folder: &'a str) -> LocalBoxStream<'a, Result<Entry, ReadError>> {
        stream::iter(Walk::new(&self.root, folder)).boxed_local()
    }

    fn read<'a>(&'a self, name: &'a str) -> LocalBoxStream<'a, Result<Bytes, ReadError>> {
        let path = self.root.join(name);
        stream::iter(Pieces { file: None, path, is_done: false }).boxed_local()
    }
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    move |error| match error.kind() {
        ErrorKind::NotFound => ReadError::NotFound,
        _ => ReadError::Unreadable(format!("{}: {error}", path.display())),
    }
}

/// A file or folder in a folder. Its name ends in `/` if it is a folder, so that names sort like those in a bucket.
struct Item {
    name: String,
    path: PathBuf,
}

/// All files below a folder in the order of their names, with no more than one folder of each level in memory.
struct Walk {
    levels: Vec<vec::IntoIter<Item>>,
    failure: Option<ReadError>,
}

impl Walk {
    fn new(root: &Path, folder: &str) -> Self {
        match items(&root.join(folder), folder) {
            Ok(items) => Self { levels: vec![items], failure: None },
            // In a bucket there are no folders that could be missing.
            Err(ReadError::NotFound) => Self { levels: Vec::new(), failure: None },
            Err(error) => Self { levels: Vec::new(), failure: Some(error) },
        }
    }

    /// Nothing is listed after a failure.
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
        // A name that is no UTF-8 is none of ours: it is only shown.
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

/// A file's bytes; it is opened when the first are asked for.
struct Pieces {
    path: PathBuf,
    file: Option<File>,
    is_done: bool,
}

impl Pieces {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        let mut piece = Vec::with_capacity(PIECE_LENGTH);
        file.take(PIECE_LENGTH as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let piece = self.read().map_err(read_error(&self.path));
        self.is_done = !matches!(&piece, Ok(piece) if !piece.is_empty());
        match piece {
            Ok(piece) if piece.is_empty() => None,
            piece => Some(piece.map(Bytes::from)),
        }
    }
}
