//! The place in S3 that an export writes to.

use serde::{Deserialize, Serialize};

use super::{
    arn::{AccountId, KmsKeyArn},
    bucket::{BucketName, BucketPath},
    field,
    field_error::{FieldError, FieldErrorCode},
    site::Site,
};
use crate::export_format::ExportFormat;

/// The place of data objects under the bucket path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Layout {
    /// In the folder of the export, by day.
    #[default]
    Folder,
    /// In the partitions of a custom source of Security Lake, which all exports of the bucket path share.
    SecurityLake,
}

/// The most characters of a path in the layout of Security Lake. A session policy then names both prefixes of an export.
pub const MAX_LAKE_PATH_LENGTH: usize = 100;

impl Layout {
    /// Checks the length of a path.
    ///
    /// # Errors
    /// `BUCKET_PATH_INVALID`.
    pub fn check_path(self, path: Option<&BucketPath>) -> Result<(), FieldError> {
        let is_long = path.is_some_and(|path| path.as_str().len() > MAX_LAKE_PATH_LENGTH);
        if self == Self::Folder || !is_long {
            return Ok(());
        }
        let format = ExportFormat::OcsfParquet;
        let message = format!("With the format {format} a path has at most {MAX_LAKE_PATH_LENGTH} characters.");
        Err(FieldError { field: field::BUCKET_PATH, code: FieldErrorCode::BucketPathInvalid, message })
    }

    /// Returns the layout of the objects of a format.
    #[must_use]
    pub fn of(format: ExportFormat) -> Self {
        match format {
            ExportFormat::NdjsonGzip | ExportFormat::NdjsonZstd | ExportFormat::Parquet => Self::Folder,
            ExportFormat::OcsfParquet => Self::SecurityLake,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

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
    /// It follows from the format, and belongs to the destination because the permissions of the export depend on it.
    #[serde(default, skip_serializing_if = "Layout::is_default")]
    pub layout: Layout,
}

impl Destination {
    /// Returns whether both write to the same bucket and path in the same way, if in different layouts.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        let of_this_layout = Self { layout: self.layout, ..other.clone() };
        *self == of_this_layout
    }

    /// Returns the key of `name` under the bucket path.
    #[must_use]
    pub fn key_of(&self, name: &str) -> String {
        match &self.bucket_path {
            Some(path) => format!("{path}/{name}"),
            None => name.to_owned(),
        }
    }
}
