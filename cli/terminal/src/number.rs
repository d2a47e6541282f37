//! Numbers for people.

/// Separates the digits before the decimal point into groups of three.
#[must_use]
pub fn grouped(number: &str) -> String {
    let (whole, fraction) = number.find('.').map_or((number, ""), |point| number.split_at(point));
    let mut text = String::with_capacity(number.len() + whole.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(fraction);
    text
}

/// Formats a duration by its two largest units: "2d 3h", "3h 20m", "12m 5s", "45s".
#[must_use]
pub fn short_duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = match seconds {
        86_400.. => (format!("{days}d"), (hours % 24, 'h')),
        3_600.. => (format!("{hours}h"), (minutes % 60, 'm')),
        60.. => (format!("{minutes}m"), (seconds % 60, 's')),
        _ => return format!("{seconds}s"),
    };
    match small {
        (0, _) => large,
        (rest, unit) => format!("{large} {rest}{unit}"),
    }
}

/// Parses a number of things: `1000000`, `1,000,000`, `1_000_000`, `1e6`, `2.5e6`, `10k`, `1m` or `1.5b` (thousand, million and
/// billion).
///
/// # Errors
/// It is none of these, has a fraction, or is too large for 64 bits.
pub fn parse_count(text: &str) -> Result<u64, &'static str> {
    let invalid = "give a number such as 1000000, 1e6, 10k or 1m";
    let text = text.to_ascii_lowercase();
    let (mantissa, power) = match (text.split_once('e'), text.char_indices().last()) {
        (Some((mantissa, power)), _) => (mantissa, power.parse::<u32>().map_err(|_| invalid)?),
        (None, Some((end, unit @ ('k' | 'm' | 'b')))) => {
            let power = match unit {
                'k' => 3,
                'm' => 6,
                _ => 9,
            };
            (text.get(..end).unwrap_or_default(), power)
        }
        _ => (text.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.replace([',', '_'], "");
    let fraction = fraction.trim_end_matches('0');
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(&whole) || !is_number(fraction) {
        return Err(invalid);
    }
    let too_large = "the number is too large";
    let digits = u32::try_from(fraction.len()).map_err(|_| too_large)?;
    let zeros = power.checked_sub(digits).ok_or("the number must not have a fraction")?;
    let number: u64 = format!("{whole}{fraction}").parse().map_err(|_| too_large)?;
    10_u64.checked_pow(zeros).and_then(|factor| number.checked_mul(factor)).ok_or(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_given_as_people_write_it() {
        for (text, count) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("1,000,000", 1_000_000),
            ("1_000_000", 1_000_000),
            ("1e6", 1_000_000),
            ("2.5E6", 2_500_000),
            ("10k", 10_000),
            ("1m", 1_000_000),
            ("1.50M", 1_500_000),
            ("1b", 1_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in ["", "k", "e6", "-1", "1e", "1e-6", "1.5", "1.5555k", "1mk", "x", "1 m", "1e20", "1e99", "é"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_has_at_most_two_units() {
        let shown =
            [0, 59, 60, 725, 3_599, 3_600, 3_661, 12_000, 86_400, 90_000, 86_399 + 99 * 86_400].map(short_duration);
        assert_eq!(shown, ["0s", "59s", "1m", "12m 5s", "59m 59s", "1h", "1h 1m", "3h 20m", "1d", "1d 1h", "99d 23h"]);
    }

    #[test]
    fn thousands_are_separated_before_the_point() {
        let shown = ["0", "999", "1000", "1234567.8912"].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567.8912"]);
    }
}
