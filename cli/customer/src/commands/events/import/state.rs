//! The state of an import: which batches of a file the service has accepted for a tenant.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use domain::{digest::Hex32, tenant::TenantId};
use serde::{Deserialize, Serialize};

use super::{Summary, fingerprint::Fingerprint, refusal::ImportRefusal};
use crate::{
    failure::Failure,
    files::{parent, read_private, replace_private},
};

const VERSION: u32 = 3;

const SUFFIX: &str = ".import-state.json";

/// Hexadecimal digits that tell files of the same name in one state directory apart.
const PLACE_DIGITS: usize = 16;

/// Bytes. The ranges after the first gap are at most as many as there are concurrent requests: each gap is a request that has
/// not ended. They have a tenth of that.
const MAX_LENGTH: u64 = 64 * 1_024;

/// The state of the import of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportState {
    version: u32,
    url: String,
    tenant: TenantId,
    /// The length and the SHA-256 of the file.
    length: u64,
    sha256: String,
    /// The most events of a batch, which decides where each batch begins.
    pub batch_size: u64,
    /// All batches up to this number are accepted.
    through: u64,
    /// The ranges of accepted batches after that: the first number of each, and its last one.
    beyond: BTreeMap<u64, u64>,
    /// Events of accepted batches.
    pub accepted: u64,
    pub event_bytes: u64,
}

impl ImportState {
    pub fn new(url: &str, tenant: TenantId, file: &Fingerprint, batch_size: u64) -> Self {
        Self {
            version: VERSION,
            url: url.to_owned(),
            tenant,
            length: file.length,
            sha256: Hex32(file.sha256).to_string(),
            batch_size,
            through: 0,
            beyond: BTreeMap::new(),
            accepted: 0,
            event_bytes: 0,
        }
    }

    /// Returns whether the batch is accepted.
    pub fn has(&self, number: u64) -> bool {
        let before = self.beyond.range(..=number).next_back();
        number <= self.through || before.is_some_and(|(_, last)| number <= *last)
    }

    pub fn add(&mut self, number: u64, delivered: &Summary) {
        let before = self.beyond.range(..number).next_back();
        let first = before.filter(|(_, last)| **last == number - 1).map_or(number, |(first, _)| *first);
        let last = self.beyond.remove(&(number + 1)).unwrap_or(number);
        self.beyond.insert(first, last);
        if let Some(last) = self.beyond.remove(&(self.through + 1)) {
            self.through = last;
        }
        self.accepted += delivered.accepted;
        self.event_bytes += delivered.event_bytes;
    }

    /// Returns why this is not the state of the import of `path` that `fresh` begins.
    fn difference(&self, path: &Path, fresh: &Self) -> Result<Option<ImportRefusal>, Failure> {
        if self.url != fresh.url {
            return Ok(Some(ImportRefusal::OtherService));
        }
        if self.tenant != fresh.tenant {
            return Ok(Some(ImportRefusal::OtherTenant));
        }
        if (self.length, &self.sha256) == (fresh.length, &fresh.sha256) {
            return Ok(None);
        }
        let beginning = Fingerprint::of_beginning(path, self.length).map_err(Failure::file(path))?;
        let has_grown = Hex32(beginning.sha256).to_string() == self.sha256;
        Ok(Some(if has_grown { ImportRefusal::FileGrew } else { ImportRefusal::FileChanged }))
    }
}

/// The file with the state.
#[derive(Debug, PartialEq, Eq)]
pub struct StateFile(PathBuf);

impl StateFile {
    /// Returns the state file for a file of events: beside it, or in `folder`, where files of other folders have theirs too.
    pub fn of(path: &Path, folder: Option<&Path>) -> Result<Self, Failure> {
        let mut name = path.file_name().ok_or_else(|| Failure::invalid_file(path, "is not a file"))?.to_owned();
        let Some(folder) = folder else {
            let beside = parent(path);
            name.push(SUFFIX);
            return Ok(Self(fs::canonicalize(beside).map_err(Failure::file(beside))?.join(name)));
        };
        let place = fs::canonicalize(path).map_err(Failure::file(path))?;
        let place = Hex32::sha256_of(place.as_os_str().as_encoded_bytes()).to_string();
        name.push(format!(".{}{SUFFIX}", &place[..PLACE_DIGITS]));
        Ok(Self(folder.join(name)))
    }

    /// Returns the stored state of the import of `path`, if any.
    ///
    /// # Errors
    /// The [`ImportRefusal`] if it belongs to another content, service or tenant than `fresh`.
    pub fn load(&self, path: &Path, fresh: &ImportState) -> Result<Option<ImportState>, Failure> {
        let Some(text) = read_private(&self.0, MAX_LENGTH)? else { return Ok(None) };
        let state = serde_json::from_str(&text).ok().filter(|state: &ImportState| state.version == VERSION);
        let not_ours = "is not a state of this version; remove it to import all of the file";
        let state = state.ok_or_else(|| Failure::invalid_file(&self.0, not_ours))?;
        match state.difference(path, fresh)? {
            None => Ok(Some(state)),
            Some(refusal) => Err(Failure::invalid_file(path, format!("{refusal}\n  State: {}", self.0.display()))),
        }
    }

    pub fn store(&self, state: &ImportState) -> Result<(), Failure> {
        let text = serde_json::to_vec(state).map_err(|error| Failure::invalid_file(&self.0, error))?;
        replace_private(&self.0, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::events::delivery::MAX_CONCURRENCY;

    fn fresh(path: &Path, batch_size: u64) -> ImportState {
        ImportState::new("u", TenantId::parse("acme").unwrap(), &Fingerprint::of(path).unwrap(), batch_size)
    }

    #[test]
    fn batches_may_be_accepted_in_any_order() {
        let mut state = fresh(Path::new("/dev/null"), 10);
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
    fn a_state_stays_small_while_requests_do_not_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "abc").unwrap();
        let file = StateFile::of(&path, None).unwrap();
        let mut state = fresh(&path, 10);
        // One of 1,000 requests hangs, up to the most concurrent ones.
        let hanging = |number: u64| number % 1_000 == 1;
        let numbers = || 1..=MAX_CONCURRENCY * 1_000;
        for number in numbers().filter(|number| !hanging(*number)) {
            state.add(number, &Summary::default());
        }
        file.store(&state).unwrap();
        assert!(fs::metadata(&file.0).unwrap().len() < MAX_LENGTH / 10);
        let mut state = file.load(&path, &fresh(&path, 10)).unwrap().unwrap();
        assert!(numbers().all(|number| state.has(number) != hanging(number)));
        for number in numbers().filter(|number| hanging(*number)) {
            state.add(number, &Summary::default());
        }
        assert_eq!((state.through, state.beyond.len()), (MAX_CONCURRENCY * 1_000, 0));
    }

    #[test]
    fn a_state_is_found_again_and_a_malformed_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "abc").unwrap();
        let file = StateFile::of(&path, None).unwrap();
        assert!(file.0.ends_with("a.ndjson.import-state.json"));
        let mut state = fresh(&path, 10);
        assert_eq!(file.load(&path, &state).unwrap(), None);
        state.add(7, &Summary { accepted: 3, ..Summary::default() });
        file.store(&state).unwrap();
        assert_eq!(file.load(&path, &fresh(&path, 99)).unwrap(), Some(state));
        for bad in ["", "{}", "[]"] {
            replace_private(&file.0, bad.as_bytes()).unwrap();
            assert_eq!(file.load(&path, &fresh(&path, 99)).unwrap_err().exit_code(), 5);
        }
        assert!(StateFile::of(Path::new("/"), None).is_err());
    }

    #[test]
    fn files_of_one_name_have_a_state_each() {
        let folder = tempfile::tempdir().unwrap();
        let states = folder.path().join("states");
        let [left, right] = ["left", "right"].map(|name| folder.path().join(name).join("a.ndjson"));
        for path in [&left, &right] {
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, "abc").unwrap();
        }
        let of = |path: &Path| StateFile::of(path, Some(&states)).unwrap();
        assert_ne!(of(&left), of(&right));
        assert_eq!(of(&left), of(&folder.path().join("right/../left/a.ndjson")), "one file has one state");
        assert_eq!(of(&left).0.parent(), Some(states.as_path()));
    }

    #[test]
    fn a_state_is_of_one_content_service_and_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson");
        fs::write(&path, "abc").unwrap();
        let file = StateFile::of(&path, None).unwrap();
        file.store(&fresh(&path, 10)).unwrap();
        let refused = |state: &ImportState| file.load(&path, state).unwrap_err().to_string();
        let other = TenantId::parse("other").unwrap();
        let expected = [
            (ImportState { url: "v".to_owned(), ..fresh(&path, 10) }, "IMPORT_OTHER_SERVICE"),
            (ImportState { tenant: other, ..fresh(&path, 10) }, "IMPORT_OTHER_TENANT"),
        ];
        for (state, code) in expected {
            assert!(refused(&state).starts_with(&format!("{}: {code}: ", path.display())), "{}", refused(&state));
        }
        for (content, code) in
            [("abcd", "IMPORT_FILE_GREW"), ("abd", "IMPORT_FILE_CHANGED"), ("ab", "IMPORT_FILE_CHANGED")]
        {
            fs::write(&path, content).unwrap();
            let refused = refused(&fresh(&path, 10));
            assert!(refused.contains(&format!(": {code}: ")), "{content}: {refused}");
            assert!(refused.ends_with("a.ndjson.import-state.json"), "{refused}");
        }
    }
}
