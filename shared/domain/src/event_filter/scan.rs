//! A reader of the fields of one JSON object, which builds nothing and skips what is not needed. It is for lines that are
//! valid JSON: of others it returns fewer fields, and never panics.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

/// The unescaped bytes of a text. `None`: there is no text.
pub(super) type Text<'a> = Option<Cow<'a, [u8]>>;

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field<'a> {
    /// Unescaped.
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Value<'a>,
}

/// The JSON of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    json: &'a [u8],
    has_escapes: bool,
}

impl<'a> Value<'a> {
    pub(super) fn json(self) -> &'a [u8] {
        self.json
    }

    /// Returns the text, if the value is one. Half of a surrogate pair, which only events of earlier rules have, is in no text.
    pub(super) fn text(self) -> Text<'a> {
        let inner = self.json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if self.has_escapes {
            let text: String = serde_json::from_slice(self.json).ok()?;
            Some(Cow::Owned(text.into_bytes()))
        } else {
            Some(Cow::Borrowed(inner))
        }
    }
}

/// The fields of an object, in their order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// From the separator before the next field on.
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Returns the fields of the object that `json` begins with. Other values have none.
    pub(super) fn of(json: &'a [u8]) -> Self {
        Self { rest: without_space(json).strip_prefix(b"{").unwrap_or_default() }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = without_space(self.rest);
        let rest = without_space(rest.strip_prefix(b",").unwrap_or(rest));
        let (name, rest) = literal(rest)?;
        let rest = without_space(without_space(rest).strip_prefix(b":")?);
        let (value, rest) = match rest.first()? {
            b'"' => literal(rest)?,
            b'{' => container(rest, b'{', b'}')?,
            b'[' => container(rest, b'[', b']')?,
            _ => scalar(rest)?,
        };
        self.rest = rest;
        // A name that is no text is none of those that are asked for.
        Some(Field { name: name.text().unwrap_or_default(), value })
    }
}

/// Stored lines have no white space between tokens; earlier versions may have kept some.
fn without_space(json: &[u8]) -> &[u8] {
    match json.first() {
        Some(b' ' | b'\t' | b'\n' | b'\r') => json.trim_ascii_start(),
        _ => json,
    }
}

/// Splits off the string that `json` begins with.
fn literal(json: &[u8]) -> Option<(Value<'_>, &[u8])> {
    if json.first() != Some(&b'"') {
        return None;
    }
    let mut length = 1;
    let mut has_escapes = false;
    loop {
        let rest = json.get(length..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        if rest.get(found) == Some(&b'"') {
            let (json, rest) = json.split_at_checked(length + found + 1)?;
            return Some((Value { json, has_escapes }, rest));
        }
        has_escapes = true;
        length += found + 2;
    }
}

/// Splits off the object or array that `json` begins with. In valid JSON, brackets of the other kind are balanced within it.
fn container(json: &[u8], open: u8, close: u8) -> Option<(Value<'_>, &[u8])> {
    let mut length = 0;
    let mut depth = 0_usize;
    loop {
        let rest = json.get(length..)?;
        let found = memchr3(b'"', open, close, rest)?;
        let at = rest.get(found..)?;
        length += found;
        match at.first()? {
            b'"' => length += literal(at)?.0.json.len(),
            byte if *byte == open => {
                depth += 1;
                length += 1;
            }
            _ => {
                depth -= 1;
                length += 1;
                if depth == 0 {
                    let (json, rest) = json.split_at_checked(length)?;
                    return Some((Value { json, has_escapes: false }, rest));
                }
            }
        }
    }
}

/// Splits off the number, `true`, `false` or `null` that `json` begins with.
fn scalar(json: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
    let (json, rest) = json.split_at_checked(json.iter().position(ends)?)?;
    Some((Value { json, has_escapes: false }, rest))
}
