//! Points in time, to the millisecond: the resolution of a ULID and so of everything the export decides by.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. Printed and stored as RFC 3339 in UTC with three decimals, so that the text
/// sorts like the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 time, or one outside of the years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in RFC 3339, for example 2026-01-31T23:59:59Z, and lies between the years 1970 and 9999")]
pub struct InvalidTimestamp;

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    /// 9999-12-30T22:00:00.000Z, the last time that can be written in every offset of RFC 3339; a ULID reaches further.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// `None` after the year 9999.
    #[must_use]
    pub fn from_millis(millis: u64) -> Option<Self> {
        i64::try_from(millis).ok().map(Self).filter(|timestamp| *timestamp <= Self::MAX)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        self.as_millis() / 1_000
    }

    /// # Errors
    /// [`InvalidTimestamp`] if `text` is not RFC 3339 (an offset is required) or out of range.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let timestamp = Self(parsed.as_millisecond());
        if (Self::EPOCH..=Self::MAX).contains(&timestamp) { Ok(timestamp) } else { Err(InvalidTimestamp) }
    }

    /// The later time; stops at [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// The earlier time; stops at the epoch.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis).max(0))
    }

    /// How long after `earlier` this is; zero if it isn't.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }

    /// The last multiple of `step` since the epoch that is not after this time. UTC days start at multiples of 24 h.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        Self(self.0 - self.0 % step)
    }

    /// The number of the UTC day since 1970-01-01.
    #[must_use]
    pub fn utc_day(self) -> u64 {
        self.as_seconds() / 86_400
    }

    /// The UTC day as `YYYY-MM-DD`.
    #[must_use]
    pub fn utc_date(self) -> String {
        self.to_string().chars().take("YYYY-MM-DD".len()).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(formatter, "{timestamp:.3}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_three_decimals_and_sorts_like_the_time() {
        let earlier = Timestamp::parse("2026-11-22T01:00:00+01:00").unwrap();
        let later = Timestamp::from_millis(earlier.as_millis() + 1).unwrap();
        assert_eq!(earlier.to_string(), "2026-11-22T00:00:00.000Z");
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(later.utc_date(), "2026-11-22");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "now", "2026-11-22", "2026-11-22T00:00:00", "1969-12-31T23:59:59Z", "1700000000"] {
            assert_eq!(Timestamp::parse(bad), Err(InvalidTimestamp), "{bad:?}");
        }
    }

    #[test]
    fn a_day_is_floored_to_its_midnight() {
        let last_millisecond = Timestamp::parse("2026-11-22T23:59:59.999Z").unwrap();
        let day = Duration::from_hours(24);
        assert_eq!(last_millisecond.floor_to(day).to_string(), "2026-11-22T00:00:00.000Z");
    }
}
