//! The verification of an export: both passes, and the outcome.

use domain::{block::BlockId, time::Timestamp};

use crate::{
    breaks::{Break, BreakCode},
    chain::{Before, Chain},
    export_files::{ExportFiles, ReadError},
    objects,
    options::{Options, Origin, Progress},
    report::{
        Circumstances, DigestSummary, Elsewhere, Expectation, ExpectationSource, MAX_LISTED, NamedFiles, ObjectSummary,
        Period, Report, SequenceRange, VerificationOutcome,
    },
    walk::Walk,
};

/// The most ranges of sequences that one sentence names; the report lists more.
const MAX_RANGES_IN_DETAIL: usize = 5;

/// The advice on a copy whose only digest names another place than the one that it was copied from.
const PLACE_ADVICE: &str = "if this is a copy of the place that the export was moved to, name that place: give --place";

/// Verifies an export. The report holds all that is wrong with it.
///
/// # Errors
/// [`ReadError`] if files can't be read for a reason that says nothing about the export, or change during the verification.
pub async fn verify<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    circumstances: Circumstances,
    progress: &dyn Fn(Progress<'_>),
) -> Result<Report, ReadError> {
    let (chain, mut report) = prove_digests(export, options, circumstances, progress).await?;
    if !chain.digests.is_empty() {
        objects::check(export, options, progress, &chain, &mut report).await?;
        check_place(&chain, &mut report);
        advise_on_place(&chain, options, &mut report);
    }
    let from_the_first = report.digests.first_sequence == Some(0) && report.digests.stretches == 1;
    let is_whole = from_the_first && report.elsewhere.objects.count == 0;
    if options.whole_required && !is_whole {
        let detail = missing_to_the_whole(&report);
        report.push(Break::of_export(BreakCode::NotWhole, detail));
    }
    if options.proven_required && report.unproven_files() > 0 {
        let detail = format!(
            "{} pending, {} not covered: the report lists them; --proven-objects lists the files to read instead",
            report.pending.count, report.uncovered.count
        );
        report.push(Break::of_export(BreakCode::UnprovenFiles, detail));
    }
    conclude(&mut report, is_whole);
    Ok(report)
}

/// Walks the digests, and compares their end with what is expected.
pub(crate) async fn prove_digests<F: ExportFiles + ?Sized>(
    export: &F,
    options: &Options,
    circumstances: Circumstances,
    progress: &dyn Fn(Progress<'_>),
) -> Result<(Chain, Report), ReadError> {
    let mut report = empty(circumstances, options);
    let chain = Walk::new(export, options, progress, &mut report).run().await?;
    check_expectation(&chain, options, &mut report);
    report.unproven_digests = unproven(&chain, options.since);
    if let [oldest, .., newest] | [oldest @ newest] = chain.digests.as_slice() {
        report.period = Some(Period { from: oldest.first_block.timestamp(), to: newest.end_block.timestamp() });
    }
    Ok((chain, report))
}

/// Derives the outcome from the breaks. A copy counts as outdated only if nothing else is wrong.
pub(crate) fn conclude(report: &mut Report, is_whole: bool) {
    let is_outdated = |broken: &Break| broken.code == BreakCode::OutdatedCopy;
    let outdated = report.breaks.iter().filter(|broken| is_outdated(broken)).count();
    if outdated as u64 == report.break_count {
        report.outcome = if outdated == 0 { VerificationOutcome::Complete } else { VerificationOutcome::Outdated };
        report.complete_through = report.period.map(|period| period.to);
        report.is_whole = is_whole && outdated == 0;
    } else {
        report.breaks.sort_by_key(is_outdated);
    }
}

/// Returns the sequences before and between those that are proven, without those that the caller left out.
fn unproven(chain: &Chain, since: Option<Timestamp>) -> Vec<SequenceRange> {
    let mut ranges = Vec::new();
    let mut next = 0;
    for (index, digest) in chain.digests.iter().enumerate() {
        let sequence = digest.name.sequence;
        let is_left_out = index == 0 && since.is_some_and(|since| digest.first_block.timestamp() <= since);
        if digest.before != Before::Linked && !is_left_out && next < sequence && ranges.len() < MAX_LISTED {
            ranges.push(SequenceRange { first_sequence: next, last_sequence: sequence - 1 });
        }
        next = sequence.saturating_add(1);
    }
    ranges
}

fn missing_to_the_whole(report: &Report) -> String {
    let mut missing: Vec<String> =
        report.unproven_digests.iter().take(MAX_RANGES_IN_DETAIL).map(ToString::to_string).collect();
    if report.unproven_digests.len() > MAX_RANGES_IN_DETAIL {
        missing.push("others".to_owned());
    }
    match (missing.is_empty(), report.since, report.elsewhere.objects.count) {
        (false, ..) => format!("not proven here: digests {}", missing.join(", ")),
        (true, Some(since), _) => format!("digests before {since} were not checked"),
        (true, None, 0) => "no digest is proven here".to_owned(),
        (true, None, objects) => format!("objects that digests name in other places, and that are not here: {objects}"),
    }
}

fn empty(circumstances: Circumstances, options: &Options) -> Report {
    Report {
        outcome: VerificationOutcome::Broken,
        complete_through: None,
        is_whole: false,
        whole_required: options.whole_required,
        proven_required: options.proven_required,
        circumstances,
        tenant_id: None,
        configuration_id: None,
        place: None,
        period: None,
        since: options.since,
        expectation: options.expectation,
        digests: DigestSummary::default(),
        unproven_digests: Vec::new(),
        objects: ObjectSummary::default(),
        gaps: Vec::new(),
        gap_count: 0,
        filters: Vec::new(),
        unlisted_filters: 0,
        signing_keys: Vec::new(),
        pending: NamedFiles::default(),
        uncovered: NamedFiles::default(),
        system_files: NamedFiles::default(),
        elsewhere: Elsewhere::default(),
        breaks: Vec::new(),
        break_count: 0,
    }
}

/// Compares the end of the chain with what is expected. Missing digests at the end show only in this way.
fn check_expectation(chain: &Chain, options: &Options, report: &mut Report) {
    let Expectation { through, head, source } = options.expectation;
    let end = chain.digests.last().map(|newest| newest.end_block);
    let reached =
        end.map_or_else(|| "the chain is empty".to_owned(), |end| format!("the chain ends at {}", end.timestamp()));
    // The bucket itself can't be outdated: the service writes the digest before it reports the export.
    let is_outdated = source == ExpectationSource::Service && options.origin != Origin::Bucket && end.is_some();
    let mut push = |detail: String| {
        let (code, detail) = if is_outdated {
            let advice = "copy the export again; if that copy ends there as well, the newest digests were removed";
            (BreakCode::OutdatedCopy, format!("{detail}; {advice}"))
        } else {
            (BreakCode::TruncatedChain, detail)
        };
        report.push(Break::of_export(code, detail));
    };
    if let Some(through) = through
        && end < Some(BlockId::lowest_at(through))
    {
        push(match source {
            ExpectationSource::Caller => format!("{reached}, but {through} was expected"),
            ExpectationSource::Service => format!("{reached}, but the service exported through {through}"),
        });
    }
    if let Some(head) = head
        && !chain.digests.iter().any(|digest| digest.sha256 == head)
    {
        push(match source {
            ExpectationSource::Caller => format!("no digest of the chain has the expected SHA-256 {head}"),
            ExpectationSource::Service => {
                format!("the newest digest that the service wrote here is missing; its SHA-256 is {head}")
            }
        });
    }
}

/// Adds the advice to the first break if nothing is here that the only digest names: it may be the first one of another
/// place.
pub(crate) fn advise_on_place(chain: &Chain, options: &Options, report: &mut Report) {
    let is_missing = |broken: &Break| matches!(broken.code, BreakCode::MissingDigest | BreakCode::MissingObject);
    let is_alone = matches!(chain.digests.as_slice(), [only] if only.names_one_place);
    if options.place.is_none()
        && is_alone
        && report.objects.intact == 0
        && report.breaks.iter().all(is_missing)
        && let Some(broken) = report.breaks.first_mut()
    {
        broken.detail = format!("{}; {PLACE_ADVICE}", broken.detail);
    }
}

/// Reports a wrong place if nothing that the digests name is here: all of it would count as elsewhere, and nothing would be
/// checked.
pub(crate) fn check_place(chain: &Chain, report: &mut Report) {
    let names_others = report.elsewhere.objects.count > 0 || report.elsewhere.digest_count > 0;
    // The first digest after a change of the destination names nothing here: the window that the change ended was delivered
    // to the place of the previous digest.
    let is_first_here = matches!(chain.digests.as_slice(), [only] if only.names_one_place);
    if chain.references_here > 0 || !names_others || is_first_here {
        return;
    }
    let named = report.elsewhere.objects.names.first().cloned();
    let named = named.or_else(|| {
        report.elsewhere.digests.first().map(|digest| format!("s3://{}/{}", digest.bucket.as_str(), digest.key))
    });
    let place = chain.place.as_ref().map(ToString::to_string).unwrap_or_default();
    let detail = format!("the digests name {}, but {place} was verified", named.unwrap_or_default());
    report.push(Break::of_export(BreakCode::WrongPlace, detail));
}
