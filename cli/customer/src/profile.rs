//! The file of the profiles, each with a service and the source of its token.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    files::{read_private, replace_private},
};

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

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
pub fn path() -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = variable(FILE_VARIABLE) {
        return Ok(path);
    }
    // The specification ignores relative paths: <https://specifications.freedesktop.org/basedir-spec/latest/>.
    let directory = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let directory = directory.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    directory.map(|directory| directory.join("audit-export").join("config.toml")).ok_or_else(|| {
        let reason = "there is no home directory: set this environment variable to the path of the profiles' file";
        Failure::argument(FILE_VARIABLE, reason)
    })
}

impl Profiles {
    /// Loads the profiles; a missing file has none. The file must be private, because whoever can change it chooses the host
    /// that gets the token, and the program to run.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let Some(text) = read_private(path, MAX_FILE_LENGTH)? else { return Ok(Self::default()) };
        toml::from_str(&text).map_err(|error| Failure::invalid_file(path, error.to_string().trim_end()))
    }

    pub fn store(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| Failure::invalid_file(path, error))?;
        replace_private(path, text.as_bytes())
    }

    /// Returns the profile `name`, which the argument `what` gives.
    pub fn get(&self, name: &str, what: &'static str, path: &Path) -> Result<&Profile, Failure> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::argument(
                what,
                format!("there is no profile {name} in {}; known profiles: {known}", path.display()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with_file() -> Profile {
        let url = "https://example.com/v1".to_owned();
        Profile { url, token_file: Some("token".into()), ..Profile::default() }
    }

    fn profiles() -> Profiles {
        Profiles { default_profile: Some("a".to_owned()), profiles: [("a".to_owned(), with_file())].into() }
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
        let file = TokenSource::File("/etc/audit-export/token".into());
        for (profile, expected) in [
            (Profile::default(), None),
            (with_file(), Some(file)),
            (Profile { token_environment: Some("TOKEN".to_owned()), ..with_file() }, None),
            (Profile { token_command: Some(Vec::new()), ..Profile::default() }, None),
        ] {
            assert_eq!(profile.token_source(Path::new("/etc/audit-export")), expected, "{profile:?}");
        }
    }

    #[test]
    fn a_misspelled_key_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        replace_private(&path, b"[profiles.a]\nurl = \"https://example.com\"\ntoken = \"x\"\n").unwrap();
        let failure = Profiles::load(&path).unwrap_err().to_string();
        assert!(failure.contains("unknown field `token`"), "{failure}");
    }
}
