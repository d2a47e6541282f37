//! Settings from environment variables.

use std::num::NonZeroU8;

use authentication::Issuers;
use domain::{
    archive::{ArchiveTimes, BlockTerms},
    block::MAX_WRITE_SHARDS,
    configuration::bucket::BucketName,
    envelope::TenantPath,
};
use function_runtime::{client_version::MinimumClientVersion, environment::Environment, timing};

use crate::source::TopicDelivery;

/// The largest quota. The template has the same limit.
const MAX_MEGABYTES_PER_TENANT_MINUTE: u32 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) events_table: String,
    pub(crate) events_queue_url: String,
    pub(crate) topic_events_queue_url: String,
    pub(crate) topic_delivery: TopicDelivery,
    pub(crate) rule_events_queue_url: String,
    /// The place of the tenant in events of EventBridge.
    pub(crate) rule_tenant_path: TenantPath,
    /// The times for which blocks are kept.
    pub(crate) terms: BlockTerms,
    pub(crate) archive_times: ArchiveTimes,
    /// The bucket of segments. Ingest compares its name with that of a tenant's row.
    pub(crate) archive_bucket: BucketName,
    /// The number of a tenant's shards that are written to.
    pub(crate) write_shards: NonZeroU8,
    /// The millions of bytes that a tenant may send over HTTP within a minute; 0 for no quota.
    pub(crate) megabytes_per_tenant_minute: u32,
    pub(crate) minimum_client_version: MinimumClientVersion,
    pub(crate) issuers: Issuers,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let events_queue_url = environment.text("EVENTS_QUEUE_URL");
        let topic_events_queue_url = environment.text("TOPIC_EVENTS_QUEUE_URL");
        let topic_delivery = environment.parsed("TOPIC_DELIVERY", "Enveloped or Raw", TopicDelivery::parse);
        let rule_events_queue_url = environment.text("RULE_EVENTS_QUEUE_URL");
        let rule_tenant_path =
            environment.parsed("RULE_TENANT_PATH", "a JSON Pointer such as /detail/tenantId", |text| {
                TenantPath::parse(text).ok()
            });
        let megabytes_per_tenant_minute =
            environment.integer("INGEST_MEGABYTES_PER_TENANT_MINUTE", 0..=MAX_MEGABYTES_PER_TENANT_MINUTE);
        let retention = timing::retention(environment);
        let archive_times = timing::archive_times(environment, mode);
        let terms = timing::block_terms(environment, retention);
        let archive_bucket = timing::archive_bucket(environment);
        let write_shards = environment.integer("WRITE_SHARDS", 1..=MAX_WRITE_SHARDS);
        let minimum_client_version = MinimumClientVersion::from_environment(environment);
        let issuers = mode.and_then(|mode| Issuers::from_environment(environment, mode));
        Some(Self {
            events_table: events_table?,
            events_queue_url: events_queue_url?,
            topic_events_queue_url: topic_events_queue_url?,
            topic_delivery: topic_delivery?,
            rule_events_queue_url: rule_events_queue_url?,
            rule_tenant_path: rule_tenant_path?,
            megabytes_per_tenant_minute: megabytes_per_tenant_minute?,
            terms: terms?,
            archive_times: archive_times?,
            archive_bucket: archive_bucket?,
            write_shards: write_shards.and_then(NonZeroU8::new)?,
            minimum_client_version: minimum_client_version?,
            issuers: issuers?,
        })
    }
}
