//! Faults and their frequencies.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

/// The source of randomness of a history.
#[derive(Debug)]
pub(crate) struct Chance(SmallRng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Returns true in `per_mille` of a thousand cases.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        self.0.random_range(0..1_000) < per_mille
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound.max(1))
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let (low, high) = (millis(low), millis(high));
        Duration::from_millis(self.0.random_range(low..=high.max(low)))
    }

    pub(crate) fn bits(&mut self) -> u128 {
        self.0.random()
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The fate of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Works,
    /// It returns an error and has no effect.
    FailsBefore,
    /// It returns an error and has its effect.
    FailsAfter,
    /// It times out, and has its effect later.
    LandsLate(Duration),
}

/// The frequencies of faults, per thousand calls or processes. All are zero in calm weather.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) call_fails: u32,
    pub(crate) call_lands_late: u32,
    pub(crate) process_dies: u32,
    pub(crate) process_freezes: u32,
    pub(crate) message_doubles: u32,
    pub(crate) upload_lost: u32,
}

impl Weather {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let roughness = u32::try_from(chance.below(4)).unwrap_or(0);
        Self {
            call_fails: roughness * 12,
            call_lands_late: roughness * 4,
            process_dies: roughness * 160,
            process_freezes: roughness * 60,
            message_doubles: 150,
            upload_lost: roughness * 25,
        }
    }

    pub(crate) fn fate(self, chance: &mut Chance) -> Fate {
        if chance.happens(self.call_lands_late) {
            let delay = chance.between(Duration::from_secs(1), Duration::from_mins(4));
            return Fate::LandsLate(delay);
        }
        if chance.happens(self.call_fails) {
            return if chance.happens(500) { Fate::FailsBefore } else { Fate::FailsAfter };
        }
        Fate::Works
    }
}
