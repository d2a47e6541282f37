//! The folder for the policies. Files that setup did not write stay as they are.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use domain::digest::Hex32;

use super::documents::Document;
use crate::failure::Failure;

/// Bytes. Longer files are none of these.
const MAX_FILE_LENGTH: u64 = 1_024 * 1_024;

/// Writes the files, or none of them if another file has a name. `written` are the hashes of what was written, by path: it is
/// replaced, unless somebody changed it meanwhile.
pub fn write(directory: &Path, files: &[Document], written: &mut BTreeMap<String, Hex32>) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(Failure::file(directory))?;
    let mut open = Vec::new();
    for Document { name, content, .. } in files {
        let path = directory.join(name);
        let key = std::path::absolute(&path).map_err(Failure::file(&path))?.to_string_lossy().into_owned();
        let found = find(&path)?;
        if found.as_deref() == Some(content.as_bytes()) {
            continue;
        }
        if let Some(found) = &found
            && written.get(&key) != Some(&Hex32::sha256_of(found))
        {
            return Err(Failure::Exists(path));
        }
        open.push((path, key, content, found.is_some()));
    }
    for (path, key, content, is_replaced) in open {
        if is_replaced {
            fs::remove_file(&path).map_err(Failure::file(&path))?;
        }
        // Does not follow a link.
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(Failure::Exists(path)),
            file => file.map_err(Failure::file(&path))?,
        };
        file.write_all(content.as_bytes()).map_err(Failure::file(&path))?;
        written.insert(key, Hex32::sha256_of(content.as_bytes()));
    }
    Ok(())
}

/// Reads the file at `path`; `None` if there is none. Everything but a plain file is somebody else's.
fn find(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(path)(error)),
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE_LENGTH => {
            fs::read(path).map(Some).map_err(Failure::file(path))
        }
        Ok(_) => Err(Failure::Exists(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &'static str, content: &str) -> Document {
        Document { name, purpose: "a policy", content: content.to_owned() }
    }

    #[test]
    fn files_that_setup_did_not_write_stay() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let mut written = BTreeMap::new();
        let mut write = |content: &str| {
            write(folder.path(), &[document("a.json", content), document("b.json", content)], &mut written)
        };
        fs::write(folder.path().join("b.json"), "mine").unwrap();
        assert!(matches!(write("1"), Err(Failure::Exists(path)) if path.ends_with("b.json")));
        assert!(!folder.path().join("a.json").exists() && read("b.json") == "mine");

        fs::remove_file(folder.path().join("b.json")).unwrap();
        // Twice, and with other content: all of it is setup's.
        for content in ["1", "1", "2"] {
            write(content).unwrap();
            assert_eq!((read("a.json"), read("b.json")), (content.to_owned(), content.to_owned()));
        }
        fs::write(folder.path().join("a.json"), "changed by hand").unwrap();
        assert!(matches!(write("3"), Err(Failure::Exists(path)) if path.ends_with("a.json")));
        assert_eq!((read("a.json"), read("b.json")), ("changed by hand".to_owned(), "2".to_owned()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        for content in ["mine", "1"] {
            fs::write(&target, content).unwrap();
            let link = folder.path().join("a.json");
            std::os::unix::fs::symlink(&target, &link).unwrap();
            let refused = write(folder.path(), &[document("a.json", "1")], &mut BTreeMap::new());
            assert!(matches!(refused, Err(Failure::Exists(_))), "{content}");
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            fs::remove_file(link).unwrap();
        }
    }
}
