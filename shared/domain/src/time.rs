//! Timestamps in milliseconds, the resolution of a ULID and therefore of all decisions of an export.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time, as milliseconds since 1970-01-01T00:00:00Z. It is printed and stored as RFC 3339 in UTC with three
/// decimals, so that the text sorts like the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// The reason why a text is not accepted as a time.
///
/// A time is written as in RFC 3339, within the limits of the readers of an export: `T` and `Z` in either case, 1 to 9
/// decimals or none, an offset from -14:00 to +14:00, no second 60, and in the years 1970 to 9999 of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    #[error("a time must be written as in RFC 3339, with an offset, for example 2026-01-31T23:59:59Z")]
    Malformed,
    #[error("a time must be written as in RFC 3339, for example 2026-01-31T23:59:59Z, not as a number")]
    Number,
    #[error("the date or time of day does not exist")]
    NoSuchTime,
    #[error("the second 60 is not accepted; write a leap second as second 59")]
    LeapSecond,
    #[error("a time may have at most 9 decimals")]
    TooManyDecimals,
    #[error("an offset must be between -14:00 and +14:00")]
    OffsetTooLarge,
    #[error("a time must be in the years 1970 to 9999 of UTC")]
    OutOfRange,
}

/// The largest offset from UTC, in minutes: that of Kiribati, and the largest that Athena reads.
const MAX_OFFSET_MINUTES: i64 = 14 * 60;

const MAX_DECIMALS: usize = 9;

const MILLIS_PER_DAY: i64 = 86_400_000;

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    /// 9999-12-31T23:59:59.999Z, the last time with a year of four digits. A ULID reaches further.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Returns `None` after the year 9999.
    #[must_use]
    pub fn from_millis(millis: u64) -> Option<Self> {
        i64::try_from(millis).ok().map(Self).filter(|timestamp| *timestamp <= Self::MAX)
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Returns the whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        self.as_millis() / 1_000
    }

    /// Parses a time. Fractions of a millisecond are cut off.
    ///
    /// # Errors
    /// [`InvalidTimestamp`].
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let malformed = || if is_number(text) { InvalidTimestamp::Number } else { InvalidTimestamp::Malformed };
        let (&date_and_time, rest) = text.as_bytes().split_first_chunk().ok_or_else(malformed)?;
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] =
            date_and_time
        else {
            return Err(malformed());
        };
        let field = |digits: &[u8]| number(digits).ok_or_else(malformed);
        let (year, month, day) = (field(&[y1, y2, y3, y4])?, field(&[m1, m2])?, field(&[d1, d2])?);
        let (hour, minute, second) = (field(&[h1, h2])?, field(&[n1, n2])?, field(&[s1, s2])?);
        let (millisecond, offset) = split_fraction(rest)?;
        let offset_minutes = offset_minutes(offset)?;
        if hour > 23 || minute > 59 || second > 60 {
            return Err(InvalidTimestamp::NoSuchTime);
        }
        if second == 60 {
            return Err(InvalidTimestamp::LeapSecond);
        }
        let days = days_since_epoch(year, month, day).ok_or(InvalidTimestamp::NoSuchTime)?;
        let minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
        let timestamp = Self((minutes * 60 + second) * 1_000 + millisecond);
        if (Self::EPOCH..=Self::MAX).contains(&timestamp) { Ok(timestamp) } else { Err(InvalidTimestamp::OutOfRange) }
    }

    /// Returns the later time, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis).min(Self::MAX.0))
    }

    /// Returns the earlier time, at least the epoch.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis).max(0))
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }

    /// Returns the last multiple of `step` since the epoch that is not after this time. UTC days start at multiples of 24 h.
    #[must_use]
    pub fn floor_to(self, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        Self(self.0 - self.0 % step)
    }

    /// Returns the number of UTC days since 1970-01-01.
    #[must_use]
    pub fn utc_day(self) -> u64 {
        self.as_seconds() / 86_400
    }

    /// Returns the UTC day as `YYYY-MM-DD`.
    #[must_use]
    pub fn utc_date(self) -> String {
        self.to_string().chars().take("YYYY-MM-DD".len()).collect()
    }
}

/// Returns the value of a text of digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Returns whether the text looks like seconds or milliseconds since the epoch.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Splits the text after the seconds into milliseconds and offset.
fn split_fraction(text: &[u8]) -> Result<(i64, &[u8]), InvalidTimestamp> {
    let Some(fraction) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        0 => Err(InvalidTimestamp::Malformed),
        1..=MAX_DECIMALS => {
            let (digits, offset) = fraction.split_at(digits);
            let millisecond =
                digits.iter().chain(b"00").take(3).fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
            Ok((millisecond, offset))
        }
        _ => Err(InvalidTimestamp::TooManyDecimals),
    }
}

fn offset_minutes(text: &[u8]) -> Result<i64, InvalidTimestamp> {
    let (sign, [h1, h2, b':', m1, m2]) = (match text {
        [b'Z' | b'z'] => return Ok(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return Err(InvalidTimestamp::Malformed),
    }) else {
        return Err(InvalidTimestamp::Malformed);
    };
    let hours = number(&[*h1, *h2]).ok_or(InvalidTimestamp::Malformed)?;
    let minutes = number(&[*m1, *m2]).ok_or(InvalidTimestamp::Malformed)?;
    let offset = hours * 60 + minutes;
    if minutes < 60 && offset <= MAX_OFFSET_MINUTES { Ok(sign * offset) } else { Err(InvalidTimestamp::OffsetTooLarge) }
}

/// Returns the days of the Gregorian calendar since the epoch. `None`: the day does not exist. Years start in March here, so
/// that a leap day is the last day of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last_day = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last_day).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_of_years = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From March on, the lengths of the months repeat: 31, 30, 31, 30, 31 days.
    let days_of_months = (153 * month + 2) / 5;
    Some(days_of_years + days_of_months + day - 1 - EPOCH_DAY)
}

/// The days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// Returns year, month and day of the Gregorian calendar, for a day from 1970 on.
fn date(days_since_epoch: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = days_since_epoch + EPOCH_DAY;
    let (four_centuries, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // Subtracts the leap days before it: of every 4 years, but not of every 100, and of the last of 400.
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_OF_400_YEARS - 1)) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = four_centuries * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / MILLIS_PER_DAY);
        let millis = self.0 % MILLIS_PER_DAY;
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, millisecond) = (millis / 1_000 % 60, millis % 1_000);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_has_three_decimals_and_sorts_like_the_time() {
        let earlier = Timestamp::parse("2026-11-22T01:00:00+01:00").unwrap();
        let later = Timestamp::from_millis(earlier.as_millis() + 1).unwrap();
        assert_eq!(earlier.to_string(), "2026-11-22T00:00:00.000Z");
        assert!(earlier.to_string() < later.to_string());
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(later.utc_date(), "2026-11-22");
    }

    #[test]
    fn a_time_is_written_as_in_rfc_3339() {
        let cases = [
            ("2026-01-31T23:59:59Z", "2026-01-31T23:59:59.000Z"),
            ("2026-01-31t23:59:59z", "2026-01-31T23:59:59.000Z"),
            ("2026-01-31T23:59:59.5Z", "2026-01-31T23:59:59.500Z"),
            ("2026-01-31T23:59:59.04Z", "2026-01-31T23:59:59.040Z"),
            ("2026-01-31T23:59:59.999999999Z", "2026-01-31T23:59:59.999Z"),
            ("2026-01-31T23:59:59+14:00", "2026-01-31T09:59:59.000Z"),
            ("2026-01-31T23:59:59-14:00", "2026-02-01T13:59:59.000Z"),
            ("2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000Z"),
            ("2000-02-29T05:30:00+05:45", "2000-02-28T23:45:00.000Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("1969-12-31T23:00:00-01:00", "1970-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"),
            ("9999-12-31T09:59:59-14:00", "9999-12-31T23:59:59.000Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(Timestamp::parse(text).map(|time| time.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn malformed_times_are_refused_with_the_reason() {
        use InvalidTimestamp::{
            LeapSecond, Malformed, NoSuchTime, Number, OffsetTooLarge, OutOfRange, TooManyDecimals,
        };
        let cases = [
            ("", Malformed),
            ("now", Malformed),
            ("2026-01-31", Malformed),
            ("2026-01-31T23:59Z", Malformed),
            ("2026-01-31T23:59:59", Malformed),
            ("2026-01-31 23:59:59Z", Malformed),
            (" 2026-01-31T23:59:59Z", Malformed),
            ("2026-01-31T23:59:59Z ", Malformed),
            ("20260131T235959Z", Malformed),
            ("2026-W05-6T23:59:59Z", Malformed),
            ("2026-01-31T23:59:59.Z", Malformed),
            ("2026-01-31T23:59:59,5Z", Malformed),
            ("2026-01-31T23:59:59+0100", Malformed),
            ("2026-01-31T23:59:59+01", Malformed),
            ("2026-01-31T23:59:59+01:00Z", Malformed),
            ("2026-01-31T23:59:59Z[UTC]", Malformed),
            ("2026-01-31T23:59:59\u{2212}01:00", Malformed),
            ("+002026-01-31T23:59:59Z", Malformed),
            ("\u{ff12}026-01-31T23:59:59Z", Malformed),
            ("2026-+1-31T23:59:59Z", Malformed),
            ("1700000000", Number),
            ("1700000000123", Number),
            ("1700000000000000000000", Number),
            ("-1.5", Number),
            ("2026-02-29T00:00:00Z", NoSuchTime),
            ("2100-02-29T00:00:00Z", NoSuchTime),
            ("2026-00-01T00:00:00Z", NoSuchTime),
            ("2026-13-01T00:00:00Z", NoSuchTime),
            ("2026-01-00T00:00:00Z", NoSuchTime),
            ("2026-04-31T00:00:00Z", NoSuchTime),
            ("2026-01-31T24:00:00Z", NoSuchTime),
            ("2026-01-31T23:60:00Z", NoSuchTime),
            ("2026-01-31T23:59:61Z", NoSuchTime),
            ("2026-01-31T10:30:60Z", LeapSecond),
            ("2016-12-31T23:59:60Z", LeapSecond),
            ("2026-01-31T23:59:59.1234567890Z", TooManyDecimals),
            ("2026-01-31T23:59:59+14:01", OffsetTooLarge),
            ("2026-01-31T23:59:59-14:01", OffsetTooLarge),
            ("2026-01-31T23:59:59+24:00", OffsetTooLarge),
            ("2026-01-31T23:59:59+25:00", OffsetTooLarge),
            ("2026-01-31T23:59:59+01:60", OffsetTooLarge),
            ("1969-12-31T23:59:59.999Z", OutOfRange),
            ("1970-01-01T00:00:00+00:01", OutOfRange),
            ("9999-12-31T23:59:59-00:01", OutOfRange),
            ("0000-01-01T00:00:00Z", OutOfRange),
        ];
        for (text, expected) in cases {
            assert_eq!(Timestamp::parse(text), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_read_and_written_as_another_library_does(millis in 0..=253_402_207_200_000_u64, offset in -840..=840_i32) {
            let timestamp = Timestamp::from_millis(millis).unwrap();
            let other = jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap();
            prop_assert_eq!(timestamp.to_string(), format!("{other:.3}"));
            let offset = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
            prop_assert_eq!(Timestamp::parse(&other.display_with_offset(offset).to_string()), Ok(timestamp));
        }

        #[test]
        fn every_time_is_read_as_it_is_written(millis in 0..=Timestamp::MAX.as_millis()) {
            let timestamp = Timestamp::from_millis(millis).unwrap();
            prop_assert_eq!(Timestamp::parse(&timestamp.to_string()), Ok(timestamp));
        }
    }

    #[test]
    fn a_day_is_floored_to_its_midnight() {
        let last_millisecond = Timestamp::parse("2026-11-22T23:59:59.999Z").unwrap();
        let day = Duration::from_hours(24);
        assert_eq!(last_millisecond.floor_to(day).to_string(), "2026-11-22T00:00:00.000Z");
    }
}
