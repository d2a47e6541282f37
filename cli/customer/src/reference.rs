//! The reference of the command line, made from what `--help` says.

use std::{fmt::Write, fs, path::Path};

use clap::{Command, CommandFactory};

use crate::Arguments;

/// Set to 1, it has the test write the page anew.
const UPDATE_VARIABLE: &str = "UPDATE_DOCS";

/// Columns.
const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
<!-- Made from the command line itself: UPDATE_DOCS=1 cargo test -p audit-export reference -->

# `audit-export`

Each command as its `--help` shows it.
";

/// Every command with the names that lead to it, in the order of `--help`.
pub fn commands() -> Vec<(Vec<String>, Command)> {
    let mut root = Arguments::command().term_width(WIDTH);
    root.build();
    let mut commands = Vec::new();
    add(&mut commands, &[], root);
    commands
}

fn add(commands: &mut Vec<(Vec<String>, Command)>, path: &[String], command: Command) {
    let children: Vec<Command> =
        command.get_subcommands().filter(|child| child.get_name() != "help").cloned().collect();
    commands.push((path.to_vec(), command));
    for child in children {
        let name = child.get_name().to_owned();
        add(commands, &[path, &[name]].concat(), child);
    }
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (path, mut command) in commands() {
        if !path.is_empty() {
            let level = "#".repeat(path.len() + 1);
            // Writing to a String can't fail.
            let _ = write!(page, "\n{level} `audit-export {}`\n", path.join(" "));
        }
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(page, "\n```text\n{}\n```\n", lines.join("\n"));
    }
    page
}

/// What a user reads is part of the interface: a change shows up in review as a change of the page.
#[test]
fn the_reference_shows_the_help_of_every_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/CLI.md");
    if std::env::var(UPDATE_VARIABLE).is_ok_and(|value| value == "1") {
        fs::write(&path, page()).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()));
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/reference/CLI.md is out of date: run {UPDATE_VARIABLE}=1 cargo test -p audit-export reference"
    );
}

/// Each command shows how it is called: by examples, or by those of the commands below it.
#[test]
fn every_command_has_examples() {
    for (path, command) in commands() {
        let help = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
        let has_children = command.get_subcommands().any(|child| child.get_name() != "help");
        assert!(has_children || help.is_some_and(|help| help.contains("Example")), "{path:?}");
    }
}
