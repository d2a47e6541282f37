//! The newest gap that an export has signed.

use serde::{Deserialize, Serialize};

use crate::{
    digest::{Gap, GapReason},
    export_run::WindowRecord,
    time::Timestamp,
};

/// The gaps of one digest in short: the newest digest of an export that has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedGap {
    /// The sequence of the digest.
    pub sequence: u64,
    /// The beginning of the first gap.
    pub from: Timestamp,
    /// The end of the last gap.
    pub to: Timestamp,
    /// The reason of the first gap.
    pub reason: GapReason,
    /// The number of gaps.
    pub gaps: u64,
}

impl SignedGap {
    /// Returns the gaps of a finished window. `None`: it has none.
    #[must_use]
    pub fn of(record: &WindowRecord) -> Option<Self> {
        let gaps = Gap::of_window(record.gap, record.skipped.iter().copied());
        let (first, last) = (gaps.first()?, gaps.last()?);
        Some(Self {
            sequence: record.sequence,
            from: first.from,
            to: last.to,
            reason: first.reason,
            gaps: gaps.len() as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::BlockId, export_health::test_support::at, export_run::test_support::record};

    #[test]
    fn the_gaps_of_a_window_are_one() {
        assert_eq!(SignedGap::of(&record(3)), None);
        let retention = Gap::retention_ended(at("2026-11-22T00:00:00Z"), at("2026-11-22T01:00:00Z"));
        let skipped = BlockId::lowest_at(at("2026-11-22T01:30:00Z"));
        let of_both = WindowRecord { gap: Some(retention), skipped: vec![skipped], ..record(3) };
        let expected = SignedGap {
            sequence: 3,
            from: retention.from,
            to: at("2026-11-22T01:30:00.001Z"),
            reason: GapReason::RetentionEnded,
            gaps: 2,
        };
        assert_eq!(SignedGap::of(&of_both), Some(expected));
        let of_one = SignedGap::of(&WindowRecord { skipped: vec![skipped], ..record(3) }).unwrap();
        assert_eq!((of_one.reason, of_one.gaps, of_one.from), (GapReason::BlockCorrupt, 1, skipped.timestamp()));
    }
}
