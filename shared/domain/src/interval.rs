//! The intervals of exports, and the slots of the schedule.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::{named::named, time::Timestamp};

/// The time between two exports of one configuration.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, EnumString, IntoStaticStr,
)]
pub enum ExportInterval {
    #[serde(rename = "EVERY_2_HOURS")]
    #[strum(serialize = "EVERY_2_HOURS")]
    Every2Hours,
    #[serde(rename = "EVERY_4_HOURS")]
    #[strum(serialize = "EVERY_4_HOURS")]
    Every4Hours,
    #[serde(rename = "EVERY_6_HOURS")]
    #[strum(serialize = "EVERY_6_HOURS")]
    Every6Hours,
    #[serde(rename = "EVERY_12_HOURS")]
    #[strum(serialize = "EVERY_12_HOURS")]
    Every12Hours,
    #[serde(rename = "EVERY_24_HOURS")]
    #[strum(serialize = "EVERY_24_HOURS")]
    Every24Hours,
}

named!(ExportInterval, parse);

impl ExportInterval {
    pub const ALL: [Self; 5] =
        [Self::Every2Hours, Self::Every4Hours, Self::Every6Hours, Self::Every12Hours, Self::Every24Hours];

    #[must_use]
    pub fn duration(self) -> Duration {
        let hours = match self {
            Self::Every2Hours => 2,
            Self::Every4Hours => 4,
            Self::Every6Hours => 6,
            Self::Every12Hours => 12,
            Self::Every24Hours => 24,
        };
        Duration::from_hours(hours)
    }
}

impl fmt::Display for ExportInterval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Returns the boundary of a firing of the schedule: the last UTC multiple of `slot_length` that had settled at
/// `scheduled_at`. All firings between two boundaries have the same slot, so firing twice changes nothing.
#[must_use]
pub fn slot_boundary(scheduled_at: Timestamp, settle: Duration, slot_length: Duration) -> Timestamp {
    scheduled_at.saturating_sub(settle).floor_to(slot_length)
}

/// The schedule of exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportSchedule {
    /// The time from a slot's boundary to the start of its export.
    pub settle: Duration,
    /// In development: the length of every slot, for all intervals.
    pub development_slot_length: Option<Duration>,
}

impl ExportSchedule {
    #[must_use]
    pub fn slot_length(self, interval: ExportInterval) -> Duration {
        self.development_slot_length.unwrap_or_else(|| interval.duration())
    }

    /// Returns the boundary of a firing; see [`slot_boundary`].
    #[must_use]
    pub fn boundary(self, interval: ExportInterval, scheduled_at: Timestamp) -> Timestamp {
        slot_boundary(scheduled_at, self.settle, self.slot_length(interval))
    }

    /// Returns the boundary of the export that is due at `now`: the last one that had settled, unless everything before it is
    /// exported. `None`: no export is due.
    #[must_use]
    pub fn due(self, interval: ExportInterval, done_through: Timestamp, now: Timestamp) -> Option<Timestamp> {
        Some(self.boundary(interval, now)).filter(|boundary| done_through < *boundary)
    }

    /// Returns the start of the next export that can hold events: that of the first boundary after `done_through`, before which
    /// everything is exported, whose schedule hasn't fired at `now`.
    #[must_use]
    pub fn next_export(self, interval: ExportInterval, done_through: Timestamp, now: Timestamp) -> Timestamp {
        let slot_length = self.slot_length(interval);
        let fired = now.saturating_sub(self.settle);
        done_through.max(fired).floor_to(slot_length).saturating_add(slot_length).saturating_add(self.settle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEDULE: ExportSchedule = ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None };

    #[test]
    fn the_next_export_starts_when_its_slot_has_settled() {
        let next = |interval, done_through, now| {
            let at = |text| Timestamp::parse(text).unwrap();
            SCHEDULE.next_export(interval, at(done_through), at(now)).to_string()
        };
        for (interval, done_through, now, expected) in [
            // The boundary of 02:00 has passed, and its schedule has not fired yet.
            (
                ExportInterval::Every2Hours,
                "2026-11-22T00:00:00Z",
                "2026-11-22T02:19:59.999Z",
                "2026-11-22T02:20:00.000Z",
            ),
            // It fires now: the next one is the one after.
            (ExportInterval::Every2Hours, "2026-11-22T00:00:00Z", "2026-11-22T02:20:00Z", "2026-11-22T04:20:00.000Z"),
            // A manual run went beyond the boundary of 02:00, whose export finds nothing.
            (ExportInterval::Every2Hours, "2026-11-22T02:05:00Z", "2026-11-22T02:10:00Z", "2026-11-22T04:20:00.000Z"),
            // Exactly through a boundary: nothing is left of its slot.
            (ExportInterval::Every2Hours, "2026-11-22T02:00:00Z", "2026-11-22T02:10:00Z", "2026-11-22T04:20:00.000Z"),
            // Asked to start at a later day.
            (ExportInterval::Every24Hours, "2026-12-01T12:00:00Z", "2026-11-22T00:00:00Z", "2026-12-02T00:20:00.000Z"),
            // Far behind.
            (ExportInterval::Every24Hours, "1970-01-01T00:00:00Z", "2026-11-22T12:00:00Z", "2026-11-23T00:20:00.000Z"),
        ] {
            assert_eq!(next(interval, done_through, now), expected, "{interval} {done_through} {now}");
        }
    }

    #[test]
    fn an_export_is_due_until_its_boundary_is_done() {
        let at = |text| Timestamp::parse(text).unwrap();
        let due = |done_through, now| {
            SCHEDULE.due(ExportInterval::Every2Hours, at(done_through), at(now)).map(|boundary| boundary.to_string())
        };
        for (done_through, now, expected) in [
            ("2026-11-22T00:00:00Z", "2026-11-22T02:19:59.999Z", None),
            ("2026-11-22T00:00:00Z", "2026-11-22T02:20:00Z", Some("2026-11-22T02:00:00.000Z")),
            ("2026-11-22T01:59:59.999Z", "2026-11-22T04:19:59.999Z", Some("2026-11-22T02:00:00.000Z")),
            ("2026-11-22T02:00:00Z", "2026-11-22T04:19:59.999Z", None),
            // A manual run went beyond the boundary.
            ("2026-11-22T02:05:00Z", "2026-11-22T04:00:00Z", None),
            // Far behind.
            ("1970-01-01T00:00:00Z", "2026-11-22T12:00:00Z", Some("2026-11-22T10:00:00.000Z")),
        ] {
            assert_eq!(due(done_through, now).as_deref(), expected, "{done_through} {now}");
        }
    }

    #[test]
    fn short_slots_have_the_same_rule() {
        let schedule =
            ExportSchedule { settle: Duration::from_secs(3), development_slot_length: Some(Duration::from_secs(10)) };
        let now = Timestamp::parse("2026-11-22T00:00:12.999Z").unwrap();
        let next = schedule.next_export(ExportInterval::Every24Hours, Timestamp::EPOCH, now);
        assert_eq!(next.to_string(), "2026-11-22T00:00:13.000Z");
    }

    fn instants() -> impl Strategy<Value = Timestamp> {
        // Days 0 to 60,000, so that every slot of an hour or more is met, and times close to boundaries are.
        (0..60_000_u64, 0..24_u64, prop_oneof![Just(0_u64), Just(1), 0..3_600_000_u64])
            .prop_map(|(day, hour, millis)| Timestamp::from_millis((day * 24 + hour) * 3_600_000 + millis).unwrap())
    }

    proptest! {
        /// Compares with the definition: the first boundary that holds something and is still to fire.
        #[test]
        fn no_earlier_export_could_hold_something(
            interval in prop::sample::select(&ExportInterval::ALL[..]),
            done_through in instants(),
            now in instants(),
            settle_seconds in 0..=7_200_u64,
            slot_seconds in prop::option::of(1..=86_400_u64),
        ) {
            let schedule = ExportSchedule {
                settle: Duration::from_secs(settle_seconds),
                development_slot_length: slot_seconds.map(Duration::from_secs),
            };
            let slot = schedule.slot_length(interval);
            let next = schedule.next_export(interval, done_through, now);
            let boundary = next.saturating_sub(schedule.settle);
            prop_assert_eq!(boundary.floor_to(slot), boundary);
            prop_assert!(boundary > done_through && next > now);
            prop_assert_eq!(schedule.boundary(interval, next), boundary);
            let before = boundary.saturating_sub(slot);
            let before_has_fired = before.saturating_add(schedule.settle) <= now;
            prop_assert!(before <= done_through || before_has_fired);
        }
    }

    #[test]
    fn a_24_hour_export_is_a_calendar_day() {
        let settle = Duration::from_mins(20);
        let day = ExportInterval::Every24Hours.duration();
        for (scheduled, boundary) in [
            ("2026-11-22T00:20:00Z", "2026-11-22T00:00:00.000Z"),
            ("2026-11-22T00:20:59Z", "2026-11-22T00:00:00.000Z"),
            ("2026-11-22T00:19:59.999Z", "2026-11-21T00:00:00.000Z"),
        ] {
            let scheduled = Timestamp::parse(scheduled).unwrap();
            assert_eq!(slot_boundary(scheduled, settle, day).to_string(), boundary);
        }
    }

    #[test]
    fn names_are_parsed_back() {
        for interval in ExportInterval::ALL {
            assert_eq!(ExportInterval::parse(interval.name()), Some(interval));
            assert_eq!(serde_json::to_string(&interval).unwrap(), format!("\"{interval}\""));
        }
        assert_eq!(ExportInterval::parse("EVERY_3_HOURS"), None);
    }
}
