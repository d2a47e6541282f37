//! `audit-export query` with a double of DuckDB; `tests/e2e/test_query.py` runs the real one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod place;
#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;
#[path = "../src/test_server.rs"]
mod test_server;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use domain::export_format::ExportFormat;
use place::{CREDENTIALS, Copy, Outcome, program, serve_bucket, with_bucket};
use support::{CONFIGURATION, Export, Signer};

/// Prints its arguments, the view, the size of each file in it, and the secrets of its environment.
const DUCKDB: &str = r#"#!/bin/sh
[ "$1" != -version ] || { echo "v${DUCKDB_VERSION:-1.5.0} (Variegata) 0123456789"; exit "${DUCKDB_EXIT:-0}"; }
for argument; do printf '<%s>\n' "$argument"; done
cat "$2"
grep -o "'[^']*[.]ndjson[^']*'" "$2" | tr -d "'" | while read -r file; do wc -c < "$file"; done
echo "secrets: $AUDIT_EXPORT_TOKEN$AUDIT_EXPORT_SECRET_ACCESS_KEY"
printf -- '-- Loading resources from %s\nfrom duckdb\n' "$2" >&2
case "$*" in *broken*) exit 1 ;; *slow*) touch started; exec sleep 5 ;; esac
"#;

const SIGTERM: i32 = 15;

struct Desk {
    copy: Copy,
}

impl Desk {
    fn new() -> Self {
        Self::of(Copy::new())
    }

    fn of(copy: Copy) -> Self {
        fs::create_dir(copy.path("bin")).unwrap();
        fs::write(copy.path("bin/duckdb"), DUCKDB).unwrap();
        fs::set_permissions(copy.path("bin/duckdb"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { copy }
    }

    fn program(&self) -> Command {
        let mut command = program("query");
        command.env("PATH", format!("{}:/usr/bin:/bin", self.copy.path("bin").display()));
        command.env("AUDIT_EXPORT_TOKEN", "s3cret").env("AUDIT_EXPORT_SECRET_ACCESS_KEY", "s3cret");
        command
    }

    fn query(&self, sql: &str, arguments: &[&str]) -> Outcome {
        let key = ["--public-key", "key.pem"];
        self.copy.run(self.program().args([sql, CONFIGURATION]).args(key).args(arguments))
    }

    /// The paths of the objects below a folder, in the form of the view.
    fn files(&self, folder: &str) -> String {
        let paths: Vec<String> = self.copy.export.objects.iter().map(|name| format!("'{folder}/{name}'")).collect();
        paths.join(",\n")
    }
}

#[test]
fn the_statement_is_one_argument_and_the_view_has_the_proven_files() {
    let desk = Desk::new();
    // A file of a running export, which is not proven yet.
    desk.copy.write(&Export::object_name_at("2026-11-22T06:30:00Z"), b"x");
    let sql = "-- $(x)\nSELECT \"$HOME\", 'it''s';";
    let outcome = desk.query(sql, &["--output", "csv"]);
    outcome.is(0, &format!("<-bail>\n<-csv>\n<-nullvalue>\n<>\n<-c>\n<{sql}>\nSET TimeZone = 'UTC';\nCREATE VIEW"), "");
    outcome.is(0, &format!("FROM read_json(\n  [{}],\n", desk.files(CONFIGURATION)), "");
    outcome.is(0, "secrets: \n", "warning: files that were not queried: 1");
    assert!(outcome.stderr.ends_with("\nfrom duckdb\n") && !outcome.stderr.contains("Loading"), "{}", outcome.stderr);
    desk.query("SELECT 1", &[]).is(0, "<-bail>\n<-c>\n<SELECT 1>\n", "");
    desk.query("SELECT 1", &["--output", "json"]).is(0, "<-json>\n<-c>\n", "");
}

#[test]
fn nothing_is_queried_unless_it_is_proven() {
    let desk = Desk::new();
    let name = desk.copy.export.objects[2].clone();
    desk.copy.write(&name, b"altered");
    let outcome = desk.query("SELECT 1", &[]);
    outcome.is(6, "", "error: the export is broken: ALTERED_OBJECT\n");
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains(&name), "{}{}", outcome.stdout, outcome.stderr);
    // Unless that is asked for.
    let unverified = |target: &str| desk.copy.run(desk.program().args(["SELECT 1", target, "--unverified"]));
    unverified(CONFIGURATION).is(0, &desk.files(CONFIGURATION), "");
    unverified("s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b").is(2, "", "is for a folder");
    desk.copy.write("date=2026-11-22/a.csv", b"x");
    let words = "date=2026-11-22/a.csv: the format .csv is not supported by this command, which reads .ndjson.gz, .ndjson.zst, .parquet";
    unverified(CONFIGURATION).is(5, "", words);
}

#[test]
fn files_of_two_formats_are_in_the_view() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window(&signer, &[2]);
    export.format = ExportFormat::Parquet;
    export.add_window(&signer, &[3]);
    let desk = Desk::of(Copy::of(signer, export));
    let [gzip, parquet] = &desk.copy.export.objects[..] else { panic!("two objects") };
    let outcome = desk.query("SELECT 1", &[]);
    outcome.is(0, &format!("FROM read_json(\n  ['{CONFIGURATION}/{gzip}'],\n"), "");
    outcome.is(0, &format!("FROM read_parquet(['{CONFIGURATION}/{parquet}'], "), "");
    desk.copy.write(parquet, b"altered");
    desk.query("SELECT 1", &[]).is(6, "", "error: the export is broken: ALTERED_OBJECT\n");
}

/// They are beside the folder of the export, and in a bucket beside its prefix.
#[test]
fn files_of_ocsf_are_in_the_view() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window(&signer, &[2]);
    export.format = ExportFormat::OcsfParquet;
    export.add_window(&signer, &[3]);
    let desk = Desk::of(Copy::of(signer, export));
    let [_, ocsf] = &desk.copy.export.objects[..] else { panic!("two objects") };
    let in_lake = ocsf.strip_prefix("../").unwrap();
    let reader = format!("AS event, filename\n    FROM read_parquet(['{CONFIGURATION}/{ocsf}'], ");
    desk.query("SELECT 1", &[]).is(0, &reader, "");
    desk.query("SELECT 1", &["--since", "2026-01-01T00:00:00Z"]).is(0, &reader, "");

    let folder = desk.copy.path("temporary");
    fs::create_dir(&folder).unwrap();
    let endpoint = serve_bucket(&desk.copy, |_| ());
    let path = desk.copy.path("bin").display().to_string() + ":/usr/bin:/bin";
    let (mut command, place) = (program("query"), desk.copy.export.place());
    with_bucket(&mut command, &endpoint, &CREDENTIALS).env("PATH", path).env("TMPDIR", &folder);
    let outcome = desk.copy.run(command.args(["SELECT 1", &place, "--public-key", "key.pem"]));
    outcome.is(0, &format!("/{in_lake}'], hive_partitioning"), "");

    desk.copy.write(ocsf, b"altered");
    desk.query("SELECT 1", &[]).is(6, "", "error: the export is broken: ALTERED_OBJECT\n");
}

#[test]
fn a_bucket_is_copied_while_it_is_verified() {
    let desk = Desk::new();
    let endpoint = serve_bucket(&desk.copy, |_| ());
    let path = desk.copy.path("bin").display().to_string() + ":/usr/bin:/bin";
    let folder = desk.copy.path("temporary");
    fs::create_dir(&folder).unwrap();
    let mut command = program("query");
    with_bucket(&mut command, &endpoint, &CREDENTIALS).env("PATH", &path).env("TMPDIR", &folder);
    let place = desk.copy.export.place();
    let outcome = desk.copy.run(command.args(["SELECT 1", &place, "--public-key", "key.pem"]));
    let lengths: Vec<usize> = desk.copy.export.objects.iter().map(|name| desk.copy.export.files[name].len()).collect();
    let total = terminal::grouped(&lengths.iter().sum::<usize>().to_string());
    assert_eq!(outcome.stderr, format!("copying: {total} bytes in 7 files\nfrom duckdb\n"));
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let sizes: Vec<String> = lengths.iter().map(ToString::to_string).collect();
    let printed: Vec<&str> = outcome.stdout.lines().filter(|line| line.parse::<u64>().is_ok()).collect();
    // Both views, the events and the lines, name every file.
    assert_eq!(printed, [sizes.clone(), sizes].concat());
    let is_empty = || fs::read_dir(&folder).unwrap().count() == 0;
    assert!(is_empty(), "the copies are removed");
    // They are removed, too, if somebody ends the program.
    let arguments = ["SELECT slow", &place, "--public-key", "key.pem"];
    let mut command = program("query");
    with_bucket(&mut command, &endpoint, &CREDENTIALS).env("PATH", path).env("TMPDIR", &folder).args(arguments);
    let silent = command.current_dir(desk.copy.directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = silent.spawn().unwrap();
    while !desk.copy.path("started").exists() {
        thread::park_timeout(Duration::from_millis(20));
    }
    assert!(!is_empty());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
    assert!(is_empty(), "the copies are removed");
}

#[test]
fn files_of_another_time_are_neither_read_nor_copied() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    let event = |time: &str| format!(r#"{{"id":"1","eventTimestamp":"{time}"}}"#);
    for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
        export.add_window_of(&signer, &[&[event(&format!("{day}T12:00:00Z")).as_str()]]);
    }
    let desk = Desk::of(Copy::of(signer, export));
    let [first, second, third] = &desk.copy.export.objects[..] else { panic!("three objects") };
    let period = ["--since", "2026-11-21T00:00:00Z", "--until", "2026-11-22T00:00:00Z"];
    desk.copy.remove(first);
    desk.copy.write(third, b"altered");
    let outcome = desk.query("SELECT 1", &period);
    outcome.is(0, &format!("FROM read_json(\n  ['{CONFIGURATION}/{second}'],\n"), "");
    outcome.is(0, "WHERE eventTimestamp >= TIMESTAMPTZ '2026-11-21T00:00:00.000Z' AND eventTimestamp < ", "");
    desk.query("SELECT 1", &period[..2]).is(6, "", "error: the export is broken: ALTERED_OBJECT\n");
    desk.query("SELECT 1", &["--since", "2026-11-22T00:00:00Z", "--until", "2026-11-22T00:00:00Z"]).is(
        2,
        "",
        "--until: must be later than --since",
    );
    desk.copy.write(second, b"altered");
    desk.query("SELECT 1", &period).is(6, "", "error: the export is broken: ALTERED_OBJECT\n");

    let stored: usize = desk.copy.export.objects.iter().map(|name| desk.copy.export.files[name].len()).sum();
    let endpoint = serve_bucket(&desk.copy, |bucket| {
        bucket.files.retain(|key, _| !key.ends_with(first) && !key.ends_with(third));
    });
    let mut command = desk.program();
    let path = desk.copy.path("bin").display().to_string() + ":/usr/bin:/bin";
    with_bucket(&mut command, &endpoint, &CREDENTIALS).env("PATH", path);
    let place = desk.copy.export.place();
    let outcome = desk.copy.run(command.args(["SELECT 1", &place, "--public-key", "key.pem"]).args(period));
    outcome.is(0, second, &format!("copying: at most {stored} bytes in 3 files\n"));
}

#[test]
fn an_export_without_events_has_a_view() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window(&signer, &[]);
    let outcome = Desk::of(Copy::of(signer, export)).query("SELECT 1", &[]);
    outcome.is(0, "/date=1970-01-01/none.ndjson'],", "");
    outcome.is(0, "\n0\n", "");
}

#[test]
fn failures_of_duckdb() {
    let desk = Desk::new();
    desk.query("SELECT broken", &[]).is(16, "", "error: DuckDB did not complete the statement: see above\n");
    for sql in ["", ".shell ls"] {
        desk.query(sql, &[]).is(2, "", "SQL: give a statement");
    }
    // Before anything is verified.
    for (variable, value) in [("DUCKDB_VERSION", "1.4.9"), ("DUCKDB_EXIT", "1")] {
        let mut command = desk.program();
        command.env(variable, value).args(["SELECT 1", "missing", "--public-key", "key.pem"]);
        desk.copy.run(&mut command).is(
            16,
            "",
            "error: results are tested with DuckDB 1.5 and newer, and `duckdb -version`",
        );
    }
    fs::remove_file(desk.copy.path("bin/duckdb")).unwrap();
    let mut command = desk.program();
    command.env("PATH", desk.copy.path("bin"));
    // Before anything is verified.
    let outcome = desk.copy.run(command.args(["SELECT 1", "missing", "--public-key", "key.pem"]));
    outcome.is(16, "", "Install DuckDB 1.5 or newer");
}
