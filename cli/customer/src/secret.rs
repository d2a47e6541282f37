//! Secrets: wiped on drop, and never printed.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// API Gateway accepts no larger header.
pub const MAX_TOKEN_LENGTH_BYTES: u64 = 8 * 1_024;

/// A text that is never printed. Serializing it sends it to the service.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// Removes surrounding whitespace: editors end a file with a line feed.
    pub fn trimmed(text: &Zeroizing<String>) -> Self {
        Self(text.trim().into())
    }

    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A bearer token.
#[derive(Clone, Debug)]
pub struct Token(HeaderValue);

impl Token {
    /// Parses a token, ignoring surrounding whitespace.
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
        // HTTP logs hide it.
        header.set_sensitive(true);
        Ok(Self(header))
    }

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
