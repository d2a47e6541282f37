//! What the figures have to be. A target says which figures it is about, and is met if the worst of them keeps the bound.

use std::io::Write;

use anyhow::Result;

use crate::report::{Figure, Report, rounded};

/// A figure of a report.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    pub suite: &'a str,
    pub subject: &'a str,
    pub measure: &'a str,
    pub unit: &'a str,
    pub value: f64,
    pub ratio: Option<f64>,
}

impl<'a> From<&'a Figure> for Measured<'a> {
    fn from(figure: &'a Figure) -> Self {
        let Figure { suite, subject, measure, unit, value, ratio, .. } = figure;
        Self { suite, subject, measure, unit, value: *value, ratio: *ratio }
    }
}

/// What of a figure is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Value,
    /// The ratio to another figure of the same run, named here for people.
    Ratio(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

struct Target {
    suite: &'static str,
    /// The beginning and the end of the subjects.
    subjects: (&'static str, &'static str),
    measure: &'static str,
    quantity: Quantity,
    bound: Bound,
}

const fn target(
    suite: &'static str,
    subjects: (&'static str, &'static str),
    measure: &'static str,
    quantity: Quantity,
    bound: Bound,
) -> Target {
    Target { suite, subjects, measure, quantity, bound }
}

use Bound::{AtLeast, AtMost};
use Quantity::{Ratio, Value};

const EXPORT: (&str, &str) = ("audit-export, ", "");
const FIRST_POLL: &str = "to the first poll";
const MINIMAL: Quantity = Ratio("the minimal function");
const RAW_SPEED: &str = "raw speed per CPU second";

const TARGETS: [Target; 20] = [
    target("export", EXPORT, "CPU per raw GB", Ratio("the SDK's limit"), AtMost(0.70)),
    target("export", EXPORT, "raw speed", Ratio("the SDK's limit"), AtLeast(1.0)),
    target("export", EXPORT, "peak memory", Value, AtMost(64.0)),
    target("memory", ("audit-export", ""), "peak memory", Value, AtMost(64.0)),
    target("parquet", ("audit-export, from .ndjson.gz", "typed columns"), RAW_SPEED, Ratio("DuckDB"), AtLeast(2.0)),
    target("parquet", ("audit-export, from stored blocks", "typed columns"), RAW_SPEED, Ratio("DuckDB"), AtLeast(2.0)),
    target("parquet", ("audit-export", "with event"), RAW_SPEED, Ratio("DuckDB"), AtLeast(1.0)),
    target("parquet", ("audit-export", ""), "peak memory", Value, AtMost(256.0)),
    target("converter", ("", ""), "peak memory", Value, AtMost(256.0)),
    target("archive", ("from the archive", ""), "raw speed", Ratio("reads of the table"), AtLeast(0.8)),
    // Four tenants at a time, of 100 MB each: `CONCURRENCY` of the archiver.
    target("archiver", ("", ""), "peak memory", Value, AtMost(384.0)),
    target("filter", ("a field that no event has", ""), RAW_SPEED, Value, AtLeast(500.0)),
    target("ingest", ("requests of 1 events", ""), "CPU per event", Value, AtMost(200.0)),
    target("ingest", ("requests of 100 events", ""), "CPU per event", Value, AtMost(9.0)),
    target("ingest", ("blocks of 100 events", "level 8"), "compressed by", Value, AtLeast(6.2)),
    target("cold start", ("api", ""), FIRST_POLL, MINIMAL, AtMost(1.5)),
    target("cold start", ("ingest", ""), FIRST_POLL, MINIMAL, AtMost(1.5)),
    target("cold start", ("exporter", ""), FIRST_POLL, MINIMAL, AtMost(1.5)),
    target("cold start", ("verifier", ""), FIRST_POLL, MINIMAL, AtMost(1.5)),
    target("sweep", ("", ""), "peak memory", Value, AtMost(64.0)),
];

/// A target beside what was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub target: String,
    pub bound: String,
    pub measured: String,
    pub is_met: bool,
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        if self.is_met { "met" } else { "falls short" }
    }
}

/// Prints the targets of the suites that were run.
pub fn print(report: &Report, output: &mut impl Write) -> Result<()> {
    let measured: Vec<_> = report.figures.iter().map(Measured::from).collect();
    for verdict in verdicts(&measured) {
        let Verdict { target, bound, measured, .. } = &verdict;
        writeln!(output, "{:<11}  {target}: {bound}, is {measured}", verdict.word())?;
    }
    Ok(())
}

/// Returns the verdicts of the targets whose suites were run.
pub fn verdicts(figures: &[Measured<'_>]) -> Vec<Verdict> {
    TARGETS.iter().filter_map(|target| target.verdict(figures)).collect()
}

impl Target {
    fn verdict(&self, figures: &[Measured<'_>]) -> Option<Verdict> {
        let (begin, end) = self.subjects;
        let about = figures.iter().filter(|figure| {
            figure.suite == self.suite
                && figure.measure == self.measure
                && figure.subject.starts_with(begin)
                && figure.subject.ends_with(end)
        });
        let quantities = about.filter_map(|figure| match self.quantity {
            Value => Some((figure.value, figure.unit)),
            Ratio(_) => figure.ratio.map(|ratio| (ratio, "")),
        });
        let (worst, unit) = match self.bound {
            AtMost(_) => quantities.max_by(|one, other| one.0.total_cmp(&other.0)),
            AtLeast(_) => quantities.min_by(|one, other| one.0.total_cmp(&other.0)),
        }?;
        let (word, bound, is_met) = match self.bound {
            AtMost(bound) => ("at most", bound, worst <= bound),
            AtLeast(bound) => ("at least", bound, worst >= bound),
        };
        let of = match self.quantity {
            Value => unit.to_owned(),
            Ratio(to) => format!("× {to}"),
        };
        let subjects: Vec<&str> = [begin, end].into_iter().map(|part| part.trim_matches([',', ' '])).collect();
        let parts = [self.suite].into_iter().chain(subjects).chain([self.measure]).filter(|part| !part.is_empty());
        Some(Verdict {
            target: parts.collect::<Vec<_>>().join(", "),
            bound: format!("{word} {} {of}", rounded(bound)).trim_end().to_owned(),
            measured: rounded(worst),
            is_met,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure<'a>(subject: &'a str, measure: &'a str, value: f64, ratio: f64) -> Measured<'a> {
        Measured { suite: "export", subject, measure, unit: "MiB", value, ratio: Some(ratio) }
    }

    #[test]
    fn the_targets_of_a_report_are_printed() {
        let mut report = Report::default();
        report.add("export", "audit-export, 7 events", "peak memory", "MiB", &[65.0]);
        let mut printed = Vec::new();
        print(&report, &mut printed).unwrap();
        let expected = "falls short  export, audit-export, peak memory: at most 64.0 MiB, is 65.0\n";
        assert_eq!(String::from_utf8(printed).unwrap(), expected);
    }

    #[test]
    fn the_worst_figure_decides() {
        let figures = [
            figure("audit-export, 10 events", "CPU per raw GB", 0.4, 0.7),
            figure("audit-export, 20 events", "CPU per raw GB", 0.3, 0.71),
            figure("gzip, 20 events", "CPU per raw GB", 9.0, 20.0),
            figure("audit-export, 10 events", "peak memory", 64.0, 1.2),
        ];
        let verdicts = verdicts(&figures);
        let shown = |verdict: &Verdict| {
            format!("{}: {}, is {}: {}", verdict.target, verdict.bound, verdict.measured, verdict.word())
        };
        assert_eq!(
            verdicts.iter().map(shown).collect::<Vec<_>>(),
            [
                "export, audit-export, CPU per raw GB: at most 0.700 × the SDK's limit, is 0.710: falls short",
                "export, audit-export, peak memory: at most 64.0 MiB, is 64.0: met",
            ],
        );
    }
}
