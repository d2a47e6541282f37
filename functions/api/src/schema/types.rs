//! What the API answers with. No type in here has room for a secret.

use std::sync::Arc;

use async_graphql::{
    Enum, ID, InputValueError, InputValueResult, MergedObject, Scalar, ScalarType, SimpleObject, Value,
};
use aws_adapters::signing_keys::SigningPublicKey;
use domain::{
    configuration::{self, Authentication, Destination, ServiceIdentity},
    connection, interval,
    time::Timestamp,
};

use super::{guidance::ExportGuidance, outlook::ExportOutlook};

#[derive(Clone, Copy, Debug)]
pub struct DateTime(pub Timestamp);

/// A time as in RFC 3339, in UTC with three decimals, for example 2026-01-31T00:00:00.000Z.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => {
                Timestamp::parse(text).map(Self).map_err(|error| InputValueError::custom(error.to_string()))
            }
            _ => Err(InputValueError::custom("not a text")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// How many events or bytes: more than an `Int` of GraphQL may hold. Nothing that is counted here comes near 2^53: a job
/// has 400 files at most, and S3 takes no file above 5 TiB.
#[derive(Clone, Copy, Debug)]
pub struct Long(pub u64);

/// A whole number from 0 to 2^53 - 1: a number of JSON that JavaScript too reads exactly.
#[Scalar(name = "Long")]
impl ScalarType for Long {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) if number.is_u64() => Ok(Self(number.as_u64().unwrap_or_default())),
            _ => Err(InputValueError::custom("not a whole number")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// How often a configuration exports. Each export ends at a UTC boundary: one of 24 hours is a calendar day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "interval::ExportInterval")]
#[expect(clippy::enum_variant_names, reason = "the names are the API's")]
pub enum ExportInterval {
    #[graphql(name = "EVERY_2_HOURS")]
    Every2Hours,
    #[graphql(name = "EVERY_4_HOURS")]
    Every4Hours,
    #[graphql(name = "EVERY_6_HOURS")]
    Every6Hours,
    #[graphql(name = "EVERY_12_HOURS")]
    Every12Hours,
    #[graphql(name = "EVERY_24_HOURS")]
    Every24Hours,
}

/// What the last connection test or export said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "connection::ConnectionStatus")]
pub enum ConnectionStatus {
    /// Not tested since the last change of role, key, bucket or region.
    Pending,
    /// The bucket can be written to.
    Success,
    /// It can't: see `connectionError`.
    Failed,
}

/// Why the bucket can't be written to.
#[derive(Clone, Debug, SimpleObject)]
pub struct ConnectionError {
    /// Stable, for example `WRITE_DENIED`.
    code: String,
    /// What to change.
    message: String,
}

/// Where the files go, and as whom they are written. The secret access key is never shown.
#[derive(Clone, Debug, SimpleObject)]
pub struct S3EndpointConfiguration {
    bucket_name: String,
    /// Without it, files are written to the bucket's root.
    bucket_path: Option<String>,
    region: String,
    /// The role that is assumed, if not an access key is used.
    role_arn: Option<String>,
    /// The access key that is used, if no role is assumed.
    access_key_id: Option<String>,
    /// The KMS key that files are encrypted with. Null: whatever the bucket encrypts with.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to. Without it: the account of the role or access key.
    expected_bucket_owner: Option<String>,
}

/// An export of the audit log into a bucket.
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

/// What is stored of it.
#[derive(Clone, Debug, SimpleObject)]
struct StoredConfiguration {
    id: ID,
    /// One more with each change that a person makes.
    version: u64,
    /// What people call it.
    description: Option<String>,
    interval: ExportInterval,
    enabled: bool,
    connection_status: ConnectionStatus,
    /// When the status was found.
    connection_checked_at: Option<DateTime>,
    connection_error: Option<ConnectionError>,
    endpoint_configuration: S3EndpointConfiguration,
    /// The KMS key that files are encrypted with. Null: whatever the bucket encrypts with.
    kms_key_arn: Option<String>,
    /// The account that the bucket has to belong to. Without it: the account of the role or access key.
    expected_bucket_owner: Option<String>,
    /// Everything received before it is in the bucket, and told of by a signed digest. Null: no export has ended yet.
    exported_through: Option<DateTime>,
    /// When the last export ended that succeeded.
    last_export: Option<DateTime>,
    /// Exports that failed since then, one after the other.
    consecutive_failures: u32,
    /// Events received from then on are exported.
    start_from: DateTime,
    /// The subject of the token that created it.
    created_by: String,
    created_at: DateTime,
    /// The subject of the token that last changed it.
    updated_by: String,
    updated_at: DateTime,
}

impl From<configuration::ExportConfiguration> for StoredConfiguration {
    fn from(configuration: configuration::ExportConfiguration) -> Self {
        let id = configuration.key.configuration_id.to_string();
        let connection = &configuration.connection;
        Self {
            id: ID(id),
            version: configuration.version,
            description: configuration.description.map(Into::into),
            interval: configuration.interval.into(),
            enabled: configuration.enabled,
            connection_status: connection.status().into(),
            connection_checked_at: connection.checked_at().map(DateTime),
            connection_error: connection
                .error()
                .map(|error| ConnectionError { code: error.code.to_string(), message: error.message.clone() }),
            kms_key_arn: configuration.destination.kms_key_arn.as_ref().map(ToString::to_string),
            expected_bucket_owner: configuration.destination.expected_bucket_owner.as_ref().map(ToString::to_string),
            endpoint_configuration: S3EndpointConfiguration::of(
                configuration.destination,
                configuration.authentication,
            ),
            exported_through: configuration.progress.exported_through.map(DateTime),
            last_export: configuration.progress.last_export_at.map(DateTime),
            consecutive_failures: configuration.progress.consecutive_failures,
            start_from: DateTime(configuration.start_from),
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
            bucket_name: destination.bucket_name.into(),
            bucket_path: destination.bucket_path.map(Into::into),
            region: destination.region.into(),
            role_arn,
            access_key_id,
            kms_key_arn: destination.kms_key_arn.map(|arn| arn.to_string()),
            expected_bucket_owner: destination.expected_bucket_owner.map(Into::into),
        }
    }
}

/// Who this service is to AWS: what the trust policy of a role has to name.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportServiceIdentity {
    /// The account, 12 digits.
    account: String,
    /// For example `aws` or `aws-us-gov`.
    partition: String,
    region: String,
}

impl From<&ServiceIdentity> for ExportServiceIdentity {
    fn from(identity: &ServiceIdentity) -> Self {
        Self {
            account: identity.account.to_string(),
            partition: identity.partition.to_string(),
            region: identity.region.to_string(),
        }
    }
}

/// How digests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum SigningAlgorithm {
    /// ECDSA on the curve P-256 over the SHA-256 of the digest's bytes; the signature is ASN.1 DER.
    #[graphql(name = "ECDSA_P256_SHA256")]
    EcdsaP256Sha256,
}

/// A key that digests are or were signed with.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportSigningKey {
    /// SHA-256 of the key's `SubjectPublicKeyInfo` in DER, 64 hexadecimal digits: a digest's `signingKey`.
    fingerprint: String,
    algorithm: SigningAlgorithm,
    /// The `SubjectPublicKeyInfo` in PEM.
    public_key: String,
    /// Whether new digests are signed with it.
    current: bool,
}

impl ExportSigningKey {
    pub fn of(key: &SigningPublicKey, current: bool) -> Self {
        Self {
            fingerprint: key.fingerprint.to_string(),
            algorithm: SigningAlgorithm::EcdsaP256Sha256,
            public_key: key.to_pem(),
            current,
        }
    }
}
