//! The properties of a history, drawn from its seed.

use std::time::Duration;

use domain::{
    export_run::{MAX_CLOCK_SKEW, MIN_SETTLE},
    time::Timestamp,
};

use super::archiver_life::{ArchiverLife, draw_archiver};
use crate::{
    bug::KnownBug,
    setup::{INTERVAL, LONG_RETENTION},
    world::World,
};

/// The slots in which things go wrong, and those in which nothing does. The promises have to hold after those.
pub(super) const STORM_SLOTS: u32 = 4;
pub(super) const CALM_SLOTS: u32 = 3;

/// The difference between the clocks of two processes. [`crate::ports::Ports`] has half of it in either direction.
pub(super) const SKEW: Duration = MAX_CLOCK_SKEW;

/// The retentions of histories in which events pass it.
const SHORT_RETENTIONS: [Duration; 2] = [Duration::from_hours(3), Duration::from_hours(9)];

/// The time that a deploy takes to reach every process.
pub(super) const DEPLOY: Duration = Duration::from_mins(10);

/// The properties of a history.
#[expect(clippy::struct_excessive_bools, reason = "the events of a history are drawn independently")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) settle: Duration,
    pub(super) retention: Duration,
    /// The time for which a block stays in the table after its retention.
    pub(super) grace: Duration,
    pub(super) blocks: u64,
    pub(super) configurations: u64,
    pub(super) edits: bool,
    /// True if people change the format.
    pub(super) reformats: bool,
    /// True if people set, change and remove filters, and events have actions.
    pub(super) refilters: bool,
    /// True if people export records of OCSF, and events have times and actions.
    pub(super) maps: bool,
    pub(super) outage: bool,
    pub(super) deletion: bool,
    /// True if somebody damages a block.
    pub(super) damage: bool,
    /// True if the outage never ends.
    pub(super) hopeless: bool,
    /// True if the customer loses files and requests repairs.
    pub(super) repairs: bool,
    /// True if people request replays.
    pub(super) replays: bool,
    /// True if an operator erases a tenant, in histories with an archive.
    pub(super) erases: bool,
    /// The archiver, in histories with an archive.
    pub(super) archiver: Option<ArchiverLife>,
}

pub(super) fn draw_scenario(world: &World) -> Scenario {
    let archiver = draw_archiver(world, INTERVAL.duration() * STORM_SLOTS);
    let mut state = world.lock();
    let chance = &mut state.chance;
    let short_retention = chance.happens(200);
    let retention = if short_retention { SHORT_RETENTIONS[0] } else { LONG_RETENTION };
    let hopeless = short_retention && chance.happens(250);
    let mut retentions = vec![(Timestamp::EPOCH, retention)];
    if short_retention && !hopeless && chance.happens(700) {
        // Raised, lowered, or both.
        let first = usize::try_from(chance.below(2)).unwrap_or(0);
        let changes = 1 + chance.below(3);
        retentions = vec![(Timestamp::EPOCH, SHORT_RETENTIONS[first])];
        let mut at = Duration::ZERO;
        for number in 1..=usize::try_from(changes).unwrap_or(1) {
            // Each is in force from one dispatch to the next at least: docs/SEMANTICS.md, known limits.
            at += chance.between(INTERVAL.duration() + DEPLOY * 2, Duration::from_hours(4));
            retentions.push((world.now().saturating_add(at), SHORT_RETENTIONS[(first + number) % 2]));
        }
    }
    state.retentions = retentions;
    let reformats = state.format_chance.happens(300);
    let refilters = state.filter_chance.happens(300);
    let maps = state.ocsf_chance.happens(200);
    let erases = archiver.is_some() && state.erasure_chance.happens(400);
    let chance = &mut state.chance;
    let scenario = Scenario {
        settle: if world.has(KnownBug::SettleOfZero) { Duration::ZERO } else { MIN_SETTLE },
        retention,
        // Two weeks in production. Here it is short enough for time to live to delete blocks.
        grace: if world.has(KnownBug::RetentionByDeletion) { Duration::ZERO } else { Duration::from_hours(2) },
        blocks: 4 + chance.below(24),
        // Another tenant is there that is not erased.
        configurations: 1 + u64::from(chance.happens(200) || erases),
        edits: chance.happens(300),
        // With OCSF, its own steps change the format.
        reformats: reformats && !maps,
        refilters,
        maps,
        outage: chance.happens(350) || short_retention,
        deletion: chance.happens(100),
        damage: chance.happens(250),
        hopeless,
        repairs: chance.happens(200),
        replays: chance.happens(300),
        erases,
        archiver,
    };
    state.archive.grace = scenario.grace;
    scenario
}
