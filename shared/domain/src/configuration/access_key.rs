//! The access key of an IAM user.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The ID of an access key: 16 to 128 upper-case letters and digits.
///
/// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>. Keys of temporary credentials
/// (`ASIA…`) are refused: they need a session token and expire within hours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// # Errors
    /// `ACCESS_KEY_ID_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let invalid = |rule| Err(ValueError::new(FieldErrorCode::AccessKeyIdInvalid, rule));
        if text.starts_with("ASIA") {
            return invalid("Give the access key of an IAM user (AKIA…). Temporary credentials expire within hours.");
        }
        let shaped = (16..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            invalid("An access key ID has 16 to 128 upper-case letters and digits, for example AKIAIOSFODNN7EXAMPLE.")
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(AccessKeyId, 0);

/// A secret access key. It is never printed or serialized, and its memory is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct SecretAccessKey(SecretString);

impl SecretAccessKey {
    /// Parses 40 characters of base 64, the form in which IAM issues secrets.
    ///
    /// # Errors
    /// `SECRET_ACCESS_KEY_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let shaped =
            text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte));
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::SecretAccessKeyInvalid,
                "A secret access key has 40 characters: letters, digits, '/', '+' or '='.",
            ))
        }
    }

    /// Returns the secret, to encrypt it or to sign with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A secret access key that is encrypted with the service's KMS key. The encryption context binds it to its tenant and
/// configuration.
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
        assert_eq!(format!("{secret:?}"), "SecretAccessKey(SecretBox<str>([REDACTED]))");
        assert_eq!(format!("{:?}", SealedSecret::from_ciphertext(vec![1, 2, 3])), "SealedSecret(3 bytes)");
    }
}
