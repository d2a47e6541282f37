//! The reason that an operator gives for what can't be undone.

use serde::{Deserialize, Serialize};

/// The most characters of a reason.
pub const MAX_REASON_LENGTH: usize = 256;

/// Why an operator erases a tenant, or approves that a corrupt block is skipped: one line of text. It is logged and stored, and
/// the statement of an erasure includes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorReason(String);

/// The error of a text that is not an [`OperatorReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reason: give 1 to {MAX_REASON_LENGTH} characters, none of them a control character")]
pub struct InvalidReason;

impl OperatorReason {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OperatorReason {
    type Error = InvalidReason;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_readable = !text.trim().is_empty() && !text.chars().any(char::is_control);
        let is_short = text.chars().count() <= MAX_REASON_LENGTH;
        if is_readable && is_short { Ok(Self(text)) } else { Err(InvalidReason) }
    }
}

impl From<OperatorReason> for String {
    fn from(reason: OperatorReason) -> Self {
        reason.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_readable() {
        for bad in ["", "  ", "two\nlines", &"a".repeat(MAX_REASON_LENGTH + 1)] {
            assert_eq!(OperatorReason::try_from(bad.to_owned()), Err(InvalidReason), "{bad:?}");
        }
        assert!(OperatorReason::try_from("ä".repeat(MAX_REASON_LENGTH)).is_ok());
    }
}
