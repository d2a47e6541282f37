//! The checks of the last repair of each configuration, which covers everything that was delivered.

use domain::{
    configuration::{ConfigurationKey, Layout},
    digest::Digest,
    object_key::LAKE_FOLDER,
    repair::{FilePlace, Repair, RepairStatus, UnrepairedFile, UnrepairedReason},
    time::Timestamp,
};

use crate::{
    history::places_of_window,
    world::{RunItems, WorldState},
};

/// Checks that every delivered file is in its bucket byte for byte, or that the repair names it with a true reason. Then puts
/// back what customers have lost, so that the exports can be checked.
pub(crate) fn check(state: &mut WorldState, keys: &[ConfigurationKey], now: Timestamp, hopeless: bool) {
    let mut violations = Vec::new();
    for key in keys.iter().filter(|key| state.configurations.contains_key(*key)) {
        let Some(repair) = state.repairs.get(key) else { continue };
        let is_as_expected = match repair.status {
            RepairStatus::Succeeded => repair.counts.unrepaired == 0,
            RepairStatus::Incomplete => repair.counts.unrepaired > 0,
            RepairStatus::Failed => hopeless,
            RepairStatus::Pending | RepairStatus::Running | RepairStatus::Abandoned => false,
        };
        if !is_as_expected {
            violations.push(format!("{key}: its repair ended as {:?} with {:?}", repair.status, repair.counts));
        }
        if let Some(items) = state.runs.get(key)
            && repair.status != RepairStatus::Failed
        {
            let texts = defects(state, key, items, repair, now);
            violations.extend(texts.into_iter().map(|text| format!("{key}: {text}")));
        }
    }
    state.violations.extend(violations);
    for ((bucket, key), bytes) in state.written.clone() {
        state.bucket(&bucket).objects.insert(key, bytes);
    }
}

fn defects(
    state: &WorldState,
    key: &ConfigurationKey,
    items: &RunItems,
    repair: &Repair,
    now: Timestamp,
) -> Vec<String> {
    let mut defects = Vec::new();
    for sequence in 0..items.state.next_sequence {
        for place in places_of_window(items, sequence) {
            let name = (place.bucket.as_str().to_owned(), place.key.clone());
            let present = state.buckets.get(&name.0).and_then(|bucket| bucket.objects.get(&name.1));
            if present.is_some() && present == state.written.get(&name) {
                continue;
            }
            let is_named = |file: &&UnrepairedFile| match &file.place {
                Some(named) => *named == place,
                None => sequence <= file.sequence,
            };
            if repair.unrepaired.iter().find(is_named).is_none() {
                defects.push(format!("the repair left {} missing or altered and does not name it", place.key));
            }
        }
    }
    for file in repair.unrepaired.iter().filter(|file| !is_true(state, key, items, file, now)) {
        defects.push(format!("the repair names {file:?} without a cause"));
    }
    defects
}

/// Returns whether the reason of a file is true.
fn is_true(
    state: &WorldState,
    key: &ConfigurationKey,
    items: &RunItems,
    file: &UnrepairedFile,
    now: Timestamp,
) -> bool {
    let UnrepairedFile { sequence, place, reason } = file;
    let destination = state.configurations.get(key).map(|configuration| &configuration.destination);
    match (reason, place) {
        (UnrepairedReason::HistoryExpired, None) => state.expired_before.get(key).is_some_and(|end| sequence < end),
        (UnrepairedReason::OtherDestination, Some(place)) => {
            // Without the format that writes to Security Lake, its partitions are none of the export's paths.
            let is_of_other_layout = place.key.starts_with(LAKE_FOLDER);
            destination.is_some_and(|destination| {
                destination.bucket_name != place.bucket
                    || (is_of_other_layout && destination.layout != Layout::SecurityLake)
            })
        }
        (UnrepairedReason::PastRetention, Some(place)) => {
            blocks_of(state, key, items, (*sequence, place), now).iter().any(|(is_stored, _)| !is_stored)
        }
        (UnrepairedReason::ContentChanged, Some(place)) => {
            blocks_of(state, key, items, (*sequence, place), now).iter().any(|(_, is_damaged)| *is_damaged)
        }
        _ => false,
    }
}

/// Returns for each block of an object whether readers still have to find it, and whether somebody damaged it.
fn blocks_of(
    state: &WorldState,
    key: &ConfigurationKey,
    items: &RunItems,
    (sequence, place): (u64, &FilePlace),
    now: Timestamp,
) -> Vec<(bool, bool)> {
    let digest = items.digests.get(&sequence).and_then(|sealed| Digest::from_bytes(&sealed.bytes).ok());
    let object = digest.and_then(|digest| digest.objects.into_iter().find(|object| object.key == place.key));
    let Some(object) = object else { return Vec::new() };
    let landed = state.landed.get(&key.tenant_id).into_iter().flatten().map(|(id, _)| *id);
    landed
        .filter(|id| (object.first_block..=object.last_block).contains(id))
        .map(|id| {
            let mut of_tenant = state.blocks.iter().filter(|((tenant, _), _)| *tenant == key.tenant_id);
            let is_in_table = of_tenant.any(|(_, blocks)| blocks.contains_key(&id));
            let is_stored = state.archive.keeps(&key.tenant_id, id, now, is_in_table);
            (is_stored, state.damaged.contains(&(key.tenant_id.clone(), id)))
        })
        .collect()
}
