//! The one mapping between an export configuration and its item. Attributes have the names of the API's fields.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress,
        access_key::{AccessKeyId, SealedSecret},
        arn::{AccountId, KmsKeyArn, RoleArn, UserArn},
        bucket::{BucketName, BucketPath},
        description::Description,
        region::Region,
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode, ConnectionStatus},
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Shards of the index of enabled configurations, so that no partition of it has to take all of an interval's.
pub const SCHEDULE_SHARDS: u8 = 8;

pub(super) mod attribute {
    pub(crate) const TENANT_ID: &str = "tenantId";
    pub(crate) const ID: &str = "id";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const DESCRIPTION: &str = "description";
    pub(crate) const INTERVAL: &str = "interval";
    pub(crate) const ENABLED: &str = "enabled";
    /// Only there while the configuration is enabled, and of a tombstone: the index is sparse.
    pub(crate) const SCHEDULE_PARTITION: &str = "schedulePartition";
    pub(crate) const BUCKET_NAME: &str = "bucketName";
    pub(crate) const BUCKET_PATH: &str = "bucketPath";
    pub(crate) const REGION: &str = "region";
    pub(crate) const KMS_KEY_ARN: &str = "kmsKeyArn";
    pub(crate) const EXPECTED_BUCKET_OWNER: &str = "expectedBucketOwner";
    pub(crate) const ROLE_ARN: &str = "roleArn";
    pub(crate) const ACCESS_KEY_ID: &str = "accessKeyId";
    pub(crate) const SEALED_SECRET: &str = "sealedSecret";
    /// Of the access key's user, once a test has learned it.
    pub(crate) const PRINCIPAL_ARN: &str = "principalArn";
    pub(crate) const START_FROM: &str = "startFrom";
    pub(crate) const CONNECTION_STATUS: &str = "connectionStatus";
    pub(crate) const CONNECTION_CHECKED_AT: &str = "connectionCheckedAt";
    pub(crate) const CONNECTION_ERROR: &str = "connectionError";
    /// The version that last changed destination or identity: an outcome of a test of that version or a later one still
    /// holds. Not there before the first edit, nor in items that were last edited by an earlier version of the service.
    pub(crate) const CONNECTION_VERSION: &str = "connectionVersion";
    pub(crate) const EXPORTED_THROUGH: &str = "exportedThrough";
    pub(crate) const LAST_EXPORT_AT: &str = "lastExportAt";
    /// Tells a report of a run that comes late from a new one, and a failure that was mended since from one that wasn't.
    pub(crate) const LAST_FAILURE_AT: &str = "lastFailureAt";
    /// Not there before the first run.
    pub(crate) const CONSECUTIVE_FAILURES: &str = "consecutiveFailures";
    /// Of a requested run that has not ended yet.
    pub(crate) const REQUESTED_THROUGH: &str = "requestedThrough";
    /// Seconds since the epoch: until then the run is taken to be in the queue.
    pub(crate) const REQUESTED_UNTIL: &str = "requestedUntil";
    /// Distinguishes a request from the others.
    pub(crate) const REQUEST_TOKEN: &str = "requestToken";
    pub(crate) const CREATED_BY: &str = "createdBy";
    pub(crate) const CREATED_AT: &str = "createdAt";
    pub(crate) const UPDATED_BY: &str = "updatedBy";
    pub(crate) const UPDATED_AT: &str = "updatedAt";

    // Of the error of a connection.
    pub(crate) const CODE: &str = "code";
    pub(crate) const MESSAGE: &str = "message";

    // Of the record of an idempotency key.
    pub(crate) const CONFIGURATION_ID: &str = "configurationId";
    pub(crate) const CONTENT_HASH: &str = "contentHash";
    pub(crate) const EXPIRES_AT: &str = "expiresAt";

    // Of what was last counted of a tenant's backlog.
    pub(crate) const COUNTED_AT: &str = "countedAt";
    /// JSON: by the configuration's id.
    pub(crate) const BACKLOGS: &str = "backlogs";

    // Of the count of a tenant's configurations.
    pub(crate) const CONFIGURATIONS: &str = "configurations";
}

/// The partition of the index in which a configuration is while it is enabled.
pub(super) fn schedule_partition(interval: ExportInterval, id: ConfigurationId) -> String {
    let [.., last] = id.as_bytes();
    schedule_shard(interval, last % SCHEDULE_SHARDS)
}

pub(super) fn schedule_shard(interval: ExportInterval, shard: u8) -> String {
    format!("{interval}#{shard}")
}

pub(super) fn key(key: &ConfigurationKey) -> Item {
    Item::from([
        (attribute::TENANT_ID.to_owned(), text(key.tenant_id.as_str())),
        (attribute::ID.to_owned(), text(key.configuration_id)),
    ])
}

#[expect(clippy::needless_pass_by_value, reason = "most callers have a value to give away")]
pub(super) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(super) fn connection_error(error: &ConnectionError) -> AttributeValue {
    AttributeValue::M(Item::from([
        (attribute::CODE.to_owned(), text(error.code)),
        (attribute::MESSAGE.to_owned(), text(&error.message)),
    ]))
}

pub(super) fn write(configuration: &ExportConfiguration) -> Item {
    let mut item = key(&configuration.key);
    let mut set = |name: &str, value: AttributeValue| {
        item.insert(name.to_owned(), value);
    };
    set(attribute::VERSION, number(configuration.version));
    if let Some(description) = &configuration.description {
        set(attribute::DESCRIPTION, text(description));
    }
    set(attribute::INTERVAL, text(configuration.interval));
    set(attribute::ENABLED, AttributeValue::Bool(configuration.enabled));
    if configuration.enabled {
        let partition = schedule_partition(configuration.interval, configuration.key.configuration_id);
        set(attribute::SCHEDULE_PARTITION, text(partition));
    }

    let destination = &configuration.destination;
    set(attribute::BUCKET_NAME, text(&destination.bucket_name));
    set(attribute::REGION, text(&destination.region));
    if let Some(path) = &destination.bucket_path {
        set(attribute::BUCKET_PATH, text(path));
    }
    if let Some(arn) = &destination.kms_key_arn {
        set(attribute::KMS_KEY_ARN, text(arn));
    }
    if let Some(owner) = &destination.expected_bucket_owner {
        set(attribute::EXPECTED_BUCKET_OWNER, text(owner));
    }
    match &configuration.authentication {
        Authentication::AssumedRole { role_arn } => set(attribute::ROLE_ARN, text(role_arn)),
        Authentication::AccessKey { access_key_id, secret } => {
            set(attribute::ACCESS_KEY_ID, text(access_key_id));
            set(attribute::SEALED_SECRET, AttributeValue::B(secret.ciphertext().into()));
        }
    }

    if let Some(user_arn) = &configuration.user_arn {
        set(attribute::PRINCIPAL_ARN, text(user_arn));
    }
    set(attribute::START_FROM, text(configuration.start_from));
    set(attribute::CONNECTION_STATUS, text(configuration.connection.status().name()));
    if let Some(checked_at) = configuration.connection.checked_at() {
        set(attribute::CONNECTION_CHECKED_AT, text(checked_at));
    }
    if let Some(error) = configuration.connection.error() {
        set(attribute::CONNECTION_ERROR, connection_error(error));
    }
    let progress = &configuration.progress;
    if let Some(exported_through) = progress.exported_through {
        set(attribute::EXPORTED_THROUGH, text(exported_through));
    }
    if let Some(last_export_at) = progress.last_export_at {
        set(attribute::LAST_EXPORT_AT, text(last_export_at));
    }
    if progress.consecutive_failures > 0 {
        set(attribute::CONSECUTIVE_FAILURES, number(progress.consecutive_failures));
    }
    if let Some(last_failure_at) = progress.last_failure_at {
        set(attribute::LAST_FAILURE_AT, text(last_failure_at));
    }
    if let Some(through) = configuration.requested_through {
        set(attribute::REQUESTED_THROUGH, text(through));
    }
    if let Some(until) = configuration.requested_until {
        set(attribute::REQUESTED_UNTIL, number(until.as_seconds()));
    }
    set(attribute::CREATED_BY, text(&configuration.created_by));
    set(attribute::CREATED_AT, text(configuration.created_at));
    set(attribute::UPDATED_BY, text(&configuration.updated_by));
    set(attribute::UPDATED_AT, text(configuration.updated_at));
    item
}

/// # Errors
/// Internal, naming the attribute that is missing or bad. Its value is left out.
pub(super) fn read(item: &Item) -> Result<ExportConfiguration, PortError> {
    let attributes = Attributes(item);
    let authentication = match (attributes.optional(attribute::ROLE_ARN, |text| RoleArn::parse(text).ok())?, {
        attributes.optional(attribute::ACCESS_KEY_ID, |text| AccessKeyId::parse(text).ok())?
    }) {
        (Some(role_arn), None) => Authentication::AssumedRole { role_arn },
        (None, Some(access_key_id)) => Authentication::AccessKey { access_key_id, secret: attributes.sealed_secret()? },
        (Some(_), Some(_)) | (None, None) => return Err(corrupt(attribute::ROLE_ARN)),
    };
    Ok(ExportConfiguration {
        key: read_key(item)?,
        version: attributes.number(attribute::VERSION)?,
        description: attributes.optional(attribute::DESCRIPTION, |text| Description::parse(text).ok())?,
        interval: attributes.required(attribute::INTERVAL, ExportInterval::parse)?,
        enabled: attributes.flag(attribute::ENABLED)?,
        destination: Destination {
            bucket_name: attributes.required(attribute::BUCKET_NAME, |text| BucketName::parse(text).ok())?,
            bucket_path: attributes.optional(attribute::BUCKET_PATH, |text| BucketPath::parse(text).ok())?,
            region: attributes.required(attribute::REGION, |text| Region::parse(text).ok())?,
            kms_key_arn: attributes.optional(attribute::KMS_KEY_ARN, |text| KmsKeyArn::parse(text).ok())?,
            expected_bucket_owner: attributes
                .optional(attribute::EXPECTED_BUCKET_OWNER, |text| AccountId::parse(text).ok())?,
        },
        authentication,
        user_arn: attributes.optional(attribute::PRINCIPAL_ARN, UserArn::parse)?,
        start_from: attributes.timestamp(attribute::START_FROM)?,
        connection: attributes.connection()?,
        progress: attributes.progress()?,
        requested_through: attributes.optional(attribute::REQUESTED_THROUGH, |text| Timestamp::parse(text).ok())?,
        requested_until: attributes.optional_seconds(attribute::REQUESTED_UNTIL)?,
        created_by: attributes.required(attribute::CREATED_BY, |text| Some(text.to_owned()))?,
        created_at: attributes.timestamp(attribute::CREATED_AT)?,
        updated_by: attributes.required(attribute::UPDATED_BY, |text| Some(text.to_owned()))?,
        updated_at: attributes.timestamp(attribute::UPDATED_AT)?,
    })
}

/// # Errors
/// As [`read`].
pub(super) fn read_key(item: &Item) -> Result<ConfigurationKey, PortError> {
    let attributes = Attributes(item);
    Ok(ConfigurationKey {
        tenant_id: attributes.tenant_id()?,
        configuration_id: attributes.required(attribute::ID, ConfigurationId::parse)?,
    })
}

pub(super) fn corrupt(attribute: &str) -> PortError {
    PortError::internal("read configuration", format!("the item's attribute {attribute} is missing or bad"))
}

/// An item, read with the attribute's name in every error.
pub(super) struct Attributes<'a>(pub(super) &'a Item);

impl Attributes<'_> {
    pub(super) fn required<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, PortError> {
        self.optional(name, parse)?.ok_or_else(|| corrupt(name))
    }

    pub(super) fn optional<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, PortError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => parse(text).map(Some).ok_or_else(|| corrupt(name)),
            Some(_) => Err(corrupt(name)),
        }
    }

    pub(super) fn timestamp(&self, name: &str) -> Result<Timestamp, PortError> {
        self.required(name, |text| Timestamp::parse(text).ok())
    }

    pub(super) fn tenant_id(&self) -> Result<TenantId, PortError> {
        self.required(attribute::TENANT_ID, |text| TenantId::parse(text).ok())
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<T, PortError> {
        let value = self.0.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|digits| digits.parse().ok()).ok_or_else(|| corrupt(name))
    }

    pub(super) fn optional_seconds(&self, name: &str) -> Result<Option<Timestamp>, PortError> {
        if !self.0.contains_key(name) {
            return Ok(None);
        }
        let seconds: u64 = self.number(name)?;
        let time = seconds.checked_mul(1_000).and_then(Timestamp::from_millis);
        time.map(Some).ok_or_else(|| corrupt(name))
    }

    pub(super) fn progress(&self) -> Result<ExportProgress, PortError> {
        let has_failures = self.0.contains_key(attribute::CONSECUTIVE_FAILURES);
        Ok(ExportProgress {
            exported_through: self.optional(attribute::EXPORTED_THROUGH, |text| Timestamp::parse(text).ok())?,
            last_export_at: self.optional(attribute::LAST_EXPORT_AT, |text| Timestamp::parse(text).ok())?,
            consecutive_failures: if has_failures { self.number(attribute::CONSECUTIVE_FAILURES)? } else { 0 },
            last_failure_at: self.optional(attribute::LAST_FAILURE_AT, |text| Timestamp::parse(text).ok())?,
        })
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, PortError> {
        self.0.get(name).and_then(|value| value.as_bool().ok()).copied().ok_or_else(|| corrupt(name))
    }

    fn sealed_secret(&self) -> Result<SealedSecret, PortError> {
        let ciphertext = self.0.get(attribute::SEALED_SECRET).and_then(|value| value.as_b().ok());
        ciphertext
            .map(|blob| SealedSecret::from_ciphertext(blob.as_ref().to_vec()))
            .ok_or_else(|| corrupt(attribute::SEALED_SECRET))
    }

    fn connection(&self) -> Result<Connection, PortError> {
        let status = self.required(attribute::CONNECTION_STATUS, ConnectionStatus::parse)?;
        match status {
            ConnectionStatus::Pending => Ok(Connection::Pending),
            ConnectionStatus::Success => {
                Ok(Connection::Success { checked_at: self.timestamp(attribute::CONNECTION_CHECKED_AT)? })
            }
            ConnectionStatus::Failed => Ok(Connection::Failed {
                checked_at: self.timestamp(attribute::CONNECTION_CHECKED_AT)?,
                error: self.connection_error()?,
            }),
        }
    }

    fn connection_error(&self) -> Result<ConnectionError, PortError> {
        let error = self.0.get(attribute::CONNECTION_ERROR).and_then(|value| value.as_m().ok());
        let error = Attributes(error.ok_or_else(|| corrupt(attribute::CONNECTION_ERROR))?);
        let code = |text: &str| ConnectionErrorCode::ALL.iter().find(|code| code.name() == text).copied();
        Ok(ConnectionError {
            code: error.required(attribute::CODE, code)?,
            message: error.required(attribute::MESSAGE, |text| Some(text.to_owned()))?,
        })
    }
}
