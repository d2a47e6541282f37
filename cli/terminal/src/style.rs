//! Colours, times and tables.

use std::io::{self, IsTerminal};

use console::{Term, measure_text_width};
use jiff::{Timestamp, tz::TimeZone};

use crate::{arguments::ColorChoice, text::printable};

/// The least width of a column that continues on further lines.
const MIN_BROKEN_COLUMN: usize = 32;

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

    /// Formats a time of the API to the second: in UTC, as options take it, and in the reader's time zone if that differs.
    #[must_use]
    pub fn time(&self, text: &str) -> String {
        let Ok(time) = text.parse::<Timestamp>() else { return printable(text) };
        let universal = time.to_zoned(TimeZone::UTC);
        let local = time.to_zoned(self.zone.clone());
        let shown = universal.strftime("%Y-%m-%dT%H:%M:%SZ");
        if local.offset() == universal.offset() {
            return shown.to_string();
        }
        let format = if local.date() == universal.date() { "%H:%M:%S %Z" } else { "%Y-%m-%d %H:%M:%S %Z" };
        format!("{shown} ({})", local.strftime(format))
    }

    /// Formats the times of a sentence like [`Self::time`].
    #[must_use]
    pub fn times_in(&self, text: &str) -> String {
        let show = |word: &str| {
            let time = word.trim_end_matches(['.', ',', ';', ':']);
            let is_time = time.ends_with('Z') && time.parse::<Timestamp>().is_ok();
            if is_time { format!("{}{}", self.time(time), &word[time.len()..]) } else { word.to_owned() }
        };
        text.split(' ').map(show).collect::<Vec<_>>().join(" ")
    }

    /// Breaks a text between words, so that it fits the terminal. Further lines are indented by `indent` spaces.
    #[must_use]
    pub fn wrapped(&self, text: &str, indent: usize) -> String {
        let Some(width) = self.width.filter(|width| *width > indent) else { return text.to_owned() };
        let mut shown = String::with_capacity(text.len());
        let mut used = 0;
        for (index, word) in text.split(' ').enumerate() {
            let length = measure_text_width(word);
            if index > 0 && used + 1 + length > width && used >= indent {
                shown.push('\n');
                shown.push_str(&" ".repeat(indent));
                used = indent;
            } else if index > 0 {
                shown.push(' ');
                used += 1;
            }
            shown.push_str(word);
            used += length;
        }
        shown
    }

    /// Breaks the sentences of a text between words. Indented lines, such as commands, lines with columns and JSON stay as they
    /// are.
    #[must_use]
    pub fn paragraphs(&self, text: &str) -> String {
        let is_sentence = |line: &str| !line.starts_with([' ', '{', '[', '}', ']']) && !line.contains("  ");
        let lines =
            text.split('\n').map(|line| if is_sentence(line) { self.wrapped(line, 0) } else { line.to_owned() });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Formats lines of name and value, which continues on further lines if it doesn't fit the terminal. A field without a
    /// value is left out.
    #[must_use]
    pub fn fields(&self, fields: &[(&str, Option<String>)]) -> String {
        let width = fields.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| {
                let padded = format!("{name:width$}");
                Some(self.wrapped(&format!("{}  {}", self.paint(Tone::Faint, &padded), value.as_ref()?), width + 2))
            })
            .collect();
        lines.join("\n")
    }

    /// Formats a table that fits the terminal. If the whole table is too wide, its times are in UTC only, and its last columns
    /// are left out. If the first `kept` columns are too wide as well, each record is a list of fields.
    #[must_use]
    pub fn fitted<T>(&self, columns: &[Column<T>], kept: usize, records: &[T]) -> String {
        self.shrunk(columns, kept, records).unwrap_or_else(|| self.lists(columns, records))
    }

    /// Formats a table like [`Self::fitted`], whose column after the `kept` ones must not be lost: if it is left out, its cell is
    /// a line below the record's row.
    #[must_use]
    pub fn fitted_with_line<T>(&self, columns: &[Column<T>], kept: usize, records: &[T]) -> String {
        if let Some(table) = self.shrunk(columns, kept + 1, records) {
            return table;
        }
        let (shown, rest) = columns.split_at(kept.min(columns.len()));
        let (Some(below), Some(table)) = (rest.first(), self.shrunk(shown, kept, records)) else {
            return self.lists(columns, records);
        };
        let mut rows = table.lines();
        let mut lines: Vec<String> = rows.next().map(ToOwned::to_owned).into_iter().collect();
        for (row, record) in rows.zip(records) {
            lines.push(row.to_owned());
            lines.push(self.paint(Tone::Faint, &format!("  {}", (below.cell)(record, self).1)));
        }
        lines.join("\n")
    }

    /// Formats the widest table that fits. `None`: not even the first `kept` columns fit.
    fn shrunk<T>(&self, columns: &[Column<T>], kept: usize, records: &[T]) -> Option<String> {
        let whole = self.records(columns, records);
        if self.fits(&whole) {
            return Some(whole);
        }
        let style = self.in_utc();
        let tables =
            (kept..=columns.len()).rev().filter_map(|count| Some(style.records(columns.get(..count)?, records)));
        tables.into_iter().find(|table| self.fits(table))
    }

    fn fits(&self, text: &str) -> bool {
        self.width.is_none_or(|width| text.lines().all(|line| measure_text_width(line) <= width))
    }

    /// Formats each record as a list of fields.
    fn lists<T>(&self, columns: &[Column<T>], records: &[T]) -> String {
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        self.blocks(&headings, &self.rows(columns, records))
    }

    /// A cell without a heading, such as a mark, is put before the next one.
    fn blocks(&self, headings: &[&str], rows: &[Vec<(Tone, String)>]) -> String {
        let block = |row: &Vec<(Tone, String)>| {
            let mut mark = String::new();
            let mut fields = Vec::with_capacity(row.len());
            for (heading, (tone, text)) in headings.iter().zip(row).filter(|(_, (_, text))| !text.is_empty()) {
                if heading.is_empty() {
                    mark = format!("{text} ");
                } else {
                    fields.push((*heading, Some(std::mem::take(&mut mark) + &self.paint(*tone, text))));
                }
            }
            self.fields(&fields)
        };
        rows.iter().map(block).collect::<Vec<_>>().join("\n\n")
    }

    /// Formats a table with a row for each record.
    #[must_use]
    pub fn records<T>(&self, columns: &[Column<T>], records: &[T]) -> String {
        let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
        self.table(&headings, &self.rows(columns, records))
    }

    fn rows<T>(&self, columns: &[Column<T>], records: &[T]) -> Vec<Vec<(Tone, String)>> {
        let row = |record: &T| columns.iter().map(|column| (column.cell)(record, self)).collect();
        records.iter().map(row).collect()
    }

    /// Formats rows like [`Self::table`]. If the table doesn't fit the terminal, the last column continues on further lines, or
    /// each row is a list of fields.
    #[must_use]
    pub fn table_or_lists(&self, headings: &[&str], rows: &[Vec<(Tone, String)>]) -> String {
        let table = self.table(headings, rows);
        if self.fits(&table) {
            return table;
        }
        let broken = self.table(headings, &self.last_column_broken(headings, rows));
        if self.fits(&broken) { broken } else { self.blocks(headings, rows) }
    }

    /// Returns rows whose last cells are broken into lines, each in a row of its own.
    fn last_column_broken(&self, headings: &[&str], rows: &[Vec<(Tone, String)>]) -> Vec<Vec<(Tone, String)>> {
        let Some(last) = headings.len().checked_sub(1) else { return Vec::new() };
        let width_of = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| measure_text_width(text));
            cells.chain(headings.get(column).map(|heading| heading.len())).max().unwrap_or(0)
        };
        let used: usize = (0..last).map(|column| width_of(column) + 2).sum();
        let width = self.width.map(|width| width.saturating_sub(used).max(MIN_BROKEN_COLUMN));
        let narrow = Self { width, ..self.clone() };
        let mut broken = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(((tone, text), first)) = row.split_last() else { continue };
            let text = narrow.wrapped(text, 0);
            for (index, line) in text.lines().enumerate() {
                let empty = || vec![(Tone::Plain, String::new()); last];
                let mut cells = if index == 0 { first.to_vec() } else { empty() };
                cells.push((*tone, line.to_owned()));
                broken.push(cells);
            }
        }
        broken
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
        assert_eq!(style.time("2026-01-31T00:20:00.000Z"), "2026-01-31T00:20:00Z (01:20:00 CET)");
        assert_eq!(style.time("2026-07-01T23:20:00.000Z"), "2026-07-01T23:20:00Z (2026-07-02 01:20:00 CEST)");
        assert_eq!(
            style.times_in("From 2026-01-31T00:20:00.000Z, until 2026-02-01T00:20:00Z. Not 2026."),
            "From 2026-01-31T00:20:00Z (01:20:00 CET), until 2026-02-01T00:20:00Z (01:20:00 CET). Not 2026."
        );
        let universal = style.in_utc();
        assert_eq!(universal.time("2026-01-31T00:20:00.000Z"), "2026-01-31T00:20:00Z");
        assert_eq!(universal.time("\u{1b}[2Jsoon"), "[2Jsoon");
    }

    const COLUMNS: [Column<String>; 3] = [
        Column { heading: "NAME", cell: |text, _| (Tone::Bad, text.clone()) },
        Column { heading: "TIME", cell: |_, style| (Tone::Plain, style.time("2026-01-31T00:20:00Z")) },
        Column { heading: "AGE", cell: |_, _| (Tone::Plain, "7 days".to_owned()) },
    ];

    fn fitted(width: Option<usize>) -> String {
        Style { width, ..style() }.fitted(&COLUMNS, 1, &["logs".to_owned()])
    }

    #[test]
    fn a_table_that_is_too_wide_shrinks_and_then_becomes_lists() {
        let whole = "NAME  TIME                                 AGE\nlogs  2026-01-31T00:20:00Z (01:20:00 CET)  7 days";
        assert_eq!(fitted(None), whole);
        assert_eq!(fitted(Some(49)), whole);
        let in_utc = "NAME  TIME                  AGE\nlogs  2026-01-31T00:20:00Z  7 days";
        assert_eq!([fitted(Some(48)), fitted(Some(34))], [in_utc, in_utc]);
        assert_eq!(fitted(Some(33)), "NAME  TIME\nlogs  2026-01-31T00:20:00Z");
        assert_eq!(fitted(Some(25)), "NAME\nlogs");
        assert_eq!(fitted(Some(3)), "NAME  logs\nTIME  2026-01-31T00:20:00Z (01:20:00 CET)\nAGE   7 days");
    }

    #[test]
    fn a_cell_that_must_not_be_lost_becomes_a_line() {
        let shown = |width| {
            let style = Style { has_colors: true, width: Some(width), ..style() };
            let table = style.fitted_with_line(&COLUMNS, 1, &["logs".to_owned(), "s".to_owned()]);
            console::strip_ansi_codes(&table).into_owned()
        };
        assert_eq!(shown(26), "NAME  TIME\nlogs  2026-01-31T00:20:00Z\ns     2026-01-31T00:20:00Z");
        let below = "  2026-01-31T00:20:00Z (01:20:00 CET)";
        assert_eq!(shown(25), format!("NAME\nlogs\n{below}\ns\n{below}"));
        assert!(shown(3).starts_with("NAME  logs\nTIME  "));
    }

    #[test]
    fn a_text_breaks_between_words_only() {
        let narrow = Style { width: Some(12), ..style() };
        assert_eq!(narrow.wrapped("one two three", 3), "one two\n   three");
        assert_eq!(narrow.wrapped("one arn:aws:iam::2:role/x two", 3), "one\n   arn:aws:iam::2:role/x\n   two");
        assert_eq!(narrow.wrapped("  one  two three", 2), "  one  two\n  three");
        assert_eq!(style().wrapped("one two three", 3), "one two three");
        let text = "one two three\nrole  arn:aws:iam::2:role/x\n  audit-export config list\n{\"a\": \"one two\"}\n";
        assert_eq!(narrow.paragraphs(text), text.replacen("two three", "two\nthree", 1));
        let fields = narrow.fields(&[("name", Some("one two three".to_owned())), ("none", None)]);
        assert_eq!(fields, "name  one\n      two\n      three");
    }

    #[test]
    fn the_last_column_continues_on_further_lines() {
        let rows = [("A_CODE", "It says that something is wrong with it."), ("B", "Short.")]
            .map(|(code, meaning)| vec![(Tone::Plain, code.to_owned()), (Tone::Plain, meaning.to_owned())]);
        let shown = |width| Style { width, ..style() }.table_or_lists(&["CODE", "MEANING"], &rows);
        let whole = "CODE    MEANING\nA_CODE  It says that something is wrong with it.\nB       Short.";
        assert_eq!([shown(None), shown(Some(48))], [whole, whole]);
        assert_eq!(
            shown(Some(40)),
            "CODE    MEANING\nA_CODE  It says that something is wrong\n        with it.\nB       Short."
        );
        let lists = "CODE     A_CODE\nMEANING  It says that something is\n         wrong with it.\n\nCODE     B\nMEANING  Short.";
        assert_eq!(shown(Some(38)), lists);
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
