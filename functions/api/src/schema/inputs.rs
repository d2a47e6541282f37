//! What a caller sends. Texts become types in [`domain::configuration::input`], all of them before the first error is told.

use async_graphql::{ID, InputObject, MaybeUndefined};
use domain::configuration::{
    input::RawSettings,
    update::{RawField, RawIdentity, RawUpdate},
};

use super::types::ExportInterval;
use crate::service::UpdateTerms;

/// An export that uses an access key of an IAM user in the customer's account.
#[derive(InputObject)]
pub struct CreateS3AccessKeyExportConfigurationInput {
    interval: ExportInterval,
    /// The name of a general purpose bucket; no ARN, no access point.
    bucket_name: String,
    /// Written under this path, by default to the bucket's root.
    bucket_path: Option<String>,
    /// The bucket's region, for example eu-west-1.
    region: String,
    pub access_key_id: String,
    /// Encrypted at once and never returned.
    pub secret_access_key: String,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); no alias.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to, 12 digits; by default the access key's.
    expected_bucket_owner: Option<String>,
    /// What people call it: at most 256 characters on one line.
    description: Option<String>,
    /// `now` (the default), `earliest`, or a time as in RFC 3339: events received from then on are exported.
    start_from: Option<String>,
    /// Makes the request safe to repeat for 24 hours: the same key and content give the same configuration.
    idempotency_key: Option<String>,
}

/// An export that assumes a role in the customer's account.
#[derive(InputObject)]
pub struct CreateS3AssumedRoleExportConfigurationInput {
    interval: ExportInterval,
    /// The name of a general purpose bucket; no ARN, no access point.
    bucket_name: String,
    /// Written under this path, by default to the bucket's root.
    bucket_path: Option<String>,
    /// The bucket's region, for example eu-west-1.
    region: String,
    /// The role need not exist yet: its trust policy needs the configuration's id as external ID.
    pub role_arn: String,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); no alias.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to, 12 digits; by default the role's.
    expected_bucket_owner: Option<String>,
    /// What people call it: at most 256 characters on one line.
    description: Option<String>,
    /// `now` (the default), `earliest`, or a time as in RFC 3339: events received from then on are exported.
    start_from: Option<String>,
    /// Makes the request safe to repeat for 24 hours: the same key and content give the same configuration.
    idempotency_key: Option<String>,
}

/// What changes of an export, and that it uses an access key. What is left out stays; null clears what can be absent.
#[derive(InputObject)]
pub struct UpdateS3AccessKeyExportConfigurationInput {
    pub id: ID,
    /// The version that the change was made for: if it isn't the current one, nothing is changed (`CONFLICT`).
    pub version: Option<u64>,
    /// Stores another role, bucket, path, region, KMS key or bucket owner even where its test would fail and the stored
    /// connection works. A new access key is tested first in any case.
    pub force: Option<bool>,
    interval: MaybeUndefined<ExportInterval>,
    /// The name of a general purpose bucket; no ARN, no access point.
    bucket_name: MaybeUndefined<String>,
    /// Null: the bucket's root.
    bucket_path: MaybeUndefined<String>,
    /// The bucket's region, for example eu-west-1.
    region: MaybeUndefined<String>,
    /// Another one needs its secret.
    access_key_id: MaybeUndefined<String>,
    /// Encrypted at once and never returned. Left out, it stays.
    secret_access_key: MaybeUndefined<String>,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); no alias. Null: none.
    kms_key_arn: MaybeUndefined<String>,
    /// The account that the bucket has to belong to, 12 digits. Null: the access key's.
    expected_bucket_owner: MaybeUndefined<String>,
    /// What people call it: at most 256 characters on one line. Null: none.
    description: MaybeUndefined<String>,
}

/// What changes of an export, and that it assumes a role. What is left out stays; null clears what can be absent.
#[derive(InputObject)]
pub struct UpdateS3AssumedRoleExportConfigurationInput {
    pub id: ID,
    /// The version that the change was made for: if it isn't the current one, nothing is changed (`CONFLICT`).
    pub version: Option<u64>,
    /// Stores another role, bucket, path, region, KMS key or bucket owner even where its test would fail and the stored
    /// connection works. A new access key is tested first in any case.
    pub force: Option<bool>,
    interval: MaybeUndefined<ExportInterval>,
    /// The name of a general purpose bucket; no ARN, no access point.
    bucket_name: MaybeUndefined<String>,
    /// Null: the bucket's root.
    bucket_path: MaybeUndefined<String>,
    /// The bucket's region, for example eu-west-1.
    region: MaybeUndefined<String>,
    role_arn: MaybeUndefined<String>,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); no alias. Null: none.
    kms_key_arn: MaybeUndefined<String>,
    /// The account that the bucket has to belong to, 12 digits. Null: the role's.
    expected_bucket_owner: MaybeUndefined<String>,
    /// What people call it: at most 256 characters on one line. Null: none.
    description: MaybeUndefined<String>,
}

macro_rules! settings {
    ($input:ty) => {
        impl $input {
            pub fn settings(&self) -> RawSettings<'_> {
                RawSettings {
                    interval: domain::interval::ExportInterval::from(self.interval).name(),
                    bucket_name: &self.bucket_name,
                    bucket_path: self.bucket_path.as_deref(),
                    region: &self.region,
                    kms_key_arn: self.kms_key_arn.as_deref(),
                    expected_bucket_owner: self.expected_bucket_owner.as_deref(),
                    description: self.description.as_deref(),
                    start_from: self.start_from.as_deref(),
                    idempotency_key: self.idempotency_key.as_deref(),
                }
            }
        }
    };
}

settings!(CreateS3AccessKeyExportConfigurationInput);
settings!(CreateS3AssumedRoleExportConfigurationInput);

macro_rules! update {
    ($input:ty) => {
        impl $input {
            pub fn terms(&self) -> UpdateTerms {
                UpdateTerms { version: self.version, force: self.force.unwrap_or_default() }
            }

            pub fn update(&self) -> RawUpdate<'_> {
                RawUpdate {
                    interval: match self.interval {
                        MaybeUndefined::Undefined => RawField::Kept,
                        MaybeUndefined::Null => RawField::Cleared,
                        MaybeUndefined::Value(interval) => {
                            RawField::Given(domain::interval::ExportInterval::from(interval).name())
                        }
                    },
                    bucket_name: raw(&self.bucket_name),
                    bucket_path: raw(&self.bucket_path),
                    region: raw(&self.region),
                    kms_key_arn: raw(&self.kms_key_arn),
                    expected_bucket_owner: raw(&self.expected_bucket_owner),
                    description: raw(&self.description),
                }
            }
        }
    };
}

update!(UpdateS3AccessKeyExportConfigurationInput);
update!(UpdateS3AssumedRoleExportConfigurationInput);

impl UpdateS3AccessKeyExportConfigurationInput {
    pub fn identity(&self) -> RawIdentity<'_> {
        RawIdentity::AccessKey {
            access_key_id: raw(&self.access_key_id),
            secret_access_key: raw(&self.secret_access_key),
        }
    }
}

impl UpdateS3AssumedRoleExportConfigurationInput {
    pub fn identity(&self) -> RawIdentity<'_> {
        RawIdentity::Role { role_arn: raw(&self.role_arn) }
    }
}

fn raw(field: &MaybeUndefined<String>) -> RawField<'_> {
    match field {
        MaybeUndefined::Undefined => RawField::Kept,
        MaybeUndefined::Null => RawField::Cleared,
        MaybeUndefined::Value(text) => RawField::Given(text),
    }
}
