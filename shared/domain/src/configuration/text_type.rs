//! Conversions of the types that are parsed from text, so that serde reads them through their parsers.

macro_rules! text_type {
    ($name:ident, $field:tt) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.$field)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::configuration::field_error::ValueError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.$field
            }
        }
    };
}

pub(crate) use text_type;
