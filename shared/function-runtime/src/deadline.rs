//! The end of an invocation.

use std::time::Duration;

use domain::time::Timestamp;

/// Returns the time by which the work of an invocation must end: `margin` before Lambda's `deadline`, in milliseconds since 1970.
#[must_use]
pub fn deadline_before(deadline: u64, margin: Duration) -> Timestamp {
    Timestamp::from_millis(deadline).unwrap_or(Timestamp::MAX).saturating_sub(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_before_the_invocation_and_a_deadline_that_is_no_time_is_far_away() {
        let margin = Duration::from_mins(3);
        assert_eq!(deadline_before(1_000_000, margin), Timestamp::from_millis(820_000).unwrap());
        assert_eq!(deadline_before(1_000, margin), Timestamp::EPOCH);
        assert_eq!(deadline_before(u64::MAX, Duration::ZERO), Timestamp::MAX);
    }
}
