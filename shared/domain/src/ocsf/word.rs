//! Words of events and rules.

/// Returns the form in which words are compared: upper case, with `_` for every other ASCII character than letters and digits.
#[must_use]
pub fn word(text: &str) -> String {
    let letter = |letter: char| {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() { '_' } else { letter.to_ascii_uppercase() }
    };
    text.chars().map(letter).collect()
}
