//! How often a configuration exports, and which slot a schedule's firing stands for.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The time between two exports of one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExportInterval {
    #[serde(rename = "EVERY_2_HOURS")]
    Every2Hours,
    #[serde(rename = "EVERY_4_HOURS")]
    Every4Hours,
    #[serde(rename = "EVERY_6_HOURS")]
    Every6Hours,
    #[serde(rename = "EVERY_12_HOURS")]
    Every12Hours,
    #[serde(rename = "EVERY_24_HOURS")]
    Every24Hours,
}

impl ExportInterval {
    pub const ALL: [Self; 5] =
        [Self::Every2Hours, Self::Every4Hours, Self::Every6Hours, Self::Every12Hours, Self::Every24Hours];

    /// The name in the API, the table and the logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Every2Hours => "EVERY_2_HOURS",
            Self::Every4Hours => "EVERY_4_HOURS",
            Self::Every6Hours => "EVERY_6_HOURS",
            Self::Every12Hours => "EVERY_12_HOURS",
            Self::Every24Hours => "EVERY_24_HOURS",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interval| interval.name() == name)
    }

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

/// The boundary that a schedule's firing stands for: the last UTC multiple of `slot_length` that had settled at
/// `scheduled_at`. Every firing between two boundaries names the same slot, so firing twice changes nothing.
#[must_use]
pub fn slot_boundary(scheduled_at: Timestamp, settle: Duration, slot_length: Duration) -> Timestamp {
    scheduled_at.saturating_sub(settle).floor_to(slot_length)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

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
