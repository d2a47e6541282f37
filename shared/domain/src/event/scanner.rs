//! Reads a usual event in one pass over its bytes: checks the JSON, and copies it without white space.
//!
//! It accepts fewer events than [`super::parser`] and makes the same of those it accepts. What it doesn't accept says nothing
//! about the reason: the parser reads that again, accepts it or finds the fault.

use std::borrow::Cow;

use super::{
    compact::{Names, Object, has_lone_surrogate, is_whitespace, unescaped},
    escape::escaped_code_unit,
    limits::MAX_NESTING_DEPTH,
};

/// A string literal of valid JSON, quotes included.
#[derive(Clone, Copy)]
pub(super) struct Literal<'body> {
    pub(super) raw: &'body str,
    has_escapes: bool,
}

impl<'body> Literal<'body> {
    /// Returns the string as the name of a field.
    pub(super) fn name(self) -> Option<Cow<'body, str>> {
        if self.has_escapes {
            unescaped(self.raw).ok()
        } else {
            self.raw.get(1..self.raw.len().saturating_sub(1)).map(Cow::Borrowed)
        }
    }
}

/// A position in a body. Every method returns `None` for what is not valid or not usual; the position has no meaning then.
pub(super) struct Scanner<'body> {
    body: &'body str,
    position: usize,
    /// The start of what was read and not copied.
    copied: usize,
}

impl<'body> Scanner<'body> {
    pub(super) fn new(body: &'body str) -> Self {
        Self { body, position: 0, copied: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position == self.body.len()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.position).copied()
    }

    fn rest(&self) -> &'body [u8] {
        self.body.as_bytes().get(self.position..).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    /// Reads exactly this byte.
    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    pub(super) fn skip_whitespace(&mut self) {
        while self.peek().is_some_and(is_whitespace) {
            self.position += 1;
        }
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Option<Literal<'body>> {
        let start = self.position;
        let mut has_escapes = false;
        self.expect(b'"')?;
        loop {
            self.position += plain_length(self.rest());
            match self.peek()? {
                b'"' => break,
                b'\\' => has_escapes = true,
                // A control character.
                _ => return None,
            }
            self.escape()?;
        }
        self.position += 1;
        Some(Literal { raw: self.body.get(start..self.position)?, has_escapes })
    }

    fn escape(&mut self) -> Option<()> {
        let rest = self.rest();
        self.position += match rest.get(1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' => escaped_code_unit(rest).map(|_| 6)?,
            _ => return None,
        };
        Some(())
    }

    /// Reads a value that is inside `depth` objects and arrays, and appends it to `text` without white space.
    pub(super) fn copy_value(&mut self, text: &mut Vec<u8>, names: &mut Names<'body>, depth: usize) -> Option<()> {
        self.copied = self.position;
        self.value(text, names, depth)?;
        self.flush(text);
        Some(())
    }

    fn value(&mut self, text: &mut Vec<u8>, names: &mut Names<'body>, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => {
                let literal = self.string()?;
                (!literal.has_escapes || !has_lone_surrogate(literal.raw.as_bytes())).then_some(())
            }
            b'{' => self.object(text, names, depth),
            b'[' => self.array(text, names, depth),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, text: &mut Vec<u8>, names: &mut Names<'body>, depth: usize) -> Option<()> {
        let mut object = Object::inside(names);
        self.open(text, depth)?;
        if self.peek()? == b'}' {
            self.position += 1;
            return Some(());
        }
        loop {
            object.add(names, self.string()?.name()?).ok()?;
            self.gap(text);
            self.expect(b':')?;
            self.gap(text);
            self.value(text, names, depth + 1)?;
            self.gap(text);
            match self.next()? {
                b',' => self.gap(text),
                b'}' => return object.end(names).ok(),
                _ => return None,
            }
        }
    }

    fn array(&mut self, text: &mut Vec<u8>, names: &mut Names<'body>, depth: usize) -> Option<()> {
        self.open(text, depth)?;
        if self.peek()? == b']' {
            self.position += 1;
            return Some(());
        }
        loop {
            self.value(text, names, depth + 1)?;
            self.gap(text);
            match self.next()? {
                b',' => self.gap(text),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the bracket of a container that is inside `depth` others.
    fn open(&mut self, text: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.position += 1;
        self.gap(text);
        (depth < MAX_NESTING_DEPTH).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.position += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then_some(())?;
        self.skip_digits();
        Some(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest().starts_with(word.as_bytes()).then_some(())?;
        self.position += word.len();
        Some(())
    }

    /// Skips white space between tokens, and copies what is before it.
    fn gap(&mut self, text: &mut Vec<u8>) {
        if self.peek().is_some_and(is_whitespace) {
            self.flush(text);
            self.skip_whitespace();
            self.copied = self.position;
        }
    }

    fn flush(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.body.as_bytes().get(self.copied..self.position).unwrap_or_default());
    }
}

/// Returns a word of eight bytes that are all `byte`.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Returns the number of bytes before the first that is special in a string: quotation mark, backslash, control character.
fn plain_length(bytes: &[u8]) -> usize {
    // Sets the high bit of each byte below the bound, at least up to the first one.
    let below = |word: u64, bound: u8| word.wrapping_sub(eight(bound)) & !word;
    let mut length = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let special = below(word ^ eight(b'"'), 1) | below(word ^ eight(b'\\'), 1) | below(word, 0x20);
        let special = special & eight(0x80);
        if special != 0 {
            // At most 7.
            return length + usize::try_from(special.trailing_zeros() / 8).unwrap_or_default();
        }
        length += 8;
    }
    length + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_plain_bytes_of_a_string_are_counted(bytes in proptest::collection::vec(any::<u8>(), 0..40), plain in "[ -~é]{0,40}") {
            let slowly = |bytes: &[u8]| {
                bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(bytes.len())
            };
            for bytes in [bytes.clone(), plain.as_bytes().to_vec(), [plain.as_bytes(), &bytes].concat()] {
                prop_assert_eq!(plain_length(&bytes), slowly(&bytes));
            }
        }
    }
}
