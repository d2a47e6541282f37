//! Tests of the help of all commands.

use std::path::Path;

use clap::CommandFactory;
use golden_documents::{assert_current, commands, reference_page};

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
