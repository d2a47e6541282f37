//! The acts of customers and operators, and outages of buckets.

use std::{sync::Arc, time::Duration};

use domain::{
    configuration::{ConfigurationKey, Destination},
    connection::Connection,
    export_format::ExportFormat,
    time::Timestamp,
};
use tokio::time::sleep;

use super::{filters::draw_filter, records::change_format, replays::continue_stopped, scenario::Scenario};
use crate::{
    faults::Weather,
    setup::{BUCKETS, destination},
    world::{Message, World},
};

/// Approves to skip corrupt blocks and redrives dead letters of replays, which no slot repeats, as an operator does who looks at
/// them now and then.
pub(super) async fn operate(world: Arc<World>) {
    loop {
        sleep(Duration::from_mins(20)).await;
        let mut state = world.lock();
        if state.chance.happens(500) {
            continue;
        }
        let unsound: Vec<_> =
            state.corrupt_blocks.keys().filter(|(tenant, id)| !state.is_sound(tenant, *id)).cloned().collect();
        for name in unsound {
            state.corrupt_blocks.insert(name, true);
        }
        let letters = std::mem::take(&mut state.dead_letters);
        let (of_replays, others): (Vec<_>, Vec<_>) = letters.into_iter().partition(|letter| letter.attempt > 0);
        state.dead_letters = others;
        for Message { request, attempt, .. } in of_replays {
            state.enqueue_attempt(request, attempt, world.now());
        }
    }
}

/// Edits, disables and deletes configurations, and interrupts buckets.
pub(super) async fn disturb(world: Arc<World>, scenario: Scenario, keys: Vec<ConfigurationKey>, storm: Duration) {
    let steps = 12;
    for _ in 0..steps {
        sleep(storm / (steps + 1)).await;
        let now = world.now();
        let mut state = world.lock();
        let pick = usize::try_from(state.chance.below(keys.len() as u64)).unwrap_or(0);
        let Some(key) = keys.get(pick) else { return };
        if scenario.edits && state.chance.happens(250) {
            let bucket = usize::try_from(state.chance.below(2)).unwrap_or(0);
            let toggles = state.chance.happens(400);
            let (mut is_new_destination, mut reconnected) = (false, None);
            if let Some(configuration) = state.configurations.get_mut(key) {
                configuration.version += 1;
                if toggles {
                    configuration.enabled = !configuration.enabled;
                } else if let Some(destination) = destination(bucket) {
                    // It follows from the format.
                    let destination = Destination { layout: configuration.destination.layout, ..destination };
                    is_new_destination = destination != configuration.destination;
                    configuration.destination = destination;
                    configuration.connection = Connection::Pending;
                    reconnected = Some(configuration.version);
                }
            }
            if let Some(version) = reconnected {
                state.reconnected.insert(key.clone(), version);
                // The new role's trust policy lacks the external ID for a while.
                if state.chance.happens(300) {
                    let open = state.chance.between(Duration::from_mins(1), Duration::from_hours(5));
                    state.open_roles.insert(key.clone(), now.saturating_add(open));
                }
            }
            if is_new_destination {
                state.edited.insert(key.clone());
            }
        }
        if scenario.reformats && state.format_chance.happens(400) {
            let format = match state.format_chance.below(3) {
                0 => ExportFormat::NdjsonGzip,
                1 => ExportFormat::NdjsonZstd,
                _ => ExportFormat::Parquet,
            };
            if let Some(configuration) = state.configurations.get_mut(key)
                && configuration.format != format
            {
                configuration.version += 1;
                configuration.format = format;
            }
        }
        if scenario.maps && state.ocsf_chance.happens(400) {
            let state = &mut *state;
            if let Some(configuration) = state.configurations.get_mut(key) {
                let before = configuration.encoding();
                let needs_test = change_format(&mut state.ocsf_chance, configuration);
                configuration.version += u64::from(configuration.encoding() != before);
                if needs_test {
                    configuration.connection = Connection::Pending;
                    state.reconnected.insert(key.clone(), configuration.version);
                }
            }
        }
        if scenario.refilters && state.filter_chance.happens(400) {
            let filter = draw_filter(&mut state.filter_chance);
            if let Some(configuration) = state.configurations.get_mut(key)
                && configuration.filter != filter
            {
                configuration.version += 1;
                configuration.filter = filter;
            }
        }
        if scenario.deletion && state.chance.happens(60) {
            state.configurations.remove(key);
        }
        if scenario.outage && state.chance.happens(300) {
            let until = now.saturating_add(state.chance.between(Duration::from_mins(1), Duration::from_hours(7)));
            let kind = state.chance.below(5);
            for bucket in BUCKETS {
                let bucket = state.bucket(bucket);
                match kind {
                    0 => bucket.silent_until.0 = until,
                    1 => bucket.busy_until.0 = until,
                    _ => bucket.denied_until.0 = until,
                }
            }
        }
    }
}

/// Ends all faults, and redrives the dead letters.
pub(super) fn calm_down(world: &World, scenario: &Scenario, keys: &[ConfigurationKey]) {
    let now = world.now();
    let mut state = world.lock();
    state.weather = Weather::default();
    state.open_roles.clear();
    for bucket in BUCKETS {
        let bucket = state.bucket(bucket);
        bucket.busy_until.0 = now;
        bucket.silent_until.0 = now;
        bucket.denied_until.0 = if scenario.hopeless { Timestamp::MAX } else { now };
    }
    for key in keys {
        if let Some(configuration) = state.configurations.get_mut(key)
            && !configuration.enabled
        {
            configuration.enabled = true;
            configuration.version += 1;
        }
    }
    for Message { request, attempt, .. } in std::mem::take(&mut state.dead_letters) {
        state.enqueue_attempt(request, attempt, now);
    }
    continue_stopped(&mut state, *scenario, now);
}
