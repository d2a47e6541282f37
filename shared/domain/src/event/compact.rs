//! Copies the values of an event without the white space between their tokens, and checks them for what a JSON reader accepts
//! but readers of the export don't.
//!
//! The JSON itself is valid already. In addition, no string may hold half of a surrogate pair, and no object may have two
//! fields of the same name.

use std::{borrow::Cow, ops::Range};

use super::{escape::escaped_code_unit, limits::MAX_NESTING_DEPTH, rejection::Rejection};

/// The number of names of an object up to which each is compared with the previous ones. More are sorted when the object
/// ends.
const MAX_NAMES_COMPARED: usize = 24;

/// The names of the fields of all open objects, unescaped; those of the event first.
pub(super) type Names<'body> = Vec<Cow<'body, str>>;

/// A copier of the values of one event after the other.
#[derive(Default)]
pub(super) struct Compactor<'body> {
    pub(super) names: Names<'body>,
    event: Object,
    /// The open objects and arrays of the value that is being copied.
    open: Vec<Container>,
}

#[derive(Clone, Copy)]
enum Container {
    Object(Object),
    Array,
}

/// An object that is being read.
#[derive(Clone, Copy, Default)]
pub(super) struct Object {
    /// The index of its first name in [`Compactor::names`].
    start: usize,
    /// A bit for each [`bucket`] of its names.
    buckets: u64,
    /// True if there may be equal names that were not compared.
    is_unsure: bool,
}

impl<'body> Compactor<'body> {
    /// Resets the state for the next event.
    pub(super) fn start_event(&mut self) {
        self.names.clear();
        self.open.clear();
        self.event = Object::default();
    }

    /// Adds the name of a field of the event itself.
    pub(super) fn add_event_name(&mut self, name: Cow<'body, str>) -> Result<(), Rejection> {
        self.event.add(&mut self.names, name)
    }

    /// Checks the names of the event itself.
    pub(super) fn end_event(&mut self) -> Result<(), Rejection> {
        self.event.end(&mut self.names)
    }

    /// Appends a value of the event.
    pub(super) fn append(&mut self, text: &mut Vec<u8>, json: &'body str) -> Result<(), Rejection> {
        let bytes = json.as_bytes();
        match bytes.first() {
            Some(b'{' | b'[') => self.append_container(text, json),
            Some(b'"') if bytes.contains(&b'\\') && has_lone_surrogate(bytes) => Err(Rejection::TextInvalid),
            // Only objects and arrays have white space between tokens.
            _ => {
                text.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn append_container(&mut self, text: &mut Vec<u8>, json: &'body str) -> Result<(), Rejection> {
        let bytes = json.as_bytes();
        let mut is_name_next = false;
        let mut copied = 0;
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            match byte {
                b'"' => {
                    let literal = Literal::at_start(bytes.get(position..).unwrap_or_default());
                    let end = position + literal.length;
                    if is_name_next && let Some(Container::Object(object)) = self.open.last_mut() {
                        let name = unescaped(json.get(position..end).unwrap_or_default())?;
                        object.add(&mut self.names, name)?;
                    } else if literal.has_escapes && has_lone_surrogate(bytes.get(position..end).unwrap_or_default()) {
                        return Err(Rejection::TextInvalid);
                    }
                    is_name_next = false;
                    position = end - 1;
                }
                b'{' => {
                    self.open(Container::Object(Object::inside(&self.names)))?;
                    is_name_next = true;
                }
                b'[' => self.open(Container::Array)?,
                b'}' | b']' => {
                    if let Some(Container::Object(object)) = self.open.pop() {
                        object.end(&mut self.names)?;
                    }
                    is_name_next = false;
                }
                b',' => is_name_next = matches!(self.open.last(), Some(Container::Object(_))),
                byte if is_whitespace(*byte) => {
                    append_range(text, bytes, copied..position);
                    copied = position + 1;
                }
                _ => {}
            }
            position += 1;
        }
        append_range(text, bytes, copied..bytes.len());
        Ok(())
    }

    fn open(&mut self, container: Container) -> Result<(), Rejection> {
        self.open.push(container);
        // The event is the outermost level.
        if self.open.len() < MAX_NESTING_DEPTH { Ok(()) } else { Err(Rejection::NestedTooDeeply) }
    }
}

impl Object {
    /// Returns an object without names yet, inside those with these names.
    pub(super) fn inside(names: &Names<'_>) -> Self {
        Self { start: names.len(), ..Self::default() }
    }

    /// Appends a name. The last names are those of this object.
    pub(super) fn add<'body>(&mut self, names: &mut Names<'body>, name: Cow<'body, str>) -> Result<(), Rejection> {
        let bucket = 1 << bucket(name.as_bytes());
        if self.buckets & bucket != 0 {
            let earlier = names.get(self.start..).unwrap_or_default();
            if earlier.len() >= MAX_NAMES_COMPARED {
                self.is_unsure = true;
            } else if earlier.contains(&name) {
                return Err(duplicated(&name));
            }
        }
        self.buckets |= bucket;
        names.push(name);
        Ok(())
    }

    /// Checks the object's names that were not compared, and removes all of its names.
    pub(super) fn end(self, names: &mut Names<'_>) -> Result<(), Rejection> {
        if self.is_unsure {
            let own = names.get_mut(self.start..).unwrap_or_default();
            own.sort_unstable();
            if let Some([name, _]) = own.array_windows().find(|[one, other]| one == other) {
                return Err(duplicated(name));
            }
        }
        names.truncate(self.start);
        Ok(())
    }
}

/// Returns one of 64 buckets. Equal names are in the same bucket.
fn bucket(name: &[u8]) -> usize {
    let byte = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    (name.len() * 17 + byte(name.first()) * 5 + byte(name.last())) % 64
}

fn duplicated(name: &str) -> Rejection {
    Rejection::FieldDuplicated(name.into())
}

/// Returns whether the byte is white space of JSON.
pub(super) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Returns the string of a literal.
///
/// # Errors
/// [`Rejection::TextInvalid`] for half of a surrogate pair.
pub(super) fn unescaped(literal: &str) -> Result<Cow<'_, str>, Rejection> {
    if literal.as_bytes().contains(&b'\\') {
        serde_json::from_str(literal).map(Cow::Owned).map_err(|_| Rejection::TextInvalid)
    } else {
        Ok(Cow::Borrowed(literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default()))
    }
}

fn append_range(text: &mut Vec<u8>, json: &[u8], range: Range<usize>) {
    text.extend_from_slice(json.get(range).unwrap_or_default());
}

/// The properties of a string literal.
struct Literal {
    /// The length in bytes, quotes included.
    length: usize,
    has_escapes: bool,
}

impl Literal {
    /// Returns the literal at the start of valid JSON.
    fn at_start(json: &[u8]) -> Self {
        let mut literal = Self { length: 1, has_escapes: false };
        loop {
            let rest = json.get(literal.length..).unwrap_or_default();
            match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
                Some(position) if rest.get(position) == Some(&b'"') => {
                    literal.length += position + 1;
                    return literal;
                }
                Some(position) => {
                    literal.length += position + 2;
                    literal.has_escapes = true;
                }
                None => {
                    literal.length = json.len();
                    return literal;
                }
            }
        }
    }
}

/// Returns whether a valid string literal escapes one half of a surrogate pair without the other.
pub(super) fn has_lone_surrogate(literal: &[u8]) -> bool {
    let mut rest = literal;
    while let Some(escape) = rest.iter().position(|byte| *byte == b'\\') {
        rest = rest.get(escape..).unwrap_or_default();
        rest = match escaped_code_unit(rest) {
            Some((0xd800..=0xdbff, after)) => match escaped_code_unit(after) {
                Some((0xdc00..=0xdfff, after)) => after,
                _ => return true,
            },
            Some((0xdc00..=0xdfff, _)) => return true,
            Some((_, after)) => after,
            // An escape with one letter.
            None => rest.get(2..).unwrap_or_default(),
        };
    }
    false
}
