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

#[cfg(test)]
mod tests {
    use super::*;

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
