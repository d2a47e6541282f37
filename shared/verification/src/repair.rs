//! The repairs that could resolve the breaks of a report.

use std::time::Duration;

use domain::time::Timestamp;
use serde::Serialize;

use crate::{
    breaks::{Break, BreakCode},
    names::{DigestName, blocks_of},
    report::Report,
};

/// The distance up to which the times of two breaks are repaired together.
const JOINED_DISTANCE: Duration = Duration::from_hours(24);

/// The most repairs for one report. After them, another verification finds the rest.
const MAX_REPAIRS: usize = 10;

const MILLISECOND: Duration = Duration::from_millis(1);

/// The condition of files that a repair can resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RepairNeed {
    /// They are not there: a repair puts them back.
    Missing,
    /// They have other bytes: only a repair that overwrites replaces them.
    Altered,
}

/// A range of times of receipt to repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RepairAdvice {
    pub need: RepairNeed,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

/// Returns the repairs for the listed breaks, at most 10: first those of missing files, each in the order of its times.
#[must_use]
pub fn repairs_for(report: &Report) -> Vec<RepairAdvice> {
    let mut found: Vec<RepairAdvice> = report.breaks.iter().filter_map(|broken| advice_for(broken, report)).collect();
    found.sort_by_key(|advice| (advice.need, advice.from, advice.to));
    let mut joined: Vec<RepairAdvice> = Vec::new();
    for advice in found {
        match joined.last_mut() {
            Some(last) if last.need == advice.need && advice.from <= last.to.saturating_add(JOINED_DISTANCE) => {
                last.to = last.to.max(advice.to);
            }
            _ => joined.push(advice),
        }
    }
    joined.truncate(MAX_REPAIRS);
    joined
}

fn advice_for(broken: &Break, report: &Report) -> Option<RepairAdvice> {
    let need = need_of(broken.code)?;
    let (from, to) = match &broken.file {
        Some(file) => times_of(file)?,
        // The newest digests are missing.
        None => (report.period?.to, report.expectation.through?),
    };
    (from < to).then_some(RepairAdvice { need, from, to })
}

/// Returns what a file of this break needs. `None`: no repair resolves it.
fn need_of(code: BreakCode) -> Option<RepairNeed> {
    match code {
        BreakCode::TruncatedChain
        | BreakCode::MissingDigest
        | BreakCode::MissingSignature
        | BreakCode::MissingObject => Some(RepairNeed::Missing),
        BreakCode::AlteredDigest
        | BreakCode::BadSignature
        | BreakCode::ReplayedDigest
        | BreakCode::SplicedChain
        | BreakCode::InvalidDigest
        | BreakCode::AlteredObject
        | BreakCode::Reordered => Some(RepairNeed::Altered),
        BreakCode::NoDigests
        | BreakCode::WrongPlace
        | BreakCode::OutdatedCopy
        | BreakCode::NotWhole
        | BreakCode::UnprovenFiles
        | BreakCode::WrongKey
        | BreakCode::ForkedChain
        | BreakCode::WindowGap
        | BreakCode::UnknownVersion
        | BreakCode::ExtraObject
        | BreakCode::ContentMismatch
        | BreakCode::FilterMismatch => None,
    }
}

/// Returns times of receipt that lie in the window of a file.
fn times_of(file: &str) -> Option<(Timestamp, Timestamp)> {
    if let Some((first, last)) = blocks_of(file) {
        return Some((first.timestamp(), last.timestamp().saturating_add(MILLISECOND)));
    }
    let name = DigestName::parse(file).or_else(|| DigestName::parse_signature(file))?;
    Some((name.to.saturating_sub(MILLISECOND), name.to))
}

#[cfg(test)]
mod tests {
    use domain::block::BlockId;
    use domain::{digest::digest_name, export_format::ExportFormat, object_key::data_object_name};

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_times_of_a_file_lie_in_its_window() {
        let to = at("2026-11-22T02:00:00Z");
        let digest = digest_name(7, to, None);
        for name in [digest.clone(), format!("{digest}.sig")] {
            assert_eq!(times_of(&name), Some((at("2026-11-22T01:59:59.999Z"), to)));
        }
        let [first, last] = ["2026-11-22T00:00:00.500Z", "2026-11-22T01:00:00.000Z"].map(at);
        let object = data_object_name(
            ExportFormat::NdjsonGzip,
            None,
            BlockId::from_parts(first, 1),
            BlockId::from_parts(last, 2),
        );
        assert_eq!(times_of(&object), Some((first, at("2026-11-22T01:00:00.001Z"))));
        assert_eq!(times_of("date=2026-11-22/notes.txt"), None);
    }

    #[test]
    fn every_break_of_a_missing_or_altered_file_can_be_repaired() {
        let needs = |code: &BreakCode| {
            let name = code.as_str();
            (name.starts_with("MISSING") || name.starts_with("ALTERED")) == need_of(*code).is_some()
        };
        let others = BreakCode::ALL.iter().filter(|code| !needs(code)).map(|code| code.as_str());
        let expected =
            ["TRUNCATED_CHAIN", "BAD_SIGNATURE", "REPLAYED_DIGEST", "SPLICED_CHAIN", "INVALID_DIGEST", "REORDERED"];
        assert_eq!(others.collect::<Vec<_>>(), expected);
    }
}
