//! Tests of the help of all commands.

use std::path::Path;

use clap::{CommandFactory, Parser};
use golden_documents::{assert_current, assert_examples, calls, commands, reference_page};

use crate::Arguments;

/// The help is part of the interface: a change shows up in review as a change of the page.
#[test]
fn the_reference_shows_the_help_of_every_command() {
    let update = "cargo test -p audit-export reference";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/CLI.md");
    assert_current(&path, &reference_page(Arguments::command(), update), update);
}

/// Each command shows how it is called, or leaves that to its subcommands.
#[test]
fn every_command_has_examples() {
    for command in commands(Arguments::command()) {
        assert!(command.has_examples(), "{:?}", command.path);
    }
}

#[test]
fn every_example_can_be_pasted() {
    let count = assert_examples(&Arguments::command());
    assert!(count > 50, "{count} examples");
}

/// A configuration or a replay, in the calls of documents.
const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

/// The calls with values to fill in, which no test can run as printed: in blocks of text, and indented.
#[test]
fn every_call_in_the_documents_can_be_pasted() {
    let documents =
        [("docs/CUSTOMER_GUIDE.md", 7), ("docs/BUCKETS.md", 1), ("docs/VERIFICATION.md", 2), ("README.md", 2)];
    for (document, at_least) in documents {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
        let text = std::fs::read_to_string(path).unwrap();
        let mut fence = None;
        let mut code = String::new();
        for line in text.lines() {
            match (line.strip_prefix("```"), fence) {
                (Some(language), None) => fence = Some(language),
                (Some(_), Some(_)) => fence = None,
                (None, Some("text")) => code.extend(continued(line)),
                (None, None) if line.starts_with("    ") => code.extend(continued(line)),
                (None, _) => {}
            }
        }
        let mut count = 0;
        for words in filled_in(&code).lines().flat_map(|line| calls(line, "audit-export")) {
            let parsed = Arguments::try_parse_from(&words);
            assert!(parsed.is_ok(), "{document}: {words:?}: {}", parsed.unwrap_err());
            count += 1;
        }
        assert!(count >= at_least, "{document}: {count} calls");
    }
}

/// Returns the line with its end, unless the next line continues it.
fn continued(line: &str) -> [&str; 2] {
    line.strip_suffix('\\').map_or([line, "\n"], |start| [start, ""])
}

/// Returns the code with an ID instead of each placeholder in angle brackets and each variable.
fn filled_in(code: &str) -> String {
    let mut filled = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once('<') {
        match after.split_once('>') {
            Some((name, end)) if !name.contains('\n') => {
                filled.extend([before, ID]);
                rest = end;
            }
            _ => {
                filled.extend([before, "<"]);
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled.replace("$BUCKET_PATH", "audit").replace("$BUCKET", "acme-audit").replace("$ID", ID)
}
