//! Colours, times and tables.

use std::io::{self, IsTerminal};

use console::{Term, measure_text_width, truncate_str};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::{arguments::ColorChoice, text::printable};

/// The emphasis of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Faint,
    Good,
    Warning,
    Bad,
}

/// A column of a table of records.
#[derive(Debug)]
pub struct Column<T> {
    pub heading: &'static str,
    pub cell: fn(&T, &Style) -> (Tone, String),
}

/// The appearance of a program's output.
#[derive(Clone, Debug)]
pub struct Style {
    pub has_colors: bool,
    /// The reader's time zone, shown beside UTC.
    pub zone: TimeZone,
    /// The columns of the terminal. `None`: the output goes elsewhere.
    pub width: Option<usize>,
}

impl Style {
    /// Returns the style of standard output.
    #[must_use]
    pub fn of_standard_output(color: ColorChoice) -> Self {
        let has_colors = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                // <https://no-color.org>: present and not empty.
                let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !is_refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Self { has_colors, zone: TimeZone::system(), width }
    }

    /// Returns a style without colours, in UTC.
    #[must_use]
    pub fn plain() -> Self {
        Self { has_colors: false, zone: TimeZone::UTC, width: None }
    }

    /// Returns a style without colours, one hour ahead of UTC in winter.
    #[cfg(any(test, feature = "test-support"))]
    #[must_use]
    pub fn for_tests() -> Self {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or_else(|error| unreachable!("{error}"));
        Self { has_colors: false, zone, width: None }
    }

    /// Returns a style with times in UTC only.
    #[must_use]
    pub fn in_utc(&self) -> Self {
        Self { zone: TimeZone::UTC, ..self.clone() }
    }

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

    /// Formats a time of the API to the second: in UTC and, if that differs, in the reader's time zone.
    #[must_use]
    pub fn time(&self, text: &str) -> String {
        self.in_both_zones(text, ["%Y-%m-%d %H:%M:%S UTC", "%H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %Z"])
    }

    /// Formats a time like [`Self::time`], but to the minute and without the zone's name, for tables.
    #[must_use]
    pub fn short_time(&self, text: &str) -> String {
        self.in_both_zones(text, ["%Y-%m-%d %H:%MZ", "%H:%M", "%m-%d %H:%M"])
    }

    /// Formats a time in UTC and in the reader's zone. The formats are those for UTC, for the same day, and for another day.
    fn in_both_zones(&self, text: &str, [universal_format, same_day, other_day]: [&str; 3]) -> String {
        let Ok(time) = text.parse::<Timestamp>() else { return printable(text) };
        let universal = time.to_zoned(TimeZone::UTC);
        let local = time.to_zoned(self.zone.clone());
        let format = if local.date() == universal.date() { same_day } else { other_day };
        let shown = |time: &Zoned, format| time.strftime(format).to_string();
        if local.offset() == universal.offset() {
            shown(&universal, universal_format)
        } else {
            format!("{} ({})", shown(&universal, universal_format), shown(&local, format))
        }
    }

    /// Formats lines of name and value; a field without a value is left out.
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

    /// Returns the first columns of a table, as many as fit the terminal; at least one.
    #[must_use]
    pub fn fitting<'a, T>(&self, columns: &'a [Column<T>], records: &[T]) -> &'a [Column<T>] {
        let Some(width) = self.width else { return columns };
        let fits = |columns: &[Column<T>]| {
            self.records(columns, records).lines().all(|line| measure_text_width(line) <= width)
        };
        let mut shown = columns;
        while let Some((_, fewer)) = shown.split_last().filter(|(_, fewer)| !fewer.is_empty() && !fits(shown)) {
            shown = fewer;
        }
        shown
    }

    /// Returns a line without its end if it is longer than the terminal is wide.
    #[must_use]
    pub fn shortened(&self, line: &str) -> String {
        self.width.map_or_else(|| line.to_owned(), |width| truncate_str(line, width, "…").into_owned())
    }

    /// Formats a table with a row for each record.
    #[must_use]
    pub fn records<T>(&self, columns: &[Column<T>], records: &[T]) -> String {
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        let row = |record: &T| columns.iter().map(|column| (column.cell)(record, self)).collect();
        self.table(&headings, &records.iter().map(row).collect::<Vec<_>>())
    }

    /// Formats rows under a line of headings, each column as wide as its widest cell. No line ends with a space.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn style() -> Style {
        Style::for_tests()
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
    fn columns_that_do_not_fit_are_left_out_from_the_end() {
        let column = |heading| Column { heading, cell: |text: &String, _| (Tone::Bad, text.clone()) };
        let columns = ["A", "B", "C"].map(column);
        let records = ["four".to_owned()];
        let count = |width| {
            let colored = Style { has_colors: true, width, ..style() };
            colored.fitting(&columns, &records).len()
        };
        assert_eq!([None, Some(16), Some(15), Some(10), Some(9), Some(1)].map(count), [3, 3, 2, 2, 1, 1]);
        let narrow = Style { width: Some(4), ..style() };
        assert_eq!((narrow.shortened("four"), narrow.shortened("fives")), ("four".to_owned(), "fiv…".to_owned()));
        assert_eq!(style().shortened("fives"), "fives");
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
