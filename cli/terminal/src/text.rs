//! Text from elsewhere, made safe to print.

use std::{
    fmt::{self, Write},
    ops::Deref,
};

use serde::{Deserialize, Deserializer};

/// Removes characters that control a terminal or change the direction of text.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|character| !steers(*character)).collect()
}

/// Removes the same characters as [`printable`], except line feeds.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.chars().filter(|character| *character == '\n' || !steers(*character)).collect()
}

/// Escapes the same characters in JSON, where they occur only within strings.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\n' | '\r' | '\t' => text.push(' '),
            // All of them are in the Basic Multilingual Plane, so four digits suffice.
            character if steers(character) => {
                // Writing to a String can't fail.
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            character => text.push(character),
        }
    }
    text
}

/// Quotes a text as one word for a POSIX shell.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A text of the service, [`printable`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(String);

/// A text of the service that may have several lines, [`printable_lines`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(printable(&text)))
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(printable_lines(&text)))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for Lines {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

fn steers(character: char) -> bool {
    // The marks and overrides of Unicode's bidirectional algorithm: <https://www.unicode.org/reports/tr9/>.
    let turns =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEERING: &str = "a\u{1b}[2J\u{9b}31m\u{7f}\u{202e}b\n";

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(printable(STEERING), "a[2J31mb");
        assert_eq!(printable_lines(STEERING), "a[2J31mb\n");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let json = serde_json::to_string(&[STEERING]).unwrap();
        let shown = printable_json(&json);
        assert!(shown.chars().all(|character| !steers(character)), "{shown:?}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap()[0], STEERING);
    }

    #[test]
    fn nothing_ends_its_quotes() {
        for (text, quoted) in [("a-b", "a-b"), ("", "''"), ("a b", "'a b'"), ("$(x)'", r"'$(x)'\'''")] {
            assert_eq!(shell_word(text), quoted);
        }
    }
}
