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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_before_the_point() {
        let shown = ["0", "999", "1000", "1234567.8912"].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567.8912"]);
    }
}
