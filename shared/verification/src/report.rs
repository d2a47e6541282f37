//! The report of a verification, for auditors and for programs.

use domain::{
    configuration::ConfigurationId,
    digest::{DigestReference, Gap, Hex32},
    event_filter::EventFilter,
    tenant::TenantId,
    time::Timestamp,
};
use serde::Serialize;

use crate::{breaks::Break, place::Place};

/// The most breaks, gaps and names that a report lists. It counts the others.
pub(crate) const MAX_LISTED: usize = 100;

/// The circumstances of a verification, which only the caller knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Circumstances {
    /// The verified place, as the caller named it.
    pub target: String,
    pub verified_at: Timestamp,
    /// The name and version of the program.
    pub program: String,
}

/// The report of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    #[serde(rename = "verdict")]
    pub outcome: VerificationOutcome,
    /// Everything received before it is present and unchanged. `None`: something is broken. An outdated copy is proven up to
    /// here.
    pub complete_through: Option<Timestamp>,
    /// True if that covers everything since the first digest of the configuration: nothing is elsewhere, and nothing was left
    /// out.
    pub is_whole: bool,
    /// True if the caller required a whole export, so that any other is broken.
    pub whole_required: bool,
    /// True if the caller required that every file is proven, so that `pending` and `uncovered` ones are breaks.
    pub proven_required: bool,
    #[serde(flatten)]
    pub circumstances: Circumstances,
    pub tenant_id: Option<TenantId>,
    pub configuration_id: Option<ConfigurationId>,
    /// The place that the digests name.
    pub place: Option<Place>,
    pub period: Option<Period>,
    /// The time that the caller gave: digests older than the one of this time were not checked.
    pub since: Option<Timestamp>,
    /// The expectation of the newest digests.
    pub expectation: Expectation,
    pub digests: DigestSummary,
    /// The sequences before and between those that are proven here, the oldest first: their digests are in another place,
    /// were removed or are broken. The original end of a stretch before such a range is not proven.
    pub unproven_digests: Vec<SequenceRange>,
    /// The objects that the proven digests name, and how many of them were checked.
    pub objects: ObjectSummary,
    /// Received events that are in no object, because their retention had ended or their block was skipped. Digests state
    /// them, so they are no breaks.
    pub gaps: Vec<Gap>,
    pub gap_count: u64,
    /// The filters of the proven digests, in the order of their last use, the newest first.
    pub filters: Vec<FilterUse>,
    /// The number of digests with a filter that is not listed.
    pub unlisted_filters: u64,
    /// In the order of their last use, the newest first.
    pub signing_keys: Vec<KeyUse>,
    /// Files received after the period, which a later digest will name.
    pub pending: NamedFiles,
    /// Files of times that no proven digest covers, because their digests are elsewhere or broken.
    pub uncovered: NamedFiles,
    /// Files that the operating system created in a copy on disk, such as `.DS_Store`. They are not part of the export, and
    /// readers of its files don't read them.
    pub system_files: NamedFiles,
    /// Digests and objects in other places, because the export's destination was changed. Not checked.
    pub elsewhere: Elsewhere,
    /// The first one is the main one. Breaks of the chain come first, from the newest digest backwards, then those of the
    /// objects, from the oldest on.
    pub breaks: Vec<Break>,
    pub break_count: u64,
}

impl Report {
    /// Returns the number of files that no proven digest names, and that a reader of the export may read.
    #[must_use]
    pub fn unproven_files(&self) -> u64 {
        self.pending.count.saturating_add(self.uncovered.count)
    }

    pub(crate) fn push(&mut self, broken: Break) {
        self.break_count += 1;
        if self.breaks.len() < MAX_LISTED {
            self.breaks.push(broken);
        }
    }

    pub(crate) fn push_all(&mut self, found: FoundBreaks) {
        let unlisted = found.count.saturating_sub(found.first.len() as u64);
        found.first.into_iter().for_each(|broken| self.push(broken));
        self.break_count += unlisted;
    }
}

/// Breaks that are found before others that precede them in the report: their number, and as many as a report lists.
#[derive(Debug, Default)]
pub(crate) struct FoundBreaks {
    first: Vec<Break>,
    count: u64,
}

impl FoundBreaks {
    pub(crate) fn add(&mut self, broken: Break) {
        self.count += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(broken);
        }
    }
}

/// The outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VerificationOutcome {
    Complete,
    /// The files are complete and unchanged, but the service has exported more. A copy can't show whether it was made earlier
    /// or its newest digests were removed.
    Outdated,
    Broken,
}

/// The period from the oldest proven digest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// The expected end of the chain. Without any expectation, digests that are missing at the end can't show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// The time that the chain has to reach.
    pub through: Option<Timestamp>,
    /// The SHA-256 of a digest that the chain has to contain.
    pub head: Option<Hex32>,
    pub source: ExpectationSource,
}

/// The origin of an [`Expectation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExpectationSource {
    /// The person who verifies.
    #[default]
    Caller,
    /// The service's newest export. A copy may be older.
    Service,
}

/// The sums of the proven digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestSummary {
    /// Digests whose signature, link and statement are valid.
    pub count: u64,
    pub first_sequence: Option<u64>,
    pub last_sequence: Option<u64>,
    /// SHA-256 of the newest proven digest.
    pub head_sha256: Option<Hex32>,
    /// Received events that are in no object because they do not pass the filter of their digest. Digests state them, so they
    /// are no breaks.
    pub left_out: u64,
    /// The number of parts of the chain that are linked in themselves: 1, unless the destination was changed back and forth
    /// or something is broken.
    pub stretches: u64,
}

/// A range of digests by their sequences, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SequenceRange {
    pub first_sequence: u64,
    pub last_sequence: u64,
}

/// The sums of the objects that the proven digests name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSummary {
    pub count: u64,
    pub events: u64,
    /// Bytes of NDJSON.
    pub raw_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// The earliest `eventTimestamp`.
    pub oldest_event: Option<Timestamp>,
    /// The latest `eventTimestamp`.
    pub newest_event: Option<Timestamp>,
    /// Objects with the right length and SHA-256.
    pub intact: u64,
    /// Intact objects that were also inflated, with the right CRC-32, length and number of events.
    pub inflated: u64,
}

/// A signing key, and the digests that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// SHA-256 of the public key's DER.
    pub fingerprint: Hex32,
    pub digests: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
}

/// A filter, and the digests of the windows that it was applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterUse {
    pub filter: EventFilter,
    /// SHA-256 of the filter's canonical text.
    pub sha256: Hex32,
    pub digests: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Received events that it left out.
    pub left_out: u64,
}

/// The number of some files, and the first names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedFiles {
    pub count: u64,
    pub names: Vec<String>,
}

impl NamedFiles {
    pub(crate) fn add(&mut self, name: String) {
        self.count += 1;
        if self.names.len() < MAX_LISTED {
            self.names.push(name);
        }
    }
}

/// Digests and objects in other places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// The digests with which the chain continues in another place, each the newest there.
    pub digests: Vec<DigestReference>,
    pub digest_count: u64,
    pub objects: NamedFiles,
}
