//! The report as text.

use std::fmt::{self, Display, Formatter};

use domain::{digest::GapReason, time::Timestamp};

use crate::{
    breaks::Break,
    report::{ExpectationSource, NamedFiles, Report, SequenceRange, VerificationOutcome},
};

/// The most lines of one list. The JSON form has more.
const MAX_LINES: usize = 10;

/// A name from outside, printed without the characters that control a terminal.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            // Marks that change the direction of writing could make a name look like another.
            let is_direction =
                matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            if character.is_control() || is_direction {
                write!(formatter, "{}", character.escape_unicode())
            } else {
                write!(formatter, "{character}")
            }
        })
    }
}

struct Optional<T>(Option<T>);

impl<T: Display> Display for Optional<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(formatter),
            None => formatter.write_str("-"),
        }
    }
}

impl Display for SequenceRange {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.first_sequence == self.last_sequence {
            write!(formatter, "{}", self.first_sequence)
        } else {
            write!(formatter, "{} to {}", self.first_sequence, self.last_sequence)
        }
    }
}

fn line(formatter: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(formatter, "{name:<15} {value}")
}

fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        _ => "-".to_owned(),
    }
}

fn more(formatter: &mut Formatter<'_>, count: u64, shown: usize) -> fmt::Result {
    let hidden = count.saturating_sub(shown as u64);
    if hidden > 0 { writeln!(formatter, "  and {hidden} more") } else { Ok(()) }
}

fn files(formatter: &mut Formatter<'_>, title: &str, files: &NamedFiles) -> fmt::Result {
    if files.count == 0 {
        return Ok(());
    }
    writeln!(formatter, "\n{title} ({})", files.count)?;
    let shown = files.names.len().min(MAX_LINES);
    for name in files.names.iter().take(shown) {
        writeln!(formatter, "  {}", Name(name))?;
    }
    more(formatter, files.count, shown)
}

/// One line each for the meaning, the file and the detail. The last two are indented by four spaces.
impl Display for Break {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.code.explanation())?;
        if let Some(file) = &self.file {
            write!(formatter, "\n    {}", Name(file))?;
        }
        write!(formatter, "\n    {}", Name(&self.detail))
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "Verification of an audit-log export\n")?;
        self.write_head(formatter)?;
        self.write_numbers(formatter)?;
        self.write_unproven(formatter)?;
        self.write_breaks(formatter)?;
        self.write_keys(formatter)?;
        self.write_gaps(formatter)?;
        self.write_filters(formatter)?;
        files(formatter, "Pending: received after the period, not yet named by a digest", &self.pending)?;
        files(formatter, "Not covered: the digests of their times are not here, or are broken", &self.uncovered)?;
        files(formatter, "Created by the operating system: not part of the export, not checked", &self.system_files)?;
        self.write_elsewhere(formatter)
    }
}

impl Report {
    fn write_head(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match self.outcome {
            VerificationOutcome::Outdated => {
                format!(
                    "OUTDATED: complete through {}, but the service has exported more",
                    Optional(self.complete_through)
                )
            }
            VerificationOutcome::Complete if self.is_whole => {
                format!("COMPLETE through {}", Optional(self.complete_through))
            }
            VerificationOutcome::Complete if self.digests.stretches > 1 => format!(
                "COMPLETE through {}, for the {} parts that are here",
                Optional(self.complete_through),
                self.digests.stretches
            ),
            VerificationOutcome::Complete => {
                let from = self.period.map(|period| period.from);
                format!(
                    "COMPLETE through {}, for the part from {} that is here",
                    Optional(self.complete_through),
                    Optional(from)
                )
            }
            VerificationOutcome::Broken => {
                let first = self.breaks.first().map(|broken| broken.code.as_str());
                format!("BROKEN: {}", Optional(first))
            }
        };
        let unproven = match self.unproven_files() {
            0 => String::new(),
            1 => "; 1 file here is not proven".to_owned(),
            count => format!("; {count} files here are not proven"),
        };
        line(formatter, "Verdict", format_args!("{verdict}{unproven}"))?;
        line(formatter, "Verified", Name(&self.circumstances.target))?;
        line(formatter, "At", self.circumstances.verified_at)?;
        line(formatter, "By", &self.circumstances.program)?;
        line(formatter, "Tenant", Optional(self.tenant_id.as_ref()))?;
        line(formatter, "Configuration", Optional(self.configuration_id))?;
        line(formatter, "Place", Optional(self.place.as_ref()))?;
        line(formatter, "Period", span(self.period.map(|period| period.from), self.period.map(|period| period.to)))?;
        if let Some(since) = self.since {
            line(formatter, "Since", format_args!("{since}; older digests were not checked"))?;
        }
        let expectation = self.expectation;
        let source = match expectation.source {
            ExpectationSource::Caller => "",
            ExpectationSource::Service => ", by the service",
        };
        match (expectation.through, expectation.head) {
            (None, None) => line(formatter, "Expected", "nothing: missing digests at the end would not show"),
            (through, head) => {
                if let Some(through) = through {
                    line(formatter, "Expected", format_args!("through {through}{source}"))?;
                }
                head.map_or(Ok(()), |head| line(formatter, "Expected", format_args!("digest {head}{source}")))
            }
        }
    }

    fn write_numbers(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (digests, objects) = (self.digests, self.objects);
        let sequences = match (digests.first_sequence, digests.last_sequence) {
            (Some(first), Some(last)) => format!(" (sequence {first} to {last})"),
            _ => String::new(),
        };
        line(formatter, "Digests", format_args!("{}{sequences}", digests.count))?;
        if digests.stretches > 1 {
            line(formatter, "Stretches", format_args!("{}, not linked with each other here", digests.stretches))?;
        }
        line(formatter, "Newest digest", Optional(digests.head_sha256))?;
        let inflated =
            if objects.inflated > 0 { format!(", {} inflated and counted", objects.inflated) } else { String::new() };
        line(formatter, "Objects", format_args!("{}, {} intact{inflated}", objects.count, objects.intact))?;
        let left_out = match digests.left_out {
            0 => String::new(),
            count => format!(", {count} left out by filters"),
        };
        line(formatter, "Events", format_args!("{}{left_out}", objects.events))?;
        line(formatter, "Event times", span(objects.oldest_event, objects.newest_event))?;
        line(formatter, "Bytes", format_args!("{} raw, {} stored", objects.raw_bytes, objects.stored_bytes))
    }

    fn write_unproven(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let ranges = &self.unproven_digests;
        if ranges.is_empty() {
            return Ok(());
        }
        writeln!(formatter, "\nDigests not proven here ({})", ranges.len())?;
        let shown = ranges.len().min(MAX_LINES);
        for range in ranges.iter().take(shown) {
            let unknown = match range.first_sequence.checked_sub(1) {
                Some(end) => format!("other digests followed digest {end} here"),
                None => "any of them was here".to_owned(),
            };
            writeln!(formatter, "  {range}: this place alone does not prove whether {unknown}")?;
        }
        more(formatter, ranges.len() as u64, shown)?;
        writeln!(
            formatter,
            "  To prove it, verify the place that holds them: its report has the SHA-256 of the digest before them, for --expect-head."
        )?;
        writeln!(formatter, "  With --require-whole, the export counts as broken.")
    }

    fn write_breaks(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.break_count == 0 {
            return Ok(());
        }
        writeln!(formatter, "\nBreaks ({})", self.break_count)?;
        let shown = self.breaks.len().min(MAX_LINES);
        for broken in self.breaks.iter().take(shown) {
            writeln!(formatter, "  {broken}")?;
        }
        more(formatter, self.break_count, shown)
    }

    fn write_keys(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.signing_keys.is_empty() {
            return Ok(());
        }
        writeln!(formatter, "\nSigning keys, by the SHA-256 of their DER ({})", self.signing_keys.len())?;
        let shown = self.signing_keys.len().min(MAX_LINES);
        for key in self.signing_keys.iter().take(shown) {
            let digests = if key.digests == 1 { "1 digest".to_owned() } else { format!("{} digests", key.digests) };
            writeln!(
                formatter,
                "  {}: {digests} (sequence {} to {})",
                key.fingerprint, key.first_sequence, key.last_sequence
            )?;
        }
        more(formatter, self.signing_keys.len() as u64, shown)
    }

    fn write_gaps(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.gap_count == 0 {
            return Ok(());
        }
        writeln!(
            formatter,
            "\nGaps, signed by the service: received events that are in no object ({})",
            self.gap_count
        )?;
        let shown = self.gaps.len().min(MAX_LINES);
        for gap in self.gaps.iter().take(shown) {
            match (gap.reason, gap.block) {
                (GapReason::BlockCorrupt, Some(block)) => writeln!(
                    formatter,
                    "  received {}: block {block} was damaged, and the operator approved skipping it",
                    gap.from
                )?,
                (GapReason::StartBeforeRetention, _) => writeln!(
                    formatter,
                    "  received {} to {}: the export was configured to start before the retention",
                    gap.from, gap.to
                )?,
                (GapReason::RetentionEnded | GapReason::BlockCorrupt, _) => writeln!(
                    formatter,
                    "  received {} to {}: their retention ended before they could be exported",
                    gap.from, gap.to
                )?,
            }
        }
        more(formatter, self.gap_count, shown)
    }

    fn write_filters(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let count = self.filters.len() as u64;
        if count == 0 {
            return Ok(());
        }
        writeln!(formatter, "\nFilters, signed by the service: received events that the customer left out ({count})")?;
        let shown = self.filters.len().min(MAX_LINES);
        for used in self.filters.iter().take(shown) {
            let range = SequenceRange { first_sequence: used.first_sequence, last_sequence: used.last_sequence };
            let digests = if used.digests == 1 { "1 digest".to_owned() } else { format!("{} digests", used.digests) };
            writeln!(formatter, "  {} left out in {digests} (sequence {range}) by {}", used.left_out, used.filter)?;
        }
        more(formatter, count, shown)?;
        match self.unlisted_filters {
            0 => Ok(()),
            digests => writeln!(formatter, "  and further filters of {digests} digests"),
        }
    }

    fn write_elsewhere(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let elsewhere = &self.elsewhere;
        if elsewhere.digest_count > 0 {
            let title =
                "Elsewhere, not checked: the destination was changed, and these older digests continue the chain";
            writeln!(formatter, "\n{title} ({})", elsewhere.digest_count)?;
            let shown = elsewhere.digests.len().min(MAX_LINES);
            for digest in elsewhere.digests.iter().take(shown) {
                writeln!(formatter, "  s3://{}/{}", digest.bucket.as_str(), Name(&digest.key))?;
                writeln!(formatter, "    SHA-256 {}", digest.sha256)?;
            }
            more(formatter, elsewhere.digest_count, shown)?;
        }
        files(formatter, "Elsewhere, not checked: objects in other places", &elsewhere.objects)
    }
}
