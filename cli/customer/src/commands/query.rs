//! The command `query`: runs SQL over the files of an export with the installed DuckDB, after they were verified.

mod duckdb;

use std::{
    cell::RefCell,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::Args;
use domain::digest::DigestObject;
use futures::TryStreamExt;
use host::Clock;
use terminal::grouped;
use verification::{BESIDE, ExportFiles, Progress, ProvenObject, Report, read_proven, verify};

use self::duckdb::{DuckDb, TableFormat, Views};
use super::{
    period::Period,
    place::{self, Display, Export, Folder, Format, PlaceArguments, Source},
};
use crate::{failure::Failure, files::write_below, temporary_folder::TemporaryFolder};

/// The folders of an export with events.
const DAY: &str = "date=";

const EXAMPLES: &str = "\
Examples:
  audit-export query 'SELECT date, count(*) FROM audit_events GROUP BY date' \\
    copy --public-key key.pem
  audit-export query \"$(cat slowest.sql)\" \\
    s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --profile production --since 2026-11-01T00:00:00Z --output csv
  audit-export query \"SELECT json ->> 'department' FROM audit_lines\" \\
    copy --public-key key.pem
  audit-export query 'DESCRIBE audit_events' copy --unverified

The exit code is 0 only if the files were proven, or --unverified was given, and DuckDB completed the statement. It is 6 if the export is broken, 13 if only a newer export is missing in a copy, and 16 if DuckDB failed, is not installed or is older than 1.5; `audit-export --help` lists the others.";

/// Query an export with SQL, by DuckDB
///
/// Verifies the export as `audit-export verify` does. Then runs the program `duckdb` (1.5 or newer), which has to be
/// installed, with the view `audit_events` of the customer guide over the files that were proven. Its columns are those
/// of the audit model: `DESCRIBE audit_events` lists them, whatever the formats of the files are. Times are in UTC. Of files of
/// OCSF, which are beside the export's folder, they are those of the lines in `raw_data`; with `--unverified` these files are
/// left out.
///
/// A second view `audit_lines` has `date`, `event`, the exact line, and `json`, the same as JSON. A field that is in no
/// column of `audit_events` is `json ->> 'department'`.
///
/// With `--since` or `--until` the views have the events of that period only. Files whose events are all outside of it are
/// not copied, not read, and not verified.
///
/// Earlier versions of the service accepted a few events that DuckDB can't parse. Each is a row that is NULL in all
/// columns but `date`, and in `audit_lines` but `date` and `event`: `SELECT event FROM audit_lines WHERE json IS NULL`
/// shows them. With `--since` or `--until` they are left out.
///
/// A folder is read where it is, by DuckDB after the verification: somebody who replaces a file of it in between can show
/// bytes that are not proven. Query a folder that others can't write to. The proven files of a bucket are first copied to a
/// temporary folder, which is removed at the end; `TMPDIR` chooses its place. DuckDB needs no credentials.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueryArguments {
    /// The statement, or several with semicolons between them
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    sql: String,

    #[command(flatten)]
    place: PlaceArguments,

    #[command(flatten)]
    period: Period,

    /// Query all files of a folder without verifying them; no key is needed
    #[arg(long)]
    unverified: bool,

    /// The format of the result, as DuckDB prints it
    #[arg(long, value_enum, default_value_t)]
    output: TableFormat,
}

/// The files to query.
struct Files {
    paths: Vec<PathBuf>,
    /// The failure that remains after the query: the files are proven, but not the newest.
    conclusion: Result<(), Failure>,
}

pub async fn run(arguments: &QueryArguments, clock: &dyn Clock) -> Result<(), Failure> {
    let statement = duckdb::statement(&arguments.sql)?;
    let period = arguments.period.checked()?;
    // Before the verification, which can take long.
    let program = DuckDb::find()?;
    let folder = TemporaryFolder::create()?;
    let files = if arguments.unverified {
        unverified(arguments.place.folder()).await?
    } else {
        let export = arguments.place.open(clock).await?;
        match &export.source {
            Source::Folder(path, _) if period.is_unlimited() => verified(&export, path).await?,
            Source::Folder(path, _) => {
                let show = |display: &Display, progress: Progress<'_>| display.show(progress);
                proven(&export, period, &show, |object| Ok(path.join(object.name))).await?
            }
            Source::Bucket(_) => copied(&export, period, folder.path()).await?,
        }
    };
    for path in &files.paths {
        Format::of(&path.to_string_lossy()).map_err(|error| Failure::invalid_file(path, error))?;
    }
    let Files { paths, conclusion } = files;
    program.run(&Views { files: &paths, period }, statement, arguments.output, folder.path())?;
    conclusion
}

/// Lists the files of the days in a folder.
async fn unverified(folder: Option<&Path>) -> Result<Files, Failure> {
    let folder = folder.ok_or_else(|| {
        Failure::argument("--unverified", "is for a folder: the files of a bucket are verified as they are read")
    })?;
    let is_of_computer = |name: &str| name.rsplit('/').next().is_some_and(|file| file.starts_with('.'));
    let names: Vec<String> = Folder::open(folder)?
        .list("")
        .map_ok(|entry| entry.name)
        .try_filter(|name| std::future::ready(name.starts_with(DAY) && !is_of_computer(name)))
        .try_collect()
        .await
        .map_err(|error| Failure::invalid_file(folder, error))?;
    let paths = names.iter().map(|name| folder.join(name)).collect();
    Ok(Files { paths, conclusion: Ok(()) })
}

/// Verifies a folder, and returns the files that are proven. Unlike [`proven`], it reads several at a time.
async fn verified(export: &Export, folder: &Path) -> Result<Files, Failure> {
    let Export { source, options, circumstances } = export;
    let display = Display::new();
    let paths = RefCell::new(Vec::new());
    let show = |progress: Progress<'_>| {
        if let Progress::ObjectProven { name } = progress {
            paths.borrow_mut().push(folder.join(name));
        }
        display.show(progress);
    };
    let report = verify(source, options, circumstances.clone(), &show).await;
    display.finish();
    let report = report.map_err(|error| source.failure(error))?;
    let paths = paths.into_inner();
    conclude(&report, paths)
}

/// Copies the files of a bucket that are proven to a folder.
async fn copied(export: &Export, period: Period, folder: &Path) -> Result<Files, Failure> {
    let show = |display: &Display, progress: Progress<'_>| {
        if let Progress::ObjectsCounted { count, stored_bytes } = progress {
            let bound = if period.is_unlimited() { "" } else { "at most " };
            let [count, stored_bytes] = [count, stored_bytes].map(|number| grouped(&number.to_string()));
            display.suspended(|| terminal::report("copying", &format!("{bound}{stored_bytes} bytes in {count} files")));
        }
        display.show(progress);
    };
    let keep = |object: ProvenObject| {
        // The objects of Security Lake are beside the export's prefix, in folders that no others have.
        let name = object.name.strip_prefix(BESIDE).unwrap_or(&object.name);
        write_below(folder, name, &object.bytes)
    };
    proven(export, period, &show, keep).await
}

/// Reads the files that can have events of the period, and returns where `keep` has each of them after it was proven.
async fn proven(
    export: &Export,
    period: Period,
    show: &dyn Fn(&Display, Progress<'_>),
    keep: impl Fn(ProvenObject) -> Result<PathBuf, Failure>,
) -> Result<Files, Failure> {
    let Export { source, options, circumstances } = export;
    let display = Display::new();
    let show = |progress: Progress<'_>| show(&display, progress);
    let wanted = |object: &DigestObject| period.may_have_events_of(object);
    let mut paths = Vec::new();
    let mut failure = None;
    let mut take = |object: ProvenObject| match keep(object) {
        Ok(path) => {
            paths.push(path);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    let report = read_proven(source, options, circumstances.clone(), &show, &wanted, &mut take).await;
    display.finish();
    if let Some(failure) = failure {
        return Err(failure);
    }
    let report = report.map_err(|error| source.failure(error))?;
    conclude(&report, paths)
}

/// Returns the files unless the export is broken.
fn conclude(report: &Report, paths: Vec<PathBuf>) -> Result<Files, Failure> {
    place::show_breaks(report);
    let conclusion = match place::conclusion(report) {
        Err(failure @ Failure::Broken(_)) => return Err(failure),
        conclusion => conclusion,
    };
    place::warn_of_unread(report, "queried");
    Ok(Files { paths, conclusion })
}
