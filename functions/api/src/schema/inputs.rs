//! What a caller sends. Texts become types in [`domain::configuration::input`], all of them before the first error is told.

use async_graphql::InputObject;
use domain::configuration::input::RawSettings;

use super::types::ExportInterval;

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
    /// The ARN of the KMS key that the bucket encrypts with; no alias.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to, 12 digits; by default the access key's.
    expected_bucket_owner: Option<String>,
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
    /// The ARN of the KMS key that the bucket encrypts with; no alias.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to, 12 digits; by default the role's.
    expected_bucket_owner: Option<String>,
    /// `now` (the default), `earliest`, or a time as in RFC 3339: events received from then on are exported.
    start_from: Option<String>,
    /// Makes the request safe to repeat for 24 hours: the same key and content give the same configuration.
    idempotency_key: Option<String>,
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
                    start_from: self.start_from.as_deref(),
                    idempotency_key: self.idempotency_key.as_deref(),
                }
            }
        }
    };
}

settings!(CreateS3AccessKeyExportConfigurationInput);
settings!(CreateS3AssumedRoleExportConfigurationInput);
