//! What was found out, for auditors and for programs.

use domain::{
    configuration::ConfigurationId,
    digest::{DigestReference, Gap, Hex32},
    tenant::TenantId,
    time::Timestamp,
};
use serde::Serialize;

use crate::{breaks::Break, place::Place};

/// The most breaks, gaps and names that a report lists; beyond it, it counts.
pub(crate) const MAX_LISTED: usize = 100;

/// What only the caller knows, for the report's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Circumstances {
    /// What was verified, as the person named it.
    pub target: String,
    pub verified_at: Timestamp,
    /// Name and version.
    pub program: String,
}

/// The outcome of one verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub verdict: Verdict,
    /// All that was received before it is there and unchanged; `None` if something is broken. A copy that is outdated is
    /// proven so far.
    pub complete_through: Option<Timestamp>,
    /// Whether that means everything since the first digest of the configuration: nothing is elsewhere, and nothing was
    /// left out.
    pub is_whole: bool,
    /// Whether the caller required it: then an export that is not whole is broken.
    pub whole_required: bool,
    /// Whether the caller required that every file here is proven: then `pending` and `uncovered` ones break it.
    pub proven_required: bool,
    #[serde(flatten)]
    pub circumstances: Circumstances,
    pub tenant_id: Option<TenantId>,
    pub configuration_id: Option<ConfigurationId>,
    /// Where the digests say that the files lie.
    pub place: Option<Place>,
    /// From the oldest proven digest to the newest one.
    pub period: Option<Period>,
    /// Older digests than the one of this time were not looked at, because the caller said so.
    pub since: Option<Timestamp>,
    /// What the caller expected of the newest digests.
    pub expectation: Expectation,
    pub digests: DigestSummary,
    /// The sequences before and between those that are proven here, the oldest first: their digests are in another
    /// place, were removed or are broken. How far a stretch before such a range once reached is not proven.
    pub unproven_digests: Vec<SequenceRange>,
    /// What the proven digests tell, and how much of it was checked.
    pub objects: ObjectSummary,
    /// Received events that are in no object, because their retention had ended or their block was skipped: signed, so
    /// not a break.
    pub gaps: Vec<Gap>,
    pub gap_count: u64,
    /// In the order of their last use, the newest first.
    pub signing_keys: Vec<KeyUse>,
    /// Files received after the period, which a later digest will tell of.
    pub pending: NamedFiles,
    /// Files of times that no proven digest covers, because their digests lie elsewhere or are broken.
    pub uncovered: NamedFiles,
    /// Files that a computer made beside those of a copy on disk, such as `.DS_Store`: no part of the export, and nothing
    /// that a reader of its files reads.
    pub system_files: NamedFiles,
    /// What digests name in other places, because the export's destination was changed. Not checked.
    pub elsewhere: Elsewhere,
    /// The first one decides. Those of the chain come first, from its newest end backwards, then those of the objects,
    /// from the oldest on.
    pub breaks: Vec<Break>,
    pub break_count: u64,
}

impl Report {
    /// Returns how many files are here that no proven digest names, and that a reader may read.
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

/// Breaks that are found before those that come first in the report: their count, and as many as a report lists.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    Complete,
    /// Nothing is wrong with what is here, but the service has exported more since. The files of a copy can't show whether
    /// it was made earlier or its newest digests were removed.
    Outdated,
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// `None`: nothing was expected, and so a cut tail can't show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    /// The chain reaches at least to it.
    pub through: Option<Timestamp>,
    /// The SHA-256 of a digest that is in the chain.
    pub head: Option<Hex32>,
    /// Where the expectation comes from.
    pub source: ExpectationSource,
}

/// The origin of an [`Expectation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExpectationSource {
    /// The person who verifies.
    #[default]
    Caller,
    /// The service's newest export: a copy may be older.
    Service,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestSummary {
    /// Digests whose signature, link and statement are good.
    pub count: u64,
    pub first_sequence: Option<u64>,
    pub last_sequence: Option<u64>,
    /// SHA-256 of the newest proven digest.
    pub head_sha256: Option<Hex32>,
    /// Unbroken stretches of the chain: 1, unless the destination was changed back and forth or something is broken.
    pub stretches: u64,
}

/// Sequences of digests, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SequenceRange {
    pub first_sequence: u64,
    pub last_sequence: u64,
}

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
    /// Objects that are there with the right length and SHA-256.
    pub intact: u64,
    /// Those of them that were inflated, with the right CRC-32, length and number of events.
    pub inflated: u64,
}

/// A key, and the digests that it signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// SHA-256 of the public key's DER.
    pub fingerprint: Hex32,
    pub digests: u64,
    pub first_sequence: u64,
    pub last_sequence: u64,
}

/// A count, and the first names.
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

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// The digests at which the chain goes on in another place, each the newest there.
    pub digests: Vec<DigestReference>,
    pub digest_count: u64,
    pub objects: NamedFiles,
}
