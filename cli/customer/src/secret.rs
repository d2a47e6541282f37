//! Secrets of this process: wiped when they are dropped, and never printed.

use std::fmt;

use reqwest::header::HeaderValue;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// A larger token fits into no header that API Gateway accepts.
pub const MAX_TOKEN_LENGTH_BYTES: u64 = 8 * 1_024;

/// A text that is never printed. Serializing it is what sends it to the service.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Without the space around it: an editor ends a file with a line feed.
    #[must_use]
    pub fn trimmed(text: &Zeroizing<String>) -> Self {
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A bearer token.
#[derive(Clone, Debug)]
pub struct Token(HeaderValue);

impl Token {
    /// # Errors
    /// What is wrong with it, without the text itself.
    pub fn parse(text: &Zeroizing<String>) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() as u64 > MAX_TOKEN_LENGTH_BYTES {
            return Err("is too long for a token");
        }
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err("holds no token");
        }
        let bearer = Zeroizing::new(format!("Bearer {text}"));
        let mut header = HeaderValue::try_from(bearer.as_str()).map_err(|_| "holds no token")?;
        // So that no log of HTTP shows it.
        header.set_sensitive(true);
        Ok(Self(header))
    }

    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let text = Zeroizing::new(" hush \n".to_owned());
        let shown = format!("{:?} {:?}", Secret::trimmed(&text), Token::parse(&text).unwrap());
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(Secret::trimmed(&text).expose(), "hush");
    }

    #[test]
    fn a_token_is_one_word() {
        for bad in ["", " \n", "two words", "a\u{0}b", &"a".repeat(8_193)] {
            assert!(Token::parse(&Zeroizing::new(bad.to_owned())).is_err(), "{bad:?}");
        }
    }
}
