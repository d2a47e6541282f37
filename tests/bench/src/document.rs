//! The tables of docs/PERFORMANCE.md and docs/reference/MEASUREMENTS.md, generated from the committed report.

use std::{fs, path::Path};

use golden_documents::{assert_current, with_sections};
use serde::Deserialize;

use crate::{
    report::rounded,
    targets::{Measured, verdicts},
};

/// The section that is about all suites.
const TARGETS: &str = "targets";

/// The pages with tables, relative to `docs/`. The first has the tables that its text discusses, the second the others.
const PAGES: [&str; 2] = ["PERFORMANCE.md", "reference/MEASUREMENTS.md"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    is_quick: bool,
    figures: Vec<Figure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figure {
    suite: String,
    subject: String,
    measure: String,
    unit: String,
    value: f64,
    ratio: Option<f64>,
    ratio_to: Option<String>,
}

/// Returns the distinct texts in the order of their first appearance.
fn in_order<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

impl Figure {
    fn measured(&self) -> Measured<'_> {
        let Self { suite, subject, measure, unit, value, ratio, .. } = self;
        Measured { suite, subject, measure, unit, value: *value, ratio: *ratio }
    }

    fn heading(&self) -> String {
        if self.unit.is_empty() { self.measure.clone() } else { format!("{}, {}", self.measure, self.unit) }
    }

    fn cell(&self) -> String {
        match (self.ratio, &self.ratio_to) {
            // A subject is not compared with itself.
            (Some(ratio), Some(to)) if ratio.to_bits() != 1_f64.to_bits() => {
                format!("{} ({} × {to})", rounded(self.value), rounded(ratio))
            }
            _ => rounded(self.value),
        }
    }
}

/// Returns a table with a row for each subject and a column for each measure.
fn table(report: &Report, suite: &str) -> String {
    let figures: Vec<&Figure> = report.figures.iter().filter(|figure| figure.suite == suite).collect();
    let headings: Vec<String> = figures.iter().map(|figure| figure.heading()).collect();
    let columns = in_order(headings.iter().map(String::as_str));
    let head = format!("| | {} |\n|---|{}\n", columns.join(" | "), "---:|".repeat(columns.len()));
    let row = |subject: &str| {
        let cell = |column: &&str| {
            let found = figures.iter().find(|figure| figure.subject == subject && figure.heading() == **column);
            found.map(|figure| figure.cell()).unwrap_or_default()
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        format!("| {subject} | {} |\n", cells.join(" | "))
    };
    let rows: String = in_order(figures.iter().map(|figure| figure.subject.as_str())).into_iter().map(row).collect();
    head + &rows
}

fn targets(report: &Report) -> String {
    let measured: Vec<_> = report.figures.iter().map(Figure::measured).collect();
    let rows = verdicts(&measured).into_iter().map(|verdict| {
        let word = if verdict.is_met { "met" } else { "**falls short**" };
        format!("| {} | {} | {} | {word} |\n", verdict.target, verdict.bound, verdict.measured)
    });
    "| | target | measured | |\n|---|---|---:|---|\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn the_page_shows_every_figure_of_the_report() {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report: Report = serde_json::from_slice(&fs::read(bench.join("results/report.json")).unwrap()).unwrap();
    assert!(!report.is_quick, "a quick run is for trying");
    let mut shown = Vec::new();
    for name in PAGES {
        let path = bench.join("../../docs").join(name);
        let page = fs::read_to_string(&path).unwrap();
        let filled = with_sections(&page, |suite| {
            shown.push(suite.to_owned());
            if suite == TARGETS { targets(&report) } else { table(&report, suite) }
        });
        assert_current(&path, &filled.unwrap(), "cargo test -p bench document");
    }
    let measured = in_order(report.figures.iter().map(|figure| figure.suite.as_str()));
    assert!(measured.iter().all(|suite| shown.iter().any(|shown| shown == suite)), "{shown:?} of {measured:?}");
}

#[test]
fn a_table_has_a_row_for_each_subject() {
    let figure = |subject: &str, measure: &str, ratio| Figure {
        suite: "export".to_owned(),
        subject: subject.to_owned(),
        measure: measure.to_owned(),
        unit: "s".to_owned(),
        value: 2.0,
        ratio,
        ratio_to: Some("limit".to_owned()),
    };
    let figures =
        vec![figure("limit", "CPU", Some(1.0)), figure("ours", "CPU", Some(1.25)), figure("ours", "time", None)];
    let report = Report { is_quick: false, figures };
    let expected =
        "| | CPU, s | time, s |\n|---|---:|---:|\n| limit | 2.00 |  |\n| ours | 2.00 (1.25 × limit) | 2.00 |\n";
    assert_eq!(table(&report, "export"), expected);
}
