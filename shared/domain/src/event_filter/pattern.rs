//! The patterns of a filter.

use std::fmt;

use serde::Serialize;

/// A text that a value has to equal or, with an asterisk at its end, that a value has to begin with. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pattern(String);

impl Pattern {
    /// Parses 1 to `max_length` bytes that JSON writes without escapes. An asterisk may only end them, after at least one
    /// other character.
    pub(super) fn parse(text: &str, max_length: usize) -> Option<Self> {
        let start = text.strip_suffix('*').unwrap_or(text);
        let is_escaped = |character: char| character.is_control() || matches!(character, '"' | '\\');
        let is_valid = !start.is_empty()
            && text.len() <= max_length
            && !start.contains(|character| is_escaped(character) || character == '*');
        is_valid.then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn matches(&self, value: &[u8]) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => value.starts_with(start.as_bytes()),
            None => value == self.0.as_bytes(),
        }
    }

    /// Returns whether every value that matches `other` matches this pattern too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match other.0.strip_suffix('*') {
            Some(start) => self.0.ends_with('*') && self.matches(start.as_bytes()),
            None => self.matches(other.0.as_bytes()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
