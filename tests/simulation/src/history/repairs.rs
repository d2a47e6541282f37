//! Customers who lose files of completed windows and request repairs, and the processes that repair.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{
    configuration::ConfigurationKey,
    digest::{Digest, SIGNATURE_SUFFIX},
    repair::{FilePlace, Repair, RepairId, RepairMode, RepairRange, RepairRequest},
    time::Timestamp,
};
use export_engine::{
    message::while_hidden,
    ports::ErrorKind,
    repair::{RepairEngine, RepairOutcome},
};
use tokio::time::{sleep, timeout};

use super::{
    queue::{consume, take_message},
    scenario::Scenario,
    workers::{DEFERRAL, INVOCATION, check_memory, draw_settings, start_process},
};
use crate::{
    faults::Weather,
    ports::{Received, reference_to},
    process::Process,
    world::{Message, RunItems, World, WorldState},
};

/// The wait before a failed repair is tried again.
const RETRY: Duration = Duration::from_secs(40);

/// The faults of processes that work on the last repair of a history.
const LAST_WEATHER: Weather = Weather {
    call_fails: 10,
    call_lands_late: 2,
    process_dies: 250,
    process_freezes: 100,
    message_doubles: 150,
    upload_lost: 20,
};

/// The most times that the end of a repair is waited for.
const MAX_WAITS: u32 = 400;

/// Removes and alters files of completed windows now and then, and requests repairs.
pub(super) async fn lose_and_repair(world: Arc<World>, keys: Vec<ConfigurationKey>, storm: Duration) {
    let steps = 10;
    for _ in 0..steps {
        sleep(storm / (steps + 1)).await;
        let now = world.now();
        let mut state = world.lock();
        let pick = usize::try_from(state.chance.below(keys.len() as u64)).unwrap_or(0);
        let Some(key) = keys.get(pick) else { return };
        lose_files(&mut state, key);
        if state.chance.happens(100) {
            let completed = state.runs.get(key).map_or(0, |items| items.state.next_sequence);
            let end = state.chance.below(completed + 1);
            let known = state.expired_before.entry(key.clone()).or_default();
            *known = end.max(*known);
        }
        if state.chance.happens(700) {
            let length = state.chance.between(Duration::from_mins(1), Duration::from_hours(6));
            let to = now.saturating_sub(state.chance.between(Duration::ZERO, Duration::from_hours(4)));
            let range = if state.chance.happens(500) {
                RepairRange { from: Timestamp::EPOCH, to: now }
            } else {
                RepairRange { from: to.saturating_sub(length), to }
            };
            let mode = if state.chance.happens(300) { RepairMode::Overwrite } else { RepairMode::Missing };
            request(&mut state, key, range, mode, now);
        }
    }
}

/// Loses files once more, and repairs everything, until the repair has ended. Processes still die, and messages still repeat.
pub(super) async fn repair_everything(world: &Arc<World>, keys: &[ConfigurationKey]) {
    for key in keys {
        wait_for_end(world, key).await;
        let id = {
            let mut state = world.lock();
            lose_files(&mut state, key);
            let now = world.now();
            request(&mut state, key, RepairRange { from: Timestamp::EPOCH, to: now }, RepairMode::Overwrite, now)
        };
        if id.is_none() && world.lock().configurations.contains_key(key) {
            world.lock().violations.push(format!("{key}: a repair has not ended"));
        }
        world.lock().weather = LAST_WEATHER;
        wait_for_end(world, key).await;
        world.lock().weather = Weather::default();
    }
    // Zombies have ended too.
    sleep(INVOCATION * 4).await;
}

async fn wait_for_end(world: &World, key: &ConfigurationKey) {
    for _ in 0..MAX_WAITS {
        let has_ended = {
            let state = world.lock();
            let is_gone = !state.configurations.contains_key(key);
            is_gone || state.repairs.get(key).is_none_or(|repair| repair.status.is_ended())
        };
        if has_ended {
            return;
        }
        sleep(Duration::from_mins(2)).await;
    }
}

/// Requests a repair as the API does. `None`: another one has not ended, or the configuration was deleted.
fn request(
    state: &mut WorldState,
    key: &ConfigurationKey,
    range: RepairRange,
    mode: RepairMode,
    now: Timestamp,
) -> Option<RepairId> {
    let is_busy = state.repairs.get(key).is_some_and(|repair| !repair.is_replaceable(now));
    if is_busy || !state.configurations.contains_key(key) {
        return None;
    }
    let id = RepairId::from_random(state.chance.bits());
    state.repairs.insert(key.clone(), Repair::requested(id, range, mode, "user", now));
    state.enqueue_repair(RepairRequest { key: key.clone(), repair_id: id }, false, now);
    Some(id)
}

/// Removes or alters some files of the completed windows.
fn lose_files(state: &mut WorldState, key: &ConfigurationKey) {
    let places = state.runs.get(key).map(delivered_places).unwrap_or_default();
    for FilePlace { bucket, key } in places {
        let (is_lost, is_altered) = (state.chance.happens(400), state.chance.happens(150));
        let objects = &mut state.bucket(bucket.as_str()).objects;
        if is_lost {
            objects.remove(&key);
        } else if is_altered && objects.contains_key(&key) {
            objects.insert(key, Bytes::from_static(b"altered"));
        }
    }
}

/// Returns the places of all files of the completed windows.
fn delivered_places(items: &RunItems) -> Vec<FilePlace> {
    (0..items.state.next_sequence).flat_map(|sequence| places_of_window(items, sequence)).collect()
}

/// Returns the places of the files of a completed window.
pub(crate) fn places_of_window(items: &RunItems, sequence: u64) -> Vec<FilePlace> {
    let digest = items.digests.get(&sequence).and_then(|sealed| Digest::from_bytes(&sealed.bytes).ok());
    let objects = digest.into_iter().flat_map(|digest| digest.objects);
    let objects = objects.map(|object| FilePlace { bucket: object.bucket, key: object.key });
    let sealed = reference_to(items, sequence).into_iter().flat_map(|reference| {
        let file = |key| FilePlace { bucket: reference.bucket.clone(), key };
        [file(format!("{}{SIGNATURE_SUFFIX}", reference.key)), file(reference.key.clone())]
    });
    objects.chain(sealed).collect()
}

/// Starts a process for each request for a repair.
pub(super) async fn consume_repairs(world: Arc<World>, scenario: Scenario) {
    let take = |state: &mut WorldState, now| take_message(state, |state| &mut state.repair_queue, now);
    consume(world, take, move |world, message| async move { invoke(&world, scenario, &message).await }).await;
}

/// Runs one invocation of the exporter or converter for a repair.
async fn invoke(world: &Arc<World>, scenario: Scenario, message: &Message<RepairRequest>) {
    let (ports, doom, holder) = start_process(world, message.converts);
    let ports = ports.of_repair();
    let settings = draw_settings(world, scenario, ports.release);
    let message_id = message.number.to_string();
    let engine = ports.engine(settings, &holder, &message_id, INVOCATION);
    let engine = RepairEngine { exports: engine, repairs: &ports, windows: &ports };
    let received = Received { ports: &ports, number: message.number };
    let work = while_hidden(&received, &ports, engine.run(&message.request));
    let outcome = Process::new(timeout(INVOCATION * 2, work), doom).await;
    let now = world.now();
    let mut state = world.lock();
    check_memory(&mut state.violations, &ports);
    let Some(Ok(outcome)) = outcome else { return };
    match outcome {
        Ok(outcome) => {
            match outcome {
                RepairOutcome::Paused => state.enqueue_repair(message.request.clone(), message.converts, now),
                RepairOutcome::Elsewhere => {
                    if message.converts {
                        state.violations.push("the converter left a repair to another function".to_owned());
                    }
                    state.enqueue_repair(message.request.clone(), true, now);
                }
                // In the queue it is another message. Here it is the same one, so that copies don't multiply.
                RepairOutcome::Deferred => return show_after(&mut state, message, now.saturating_add(DEFERRAL)),
                RepairOutcome::Ended(_) | RepairOutcome::NotWanted => {}
            }
            // Delivery is at least once: now and then, a deletion is lost.
            let weather = state.weather;
            if !state.chance.happens(weather.call_fails) {
                state.repair_queue.retain(|queued| queued.number != message.number);
            }
        }
        Err(error) => {
            if error.kind == ErrorKind::Internal && !state.explains(&error, &message.request.key.tenant_id) {
                state.violations.push(format!("internal error of a repair: {error}"));
            }
            show_after(&mut state, message, now.saturating_add(RETRY));
        }
    }
}

fn show_after(state: &mut WorldState, message: &Message<RepairRequest>, visible_at: Timestamp) {
    if let Some(queued) = state.repair_queue.iter_mut().find(|queued| queued.number == message.number) {
        queued.visible_at = visible_at;
    }
}
