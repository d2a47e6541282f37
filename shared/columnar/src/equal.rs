//! The comparison of short texts.

/// Returns whether both are equal. Names and values of dictionaries are mostly shorter than what a call of `memcmp` takes.
#[inline]
pub(crate) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The last chunk overlaps the one before it.
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        let (one, other) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
        return word(*one_end) == word(*other_end)
            && one.iter().zip(other).all(|(one, other)| word(*one) == word(*other));
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[inline]
fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
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
