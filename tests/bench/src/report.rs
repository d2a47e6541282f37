//! The figures of a run: a table for people and a JSON file for programs.

use std::{fs, io::Write, path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// For example `export`.
    pub suite: &'static str,
    /// For example `audit-export, 10,000,000 events`.
    pub subject: String,
    /// For example `CPU`.
    pub measure: &'static str,
    pub unit: &'static str,
    /// The median of the samples.
    pub value: f64,
    /// The value relative to that of `ratio_to` in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to: Option<&'static str>,
    pub samples: Vec<f64>,
}

/// All figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub machine: String,
    pub is_quick: bool,
    pub notes: Vec<String>,
    pub figures: Vec<Figure>,
}

impl Report {
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds the median of the samples.
    pub fn add(
        &mut self,
        suite: &'static str,
        subject: &str,
        measure: &'static str,
        unit: &'static str,
        samples: &[f64],
    ) {
        self.figures.push(Figure {
            suite,
            subject: subject.to_owned(),
            measure,
            unit,
            value: median(samples),
            ratio: None,
            ratio_to: None,
            samples: samples.to_vec(),
        });
    }

    /// Adds to the last figure its ratio to another subject's median of the same measure.
    pub fn compare(&mut self, ratio_to: &'static str, to: f64) {
        if let Some(figure) = self.figures.last_mut()
            && to > 0.0
        {
            figure.ratio = Some(figure.value / to);
            figure.ratio_to = Some(ratio_to);
        }
    }

    /// Writes the report with one figure a line.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Self { machine, is_quick, notes, figures } = self;
        let lines = figures.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let text = format!(
            "{{\n  \"machine\": {},\n  \"isQuick\": {is_quick},\n  \"notes\": {},\n  \"figures\": [\n    {}\n  ]\n}}\n",
            serde_json::to_string(machine)?,
            serde_json::to_string(notes)?,
            lines.join(",\n    "),
        );
        fs::write(path, text)?;
        Ok(())
    }

    pub fn print(&self, output: &mut impl Write) -> Result<()> {
        let rows: Vec<[String; 5]> = self.figures.iter().map(Figure::row).collect();
        let head = ["suite", "subject", "measure", "value", "ratio"].map(ToOwned::to_owned);
        let width =
            |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4].map(width);
        let mut last = "";
        for row in [&head].into_iter().chain(&rows) {
            if row[0] != last {
                writeln!(output)?;
                last = &row[0];
            }
            let [suite, subject, measure, value, ratio] = row;
            writeln!(
                output,
                "{suite:<0$}  {subject:<1$}  {measure:<2$}  {value:>3$}  {ratio}",
                widths[0], widths[1], widths[2], widths[3]
            )?;
        }
        writeln!(output)?;
        for note in &self.notes {
            writeln!(output, "- {note}")?;
        }
        Ok(())
    }
}

impl Figure {
    fn row(&self) -> [String; 5] {
        let ratio = match (self.ratio, self.ratio_to) {
            (Some(ratio), Some(to)) => format!("{} x {to}", rounded(ratio)),
            _ => String::new(),
        };
        let value = format!("{} {:<9}", rounded(self.value), self.unit);
        [self.suite.to_owned(), self.subject.clone(), self.measure.to_owned(), value, ratio]
    }
}

/// Formats a number with three significant digits and thousands separators.
pub fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => grouped(whole(value)),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Formats a number with thousands separators.
pub fn grouped(number: u64) -> String {
    terminal::grouped(&number.to_string())
}

/// Returns the middle sample, or the mean of the middle two; 0 if there are none.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// Returns a quantile by linear interpolation between samples.
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = share * float(last as u64);
    let at = |index: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the number of samples"
        )]
        let index = index as usize;
        sorted[index.min(last)]
    };
    let low = at(position.floor());
    low + (at(position.ceil()) - low) * position.fract()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2 to the 53rd, and only shown")]
pub fn float(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures are positive, and only shown")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// Converts bytes to units of a billion.
pub fn gigabytes(bytes: u64) -> f64 {
    float(bytes) / 1e9
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub fn mebibytes(bytes: u64) -> f64 {
    float(bytes) / 1_048_576.0
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact numbers")]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 10_000_000].map(grouped), ["0", "999", "1,000", "10,000,000"]);
    }

    #[test]
    fn quantiles() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(quantile(&[0.0, 10.0], 0.99), 9.9);
    }

    #[test]
    fn a_figure_is_compared_with_its_own_run() {
        let mut report = Report::default();
        report.add("export", "ours", "CPU", "s/GB", &[1.0, 1.2, 1.1]);
        report.compare("limit", 0.55);
        report.note("a note");
        let figure = &report.figures[0];
        assert_eq!((figure.value, figure.ratio), (1.1, Some(2.0)));
        let mut table = Vec::new();
        report.print(&mut table).unwrap();
        let table = String::from_utf8(table).unwrap();
        assert!(table.contains("1.10 s/GB") && table.contains("2.00 x limit") && table.contains("- a note"), "{table}");
    }
}
