//! The life of the archiver of a history.

use std::time::Duration;

use crate::{archive::TIMES, world::World};

/// The archiver of a history.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArchiverLife {
    /// The time between two invocations.
    pub(super) period: Duration,
    /// The time in which it is dead, from the start of the history on.
    pub(super) dead_from: Duration,
    pub(super) dead_for: Duration,
    /// The time for which the rescue is dead, too, from then on.
    pub(super) rescue_dead_for: Duration,
}

/// Draws whether there is an archive, and the life of the archiver: sound, slow, dead for a while or for good.
pub(super) fn draw_archiver(world: &World, storm: Duration) -> Option<ArchiverLife> {
    let mut state = world.lock();
    let chance = &mut state.archive_chance;
    let is_on = chance.happens(300);
    let mut life = ArchiverLife {
        period: Duration::from_mins(if chance.happens(700) { 5 } else { 25 }),
        dead_from: chance.between(Duration::ZERO, Duration::from_hours(6)),
        dead_for: if chance.happens(500) {
            Duration::ZERO
        } else {
            chance.between(Duration::from_hours(1), Duration::from_hours(14))
        },
        rescue_dead_for: Duration::ZERO,
    };
    if chance.happens(250) {
        if chance.happens(500) {
            // Until the archiver has proven itself, no block has the short expiry that can be lost.
            life.dead_from = chance.between(TIMES.proven_after * 2, Duration::from_hours(3));
            life.dead_for = storm;
        }
        let longest = storm.saturating_sub(life.dead_from);
        life.rescue_dead_for = chance.between(longest / 4, longest);
    }
    state.archive.is_on = is_on;
    state.archive.may_lose = !life.rescue_dead_for.is_zero();
    is_on.then_some(life)
}
