//! The filter of an export alone: from inflated blocks to the lines that pass.

use anyhow::{Result, ensure};
use domain::{
    block::BlockId,
    event_filter::{EventFilter, RawFilter, RawLists},
    tenant::TenantId,
    time::Timestamp,
};
use serde_json::Value;

use crate::{
    bench::Bench,
    corpus::{CorpusFile, TENANT},
    process::measured,
    report::{Report, float, median},
};

const SUITE: &str = "filter";
const EVENTS: u64 = 200_000;
const QUICK_EVENTS: u64 = 20_000;
const BLOCK_EVENTS: u64 = 100;

/// The least speed of a filter on one core, in MB of raw NDJSON a second.
const MIN_SPEED: f64 = 500.0;

/// The name of the field that decides last in these events, and a name that no filter reads.
const LAST_FIELD: &str = "\"targetType\":";
const OTHER_FIELD: &str = "\"targetKind\":";

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.size(EVENTS, QUICK_EVENTS), BLOCK_EVENTS)?;
    let tenant = TenantId::parse(TENANT)?;
    let id = BlockId::lowest_at(Timestamp::EPOCH);
    let blocks = file.blocks()?.map(|block| Ok(String::from_utf8(block?.stored(&tenant, id)?.inflate()?)?));
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let without_field: Vec<_> = blocks.iter().map(|block| block.replace(LAST_FIELD, OTHER_FIELD)).collect();

    let action = RawFilter { include: Some(lists(&["QUERY"], &[], &[])), ..RawFilter::default() };
    let values = RawFilter {
        include: Some(lists(&["QUERY", "AUTH*", "CREATE", "UPDATE"], &["USER*", "SERVICE*"], &[])),
        exclude: Some(lists(&["DELETE"], &[], &["TAG", "PROJECT", "PURPOSE*"])),
    };
    let (action, values) = (parsed(&action)?, parsed(&values)?);
    let absent = parsed(&RawFilter { exclude: Some(lists(&[], &[], &["NONE"])), ..RawFilter::default() })?;

    let tree = measure(bench, &blocks, left_out_by_tree)?;
    let subjects = [
        ("one action included", measure(bench, &blocks, |lines| Ok(action.apply(lines).left_out))?),
        ("ten values in four lists", measure(bench, &blocks, |lines| Ok(values.apply(lines).left_out))?),
        ("a field that no event has", measure(bench, &without_field, |lines| Ok(absent.apply(lines).left_out))?),
    ];
    ensure!(tree.left_out_percent.to_bits() == subjects[0].1.left_out_percent.to_bits(), "scan and tree differ");
    ensure!(subjects[2].1.left_out_percent.to_bits() == 0, "an event without the field was left out");
    for (subject, outcome) in [("one action included, by a tree of serde_json", &tree)]
        .into_iter()
        .chain(subjects.iter().map(|(subject, outcome)| (*subject, outcome)))
    {
        report.add(SUITE, subject, "raw speed per CPU second", "MB/s", &outcome.speeds);
        report.compare("tree", median(&tree.speeds));
        report.add(SUITE, subject, "left out", "%", &[outcome.left_out_percent]);
    }
    for (subject, outcome) in &subjects {
        let speed = median(&outcome.speeds);
        ensure!(speed >= MIN_SPEED, "{subject}: {speed:.0} MB/s of {MIN_SPEED}");
    }
    Ok(())
}

/// The result of filtering all blocks in each round.
struct Outcome {
    /// MB of raw NDJSON per CPU second.
    speeds: Vec<f64>,
    left_out_percent: f64,
}

fn measure(bench: &Bench, blocks: &[String], left_out: impl Fn(&[u8]) -> Result<u64>) -> Result<Outcome> {
    let bytes: usize = blocks.iter().map(String::len).sum();
    let events: usize = blocks.iter().map(|block| block.lines().count()).sum();
    let mut outcome = Outcome { speeds: Vec::new(), left_out_percent: 0.0 };
    for _ in 0..bench.rounds {
        let (left_out, seconds) =
            measured(|| blocks.iter().map(|block| left_out(block.as_bytes())).sum::<Result<u64>>())?;
        outcome.speeds.push(float(bytes as u64) / 1e6 / seconds);
        outcome.left_out_percent = float(left_out) * 100.0 / float(events as u64);
    }
    Ok(outcome)
}

fn parsed(raw: &RawFilter) -> Result<EventFilter> {
    EventFilter::parse(raw).map_err(|errors| anyhow::anyhow!("{errors:?}"))
}

fn lists(actions: &[&str], actor_types: &[&str], target_types: &[&str]) -> RawLists {
    let list = |values: &[&str]| {
        let values: Vec<_> = values.iter().map(|value| (*value).to_owned()).collect();
        Some(values).filter(|values| !values.is_empty())
    };
    RawLists { actions: list(actions), actor_types: list(actor_types), target_types: list(target_types) }
}

/// Filters by the action with a tree for each event, which is copied as the filter copies it.
fn left_out_by_tree(lines: &[u8]) -> Result<u64> {
    let mut kept = Vec::new();
    let mut left_out = 0;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let event: Value = serde_json::from_slice(line)?;
        if event["action"] == "QUERY" {
            kept.extend_from_slice(line);
        } else {
            left_out += 1;
        }
    }
    Ok(left_out)
}
