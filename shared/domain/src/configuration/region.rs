//! AWS Regions and partitions.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{
    field_error::{FieldErrorCode, ValueError},
    text_type::text_type,
};

/// The most characters of a Region code, and of the region of another server. AWS's longest today has 15.
const MAX_REGION_LENGTH: usize = 32;

/// The Regions of AWS, for suggestions. Others are accepted too, since AWS adds new ones.
/// Source: <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>.
pub const KNOWN_REGIONS: [&str; 39] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// A text of the form of an AWS Region code, so that it can become part of a host name.
///
/// It is not compared with a list of Regions, since AWS adds new ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// Parses `xx-words-N`: two to four letters, one or more words of lower-case letters, one or two digits.
    ///
    /// # Errors
    /// `REGION_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let parts: Vec<&str> = text.split('-').collect();
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let shaped = match parts.as_slice() {
            [area, words @ .., number] => {
                (2..=4).contains(&area.len())
                    && is_word(area)
                    && !words.is_empty()
                    && words.iter().all(is_word)
                    && (1..=2).contains(&number.len())
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            }
            _ => false,
        };
        if shaped && text.len() <= MAX_REGION_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::RegionInvalid,
                "Give the code of the bucket's AWS Region, for example eu-west-1.",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the partition that the prefix of the code implies.
    /// Source: <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>.
    #[must_use]
    pub fn partition(&self) -> Partition {
        let prefixes = [
            ("cn-", Partition::China),
            ("us-gov-", Partition::UsGov),
            ("us-isob-", Partition::IsoB),
            ("us-isof-", Partition::IsoF),
            ("us-iso-", Partition::Iso),
            ("eu-isoe-", Partition::IsoE),
            ("eusc-", Partition::EuropeanSovereignCloud),
        ];
        prefixes
            .into_iter()
            .find(|(prefix, _)| self.0.starts_with(prefix))
            .map_or(Partition::Commercial, |(_, partition)| partition)
    }
}

text_type!(Region, 0);

/// The region that requests to a server other than AWS's are signed for, such as `auto`, `garage` or `us-east-1`. It is part of
/// signatures only, never of a host name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SigningRegion(String);

impl SigningRegion {
    /// # Errors
    /// `REGION_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let is_shaped = (1..=MAX_REGION_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_shaped {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::RegionInvalid,
                "Give the region that the server expects in signatures, for example us-east-1 or auto: 1 to 32 letters, digits, \
                 '-' or '_'.",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(SigningRegion, 0);

/// A group of Regions that share accounts and ARNs. Roles can't be assumed across partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
pub enum Partition {
    #[strum(serialize = "aws")]
    Commercial,
    #[strum(serialize = "aws-cn")]
    China,
    #[strum(serialize = "aws-us-gov")]
    UsGov,
    #[strum(serialize = "aws-iso")]
    Iso,
    #[strum(serialize = "aws-iso-b")]
    IsoB,
    #[strum(serialize = "aws-iso-e")]
    IsoE,
    #[strum(serialize = "aws-iso-f")]
    IsoF,
    #[strum(serialize = "aws-eusc")]
    EuropeanSovereignCloud,
}

impl Partition {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the second field of an ARN.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns the last labels of the partition's endpoints, as in `s3.eu-west-1.amazonaws.com`.
    #[must_use]
    pub fn domain_suffix(self) -> &'static str {
        match self {
            Self::Commercial | Self::UsGov => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::Iso => "c2s.ic.gov",
            Self::IsoB => "sc2s.sgov.gov",
            Self::IsoE => "cloud.adc-e.uk",
            Self::IsoF => "csp.hci.ic.gov",
            Self::EuropeanSovereignCloud => "amazonaws.eu",
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_can_never_smuggle_a_host_name() {
        for bad in [
            "",
            "eu",
            "eu-west",
            "eu-west-",
            "-west-1",
            "EU-west-1",
            "eu-west-1.evil.com",
            "eu-west-1/",
            "eu-west-1#",
            "eu-west-1@x",
            "eu--1",
            "eu-west-100",
            "us-east-1a",
            "x-west-1",
            "localhost",
            "eu-west-1\n",
        ] {
            assert!(Region::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_known_region_is_valid_and_listed_once() {
        assert!(KNOWN_REGIONS.is_sorted_by(|left, right| left < right));
        for region in KNOWN_REGIONS {
            assert_eq!(Region::parse(region).map(|region| region.as_str().to_owned()).as_deref(), Ok(region));
        }
    }

    #[test]
    fn another_server_names_its_region_freely() {
        for good in ["auto", "garage", "us-east-1", "default", "eu-central-003", "GRA", "fr_par", &"a".repeat(32)] {
            assert!(SigningRegion::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a/b", "a b", "a,b", "a.b", "a\n", "ä", &"a".repeat(33)] {
            assert!(SigningRegion::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn partitions_follow_the_code() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("ap-southeast-2", "aws"),
            ("mx-central-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(Region::parse(region).unwrap().partition().as_str(), partition, "{region}");
        }
    }
}
