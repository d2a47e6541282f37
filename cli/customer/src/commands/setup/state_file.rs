//! The file with the state of an interrupted setup, beside the profiles. Only its owner can read it; it has no secrets.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::wizard::State;
use crate::{
    failure::Failure,
    files::{read_private, replace_private},
};

/// Bytes. A file with all answers at their longest has a tenth of that.
const MAX_LENGTH: u64 = 64 * 1_024;

/// Returns the path beside the file of the profiles.
pub fn path(profiles: &Path) -> PathBuf {
    profiles.with_extension("setup.json")
}

pub fn load(path: &Path) -> Result<Option<State>, Failure> {
    let Some(text) = read_private(path, MAX_LENGTH)? else { return Ok(None) };
    let state = serde_json::from_str(&text).ok().filter(State::is_valid);
    let not_ours = || Failure::invalid_file(path, "is not a setup of this version; start over with --restart");
    state.map(Some).ok_or_else(not_ours)
}

pub fn store(path: &Path, state: &State) -> Result<(), Failure> {
    let text = serde_json::to_vec_pretty(state).map_err(|error| Failure::invalid_file(path, error))?;
    replace_private(path, &text)
}

/// Removes the file if it exists.
pub fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::file(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::is_open_to_others;

    #[test]
    fn a_state_is_found_again_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory.path().join("config.toml"));
        assert_eq!(load(&path).unwrap(), None);
        let state = State::new("https://example.com".to_owned(), Some("acme".to_owned()), "key".to_owned());
        store(&path, &state).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state));
        assert!(!is_open_to_others(&fs::metadata(&path).unwrap()));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(load(&path).unwrap(), None);
    }

    #[test]
    fn a_malformed_state_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory.path().join("config.toml"));
        let state = |answers: &str, phase: &str| {
            format!(r#"{{"url":"u","idempotencyKey":"k","kind":null,"answers":{answers},"phase":{phase}}}"#)
        };
        let asking = r#"{"name":"asking"}"#;
        replace_private(&path, state("{}", asking).as_bytes()).unwrap();
        assert!(load(&path).unwrap().is_some());
        for bad in [
            "",
            "{}",
            &state(r#"{"secretAccessKey":"x"}"#, asking),
            &state(r#"{"color":"x"}"#, asking),
            &state("{}", r#"{"name":"created","id":"../x"}"#),
        ] {
            replace_private(&path, bad.as_bytes()).unwrap();
            assert_eq!(load(&path).unwrap_err().exit_code(), 5, "{bad}");
        }
    }
}
