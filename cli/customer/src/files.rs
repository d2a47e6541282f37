//! Files of the user: read up to a limit, or private to their owner.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Reads the first `length` bytes of a text file, whose copy is wiped on drop.
pub fn read_beginning(path: &Path, length: u64) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = File::open(path).and_then(|file| file.take(length).read_to_string(&mut text));
    read.map_err(Failure::text_file(path))?;
    Ok(text)
}

/// Reads a file that only its owner can access; `None` if it is missing.
pub fn read_private(path: &Path, max_length: u64) -> Result<Option<String>, Failure> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(path)(error)),
    };
    if metadata.len() > max_length {
        return Err(Failure::invalid_file(path, format!("has more than {max_length} bytes")));
    }
    if is_open_to_others(&metadata) {
        let reason = format!("other users can read or change it; run: chmod 600 '{}'", path.display());
        return Err(Failure::invalid_file(path, reason));
    }
    fs::read_to_string(path).map(Some).map_err(Failure::text_file(path))
}

/// Writes a file that only its owner can access. It replaces an existing file as a whole: no reader sees half of it.
pub fn replace_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = parent(path);
    create_private_directory(directory).map_err(Failure::file(directory))?;
    // Temporary files are for their owner only.
    let mut file = NamedTempFile::new_in(directory).map_err(Failure::file(path))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(Failure::file(path))?;
    file.persist(path).map_err(|error| Failure::file(path)(error.error))?;
    Ok(())
}

/// Writes a file below a folder, with the folders of its name. The caller vouches for the name: it has no `..`.
pub fn write_below(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    fs::create_dir_all(parent(&path)).and_then(|()| fs::write(&path, content)).map_err(Failure::file(&path))?;
    Ok(path)
}

/// Returns the directory that a path is in.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns whether others than the owner can read or write a file.
#[cfg(unix)]
pub fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
pub fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
