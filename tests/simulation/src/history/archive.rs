//! The archiver, the rescue, and ingest's decision on the expiry of blocks.

use std::{sync::Arc, time::Duration};

use domain::{
    archive::{ArchiveRow, ArchiveTimes, BlockTerms, SegmentReference},
    block::BlockId,
    configuration::bucket::BucketName,
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
    workers::{INVOCATION, draw_settings, start_process},
};
use crate::{
    archive::{ArchiveState, DEPLOY_MARGIN, OtherBucket, TIMES},
    bug::KnownBug,
    ports::Ports,
    process::Process,
    world::{World, WorldState},
};

/// The time for which archived blocks stay in the table.
const TABLE_PERIOD: Duration = TIMES.min_table_period;

/// The time between two rescues.
const RESCUE_PERIOD: Duration = Duration::from_mins(2);

/// The time between two looks of an operator at closed archives.
const LOOK_PERIOD: Duration = Duration::from_mins(50);

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
            bucket: ports.archive_bucket.clone(),
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
    let Some(life) = scenario.archiver.filter(|_| !world.has(KnownBug::RescueMissing)) else { return };
    let started = world.now();
    loop {
        sleep(RESCUE_PERIOD).await;
        let elapsed = world.now().saturating_since(started);
        if (life.dead_from..life.dead_from + life.rescue_dead_for).contains(&elapsed) {
            continue;
        }
        let (ports, doom, _) = start_process(&world, false);
        let (random, history) = {
            let mut state = world.lock();
            (state.archive_chance.bits(), state.retention_history.clone())
        };
        let is_never_late = world.has(KnownBug::LateRescueOpensGate);
        let min_table_period = if is_never_late { Duration::MAX } else { TIMES.min_table_period };
        let rescue = Rescue {
            records: &ports,
            expiry: &ports,
            clock: &ports,
            settings: RescueSettings {
                retention: draw_settings(&world, scenario, ports.release).retention,
                history,
                deploy_margin: DEPLOY_MARGIN,
                grace: scenario.grace,
                times: ArchiveTimes { min_table_period, ..TIMES },
                deadline: ports.now().saturating_add(ARCHIVER_TIME),
            },
        };
        drop(Process::new(timeout(INVOCATION, rescue.run(random)), doom).await);
    }
}

/// Restores what was lost because archiver and rescue were dead, and accepts it, as docs/RUNBOOKS.md says.
pub(super) async fn accept(world: Arc<World>) {
    loop {
        sleep(LOOK_PERIOD).await;
        let now = world.now();
        let mut state = world.lock();
        let WorldState { archive, blocks, expires_at, erasure, .. } = &mut *state;
        let ArchiveState { rows, backup, full_expires_at, .. } = archive;
        for (tenant, row) in rows {
            let since = row.safe_through();
            if since >= TIMES.surely_stored_from(now) || erasure.concerns(tenant) {
                continue;
            }
            let through = BlockId::lowest_at(now.saturating_sub(TIMES.rescued_from_age));
            for ((owner, id), (shard, block)) in backup.iter() {
                if owner == tenant && (since..through).contains(id) {
                    blocks.entry((tenant.clone(), *shard)).or_default().insert(*id, block.clone());
                }
            }
            for ((owner, id), expires_at) in expires_at.iter_mut() {
                if owner == tenant && (since..through).contains(id) {
                    let full = full_expires_at.get(&(owner.clone(), *id)).copied();
                    *expires_at = full.map_or(*expires_at, |full| full.max(*expires_at));
                }
            }
            row.extended_through = Some(through);
        }
    }
}

/// Rolls a deployment back that made the bucket of the archive, so that the next one makes another, without the segments; and
/// later gives the stack the first one again, and copies what the other one has into it: as docs/RUNBOOKS.md says.
pub(super) async fn change_bucket(world: Arc<World>, storm: Duration) {
    let (at, until) = {
        let mut state = world.lock();
        let chance = &mut state.archive_chance;
        if !chance.happens(300) {
            return;
        }
        let hour = Duration::from_hours(1);
        (chance.between(hour, storm.saturating_sub(hour * 3)), chance.between(hour / 3, hour * 2))
    };
    sleep(at).await;
    world.lock().archive.other_bucket = OtherBucket::Now;
    sleep(until).await;
    world.lock().archive.other_bucket = OtherBucket::Before;
    // Those that were started with the other one have ended by then.
    sleep(INVOCATION * 3).await;
    world.lock().archive.move_to_first_bucket();
}

/// Deletes the reference to a segment, and restores it later: what needs it has to fail meanwhile.
pub(super) async fn lose_reference(world: Arc<World>, storm: Duration) {
    let (at, until) = {
        let mut state = world.lock();
        let chance = &mut state.archive_chance;
        if chance.happens(500) {
            return;
        }
        let hour = Duration::from_hours(1);
        (chance.between(hour, storm.saturating_sub(hour * 3)), chance.between(hour / 3, hour * 3))
    };
    sleep(at).await;
    {
        let now = world.now();
        let mut state = world.lock();
        let WorldState { archive, archive_chance, erasure, .. } = &mut *state;
        let is_kept = |((owner, _), segment): &(&(TenantId, BlockId), &SegmentReference)| {
            segment.expires_at > now && !erasure.concerns(owner)
        };
        let kept: Vec<_> = archive.references.iter().filter(is_kept).collect();
        let pick = usize::try_from(archive_chance.below(kept.len() as u64)).unwrap_or(0);
        let Some((name, _)) = kept.get(pick) else { return };
        let name = (*name).clone();
        archive.has_lost = true;
        archive.lost = archive.references.remove(&name).map(|segment| (name, segment));
    }
    sleep(until).await;
    let mut state = world.lock();
    if let Some((name, segment)) = state.archive.lost.take() {
        state.archive.references.insert(name, segment);
    }
}

/// Deletes the row of a tenant with segments, or sets it back to now, as whoever controls ingest may; and restores it later as
/// docs/RUNBOOKS.md says, before anything has to be rescued.
pub(super) async fn lose_row(world: Arc<World>, storm: Duration) {
    let (at, until, is_set_back) = {
        let mut state = world.lock();
        let WorldState { archive, row_chance: chance, .. } = &mut *state;
        if archive.may_lose || !chance.happens(200) {
            return;
        }
        let hour = Duration::from_hours(1);
        let at = chance.between(hour * 2, storm.saturating_sub(hour));
        (at, chance.between(Duration::from_mins(5), Duration::from_mins(25)), chance.happens(500))
    };
    sleep(at).await;
    {
        let now = world.now();
        let mut state = world.lock();
        let WorldState { archive, row_chance, .. } = &mut *state;
        let ArchiveState { rows, lost_row, has_lost, .. } = archive;
        let behind = BlockId::lowest_at(now.saturating_sub(TIMES.rescued_from_age));
        let has_segments =
            |row: &&ArchiveRow| row.archived_from < row.segments_through && row.segments_through > behind;
        let found: Vec<_> = rows.values().filter(has_segments).collect();
        let pick = usize::try_from(row_chance.below(found.len() as u64)).unwrap_or(0);
        let Some(row) = found.get(pick).map(|row| (*row).clone()) else { return };
        let start = BlockId::lowest_at(now);
        let set_back =
            ArchiveRow { archived_from: start, archived_through: start, segments_through: start, ..row.clone() };
        if is_set_back {
            rows.insert(row.tenant.clone(), set_back);
        } else {
            rows.remove(&row.tenant);
        }
        *has_lost = true;
        *lost_row = Some(row);
    }
    sleep(until).await;
    let mut state = world.lock();
    let ArchiveState { rows, references, lost_row, .. } = &mut state.archive;
    // Without a reference, the tenant was erased.
    let row = lost_row.take().filter(|row| references.keys().any(|(tenant, _)| *tenant == row.tenant));
    rows.extend(row.map(|row| (row.tenant.clone(), row)));
}

/// Returns the terms of a writer.
pub(super) fn terms(retention: Duration, scenario: Scenario) -> BlockTerms {
    BlockTerms::new(retention + scenario.grace, TABLE_PERIOD, TIMES)
}

/// A registry row that a writer has cached, and the bucket of the archive that the writer was deployed with.
pub(super) type SeenRow = (ArchiveRow, BucketName);

/// Returns the registry row of a tenant as ingest reads it, and creates it if there is none. `None`: neither could be done.
pub(super) async fn read_row(ports: &Ports, tenant: &TenantId, terms: &BlockTerms) -> Option<SeenRow> {
    let bucket = ports.archive_bucket.clone();
    if let Some(row) = ports.archive_row(tenant).await.ok()? {
        return Some((row, bucket));
    }
    let row = ArchiveRow::new(tenant.clone(), bucket.clone(), ports.now(), terms.full(), &TIMES);
    let is_created = ports.create_archive_row(&row).await.ok()?;
    let row = if is_created { Some(row) } else { ports.archive_row(tenant).await.ok()? };
    Some((row?, bucket))
}
