//! The command `search`: finds events in the files of an export, each proven before its events are shown.

mod event;
mod filter;
mod lines;
mod results;

use std::ops::ControlFlow;

use clap::{Args, ValueEnum};
use domain::digest::DigestObject;
use host::Clock;
use terminal::{ColorChoice, grouped};
use verification::{Break, BreakCode, Progress, ProvenObject, Report, read_proven};

use self::{
    event::Event,
    filter::Filter,
    lines::{Lines, LinesError},
    results::Results,
};
use super::{
    period::{FILTER, Period},
    place::{self, Display, Export, PlaceArguments},
};
use crate::{failure::Failure, output::Style};

const EXAMPLES: &str = "\
Examples:
  audit-export search copy --public-key key.pem --actor alice@example.com \\
    --since 2026-11-01T00:00:00Z
  audit-export search 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --profile production --action QUERY --action LOGIN --limit 20
  audit-export search \\
    s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --public-key key.pem --target customers --text 'credit card' \\
    --output json | jq .

The exit code is 0 even if no event matches, 6 if a digest or a file that is read is broken, and 13 if only a newer export is missing in a copy; `audit-export --help` lists the others. Events that were printed before a failure are proven.";

/// Find events in an export
///
/// Proves the chain of signed digests as `audit-export verify` does. Then reads the files that the digests name, and shows
/// the events of a file only after its bytes were proven. A missing or changed file ends the search with the codes of
/// `verify`. Files whose events are all before `--since` or after `--until` are not read, and not verified. Memory stays
/// flat, whatever the size of the export.
///
/// Several values of one option match any of them; several options match only events that meet all. The order is that of
/// receipt.
///
/// A bucket is read with your own AWS credentials, as by `verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArguments {
    #[command(flatten)]
    place: PlaceArguments,

    /// The `id` of the actor exactly, or the actor's `name` ignoring case; repeat it for several
    #[arg(long = "actor", value_name = "ID|NAME", help_heading = FILTER)]
    actors: Vec<String>,

    /// The `action`, ignoring case; repeat it for several
    #[arg(long = "action", value_name = "ACTION", help_heading = FILTER)]
    actions: Vec<String>,

    /// The `id` of one of the `targets` exactly, or its `name` ignoring case; repeat it for several
    #[arg(long = "target", value_name = "ID|NAME", help_heading = FILTER)]
    targets: Vec<String>,

    #[command(flatten)]
    period: Period,

    /// A text anywhere in the event, in a name or in a value, ignoring case; repeat it for several
    ///
    /// Escapes such as `\u00e9` are found as the characters that they stand for.
    #[arg(long = "text", value_name = "TEXT", help_heading = FILTER)]
    texts: Vec<String>,

    /// Stop after this number of matching events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..), help_heading = FILTER)]
    limit: Option<u64>,

    /// The format of the events
    #[arg(long, value_enum, default_value_t, help_heading = OUTPUT)]
    output: EventFormat,

    /// When to print colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = OUTPUT)]
    color: ColorChoice,
}

const OUTPUT: &str = "Output";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum EventFormat {
    /// A row for each event, as wide as the terminal
    #[default]
    Table,
    /// The lines exactly as stored (NDJSON); on a terminal, characters that control it are escaped
    Json,
}

impl SearchArguments {
    fn filter(&self) -> Result<Filter, Failure> {
        let Period { since, until } = self.period.checked()?;
        Ok(Filter::new(&self.actors, &self.actions, &self.targets, &self.texts, since, until))
    }
}

pub async fn run(arguments: &SearchArguments, clock: &dyn Clock) -> Result<(), Failure> {
    let filter = arguments.filter()?;
    let Export { source, options, circumstances } = arguments.place.open(clock).await?;
    let results = match arguments.output {
        EventFormat::Table => Results::table(Style::of_standard_output(arguments.color)),
        EventFormat::Json => Results::lines(),
    };
    let mut search = Search::new(&filter, results, arguments.limit);
    let display = Display::new();
    let read = {
        let mut take = |object: ProvenObject| display.suspended(|| search.take(&object));
        let wanted = |object: &DigestObject| filter.may_match(object);
        let show = |progress: Progress<'_>| display.show(progress);
        read_proven(&source, &options, circumstances, &show, &wanted, &mut take).await
    };
    display.finish();
    search.end()?;
    let report = read.map_err(|error| source.failure(error))?;
    search.summarize(&report, arguments.output);
    place::show_breaks(&report);
    place::conclusion(&report)
}

/// A search in progress.
struct Search<'a> {
    filter: &'a Filter,
    results: Results,
    limit: Option<u64>,
    files: u64,
    events: u64,
    matches: u64,
    unreadable: u64,
    failure: Option<Failure>,
}

impl<'a> Search<'a> {
    fn new(filter: &'a Filter, results: Results, limit: Option<u64>) -> Self {
        Self { filter, results, limit, files: 0, events: 0, matches: 0, unreadable: 0, failure: None }
    }

    /// Searches the lines of an object.
    fn take(&mut self, proven: &ProvenObject) -> ControlFlow<()> {
        match self.search(proven) {
            Ok(flow) => flow,
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn search(&mut self, proven: &ProvenObject) -> Result<ControlFlow<()>, Failure> {
        let mut lines = Lines::of(proven).map_err(|error| refused(proven, error))?;
        self.files += 1;
        while let Some(line) = lines.next_line().map_err(|error| refused(proven, error))? {
            self.events += 1;
            if self.push(line)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.results.flush()
    }

    fn push(&mut self, line: &[u8]) -> Result<ControlFlow<()>, Failure> {
        if !self.filter.matches_text(line) {
            return Ok(ControlFlow::Continue(()));
        }
        let parsed = Event::parse(line).ok();
        self.unreadable += u64::from(parsed.is_none());
        let event = parsed.unwrap_or_default();
        if !self.filter.matches(&event) {
            return Ok(ControlFlow::Continue(()));
        }
        self.matches += 1;
        if self.results.push(line, &event)?.is_break() || self.limit == Some(self.matches) {
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Prints what is left.
    fn end(&mut self) -> Result<(), Failure> {
        let _is_closed = self.results.end()?;
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Says what was searched, and what was not.
    fn summarize(&self, report: &Report, format: EventFormat) {
        if format == EventFormat::Table {
            let limited = if self.limit == Some(self.matches) { "; stopped at the limit" } else { "" };
            let [matches, events, files, all] =
                [self.matches, self.events, self.files, report.objects.count].map(|count| grouped(&count.to_string()));
            let text = format!("{files} of {all} files; {matches} of {events} events match{limited}");
            terminal::report("searched", &text);
        }
        if self.unreadable > 0 {
            terminal::warn(&format!(
                "{} events are not JSON that can be read: they match --text only",
                self.unreadable
            ));
        }
        place::warn_of_unread(report, "searched");
    }
}

/// Returns the failure of an object whose lines can't be read.
fn refused(proven: &ProvenObject, error: LinesError) -> Failure {
    match error {
        LinesError::Unsupported(error) => Failure::invalid_file(&proven.name, error),
        LinesError::Mismatch(detail) => {
            let broken =
                Break { code: BreakCode::ContentMismatch, file: Some(proven.name.clone()), sequence: None, detail };
            terminal::report("broken", &broken);
            Failure::Broken(broken.code.as_str())
        }
    }
}
