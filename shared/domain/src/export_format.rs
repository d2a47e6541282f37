//! The formats of data objects.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::named::named;

/// The format of the data objects of an export.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    /// NDJSON in one gzip member. The compressed blocks are joined as they are stored.
    #[default]
    NdjsonGzip,
    /// NDJSON in one Zstandard frame.
    NdjsonZstd,
    /// Apache Parquet, with typed columns and the exact line of each event.
    Parquet,
    /// Records of OCSF as Apache Parquet, an object for each class, for custom sources of Security Lake.
    OcsfParquet,
}

named!(ExportFormat, parse);

/// The least letters that a wrong name has to share with the beginnings of a format's words to suggest that format.
const MIN_SHARED_LETTERS: usize = 2;

impl ExportFormat {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the format that a wrong name is nearest to: the first whose words share the most letters with the beginnings of
    /// the name's words. `None`: it is like none of them.
    #[must_use]
    pub fn near(text: &str) -> Option<Self> {
        let shared = |format: Self| -> usize {
            let best = |known| words(text).map(|word| shared_prefix(word, known)).max().unwrap_or(0);
            words(format.name()).chain(words(format.purpose())).map(best).sum()
        };
        // Of equal ones the last is the maximum, so the order is reversed.
        let near = Self::ALL.iter().rev().copied().max_by_key(|format| shared(*format))?;
        (shared(near) >= MIN_SHARED_LETTERS).then_some(near)
    }

    /// Returns other words that people use for the format.
    fn purpose(self) -> &'static str {
        match self {
            Self::NdjsonGzip | Self::NdjsonZstd | Self::Parquet => "",
            Self::OcsfParquet => "SECURITY LAKE",
        }
    }

    /// Returns the format of the objects that an encoder makes. Its number in a plan names both: 1 to 99 are versions of
    /// `NDJSON_GZIP`, 101 to 199 of `NDJSON_ZSTD`, 201 to 299 of `PARQUET`, and 301 to 399 of `OCSF_PARQUET`. `None`: a newer
    /// program made the plan.
    #[must_use]
    pub const fn of_encoder(number: u32) -> Option<Self> {
        match number {
            1..=99 => Some(Self::NdjsonGzip),
            101..=199 => Some(Self::NdjsonZstd),
            201..=299 => Some(Self::Parquet),
            301..=399 => Some(Self::OcsfParquet),
            _ => None,
        }
    }

    /// Returns whether an encoder makes objects of the events that pass a filter, and not of all: of the numbers of each format,
    /// these are 51 to 99, 151 to 199 and 251 to 299. A release without filters has none of these encoders, so it refuses such a
    /// plan, whose filter it does not know.
    #[must_use]
    pub const fn encoder_filters(number: u32) -> bool {
        number % 100 > 50
    }

    /// Returns the version of the schema of the objects that an encoder makes. `None`: the format has no schema, or a newer
    /// program made the plan.
    #[must_use]
    pub const fn schema_of_encoder(number: u32) -> Option<u32> {
        match number {
            201 | 251 | 301 | 351 => Some(1),
            302 | 352 => Some(2),
            _ => None,
        }
    }

    /// Returns whether the objects have a schema, whose version the digest states.
    #[must_use]
    pub const fn has_schema(self) -> bool {
        matches!(self, Self::Parquet | Self::OcsfParquet)
    }

    /// Returns the extension of the objects' names, without the first dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::NdjsonGzip => "ndjson.gz",
            Self::NdjsonZstd => "ndjson.zst",
            Self::Parquet | Self::OcsfParquet => "parquet",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn shared_prefix(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left.eq_ignore_ascii_case(right)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_back() {
        for format in ExportFormat::ALL {
            assert_eq!(ExportFormat::parse(format.name()), Some(*format));
            assert_eq!(serde_json::to_string(format).unwrap(), format!("\"{format}\""));
        }
        assert_eq!(ExportFormat::parse("parquet"), None);
        assert_eq!(ExportFormat::default().name(), "NDJSON_GZIP");
    }

    #[test]
    fn a_wrong_name_is_near_the_format_that_shares_a_beginning() {
        for (text, near) in [
            ("parquet", ExportFormat::Parquet),
            ("PARKET", ExportFormat::Parquet),
            ("apache-parquet", ExportFormat::Parquet),
            ("zstd", ExportFormat::NdjsonZstd),
            ("NDJSON_ZST", ExportFormat::NdjsonZstd),
            ("ndjson", ExportFormat::NdjsonGzip),
            ("NDJSON.GZ", ExportFormat::NdjsonGzip),
            ("gz", ExportFormat::NdjsonGzip),
            ("ocsf", ExportFormat::OcsfParquet),
            ("ocsf-parkett", ExportFormat::OcsfParquet),
            ("security lake", ExportFormat::OcsfParquet),
        ] {
            assert_eq!(ExportFormat::near(text), Some(near), "{text}");
        }
        for text in ["", "csv", "_", "é"] {
            assert_eq!(ExportFormat::near(text), None, "{text}");
        }
    }
}
