//! The archiver, the rescue, and ingest's decision on the expiry of blocks.

use std::{sync::Arc, time::Duration};

use domain::{
    archive::{ArchiveRow, BlockTerms},
    tenant::TenantId,
};
use export_engine::{
    archive::{Archiver, ArchiverSettings, Rescue, RescueSettings},
    ports::ArchiveRecords,
};
use host::Clock;
use tokio::time::{sleep, timeout};

use super::{
    scenario::Scenario,
    workers::{DEPLOY_MARGIN, INVOCATION, draw_settings, start_process},
};
use crate::{archive::TIMES, bug::KnownBug, ports::Ports, process::Process, world::World};

/// The time for which archived blocks stay in the table.
const TABLE_PERIOD: Duration = TIMES.min_table_period;

/// The time between two rescues.
const RESCUE_PERIOD: Duration = Duration::from_mins(2);

/// The time for which an archiver begins segments.
const ARCHIVER_TIME: Duration = Duration::from_mins(4);

/// Starts archivers, now and then two at once.
pub(super) async fn archive(world: Arc<World>, scenario: Scenario) {
    let Some(life) = scenario.archiver else { return };
    let started = world.now();
    loop {
        sleep(life.period).await;
        let elapsed = world.now().saturating_since(started);
        if (life.dead_from..life.dead_from + life.dead_for).contains(&elapsed) {
            continue;
        }
        let copies = 1 + u32::from(world.lock().archive_chance.happens(200));
        for _ in 0..copies {
            tokio::spawn(run_archiver(Arc::clone(&world), scenario));
        }
    }
}

async fn run_archiver(world: Arc<World>, scenario: Scenario) {
    let (ports, doom, _) = start_process(&world, false);
    let (random, history) = {
        let mut state = world.lock();
        (state.archive_chance.bits(), state.retention_history.clone())
    };
    let archiver = Archiver {
        table: &ports,
        records: &ports,
        store: &ports,
        corrupt: &ports,
        clock: &ports,
        settings: ArchiverSettings {
            settle: scenario.settle,
            retention: draw_settings(&world, scenario, ports.release).retention,
            history,
            deploy_margin: DEPLOY_MARGIN,
            grace: scenario.grace,
            times: TIMES,
            concurrency: 2,
            deadline: ports.now().saturating_add(ARCHIVER_TIME),
        },
    };
    // A failure is repeated by the next one.
    drop(Process::new(timeout(INVOCATION, archiver.run(random)), doom).await);
}

/// Starts rescues, one after the other.
pub(super) async fn rescue(world: Arc<World>, scenario: Scenario) {
    if scenario.archiver.is_none() || world.has(KnownBug::RescueMissing) {
        return;
    }
    loop {
        sleep(RESCUE_PERIOD).await;
        let (ports, doom, _) = start_process(&world, false);
        let history = world.lock().retention_history.clone();
        let rescue = Rescue {
            records: &ports,
            expiry: &ports,
            clock: &ports,
            settings: RescueSettings {
                retention: draw_settings(&world, scenario, ports.release).retention,
                history,
                deploy_margin: DEPLOY_MARGIN,
                grace: scenario.grace,
                times: TIMES,
                deadline: ports.now().saturating_add(ARCHIVER_TIME),
            },
        };
        drop(Process::new(timeout(INVOCATION, rescue.run()), doom).await);
    }
}

/// Returns the terms of a writer.
pub(super) fn terms(retention: Duration, scenario: Scenario) -> BlockTerms {
    BlockTerms::new(retention + scenario.grace, TABLE_PERIOD, TIMES)
}

/// Returns the registry row of a tenant as ingest reads it, and creates it if there is none. `None`: neither could be done.
pub(super) async fn read_row(ports: &Ports, tenant: &TenantId, terms: &BlockTerms) -> Option<ArchiveRow> {
    if let Some(row) = ports.archive_row(tenant).await.ok()? {
        return Some(row);
    }
    let row = ArchiveRow::new(tenant.clone(), ports.now(), terms.full(), &TIMES);
    if ports.create_archive_row(&row).await.ok()? { Some(row) } else { ports.archive_row(tenant).await.ok()? }
}
