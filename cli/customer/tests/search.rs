//! `audit-export search` on a folder, and on a bucket that a local server provides.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod place;
#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;
#[path = "../src/test_server.rs"]
mod test_server;

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use bytes::Bytes;
use domain::export_format::ExportFormat;
use place::{CREDENTIALS, Copy, Outcome, program, serve_bucket, with_bucket};
use support::{CONFIGURATION, Export, Signer};

const LOGIN: &str = r#"{"id":"login-1","eventTimestamp":"2026-11-21T20:00:01.5+00:00","action":"LOGIN","actionStatus":"FAILURE","actor":"bob"}"#;
const QUERY: &str = r#"{ "id":"query-1", "eventTimestamp":"2026-11-21T20:30:00Z","action":"QUERY","actor":{"id":"u-1","name":"Zo\u00eb"},"targets":[{"id":"orders"},{"id":"customers"}],"n":123456789012345678901234567890}"#;
const EARLIER: &str =
    r#"{"id":"query-2","eventTimestamp":"2026-11-20T00:00:00Z","action":"QUERY","actor":{"id":"u-2"}}"#;
const LATER: &str =
    r#"{"id":"logout-1","eventTimestamp":"2026-11-21T22:00:00Z","action":"LOGOUT","actor":{"id":"U-1"}}"#;

/// Two windows with three files; the second file has an event of the day before.
fn copy() -> Copy {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window_of(&signer, &[&[LOGIN, QUERY], &[EARLIER]]);
    export.add_window_of(&signer, &[&[LATER]]);
    Copy::of(signer, export)
}

fn search(copy: &Copy, arguments: &[&str]) -> Outcome {
    copy.run(program("search").env("TZ", "UTC0").args([CONFIGURATION, "--public-key", "key.pem"]).args(arguments))
}

fn lines(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\n"]).collect()
}

#[test]
fn lines_are_printed_as_they_are_stored() {
    let copy = copy();
    for (arguments, found) in [
        (&[][..], &[LOGIN, QUERY, EARLIER, LATER][..]),
        (&["--actor", "bob"], &[LOGIN]),
        (&["--actor", "ZOË"], &[QUERY]),
        (&["--actor", "u-1", "--actor", "u-2"], &[QUERY, EARLIER]),
        (&["--action", "query", "--actor", "u-1"], &[QUERY]),
        (&["--target", "customers"], &[QUERY]),
        (&["--text", "zoë"], &[QUERY]),
        (&["--text", "6789012345"], &[QUERY]),
        (&["--since", "2026-11-21T20:00:01.500Z", "--until", "2026-11-21T22:00:00Z"], &[LOGIN, QUERY]),
        (&["--until", "2026-11-21T00:00:00+00:00"], &[EARLIER]),
        (&["--limit", "2"], &[LOGIN, QUERY]),
        (&["--actor", "nobody"], &[]),
    ] {
        let outcome = search(&copy, &[arguments, &["--output", "json"]].concat());
        assert_eq!((outcome.code, &*outcome.stdout, &*outcome.stderr), (0, &*lines(found), ""), "{arguments:?}");
    }
}

#[test]
fn a_table_says_what_was_searched() {
    let copy = copy();
    let outcome = search(&copy, &["--actor", "u-1", "--actor", "bob"]);
    let table = "\
TIME                  ACTION  ACTOR  TARGET       STATUS   ID
2026-11-21T20:00:01Z  LOGIN   bob                 FAILURE  login-1
2026-11-21T20:30:00Z  QUERY   Zoë    orders (+1)           query-1
";
    assert_eq!(outcome.stdout, table);
    assert_eq!(outcome.stderr, "searched: 3 of 3 files; 2 of 4 events match\n");
    let outcome = search(&copy, &["--until", "2026-11-21T00:00:00Z", "--limit", "1"]);
    outcome.is(0, "query-2", "searched: 1 of 3 files; 1 of 1 events match; stopped at the limit\n");
    search(&copy, &["--text", "nothing"]).is(0, "", "0 of 4 events match");
}

#[test]
fn nothing_of_an_altered_file_is_shown() {
    let copy = copy();
    let altered = &copy.export.objects[1];
    let mut bytes = copy.export.files[altered].to_vec();
    bytes[20] ^= 1;
    copy.write(altered, &bytes);
    let json = ["--output", "json"];
    let outcome = search(&copy, &json);
    assert_eq!((outcome.code, outcome.stdout), (6, lines(&[LOGIN, QUERY])));
    let words = format!(
        "broken: ALTERED_OBJECT: The bytes of an object differ from those that its digest names.\n    {altered}\n"
    );
    assert!(outcome.stderr.starts_with(&words), "{}", outcome.stderr);
    assert!(outcome.stderr.ends_with("\nerror: the export is broken: ALTERED_OBJECT\n"), "{}", outcome.stderr);
    // A file that can't have a match is not read.
    let outcome = search(&copy, &[&json[..], &["--since", "2026-11-21T00:00:00Z"]].concat());
    assert_eq!((outcome.code, outcome.stdout), (0, lines(&[LOGIN, QUERY, LATER])));
    copy.write(altered, &copy.export.files[&copy.export.objects[0]]);
    search(&copy, &json).is(6, "", "broken: REORDERED");
    copy.remove(altered);
    search(&copy, &json).is(6, "", "broken: MISSING_OBJECT");
}

#[test]
fn files_that_no_digest_names_are_not_searched() {
    let copy = copy();
    let proven = copy.export.files[&copy.export.objects[0]].clone();
    copy.write(&Export::object_name_at("2026-11-22T00:00:00Z"), &proven);
    let outcome = search(&copy, &["--output", "json", "--actor", "bob"]);
    assert_eq!((outcome.code, &*outcome.stdout), (0, &*lines(&[LOGIN])));
    assert!(outcome.stderr.starts_with("warning: files that were not searched: 1: no digest"), "{}", outcome.stderr);
    copy.write(&Export::object_name_at("2026-11-21T21:00:00Z"), &proven);
    search(&copy, &[]).is(6, "", "error: the export is broken: EXTRA_OBJECT\n");
}

#[test]
fn events_that_a_filter_left_out_are_counted() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window_of(&signer, &[&[QUERY]]);
    export.filter = serde_json::from_str(r#"{"include":{"actions":["LOGIN"]}}"#).ok();
    export.left_out = 7;
    export.add_window_of(&signer, &[&[LOGIN]]);
    export.add_window_of(&signer, &[]);
    let copy = Copy::of(signer, export);
    let outcome = search(&copy, &["--output", "json", "--actor", "bob"]);
    assert_eq!((outcome.code, &*outcome.stdout), (0, &*lines(&[LOGIN])));
    let words = "warning: events that were not searched: 14: filters of the export left them out\n";
    assert_eq!(outcome.stderr, words);
    search(&copy, &[]).is(0, "", &format!("searched: 2 of 2 files; 2 of 2 events match\n{words}"));
}

#[test]
fn nothing_is_shown_without_proven_digests() {
    let copy = copy();
    copy.write("../other.pem", Signer::generate().public_key_pem().as_bytes());
    let outcome = copy.run(program("search").args([CONFIGURATION, "--public-key", "other.pem"]));
    outcome.is(6, "", "error: the export is broken: WRONG_KEY\n");
    assert_eq!(outcome.stdout, "");
    copy.run(program("search").arg(CONFIGURATION)).is(2, "", "no keys are given");
    let later = ["--expect-through", "2026-11-22T02:00:00Z"];
    search(&copy, &later).is(6, "", "TRUNCATED_CHAIN");
    copy.remove(&copy.export.digests[0]);
    search(&copy, &[]).is(6, "", "MISSING_DIGEST");
}

#[test]
fn a_content_that_is_not_the_digests_is_refused() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    export.add_window_with(&signer, &[3], |digest| digest.objects[0].events = 4);
    let outcome = search(&Copy::of(signer, export), &[]);
    outcome.is(6, "", "broken: CONTENT_MISMATCH");
    outcome.is(6, "", "it holds 3 lines, its digest says 4 events\nerror: the export is broken: CONTENT_MISMATCH\n");
}

#[test]
fn a_file_of_another_compression_is_searched() {
    let signer = Signer::generate();
    let mut export = Export { format: ExportFormat::NdjsonZstd, ..Export::new("acme", CONFIGURATION) };
    export.add_window_of(&signer, &[&[LOGIN, QUERY]]);
    assert!(export.objects[0].ends_with(".ndjson.zst"));
    let outcome = search(&Copy::of(signer, export), &["--output", "json", "--actor", "u-1"]);
    assert_eq!((outcome.code, &*outcome.stdout, &*outcome.stderr), (0, &*lines(&[QUERY]), ""));
}

#[test]
fn files_of_all_formats_are_searched() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    for (format, events) in [
        (ExportFormat::NdjsonGzip, &[LOGIN, QUERY][..]),
        (ExportFormat::Parquet, &[QUERY, LATER]),
        (ExportFormat::NdjsonZstd, &[EARLIER]),
    ] {
        export.format = format;
        export.add_window_of(&signer, &[events]);
    }
    let copy = Copy::of(signer, export);
    let outcome = search(&copy, &["--output", "json", "--actor", "u-1", "--actor", "u-2"]);
    assert_eq!((outcome.code, &*outcome.stdout, &*outcome.stderr), (0, &*lines(&[QUERY, QUERY, EARLIER]), ""));
    let outcome = search(&copy, &["--action", "logout"]);
    outcome.is(0, "logout-1", "searched: 3 of 3 files; 1 of 5 events match\n");
    let parquet = &copy.export.objects[1];
    let mut bytes = copy.export.files[parquet].to_vec();
    bytes[20] ^= 1;
    copy.write(parquet, &bytes);
    let outcome = search(&copy, &["--output", "json"]);
    assert_eq!((outcome.code, outcome.stdout), (6, lines(&[LOGIN, QUERY])));
    assert!(outcome.stderr.starts_with("broken: ALTERED_OBJECT"), "{}", outcome.stderr);
}

/// The files are beside the folder of the export. A line of more than 65,535 characters is elsewhere in its record.
#[test]
fn records_of_ocsf_are_searched_by_their_lines() {
    let signer = Signer::generate();
    let mut export = Export { format: ExportFormat::OcsfParquet, ..Export::new("acme", CONFIGURATION) };
    let long = format!(
        r#"{{"id":"long","eventTimestamp":"2026-11-21T20:45:00Z","action":"QUERY","auditPayload":"{}"}}"#,
        "x".repeat(70_000)
    );
    export.add_window_of(&signer, &[&[QUERY, &long]]);
    let copy = Copy::of(signer, export);
    let outcome = search(&copy, &["--output", "json", "--action", "query"]);
    assert_eq!((outcome.code, &*outcome.stderr), (0, ""));
    assert!(outcome.stdout == lines(&[QUERY, &long]));
    search(&copy, &["--actor", "u-1"]).is(0, "query-1", "searched: 1 of 1 files; 1 of 2 events match\n");
}

#[test]
fn a_parquet_file_with_other_content_is_refused() {
    for format in [ExportFormat::Parquet, ExportFormat::OcsfParquet] {
        let signer = Signer::generate();
        let mut export = Export { format, ..Export::new("acme", CONFIGURATION) };
        export.add_window_with(&signer, &[3], |digest| digest.objects[0].crc32 ^= 1);
        let outcome = search(&Copy::of(signer, export), &[]);
        outcome.is(6, "", "error: the export is broken: CONTENT_MISMATCH\n");
    }
}

#[test]
fn a_bucket_is_searched() {
    let copy = copy();
    let endpoint = serve_bucket(&copy, |_| ());
    let search = |arguments: &[&str]| {
        let mut command = program("search");
        with_bucket(&mut command, &endpoint, &CREDENTIALS);
        copy.run(command.arg(copy.export.place()).args(["--public-key", "key.pem", "--output", "json"]).args(arguments))
    };
    let outcome = search(&["--action", "QUERY"]);
    assert_eq!((outcome.code, &*outcome.stdout), (0, &*lines(&[QUERY, EARLIER])), "{}", outcome.stderr);
    let name = format!("audit/logs/{CONFIGURATION}/{}", copy.export.objects[0]);
    let altered = serve_bucket(&copy, |bucket| _ = bucket.files.insert(name, Bytes::from_static(b"x")));
    let mut command = program("search");
    with_bucket(&mut command, &altered, &CREDENTIALS);
    let outcome = copy.run(command.arg(copy.export.place()).args(["--public-key", "key.pem"]));
    outcome.is(6, "", "error: the export is broken: ALTERED_OBJECT\n");
}

#[test]
fn a_reader_that_ends_first_is_no_error() {
    let signer = Signer::generate();
    let mut export = Export::new("acme", CONFIGURATION);
    // More than a pipe holds.
    let object = vec![LATER; 2_000];
    export.add_window_of(&signer, &[&object, &object, &object]);
    let copy = Copy::of(signer, export);
    let mut command = program("search");
    command.args([CONFIGURATION, "--public-key", "key.pem", "--output", "json"]).current_dir(copy.directory.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, lines(&[LATER]));
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*errors), (Some(0), ""));
}

#[test]
fn wrong_arguments() {
    let copy = copy();
    for (arguments, words) in [
        (&["--limit", "0"][..], "--limit"),
        (&["--since", "yesterday"], "--since"),
        (
            &["--since", "2026-11-22T00:00:00Z", "--until", "2026-11-22T00:00:00Z"],
            "--until: must be later than --since",
        ),
    ] {
        search(&copy, arguments).is(2, "", words);
    }
}
