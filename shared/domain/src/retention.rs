//! The retention of blocks: the history of retentions, and the time from which on every block still exists.
//!
//! A block is kept for the retention that was in force when it was written. An operator may change `RetentionDays`, and the
//! writers and exporters don't switch at the same instant. So the retentions that runs have seen are stored, and the shortest
//! one counts for times around a change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The most periods of a history. Beyond it, the two oldest are merged to one with the shorter retention.
const MAX_PERIODS: usize = 32;

/// The age of the last observation of a retention from which on it is stored again.
pub const OBSERVATION_INTERVAL: Duration = Duration::from_hours(1);

/// The time around a change of the retention in which writers may have used either one: far longer than a deployment and its
/// rollback take.
pub const DEPLOY_MARGIN: Duration = Duration::from_hours(24);

/// A retention, and the times at which runs saw it in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPeriod {
    retention_seconds: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

impl RetentionPeriod {
    fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_seconds)
    }
}

/// The retentions that runs have seen, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetentionHistory(Vec<RetentionPeriod>);

impl RetentionHistory {
    /// Returns the history after a run has seen `retention` in force at `now`. `None`: nothing has to be stored.
    #[must_use]
    pub fn observed(&self, retention: Duration, now: Timestamp) -> Option<Self> {
        let retention_seconds = retention.as_secs();
        let mut periods = self.0.clone();
        match periods.last_mut() {
            Some(last) if last.retention_seconds == retention_seconds => {
                if now.saturating_since(last.last_seen) < OBSERVATION_INTERVAL {
                    return None;
                }
                last.last_seen = now;
            }
            _ => periods.push(RetentionPeriod { retention_seconds, first_seen: now, last_seen: now }),
        }
        if let [oldest, second, ..] = periods.as_slice()
            && periods.len() > MAX_PERIODS
        {
            let merged = RetentionPeriod {
                retention_seconds: oldest.retention_seconds.min(second.retention_seconds),
                first_seen: oldest.first_seen,
                last_seen: second.last_seen,
            };
            periods.splice(0..2, [merged]);
        }
        Some(Self(periods))
    }

    /// Returns the longest retention that was in force for blocks that were stamped from `time` on, or is: `current`. A change
    /// may have been in force for a time of `margin` before and after it was seen.
    #[must_use]
    pub fn longest_since(&self, time: Timestamp, margin: Duration, current: Duration) -> Duration {
        let of_later = |(number, period): (usize, &RetentionPeriod)| {
            let ends = self.0.get(number + 1).map_or(Timestamp::MAX, |next| next.first_seen.saturating_add(margin));
            (ends >= time).then(|| period.retention())
        };
        self.0.iter().enumerate().filter_map(of_later).fold(current, Duration::max)
    }

    /// Returns the time from which on every written block is within its retention at `now`.
    ///
    /// A retention counts for the blocks that were stamped from `margin` before the previous one was last seen, until `margin`
    /// after the next one was first seen. The floor never moves back, whatever is observed later.
    #[must_use]
    pub fn floor(&self, now: Timestamp, margin: Duration) -> Timestamp {
        let starts = self.0.iter().map(|before| before.last_seen.saturating_sub(margin));
        let starts = std::iter::once(Timestamp::EPOCH).chain(starts);
        let ends = self.0.iter().skip(1).map(|next| next.first_seen.saturating_add(margin));
        let ends = ends.chain(std::iter::once(Timestamp::MAX));
        let ended_before = |((period, start), end): ((&RetentionPeriod, Timestamp), Timestamp)| {
            let kept_since = now.saturating_sub(period.retention());
            (start < kept_since).then(|| kept_since.min(end))
        };
        self.0.iter().zip(starts).zip(ends).filter_map(ended_before).max().unwrap_or(Timestamp::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(number: u64) -> Timestamp {
        Timestamp::parse("2026-01-01T00:00:00Z").unwrap().saturating_add(DAY * u32::try_from(number).unwrap())
    }

    fn days(number: u32) -> Duration {
        DAY * number
    }

    /// The history of runs that happen every day.
    fn history(retentions: impl IntoIterator<Item = (u64, u32)>) -> RetentionHistory {
        retentions.into_iter().fold(RetentionHistory::default(), |history, (number, retention)| {
            history.observed(days(retention), day(number)).unwrap_or(history)
        })
    }

    #[test]
    fn one_retention_is_its_own_floor() {
        let history = history((0..200).map(|number| (number, 30)));
        assert_eq!(history.floor(day(200), DAY), day(170));
    }

    #[test]
    fn raising_the_retention_brings_nothing_back() {
        let history = history((0..100).map(|number| (number, 30)).chain((100..300).map(|number| (number, 90))));
        // Blocks of before the change are kept for 30 days, and those of the day around it count as if they were, too.
        assert_eq!(history.floor(day(101), DAY), day(71));
        assert_eq!(history.floor(day(120), DAY), day(90));
        assert_eq!(history.floor(day(131), DAY), day(101));
        // From then on all remaining blocks were written under the longer one.
        assert_eq!(history.floor(day(180), DAY), day(101));
        assert_eq!(history.floor(day(200), DAY), day(110));
    }

    #[test]
    fn lowering_the_retention_keeps_what_was_promised() {
        let history = history((0..100).map(|number| (number, 90)).chain((100..300).map(|number| (number, 30))));
        assert_eq!(history.floor(day(110), DAY), day(20));
        // The blocks of the change's own day count as the shorter-lived ones.
        assert_eq!(history.floor(day(129), DAY), day(99));
        assert_eq!(history.floor(day(140), DAY), day(110));
    }

    #[test]
    fn lowering_and_raising_leaves_a_hole_that_counts() {
        let middle = (100..110).map(|number| (number, 7));
        let history =
            history((0..100).map(|number| (number, 90)).chain(middle).chain((110..300).map(|number| (number, 90))));
        assert_eq!(history.floor(day(105), DAY), day(15));
        // On day 118 the last of the short-lived blocks are gone, so nothing before the second change is complete.
        assert_eq!(history.floor(day(118), DAY), day(111));
        assert_eq!(history.floor(day(200), DAY), day(111));
        assert_eq!(history.floor(day(210), DAY), day(120));
    }

    #[test]
    fn an_unobserved_retention_counts_as_the_shorter_one() {
        // No run between the days 50 and 100: the change can have been at any time in between.
        let history = history((0..=50).map(|number| (number, 90)).chain((100..=140).map(|number| (number, 30))));
        assert_eq!(history.floor(day(81), DAY), day(51));
    }

    #[test]
    fn a_history_is_bounded() {
        let history = history((0..1_000).map(|number| (number, 30 + u32::try_from(number % 2).unwrap())));
        assert_eq!(history.0.len(), MAX_PERIODS);
        assert_eq!(history.floor(day(1_000), DAY), day(970));
    }

    #[test]
    fn the_stored_form_is_pinned() {
        let history = history([(0, 30), (1, 90)]);
        let stored = serde_json::to_string(&history).unwrap();
        assert_eq!(
            stored,
            r#"[{"retentionSeconds":2592000,"firstSeen":"2026-01-01T00:00:00.000Z","lastSeen":"2026-01-01T00:00:00.000Z"},{"retentionSeconds":7776000,"firstSeen":"2026-01-02T00:00:00.000Z","lastSeen":"2026-01-02T00:00:00.000Z"}]"#
        );
        assert_eq!(serde_json::from_str::<RetentionHistory>(&stored).unwrap(), history);
    }

    proptest! {
        /// The floor never moves back, and no block above it is past the retention of its writer, which may have switched up to
        /// a day before or after the runs saw it.
        #[test]
        fn the_floor_is_monotone_and_safe(
            // Long enough for a run to see each.
            changes in prop::collection::vec((7_u64..40, 7_u32..60, 0_i64..=1), 1..6),
            unseen in 0_u64..5,
        ) {
            let mut retention_of_day = Vec::new();
            let mut in_force = Vec::new();
            for (length, retention, late) in changes {
                in_force.extend((0..length).map(|_| retention));
                let late = usize::try_from(late).unwrap();
                let last = retention_of_day.last().copied().unwrap_or(retention);
                retention_of_day.extend((0..usize::try_from(length).unwrap()).map(|number| if number < late { last } else { retention }));
            }
            let mut history = RetentionHistory::default();
            let mut floor = Timestamp::EPOCH;
            for (number, retention) in (0_u64..).zip(&in_force) {
                if number % 6 >= unseen {
                    history = history.observed(days(*retention), day(number)).unwrap_or(history);
                }
                let now_floor = history.floor(day(number), DAY);
                prop_assert!(now_floor >= floor, "the floor moved back on day {number}");
                floor = now_floor;
            }
            let now = u64::try_from(in_force.len()).unwrap() + 10;
            let history = history.observed(days(*in_force.last().unwrap()), day(now)).unwrap_or(history);
            let floor = history.floor(day(now), DAY);
            for (number, retention) in (0_u64..).zip(&retention_of_day) {
                if day(number) >= floor && number % 6 >= unseen {
                    prop_assert!(day(number).saturating_add(days(*retention)) >= day(now), "day {number} of {retention}");
                }
            }
        }
    }
}
