//! The events table: ingest writes blocks, time to live deletes them, and somebody damages one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    block::{BlockId, INGEST_WRITE_BOUND, SHARDS, SIGNATURE_LIFETIME, Shard, StoredBlock, encode_block},
    tenant::TenantId,
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    archive::{SeenRow, read_row, terms},
    filters::draw_actions,
    records::draw_lines,
    scenario::{DEPLOY, SKEW, STORM_SLOTS, Scenario},
    workers::start_process,
};
use crate::{
    archive::TIMES,
    bug::KnownBug,
    setup::INTERVAL,
    world::{World, WorldState},
};

/// Writes blocks at any time, most of them close to a boundary, and as late as the limits of ingest permit.
pub(super) fn ingest(world: &Arc<World>, scenario: Scenario, storm: Duration) {
    for _ in 0..scenario.blocks {
        let writer = Arc::clone(world);
        let (tenant, at, ahead, lateness) = {
            let mut state = world.lock();
            let chance = &mut state.chance;
            let tenant = TenantId::parse(&format!("tenant-{}", chance.below(scenario.configurations)));
            let boundary = INTERVAL.duration() * u32::try_from(chance.below(u64::from(STORM_SLOTS))).unwrap_or(0);
            let at = if chance.happens(400) {
                // The last and the first milliseconds of a slot, and so of a day.
                (boundary + INTERVAL.duration()).saturating_sub(Duration::from_millis(3))
                    + chance.between(Duration::ZERO, Duration::from_millis(6))
            } else {
                chance.between(Duration::ZERO, storm)
            };
            let ahead = chance.between(Duration::ZERO, SKEW);
            let latest = INGEST_WRITE_BOUND + SIGNATURE_LIFETIME;
            let lateness = if chance.happens(300) {
                chance.between(latest.saturating_sub(Duration::from_mins(1)), latest)
            } else {
                chance.between(Duration::ZERO, Duration::from_secs(2))
            };
            (tenant, at, ahead, lateness)
        };
        let Ok(tenant) = tenant else { continue };
        tokio::spawn(async move {
            let row = read_row_before(&writer, &tenant, scenario, at).await;
            // The clock of the stamp differs from the reader's by no more than the skew.
            let stamp = writer.now().saturating_add(ahead).saturating_sub(SKEW / 2);
            if writer.lock().erasure.refuses(&tenant) {
                return;
            }
            let (id, shard, raw) = {
                let mut state = writer.lock();
                let id = BlockId::from_parts(stamp, state.chance.bits());
                // Deploys change the number of shards that are written to.
                let shards = 1 + state.chance.below(u64::from(SHARDS));
                let shard = u8::try_from(state.chance.below(shards)).unwrap_or(0);
                let events = 1 + state.chance.below(3);
                let raw: Vec<String> = if scenario.maps {
                    draw_lines(&mut state.ocsf_chance, id, stamp, events)
                } else if scenario.refilters {
                    let actions = draw_actions(&mut state.filter_chance, events).into_iter().enumerate();
                    let line = |(line, action)| format!("{{\"id\":\"{id}-{line}\",\"action\":\"{action}\"}}\n");
                    actions.map(line).collect()
                } else {
                    (0..events).map(|line| format!("{{\"id\":\"{id}-{line}\"}}\n")).collect()
                };
                (id, shard, raw.concat())
            };
            let (Ok(shard), Ok(block)) = (Shard::new(shard), encode_block(&tenant, id, raw.as_bytes(), stamp, stamp))
            else {
                return;
            };
            sleep(lateness).await;
            let mut state = writer.lock();
            let deployed_by = state.chance.between(Duration::ZERO, DEPLOY);
            if let Some(retention) = state.retention_at(stamp.saturating_sub(deployed_by)) {
                let terms = terms(retention, scenario);
                let full = stamp.saturating_add(terms.full());
                let expires_at = match (&row, terms.table()) {
                    _ if scenario.archiver.is_none() => full,
                    (_, Some(table)) if writer.has(KnownBug::ExpiryWithoutRow) => stamp.saturating_add(table),
                    (Some((row, bucket)), _) => terms.expiry(Some(row), bucket, stamp),
                    (None, _) => full,
                };
                state.expires_at.insert((tenant.clone(), id), expires_at);
                state.archive.full_expires_at.insert((tenant.clone(), id), full);
            }
            state.store_block(&tenant, shard, block, Bytes::from(raw));
        });
    }
}

/// Waits until the block is stamped. Returns the registry row that its writer has cached by then, if there is an archive.
async fn read_row_before(
    world: &Arc<World>,
    tenant: &TenantId,
    scenario: Scenario,
    stamped_after: Duration,
) -> Option<SeenRow> {
    if scenario.archiver.is_none() {
        sleep(stamped_after).await;
        return None;
    }
    let age = world.lock().archive_chance.between(Duration::ZERO, TIMES.cached);
    let stamped_at = Instant::now() + stamped_after;
    sleep(stamped_after.saturating_sub(age)).await;
    let (ports, ..) = start_process(world, false);
    let row = read_row(&ports, tenant, &terms(scenario.retention, scenario)).await;
    sleep_until(stamped_at).await;
    row
}

/// Deletes what is past its expiry, as time to live does.
pub(super) async fn sweep(world: Arc<World>) {
    loop {
        // With an archive, everything is deleted as soon as it may be.
        let is_archived = world.lock().archive.is_on;
        sleep(Duration::from_mins(if is_archived { 1 } else { 17 })).await;
        let now = world.now();
        let mut state = world.lock();
        state.archive.delete_expired(now);
        let WorldState { blocks, expires_at, archive, .. } = &mut *state;
        let mut is_any_deleted = false;
        for ((tenant, shard), blocks) in blocks {
            blocks.retain(|id, block| {
                let name = (tenant.clone(), *id);
                let stays = expires_at.get(&name).is_none_or(|end| *end > now);
                if !stays {
                    is_any_deleted = true;
                    archive.backup.insert(name, (*shard, block.clone()));
                }
                stays
            });
        }
        if is_any_deleted && is_archived {
            state.check_kept(now);
        }
    }
}

/// Damages a block of the table, and later restores it, or deletes it after a run has found it.
pub(super) async fn damage(world: Arc<World>, scenario: Scenario, storm: Duration) {
    if !scenario.damage {
        return;
    }
    let (at, until, restores) = {
        let mut state = world.lock();
        let until = state.chance.between(Duration::from_mins(30), Duration::from_hours(5));
        (state.chance.between(Duration::ZERO, storm), until, state.chance.happens(300))
    };
    sleep(at).await;
    let Some((partition, sound)) = damage_newest(&mut world.lock()) else { return };
    sleep(until).await;
    let mut state = world.lock();
    let is_reported = state.reported.contains(&(partition.0.clone(), sound.id));
    let Some(blocks) = state.blocks.get_mut(&partition) else { return };
    if restores && blocks.contains_key(&sound.id) {
        blocks.insert(sound.id, sound);
    } else if is_reported {
        blocks.remove(&sound.id);
    }
}

/// Damages the newest block of the table. Returns its partition and the sound block.
fn damage_newest(state: &mut WorldState) -> Option<((TenantId, Shard), StoredBlock)> {
    let all = state.blocks.iter().flat_map(|(partition, blocks)| blocks.values().map(move |block| (partition, block)));
    let (partition, sound) = all.max_by_key(|(_, block)| block.id)?;
    let (partition, sound) = (partition.clone(), sound.clone());
    let damaged = StoredBlock { crc32: !sound.crc32, ..sound.clone() };
    state.damaged.insert((partition.0.clone(), sound.id));
    state.blocks.get_mut(&partition)?.insert(sound.id, damaged);
    Some((partition, sound))
}
