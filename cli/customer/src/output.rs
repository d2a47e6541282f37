//! The one place that writes to the terminal.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use console::measure_text_width;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{api::Answer, failure::Failure, text::printable};

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned lines of name and value
    #[default]
    Table,
    /// One JSON document on one line
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// Where a person looks at it, and `NO_COLOR` isn't set
    #[default]
    Auto,
    Always,
    Never,
}

/// How a command shows its result.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// How to print the result; json is exactly what the API answered
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,

    /// Whether to print colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// Where a command's result goes.
#[derive(Debug)]
pub struct Output {
    pub format: OutputFormat,
    pub style: Style,
}

impl Output {
    #[must_use]
    pub fn new(arguments: &OutputArguments) -> Self {
        let has_colors = match arguments.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                // <https://no-color.org>: present and not empty.
                let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !is_refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self { format: arguments.output, style: Style { has_colors, zone: TimeZone::system() } }
    }

    /// Prints the answer as it is, or what `render` makes of it for people.
    pub fn print(
        &self,
        answer: &Answer,
        render: impl FnOnce(&Style) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json => print_line(&answer.json()),
            OutputFormat::Table => print_line(&render(&self.style)?),
        }
    }
}

/// What a text means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

/// How things look: with or without colours, and the times of which zone.
#[derive(Clone, Debug)]
pub struct Style {
    pub has_colors: bool,
    /// The reader's, shown beside UTC.
    pub zone: TimeZone,
}

impl Style {
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let style = console::Style::new().force_styling(self.has_colors);
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => style.bold(),
            Tone::Faint => style.dim(),
            Tone::Good => style.green(),
            Tone::Warning => style.yellow(),
            Tone::Bad => style.red(),
        };
        style.apply_to(text).to_string()
    }

    /// A time of the API in UTC and, where that is another, in the reader's own zone, to the second.
    #[must_use]
    pub fn time(&self, text: &str) -> String {
        let Ok(time) = text.parse::<Timestamp>() else { return printable(text) };
        let universal = time.to_zoned(TimeZone::UTC);
        let local = time.to_zoned(self.zone.clone());
        let shown = universal.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        if local.offset() == universal.offset() {
            shown
        } else if local.date() == universal.date() {
            format!("{shown} ({})", local.strftime("%H:%M:%S %Z"))
        } else {
            format!("{shown} ({})", local.strftime("%Y-%m-%d %H:%M:%S %Z"))
        }
    }

    /// [`Self::time`] to the minute and without the zone's name, for tables.
    #[must_use]
    pub fn short_time(&self, text: &str) -> String {
        let Ok(time) = text.parse::<Timestamp>() else { return printable(text) };
        let universal = time.to_zoned(TimeZone::UTC);
        let local = time.to_zoned(self.zone.clone());
        let shown = universal.strftime("%Y-%m-%d %H:%MZ").to_string();
        if local.offset() == universal.offset() {
            shown
        } else if local.date() == universal.date() {
            format!("{shown} ({})", local.strftime("%H:%M"))
        } else {
            format!("{shown} ({})", local.strftime("%m-%d %H:%M"))
        }
    }

    /// Lines of name and value; what has no value is left out.
    #[must_use]
    pub fn fields(&self, fields: &[(&str, Option<String>)]) -> String {
        let width = fields.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| {
                let padded = format!("{name:width$}");
                Some(format!("{}  {}", self.paint(Tone::Faint, &padded), value.as_ref()?))
            })
            .collect();
        lines.join("\n")
    }

    /// Rows under a line of headings, each column as wide as its widest cell; no space ends a line.
    #[must_use]
    pub fn table(&self, headings: &[&str], rows: &[Vec<(Tone, String)>]) -> String {
        let headings: Vec<(Tone, String)> = headings.iter().map(|name| (Tone::Strong, (*name).to_owned())).collect();
        let all = || std::iter::once(&headings).chain(rows);
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| all().filter_map(|row| row.get(column)).map(|(_, text)| measure_text_width(text)).max())
            .map(Option::unwrap_or_default)
            .collect();
        let lines: Vec<String> = all()
            .map(|row| {
                let mut line = String::new();
                let mut missing = 0;
                for ((tone, text), width) in row.iter().zip(&widths) {
                    line.push_str(&" ".repeat(missing));
                    line.push_str(&self.paint(*tone, text));
                    missing = width.saturating_sub(measure_text_width(text)) + 2;
                }
                // The last cells may be empty.
                line.truncate(line.trim_end().len());
                line
            })
            .collect();
        lines.join("\n")
    }
}

/// Prints the fields of `result`, a flat structure.
pub fn print_result(result: &impl Serialize, format: OutputFormat) -> Result<(), Failure> {
    print_line(&render(result, format).map_err(|error| Failure::StandardOutput(error.into()))?)
}

fn render(result: &impl Serialize, format: OutputFormat) -> Result<String, serde_json::Error> {
    if format == OutputFormat::Json {
        return serde_json::to_string(result);
    }
    let fields = match serde_json::to_value(result)? {
        serde_json::Value::Object(fields) => fields,
        other => return Ok(other.to_string()),
    };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let lines: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            format!("{name:width$}  {text}")
        })
        .collect();
    Ok(lines.join("\n"))
}

/// Writes `bytes` as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    io::stdout().lock().write_all(bytes).or_else(ignore_closed_pipe).map_err(Failure::StandardOutput)
}

pub fn print_line(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{line}").or_else(ignore_closed_pipe).map_err(Failure::StandardOutput)
}

/// `audit-export … | head` ends the reader first: that is no failure.
pub fn ignore_closed_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

pub fn report_failure(failure: &Failure) {
    // Nobody is left to tell if standard error is closed too.
    let _ = writeln!(io::stderr().lock(), "error: {failure}");
}

/// Tells the person, and not the program that reads the result.
pub fn warn(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "warning: {text}");
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Without colours, one hour ahead of UTC in winter.
    pub fn style() -> Style {
        Style { has_colors: false, zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap() }
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Summary {
        accepted: u64,
        key_id: &'static str,
    }

    #[test]
    fn both_formats_show_every_field() {
        let summary = Summary { accepted: 12, key_id: "abc" };
        assert_eq!(render(&summary, OutputFormat::Json).unwrap(), r#"{"accepted":12,"keyId":"abc"}"#);
        assert_eq!(render(&summary, OutputFormat::Table).unwrap(), "accepted  12\nkeyId     abc");
    }

    #[test]
    fn times_are_of_utc_and_of_the_reader() {
        let style = style();
        assert_eq!(style.time("2026-01-31T00:20:00.000Z"), "2026-01-31 00:20:00 UTC (01:20:00 CET)");
        assert_eq!(style.time("2026-07-01T23:20:00.000Z"), "2026-07-01 23:20:00 UTC (2026-07-02 01:20:00 CEST)");
        assert_eq!(style.short_time("2026-01-31T00:20:00.000Z"), "2026-01-31 00:20Z (01:20)");
        assert_eq!(style.short_time("2026-07-01T23:20:00.000Z"), "2026-07-01 23:20Z (07-02 01:20)");
        let universal = Style { zone: TimeZone::UTC, ..style };
        assert_eq!(universal.short_time("2026-01-31T00:20:00.000Z"), "2026-01-31 00:20Z");
        assert_eq!(universal.time("2026-01-31T00:20:00.000Z"), "2026-01-31 00:20:00 UTC");
        assert_eq!(universal.time("\u{1b}[2Jsoon"), "[2Jsoon");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec![(Tone::Plain, "Zoë".to_owned()), (Tone::Bad, "x".to_owned())]];
        assert_eq!(style().table(&["A", "LONG"], &rows), "A    LONG\nZoë  x");
        let empty = [vec![(Tone::Plain, "Zoë".to_owned()), (Tone::Bad, String::new())]];
        assert_eq!(style().table(&["A", "LONG"], &empty), "A    LONG\nZoë");
        let colored = Style { has_colors: true, ..style() };
        assert!(colored.table(&["A", "LONG"], &rows).contains("Zoë  \u{1b}[31mx\u{1b}[0m"));
    }
}
