//! The operator who erases a tenant as docs/OPERATIONS.md says, and the tenant that comes back later.

use std::{sync::Arc, time::Duration};

use domain::{
    block::{INGEST_WRITE_BOUND, SIGNATURE_LIFETIME},
    configuration::{ConfigurationId, ConfigurationKey},
    erasure::ErasureCounts,
    export_run::MAX_CLOCK_SKEW,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::erasure::{ErasureSettings, ErasureStop, EventErasure};
use host::Clock;
use tokio::time::{sleep, timeout};

use super::{
    archive::terms,
    scenario::Scenario,
    workers::{INVOCATION, start_process},
};
use crate::{
    archive::TIMES,
    bug::KnownBug,
    ports::Ports,
    process::Process,
    setup::new_configuration,
    world::{ErasedTenant, World},
};

/// The time of an invocation of the housekeeper. It has the same relation to the times of the archive as in production.
const ERASURE_TIME: Duration = Duration::from_secs(150);
const _: () = assert!(
    TIMES.new_row_age.as_secs()
        > INGEST_WRITE_BOUND.as_secs()
            + SIGNATURE_LIFETIME.as_secs()
            + MAX_CLOCK_SKEW.as_secs()
            + ERASURE_TIME.as_secs()
);

/// The wait before a failed invocation is repeated.
const RETRY: Duration = Duration::from_mins(1);

/// The most invocations of an erasure, and more than the time for which the stack has another bucket.
const MAX_INVOCATIONS: u32 = 1_000;

/// The time between the end of an erasure and its repetition: "an hour later".
const REPEATED_AFTER: Duration = Duration::from_hours(1);

/// Begins a task that erases a tenant. Returns the key of the configuration with which the tenant comes back.
pub(super) fn erase_tenant(
    world: &Arc<World>,
    scenario: Scenario,
    keys: &[ConfigurationKey],
) -> Option<ConfigurationKey> {
    let (erased, at, wait, key, is_early) = {
        let mut state = world.lock();
        let chance = &mut state.erasure_chance;
        let pick = usize::try_from(chance.below(keys.len() as u64)).unwrap_or(0);
        let tenant = keys.get(pick)?.tenant_id.clone();
        let configuration_id = ConfigurationId::from_bytes(chance.bits().to_be_bytes());
        let key = ConfigurationKey { tenant_id: tenant.clone(), configuration_id };
        let at = chance.between(Duration::from_mins(90), Duration::from_hours(5));
        let wait = chance.between(Duration::ZERO, Duration::from_mins(20));
        (ErasedTenant { tenant, is_revoked: chance.happens(600) }, at, wait, key, chance.happens(600))
    };
    let (world, returning) = (Arc::clone(world), key.clone());
    tokio::spawn(async move {
        sleep(at).await;
        world.lock().begin_erasure(erased.clone());
        sleep(wait).await;
        let started_at = world.now();
        erase_completely(&world, scenario, &erased.tenant).await;
        if !world.has(KnownBug::ErasureNotRepeated) {
            sleep(REPEATED_AFTER).await;
            erase_completely(&world, scenario, &erased.tenant).await;
        }
        // Whatever was in progress has ended, and late calls have landed.
        sleep(INVOCATION * 4).await;
        check_erased(&world, &erased, started_at);
        world.lock().end_erasure();
        let now = world.now();
        let start_from = if is_early { Timestamp::EPOCH } else { now };
        if let Some(configuration) = new_configuration(returning, start_from, now) {
            world.lock().configurations.insert(configuration.key.clone(), configuration);
        }
    });
    Some(key)
}

/// Checks that nothing is left of what the tenant had before. If it sends events all the time, that is what it sent before the
/// first erasure.
fn check_erased(world: &World, erased: &ErasedTenant, started_at: Timestamp) {
    let ErasedTenant { tenant, is_revoked } = erased;
    let lands_within = INGEST_WRITE_BOUND + SIGNATURE_LIFETIME + MAX_CLOCK_SKEW;
    let before = if *is_revoked { Timestamp::MAX } else { started_at.saturating_sub(lands_within) };
    let mut state = world.lock();
    let remains = state.remains(tenant, before);
    state.violations.extend(remains.iter().map(|what| format!("{tenant} is erased, and {what} is left")));
}

/// Invokes the housekeeper until it says that everything is erased, as `tenant erase` does. One invocation at a time.
async fn erase_completely(world: &Arc<World>, scenario: Scenario, tenant: &TenantId) {
    for _ in 0..MAX_INVOCATIONS {
        let (ports, doom, _) = start_process(world, false);
        match Process::new(timeout(INVOCATION, invoke(&ports, scenario, tenant)), doom).await {
            Some(Ok(Ok(()))) => return,
            Some(Ok(Err(_))) => sleep(RETRY).await,
            None | Some(Err(_)) => sleep(INVOCATION).await,
        }
    }
    world.lock().violations.push(format!("the erasure of {tenant} does not end"));
}

/// Erases until nothing is left, or the time is over: as `Work::run` of the housekeeper.
async fn invoke(ports: &Ports, scenario: Scenario, tenant: &TenantId) -> Result<(), ErasureStop> {
    let terms = terms(scenario.retention, scenario);
    let settings = ErasureSettings {
        bucket: ports.archive_bucket.clone(),
        table_period: terms.table().unwrap_or_else(|| terms.full()),
        times: TIMES,
        deadline: ports.now().saturating_add(ERASURE_TIME),
    };
    let erasure = EventErasure { tenant, items: ports, segments: ports, archive: ports, clock: ports, settings };
    if ports.world.has(KnownBug::ErasureBeginsWithEvents) {
        erasure.run(&mut ErasureCounts::default()).await?;
    }
    loop {
        ports.erase_configurations(tenant).await?;
        ports.erase_runs(tenant).await?;
        erasure.run(&mut ErasureCounts::default()).await?;
        // Of runs that had started before.
        ports.erase_runs(tenant).await?;
        if !ports.erase_configurations(tenant).await? {
            return Ok(());
        }
    }
}
