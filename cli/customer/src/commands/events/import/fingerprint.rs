//! The content of a file when it was checked, and a reader that returns nothing else.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::refusal::ImportRefusal;

/// The bytes that are verified at a time, before any of them is read.
const CHUNK_BYTES: u64 = 1_024 * 1_024;

/// The length and the hashes of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub length: u64,
    pub sha256: [u8; 32],
    /// The hash of each [`CHUNK_BYTES`].
    chunks: Vec<[u8; 32]>,
}

impl Fingerprint {
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::of_beginning(path, u64::MAX)
    }

    /// Returns the fingerprint of the first `length` bytes, or of all if the file is shorter.
    pub fn of_beginning(path: &Path, length: u64) -> io::Result<Self> {
        let mut file = File::open(path)?.take(length);
        let mut whole = Sha256::new();
        let mut found = Self { length: 0, sha256: [0; 32], chunks: Vec::new() };
        loop {
            let chunk = read_chunk(&mut file)?;
            if chunk.is_empty() {
                break;
            }
            found.length += chunk.len() as u64;
            found.chunks.push(Sha256::digest(&chunk).into());
            whole.update(&chunk);
        }
        found.sha256 = whole.finalize().into();
        Ok(found)
    }

    /// Opens the file. What follows the content of the fingerprint is not read.
    pub fn open(self: &Arc<Self>, path: &Path) -> io::Result<VerifiedFile> {
        let file = File::open(path)?.take(self.length);
        Ok(VerifiedFile { file, fingerprint: Arc::clone(self), next: 0, chunk: io::Cursor::default() })
    }
}

/// A reader of a file that fails where the content differs from that of the fingerprint.
#[derive(Debug)]
pub struct VerifiedFile {
    file: io::Take<File>,
    fingerprint: Arc<Fingerprint>,
    /// The index of the next chunk.
    next: usize,
    chunk: io::Cursor<Vec<u8>>,
}

impl Read for VerifiedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.position() == self.chunk.get_ref().len() as u64 {
            let Some(expected) = self.fingerprint.chunks.get(self.next) else { return Ok(0) };
            let chunk = read_chunk(&mut self.file)?;
            if Sha256::digest(&chunk)[..] != expected[..] {
                return Err(io::Error::other(ImportRefusal::FileChanged));
            }
            self.next += 1;
            self.chunk = io::Cursor::new(chunk);
        }
        self.chunk.read(buffer)
    }
}

fn read_chunk(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::new();
    file.take(CHUNK_BYTES).read_to_end(&mut chunk)?;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LENGTH: usize = 2 * 1_024 * 1_024 + 7;

    /// Reads a file of `LENGTH` bytes, after it was changed. Returns how many bytes were read, and whether that was all.
    fn read_after(change: impl FnOnce(&mut Vec<u8>)) -> (usize, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut content = vec![b'x'; LENGTH];
        fs::write(&path, &content).unwrap();
        let fingerprint = Arc::new(Fingerprint::of(&path).unwrap());
        assert_eq!(fingerprint.length, LENGTH as u64);
        change(&mut content);
        fs::write(&path, &content).unwrap();
        let mut read = Vec::new();
        let outcome = fingerprint.open(&path).unwrap().read_to_end(&mut read);
        assert!(read.iter().all(|byte| *byte == b'x'), "a changed byte was returned");
        if let Err(error) = &outcome {
            assert!(error.to_string().starts_with("IMPORT_FILE_CHANGED: "), "{error}");
        }
        (read.len(), outcome.is_ok())
    }

    #[test]
    fn only_the_content_of_the_fingerprint_is_read() {
        assert_eq!(read_after(|_| ()), (LENGTH, true));
        assert_eq!(read_after(|content| content.extend_from_slice(b"more")), (LENGTH, true));
        assert_eq!(read_after(|content| content[0] = b'y'), (0, false));
        assert_eq!(read_after(|content| content[LENGTH - 1] = b'y'), (2 * 1_024 * 1_024, false));
        assert_eq!(read_after(|content| content.truncate(LENGTH - 1)), (2 * 1_024 * 1_024, false));
        assert_eq!(read_after(Vec::clear), (0, false));
    }

    #[test]
    fn the_beginning_of_a_file_has_the_fingerprint_of_a_file_with_that_content() {
        let folder = tempfile::tempdir().unwrap();
        let [short, long] = ["short", "long"].map(|name| folder.path().join(name));
        fs::write(&short, "abc").unwrap();
        fs::write(&long, "abcd").unwrap();
        assert_eq!(Fingerprint::of_beginning(&long, 3).unwrap(), Fingerprint::of(&short).unwrap());
        assert_eq!(Fingerprint::of_beginning(&short, 9).unwrap(), Fingerprint::of(&short).unwrap());
    }
}
