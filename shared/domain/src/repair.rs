//! Repairs: putting objects and digests of completed windows into the bucket again, byte for byte.
//!
//! A repair walks over the digests of a range. The SHA-256 of each signed digest proves the bytes that are put. What can't be
//! put is named with a reason.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::{
    configuration::{
        ConfigurationId, ConfigurationKey, Destination,
        bucket::BucketName,
        field,
        field_error::{FieldError, FieldErrorCode},
    },
    connection::ConnectionError,
    named::named,
    object_key,
    time::Timestamp,
};

/// The most files of a repair that are named because they could not be repaired. The others are only counted.
pub const MAX_NAMED_FILES: usize = 100;

/// The time without progress after which a repair counts as abandoned, and another one may replace it: longer than the queue
/// takes to deliver its message for the last time.
pub const REPAIR_ABANDONED_AFTER: Duration = Duration::from_hours(5);

/// The ID of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepairId(uuid::Uuid);

impl RepairId {
    /// Makes a random UUID (version 4) of 128 random bits.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
    }
}

impl fmt::Display for RepairId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// A request to start or continue a repair, in the queue of manual runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairRequest {
    #[serde(flatten)]
    pub key: ConfigurationKey,
    pub repair_id: RepairId,
}

/// The body of a message that has a [`RepairRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairMessage {
    pub repair: RepairRequest,
}

/// The times of receipt whose windows are repaired: every completed window that overlaps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRange {
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

impl RepairRange {
    /// Checks a range that a person requested at `now`. It may be of any length: a repair visits only windows whose digests
    /// are stored.
    ///
    /// # Errors
    /// The field to change.
    pub fn parse(from: Timestamp, to: Timestamp, now: Timestamp) -> Result<Self, FieldError> {
        let refuse = |field, message: &str| {
            Err(FieldError { field, code: FieldErrorCode::RangeInvalid, message: message.to_owned() })
        };
        if to <= from {
            return refuse(field::TO, "Give a time for to that is later than from.");
        }
        if from >= now {
            return refuse(field::FROM, "Give a time for from that is in the past.");
        }
        Ok(Self { from, to })
    }
}

/// The files that a repair writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RepairMode {
    /// Those that are missing: each write is conditional.
    Missing,
    /// All of the range: each write replaces what is there.
    Overwrite,
}

/// The state of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RepairStatus {
    /// Its message is in the queue.
    Pending,
    Running,
    /// Everything of the range is in the bucket.
    Succeeded,
    /// Some files can't be repaired; all others are in the bucket.
    Incomplete,
    /// The customer has to change something before it can be repeated.
    Failed,
    /// Without progress for [`REPAIR_ABANDONED_AFTER`]: its message seems to be lost. Never stored: see [`Repair::seen_at`].
    Abandoned,
}

named!(RepairStatus);

impl RepairStatus {
    #[must_use]
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// The reason why a file can't be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum UnrepairedReason {
    /// Its events are past their retention, and deleted.
    PastRetention,
    /// The digest of its window is past the history, and deleted.
    HistoryExpired,
    /// It is in a bucket, or under a path, that the export was configured for before.
    OtherDestination,
    /// The stored events no longer make the bytes that were signed.
    ContentChanged,
}

named!(UnrepairedReason);

/// A bucket and a key in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePlace {
    pub bucket: BucketName,
    pub key: String,
}

impl FilePlace {
    /// Returns whether an export to `destination` may write there.
    #[must_use]
    pub fn is_within(&self, destination: &Destination, id: ConfigurationId) -> bool {
        let prefixes =
            [object_key::export_prefix(destination, id)].into_iter().chain(object_key::lake_prefix(destination));
        let mut names = prefixes.filter_map(|prefix| self.key.strip_prefix(&prefix));
        self.bucket == destination.bucket_name && names.any(|name| name.starts_with('/'))
    }
}

/// A file that can't be repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnrepairedFile {
    /// The sequence of its window.
    pub sequence: u64,
    /// `None`: the digest of the window is gone, and with it the names of its files; those of earlier windows of the range may
    /// be gone too.
    pub place: Option<FilePlace>,
    pub reason: UnrepairedReason,
}

/// The outcome of repairing one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOutcome {
    /// It was written.
    Repaired,
    /// A file was there, and was left as it is.
    Present,
    Unrepaired(UnrepairedReason),
}

/// The place where a repair continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairPosition {
    /// The sequence of the window. `None`: the first window of the range is not known yet.
    pub sequence: Option<u64>,
    /// The number of the window's files that are done.
    pub files: u64,
}

/// The numbers of files, digests and signatures included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairCounts {
    pub checked: u64,
    pub repaired: u64,
    pub present: u64,
    pub unrepaired: u64,
}

/// A repair that a person requested, with its progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repair {
    pub id: RepairId,
    #[serde(flatten)]
    pub range: RepairRange,
    pub mode: RepairMode,
    pub requested_by: String,
    pub requested_at: Timestamp,
    /// Raised with every change. A change of an earlier revision is refused.
    pub revision: u64,
    /// The time of the last progress.
    pub updated_at: Timestamp,
    pub status: RepairStatus,
    /// The reason, if the status is [`RepairStatus::Failed`].
    pub failure: Option<ConnectionError>,
    pub position: RepairPosition,
    pub counts: RepairCounts,
    /// The first [`MAX_NAMED_FILES`] that can't be repaired.
    pub unrepaired: Vec<UnrepairedFile>,
}

impl Repair {
    /// Returns a repair whose message is not sent yet.
    #[must_use]
    pub fn requested(id: RepairId, range: RepairRange, mode: RepairMode, by: &str, now: Timestamp) -> Self {
        Self {
            id,
            range,
            mode,
            requested_by: by.to_owned(),
            requested_at: now,
            revision: 0,
            updated_at: now,
            status: RepairStatus::Pending,
            failure: None,
            position: RepairPosition::default(),
            counts: RepairCounts::default(),
            unrepaired: Vec::new(),
        }
    }

    /// Returns the time after which another repair may replace this one, because its message seems to be lost. `None`: it has
    /// ended, and may be replaced.
    #[must_use]
    pub fn unfinished_until(&self) -> Option<Timestamp> {
        (!self.status.is_ended()).then(|| self.updated_at.saturating_add(REPAIR_ABANDONED_AFTER))
    }

    #[must_use]
    pub fn is_replaceable(&self, now: Timestamp) -> bool {
        self.unfinished_until().is_none_or(|until| until < now)
    }

    /// Returns the repair as a person sees it.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        let is_abandoned = !self.status.is_ended() && self.is_replaceable(now);
        if is_abandoned { Self { status: RepairStatus::Abandoned, ..self } } else { self }
    }

    /// Notes the outcome of a file of this window.
    pub fn count(&mut self, sequence: u64, place: Option<FilePlace>, outcome: FileOutcome) {
        self.counts.checked += 1;
        match outcome {
            FileOutcome::Repaired => self.counts.repaired += 1,
            FileOutcome::Present => self.counts.present += 1,
            FileOutcome::Unrepaired(reason) => {
                self.counts.unrepaired += 1;
                if self.unrepaired.len() < MAX_NAMED_FILES {
                    self.unrepaired.push(UnrepairedFile { sequence, place, reason });
                }
            }
        }
    }

    /// Ends the repair after the last file.
    pub fn end(&mut self) {
        self.status = if self.counts.unrepaired == 0 { RepairStatus::Succeeded } else { RepairStatus::Incomplete };
    }

    /// Ends the repair with a failure that the customer can fix.
    pub fn fail(&mut self, failure: ConnectionError) {
        self.status = RepairStatus::Failed;
        self.failure = Some(failure);
    }

    /// Returns the next revision, to be stored.
    #[must_use]
    pub fn advanced(&self, now: Timestamp) -> Self {
        Self { revision: self.revision.saturating_add(1), updated_at: now, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Layout, bucket::BucketPath, test_support::with_role};

    const HOUR: Duration = Duration::from_hours(1);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn repair() -> Repair {
        let range = RepairRange { from: at("2026-11-20T00:00:00Z"), to: at("2026-11-21T00:00:00Z") };
        let now = at("2026-11-22T00:00:00Z");
        Repair::requested(RepairId::from_random(7), range, RepairMode::Missing, "user-1", now)
    }

    #[test]
    fn a_range_begins_in_the_past() {
        let (from, to) = (at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z"));
        let parse = |from, to| RepairRange::parse(from, to, at("2026-11-22T00:00:00Z"));
        assert_eq!(parse(from, to), Ok(RepairRange { from, to }));
        // A window may end in the future of the caller's clock.
        assert!(parse(to, at("2026-11-22T00:30:00Z")).is_ok());
        assert!(parse(at("2016-11-20T00:00:00Z"), to).is_ok());
        for (from, to, field) in
            [(from, from, "to"), (to, from, "to"), (at("2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z"), "from")]
        {
            let error = parse(from, to).unwrap_err();
            assert_eq!((error.field, error.code), (field, FieldErrorCode::RangeInvalid), "{from} {to}");
            assert!(error.message.ends_with('.'), "{}", error.message);
        }
    }

    #[test]
    fn a_repair_writes_only_where_its_export_writes() {
        let configuration = with_role();
        let (destination, id) = (&configuration.destination, configuration.key.configuration_id);
        let place = |key: String| FilePlace { bucket: destination.bucket_name.clone(), key };
        let prefix = object_key::export_prefix(destination, id);
        assert!(place(format!("{prefix}/date=2026-11-20/a")).is_within(destination, id));
        let in_lake = Destination { layout: Layout::SecurityLake, ..destination.clone() };
        let lake = object_key::lake_prefix(&in_lake).unwrap();
        assert!(place(format!("{lake}/eventDay=20261120/a")).is_within(&in_lake, id));
        assert!(!place(format!("{lake}/eventDay=20261120/a")).is_within(destination, id));
        let elsewhere = FilePlace { bucket: BucketName::parse("another-bucket").unwrap(), key: format!("{prefix}/a") };
        let moved = Destination { bucket_path: BucketPath::parse("elsewhere").ok(), ..destination.clone() };
        for (place, destination) in [
            (elsewhere, destination),
            (place(format!("{prefix}/a")), &moved),
            (place(format!("{prefix}-2/a")), destination),
            (place(prefix), destination),
        ] {
            assert!(!place.is_within(destination, id), "{place:?}");
        }
    }

    #[test]
    fn a_repair_succeeds_only_if_nothing_is_left() {
        let mut repair = repair();
        repair.count(1, None, FileOutcome::Repaired);
        repair.count(1, None, FileOutcome::Present);
        repair.end();
        assert_eq!(repair.status, RepairStatus::Succeeded);
        for number in 0..=MAX_NAMED_FILES as u64 {
            repair.count(number, None, FileOutcome::Unrepaired(UnrepairedReason::HistoryExpired));
        }
        repair.end();
        assert_eq!(repair.status, RepairStatus::Incomplete);
        assert_eq!(repair.unrepaired.len(), MAX_NAMED_FILES);
        let RepairCounts { checked, repaired, present, unrepaired } = repair.counts;
        assert_eq!((checked, repaired, present, unrepaired), (103, 1, 1, 101));
    }

    #[test]
    fn an_unfinished_repair_is_replaced_only_after_it_stood_still() {
        let mut repair = repair();
        let later = repair.updated_at.saturating_add(REPAIR_ABANDONED_AFTER);
        assert!(!repair.is_replaceable(later));
        assert!(repair.is_replaceable(later.saturating_add(Duration::from_millis(1))));
        assert_eq!(repair.clone().seen_at(later), repair);
        let seen = repair.clone().seen_at(later.saturating_add(Duration::from_millis(1)));
        assert_eq!(seen.status, RepairStatus::Abandoned);
        let advanced = repair.advanced(later);
        assert_eq!((advanced.revision, advanced.is_replaceable(later.saturating_add(HOUR))), (1, false));
        repair.end();
        assert!(repair.is_replaceable(repair.updated_at));
        assert_eq!(repair.clone().seen_at(later.saturating_add(HOUR)), repair);
    }

    #[test]
    fn the_stored_forms_are_pinned() {
        let message = RepairMessage { repair: RepairRequest { key: with_role().key, repair_id: repair().id } };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            format!(
                r#"{{"repair":{{"tenantId":"acme","configurationId":"{}","repairId":"00000000-0000-4000-8000-000000000007"}}}}"#,
                message.repair.key.configuration_id
            )
        );
        let mut repair = repair();
        let place = FilePlace { bucket: BucketName::parse("acme-audit").unwrap(), key: "a".to_owned() };
        repair.count(3, Some(place), FileOutcome::Unrepaired(UnrepairedReason::PastRetention));
        let stored = serde_json::to_string(&repair).unwrap();
        assert_eq!(
            stored,
            r#"{"id":"00000000-0000-4000-8000-000000000007","from":"2026-11-20T00:00:00.000Z","to":"2026-11-21T00:00:00.000Z","mode":"MISSING","requestedBy":"user-1","requestedAt":"2026-11-22T00:00:00.000Z","revision":0,"updatedAt":"2026-11-22T00:00:00.000Z","status":"PENDING","failure":null,"position":{"sequence":null,"files":0},"counts":{"checked":1,"repaired":0,"present":0,"unrepaired":1},"unrepaired":[{"sequence":3,"place":{"bucket":"acme-audit","key":"a"},"reason":"PAST_RETENTION"}]}"#
        );
        assert_eq!(serde_json::from_str::<Repair>(&stored).unwrap(), repair);
    }
}
