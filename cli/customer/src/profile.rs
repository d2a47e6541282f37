//! The file of the profiles, each with a service and the source of its token.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The environment variable with the path of the file.
pub const FILE_VARIABLE: &str = "AUDIT_EXPORT_CONFIG";

/// Bytes. A profile has a few hundred.
const MAX_FILE_LENGTH: u64 = 1_024 * 1_024;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// The profile of commands that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub url: String,
    /// The file with the token, relative to the profiles' file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A program that prints the token, with its arguments. There is no shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_command: Option<Vec<String>>,
    /// The environment variable with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_environment: Option<String>,
}

/// The source of a profile's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    File(PathBuf),
    Command(Vec<String>),
    Environment(String),
}

impl Profile {
    /// Returns the source of the token, if there is exactly one. `directory` is the one of the profiles' file.
    #[must_use]
    pub fn token_source(&self, directory: &Path) -> Option<TokenSource> {
        match (&self.token_file, &self.token_command, &self.token_environment) {
            (Some(file), None, None) => Some(TokenSource::File(directory.join(file))),
            (None, Some(command), None) if !command.is_empty() => Some(TokenSource::Command(command.clone())),
            (None, None, Some(variable)) => Some(TokenSource::Environment(variable.clone())),
            _ => None,
        }
    }
}

/// Returns the path of the profiles' file.
///
/// # Errors
/// There is no home directory, and no environment variable names the file.
pub fn path() -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable(FILE_VARIABLE) {
        return Ok(path);
    }
    // The specification ignores relative paths: <https://specifications.freedesktop.org/basedir-spec/latest/>.
    let directory = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    directory
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .map(|directory| directory.join("audit-export").join("config.toml"))
        .ok_or(Failure::InvalidArgument {
            what: FILE_VARIABLE,
            reason: "there is no home directory: set this environment variable to the path of the profiles' file"
                .to_owned(),
        })
}

impl Profiles {
    /// Loads the profiles; a missing file has none.
    ///
    /// # Errors
    /// Others can access the file, or it is invalid.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::file(path)(error)),
        };
        let invalid = |reason: String| Failure::InvalidFile { path: path.to_owned(), reason };
        if metadata.len() > MAX_FILE_LENGTH {
            return Err(invalid(format!("has more than {MAX_FILE_LENGTH} bytes")));
        }
        if is_open_to_others(&metadata) {
            // Whoever can change it chooses the host that gets the token, and the program to run.
            return Err(invalid(format!("other users can read or change it; run: chmod 600 '{}'", path.display())));
        }
        let text = fs::read_to_string(path).map_err(Failure::file(path))?;
        toml::from_str(&text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))
    }

    /// Replaces `path`; see [`replace_private_file`].
    pub fn store(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self)
            .map_err(|error| Failure::InvalidFile { path: path.to_owned(), reason: error.to_string() })?;
        replace_private_file(path, text.as_bytes())
    }
}

/// Writes a file that only its owner can access. It replaces an existing file as a whole: no reader sees half of it.
pub fn replace_private_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_directory(directory).map_err(Failure::file(directory))?;
    // Temporary files are for their owner only.
    let mut file = NamedTempFile::new_in(directory).map_err(Failure::file(path))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(Failure::file(path))?;
    file.persist(path).map_err(|error| Failure::file(path)(error.error))?;
    Ok(())
}

/// Returns whether others than the owner can read or write a file.
#[cfg(unix)]
#[must_use]
pub fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
#[must_use]
pub fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> Profiles {
        let profile = Profile {
            url: "https://example.com/production".to_owned(),
            token_file: Some("token".into()),
            token_command: None,
            token_environment: None,
        };
        Profiles { default_profile: Some("a".to_owned()), profiles: [("a".to_owned(), profile)].into() }
    }

    #[test]
    fn a_stored_profile_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.toml");
        assert_eq!(Profiles::load(&path).unwrap(), Profiles::default());
        profiles().store(&path).unwrap();
        // Twice: the second replaces the first.
        profiles().store(&path).unwrap();
        assert_eq!(Profiles::load(&path).unwrap(), profiles());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_see_the_file() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/config.toml");
        profiles().store(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        for open in [0o640, 0o604, 0o602, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let failure = Profiles::load(&path).unwrap_err().to_string();
            assert!(failure.contains(&format!("chmod 600 '{}'", path.display())), "{open:o}: {failure}");
        }
    }

    #[test]
    fn a_token_has_one_source() {
        let Profile { url, .. } = profiles().profiles["a"].clone();
        let none = Profile { url, token_file: None, token_command: None, token_environment: None };
        let directory = Path::new("/etc/audit-export");
        assert_eq!(none.token_source(directory), None);
        let file = Profile { token_file: Some("token".into()), ..none.clone() };
        assert_eq!(file.token_source(directory), Some(TokenSource::File("/etc/audit-export/token".into())));
        let both = Profile { token_environment: Some("TOKEN".to_owned()), ..file };
        assert_eq!(both.token_source(directory), None);
        let empty = Profile { token_command: Some(Vec::new()), ..none };
        assert_eq!(empty.token_source(directory), None);
    }

    #[test]
    fn a_misspelled_key_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        replace_private_file(&path, b"[profiles.a]\nurl = \"https://example.com\"\ntoken = \"x\"\n").unwrap();
        let failure = Profiles::load(&path).unwrap_err().to_string();
        assert!(failure.contains("unknown field `token`"), "{failure}");
    }
}
