//! Export configurations, as the API returns them. No type has a field for a secret.

use std::sync::Arc;

use async_graphql::{Enum, ID, MergedObject, SimpleObject};
use domain::{
    configuration::{self, Authentication, Destination},
    connection,
};

use super::{
    filter::ExportFilter, format::ExportFormat, guidance::ExportGuidance, interval::ExportInterval,
    notifications::ExportWebhook, ocsf::OcsfSettings, outlook::ExportOutlook, scalars::DateTime,
};

/// An export of the audit log to an S3 bucket.
#[derive(MergedObject)]
pub struct ExportConfiguration(StoredConfiguration, ExportOutlook, ExportGuidance);

impl From<configuration::ExportConfiguration> for ExportConfiguration {
    fn from(configuration: configuration::ExportConfiguration) -> Self {
        let configuration = Arc::new(configuration);
        Self(
            StoredConfiguration::from((*configuration).clone()),
            ExportOutlook::of(Arc::clone(&configuration)),
            ExportGuidance::of(configuration),
        )
    }
}

/// The stored part of a configuration.
#[derive(Clone, Debug, SimpleObject)]
struct StoredConfiguration {
    id: ID,
    /// Raised by 1 with each change that a person makes.
    version: u64,
    /// A name or note for people.
    description: Option<String>,
    interval: ExportInterval,
    /// The format of the files with events. After a change, the window that was begun still ends in the former one.
    format: ExportFormat,
    /// Null: all events are exported. After a change, the window that was begun still ends with the former filter.
    filter: Option<ExportFilter>,
    /// The choices for the format `OCSF_PARQUET`. Null: another format.
    ocsf: Option<OcsfSettings>,
    enabled: bool,
    connection_status: ConnectionStatus,
    /// The time of the connection test or export that set the status.
    connection_checked_at: Option<DateTime>,
    connection_error: Option<ConnectionError>,
    endpoint_configuration: S3EndpointConfiguration,
    #[graphql(flatten)]
    protection: BucketProtection,
    /// Everything received before this time is in the bucket, and listed in a signed digest. Null: no export has ended yet.
    exported_through: Option<DateTime>,
    /// The end of the last successful export.
    last_export: Option<DateTime>,
    /// The number of exports that failed since then.
    consecutive_failures: u32,
    /// Events received from this time on are exported.
    start_from: DateTime,
    /// The webhooks that notices about this export are sent to.
    notifications: Vec<ExportWebhook>,
    /// The subject of the token that created the configuration.
    created_by: String,
    created_at: DateTime,
    /// The subject of the token that last changed the configuration.
    updated_by: String,
    updated_at: DateTime,
}

/// The result of the last connection test or export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "connection::ConnectionStatus")]
pub enum ConnectionStatus {
    /// Not tested since the last change of role, key, bucket or Region.
    Pending,
    /// The bucket can be written to.
    Success,
    /// The bucket can't be written to: see `connectionError`.
    Failed,
}

/// The reason why the bucket can't be written to.
#[derive(Clone, Debug, SimpleObject)]
pub struct ConnectionError {
    /// A stable code, for example `WRITE_DENIED`.
    code: String,
    /// The cause, and the change that fixes it.
    message: String,
}

impl From<connection::ConnectionError> for ConnectionError {
    fn from(connection::ConnectionError { code, message }: connection::ConnectionError) -> Self {
        Self { code: code.to_string(), message }
    }
}

/// The bucket of an export, and the role or access key that writes to it. The secret access key is never returned.
#[derive(Clone, Debug, SimpleObject)]
pub struct S3EndpointConfiguration {
    bucket_name: String,
    /// The path that files are written under. Null: the bucket's root.
    bucket_path: Option<String>,
    /// The bucket's Region, or the region that requests to the server of `endpointUrl` are signed for.
    region: String,
    /// The S3 server that the bucket is on. Null: AWS's.
    endpoint_url: Option<String>,
    /// The role that the export assumes. Null: it uses an access key.
    role_arn: Option<String>,
    /// The access key that the export uses. Null: it assumes a role.
    access_key_id: Option<String>,
    #[graphql(flatten)]
    protection: BucketProtection,
}

/// The encryption of the files, and the expected owner of the bucket.
#[derive(Clone, Debug, SimpleObject)]
struct BucketProtection {
    /// The KMS key that files are encrypted with. Null: the bucket's default encryption.
    kms_key_arn: Option<String>,
    /// The account that has to own the bucket. Null: the account of the role or access key.
    expected_bucket_owner: Option<String>,
}

impl From<configuration::ExportConfiguration> for StoredConfiguration {
    fn from(configuration: configuration::ExportConfiguration) -> Self {
        let id = configuration.key.configuration_id.to_string();
        let connection = &configuration.connection;
        let ocsf = configuration.encoding().ocsf.map(Into::into);
        Self {
            id: ID(id),
            version: configuration.version,
            description: configuration.description.map(Into::into),
            interval: configuration.interval.into(),
            format: configuration.format.into(),
            filter: configuration.filter.map(Into::into),
            ocsf,
            enabled: configuration.enabled,
            connection_status: connection.status().into(),
            connection_checked_at: connection.checked_at().map(DateTime),
            connection_error: connection.error().map(|error| error.clone().into()),
            protection: BucketProtection::of(&configuration.destination),
            endpoint_configuration: S3EndpointConfiguration::of(
                configuration.destination,
                configuration.authentication,
            ),
            exported_through: configuration.progress.exported_through.map(DateTime),
            last_export: configuration.progress.last_export_at.map(DateTime),
            consecutive_failures: configuration.progress.consecutive_failures,
            start_from: DateTime(configuration.start_from),
            notifications: configuration.webhooks.into_iter().map(Into::into).collect(),
            created_by: configuration.created_by,
            created_at: DateTime(configuration.created_at),
            updated_by: configuration.updated_by,
            updated_at: DateTime(configuration.updated_at),
        }
    }
}

impl S3EndpointConfiguration {
    fn of(destination: Destination, authentication: Authentication) -> Self {
        let (role_arn, access_key_id) = match authentication {
            Authentication::AssumedRole { role_arn } => (Some(role_arn.into()), None),
            Authentication::AccessKey { access_key_id, secret: _ } => (None, Some(access_key_id.into())),
        };
        Self {
            protection: BucketProtection::of(&destination),
            bucket_name: destination.bucket_name.into(),
            bucket_path: destination.bucket_path.map(Into::into),
            region: destination.site.region_name().to_owned(),
            endpoint_url: destination.site.endpoint().map(ToString::to_string),
            role_arn,
            access_key_id,
        }
    }
}

impl BucketProtection {
    fn of(destination: &Destination) -> Self {
        Self {
            kms_key_arn: destination.kms_key_arn.as_ref().map(ToString::to_string),
            expected_bucket_owner: destination.expected_bucket_owner.as_ref().map(ToString::to_string),
        }
    }
}
