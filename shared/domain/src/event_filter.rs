//! Filters of exports: the events that a configuration exports, by action, actor type and target type.
//!
//! A filter has up to six lists of patterns, and an event is exported if it passes each of them:
//!
//! - a list to include passes an event whose value matches one of its patterns, and no other;
//! - a list to exclude passes every event but one whose value matches one of its patterns.
//!
//! The values are the event's `action`, the `type` of its `actor`, and its `targetType`. Only a text is a value. So an event
//! without the field, or with another type of JSON there, passes a list to exclude and does not pass a list to include:
//! both decide on a definite match only.

mod input;
mod lists;
mod pattern;
mod scan;

use std::{borrow::Cow, fmt, str::FromStr};

use data_encoding::HEXLOWER;
use memchr::memchr;
use serde::{Deserialize, Serialize};

pub use self::{
    input::{MAX_FILTER_LENGTH, MAX_FILTER_VALUE_LENGTH, MAX_FILTER_VALUES, RawFilter, RawLists},
    lists::Lists,
    pattern::Pattern,
};
use self::{
    lists::Condition,
    scan::{Field, Fields, Text},
};
use crate::{
    configuration::field_error::FieldError,
    hex::{self, Hex32, InvalidHex},
    time::Timestamp,
};

/// A filter with at least one pattern, that some event can pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawFilter")]
pub struct EventFilter {
    // In the order of their names, which is that of the canonical text.
    #[serde(skip_serializing_if = "Lists::is_empty")]
    exclude: Lists,
    #[serde(skip_serializing_if = "Lists::is_empty")]
    include: Lists,
}

/// The lines of a block that pass a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilteredLines<'a> {
    /// With their line feeds, in their order. Borrowed if all lines pass.
    pub lines: Cow<'a, [u8]>,
    /// The number of the other lines.
    pub left_out: u64,
}

/// The part of the names of objects that two filters don't share: the first 4 bytes of the SHA-256 of the canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterTag([u8; Self::LENGTH]);

impl FilterTag {
    const LENGTH: usize = 4;
}

impl fmt::Display for FilterTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(formatter)
    }
}

/// Parses the 8 lower-case hexadecimal digits that `Display` writes.
impl FromStr for FilterTag {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text).map(Self)
    }
}

impl EventFilter {
    /// Parses a filter. The order of values and their repetitions don't matter.
    ///
    /// # Errors
    /// Every list that has to change.
    pub fn parse(raw: &RawFilter) -> Result<Self, Vec<FieldError>> {
        let (include, exclude) = input::parse(raw)?;
        Ok(Self { exclude, include })
    }

    #[must_use]
    pub fn exclude(&self) -> &Lists {
        &self.exclude
    }

    #[must_use]
    pub fn include(&self) -> &Lists {
        &self.include
    }

    /// Returns the SHA-256 of the canonical text, which [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn sha256(&self) -> Hex32 {
        Hex32::sha256_of(self.to_string())
    }

    /// Returns the tag of the names of objects of this filter.
    #[must_use]
    pub fn tag(&self) -> FilterTag {
        let mut tag = [0; FilterTag::LENGTH];
        tag.iter_mut().zip(self.sha256().0).for_each(|(own, byte)| *own = byte);
        FilterTag(tag)
    }

    /// Returns whether a stored event passes the filter. `line` is the event's line, with or without its line feed.
    ///
    /// The line is read up to the last field that decides, and its JSON is not checked: that was done before it was stored.
    /// Of a field that occurs twice, which only events of earlier rules have, the first counts.
    #[must_use]
    pub fn matches(&self, line: &[u8]) -> bool {
        let mut open = Condition::of(&self.include, &self.exclude)
            .map(|condition| Some(condition).filter(|condition| condition.is_set()));
        for Field { name, value } in Fields::of(line) {
            let (index, text) = match &*name {
                b"action" => (0, value.text()),
                b"actor" => (1, type_of(value.json())),
                b"targetType" => (2, value.text()),
                _ => continue,
            };
            if let Some(condition) = open.get_mut(index).and_then(Option::take) {
                if !condition.passes(text.as_deref()) {
                    return false;
                }
                if open.iter().all(Option::is_none) {
                    return true;
                }
            }
        }
        open.into_iter().flatten().all(|condition| condition.passes(None))
    }

    /// Returns those of some lines that pass the filter.
    #[must_use]
    pub fn apply<'a>(&self, lines: &'a [u8]) -> FilteredLines<'a> {
        let mut kept = Vec::new();
        let mut left_out = 0;
        // The first byte that is neither copied nor left out.
        let mut start = 0;
        let mut position = 0;
        while let Some(rest) = lines.get(position..).filter(|rest| !rest.is_empty()) {
            let length = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            if !self.matches(rest.get(..length).unwrap_or_default()) {
                kept.extend_from_slice(lines.get(start..position).unwrap_or_default());
                start = position + length;
                left_out += 1;
            }
            position += length;
        }
        if left_out == 0 {
            return FilteredLines { lines: Cow::Borrowed(lines), left_out };
        }
        kept.extend_from_slice(lines.get(start..).unwrap_or_default());
        FilteredLines { lines: Cow::Owned(kept), left_out }
    }
}

/// The filter of a stored text.
impl TryFrom<RawFilter> for EventFilter {
    type Error = String;

    fn try_from(raw: RawFilter) -> Result<Self, String> {
        Self::parse(&raw).map_err(|errors| {
            let sentences = errors.iter().map(|error| format!("{}: {}", error.field, error.message));
            sentences.collect::<Vec<_>>().join(" ")
        })
    }
}

/// Writes the canonical text: JSON without white space, names and patterns in ascending order, and no empty list. No
/// pattern has a character that JSON escapes.
impl fmt::Display for EventFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides = [("exclude", &self.exclude), ("include", &self.include)];
        write_object(formatter, sides.into_iter().filter(|(_, lists)| !lists.is_empty()), |formatter, lists| {
            let lists = lists.named().into_iter().filter(|(_, patterns)| !patterns.is_empty());
            write_object(formatter, lists, |formatter, patterns| {
                for (index, pattern) in patterns.iter().enumerate() {
                    write!(formatter, "{}\"{pattern}\"", if index == 0 { '[' } else { ',' })?;
                }
                formatter.write_str("]")
            })
        })
    }
}

fn write_object<T>(
    formatter: &mut fmt::Formatter<'_>,
    fields: impl Iterator<Item = (&'static str, T)>,
    write_value: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (index, (name, value)) in fields.enumerate() {
        write!(formatter, "{}\"{name}\":", if index == 0 { '{' } else { ',' })?;
        write_value(formatter, value)?;
    }
    formatter.write_str("}")
}

/// Returns the earliest and the latest `eventTimestamp` of some lines. `None`: there is no line, or one without a time, which only
/// events of earlier rules are.
#[must_use]
pub fn event_times(lines: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let mut times = lines.split_inclusive(|byte| *byte == b'\n').map(event_time);
    let first = times.next()??;
    times.try_fold((first, first), |(oldest, newest), time| time.map(|time| (oldest.min(time), newest.max(time))))
}

fn event_time(line: &[u8]) -> Option<Timestamp> {
    let text = Fields::of(line).find(|field| &*field.name == b"eventTimestamp")?.value.text()?;
    Timestamp::parse(str::from_utf8(&text).ok()?).ok()
}

/// Returns the text of `type` of an object.
fn type_of(json: &[u8]) -> Text<'_> {
    Fields::of(json).find(|field| &*field.name == b"type").and_then(|field| field.value.text())
}

#[cfg(test)]
mod tests;
