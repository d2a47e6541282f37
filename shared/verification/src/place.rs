//! Where an export lies: a bucket and the prefix of everything in it.

use std::{fmt, str::FromStr};

use domain::configuration::{ConfigurationId, bucket::BucketName};
use serde::Serialize;

use crate::names::DigestName;

/// `s3://<bucket>/<bucketPath>/<configuration id>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Place {
    bucket: BucketName,
    prefix: String,
    configuration_id: ConfigurationId,
}

/// A text that is no [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("s3://<bucket>/<bucket path>/<configuration id> is needed; the path is left out if there is none")]
pub struct InvalidPlace;

impl Place {
    /// `None` unless the last part of `prefix` is a configuration's id.
    pub(crate) fn new(bucket: BucketName, prefix: &str) -> Option<Self> {
        let configuration_id = ConfigurationId::parse(prefix.rsplit('/').next()?)?;
        Some(Self { bucket, prefix: prefix.to_owned(), configuration_id })
    }

    #[must_use]
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    #[must_use]
    pub fn configuration_id(&self) -> ConfigurationId {
        self.configuration_id
    }

    /// Returns whether a digest of this bucket and key lies here.
    #[must_use]
    pub fn holds_digest(&self, bucket: &str, key: &str) -> bool {
        DigestName::of_key(key).is_some_and(|(prefix, _)| self.bucket.as_str() == bucket && self.prefix == prefix)
    }

    pub(crate) fn is(&self, bucket: &BucketName, prefix: &str) -> bool {
        self.bucket == *bucket && self.prefix == prefix
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (bucket, prefix) = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).ok_or(InvalidPlace)?;
        let bucket = BucketName::parse(bucket).map_err(|_| InvalidPlace)?;
        Self::new(bucket, prefix.strip_suffix('/').unwrap_or(prefix)).ok_or(InvalidPlace)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket.as_str(), self.prefix)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_ends_in_a_configuration() {
        let id = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";
        for good in [format!("s3://acme-audit/{id}"), format!("s3://acme-audit/a/b/{id}/")] {
            assert_eq!(good.parse::<Place>().unwrap().to_string(), good.trim_end_matches('/'));
        }
        for bad in ["", "s3://acme-audit", "s3://acme-audit/", "s3://acme-audit/logs", "https://acme-audit/", id] {
            assert_eq!(bad.parse::<Place>(), Err(InvalidPlace), "{bad}");
        }
    }
}
