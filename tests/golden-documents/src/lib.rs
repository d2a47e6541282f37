//! Documentation pages that tests generate and compare with the committed ones.

mod command_reference;
mod examples;
mod sections;

use std::{env, fs, path::Path};

pub use self::{
    command_reference::{commands, reference_page},
    examples::{assert_examples, calls},
    sections::with_sections,
};

/// The environment variable that makes the tests write the pages instead of comparing them.
const UPDATE_VARIABLE: &str = "UPDATE_DOCS";

/// Compares the page at `path` with `generated`, or replaces it if `UPDATE_DOCS` is set.
///
/// # Panics
/// The page is out of date or can't be written. `update` is the command that writes it.
#[track_caller]
pub fn assert_current(path: &Path, generated: &str, update: &str) {
    if env::var_os(UPDATE_VARIABLE).is_some() {
        fs::write(path, generated).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()));
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "{} is out of date: run {UPDATE_VARIABLE}=1 {update}", path.display());
}
