//! The inputs of mutations. [`domain::configuration::input`] and [`domain::configuration::update`] parse their texts.

use async_graphql::{ID, InputObject, MaybeUndefined};
use domain::{
    configuration::{
        input::{RawAccessKey, RawSettings},
        update::{RawField, RawIdentity, RawText, RawUpdate},
    },
    event_filter::RawFilter,
    ocsf,
    webhook::input::RawWebhook,
};
use secrecy::{ExposeSecret, SecretString};

use super::{filter::ExportFilterInput, format::ExportFormat, interval::ExportInterval, ocsf::OcsfInput};
use crate::service::UpdateTerms;

/// An export that uses an access key of an IAM user in the customer's account, or of a user of another S3 server than AWS's.
#[derive(InputObject)]
pub struct CreateS3AccessKeyExportConfigurationInput {
    #[graphql(flatten)]
    settings: SettingsInput,
    /// The HTTPS URL of an S3 server other than AWS's, with a public host name, for example
    /// `https://minio.example.com:9000`.
    /// `region` is then the one that the server expects in signatures. Can't be combined with `kmsKeyArn` and
    /// `expectedBucketOwner`. Null: the bucket is in AWS.
    endpoint_url: Option<String>,
    access_key_id: String,
    /// Encrypted at once, and never returned.
    secret_access_key: SecretString,
}

/// An export that assumes a role in the customer's account.
#[derive(InputObject)]
pub struct CreateS3AssumedRoleExportConfigurationInput {
    #[graphql(flatten)]
    settings: SettingsInput,
    /// The role need not exist yet. Its trust policy has to require the configuration's ID as external ID.
    pub role_arn: String,
}

/// The fields of a new export of either kind.
#[derive(InputObject)]
pub struct SettingsInput {
    interval: ExportInterval,
    /// The format of the files with events. The default is `NDJSON_GZIP`.
    format: Option<ExportFormat>,
    /// Exports only the events that pass. The default is all events.
    filter: Option<ExportFilterInput>,
    /// Only with the format `OCSF_PARQUET`.
    ocsf: Option<OcsfInput>,
    /// The name of a general purpose bucket; not an ARN or access point.
    bucket_name: String,
    /// The path that files are written under. The default is the bucket's root.
    bucket_path: Option<String>,
    /// The bucket's Region, for example eu-west-1.
    region: String,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); not an alias.
    kms_key_arn: Option<String>,
    /// The account that has to own the bucket, 12 digits. The default is the account of the role or access key.
    expected_bucket_owner: Option<String>,
    /// A name or note for people: at most 256 characters on one line.
    description: Option<String>,
    /// `now` (the default), `earliest`, or a time as in RFC 3339: events received from then on are exported.
    start_from: Option<String>,
    /// Makes the request safe to repeat for 24 hours: the same key and content return the same configuration.
    idempotency_key: Option<String>,
    /// The webhooks that notices about this export are sent to; at most 3.
    notifications: Option<Vec<WebhookInput>>,
}

/// A receiver of notices: an HTTPS server that checks the signatures of the Standard Webhooks specification.
#[derive(InputObject)]
pub struct WebhookInput {
    /// An HTTPS URL with a public host name, on port 443.
    url: String,
    /// `whsec_` and 24 to 64 random bytes in base 64. Encrypted at once, and never returned. A URL that the export has
    /// already keeps its secret if this is left out.
    secret: Option<SecretString>,
}

/// A change of an export, which uses an access key afterwards. Fields that are left out keep their value; null clears
/// optional ones.
#[derive(InputObject)]
pub struct UpdateS3AccessKeyExportConfigurationInput {
    #[graphql(flatten)]
    pub target: UpdateTargetInput,
    #[graphql(flatten)]
    settings: UpdatedSettingsInput,
    /// The HTTPS URL of an S3 server other than AWS's. Null: the bucket is in AWS.
    endpoint_url: MaybeUndefined<String>,
    /// Another ID needs its secret.
    access_key_id: MaybeUndefined<String>,
    /// Encrypted at once, and never returned.
    secret_access_key: MaybeUndefined<SecretString>,
}

/// A change of an export, which assumes a role afterwards, in AWS. Fields that are left out keep their value; null clears
/// optional ones. An export to another S3 server moves to AWS, so its `region` has to be given.
#[derive(InputObject)]
pub struct UpdateS3AssumedRoleExportConfigurationInput {
    #[graphql(flatten)]
    pub target: UpdateTargetInput,
    #[graphql(flatten)]
    settings: UpdatedSettingsInput,
    role_arn: MaybeUndefined<String>,
}

/// The configuration to update, and the conditions of the update.
#[derive(InputObject)]
pub struct UpdateTargetInput {
    pub id: ID,
    /// The version that the change was made for. If it is not the current one, nothing changes (`CONFLICT`).
    version: Option<u64>,
    /// Stores another role, bucket, path, Region, endpoint, KMS key or bucket owner, or a change to or from the format
    /// `OCSF_PARQUET`, although its test fails and the stored connection works. A new access key is always tested first.
    force: Option<bool>,
}

/// The changed fields of an export of either kind.
#[derive(InputObject)]
pub struct UpdatedSettingsInput {
    interval: MaybeUndefined<ExportInterval>,
    /// The format of the files with events, from the next window on. Null: `NDJSON_GZIP`.
    format: MaybeUndefined<ExportFormat>,
    /// Exports only the events that pass, from the next window on. Replaces the whole filter. Null: all events.
    filter: MaybeUndefined<ExportFilterInput>,
    /// Replaces the choices for the format `OCSF_PARQUET`. Null: the defaults. Another format removes them.
    ocsf: MaybeUndefined<OcsfInput>,
    /// The name of a general purpose bucket; not an ARN or access point.
    bucket_name: MaybeUndefined<String>,
    /// The path that files are written under. Null: the bucket's root.
    bucket_path: MaybeUndefined<String>,
    /// The bucket's Region, for example eu-west-1.
    region: MaybeUndefined<String>,
    /// The ARN of the KMS key that files are encrypted with (SSE-KMS); not an alias. Null: the bucket's default encryption.
    kms_key_arn: MaybeUndefined<String>,
    /// The account that has to own the bucket, 12 digits. Null: the account of the role or access key.
    expected_bucket_owner: MaybeUndefined<String>,
    /// A name or note for people: at most 256 characters on one line.
    description: MaybeUndefined<String>,
    /// Replaces the webhooks that notices about this export are sent to; at most 3. An empty list removes all of them.
    /// Null: they stay.
    notifications: Option<Vec<WebhookInput>>,
}

/// The fields of a new export that are lists, for the rules to borrow.
pub struct SettingsParts<'a> {
    filter: Option<RawFilter>,
    ocsf: Option<ocsf::RawSettings>,
    webhooks: Vec<RawWebhook<'a>>,
}

/// The changed fields that are lists, for the rules to borrow.
pub struct UpdatedParts<'a> {
    filter: RawField<RawFilter>,
    ocsf: RawField<ocsf::RawSettings>,
    webhooks: Option<Vec<RawWebhook<'a>>>,
}

impl CreateS3AccessKeyExportConfigurationInput {
    pub fn access_key(&self) -> RawAccessKey<'_> {
        RawAccessKey {
            access_key_id: &self.access_key_id,
            secret_access_key: self.secret_access_key.expose_secret(),
            endpoint_url: self.endpoint_url.as_deref(),
        }
    }

    pub fn parts(&self) -> SettingsParts<'_> {
        self.settings.parts()
    }

    pub fn settings<'a>(&'a self, parts: &'a SettingsParts<'a>) -> RawSettings<'a> {
        self.settings.raw(parts)
    }
}

impl CreateS3AssumedRoleExportConfigurationInput {
    pub fn parts(&self) -> SettingsParts<'_> {
        self.settings.parts()
    }

    pub fn settings<'a>(&'a self, parts: &'a SettingsParts<'a>) -> RawSettings<'a> {
        self.settings.raw(parts)
    }
}

impl SettingsInput {
    fn parts(&self) -> SettingsParts<'_> {
        SettingsParts {
            filter: self.filter.as_ref().map(Into::into),
            ocsf: self.ocsf.as_ref().map(OcsfInput::raw),
            webhooks: raw_webhooks(self.notifications.as_ref()).unwrap_or_default(),
        }
    }

    fn raw<'a>(&'a self, parts: &'a SettingsParts<'a>) -> RawSettings<'a> {
        RawSettings {
            interval: self.interval.into(),
            format: self.format.map(Into::into),
            filter: parts.filter.as_ref(),
            ocsf: parts.ocsf.as_ref(),
            bucket_name: &self.bucket_name,
            bucket_path: self.bucket_path.as_deref(),
            region: &self.region,
            kms_key_arn: self.kms_key_arn.as_deref(),
            expected_bucket_owner: self.expected_bucket_owner.as_deref(),
            description: self.description.as_deref(),
            start_from: self.start_from.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            webhooks: &parts.webhooks,
        }
    }
}

impl WebhookInput {
    fn raw(&self) -> RawWebhook<'_> {
        RawWebhook { url: &self.url, secret: self.secret.as_ref().map(ExposeSecret::expose_secret) }
    }
}

impl UpdateTargetInput {
    pub fn terms(&self) -> UpdateTerms {
        UpdateTerms { version: self.version, force: self.force.unwrap_or_default() }
    }
}

impl UpdateS3AccessKeyExportConfigurationInput {
    pub fn parts(&self) -> UpdatedParts<'_> {
        self.settings.parts()
    }

    pub fn change<'a>(&'a self, parts: &'a UpdatedParts<'a>) -> (RawUpdate<'a>, RawIdentity<'a>) {
        let identity = RawIdentity::AccessKey {
            access_key_id: text(&self.access_key_id),
            secret_access_key: raw(&self.secret_access_key, SecretString::expose_secret),
            endpoint_url: text(&self.endpoint_url),
        };
        (self.settings.raw(parts), identity)
    }
}

impl UpdateS3AssumedRoleExportConfigurationInput {
    pub fn parts(&self) -> UpdatedParts<'_> {
        self.settings.parts()
    }

    pub fn change<'a>(&'a self, parts: &'a UpdatedParts<'a>) -> (RawUpdate<'a>, RawIdentity<'a>) {
        (self.settings.raw(parts), RawIdentity::Role { role_arn: text(&self.role_arn) })
    }
}

impl UpdatedSettingsInput {
    fn parts(&self) -> UpdatedParts<'_> {
        UpdatedParts {
            filter: raw(&self.filter, Into::into),
            ocsf: OcsfInput::update(&self.ocsf),
            webhooks: raw_webhooks(self.notifications.as_ref()),
        }
    }

    fn raw<'a>(&'a self, parts: &'a UpdatedParts<'a>) -> RawUpdate<'a> {
        RawUpdate {
            interval: raw(&self.interval, |interval| (*interval).into()),
            format: raw(&self.format, |format| (*format).into()),
            filter: parts.filter.as_ref(),
            ocsf: parts.ocsf.as_ref(),
            bucket_name: text(&self.bucket_name),
            bucket_path: text(&self.bucket_path),
            region: text(&self.region),
            kms_key_arn: text(&self.kms_key_arn),
            expected_bucket_owner: text(&self.expected_bucket_owner),
            description: text(&self.description),
            webhooks: parts.webhooks.as_deref(),
        }
    }
}

fn raw_webhooks(inputs: Option<&Vec<WebhookInput>>) -> Option<Vec<RawWebhook<'_>>> {
    let inputs = inputs?.iter();
    Some(inputs.map(WebhookInput::raw).collect())
}

fn text(field: &MaybeUndefined<String>) -> RawText<'_> {
    raw(field, String::as_str)
}

fn raw<'a, T, R>(field: &'a MaybeUndefined<T>, value: impl FnOnce(&'a T) -> R) -> RawField<R> {
    match field {
        MaybeUndefined::Undefined => RawField::Kept,
        MaybeUndefined::Null => RawField::Cleared,
        MaybeUndefined::Value(given) => RawField::Given(value(given)),
    }
}
