//! The access key of an IAM user, or of a user of another S3 server.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The most characters of an access key's ID.
const MAX_ACCESS_KEY_ID_LENGTH: usize = 128;

/// The most characters of a secret access key.
const MAX_SECRET_ACCESS_KEY_LENGTH: usize = 256;

/// The ID of an access key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Parses what any S3 server may give out: 1 to 128 characters of visible ASCII, without those that separate the fields of a
    /// signature's header: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>.
    ///
    /// # Errors
    /// `ACCESS_KEY_ID_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let shaped = (1..=MAX_ACCESS_KEY_ID_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/,=".contains(&byte));
        if shaped {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::AccessKeyIdInvalid,
                "An access key ID has 1 to 128 characters of visible ASCII without '/', ',' and '='.",
            ))
        }
    }

    /// Parses the ID of a key of an IAM user: 16 to 128 upper-case letters and digits.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html>. Keys of temporary credentials
    /// (`ASIA…`) are refused: they need a session token and expire within hours.
    ///
    /// # Errors
    /// `ACCESS_KEY_ID_INVALID`.
    pub fn parse_of_iam(text: &str) -> Result<Self, ValueError> {
        let invalid = |rule| Err(ValueError::new(FieldErrorCode::AccessKeyIdInvalid, rule));
        if text.starts_with("ASIA") {
            return invalid("Give the access key of an IAM user (AKIA…). Temporary credentials expire within hours.");
        }
        let shaped = (16..=MAX_ACCESS_KEY_ID_LENGTH).contains(&text.len())
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
    /// Parses what any S3 server may give out: 8 to 256 characters of visible ASCII.
    ///
    /// # Errors
    /// `SECRET_ACCESS_KEY_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let shaped = (8..=MAX_SECRET_ACCESS_KEY_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::SecretAccessKeyInvalid,
                "A secret access key has 8 to 256 characters of visible ASCII.",
            ))
        }
    }

    /// Parses 40 characters of base 64, the form in which IAM issues secrets.
    ///
    /// # Errors
    /// `SECRET_ACCESS_KEY_INVALID`.
    pub fn parse_of_iam(text: &str) -> Result<Self, ValueError> {
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
    fn keys_of_iam_have_its_lengths() {
        assert!(AccessKeyId::parse_of_iam("AKIAIOSFODNN7EXAMPLE").is_ok());
        for bad in
            ["", "AKIA", "akiaiosfodnn7example", "ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7 XAMPLE", &"A".repeat(129)]
        {
            assert!(AccessKeyId::parse_of_iam(bad).is_err(), "{bad:?}");
        }
        assert!(SecretAccessKey::parse_of_iam("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").is_ok());
        for bad in
            ["", "short", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE\n"]
        {
            assert!(SecretAccessKey::parse_of_iam(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_of_other_servers_are_visible_ascii() {
        for good in ["AKIAIOSFODNN7EXAMPLE", "GK31c2f218a2e44f485b94239e", "minioadmin", "a", &"a".repeat(128)] {
            assert!(AccessKeyId::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a/b", "a,b", "a=b", "a\n", "ä", &"a".repeat(129)] {
            assert!(AccessKeyId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["minioadmin", "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835", &"a".repeat(256)]
        {
            assert!(SecretAccessKey::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "1234567", "with a space", "tabs\tinside", &"a".repeat(257)] {
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
