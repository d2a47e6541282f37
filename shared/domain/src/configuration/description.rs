//! The description of a configuration.

use serde::{Deserialize, Serialize};

use super::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The most characters of a description.
pub const MAX_DESCRIPTION_LENGTH: usize = 256;

/// One line of text for people: 1 to [`MAX_DESCRIPTION_LENGTH`] characters without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

impl Description {
    /// # Errors
    /// `DESCRIPTION_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let has_length = (1..=MAX_DESCRIPTION_LENGTH).contains(&text.chars().count());
        if has_length && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::DescriptionInvalid,
                "A description has 1 to 256 characters and no line breaks or other control characters.",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(Description, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_one_line_of_bounded_length() {
        for good in ["a", "Für die Revision 監査", &"ä".repeat(MAX_DESCRIPTION_LENGTH)] {
            assert!(Description::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a\nb", "a\tb", "\u{0}", "\u{85}", "\u{7f}", &"a".repeat(MAX_DESCRIPTION_LENGTH + 1)] {
            assert!(Description::parse(bad).is_err(), "{bad:?}");
        }
    }
}
