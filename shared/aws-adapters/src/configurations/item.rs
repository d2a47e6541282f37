//! The mapping between an export configuration and its item. Attributes have the names of the API's fields.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress, Layout,
        Site,
        access_key::{AccessKeyId, SealedSecret},
        arn::{AccountId, KmsKeyArn, RoleArn, UserArn},
        bucket::{BucketName, BucketPath},
        description::Description,
        endpoint::EndpointUrl,
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode, ConnectionStatus},
    event_filter::EventFilter,
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{OcsfSettings, Version},
    tenant::TenantId,
    webhook::{SealedWebhookSecret, Webhook, WebhookUrl},
};

use crate::dynamodb::item::{Attributes, Item, MalformedItem, binary, item, number, seconds, text};

/// Shards of the index of enabled configurations, so that no partition has to take all configurations of an interval.
pub const SCHEDULE_SHARDS: u8 = 8;

/// The index of enabled configurations. Its reads are eventually consistent: a configuration that was just enabled may be
/// missed by a dispatch of the same moment, and one that was just disabled is refused by the run itself.
pub(super) const ENABLED_BY_INTERVAL: &str = "enabledByInterval";

/// Configurations of one page of the index. Their keys have at most 300 bytes: far from the 1 MB of `DynamoDB`.
pub const INDEX_PAGE_SIZE: i32 = 500;

/// Sorts behind every UUID and before everything else in a tenant's partition.
pub(crate) const BEHIND_IDS: &str = "g";

pub(crate) mod attribute {
    pub(crate) const TENANT_ID: &str = "tenantId";
    pub(crate) const ID: &str = "id";
    pub(crate) const VERSION: &str = "version";
    pub(crate) const DESCRIPTION: &str = "description";
    pub(crate) const INTERVAL: &str = "interval";
    /// The format of new windows. Absent: the default.
    pub(crate) const FORMAT: &str = "format";
    /// JSON: the canonical text of the filter of new windows. Absent: all events.
    pub(crate) const FILTER: &str = "filter";
    /// The version of OCSF. Absent: the default.
    pub(crate) const OCSF_VERSION: &str = "ocsfVersion";
    /// JSON: the canonical text of the configuration's own rules. Absent: none.
    pub(crate) const OCSF_CLASSES: &str = "ocsfClasses";
    pub(crate) const ENABLED: &str = "enabled";
    /// Present only while the configuration is enabled, and in tombstones: the index is sparse.
    pub(crate) const SCHEDULE_PARTITION: &str = "schedulePartition";
    pub(crate) const BUCKET_NAME: &str = "bucketName";
    pub(crate) const BUCKET_PATH: &str = "bucketPath";
    pub(crate) const REGION: &str = "region";
    /// Of a server other than AWS's.
    pub(crate) const ENDPOINT_URL: &str = "endpointUrl";
    pub(crate) const KMS_KEY_ARN: &str = "kmsKeyArn";
    pub(crate) const EXPECTED_BUCKET_OWNER: &str = "expectedBucketOwner";
    pub(crate) const ROLE_ARN: &str = "roleArn";
    pub(crate) const ACCESS_KEY_ID: &str = "accessKeyId";
    pub(crate) const SEALED_SECRET: &str = "sealedSecret";
    /// The access key's user, once a test has found it.
    pub(crate) const PRINCIPAL_ARN: &str = "principalArn";
    pub(crate) const START_FROM: &str = "startFrom";
    pub(crate) const CONNECTION_STATUS: &str = "connectionStatus";
    pub(crate) const CONNECTION_CHECKED_AT: &str = "connectionCheckedAt";
    pub(crate) const CONNECTION_ERROR: &str = "connectionError";
    /// The version that last changed destination or identity: an outcome of a test of that version or a later one still
    /// holds. Absent before the first edit, and in items that an earlier version of the service edited last.
    pub(crate) const CONNECTION_VERSION: &str = "connectionVersion";
    /// JSON: the progress of the last connection test.
    pub(crate) const CONNECTION_TEST: &str = "connectionTest";
    /// The start of that test, by which tests are ordered.
    pub(crate) const TEST_STARTED_AT: &str = "testStartedAt";
    /// The revision of its progress, by which the states of one test are ordered.
    pub(crate) const TEST_REVISION: &str = "testRevision";
    pub(crate) const EXPORTED_THROUGH: &str = "exportedThrough";
    pub(crate) const LAST_EXPORT_AT: &str = "lastExportAt";
    /// Distinguishes late reports of runs from new ones, and failures before a later success from those after it.
    pub(crate) const LAST_FAILURE_AT: &str = "lastFailureAt";
    /// Absent before the first run.
    pub(crate) const CONSECUTIVE_FAILURES: &str = "consecutiveFailures";
    /// Of a requested run that has not ended yet.
    pub(crate) const REQUESTED_THROUGH: &str = "requestedThrough";
    /// Seconds since the epoch: until then the run counts as queued.
    pub(crate) const REQUESTED_UNTIL: &str = "requestedUntil";
    /// The receivers of notices. Absent: none.
    pub(crate) const WEBHOOKS: &str = "webhooks";
    /// Distinguishes the requests.
    pub(crate) const REQUEST_TOKEN: &str = "requestToken";
    /// JSON: what the sweep has noticed of the export. Absent in items that are older than notices.
    pub(crate) const NOTICED: &str = "noticed";
    /// JSON: the newest gap that the export has signed.
    pub(crate) const SIGNED_GAP: &str = "signedGap";
    /// The sequence of its digest.
    pub(crate) const SIGNED_GAP_SEQUENCE: &str = "signedGapSequence";
    /// The time when the secret access key was stored.
    pub(crate) const SECRET_STORED_AT: &str = "secretStoredAt";
    pub(crate) const CREATED_BY: &str = "createdBy";
    pub(crate) const CREATED_AT: &str = "createdAt";
    pub(crate) const UPDATED_BY: &str = "updatedBy";
    pub(crate) const UPDATED_AT: &str = "updatedAt";

    // Of a webhook. Its sealed secret has the name of the one of an access key.
    pub(crate) const URL: &str = "url";

    // Of the error of a connection.
    pub(crate) const CODE: &str = "code";
    pub(crate) const MESSAGE: &str = "message";

    // Of the record of an idempotency key.
    pub(crate) const CONFIGURATION_ID: &str = "configurationId";
    pub(crate) const CONTENT_HASH: &str = "contentHash";
    pub(crate) const EXPIRES_AT: &str = "expiresAt";

    // Of the last count of a tenant's backlog.
    pub(crate) const COUNTED_AT: &str = "countedAt";
    /// JSON: by the configuration's ID.
    pub(crate) const BACKLOGS: &str = "backlogs";

    // Of a repair.
    /// JSON: all of it.
    pub(crate) const REPAIR: &str = "repair";
    pub(crate) const REPAIR_ID: &str = "repairId";
    pub(crate) const REVISION: &str = "revision";
    /// Seconds since the epoch: until then no other repair may replace it. Absent once it has ended.
    pub(crate) const UNFINISHED_UNTIL: &str = "unfinishedUntil";
    // Of replays.
    /// Of a configuration: the number of requests for replays. Of two at a time, one is refused.
    pub(crate) const REPLAY_REQUESTS: &str = "replayRequests";
    pub(crate) const FROM: &str = "from";
    pub(crate) const TO: &str = "to";
    /// JSON.
    pub(crate) const DESTINATION: &str = "destination";
    pub(crate) const REQUESTED_BY: &str = "requestedBy";
    pub(crate) const REQUESTED_AT: &str = "requestedAt";
    pub(crate) const ATTEMPT: &str = "attempt";
    pub(crate) const STATUS: &str = "status";
    pub(crate) const STARTED_AT: &str = "startedAt";
    pub(crate) const ENDED_AT: &str = "endedAt";
    pub(crate) const OBJECTS: &str = "objects";
    pub(crate) const EVENTS: &str = "events";
    pub(crate) const STORED_BYTES: &str = "storedBytes";
    pub(crate) const TESTED_AT: &str = "testedAt";
    pub(crate) const TESTED_VERSION: &str = "testedVersion";

    // Of the count of a tenant's configurations.
    pub(crate) const CONFIGURATIONS: &str = "configurations";
    /// The number of changes that ended an export.
    pub(crate) const STOPS: &str = "stops";

    // Of a queued notice.
    /// JSON.
    pub(crate) const NOTICE: &str = "notice";
    pub(crate) const KIND: &str = "kind";
    /// JSON: the webhooks that get it. Absent: none.
    pub(crate) const RECEIVERS: &str = "receivers";
    /// Present if it is true.
    pub(crate) const IS_LAST_EXPORT: &str = "isLastExport";
    /// Present if the bus has the notice, and the rest failed.
    pub(crate) const ON_BUS: &str = "onBus";
}

/// Returns the partition of the index for a configuration that is enabled.
pub(super) fn schedule_partition(interval: ExportInterval, id: ConfigurationId) -> String {
    let [.., last] = id.as_bytes();
    schedule_shard(interval, last % SCHEDULE_SHARDS)
}

pub(super) fn schedule_shard(interval: ExportInterval, shard: u8) -> String {
    format!("{interval}#{shard}")
}

pub(super) fn key(key: &ConfigurationKey) -> Item {
    tenant_key(&key.tenant_id, &key.configuration_id.to_string())
}

/// Returns the key of any item of a tenant.
pub(crate) fn tenant_key(tenant: &TenantId, id: &str) -> Item {
    item([(attribute::TENANT_ID, text(tenant)), (attribute::ID, text(id))])
}

pub(super) fn connection_error(error: &ConnectionError) -> AttributeValue {
    AttributeValue::M(item([(attribute::CODE, text(error.code)), (attribute::MESSAGE, text(&error.message))]))
}

fn webhook(webhook: &Webhook) -> AttributeValue {
    AttributeValue::M(item([
        (attribute::URL, text(&webhook.url)),
        (attribute::SEALED_SECRET, binary(webhook.sealed_secret.ciphertext())),
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
    if configuration.format != ExportFormat::default() {
        set(attribute::FORMAT, text(configuration.format));
    }
    if let Some(filter) = &configuration.filter {
        set(attribute::FILTER, text(filter));
    }
    if let Some(ocsf) = &configuration.ocsf {
        set(attribute::OCSF_VERSION, text(ocsf.version));
        if !ocsf.classes.is_empty() {
            set(attribute::OCSF_CLASSES, text(&ocsf.classes));
        }
    }
    set(attribute::ENABLED, AttributeValue::Bool(configuration.enabled));
    if configuration.enabled {
        let partition = schedule_partition(configuration.interval, configuration.key.configuration_id);
        set(attribute::SCHEDULE_PARTITION, text(partition));
    }

    let destination = &configuration.destination;
    set(attribute::BUCKET_NAME, text(&destination.bucket_name));
    set(attribute::REGION, text(destination.site.region_name()));
    if let Some(endpoint) = destination.site.endpoint() {
        set(attribute::ENDPOINT_URL, text(endpoint));
    }
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
            set(attribute::SEALED_SECRET, binary(secret.ciphertext()));
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
        set(attribute::REQUESTED_UNTIL, seconds(until));
    }
    if !configuration.webhooks.is_empty() {
        set(attribute::WEBHOOKS, AttributeValue::L(configuration.webhooks.iter().map(webhook).collect()));
    }
    set(attribute::CREATED_BY, text(&configuration.created_by));
    set(attribute::CREATED_AT, text(configuration.created_at));
    set(attribute::UPDATED_BY, text(&configuration.updated_by));
    set(attribute::UPDATED_AT, text(configuration.updated_at));
    item
}

/// # Errors
/// Names the attribute that is missing or malformed.
pub(super) fn read(item: &Item) -> Result<ExportConfiguration, MalformedItem> {
    let attributes = Attributes(item);
    let role_arn = attributes.optional(attribute::ROLE_ARN, |text| RoleArn::parse(text).ok())?;
    let parse_endpoint = |text: &str| EndpointUrl::try_from(text.to_owned()).ok();
    let endpoint = attributes.optional(attribute::ENDPOINT_URL, parse_endpoint)?;
    let access_key_id = attributes.optional(attribute::ACCESS_KEY_ID, |text| AccessKeyId::parse(text).ok())?;
    let authentication = match (role_arn, access_key_id) {
        (Some(_), None) if endpoint.is_some() => return Err(MalformedItem { attribute: attribute::ENDPOINT_URL }),
        (Some(role_arn), None) => Authentication::AssumedRole { role_arn },
        (None, Some(access_key_id)) => {
            let ciphertext = attributes.bytes(attribute::SEALED_SECRET)?;
            Authentication::AccessKey { access_key_id, secret: SealedSecret::from_ciphertext(ciphertext.to_vec()) }
        }
        (Some(_), Some(_)) | (None, None) => return Err(MalformedItem { attribute: attribute::ROLE_ARN }),
    };
    let format = attributes.optional(attribute::FORMAT, ExportFormat::parse)?.unwrap_or_default();
    Ok(ExportConfiguration {
        key: read_key(item)?,
        replay_of: None,
        version: attributes.number(attribute::VERSION)?,
        description: attributes.optional(attribute::DESCRIPTION, |text| Description::parse(text).ok())?,
        interval: attributes.required(attribute::INTERVAL, ExportInterval::parse)?,
        format,
        ocsf: read_ocsf(attributes)?,
        filter: attributes.optional(attribute::FILTER, |text| serde_json::from_str::<EventFilter>(text).ok())?,
        enabled: attributes.flag(attribute::ENABLED)?,
        destination: Destination {
            bucket_name: attributes.required(attribute::BUCKET_NAME, |text| BucketName::parse(text).ok())?,
            bucket_path: attributes.optional(attribute::BUCKET_PATH, |text| BucketPath::parse(text).ok())?,
            site: attributes.required(attribute::REGION, |region| Site::from_stored(region, endpoint).ok())?,
            kms_key_arn: attributes.optional(attribute::KMS_KEY_ARN, |text| KmsKeyArn::parse(text).ok())?,
            expected_bucket_owner: attributes
                .optional(attribute::EXPECTED_BUCKET_OWNER, |text| AccountId::parse(text).ok())?,
            layout: Layout::of(format),
        },
        authentication,
        user_arn: attributes.optional(attribute::PRINCIPAL_ARN, UserArn::parse)?,
        start_from: attributes.time(attribute::START_FROM)?,
        connection: read_connection(attributes)?,
        progress: read_progress(attributes)?,
        requested_through: attributes.optional_time(attribute::REQUESTED_THROUGH)?,
        requested_until: attributes.optional_seconds(attribute::REQUESTED_UNTIL)?,
        webhooks: read_webhooks(attributes)?,
        created_by: attributes.text(attribute::CREATED_BY)?,
        created_at: attributes.time(attribute::CREATED_AT)?,
        updated_by: attributes.text(attribute::UPDATED_BY)?,
        updated_at: attributes.time(attribute::UPDATED_AT)?,
    })
}

/// # Errors
/// As [`read`].
pub(super) fn read_ocsf(attributes: Attributes<'_>) -> Result<Option<OcsfSettings>, MalformedItem> {
    let Some(version) = attributes.optional(attribute::OCSF_VERSION, Version::parse)? else { return Ok(None) };
    let classes = attributes.optional(attribute::OCSF_CLASSES, |text| serde_json::from_str(text).ok())?;
    Ok(Some(OcsfSettings { version, classes: classes.unwrap_or_default() }))
}

/// # Errors
/// As [`read`].
pub(super) fn read_key(item: &Item) -> Result<ConfigurationKey, MalformedItem> {
    let attributes = Attributes(item);
    Ok(ConfigurationKey {
        tenant_id: read_tenant_id(attributes)?,
        configuration_id: attributes.required(attribute::ID, ConfigurationId::parse)?,
    })
}

pub(super) fn read_tenant_id(attributes: Attributes<'_>) -> Result<TenantId, MalformedItem> {
    attributes.required(attribute::TENANT_ID, |text| TenantId::parse(text).ok())
}

pub(super) fn read_webhooks(attributes: Attributes<'_>) -> Result<Vec<Webhook>, MalformedItem> {
    let webhook = |attributes: Attributes<'_>| {
        let ciphertext = attributes.bytes(attribute::SEALED_SECRET)?;
        Ok(Webhook {
            url: attributes.required(attribute::URL, |text| WebhookUrl::try_from(text.to_owned()).ok())?,
            sealed_secret: SealedWebhookSecret::from_ciphertext(ciphertext.to_vec()),
        })
    };
    attributes.maps(attribute::WEBHOOKS)?.into_iter().map(webhook).collect()
}

pub(super) fn read_progress(attributes: Attributes<'_>) -> Result<ExportProgress, MalformedItem> {
    Ok(ExportProgress {
        exported_through: attributes.optional_time(attribute::EXPORTED_THROUGH)?,
        last_export_at: attributes.optional_time(attribute::LAST_EXPORT_AT)?,
        consecutive_failures: attributes.optional_number(attribute::CONSECUTIVE_FAILURES)?.unwrap_or(0),
        last_failure_at: attributes.optional_time(attribute::LAST_FAILURE_AT)?,
    })
}

pub(super) fn read_connection(attributes: Attributes<'_>) -> Result<Connection, MalformedItem> {
    let checked_at = || attributes.time(attribute::CONNECTION_CHECKED_AT);
    Ok(match attributes.required(attribute::CONNECTION_STATUS, ConnectionStatus::parse)? {
        ConnectionStatus::Pending => Connection::Pending,
        ConnectionStatus::Success => Connection::Success { checked_at: checked_at()? },
        ConnectionStatus::Failed => {
            let error = attributes.map(attribute::CONNECTION_ERROR)?;
            let code = |text: &str| ConnectionErrorCode::ALL.iter().find(|code| code.name() == text).copied();
            let code = error.required(attribute::CODE, code)?;
            let error = ConnectionError { code, message: error.text(attribute::MESSAGE)? };
            Connection::Failed { checked_at: checked_at()?, error }
        }
    })
}
