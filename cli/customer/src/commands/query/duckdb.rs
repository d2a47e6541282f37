//! The installed DuckDB.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use clap::ValueEnum;

use crate::{
    commands::{period::Period, place::Format},
    failure::Failure,
    files::write_below,
    secret,
};

const PROGRAM: &str = "duckdb";
/// The oldest version that the results are tested with: major and minor. Versions before 1.2 round numbers that a double
/// can't hold, without an error.
const MINIMUM: (u32, u32) = (1, 5);
/// What DuckDB writes to standard error about the file of `-init`, and the end of its colour on the next line.
const LOADING: &[u8] = b"-- Loading resources from ";
const COLOR_END: &[u8] = b"\x1b[00m";

/// A view of the documentation, and what its statement is adapted at.
struct Documented {
    /// The statement for files of NDJSON.
    ndjson: &'static str,
    /// The beginning of the query in it.
    begin: &'static str,
    /// The part for files of Parquet, which has the same columns.
    parquet: &'static str,
    /// The time of an event, as SQL over these columns.
    time: &'static str,
}

/// The view `audit_events`.
const EVENTS: Documented = Documented {
    ndjson: include_str!("../../../../../docs/audit_events.sql"),
    begin: "CREATE VIEW audit_events AS\n",
    parquet: include_str!("../../../../../docs/audit_events_parquet.sql"),
    time: "eventTimestamp",
};
/// The view `audit_lines`.
const LINES: Documented = Documented {
    ndjson: include_str!("../../../../../docs/audit_lines.sql"),
    begin: "CREATE VIEW audit_lines AS\n",
    parquet: include_str!("../../../../../docs/audit_lines_parquet.sql"),
    time: "TRY_CAST(json ->> 'eventTimestamp' AS TIMESTAMPTZ)",
};
/// The line of [`EVENTS`] after which options of the reader can follow.
const READER: &str = "  format = 'newline_delimited',\n";
/// Returns a row of NULL for a line that can't be parsed. The documentation's view refuses it, because it reads bytes that
/// nothing has proven.
const TOLERANT: &str = "  ignore_errors = true,\n";
/// The files in the statements for NDJSON.
const FILES: &str = "'audit-log/date=*/*.ndjson.gz'";
/// The files in the parts for Parquet.
const PARQUET_FILES: &str = "'audit-log/date=*/*.parquet'";
/// The reader in these parts, and the day in the names of its files.
const PARQUET_READER: &str =
    "FROM read_parquet('audit-log/date=*/*.parquet', hive_partitioning = false, filename = true)";
const PARQUET_DAY: &str = r"TRY_CAST(regexp_extract(filename, 'date=([0-9-]+)[/\\][^/\\]*$', 1) AS DATE)";
/// The same of files of OCSF. OCSF 1.3.0 has no room for a long line in `raw_data`.
const OCSF_READER: &str = "FROM (\n    SELECT coalesce(raw_data, unmapped['raw_data']) AS event, filename\n    \
                           FROM read_parquet('audit-log/date=*/*.parquet', hive_partitioning = false, filename = true)\n  )";
const OCSF_DAY: &str = r"TRY_STRPTIME(regexp_extract(filename, 'eventDay=([0-9]+)[/\\][^/\\]*$', 1), '%Y%m%d')::DATE";
/// The beginning of the folders that have the files of OCSF.
const OCSF_FOLDER: &str = "eventDay=";
/// The file of the views.
const VIEWS_NAME: &str = "views.sql";
/// A file without events, for an export without any: DuckDB reads no empty list.
const NO_EVENTS: &str = "date=1970-01-01/none.ndjson";
/// Characters that mean something in a pattern of DuckDB, which every path is.
const PATTERN: [char; 4] = ['*', '?', '[', ']'];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A table as wide as the terminal, without the middle rows of a long result
    #[default]
    Table,
    /// Comma-separated values, the names first; NULL is empty
    Csv,
    /// One JSON array for each statement
    Json,
}

impl TableFormat {
    /// Returns DuckDB's options.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Table => &[],
            Self::Csv => &["-csv", "-nullvalue", ""],
            Self::Json => &["-json"],
        }
    }
}

/// Checks that a text is for DuckDB itself. Its program takes a text with a full stop at the beginning as a command to the
/// program, such as `.shell`.
pub fn statement(sql: &str) -> Result<&str, Failure> {
    let statement = sql.trim();
    if statement.is_empty() || statement.starts_with('.') {
        return Err(Failure::argument("SQL", "give a statement, such as 'SELECT count(*) FROM audit_events'"));
    }
    Ok(statement)
}

/// The events that a statement can query.
pub struct Views<'a> {
    pub files: &'a [PathBuf],
    pub period: Period,
}

/// The program `duckdb` on the search path, in a version that the results are tested with.
pub struct DuckDb(());

impl DuckDb {
    pub fn find() -> Result<Self, Failure> {
        let mut asked = secret::command(PROGRAM);
        let asked = asked.arg("-version").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let answer = asked.map_err(not_started)?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let found = version(&text).filter(|version| answer.status.success() && *version >= MINIMUM);
        found.map(|_| Self(())).ok_or_else(|| Failure::OldDuckDb(text.trim().to_owned()))
    }

    /// Runs a statement over the views. The result goes to standard output. Files for DuckDB go to the temporary folder.
    #[expect(clippy::unused_self, reason = "proves that the program was found")]
    pub fn run(
        &self,
        views: &Views<'_>,
        statement: &str,
        format: TableFormat,
        temporary: &Path,
    ) -> Result<(), Failure> {
        let views = views.write(temporary)?;
        let mut command = secret::command(PROGRAM);
        // Instead of `~/.duckdbrc`, which could change the result.
        command.arg("-init").arg(&views).arg("-bail").args(format.options()).args(["-c", statement]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(Failure::file(PROGRAM))?;
        if let Some(errors) = child.stderr.take() {
            forward(BufReader::new(errors), &views, &mut io::stderr()).map_err(Failure::file(PROGRAM))?;
        }
        check(child.wait())
    }
}

/// Returns the version in an answer like `v1.5.6 (Variegata) 069cc9f9b5`: major and minor.
fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Copies what DuckDB writes to standard error, except that it has loaded the views.
fn forward(mut errors: impl BufRead, views: &Path, output: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut has_loaded = false;
    let mut follows_loading = false;
    while errors.read_until(b'\n', &mut line)? > 0 {
        let is_loading = !has_loaded
            && line.windows(LOADING.len()).any(|part| part == LOADING)
            && line.trim_ascii_end().ends_with(views.as_os_str().as_encoded_bytes());
        has_loaded |= is_loading;
        if !is_loading {
            let text = line.strip_prefix(COLOR_END).filter(|_| follows_loading).unwrap_or(&line);
            // A closed standard error can't be reported anywhere.
            let _ = output.write_all(text);
        }
        follows_loading = is_loading;
        line.clear();
    }
    Ok(())
}

fn check(status: io::Result<ExitStatus>) -> Result<(), Failure> {
    match status {
        Ok(status) if status.success() || is_closed_pipe(status) => Ok(()),
        Ok(_) => Err(Failure::QueryFailed),
        Err(error) => Err(not_started(error)),
    }
}

fn not_started(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound { Failure::NoDuckDb } else { Failure::file(PROGRAM)(error) }
}

/// Returns whether the program ended because the reader of its output did, as in `… | head`.
#[cfg(unix)]
fn is_closed_pipe(status: ExitStatus) -> bool {
    const SIGPIPE: i32 = 13;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGPIPE)
}

#[cfg(not(unix))]
fn is_closed_pipe(_: ExitStatus) -> bool {
    false
}

/// The files of a view by their format, as lists of SQL.
struct Lists {
    ndjson: String,
    parquet: Option<String>,
    ocsf: Option<String>,
}

impl Views<'_> {
    /// Writes the views to a file, because the names of a large export are longer than a command line may be.
    fn write(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let is_parquet = |path: &&PathBuf| Format::of(&path.to_string_lossy()) == Ok(Format::Parquet);
        let (ocsf, events): (Vec<&PathBuf>, Vec<_>) = self.files.iter().partition(|path| is_ocsf(path));
        let (parquet, ndjson): (Vec<_>, Vec<_>) = events.into_iter().partition(is_parquet);
        let ndjson = if ndjson.is_empty() { list(&[&write_below(folder, NO_EVENTS, b"")?])? } else { list(&ndjson)? };
        let [parquet, ocsf] = [parquet, ocsf].map(|files| (!files.is_empty()).then(|| list(&files)).transpose());
        let files = Lists { ndjson, parquet: parquet?, ocsf: ocsf? };
        let [events, lines] = [EVENTS, LINES].map(|view| self.statement(&view, &files));
        let events = events.replace(READER, &format!("{READER}{TOLERANT}"));
        write_below(folder, VIEWS_NAME, format!("{events}{lines}").as_bytes())
    }

    /// Returns the statement that creates a view of the files, limited to the period.
    fn statement(&self, view: &Documented, files: &Lists) -> String {
        let Documented { ndjson, begin, parquet, time } = view;
        let mut statement = without_end(ndjson).replace(FILES, &files.ndjson);
        let ocsf = parquet.replace(PARQUET_READER, OCSF_READER).replace(PARQUET_DAY, OCSF_DAY);
        for (part, files) in [(*parquet, &files.parquet), (&ocsf, &files.ocsf)] {
            if let Some(files) = files {
                let part = without_end(part).replace(PARQUET_FILES, files);
                statement = format!("{statement}\n{part}");
            }
        }
        if !self.period.is_unlimited() {
            let query = statement.replace(begin, &format!("{begin}FROM (\n"));
            statement = format!("{query}\n)\nWHERE {}", condition(self.period, time));
        }
        format!("{statement};\n")
    }
}

/// Returns whether a file has records of OCSF. An export has no others in such a folder.
fn is_ocsf(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    folder.is_some_and(|folder| folder.as_encoded_bytes().starts_with(OCSF_FOLDER.as_bytes()))
}

fn without_end(statement: &str) -> &str {
    statement.trim_end_matches([';', '\n'])
}

/// Returns the condition of SQL that an event, whose time is given, is in a period with a bound.
fn condition(period: Period, time: &str) -> String {
    let bounds = [(period.since, ">="), (period.until, "<")];
    let conditions = bounds
        .into_iter()
        .filter_map(|(bound, operator)| bound.map(|bound| format!("{time} {operator} TIMESTAMPTZ '{bound}'")));
    conditions.collect::<Vec<_>>().join(" AND ")
}

/// Returns paths as a list of SQL.
fn list(paths: &[&PathBuf]) -> Result<String, Failure> {
    let names = paths.iter().map(|path| quoted(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(format!("[{}]", names.join(",\n")))
}

/// Returns a path as a string of SQL.
fn quoted(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.contains(PATTERN)).ok_or_else(|| {
        let reason = "DuckDB can't read this path: move the folder to one without special characters";
        Failure::invalid_file(path, reason)
    })?;
    Ok(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;
    use golden_documents::assert_current;

    use super::*;

    /// The pages of which one shows a view.
    const PAGES: [&str; 2] = ["CUSTOMER_GUIDE.md", "READING.md"];

    #[test]
    fn the_documentation_shows_the_views() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for view in [EVENTS.ndjson, LINES.ndjson] {
            // Other blocks have a view of this name too.
            let begin: String = ["```sql\n"].into_iter().chain(view.split_inclusive('\n').take(3)).collect();
            let mut shown = 0;
            for path in PAGES.map(|page| folder.join(page)) {
                let page = std::fs::read_to_string(&path).unwrap_or_default();
                let Some((before, rest)) = page.split_once(&begin) else { continue };
                let (_, after) = rest.split_once("```\n").unwrap();
                assert_current(
                    &path,
                    &format!("{before}```sql\n{view}```\n{after}"),
                    "cargo test -p audit-export view",
                );
                shown += 1 + after.matches(&begin).count();
            }
            assert_eq!(shown, 1, "the view is shown once: {begin}");
        }
    }

    #[test]
    fn the_view_is_over_the_files_that_were_proven() {
        assert_eq!([EVENTS, LINES].map(|view| view.ndjson.matches(FILES).count()), [1, 1]);
        assert_eq!(EVENTS.ndjson.matches(READER).count(), 1);
        assert!(!LINES.ndjson.contains(READER));
        let folder = tempfile::tempdir().unwrap();
        let written = |files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let view = Views { files: &files, period: Period::default() };
            view.write(folder.path()).map(|path| std::fs::read_to_string(path).unwrap())
        };
        let statement = written(&["a/date=2026-11-22/it's.ndjson.gz", "b"]).unwrap();
        for reader in ["read_json", "read_csv"] {
            let files = format!("FROM {reader}(\n  ['a/date=2026-11-22/it''s.ndjson.gz',\n'b'],\n");
            assert!(statement.contains(&files), "{statement}");
        }
        assert_eq!(statement.matches(TOLERANT).count(), 1);
        let none = folder.path().join(NO_EVENTS);
        assert!(written(&[]).unwrap().contains(&format!("['{}']", none.display())));
        assert!(!statement.contains("read_parquet"), "{statement}");
        for path in ["a/*/x", "a[1]/x", "a?"] {
            assert_eq!(written(&[path]).unwrap_err().exit_code(), 5, "{path}");
        }
    }

    #[test]
    fn files_of_parquet_are_in_the_view() {
        assert_eq!([EVENTS, LINES].map(|view| view.parquet.matches(PARQUET_FILES).count()), [1, 1]);
        let folder = tempfile::tempdir().unwrap();
        let written = |files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            let view = Views { files: &files, period: Period::default() };
            std::fs::read_to_string(view.write(folder.path()).unwrap()).unwrap()
        };
        let both = written(&["x.ndjson.zst", "it's.parquet", "y.ndjson.gz", "z.parquet"]);
        assert!(both.contains("FROM read_json(\n  ['x.ndjson.zst',\n'y.ndjson.gz'],\n"), "{both}");
        assert!(both.contains("\n)\nUNION ALL BY NAME\n"), "{both}");
        assert_eq!(both.matches("FROM read_parquet(['it''s.parquet',\n'z.parquet'], ").count(), 2, "{both}");
        assert_eq!((both.matches(";\n").count(), both.matches(';').count()), (3, 3), "a setting and two views: {both}");
        let none = folder.path().join(NO_EVENTS);
        assert!(written(&["z.parquet"]).contains(&format!("['{}']", none.display())));
    }

    #[test]
    fn the_lines_of_files_of_ocsf_are_in_the_view() {
        for part in [EVENTS, LINES].map(|view| view.parquet) {
            assert_eq!((part.matches(PARQUET_READER).count(), part.matches(PARQUET_DAY).count()), (1, 1), "{part}");
        }
        let folder = tempfile::tempdir().unwrap();
        let name = "../region=r/accountId=external/eventDay=20261122/x_6003_y.parquet";
        let files: Vec<PathBuf> = ["x.ndjson.gz", "z.parquet", name].map(PathBuf::from).into();
        let view = Views { files: &files, period: Period::default() };
        let statement = std::fs::read_to_string(view.write(folder.path()).unwrap()).unwrap();
        assert_eq!(statement.matches("UNION ALL BY NAME\n").count(), 2, "{statement}");
        assert_eq!(statement.matches("UNION ALL\n").count(), 2, "{statement}");
        assert_eq!(statement.matches("FROM read_parquet(['z.parquet'], ").count(), 2, "{statement}");
        let reader = format!("AS event, filename\n    FROM read_parquet(['{name}'], ");
        assert_eq!(
            (statement.matches(&reader).count(), statement.matches("'eventDay=(").count()),
            (2, 2),
            "{statement}"
        );
    }

    #[test]
    fn both_parts_have_the_same_columns_of_the_same_types() {
        let columns = |part: &str| -> Vec<(String, String)> {
            let lines = part.lines().map(|line| line.trim().trim_end_matches(','));
            let pairs =
                lines.filter_map(|line| line.split_once(": ")).filter(|(_, kind)| kind.starts_with(['"', '\'']));
            pairs.map(|(name, kind)| (name.replace('"', ""), kind.replace(['"', '\''], ""))).collect()
        };
        assert_eq!(columns(EVENTS.parquet).len(), 15);
        assert_eq!(columns(EVENTS.ndjson), columns(EVENTS.parquet));
    }

    #[test]
    fn the_documentation_shows_the_parts_for_parquet() {
        for (name, part) in [("audit_events", EVENTS.parquet), ("audit_lines", LINES.parquet)] {
            let begin = format!("```sql\nCREATE VIEW all_{name} AS\nFROM {name}\n");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/READING.md");
            let page = std::fs::read_to_string(&path).unwrap();
            let (before, rest) = page.split_once(&begin).unwrap();
            let (_, after) = rest.split_once("```\n").unwrap();
            assert_current(&path, &format!("{before}{begin}{part}```\n{after}"), "cargo test -p audit-export part");
        }
    }

    #[test]
    fn a_period_limits_both_views() {
        assert_eq!([EVENTS, LINES].map(|view| view.ndjson.matches(view.begin).count()), [1, 1]);
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["x.ndjson.gz", "y.parquet"].map(PathBuf::from).into();
        let written = |since: Option<&str>, until: Option<&str>| {
            let bound = |text: Option<&str>| text.map(|text| Timestamp::parse(text).unwrap());
            let view = Views { files: &files, period: Period { since: bound(since), until: bound(until) } };
            std::fs::read_to_string(view.write(folder.path()).unwrap()).unwrap()
        };
        let (since, until) = (Some("2026-11-22T01:00:00+01:00"), Some("2026-11-23T00:00:00Z"));
        let since_alone = ")\nWHERE TIME >= TIMESTAMPTZ '2026-11-22T00:00:00.000Z';\n";
        let until_alone = ")\nWHERE TIME < TIMESTAMPTZ '2026-11-23T00:00:00.000Z';\n";
        let both = ")\nWHERE TIME >= TIMESTAMPTZ '2026-11-22T00:00:00.000Z' \
                    AND TIME < TIMESTAMPTZ '2026-11-23T00:00:00.000Z';\n";
        for (statement, end) in
            [(written(since, None), since_alone), (written(None, until), until_alone), (written(since, until), both)]
        {
            for view in [EVENTS, LINES] {
                assert!(statement.contains(&format!("\n{}FROM (\nSELECT", view.begin)), "{statement}");
                assert_eq!(
                    statement.matches(&end.replace("TIME ", &format!("{} ", view.time))).count(),
                    1,
                    "{statement}"
                );
            }
        }
        assert!(!written(None, None).contains("WHERE"));
    }

    #[test]
    fn earlier_versions_are_refused() {
        for (answer, expected) in [
            ("v1.5.6 (Variegata) 069cc9f9b5\n", Some((1, 5))),
            ("v1.10.0 0123456789\n", Some((1, 10))),
            ("v2.0.0-dev12 0123456789\n", Some((2, 0))),
            ("v0.10.3 70fd6a8a24\n", Some((0, 10))),
            ("DuckDB", None),
            ("v1", None),
            ("", None),
        ] {
            assert_eq!(version(answer), expected, "{answer}");
        }
        let minimum = format!("DuckDB {}.{} ", MINIMUM.0, MINIMUM.1);
        for failure in [Failure::NoDuckDb, Failure::OldDuckDb("v1.1.3".to_owned())] {
            assert!(failure.to_string().contains(&minimum), "{failure}");
            assert_eq!(failure.exit_code(), 16);
        }
    }

    #[test]
    fn the_view_is_not_mentioned() {
        for (errors, shown) in [
            (
                "\x1b[90m-- Loading resources from /tmp/x\n\x1b[00mParser Error: no\n\nLINE 1",
                "Parser Error: no\n\nLINE 1",
            ),
            ("-- Loading resources from /tmp/x\n", ""),
            ("\x1b[00mred\n", "\x1b[00mred\n"),
            // The same words in an error of the statement.
            (
                "-- Loading resources from /tmp/x\n-- Loading resources from /tmp/x\n",
                "-- Loading resources from /tmp/x\n",
            ),
            ("Error: \"-- Loading resources from \"\n", "Error: \"-- Loading resources from \"\n"),
        ] {
            let mut output = Vec::new();
            forward(errors.as_bytes(), Path::new("/tmp/x"), &mut output).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), shown);
        }
    }

    #[test]
    fn commands_of_the_program_are_no_statements() {
        assert_eq!(statement(" SELECT 1 ").unwrap(), "SELECT 1");
        for sql in ["", " ", ".shell ls", "\n .read x"] {
            assert_eq!(statement(sql).unwrap_err().exit_code(), 2, "{sql:?}");
        }
    }
}
