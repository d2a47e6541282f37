//! The erasure of a tenant by an operator: the notes during the erasure, and the signed statement at its end.

use std::{fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

use crate::{
    configuration::ConfigurationId, digest::Hex32, operator_reason::OperatorReason, tenant::TenantId, time::Timestamp,
};

/// The version of an [`ErasureStatement`].
/// Version 2 has the count of segments.
pub const STATEMENT_VERSION: u32 = 2;

/// The most configurations that a statement lists. With at most 220 bytes each, they fit twice into one item of the runs table
/// (400 KB): in the notes, and in the statement. Further ones are only counted.
pub const MAX_LISTED_CONFIGURATIONS: usize = 750;
const _: () = assert!(MAX_LISTED_CONFIGURATIONS * 220 * 2 < 400_000 - 8 * 1024, "a statement would not fit");

/// The position at which the next invocation continues an erasure. It is a part of the notes, so that no other invocation can
/// move it. Steps before it are repeated, and find nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ErasurePosition {
    /// At the beginning.
    #[default]
    Configurations,
    /// In the scan of the runs table, after this item of any tenant.
    Runs { run: String, item: String },
    /// After the end of the scan, in the events table.
    Events,
}

/// The error of a text that is not an [`ErasurePosition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the position of an erasure must be \"configurations\", \"runs <run> <item>\" or \"events\"")]
pub struct InvalidPosition;

impl fmt::Display for ErasurePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configurations => formatter.write_str("configurations"),
            // Neither part contains a space.
            Self::Runs { run, item } => write!(formatter, "runs {run} {item}"),
            Self::Events => formatter.write_str("events"),
        }
    }
}

impl TryFrom<String> for ErasurePosition {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts: Vec<&str> = text.split(' ').collect();
        match parts[..] {
            ["configurations"] => Ok(Self::Configurations),
            ["events"] => Ok(Self::Events),
            ["runs", run, item] if !run.is_empty() && !item.is_empty() => {
                Ok(Self::Runs { run: run.to_owned(), item: item.to_owned() })
            }
            _ => Err(InvalidPosition),
        }
    }
}

impl From<ErasurePosition> for String {
    fn from(position: ErasurePosition) -> Self {
        position.to_string()
    }
}

/// The numbers of deleted items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErasureCounts {
    pub configurations: u64,
    /// Other items of the configurations table: records of idempotency keys, counts, tombstones.
    pub configuration_records: u64,
    /// All items of the runs table: cursors, intents, digests, records of windows, shares, corrupt blocks.
    pub run_records: u64,
    pub blocks: u64,
    /// Other items of the events table: records of idempotency keys, counts of bytes, items of segments.
    pub event_records: u64,
    /// Versions of the archive's segments. Older notes have none.
    #[serde(default)]
    pub segments: u64,
}

impl AddAssign for ErasureCounts {
    fn add_assign(&mut self, other: Self) {
        self.configurations += other.configurations;
        self.configuration_records += other.configuration_records;
        self.run_records += other.run_records;
        self.blocks += other.blocks;
        self.event_records += other.event_records;
        self.segments += other.segments;
    }
}

/// The progress of the export of an erased configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErasedConfiguration {
    pub configuration_id: ConfigurationId,
    /// Everything received before it is delivered. `None`: not known, or no run has ended.
    pub exported_through: Option<Timestamp>,
    /// The SHA-256 of the newest digest, from which the chain in the bucket can be followed back. `None`: not known, or there is
    /// no digest.
    pub head_digest: Option<Hex32>,
}

/// The notes of an erasure, from its first invocation on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    pub tenant_id: TenantId,
    pub reason: OperatorReason,
    pub started_at: Timestamp,
    pub counts: ErasureCounts,
    configurations: Vec<ErasedConfiguration>,
    /// The number of configurations beyond [`MAX_LISTED_CONFIGURATIONS`].
    unlisted_configurations: u64,
    /// Older notes have no position, and begin again.
    #[serde(default)]
    pub position: ErasurePosition,
}

impl Erasure {
    #[must_use]
    pub fn new(tenant_id: TenantId, reason: OperatorReason, started_at: Timestamp) -> Self {
        Self {
            tenant_id,
            reason,
            started_at,
            counts: ErasureCounts::default(),
            configurations: Vec::new(),
            unlisted_configurations: 0,
            position: ErasurePosition::default(),
        }
    }

    /// Notes the progress of an export. Earlier notes on the same configuration are only extended.
    pub fn note(&mut self, found: ErasedConfiguration) {
        let same = |known: &&mut ErasedConfiguration| known.configuration_id == found.configuration_id;
        if let Some(known) = self.configurations.iter_mut().find(same) {
            known.exported_through = known.exported_through.max(found.exported_through);
            known.head_digest = known.head_digest.or(found.head_digest);
        } else if self.configurations.len() < MAX_LISTED_CONFIGURATIONS {
            self.configurations.push(found);
        } else {
            self.unlisted_configurations += 1;
        }
    }

    /// Returns the listed configurations.
    pub fn configurations(&self) -> impl Iterator<Item = ConfigurationId> {
        self.configurations.iter().map(|known| known.configuration_id)
    }

    /// Returns the statement that the erasure is complete. `None`: it is not complete, because the scan of the runs has not ended
    /// since the last configuration was found.
    #[must_use]
    pub fn statement(&self, erased_at: Timestamp, signing_key: Hex32) -> Option<ErasureStatement> {
        if self.position != ErasurePosition::Events {
            return None;
        }
        let mut configurations = self.configurations.clone();
        configurations.sort_by_key(|known| known.configuration_id);
        Some(ErasureStatement {
            kind: StatementKind::TenantErasure,
            version: STATEMENT_VERSION,
            tenant_id: self.tenant_id.clone(),
            reason: self.reason.clone(),
            started_at: self.started_at,
            erased_at,
            counts: self.counts,
            configurations,
            unlisted_configurations: self.unlisted_configurations,
            signing_key,
        })
    }
}

/// The kind of a signed document, so that none can be mistaken for another: digests are signed with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatementKind {
    TenantErasure,
}

/// The statement that a tenant was erased. Its bytes are signed as they are, with the key that signs digests.
/// docs/SEMANTICS.md describes the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ErasureStatement {
    pub kind: StatementKind,
    pub version: u32,
    pub tenant_id: TenantId,
    pub reason: OperatorReason,
    pub started_at: Timestamp,
    pub erased_at: Timestamp,
    pub counts: ErasureCounts,
    /// In the order of their IDs.
    pub configurations: Vec<ErasedConfiguration>,
    pub unlisted_configurations: u64,
    /// The SHA-256 of the public key (DER of its `SubjectPublicKeyInfo`).
    pub signing_key: Hex32,
}

impl ErasureStatement {
    /// Returns one line of JSON and a line feed.
    ///
    /// # Errors
    /// None: every statement can be serialized.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn id(number: u8) -> ConfigurationId {
        ConfigurationId::from_bytes([number; 16])
    }

    fn erasure() -> Erasure {
        let reason = OperatorReason::try_from("ticket 4711".to_owned()).unwrap();
        let erasure = Erasure::new(TenantId::parse("acme").unwrap(), reason, at("2026-11-28T14:00:00Z"));
        Erasure { position: ErasurePosition::Events, ..erasure }
    }

    #[test]
    fn nothing_is_stated_before_the_scan_has_ended() {
        let runs = ErasurePosition::Runs { run: "acme#1".to_owned(), item: "state".to_owned() };
        for (position, expected) in
            [(ErasurePosition::Configurations, false), (runs, false), (ErasurePosition::Events, true)]
        {
            let stored = serde_json::to_vec(&Erasure { position, ..erasure() }).unwrap();
            let erasure: Erasure = serde_json::from_slice(&stored).unwrap();
            let statement = erasure.statement(at("2026-11-28T14:01:00Z"), Hex32([9; 32]));
            assert_eq!(statement.is_some(), expected, "{:?}", erasure.position);
        }
        let mut old = serde_json::to_value(erasure()).unwrap();
        old.as_object_mut().unwrap().remove("position");
        let old: Erasure = serde_json::from_value(old).unwrap();
        assert_eq!(old.position, ErasurePosition::Configurations);
    }

    #[test]
    fn notes_from_before_the_archive_have_no_segments() {
        let mut old = serde_json::to_value(erasure()).unwrap();
        old["counts"].as_object_mut().unwrap().remove("segments");
        let old: Erasure = serde_json::from_value(old).unwrap();
        assert_eq!(old.counts, ErasureCounts::default());
    }

    fn found(number: u8, exported_through: Option<&str>, head: Option<u8>) -> ErasedConfiguration {
        ErasedConfiguration {
            configuration_id: id(number),
            exported_through: exported_through.map(at),
            head_digest: head.map(|byte| Hex32([byte; 32])),
        }
    }

    #[test]
    fn the_bytes_of_a_statement_are_pinned() {
        let mut erasure = erasure();
        erasure.note(found(2, None, None));
        erasure.note(found(1, Some("2026-11-28T12:00:00Z"), Some(7)));
        erasure.counts += ErasureCounts {
            configurations: 1,
            configuration_records: 2,
            run_records: 30,
            blocks: 4,
            event_records: 5,
            segments: 6,
        };
        let bytes = erasure.statement(at("2026-11-28T14:01:00Z"), Hex32([9; 32])).unwrap().to_bytes().unwrap();
        let expected = concat!(
            r#"{"kind":"TENANT_ERASURE","version":2,"tenantId":"acme","reason":"ticket 4711","#,
            r#""startedAt":"2026-11-28T14:00:00.000Z","erasedAt":"2026-11-28T14:01:00.000Z","#,
            r#""counts":{"configurations":1,"configurationRecords":2,"runRecords":30,"blocks":4,"eventRecords":5,"#,
            r#""segments":6},"#,
            r#""configurations":[{"configurationId":"01010101-0101-0101-0101-010101010101","#,
            r#""exportedThrough":"2026-11-28T12:00:00.000Z","#,
            r#""headDigest":"0707070707070707070707070707070707070707070707070707070707070707"},"#,
            r#"{"configurationId":"02020202-0202-0202-0202-020202020202","exportedThrough":null,"headDigest":null}],"#,
            r#""unlistedConfigurations":0,"#,
            r#""signingKey":"0909090909090909090909090909090909090909090909090909090909090909"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn notes_of_a_configuration_are_merged() {
        let mut erasure = erasure();
        erasure.note(found(1, Some("2026-11-28T12:00:00Z"), None));
        erasure.note(found(1, Some("2026-11-28T10:00:00Z"), Some(7)));
        erasure.note(found(1, None, None));
        let statement = erasure.statement(at("2026-11-28T14:01:00Z"), Hex32([9; 32])).unwrap();
        assert_eq!(statement.configurations, [found(1, Some("2026-11-28T12:00:00Z"), Some(7))]);
    }

    #[test]
    fn a_statement_lists_so_many_configurations_and_counts_the_others() {
        let mut erasure = erasure();
        for number in 0..MAX_LISTED_CONFIGURATIONS + 5 {
            let configuration_id = ConfigurationId::from_bytes((number as u128).to_be_bytes());
            erasure.note(ErasedConfiguration { configuration_id, ..found(0, Some("2026-11-28T12:00:00Z"), Some(7)) });
        }
        let statement = erasure.statement(at("2026-11-28T14:01:00Z"), Hex32([9; 32])).unwrap();
        assert_eq!(statement.unlisted_configurations, 5);
        let (notes, bytes) = (serde_json::to_vec(&erasure).unwrap(), statement.to_bytes().unwrap());
        assert!(notes.len() + bytes.len() < 390_000, "{} and {} bytes", notes.len(), bytes.len());
    }

    #[test]
    fn a_position_is_read_back() {
        let runs = ErasurePosition::Runs { run: "acme#1".to_owned(), item: "digest#0000000001".to_owned() };
        for position in [ErasurePosition::Configurations, runs, ErasurePosition::Events] {
            assert_eq!(ErasurePosition::try_from(position.to_string()), Ok(position));
        }
        for bad in ["", "runs", "runs a", "runs a b c", "runs  b", "event"] {
            assert_eq!(ErasurePosition::try_from(bad.to_owned()), Err(InvalidPosition), "{bad:?}");
        }
    }
}
