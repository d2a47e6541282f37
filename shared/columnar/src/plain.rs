//! The encoding PLAIN of Parquet.

/// The bytes before the values of a page, enough for levels that are all the same.
const SPACE: usize = 16;

/// The values of a page, with space before them: a page with its levels is mostly put together without copying the values.
#[derive(Debug)]
pub(crate) struct PlainValues(Vec<u8>);

impl Default for PlainValues {
    fn default() -> Self {
        Self(vec![0; SPACE])
    }
}

impl PlainValues {
    #[inline]
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        push_plain(&mut self.0, text);
    }

    #[inline]
    pub(crate) fn push_number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len() - SPACE
    }

    /// Keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.0.truncate(SPACE);
    }

    /// Returns the values after what is before them in their page.
    pub(crate) fn after<'page>(&'page mut self, start: &'page mut Vec<u8>) -> &'page [u8] {
        let at = SPACE.checked_sub(start.len());
        if let Some((at, space)) = at.and_then(|at| Some((at, self.0.get_mut(at..SPACE)?))) {
            space.copy_from_slice(start);
            return self.0.get(at..).unwrap_or_default();
        }
        start.extend_from_slice(self.0.get(SPACE..).unwrap_or_default());
        start
    }
}

/// Appends a text in the encoding PLAIN.
#[inline]
pub(crate) fn push_plain(output: &mut Vec<u8>, text: &[u8]) {
    // A text is shorter than its line.
    let length = u32::try_from(text.len()).unwrap_or_default();
    output.extend_from_slice(&length.to_le_bytes());
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_after_the_levels_however_long_these_are() {
        for length in [0, 1, SPACE, SPACE + 1, 100] {
            let mut values = PlainValues::default();
            for number in [7_i64, 8] {
                values.push_number(number);
                values.push_text(b"a");
                assert_eq!(values.len(), 13);
                let expected = [vec![9; length], number.to_le_bytes().into(), b"\x01\0\0\0a".into()].concat();
                assert_eq!(values.after(&mut vec![9; length]), expected);
                values.clear();
            }
        }
    }
}
