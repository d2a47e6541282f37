//! The comparison of short texts.

/// Returns whether both are equal. Names and values of dictionaries are mostly shorter than what a call of `memcmp` takes.
#[inline]
pub(crate) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The last chunk overlaps the one before it.
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        return one_end == other_end && have_equal_chunks(one, other);
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return one_end == other_end && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Compares chunks of eight bytes, and not what is left.
#[inline]
fn have_equal_chunks(mut one: &[u8], mut other: &[u8]) -> bool {
    while let (Some((one_chunk, one_rest)), Some((other_chunk, other_rest))) =
        (one.split_first_chunk::<8>(), other.split_first_chunk::<8>())
    {
        if one_chunk != other_chunk {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).collect();
            assert!(is_equal(&text, &text.clone()));
            assert!(!is_equal(&text, &[text.as_slice(), b"x"].concat()));
            for place in 0..text.len() {
                let mut other = text.clone();
                other[place] ^= 1;
                assert!(!is_equal(&text, &other), "{place} of {length}");
            }
        }
    }
}
