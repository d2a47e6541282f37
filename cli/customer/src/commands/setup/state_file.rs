//! Where an interrupted setup is kept: beside the profiles, for its owner alone, and without any secret.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::wizard::State;
use crate::{
    failure::Failure,
    profile::{is_open_to_others, replace_private_file},
};

/// Bytes. With every answer at its longest it has a tenth of it.
const MAX_LENGTH: u64 = 64 * 1_024;

/// The file beside the profiles at `profiles`.
pub fn path(profiles: &Path) -> PathBuf {
    profiles.with_extension("setup.json")
}

/// # Errors
/// It can't be read, others may read it, or it is no state of a setup.
pub fn load(path: &Path) -> Result<Option<State>, Failure> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(path)(error)),
    };
    let invalid = |reason: String| Failure::InvalidFile { path: path.to_owned(), reason };
    if is_open_to_others(&metadata) {
        return Err(invalid(format!("others can read or change it; run: chmod 600 '{}'", path.display())));
    }
    let not_ours = || invalid("holds no setup of this version; begin anew with --restart".to_owned());
    if metadata.len() > MAX_LENGTH {
        return Err(not_ours());
    }
    let text = fs::read_to_string(path).map_err(Failure::file(path))?;
    let state: State = serde_json::from_str(&text).map_err(|_| not_ours())?;
    if state.is_valid() { Ok(Some(state)) } else { Err(not_ours()) }
}

pub fn store(path: &Path, state: &State) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(state)
        .map_err(|error| Failure::InvalidFile { path: path.to_owned(), reason: error.to_string() })?;
    replace_private_file(path, &text)
}

/// What isn't there is removed already.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::TemporaryDirectory;

    #[test]
    fn a_state_is_found_again_and_is_for_its_owner_alone() {
        let directory = TemporaryDirectory::new();
        let path = path(&directory.0.join("config.toml"));
        assert_eq!(load(&path).unwrap(), None);
        let state = State::new("https://example.com".to_owned(), "key".to_owned());
        store(&path, &state).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state));
        assert!(!is_open_to_others(&fs::metadata(&path).unwrap()));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(load(&path).unwrap(), None);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let directory = TemporaryDirectory::new();
        let path = path(&directory.0.join("config.toml"));
        let state = |answers: &str, phase: &str| {
            format!(r#"{{"url":"u","idempotencyKey":"k","kind":null,"answers":{answers},"phase":{phase}}}"#)
        };
        let asking = r#"{"name":"asking"}"#;
        replace_private_file(&path, state("{}", asking).as_bytes()).unwrap();
        assert!(load(&path).unwrap().is_some());
        for bad in [
            "",
            "{}",
            &state(r#"{"secretAccessKey":"x"}"#, asking),
            &state(r#"{"color":"x"}"#, asking),
            &state("{}", r#"{"name":"created","id":"../x"}"#),
        ] {
            replace_private_file(&path, bad.as_bytes()).unwrap();
            assert_eq!(load(&path).unwrap_err().exit_code(), 5, "{bad}");
        }
    }
}
