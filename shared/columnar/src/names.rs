//! The names of the fields of one kind of object, with what they mean.

use crate::{error::Malformed, json::Scanner, written::Written};

/// The fields that are remembered. Objects with more names are rare.
const REMEMBERED: usize = 32;

/// The fields that are expected at a place. Producers write fields in one order, and leave out some.
const EXPECTED: usize = 2;

/// No field.
const NONE: usize = usize::MAX;

/// The names in previous objects of the kind. A name is mostly found by one comparison with what followed the field before it.
#[derive(Debug)]
pub(crate) struct Names<T> {
    known: Vec<Known<T>>,
    /// The places of names in `known` that start an object.
    first: [usize; EXPECTED],
    /// The place of the name before.
    last: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known<T> {
    written: Written,
    meaning: T,
    /// The places of names that come next.
    next: [usize; EXPECTED],
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { known: Vec::new(), first: [NONE; EXPECTED], last: NONE }
    }
}

impl<T: Copy> Names<T> {
    /// Consumes the name of an object's next field, and returns it as it is written, with its meaning. `None` at the end of the
    /// object. `meaning` gets it unescaped, or empty if it is half of a surrogate pair.
    #[inline]
    pub(crate) fn next<'json>(
        &mut self,
        is_first: bool,
        scanner: &mut Scanner<'json>,
        unescaped: &mut Vec<u8>,
        meaning: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<(&'json [u8], T)>, Malformed> {
        let expected =
            if is_first { self.first } else { self.known.get(self.last).map_or([NONE; EXPECTED], |last| last.next) };
        for place in expected {
            if let Some(known) = self.known.get(place)
                && let Some(name) = scanner.take_written(&known.written)
            {
                self.last = place;
                return Ok(Some((name, known.meaning)));
            }
        }
        self.read(is_first, scanner, unescaped, meaning)
    }

    /// Does the same without expecting a name.
    #[inline(never)]
    fn read<'json>(
        &mut self,
        is_first: bool,
        scanner: &mut Scanner<'json>,
        unescaped: &mut Vec<u8>,
        meaning: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<(&'json [u8], T)>, Malformed> {
        if is_first {
            scanner.take(b'{')?;
        }
        if !scanner.next_field(is_first)? {
            return Ok(None);
        }
        let name = scanner.name()?;
        let meaning = meaning(name.text(unescaped).unwrap_or_default());
        self.remember(is_first, Written::new(if is_first { b'{' } else { b',' }, name.raw), meaning);
        Ok(Some((name.raw, meaning)))
    }

    fn remember(&mut self, is_first: bool, written: Option<Written>, meaning: T) {
        let Some(written) = written else {
            self.last = NONE;
            return;
        };
        let found = self.known.iter().position(|known| known.written == written);
        if found.is_none() && self.known.len() == REMEMBERED {
            *self = Self::default();
        }
        let place = found.unwrap_or(self.known.len());
        if found.is_none() {
            self.known.push(Known { written, meaning, next: [NONE; EXPECTED] });
        }
        let expected =
            if is_first { Some(&mut self.first) } else { self.known.get_mut(self.last).map(|last| &mut last.next) };
        if let Some([first, second]) = expected {
            *(if *first == NONE { first } else { second }) = place;
        }
        self.last = place;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::written::WRITTEN_LENGTH;

    /// Reads the fields of an object of numbers.
    fn fields(names: &mut Names<usize>, json: &str) -> Result<Vec<(String, usize)>, Malformed> {
        let (mut scanner, mut scratch) = (Scanner::new(json.as_bytes()), Vec::new());
        let mut fields = Vec::new();
        while let Some((name, meaning)) = names.next(fields.is_empty(), &mut scanner, &mut scratch, <[u8]>::len)? {
            scanner.value()?;
            fields.push((String::from_utf8_lossy(name).into_owned(), meaning));
        }
        scanner.end()?;
        Ok(fields)
    }

    #[test]
    fn a_known_name_is_taken_as_it_is_written() {
        let mut names = Names::default();
        for json in [r#"{"a":1,"bc":2}"#, r#"{"a":1,"\u0062c":2}"#, r#"{"bc":1}"#, r#"{"a" : 1 , "bc" : 2 }"#, "{}"] {
            // What follows makes the text long enough to be compared at once.
            let line = format!("{json}\n{}", "x".repeat(WRITTEN_LENGTH));
            let expected = fields(&mut Names::default(), json).unwrap();
            assert_eq!(fields(&mut names, &line).unwrap(), expected);
            assert_eq!(fields(&mut names, &line).unwrap(), expected);
        }
        for malformed in [r#"{"a":1"bc":2}"#, r#"{"a":1,{"bc":2}"#, r#","a":1}"#, r#"{"a":1,}"#] {
            let line = format!("{malformed}\n{}", "x".repeat(WRITTEN_LENGTH));
            assert!(fields(&mut names, &line).is_err(), "{malformed}");
        }
        assert_eq!(names.known.len(), 4);
    }

    proptest! {
        #[test]
        fn remembered_names_change_nothing(objects in prop::collection::vec(prop::collection::vec("[ab]{0,3}|[c-f]{28,31}|[gh]{6}", 0..9), 1..30)) {
            let mut names = Names::default();
            for object in objects {
                let listed: Vec<String> = object.iter().map(|name| format!("\"{name}\":1")).collect();
                let line = format!("{{{}}}\n{}", listed.join(","), "x".repeat(WRITTEN_LENGTH));
                let expected: Vec<(String, usize)> =
                    object.iter().map(|name| (format!("\"{name}\""), name.len())).collect();
                prop_assert_eq!(fields(&mut names, &line).unwrap(), expected);
                prop_assert!(names.known.len() <= REMEMBERED);
            }
        }
    }
}
