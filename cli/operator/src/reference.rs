use std::path::Path;

use clap::CommandFactory;
use golden_documents::{assert_current, assert_examples, commands, reference_page};

use crate::Arguments;

#[test]
fn the_reference_shows_the_help_of_every_command() {
    let update = "cargo test -p audit-export-operator reference";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/OPERATOR_CLI.md");
    assert_current(&path, &reference_page(Arguments::command(), update), update);
}

#[test]
fn every_command_has_examples() {
    Arguments::command().debug_assert();
    for command in commands(Arguments::command()) {
        assert!(command.has_examples(), "{:?}", command.path);
    }
}

#[test]
fn every_example_can_be_pasted() {
    let count = assert_examples(&Arguments::command());
    assert!(count > 20, "{count} examples");
}
