//! The delay before a repeated attempt.

use std::time::Duration;

/// The smallest share of a delay that jitter leaves.
const LEAST_SHARE: f64 = 0.5;

/// Exponential delays with jitter: `first` after the first attempt, doubled after each other one, up to `longest`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// Returns the delay after the given number of attempts. `fraction`, a random number from 0 to 1, decides on the
    /// jitter: half of the delay to all of it.
    #[must_use]
    pub fn delay(self, attempts: u32, fraction: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        doubled.min(self.longest).mul_f64(LEAST_SHARE + (1.0 - LEAST_SHARE) * fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_up_to_the_longest_with_jitter_down_to_half() {
        let backoff = Backoff { first: Duration::from_secs(10), longest: Duration::from_mins(1) };
        for (attempts, fraction, seconds) in [
            (0, 1.0, 10),
            (1, 1.0, 10),
            (1, 0.0, 5),
            (2, 1.0, 20),
            (3, 0.5, 30),
            (4, 1.0, 60),
            (4, 0.0, 30),
            (u32::MAX, 1.0, 60),
        ] {
            assert_eq!(backoff.delay(attempts, fraction), Duration::from_secs(seconds), "{attempts} {fraction}");
        }
    }
}
