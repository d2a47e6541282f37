//! The installed DuckDB.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use clap::ValueEnum;

use crate::{commands::place::Format, failure::Failure, files::write_below, secret};

const PROGRAM: &str = "duckdb";
/// What DuckDB writes to standard error about the file of `-init`, and the end of its colour on the next line.
const LOADING: &[u8] = b"-- Loading resources from ";
const COLOR_END: &[u8] = b"\x1b[00m";

/// The view `audit_events`, as the documentation shows it.
const VIEW: &str = include_str!("../../../../../docs/audit_events.sql");
/// The files in [`VIEW`].
const FILES: &str = "'audit-log/date=*/*.ndjson.gz'";
/// The part of the view for files of Parquet, as the documentation shows it. It takes the same columns from the lines.
const PARQUET_PART: &str = include_str!("../../../../../docs/audit_events_parquet.sql");
/// The files in [`PARQUET_PART`].
const PARQUET_FILES: &str = "'audit-log/date=*/*.parquet'";
/// The file of the view.
const VIEW_NAME: &str = "view.sql";
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

/// Checks that a text is for DuckDB itself. Its program takes a full stop at the beginning for a command of its own, such as
/// `.shell`.
pub fn statement(sql: &str) -> Result<&str, Failure> {
    let statement = sql.trim();
    if statement.is_empty() || statement.starts_with('.') {
        return Err(Failure::argument("SQL", "give a statement, such as 'SELECT count(*) FROM audit_events'"));
    }
    Ok(statement)
}

/// The program `duckdb` on the search path.
pub struct DuckDb(());

impl DuckDb {
    pub fn find() -> Result<Self, Failure> {
        let mut asked = secret::command(PROGRAM);
        check(asked.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).status())?;
        Ok(Self(()))
    }

    /// Runs a statement over the files. The result goes to standard output. Files for DuckDB go to the temporary folder.
    #[expect(clippy::unused_self, reason = "proves that the program was found")]
    pub fn run(
        &self,
        files: &[PathBuf],
        statement: &str,
        format: TableFormat,
        temporary: &Path,
    ) -> Result<(), Failure> {
        let view = view(files, temporary)?;
        let mut command = secret::command(PROGRAM);
        // Instead of `~/.duckdbrc`, which could change the result.
        command.arg("-init").arg(view).arg("-bail").args(format.options()).args(["-c", statement]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(Failure::file(PROGRAM))?;
        if let Some(errors) = child.stderr.take() {
            forward(BufReader::new(errors), &mut io::stderr()).map_err(Failure::file(PROGRAM))?;
        }
        check(child.wait())
    }
}

/// Copies what DuckDB writes to standard error, except that it has loaded the view.
fn forward(mut errors: impl BufRead, output: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut follows_loading = false;
    while errors.read_until(b'\n', &mut line)? > 0 {
        let is_loading = line.windows(LOADING.len()).any(|part| part == LOADING);
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::NoDuckDb),
        Err(error) => Err(Failure::file(PROGRAM)(error)),
    }
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

/// Writes the view over the files to a file, because the names of a large export are longer than a command line may be.
fn view(files: &[PathBuf], folder: &Path) -> Result<PathBuf, Failure> {
    let is_parquet = |path: &&PathBuf| Format::of(&path.to_string_lossy()) == Ok(Format::Parquet);
    let (parquet, ndjson): (Vec<&PathBuf>, Vec<_>) = files.iter().partition(is_parquet);
    let ndjson = if ndjson.is_empty() { list(&[&write_below(folder, NO_EVENTS, b"")?])? } else { list(&ndjson)? };
    let mut statement = VIEW.replace(FILES, &ndjson);
    if !parquet.is_empty() {
        statement.truncate(statement.trim_end_matches([';', '\n']).len());
        statement = format!("{statement}\n{}", PARQUET_PART.replace(PARQUET_FILES, &list(&parquet)?));
    }
    write_below(folder, VIEW_NAME, statement.as_bytes())
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
    use golden_documents::assert_current;

    use super::*;

    /// The pages of which one shows the view.
    const PAGES: [&str; 2] = ["CUSTOMER_GUIDE.md", "READING.md"];

    #[test]
    fn the_documentation_shows_the_view() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        // ClickHouse has a view of this name too.
        let begin: String = ["```sql\n"].into_iter().chain(VIEW.split_inclusive('\n').take(2)).collect();
        let mut shown = 0;
        for path in PAGES.map(|page| folder.join(page)) {
            let page = std::fs::read_to_string(&path).unwrap_or_default();
            let Some((before, rest)) = page.split_once(&begin) else { continue };
            let (_, after) = rest.split_once("```\n").unwrap();
            assert_current(&path, &format!("{before}```sql\n{VIEW}```\n{after}"), "cargo test -p audit-export view");
            shown += 1 + after.matches(&begin).count();
        }
        assert_eq!(shown, 1, "the view is shown once");
    }

    #[test]
    fn the_view_is_over_the_files_that_were_proven() {
        assert_eq!(VIEW.matches(FILES).count(), 1);
        let folder = tempfile::tempdir().unwrap();
        let written = |files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            view(&files, folder.path()).map(|path| std::fs::read_to_string(path).unwrap())
        };
        let statement = written(&["a/date=2026-11-22/it's.ndjson.gz", "b"]).unwrap();
        assert!(statement.contains("FROM read_json(\n  ['a/date=2026-11-22/it''s.ndjson.gz',\n'b'],\n"), "{statement}");
        let none = folder.path().join(NO_EVENTS);
        assert!(written(&[]).unwrap().contains(&format!("['{}']", none.display())));
        assert!(!statement.contains("read_parquet"), "{statement}");
        for path in ["a/*/x", "a[1]/x", "a?"] {
            assert_eq!(written(&[path]).unwrap_err().exit_code(), 5, "{path}");
        }
    }

    #[test]
    fn files_of_parquet_are_in_the_view() {
        assert_eq!(PARQUET_PART.matches(PARQUET_FILES).count(), 1);
        let folder = tempfile::tempdir().unwrap();
        let written = |files: &[&str]| {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            std::fs::read_to_string(view(&files, folder.path()).unwrap()).unwrap()
        };
        let both = written(&["x.ndjson.zst", "it's.parquet", "y.ndjson.gz", "z.parquet"]);
        assert!(both.contains("FROM read_json(\n  ['x.ndjson.zst',\n'y.ndjson.gz'],\n"), "{both}");
        assert!(both.contains("\n)\nUNION ALL BY NAME\n"), "{both}");
        assert!(both.contains("FROM read_parquet(['it''s.parquet',\n'z.parquet'], "), "{both}");
        assert_eq!(both.matches(';').count(), 1, "{both}");
        let none = folder.path().join(NO_EVENTS);
        assert!(written(&["z.parquet"]).contains(&format!("['{}']", none.display())));
    }

    #[test]
    fn both_parts_have_the_same_columns_of_the_same_types() {
        let columns = |part: &str| -> Vec<(String, String)> {
            let lines = part.lines().map(|line| line.trim().trim_end_matches(','));
            let pairs =
                lines.filter_map(|line| line.split_once(": ")).filter(|(_, kind)| kind.starts_with(['"', '\'']));
            pairs.map(|(name, kind)| (name.replace('"', ""), kind.replace(['"', '\''], ""))).collect()
        };
        assert_eq!(columns(PARQUET_PART).len(), 15);
        assert_eq!(columns(VIEW), columns(PARQUET_PART));
    }

    #[test]
    fn the_documentation_shows_the_part_for_parquet() {
        const BEGIN: &str = "```sql\nCREATE VIEW all_audit_events AS\nFROM audit_events\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/READING.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once("```\n").unwrap();
        assert_current(&path, &format!("{before}{BEGIN}{PARQUET_PART}```\n{after}"), "cargo test -p audit-export part");
    }

    #[test]
    fn the_view_is_not_mentioned() {
        for (errors, shown) in [
            (
                "\x1b[90m-- Loading resources from /tmp/x\n\x1b[00mParser Error: no\n\nLINE 1",
                "Parser Error: no\n\nLINE 1",
            ),
            ("-- Loading resources from x\n", ""),
            ("\x1b[00mred\n", "\x1b[00mred\n"),
        ] {
            let mut output = Vec::new();
            forward(errors.as_bytes(), &mut output).unwrap();
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
