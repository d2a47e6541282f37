//! The state of an import: which batches of a file the service has accepted.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use domain::digest::Hex32;
use serde::{Deserialize, Serialize};

use super::Summary;
use crate::{
    failure::Failure,
    files::{read_private, replace_private},
};

const VERSION: u32 = 1;

const SUFFIX: &str = ".import-state.json";

/// Bytes. The batches after the first gap are at most as many as there are concurrent requests.
const MAX_LENGTH: u64 = 64 * 1_024;

/// The state of the import of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportState {
    version: u32,
    url: String,
    sha256: String,
    /// The most events of a batch, which decides where each batch begins.
    pub batch_size: u64,
    /// All batches up to this number are accepted.
    through: u64,
    /// Accepted batches after that.
    beyond: BTreeSet<u64>,
    /// Events of accepted batches.
    pub accepted: u64,
    pub event_bytes: u64,
}

impl ImportState {
    pub fn new(url: &str, sha256: &[u8; 32], batch_size: u64) -> Self {
        Self {
            version: VERSION,
            url: url.to_owned(),
            sha256: Hex32(*sha256).to_string(),
            batch_size,
            through: 0,
            beyond: BTreeSet::new(),
            accepted: 0,
            event_bytes: 0,
        }
    }

    /// Returns whether the batch is accepted.
    pub fn has(&self, number: u64) -> bool {
        number <= self.through || self.beyond.contains(&number)
    }

    pub fn add(&mut self, number: u64, delivered: &Summary) {
        self.beyond.insert(number);
        while self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
        }
        self.accepted += delivered.accepted;
        self.event_bytes += delivered.event_bytes;
    }
}

/// The file with the state.
#[derive(Debug)]
pub struct StateFile(PathBuf);

impl StateFile {
    /// Returns the state file for a file of events, in `folder` or beside it.
    pub fn of(path: &Path, folder: Option<&Path>) -> Result<Self, Failure> {
        let name = path.file_name().ok_or_else(|| Failure::invalid_file(path, "is not a file"))?;
        let mut name = name.to_owned();
        name.push(SUFFIX);
        Ok(Self(folder.map_or_else(|| path.with_file_name(&name), |folder| folder.join(&name))))
    }

    /// Returns the stored state, if any. It must be of the same file and service as `fresh`.
    pub fn load(&self, fresh: &ImportState) -> Result<Option<ImportState>, Failure> {
        let Some(text) = read_private(&self.0, MAX_LENGTH)? else { return Ok(None) };
        let state = serde_json::from_str(&text).ok().filter(|state: &ImportState| state.version == VERSION);
        let not_ours = "is not a state of this version; remove it to import all of the file";
        let state = state.ok_or_else(|| Failure::invalid_file(&self.0, not_ours))?;
        if state.sha256 != fresh.sha256 {
            let reason =
                "the file has changed since its import began; remove the state to import all of the new content";
            return Err(Failure::invalid_file(&self.0, reason));
        }
        if state.url != fresh.url {
            let reason = format!("the file was imported into another service, {}; use --state-directory", state.url);
            return Err(Failure::invalid_file(&self.0, reason));
        }
        Ok(Some(state))
    }

    pub fn store(&self, state: &ImportState) -> Result<(), Failure> {
        let text = serde_json::to_vec(state).map_err(|error| Failure::invalid_file(&self.0, error))?;
        replace_private(&self.0, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_may_be_accepted_in_any_order() {
        let mut state = ImportState::new("u", &[0; 32], 10);
        let delivered = Summary { accepted: 10, event_bytes: 100, ..Summary::default() };
        for number in [2, 4, 1] {
            state.add(number, &delivered);
        }
        assert_eq!((1..=5).map(|number| state.has(number)).collect::<Vec<_>>(), [true, true, false, true, false]);
        assert_eq!((state.through, state.accepted, state.event_bytes), (2, 30, 300));
        state.add(3, &delivered);
        assert_eq!((state.through, state.beyond.len()), (4, 0));
    }

    #[test]
    fn a_state_is_found_again_and_a_malformed_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::of(&folder.path().join("a.ndjson"), None).unwrap();
        assert!(file.0.ends_with("a.ndjson.import-state.json"));
        let mut state = ImportState::new("u", &[0; 32], 10);
        assert_eq!(file.load(&state).unwrap(), None);
        state.add(7, &Summary { accepted: 3, ..Summary::default() });
        file.store(&state).unwrap();
        assert_eq!(file.load(&ImportState::new("u", &[0; 32], 99)).unwrap(), Some(state));
        for bad in ["", "{}", "[]"] {
            replace_private(&file.0, bad.as_bytes()).unwrap();
            assert_eq!(file.load(&ImportState::new("u", &[0; 32], 99)).unwrap_err().exit_code(), 5);
        }
        assert!(StateFile::of(Path::new("/"), None).is_err());
    }
}
