//! The start of every history: simulated time, a world, and its configurations and blocks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    block::{BlockId, SHARDS, Shard, encode_block},
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress, Layout,
        access_key::{AccessKeyId, SealedSecret},
        bucket::BucketName,
        region::Region,
    },
    connection::Connection,
    export_format::ExportFormat,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};

use crate::{bug::KnownBug, faults::Weather, world::World};

/// The start of histories: two intervals before midnight, so that each crosses a day.
const ORIGIN: &str = "2026-11-21T20:00:00Z";
pub(crate) const INTERVAL: ExportInterval = ExportInterval::Every2Hours;

/// A retention that outlasts every history.
pub(crate) const LONG_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The concurrent runs of a tenant, for each trigger.
pub(crate) const RUNS_PER_TENANT: u32 = 2;

pub(crate) const BUCKETS: [&str; 2] = ["acme-first", "acme-second"];

/// Runs `work` on one thread with a clock that jumps to whatever is awaited next. `None`: there is no runtime.
pub(crate) fn in_simulated_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    Some(runtime.ok()?.block_on(work))
}

/// Creates the world of a seed, with the weather of that seed.
pub(crate) fn create_world(seed: u64, bug: Option<KnownBug>) -> Arc<World> {
    World::new(seed, bug, Timestamp::parse(ORIGIN).unwrap_or(Timestamp::EPOCH))
}

/// Creates a world in which nothing fails by chance.
pub(crate) fn create_calm_world(bug: Option<KnownBug>) -> Arc<World> {
    let world = create_world(0, bug);
    world.lock().weather = Weather::default();
    world
}

/// Creates configurations of the tenants 0, 1 and so on.
pub(crate) fn create_configurations(world: &World, count: u64) -> Vec<ConfigurationKey> {
    (0..count).filter_map(|number| create_configuration(world, number)).collect()
}

/// Creates a configuration of the tenant of this number, which starts now or earlier.
pub(crate) fn create_configuration(world: &World, number: u64) -> Option<ConfigurationKey> {
    let mut state = world.lock();
    let now = world.now();
    let key = ConfigurationKey {
        tenant_id: TenantId::parse(&format!("tenant-{number}")).ok()?,
        configuration_id: ConfigurationId::from_bytes(state.chance.bits().to_be_bytes()),
    };
    let start_from = match state.chance.below(8) {
        0 | 1 => Timestamp::EPOCH,
        // Mostly before the retention.
        2 => now.saturating_sub(state.chance.between(Duration::from_hours(1), LONG_RETENTION * 2)),
        _ => now,
    };
    let configuration = new_configuration(key.clone(), start_from, now)?;
    state.configurations.insert(key.clone(), configuration);
    Some(key)
}

/// Returns the configuration of this key that is created now.
pub(crate) fn new_configuration(
    key: ConfigurationKey,
    start_from: Timestamp,
    now: Timestamp,
) -> Option<ExportConfiguration> {
    Some(ExportConfiguration {
        key,
        replay_of: None,
        version: 1,
        description: None,
        interval: INTERVAL,
        format: ExportFormat::default(),
        ocsf: None,
        filter: None,
        enabled: true,
        destination: destination(0)?,
        authentication: Authentication::AccessKey {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").ok()?,
            secret: SealedSecret::from_ciphertext(Vec::new()),
        },
        user_arn: None,
        start_from,
        connection: Connection::Pending,
        progress: ExportProgress::default(),
        requested_through: None,
        requested_until: None,
        webhooks: Vec::new(),
        created_by: String::new(),
        created_at: now,
        updated_by: String::new(),
        updated_at: now,
    })
}

/// Returns the destination in the bucket of this number.
pub(crate) fn destination(bucket: usize) -> Option<Destination> {
    Some(Destination {
        bucket_name: BucketName::parse(BUCKETS.get(bucket)?).ok()?,
        bucket_path: None,
        site: Region::parse("us-east-1").ok()?.into(),
        kms_key_arn: None,
        expected_bucket_owner: None,
        layout: Layout::default(),
    })
}

/// Stores blocks of a tenant, spread evenly over one interval and all shards.
pub(crate) fn store_blocks(world: &Arc<World>, key: &ConfigurationKey, count: u64) {
    let mut state = world.lock();
    let step = INTERVAL.duration() / u32::try_from(count).unwrap_or(u32::MAX);
    for number in 0..count {
        let stamp = world.now().saturating_add(step * u32::try_from(number).unwrap_or(u32::MAX));
        let id = BlockId::from_parts(stamp, state.chance.bits());
        let raw = format!("{{\"id\":\"{id}\"}}\n");
        let shard = u8::try_from(number % u64::from(SHARDS)).unwrap_or(0);
        let encoded = encode_block(&key.tenant_id, id, raw.as_bytes(), stamp, stamp);
        if let (Ok(shard), Ok(block)) = (Shard::new(shard), encoded) {
            state.store_block(&key.tenant_id, shard, block, Bytes::from(raw));
        }
    }
}
