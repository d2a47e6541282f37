//! A block in the events table that differs from what ingest wrote.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    block::{Shard, StoredBlock},
    configuration::ConfigurationKey,
    export_run::{MIN_SETTLE, RunRequest, RunTrigger},
};
use export_engine::{
    ports::{ErrorKind, PortError},
    run::RunOutcome,
};
use tokio::time::sleep;

use crate::{
    check::{self, Expectations},
    invocation::{RELEASE, invoke},
    outcome::HistoryOutcome,
    ports::Ports,
    setup::{INTERVAL, create_calm_world, create_configurations, in_simulated_time, store_blocks},
    world::World,
};

/// The corruption of one block of the first tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A bit of its bytes was flipped.
    BitTurned,
    /// It is another tenant's block, copied under this one's key.
    Foreign,
    /// It is in a second shard as well.
    CopiedToAnotherShard,
}

/// The outcome for two tenants. After the run of the one with the corrupt block has stopped, the table is restored.
#[derive(Clone, Debug)]
pub struct CorruptionOutcome {
    /// The run of the tenant with the corrupt block.
    pub stopped: Result<RunOutcome, PortError>,
    /// The objects that this run wrote, except for the marker.
    pub objects_written: usize,
    /// The run of the other tenant.
    pub other: Result<RunOutcome, PortError>,
    /// The skipped blocks in the first tenant's digests.
    pub skipped: usize,
    /// The outcome after the run was repeated, and once more after an operator approved to skip the block.
    pub history: HistoryOutcome,
}

/// Exports two tenants, one of them with a corrupt block, and again after an operator has restored it. `None`: the simulation
/// could not start.
#[must_use]
pub fn run_corrupt(corruption: Corruption) -> Option<CorruptionOutcome> {
    in_simulated_time(play(corruption)).flatten()
}

async fn play(corruption: Corruption) -> Option<CorruptionOutcome> {
    let world = create_calm_world(None);
    let keys = create_configurations(&world, 2);
    let [first, other] = keys.as_slice() else { return None };
    store_blocks(&world, first, 40);
    store_blocks(&world, other, 40);
    sleep(INTERVAL.duration() + MIN_SETTLE).await;
    let sound = world.lock().blocks.clone();
    corrupt(&world, first, other, corruption)?;

    let through = world.now().saturating_sub(MIN_SETTLE);
    let request = |key: &ConfigurationKey| RunRequest::new(key.clone(), through, RunTrigger::Schedule);
    let ports = Ports::new(&world, Duration::ZERO, RELEASE);
    let stopped = invoke(&ports, &request(first), 1).await;
    let prefix = first.configuration_id.to_string();
    let is_written = |name: &&String| name.starts_with(&prefix);
    let objects_written =
        world.lock().buckets.values().flat_map(|bucket| bucket.objects.keys()).filter(is_written).count();
    let other = invoke(&ports, &request(other), 2).await;

    world.lock().blocks = sound;
    let repeated = invoke(&ports, &request(first), 3).await;
    let is_restored = corruption != Corruption::Foreign;
    if repeated.is_ok() != is_restored {
        world.lock().violations.push(format!("{repeated:?}"));
    }
    // A block that was never the tenant's can't be restored.
    world.lock().corrupt_blocks.values_mut().for_each(|is_approved| *is_approved = true);
    if let Err(error) = invoke(&ports, &request(first), 4).await {
        world.lock().violations.push(error.to_string());
    }
    let expected = Expectations { through, gaps_are_possible: false, lost_through: None, runs: 4, crashes: 0 };
    let history = check::check(&world.lock(), &keys, &expected);
    let skipped = match world.lock().runs.get(first) {
        Some(items) => items.records.iter().map(|record| record.skipped.len()).sum(),
        None => 0,
    };
    Some(CorruptionOutcome { stopped, objects_written, other, skipped, history })
}

fn corrupt(world: &World, first: &ConfigurationKey, other: &ConfigurationKey, corruption: Corruption) -> Option<()> {
    let mut state = world.lock();
    let of = |key: &ConfigurationKey, number: usize| {
        let tenant = key.tenant_id.clone();
        Shard::ALL.get(number).map(|shard| (tenant, *shard))
    };
    let (partition, second, foreign) = (of(first, 0)?, of(first, 1)?, of(other, 0)?);
    let block: StoredBlock = state.blocks.get(&partition)?.values().next()?.clone();
    match corruption {
        Corruption::BitTurned => {
            let mut bytes = block.deflate.to_vec();
            *bytes.first_mut()? ^= 1;
            let turned = StoredBlock { deflate: Bytes::from(bytes), ..block };
            state.blocks.get_mut(&partition)?.insert(turned.id, turned);
        }
        Corruption::Foreign => {
            let copy = state.blocks.get(&foreign)?.values().next()?.clone();
            state.damaged.insert((partition.0.clone(), copy.id));
            state.blocks.get_mut(&partition)?.insert(copy.id, copy);
        }
        Corruption::CopiedToAnotherShard => {
            state.blocks.get_mut(&second)?.insert(block.id, block);
        }
    }
    Some(())
}

impl CorruptionOutcome {
    /// Returns whether the run stopped with the error that raises an alarm.
    #[must_use]
    pub fn raises_the_alarm(&self) -> bool {
        matches!(&self.stopped, Err(error) if matches!(error.kind, ErrorKind::CorruptBlock(_)))
    }
}
