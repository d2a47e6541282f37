//! The checks of the promises after all faults have ended.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, Read},
    ops::Range,
};

use bytes::Bytes;
use columnar::EventLines;
use domain::{
    block::BlockId,
    configuration::ConfigurationKey,
    digest::{
        DIGEST_FOLDER, Digest, DigestObject, DigestReference, DigestTag, Gap, GapReason, Hex32, SIGNATURE_SUFFIX,
        digest_key,
    },
    event_filter::FilteredLines,
    export_format::ExportFormat,
    export_job::{ExportJob, ExportJobStatus, Intent},
    export_run::ExportState,
    object_key::{export_prefix, lake_folder},
    ocsf::OcsfSettings,
    replay::{Replay, ReplayEnd, ReplayState, ReplayStatus},
    time::Timestamp,
};

use crate::{
    outcome::HistoryOutcome,
    ports::FINGERPRINT,
    records::{lines_of_file, of_class, records},
    world::{RunItems, WorldState},
};

/// The expectations for a history.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectations {
    /// The time through which everything has to be exported.
    pub(crate) through: Timestamp,
    /// True if an outage may outlast the retention.
    pub(crate) gaps_are_possible: bool,
    /// Set if nothing can be exported any more: the time before which everything has to be exported or recorded as lost.
    pub(crate) lost_through: Option<Timestamp>,
    pub(crate) runs: u64,
    pub(crate) crashes: u64,
}

/// Checks everything that a customer can see.
pub(crate) fn check(state: &WorldState, keys: &[ConfigurationKey], expected: &Expectations) -> HistoryOutcome {
    let mut violations = state.violations.clone();
    let (mut objects, mut of_classes, mut digests, mut left_out) = (0, 0, 0, 0);
    for key in keys {
        let mut complain = |text: String| violations.push(format!("{key}: {text}"));
        let is_deleted = !state.configurations.contains_key(key);
        let Some(items) = state.runs.get(key) else {
            if !is_deleted {
                complain("was never exported".to_owned());
            }
            continue;
        };
        if let Some(lost_through) = expected.lost_through {
            let cursor = items.state.window.as_ref().map_or(items.state.cursor, |window| window.remaining().first);
            let answered_for = items.state.lost_through.max(Some(cursor.timestamp()));
            if !is_deleted && answered_for < Some(lost_through) {
                complain(format!("lost what was received before {lost_through} without a record"));
            }
        } else if !is_deleted && items.state.exported_through() < expected.through {
            complain(format!("is exported through {}, not {}", items.state.exported_through(), expected.through));
        }
        match chain(state, items) {
            Ok(chain) => {
                digests += chain.len();
                objects += chain.iter().map(|digest| digest.objects.len()).sum::<usize>();
                let all = chain.iter().flat_map(|digest| &digest.objects);
                of_classes += all.filter(|object| object.class.is_some()).count();
                left_out += chain.iter().filter_map(|digest| digest.left_out).sum::<u64>();
                let mut gaps = chain.iter().flat_map(|digest| &digest.gaps);
                if !expected.gaps_are_possible && gaps.clone().any(|gap| gap.reason == GapReason::RetentionEnded) {
                    complain("has a gap although nothing was past its retention".to_owned());
                }
                let created_at = state.configurations.get(key).map(|configuration| configuration.created_at);
                let starts_early = |gap: &Gap| gap.reason == GapReason::StartBeforeRetention;
                for (sequence, gap) in (0_u64..).zip(&chain).flat_map(|(sequence, digest)| {
                    digest.gaps.iter().map(move |gap| (sequence, gap)).filter(|(_, gap)| starts_early(gap))
                }) {
                    if sequence > 0 || created_at.is_some_and(|created_at| gap.to > created_at) {
                        complain(format!(
                            "signs the loss from {} to {} as a start before the retention",
                            gap.from, gap.to
                        ));
                    }
                }
                let is_damaged = |block| state.damaged.contains(&(key.tenant_id.clone(), block));
                if gaps.any(|gap| gap.block.is_some_and(|block| !is_damaged(block))) {
                    complain("skips a sound block".to_owned());
                }
                let newest_gap = chain.iter().rfind(|digest| !digest.gaps.is_empty());
                let newest_gap = newest_gap.map(|digest| (digest.sequence, digest.gaps.len() as u64));
                let stored = state.signed_gaps.get(key).map(|gap| (gap.sequence, gap.gaps));
                // The digest of an open window may be signed already.
                if newest_gap > stored || stored.is_some_and(|(sequence, _)| sequence > chain.len() as u64) {
                    complain(format!("has signed the gap {newest_gap:?}, and stored {stored:?}"));
                }
                if let Err(text) = delivered(state, key, items, &chain) {
                    complain(text);
                }
                if let Err(text) = history(items, &chain) {
                    complain(text);
                }
            }
            Err(text) => complain(text),
        }
    }
    for (key, items) in &state.erasure.exports {
        match chain(state, items).and_then(|chain| delivered(state, key, items, &chain).map(|()| chain)) {
            Ok(chain) => {
                digests += chain.len();
                objects += chain.iter().map(|digest| digest.objects.len()).sum::<usize>();
            }
            Err(text) => violations.push(format!("{key}, which is erased: {text}")),
        }
    }
    for (key, replay) in &state.replays {
        match check_replay(state, key, replay, expected) {
            Ok(chain) => {
                digests += chain.len();
                objects += chain.iter().map(|digest| digest.objects.len()).sum::<usize>();
            }
            Err(text) => violations.push(format!("replay {key}: {text}")),
        }
    }
    let blocks = state.landed.values().map(std::collections::BTreeMap::len).sum();
    let Expectations { runs, crashes, .. } = *expected;
    let unrepaired = state.repairs.values().map(|repair| repair.counts.unrepaired).sum();
    HistoryOutcome {
        violations,
        blocks,
        objects,
        of_classes,
        digests,
        left_out,
        runs,
        crashes,
        repaired: state.repaired,
        unrepaired,
        archived: state.archive.blocks_read,
        erased: state.erasure.segments,
    }
}

/// Checks that a replay has ended, and that one that succeeded holds exactly the events of its period: those that the export
/// delivered, because [`delivered`] compares both with what was stored.
fn check_replay(
    state: &WorldState,
    key: &ConfigurationKey,
    replay: &Replay,
    expected: &Expectations,
) -> Result<Vec<Digest>, String> {
    let Some(configuration) = state.configurations.get(&replay.key.configuration()) else { return Ok(Vec::new()) };
    match &replay.state {
        ReplayState::Ended { end: ReplayEnd::Succeeded, .. } => {}
        ReplayState::Ended { end: ReplayEnd::Failed(_), .. } if expected.lost_through.is_some() => {}
        unexpected => return Err(format!("is {unexpected:?}")),
    }
    let has_succeeded = replay.state.status() == ReplayStatus::Succeeded;
    let Some(items) = state.runs.get(key) else {
        return if has_succeeded { Err("succeeded without an export".to_owned()) } else { Ok(Vec::new()) };
    };
    let chain = chain(state, items)?;
    delivered(state, key, items, &chain)?;
    history(items, &chain)?;
    if has_succeeded {
        let export = replay.export(configuration);
        let first = chain.first().map(|digest| digest.window.first_block);
        let is_whole =
            first == Some(ExportState::initial(&export).cursor) && items.state.exported_through() == replay.period.to;
        if !is_whole {
            return Err(format!("covers {first:?} to {}, not its period", items.state.exported_through()));
        }
    }
    let is_wrong = |(sequence, gap): (usize, &Gap)| match gap.reason {
        GapReason::StartBeforeRetention => sequence > 0,
        GapReason::RetentionEnded => !expected.gaps_are_possible,
        GapReason::BlockCorrupt => false,
    };
    let mut gaps =
        chain.iter().enumerate().flat_map(|(sequence, digest)| digest.gaps.iter().map(move |gap| (sequence, gap)));
    if gaps.any(is_wrong) {
        return Err("signs a gap for another reason than its own".to_owned());
    }
    Ok(chain)
}

/// Returns the digests, oldest first. It follows them back from the head, as a customer does.
fn chain(state: &WorldState, items: &RunItems) -> Result<Vec<Digest>, String> {
    let mut chain = Vec::new();
    let mut next = items.state.head.clone();
    while let Some(reference) = next.take() {
        let digest = read_digest(state, &reference)?;
        next.clone_from(&digest.previous);
        chain.push(digest);
    }
    chain.reverse();
    for (sequence, digest) in (0_u64..).zip(&chain) {
        if digest.sequence != sequence {
            return Err(format!("digest {sequence} has the sequence {}", digest.sequence));
        }
    }
    for pair in chain.windows(2) {
        if let [earlier, later] = pair
            && earlier.window.end_block != later.window.first_block
        {
            return Err(format!("window {} does not begin at the end of the previous one", later.sequence));
        }
    }
    match chain.last() {
        Some(last) if last.window.end_block != items.state.cursor => {
            Err("the cursor is not the end of the chain".to_owned())
        }
        _ => Ok(chain),
    }
}

fn read_digest(state: &WorldState, reference: &DigestReference) -> Result<Digest, String> {
    let DigestReference { bucket, key, sha256, signature_sha256 } = reference;
    let bytes = object(state, bucket.as_str(), key)?;
    let signature = object(state, bucket.as_str(), &format!("{key}{SIGNATURE_SUFFIX}"))?;
    if Hex32::sha256_of(bytes) != *sha256 || Hex32::sha256_of(signature) != *signature_sha256 {
        return Err(format!("{key} or its signature differs from the chain"));
    }
    if !signature.starts_with(&Hex32::sha256_of(bytes).0) {
        return Err(format!("the signature of {key} signs other bytes"));
    }
    let digest = Digest::from_bytes(bytes).map_err(|error| format!("{key}: {error}"))?;
    if digest.signing_key == FINGERPRINT { Ok(digest) } else { Err(format!("{key} names another key")) }
}

/// Checks that every digest has its job, and that the tasks of the job are the objects of the digest.
fn history(items: &RunItems, chain: &[Digest]) -> Result<(), String> {
    if items.records.len() != chain.len() {
        return Err(format!("{} jobs for {} digests", items.records.len(), chain.len()));
    }
    for (record, digest) in items.records.iter().zip(chain) {
        let job = ExportJob::finished(record);
        let intents = items.intents.iter().filter(|((window, ..), _)| Some(*window) == job.window);
        let tasks = job.tasks(intents.map(|(_, object)| Intent { object: object.clone(), attempts: 1 }).collect());
        let is_whole = (job.from, job.to) == (digest.window.from, Some(digest.window.to))
            && tasks.iter().map(|task| &task.object).eq(&digest.objects)
            && tasks.iter().all(|task| task.status == ExportJobStatus::Succeeded)
            && tasks.last().map_or(0, |task| task.offset + task.object.events) == job.delivered.events
            && record.delivered.left_out == digest.left_out.unwrap_or(0);
        if record.sequence != digest.sequence || record.attempts == 0 || !is_whole {
            return Err(format!("job {} differs from its digest", record.sequence));
        }
    }
    Ok(())
}

/// Checks that every event is delivered exactly once and in order, in objects that match their digests, or does not pass the
/// filter of the digest of its window, which counts it; and that there is nothing else.
fn delivered(state: &WorldState, key: &ConfigurationKey, items: &RunItems, chain: &[Digest]) -> Result<(), String> {
    let mut listed = BTreeSet::new();
    let mut previous: Option<&DigestObject> = None;
    for digest in chain {
        let mut files = Vec::new();
        for object_of in &digest.objects {
            let bytes = object(state, object_of.bucket.as_str(), &object_of.key)?;
            if Hex32::sha256_of(bytes) != object_of.sha256 || bytes.len() as u64 != object_of.stored_length {
                return Err(format!("{} differs from its digest", object_of.key));
            }
            let raw = inflate(bytes, object_of).map_err(|error| format!("{}: {error}", object_of.key))?;
            let events = raw.lines().count() as u64;
            if raw.len() as u64 != object_of.raw_length || events != object_of.events {
                return Err(format!("the content of {} differs from its digest", object_of.key));
            }
            if previous.is_some_and(|previous| !follows(previous, object_of)) {
                return Err(format!("{} is out of order", object_of.key));
            }
            previous = Some(object_of);
            listed.insert((object_of.bucket.as_str(), object_of.key.as_str()));
            files.push(raw);
        }
        let window = digest.window;
        let expected = passing_lines(state, key, window.first_block..window.end_block, digest, chain);
        let sequence = digest.sequence;
        let (arrived, all) = (files.concat(), expected.lines.as_slice());
        let count = |bytes: &[u8]| bytes.lines().count();
        let is_whole = match digest.encoding().ocsf {
            None => arrived == all,
            // Each object has the right ones, so all of them have all.
            Some(settings) => {
                let lines_of = |object: &DigestObject| {
                    let range = object.first_block..object.last_block.next();
                    passing_lines(state, key, range, digest, chain).lines
                };
                check_classes(digest, &files, &settings, lines_of)?;
                count(&arrived) == count(all)
            }
        };
        if !is_whole {
            let (arrived, all) = (count(&arrived), count(all));
            return Err(format!("{arrived} events arrived of {all} of window {sequence}, or not in order"));
        }
        if digest.left_out.unwrap_or(0) != expected.left_out {
            let (stated, found) = (digest.left_out, expected.left_out);
            return Err(format!("digest {sequence} says that {stated:?} events were left out, and {found} were"));
        }
    }
    unlisted(state, key, items, chain, &listed)
}

/// Returns whether an object has later blocks than the previous one of the chain, or a later class of the same blocks.
fn follows(previous: &DigestObject, object: &DigestObject) -> bool {
    let blocks = |object: &DigestObject| (object.first_block, object.last_block);
    let is_of_same_blocks = blocks(previous) == blocks(object) && previous.class < object.class;
    object.first_block <= object.last_block && (previous.last_block < object.first_block || is_of_same_blocks)
}

/// Checks that the objects of the same blocks have the events of these blocks, each in the object of its class, and that each
/// object counts those with an unknown action.
fn check_classes(
    digest: &Digest,
    files: &[Vec<u8>],
    settings: &OcsfSettings,
    lines_of: impl Fn(&DigestObject) -> Vec<u8>,
) -> Result<(), String> {
    let mut files = files.iter();
    for batch in digest.objects.chunk_by(|earlier, later| earlier.first_block == later.first_block) {
        let Some(first) = batch.first() else { continue };
        let lines = lines_of(first);
        let Some(records) = records(&lines, settings) else {
            return Err(format!("the blocks of {} have events that are no records", first.key));
        };
        let classes: BTreeSet<_> = records.iter().map(|record| Some(record.class)).collect();
        if !classes.iter().eq(batch.iter().map(|object| &object.class)) {
            return Err(format!("the blocks of {} have events of {classes:?}", first.key));
        }
        for (object, file) in batch.iter().zip(files.by_ref()) {
            let Some(class) = object.class else { continue };
            let wanted = of_class(&records, class);
            let lines: String = wanted.iter().map(|record| record.line).collect();
            if lines.as_bytes() != file {
                return Err(format!("{} has not the events of its class, or not in order", object.key));
            }
            let other = wanted.iter().filter(|record| record.is_other).count() as u64;
            let times = (wanted.first().map(|record| record.time), wanted.last().map(|record| record.time));
            if object.other != Some(other) || (Some(object.oldest_event), Some(object.newest_event)) != times {
                return Err(format!(
                    "the digest counts {:?} unknown actions in {}, not {other}",
                    object.other, object.key
                ));
            }
        }
    }
    Ok(())
}

/// Returns the NDJSON of an object, whose format is known by its class or its name.
fn inflate(bytes: &Bytes, object: &DigestObject) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let limit = object.raw_length + 1;
    let is_in = |format: ExportFormat| object.key.ends_with(format.extension());
    if let Some(class) = object.class {
        return lines_of_file(bytes, class);
    }
    if is_in(ExportFormat::Parquet) {
        EventLines::of(bytes)?.take(limit).read_to_end(&mut raw)?;
    } else if is_in(ExportFormat::NdjsonZstd) {
        zstd::stream::read::Decoder::new(bytes.as_ref())?.take(limit).read_to_end(&mut raw)?;
    } else {
        flate2::read::GzDecoder::new(bytes.as_ref()).take(limit).read_to_end(&mut raw)?;
    }
    Ok(raw)
}

/// The lines of blocks that have to be in the objects of a digest.
struct PassingLines {
    lines: Vec<u8>,
    left_out: u64,
}

/// Returns the lines of every block of a range that was stored, without signed gaps, that pass the filter of a digest.
fn passing_lines(
    state: &WorldState,
    key: &ConfigurationKey,
    range: Range<BlockId>,
    digest: &Digest,
    chain: &[Digest],
) -> PassingLines {
    let stored: Vec<u8> = state
        .landed_for(key)
        .filter(|(id, _)| range.contains(*id) && !is_in_gap(chain, **id))
        .flat_map(|(_, raw)| raw.iter().copied())
        .collect();
    let Some(filter) = &digest.filter else { return PassingLines { lines: stored, left_out: 0 } };
    let FilteredLines { lines, left_out } = filter.apply(&stored);
    PassingLines { lines: lines.into_owned(), left_out }
}

fn is_in_gap(chain: &[Digest], id: BlockId) -> bool {
    let lies_in = |digest: &Digest, gap: &Gap| match gap.block {
        Some(block) => id == block,
        None => id >= digest.window.first_block && id.timestamp() < gap.to,
    };
    chain.iter().any(|digest| digest.gaps.iter().any(|gap| lies_in(digest, gap)))
}

/// Checks that every object in the buckets is in a digest. The exception is one object that was in progress when its window
/// ended early: because the destination was edited, because the configuration was deleted, or because the rest was past its
/// retention, which is a gap of the next digest.
fn unlisted(
    state: &WorldState,
    key: &ConfigurationKey,
    items: &RunItems,
    chain: &[Digest],
    listed: &BTreeSet<(&str, &str)>,
) -> Result<(), String> {
    let own = state.configurations.get(key).map(|configuration| &configuration.destination);
    let destination = own.or_else(|| state.replays.get(key).map(|replay| &replay.destination));
    let Some(destination) = destination.filter(|_| !state.edited.contains(key)) else { return Ok(()) };
    let abandoned: BTreeSet<&str> = items
        .intents
        .iter()
        .filter(|((window, ..), object)| {
            let is_open = items.state.window.as_ref().is_some_and(|open| open.id == *window);
            let is_damaged = state.damaged.iter().any(|(tenant, block)| {
                *tenant == key.tenant_id && object.first_block <= *block && *block <= object.last_block
            });
            let open_gap = items.state.window.as_ref().and_then(|window| window.gap);
            let is_lost = open_gap.is_some_and(|gap| object.first_block.timestamp() < gap.to);
            is_open || is_damaged || is_lost || is_in_gap(chain, object.first_block)
        })
        .map(|(_, object)| object.key.as_str())
        .collect();
    let prefix = export_prefix(destination, key.configuration_id);
    let in_folder = format!("{prefix}/date=");
    // Other exports of the bucket path have objects there, too.
    let in_lake = destination.key_of(&lake_folder(destination.site.region_name()));
    let own_name = format!("/{}_", key.configuration_id);
    let is_data = |name: &str| name.starts_with(&in_folder) || (name.starts_with(&in_lake) && name.contains(&own_name));
    let digest_prefix = format!("{prefix}/{DIGEST_FOLDER}");
    let sealed = items.digests.iter().map(|(sequence, sealed)| {
        let tag = sealed.is_tagged.then(|| DigestTag::of_signature(Hex32::sha256_of(&sealed.signature)));
        digest_key(destination, key, *sequence, sealed.end_block.timestamp(), tag)
    });
    let sealed: BTreeSet<String> = sealed.collect();
    for (bucket, content) in &state.buckets {
        for name in content.objects.keys().filter(|name| name.starts_with(&digest_prefix)) {
            if !sealed.contains(name.trim_end_matches(SIGNATURE_SUFFIX)) {
                return Err(format!("{name} is not a sealed digest"));
            }
        }
        for name in content.objects.keys().filter(|name| is_data(name)) {
            if !listed.contains(&(bucket.as_str(), name.as_str())) && !abandoned.contains(name.as_str()) {
                return Err(format!("{name} is in the bucket and in no digest"));
            }
        }
    }
    Ok(())
}

fn object<'a>(state: &'a WorldState, bucket: &str, key: &str) -> Result<&'a Bytes, String> {
    let found = state.buckets.get(bucket).and_then(|bucket| bucket.objects.get(key));
    found.ok_or_else(|| format!("{key} is missing from {bucket}"))
}
