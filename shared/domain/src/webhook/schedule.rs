//! The times at which a delivery is attempted.

use std::time::Duration;

/// The age at which the last attempt is made.
pub const WEBHOOK_RETRIED_FOR: Duration = Duration::from_hours(24);

/// The ages at which a delivery is attempted again: the delays that the Standard Webhooks specification suggests (5 s,
/// 5 min, 30 min, 2 h, 5 h, 10 h), and a last attempt after a day.
const ATTEMPTS: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(5 + 5 * 60),
    Duration::from_secs(5 + 35 * 60),
    Duration::from_secs(5 + 155 * 60),
    Duration::from_secs(5 + 455 * 60),
    Duration::from_secs(5 + 1_055 * 60),
    WEBHOOK_RETRIED_FOR,
];

/// The most that jitter adds to a delay, as a share of it. It only adds, so no attempt is made before its age.
const JITTER: f64 = 0.1;

/// Returns the delay until the next attempt of a delivery of this age. `None`: this attempt was the last one.
///
/// `fraction`, a random number from 0 to 1, decides on the jitter. The age decides alone: a delivery that waited in the
/// queue skips the attempts of that time, and messages that were received without an attempt don't count.
#[must_use]
pub fn next_attempt_after(age: Duration, fraction: f64) -> Option<Duration> {
    let next = ATTEMPTS.into_iter().find(|attempt| *attempt > age)?;
    Some(next.saturating_sub(age).mul_f64(1.0 + JITTER * fraction.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_follow_the_specification_and_end_after_a_day() {
        for fraction in [0.0, 0.5, 1.0] {
            let (mut age, mut attempts) = (Duration::ZERO, 1);
            while let Some(delay) = next_attempt_after(age, fraction) {
                assert!(delay >= Duration::from_secs(5), "{delay:?}");
                // The attempt itself takes up to 10 s.
                age += delay + Duration::from_secs(10);
                attempts += 1;
            }
            assert_eq!(attempts, 8);
            assert!(age >= WEBHOOK_RETRIED_FOR && age <= WEBHOOK_RETRIED_FOR.mul_f64(1.1), "{age:?}");
        }
    }

    #[test]
    fn the_age_of_a_delivery_decides_alone() {
        for (age, delay) in [
            (Duration::ZERO, Some(Duration::from_secs(5))),
            (Duration::from_secs(5), Some(Duration::from_mins(5))),
            (Duration::from_mins(20), Some(Duration::from_secs(15 * 60 + 5))),
            (Duration::from_hours(20), Some(Duration::from_hours(4))),
            (Duration::from_hours(24), None),
            (Duration::from_hours(1_000), None),
        ] {
            assert_eq!(next_attempt_after(age, 0.0), delay, "{age:?}");
        }
    }
}
