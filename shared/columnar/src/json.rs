//! A strict scanner of JSON (RFC 8259). It checks every byte, and returns the text of values without building or copying
//! them.

use domain::event::{MAX_NESTING_DEPTH, escaped_code_unit};

use crate::{error::Malformed, written::Written};

/// A value and its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'json> {
    /// The exact text, with the quotes of a string.
    pub(crate) raw: &'json [u8],
    pub(crate) kind: Kind,
}

/// As long as a word: a value with padding is copied in parts that a processor has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    /// A text that is written without escapes.
    Text,
    EscapedText,
    Array,
    Object,
}

impl<'json> Value<'json> {
    /// Returns the Unicode text of a string. `None` for other values, and for half of a surrogate pair.
    #[inline]
    pub(crate) fn text<'text>(&self, unescaped: &'text mut Vec<u8>) -> Option<&'text [u8]>
    where
        'json: 'text,
    {
        match self.kind {
            Kind::Text => self.raw.get(1..self.raw.len() - 1),
            Kind::EscapedText => {
                unescape(self.raw.get(1..self.raw.len() - 1)?, unescaped)?;
                Some(unescaped)
            }
            _ => None,
        }
    }

    /// Returns the digits of a number as they are written, else what [`Self::text`] returns.
    pub(crate) fn text_or_digits<'text>(&self, unescaped: &'text mut Vec<u8>) -> Option<&'text [u8]>
    where
        'json: 'text,
    {
        if self.kind == Kind::Number { Some(self.raw) } else { self.text(unescaped) }
    }
}

/// A position in one JSON text, which ends with its line. The text is UTF-8.
#[derive(Debug)]
pub(crate) struct Scanner<'json> {
    json: &'json [u8],
    at: usize,
}

impl<'json> Scanner<'json> {
    pub(crate) fn new(json: &'json [u8]) -> Self {
        Self { json, at: 0 }
    }

    /// Skips white space, and returns the next byte. At the end, it is a line feed, or 0, which no JSON goes on with.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        loop {
            match self.json.get(self.at) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Consumes the byte that [`Self::peek`] returned.
    #[inline]
    pub(crate) fn take(&mut self, expected: u8) -> Result<(), Malformed> {
        if self.peek() == expected {
            self.at += 1;
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// Checks that nothing but white space is left of the line, and returns its length.
    pub(crate) fn end(&mut self) -> Result<usize, Malformed> {
        self.peek();
        if matches!(self.json.get(self.at), None | Some(b'\n')) { Ok(self.at) } else { Err(self.malformed()) }
    }

    /// Moves to the name of the next field of an object. False at the end of the object.
    #[inline]
    pub(crate) fn next_field(&mut self, is_first: bool) -> Result<bool, Malformed> {
        match self.peek() {
            b'}' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                self.peek();
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.malformed()),
        }
    }

    /// Consumes the name of a field and the colon, and returns the name.
    #[inline]
    pub(crate) fn name(&mut self) -> Result<Value<'json>, Malformed> {
        self.peek();
        let start = self.at;
        let kind = self.string()?;
        let name = Value { raw: self.since(start), kind };
        self.take(b':')?;
        Ok(name)
    }

    /// Consumes the start of a field if it is written like this, and returns the name.
    #[inline]
    pub(crate) fn take_written(&mut self, written: &Written) -> Option<&'json [u8]> {
        let rest = self.json.get(self.at..)?;
        if !written.is_at(*rest.first_chunk()?) {
            return None;
        }
        self.at += written.length();
        rest.get(1..written.length() - 1)
    }

    /// Moves to the next element of an array. False at the end of the array.
    #[inline]
    pub(crate) fn next_element(&mut self, is_first: bool) -> Result<bool, Malformed> {
        match self.peek() {
            b']' => {
                // `[1,]` was refused when its comma was read.
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                if self.peek() == b']' { Err(self.malformed()) } else { Ok(true) }
            }
            _ if is_first => Ok(true),
            _ => Err(self.malformed()),
        }
    }

    /// Consumes a value.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'json>, Malformed> {
        let first = self.peek();
        let start = self.at;
        let kind = match first {
            b'"' => self.string()?,
            b'{' => self.container().map(|()| Kind::Object)?,
            b'[' => self.container().map(|()| Kind::Array)?,
            _ => self.scalar()?,
        };
        Ok(Value { raw: self.since(start), kind })
    }

    /// Consumes an object or an array.
    fn container(&mut self) -> Result<(), Malformed> {
        let mut open = Open::default();
        loop {
            let first = self.peek();
            match first {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    self.at += 1;
                    let is_object = first == b'{';
                    if self.peek() == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        open.push(is_object).ok_or_else(|| self.malformed())?;
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.scalar()?;
                }
            }
            // After a value.
            loop {
                let Some(is_object) = open.top() else { return Ok(()) };
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if is_object => self.at += 1,
                    b']' if !is_object => self.at += 1,
                    _ => return Err(self.malformed()),
                }
                open.pop();
            }
        }
    }

    /// Consumes a string.
    #[inline]
    fn string(&mut self) -> Result<Kind, Malformed> {
        if self.json.get(self.at) != Some(&b'"') {
            return Err(self.malformed());
        }
        self.at += 1;
        if let Some((chunk, _)) = self.json.get(self.at..).and_then(<[u8]>::split_first_chunk) {
            let plain = plain_start(chunk);
            self.at += plain;
            if chunk.get(plain) == Some(&b'"') {
                self.at += 1;
                return Ok(Kind::Text);
            }
        }
        self.rest_of_string()
    }

    /// Consumes what is left of a string.
    #[inline(never)]
    fn rest_of_string(&mut self) -> Result<Kind, Malformed> {
        let mut kind = Kind::Text;
        loop {
            let rest = self.json.get(self.at..).unwrap_or_default();
            let plain = plain_length(rest);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(kind);
                }
                Some(b'\\') => {
                    kind = Kind::EscapedText;
                    self.at += match rest.get(plain + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if escaped_code_unit(rest.get(plain..).unwrap_or_default()).is_some() => 6,
                        _ => return Err(self.malformed()),
                    };
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Consumes a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<Kind, Malformed> {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let (kind, length) = match rest {
            [b'n', b'u', b'l', b'l', ..] => (Kind::Null, 4),
            [b't', b'r', b'u', b'e', ..] => (Kind::Boolean, 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (Kind::Boolean, 5),
            _ => (Kind::Number, number_length(rest).ok_or_else(|| self.malformed())?),
        };
        self.at += length;
        Ok(kind)
    }

    #[inline]
    fn since(&self, start: usize) -> &'json [u8] {
        self.json.get(start..self.at).unwrap_or_default()
    }

    fn malformed(&self) -> Malformed {
        Malformed { position: self.at }
    }
}

/// The open objects and arrays: a bit each, of an object 1.
#[derive(Default)]
struct Open {
    objects: u128,
    depth: usize,
}

const _: () = assert!(MAX_NESTING_DEPTH <= u128::BITS as usize);

impl Open {
    /// `None`: too many are open.
    #[inline]
    fn push(&mut self, is_object: bool) -> Option<()> {
        self.objects = self.objects << 1 | u128::from(is_object);
        self.depth += 1;
        (self.depth <= MAX_NESTING_DEPTH).then_some(())
    }

    #[inline]
    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.objects & 1 == 1)
    }

    #[inline]
    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }
}

/// Returns the number of bytes before the first quote, backslash or control character.
#[inline]
fn plain_length(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks();
    for (number, chunk) in chunks.iter().enumerate() {
        let plain = plain_start(chunk);
        if plain < CHUNK {
            return number * CHUNK + plain;
        }
    }
    let tail = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    chunks.len() * CHUNK + tail.unwrap_or(rest.len())
}

/// The bytes that are looked at at once. Most texts have fewer, and then no branch depends on their length.
const CHUNK: usize = 16;

#[inline]
fn plain_start(chunk: &[u8; CHUNK]) -> usize {
    let low = special_bytes(u64::from_le_bytes(chunk.first_chunk().copied().unwrap_or_default()));
    let high = special_bytes(u64::from_le_bytes(chunk.last_chunk().copied().unwrap_or_default()));
    let (low_at, high_at) = (low.trailing_zeros() as usize / 8, 8 + high.trailing_zeros() as usize / 8);
    if low == 0 { high_at } else { low_at }
}

/// Returns a word whose lowest bit that is set is in the first quote, backslash or control character. (Bits above may be
/// wrong: a subtraction borrows.)
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES * 0x80)
}

/// Returns the length of the JSON number at the start.
fn number_length(json: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let digits = json.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0).then_some(from + digits)
    };
    let start = usize::from(json.first() == Some(&b'-'));
    let mut end = digits(start)?;
    if json.get(start) == Some(&b'0') && end > start + 1 {
        return None;
    }
    if json.get(end) == Some(&b'.') {
        end = digits(end + 1)?;
    }
    if matches!(json.get(end), Some(b'e' | b'E')) {
        let has_sign = matches!(json.get(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(has_sign))?;
    }
    Some(end)
}

/// Replaces `text` by what a string without its quotes means. `None`: half of a surrogate pair.
fn unescape(string: &[u8], text: &mut Vec<u8>) -> Option<()> {
    text.clear();
    let mut rest = string;
    while let Some(plain) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(rest.get(..plain)?);
        rest = rest.get(plain..)?;
        let (character, length) = match rest.get(1)? {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => match escaped_code_unit(rest)? {
                (high @ 0xD800..=0xDBFF, after) => {
                    let (low, _) = escaped_code_unit(after).filter(|(low, _)| (0xDC00..=0xDFFF).contains(low))?;
                    (char::from_u32(0x1_0000 + ((high - 0xD800) << 10 | (low - 0xDC00)))?, 12)
                }
                (unit, _) => (char::from_u32(unit)?, 6),
            },
            other => (char::from(*other), 2),
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(length..)?;
    }
    text.extend_from_slice(rest);
    Some(())
}

#[cfg(test)]
mod tests;
