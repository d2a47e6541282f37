//! The place of an export: a bucket, and the prefix of all keys of the export.

use std::{fmt, str::FromStr};

use domain::{
    configuration::{ConfigurationId, bucket::BucketName},
    digest::{Digest, DigestObject, DigestReference},
};
use serde::Serialize;

use crate::names::{self, BESIDE, DigestName, LakeName};

/// The place of an export: `s3://<bucket>/<bucketPath>/<configuration ID>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Place {
    bucket: BucketName,
    prefix: String,
    configuration_id: ConfigurationId,
}

/// The error of a text that is not a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the place must be s3://<bucket>/<bucket path>/<configuration ID>, without a path if there is none")]
pub struct InvalidPlace;

impl Place {
    /// Creates the place of a bucket. `None` unless the last part of `prefix` is a configuration's ID.
    pub(crate) fn new(bucket: BucketName, prefix: &str) -> Option<Self> {
        let configuration_id = ConfigurationId::parse(prefix.rsplit('/').next()?)?;
        Some(Self { bucket, prefix: prefix.to_owned(), configuration_id })
    }

    /// Returns the place of an object, if its key is the one of its blocks.
    pub(crate) fn of_object(object: &DigestObject) -> Option<Self> {
        if let Some(class) = object.class {
            let (path, name) = LakeName::of_key(&object.key)?;
            let is_named = (name.blocks, name.class) == ((object.first_block, object.last_block), class);
            let prefix = path.into_iter().map(|path| format!("{path}/")).chain([name.configuration_id.to_string()]);
            return Self::new(object.bucket.clone(), &prefix.collect::<String>()).filter(|_| is_named);
        }
        let (prefix, _) = names::split_data_key(&object.key, object.first_block, object.last_block)?;
        Self::new(object.bucket.clone(), prefix)
    }

    /// Returns the place of a digest, if its key is a digest's.
    pub(crate) fn of_reference(reference: &DigestReference) -> Option<Self> {
        Self::new(reference.bucket.clone(), DigestName::of_key(&reference.key)?.0)
    }

    /// Infers the place of an export from its newest digest: the place of its objects or, if it has none, of the previous
    /// digest.
    pub(crate) fn inferred_from(digest: &Digest) -> Option<Self> {
        let by_object = digest.objects.last().and_then(Self::of_object);
        by_object.or_else(|| digest.previous.as_ref().and_then(Self::of_reference))
    }

    #[must_use]
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    /// Returns the prefix without a slash at its end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    #[must_use]
    pub fn configuration_id(&self) -> ConfigurationId {
        self.configuration_id
    }

    /// Returns the name of a key of the export, relative to its prefix. `None`: it is of another export.
    #[must_use]
    pub fn name_of(&self, key: &str) -> Option<String> {
        if let Some((path, name)) = LakeName::of_key(key) {
            let own_path = self.prefix.strip_suffix(&self.configuration_id.to_string())?.strip_suffix('/');
            let is_here = own_path == path && name.configuration_id == self.configuration_id;
            let lake_name = path.map_or(Some(key), |path| key.strip_prefix(path)?.strip_prefix('/'))?;
            return is_here.then(|| format!("{BESIDE}{lake_name}"));
        }
        key.strip_prefix(&self.prefix)?.strip_prefix('/').map(str::to_owned)
    }

    /// Returns whether a digest of this bucket and key is here.
    #[must_use]
    pub fn holds_digest(&self, bucket: &str, key: &str) -> bool {
        DigestName::of_key(key).is_some_and(|(prefix, _)| self.bucket.as_str() == bucket && self.prefix == prefix)
    }

    /// Returns whether the object is in this place, by its key.
    pub(crate) fn holds_object(&self, object: &DigestObject) -> bool {
        Self::of_object(object).is_some_and(|place| place == *self)
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
        let place: Place = format!("s3://acme-audit/a/b/{id}").parse().unwrap();
        assert_eq!(place.name_of(&format!("a/b/{id}/date=2026-11-22/x")).as_deref(), Some("date=2026-11-22/x"));
        assert_eq!(place.name_of(&format!("a/{id}/date=2026-11-22/x")), None);
        for bad in ["", "s3://acme-audit", "s3://acme-audit/", "s3://acme-audit/logs", "https://acme-audit/", id] {
            assert_eq!(bad.parse::<Place>(), Err(InvalidPlace), "{bad}");
        }
    }
}
