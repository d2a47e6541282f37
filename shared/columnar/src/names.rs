//! The names of the fields of one kind of object, with what they mean.

use crate::json::{Malformed, Scanner};

/// The fields that are remembered. Longer objects are rare, and may have names of any length.
const REMEMBERED: usize = 32;

/// The names in the previous object of the kind. A producer writes its fields in the same order, so a name is mostly found by
/// one comparison.
#[derive(Debug)]
pub(crate) struct Names<T> {
    /// As they are written, with quotes and colon.
    previous: Vec<(Vec<u8>, T)>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { previous: Vec::new() }
    }
}

impl<T: Copy> Names<T> {
    /// Consumes the name of the field at this position of its object, and returns it as it is written, with its meaning.
    /// `meaning` gets it unescaped, or empty if it is half of a surrogate pair.
    #[inline]
    pub(crate) fn next<'json>(
        &mut self,
        position: usize,
        scanner: &mut Scanner<'json>,
        unescaped: &mut Vec<u8>,
        meaning: impl FnOnce(&[u8]) -> T,
    ) -> Result<(&'json [u8], T), Malformed> {
        if let Some((written, meaning)) = self.previous.get(position)
            && let Some(name) = scanner.take_written(written)
        {
            return Ok((name, *meaning));
        }
        let name = scanner.name()?;
        let meaning = meaning(name.text(unescaped).unwrap_or_default());
        if position < REMEMBERED {
            if self.previous.len() <= position {
                self.previous.push((Vec::new(), meaning));
            }
            if let Some((written, previous)) = self.previous.get_mut(position) {
                written.clear();
                written.extend_from_slice(name.raw);
                written.push(b':');
                *previous = meaning;
            }
        }
        Ok((name.raw, meaning))
    }
}
