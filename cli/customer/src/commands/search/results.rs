//! The events that were found, as they are printed.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    ops::ControlFlow,
};

use console::truncate_str;
use terminal::text::{printable, printable_json};

use super::event::{Event, Party};
use crate::{
    failure::Failure,
    output::{Column, Style, Tone},
};

/// The rows of one table. A table is printed as a whole, because its columns are as wide as their widest cells.
const PAGE_ROWS: usize = 1_000;
/// Columns of the longest cell, without a terminal.
const MAX_CELL_WIDTH: usize = 200;
/// Columns of a time in UTC, with the space after it.
const TIME_WIDTH: usize = 22;
/// The columns after the time that are always shown.
const SHARING_COLUMNS: usize = 3;
const COLUMN_GAP: usize = 2;
const ELLIPSIS: &str = "…";

/// The columns of the table. The first [`SHARING_COLUMNS`] after the time share a terminal's width; the others are shown if
/// there is room.
const COLUMNS: [Column<Row>; 6] = [
    Column { heading: "TIME", cell: |row, style| (Tone::Plain, style.time(&row.time)) },
    Column { heading: "ACTION", cell: |row, style| (Tone::Strong, fitting(&row.action, style)) },
    Column { heading: "ACTOR", cell: |row, style| (Tone::Plain, fitting(&row.actor, style)) },
    Column { heading: "TARGET", cell: |row, style| (Tone::Plain, fitting(&row.target, style)) },
    Column { heading: "STATUS", cell: |row, style| (Tone::Plain, fitting(&row.status, style)) },
    Column { heading: "ID", cell: |row, style| (Tone::Faint, fitting(&row.id, style)) },
];

/// An event in the table.
#[derive(Clone, Debug, Default)]
struct Row {
    time: String,
    action: String,
    actor: String,
    target: String,
    status: String,
    id: String,
}

impl Row {
    fn of(event: &Event<'_>) -> Self {
        let shown = |text: Option<String>| {
            truncate_str(&printable(&text.unwrap_or_default()), MAX_CELL_WIDTH, ELLIPSIS).into_owned()
        };
        Self {
            time: shown(event.time()),
            action: shown(event.action()),
            actor: shown(event.actor().and_then(Party::label)),
            target: shown(label_of(event.targets())),
            status: shown(event.action_status()),
            id: shown(event.id()),
        }
    }
}

/// Returns the name of the first target, and the number of the others.
fn label_of(targets: Vec<Party>) -> Option<String> {
    let others = targets.len().saturating_sub(1);
    let label = targets.into_iter().next()?.label()?;
    Some(if others == 0 { label } else { format!("{label} (+{others})") })
}

/// Shortens a cell to its share of the terminal.
fn fitting(text: &str, style: &Style) -> String {
    let share = |width: usize| {
        let gaps = COLUMN_GAP * (SHARING_COLUMNS - 1);
        (width.saturating_sub(TIME_WIDTH + gaps) / SHARING_COLUMNS).max(1)
    };
    truncate_str(text, style.width.map_or(MAX_CELL_WIDTH, share), ELLIPSIS).into_owned()
}

/// Prints events.
pub struct Results {
    form: Form,
    output: Output,
}

enum Form {
    Table { style: Style, rows: Vec<Row> },
    Lines { is_terminal: bool },
}

/// Standard output, until its reader ends.
struct Output {
    stream: BufWriter<Stdout>,
    is_closed: bool,
}

impl Output {
    fn new() -> Self {
        Self { stream: BufWriter::new(io::stdout()), is_closed: false }
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        if !self.is_closed {
            match write(&mut self.stream) {
                Ok(()) => {}
                // The reader has enough, as in `… | head`.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_closed = true,
                Err(error) => return Err(Failure::StandardOutput(error)),
            }
        }
        Ok(if self.is_closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

impl Results {
    pub fn table(style: Style) -> Self {
        Self { form: Form::Table { style, rows: Vec::new() }, output: Output::new() }
    }

    pub fn lines() -> Self {
        Self { form: Form::Lines { is_terminal: io::stdout().is_terminal() }, output: Output::new() }
    }

    /// Adds an event. Breaks if nobody reads the output any more.
    pub fn push(&mut self, line: &[u8], event: &Event<'_>) -> Result<ControlFlow<()>, Failure> {
        match &mut self.form {
            Form::Table { rows, .. } => {
                rows.push(Row::of(event));
                if rows.len() < PAGE_ROWS { Ok(ControlFlow::Continue(())) } else { self.end() }
            }
            Form::Lines { is_terminal: false } => {
                self.output.write(|stream| stream.write_all(line).and_then(|()| stream.write_all(b"\n")))
            }
            Form::Lines { is_terminal: true } => {
                let line = printable_json(&String::from_utf8_lossy(line));
                self.output.write(|stream| writeln!(stream, "{line}"))
            }
        }
    }

    /// Hands over the lines that were found. The rows of a table wait for the others of their page.
    pub fn flush(&mut self) -> Result<ControlFlow<()>, Failure> {
        self.output.write(Write::flush)
    }

    /// Prints everything that was found.
    pub fn end(&mut self) -> Result<ControlFlow<()>, Failure> {
        if let Form::Table { style, rows } = &mut self.form
            && !rows.is_empty()
        {
            let table = table(&std::mem::take(rows), style);
            let _is_closed = self.output.write(|stream| writeln!(stream, "{table}"))?;
        }
        self.flush()
    }
}

fn table(rows: &[Row], style: &Style) -> String {
    style.fitted(&COLUMNS, 1 + SHARING_COLUMNS, rows)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const LINES: [&str; 4] = [
        r#"{"id":"8c6a3c8e","eventTimestamp":"2026-11-22T01:00:00.123Z","action":"QUERY","actionStatus":"SUCCESS","actor":{"id":"u-1","name":"Zoë Example"},"targets":[{"id":"orders","name":"orders"},{"id":"customers"}]}"#,
        r#"{"id":"login-1","eventTimestamp":"2026-11-22T02:00:00+01:00","action":"LOGIN","actionStatus":"FAILURE","actor":"bob"}"#,
        r#"{"id":"2","eventTimestamp":"2026-11-22T03:00:00Z","action":"DATASOURCE_SUBSCRIPTION_REQUEST_CREATED","actor":{"id":"someone.with.a.long.name@example.com"},"targets":[{"name":"analytics.production.customers_with_addresses"}]}"#,
        r#"{"id":"3\u001b[2J","eventTimestamp":"soon","action":7}"#,
    ];

    fn shown(width: Option<usize>) -> String {
        let rows: Vec<Row> = LINES.iter().map(|line| Row::of(&Event::parse(line.as_bytes()).unwrap())).collect();
        let style = Style { width, ..crate::output::tests::style() };
        let table = table(&rows, &style);
        let widest = table.lines().map(console::measure_text_width).max();
        assert!(width.is_none_or(|width| widest <= Some(width)), "{table}");
        table
    }

    #[test]
    fn a_table_fits_the_terminal() {
        assert_snapshot!("events_of_80_columns", shown(Some(80)));
        assert_snapshot!("events_of_120_columns", shown(Some(120)));
        assert_snapshot!("events", shown(None));
    }
}
