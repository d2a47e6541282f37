//! The secret that a receiver checks signatures with.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};

use crate::configuration::field_error::{FieldErrorCode, ValueError};

/// What secrets of the Standard Webhooks specification begin with.
pub const SECRET_PREFIX: &str = "whsec_";

/// The least and most bytes of a secret, by the specification.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The most characters of a secret.
pub const MAX_SECRET_LENGTH: usize = SECRET_PREFIX.len() + SECRET_BYTES.end().div_ceil(3) * 4;

/// The number of random bytes of a secret that we generate.
pub const GENERATED_SECRET_BYTES: usize = 32;

/// The secret of a webhook: `whsec_` and the base 64 of 24 to 64 bytes. It is never printed or serialized, and its memory
/// is wiped when it is dropped.
#[derive(Clone, Debug)]
pub struct WebhookSecret(SecretString);

impl WebhookSecret {
    /// # Errors
    /// `WEBHOOK_SECRET_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let bytes = text.strip_prefix(SECRET_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        match bytes.map(Zeroizing::new) {
            Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => Ok(Self(text.into())),
            _ => Err(ValueError::new(
                FieldErrorCode::WebhookSecretInvalid,
                "A webhook secret is whsec_ and 24 to 64 bytes in base 64, for example from: echo whsec_$(openssl rand -base64 \
                 32).",
            )),
        }
    }

    /// Makes a secret of random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; GENERATED_SECRET_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(format!("{SECRET_PREFIX}{}", STANDARD.encode(*bytes)).into())
    }

    /// Returns the secret, to encrypt it or to sign with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The secret of a webhook, encrypted with the service's KMS key. The encryption context binds it to its tenant,
/// configuration and purpose.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealedWebhookSecret(Vec<u8>);

impl SealedWebhookSecret {
    #[must_use]
    pub fn from_ciphertext(ciphertext: Vec<u8>) -> Self {
        Self(ciphertext)
    }

    #[must_use]
    pub fn ciphertext(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for SealedWebhookSecret {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

impl From<SealedWebhookSecret> for String {
    fn from(secret: SealedWebhookSecret) -> Self {
        STANDARD.encode(secret.0)
    }
}

impl fmt::Debug for SealedWebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealedWebhookSecret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_of(bytes: usize) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(vec![7; bytes]))
    }

    #[test]
    fn a_secret_has_the_form_and_length_of_the_specification() {
        for good in ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", &secret_of(24), &secret_of(64)] {
            assert!(WebhookSecret::parse(good).is_ok());
        }
        assert_eq!(secret_of(64).len(), MAX_SECRET_LENGTH);
        for bad in [
            "",
            "whsec_",
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "WHSEC_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD",
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n",
            "whsk_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            &secret_of(23),
            &secret_of(65),
        ] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad:?}");
        }
        let generated = WebhookSecret::from_random([255; GENERATED_SECRET_BYTES]);
        assert_eq!(WebhookSecret::parse(generated.expose()).unwrap().expose(), generated.expose());
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = WebhookSecret::from_random([1; GENERATED_SECRET_BYTES]);
        assert_eq!(format!("{secret:?}"), "WebhookSecret(SecretBox<str>([REDACTED]))");
        let sealed = SealedWebhookSecret::from_ciphertext(vec![1, 2, 3]);
        assert_eq!(format!("{sealed:?}"), "SealedWebhookSecret(3 bytes)");
        assert_eq!(serde_json::to_string(&sealed).unwrap(), "\"AQID\"");
    }
}
