//! Hashes as lower-case hexadecimal digits.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex32(pub [u8; 32]);

impl Hex32 {
    /// Returns the SHA-256 of some bytes.
    #[must_use]
    pub fn sha256_of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// The error of a text that is not as many lower-case hexadecimal digits as its type needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{digits} lower-case hexadecimal digits are needed")]
pub struct InvalidHex {
    pub(crate) digits: usize,
}

/// Parses exactly `2 * N` digits: bytes have one spelling.
pub(crate) fn parse<const N: usize>(text: &str) -> Result<[u8; N], InvalidHex> {
    let invalid = InvalidHex { digits: 2 * N };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return Err(invalid);
    }
    HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| invalid)?;
    Ok(bytes)
}

impl fmt::Display for Hex32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

impl fmt::Debug for Hex32 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for Hex32 {
    type Error = InvalidHex;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse(&text).map(Self)
    }
}

impl From<Hex32> for String {
    fn from(hex: Hex32) -> Self {
        hex.to_string()
    }
}
