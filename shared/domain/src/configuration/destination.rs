//! The place in S3 that an export writes to.

use serde::{Deserialize, Serialize};

use super::{
    arn::{AccountId, KmsKeyArn},
    bucket::{BucketName, BucketPath},
    site::Site,
};

/// The bucket of an export, the path in it, and how objects are written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    pub bucket_name: BucketName,
    pub bucket_path: Option<BucketPath>,
    #[serde(flatten)]
    pub site: Site,
    /// The key that every object is encrypted with. Each request that creates an object names it, and the session policy
    /// is narrowed to it. `None`: the bucket's default encryption.
    pub kms_key_arn: Option<KmsKeyArn>,
    /// The expected owner of the bucket, sent with every write. `None`: the account of the role or access key.
    pub expected_bucket_owner: Option<AccountId>,
}

impl Destination {
    /// Returns the key of `name` under the bucket path.
    #[must_use]
    pub fn key_of(&self, name: &str) -> String {
        match &self.bucket_path {
            Some(path) => format!("{path}/{name}"),
            None => name.to_owned(),
        }
    }
}
