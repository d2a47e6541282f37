//! The escapes of strings of JSON.

/// Returns the UTF-16 code unit that `json` starts with as `\uXXXX`, and the rest.
#[must_use]
pub fn escaped_code_unit(json: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, after) = json.strip_prefix(b"\\u")?.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))?;
    Some((unit, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_a_code_unit() {
        assert_eq!(escaped_code_unit(b"\\u00e9x"), Some((0xE9, &b"x"[..])));
        assert_eq!(escaped_code_unit(b"\\uD83D\\uDE00"), Some((0xD83D, &b"\\uDE00"[..])));
        for other in ["", "\\n", "\\u12", "\\u+123", "\\u 123", "\\U0041", "u0041"] {
            assert_eq!(escaped_code_unit(other.as_bytes()), None, "{other}");
        }
    }
}
