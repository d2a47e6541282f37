//! An IAM user's access key.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{
    field_error::{FieldErrorCode, Invalid},
    text_type::text_type,
};

/// The public half of an access key: 16 to 128 upper-case letters and digits.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>. Keys of temporary credentials
/// (`ASIA…`) are refused: they are worth nothing without a session token and end within hours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// # Errors
    /// `ACCESS_KEY_ID_INVALID`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |rule| Err(Invalid::new(FieldErrorCode::AccessKeyIdInvalid, rule));
        if text.starts_with("ASIA") {
            return invalid("Give the access key of an IAM user (AKIA…): temporary credentials end within hours.");
        }
        let shaped = (16..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            invalid("An access key id has 16 to 128 upper-case letters and digits, for example AKIAIOSFODNN7EXAMPLE.")
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(AccessKeyId, 0);

/// The secret half. It can be neither printed, compared nor serialized, and its memory is wiped when it is dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretAccessKey(String);

impl SecretAccessKey {
    /// 40 characters of base 64, as IAM issues them.
    ///
    /// # Errors
    /// `SECRET_ACCESS_KEY_INVALID`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let shaped =
            text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte));
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                FieldErrorCode::SecretAccessKeyInvalid,
                "A secret access key has 40 characters: letters, digits, '/', '+' or '='.",
            ))
        }
    }

    /// The secret itself; only to encrypt it or to sign with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretAccessKey(…)")
    }
}

/// A secret access key under the service's KMS key, bound to its tenant and configuration by the encryption context.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    #[must_use]
    pub fn from_ciphertext(ciphertext: Vec<u8>) -> Self {
        Self(ciphertext)
    }

    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealedSecret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_lengths_of_iam() {
        assert!(AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").is_ok());
        for bad in
            ["", "AKIA", "akiaiosfodnn7example", "ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7 XAMPLE", &"A".repeat(129)]
        {
            assert!(AccessKeyId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(SecretAccessKey::parse("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").is_ok());
        for bad in
            ["", "short", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE\n"]
        {
            assert!(SecretAccessKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = SecretAccessKey::parse("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        assert_eq!(format!("{secret:?}"), "SecretAccessKey(…)");
        assert_eq!(format!("{:?}", SealedSecret::from_ciphertext(vec![1, 2, 3])), "SealedSecret(3 bytes)");
    }
}
