//! Audit events: from what a producer sends to the lines that are stored.
//!
//! An event is any JSON object with a string `id` and a string `eventTimestamp`. The service sets `tenantId` and
//! `receivedTimestamp` itself, at the end of the object, in place of any that were sent. Every other field stays as it
//! came, in its order, numbers and escapes byte for byte; only white space between tokens goes, so that each event is
//! one line.

use std::{fmt, ops::Range};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use crate::{
    error_code::ErrorCode,
    tenant::TenantId,
    time::{InvalidTimestamp, Timestamp},
};

/// The most bytes of one event as stored: one line of NDJSON with the service's two fields and the line feed.
pub const MAX_EVENT_LENGTH: usize = 256 * 1024;

/// The most bytes of one request's body or one message, decompressed: 3.5 MiB.
pub const MAX_BODY_LENGTH: usize = 3_584 * 1024;

/// The most events in one request or message.
pub const MAX_EVENTS_PER_BODY: usize = 10_000;

/// The most bytes of an event's `id` in UTF-8.
pub const MAX_EVENT_ID_LENGTH: usize = 256;

/// How deep objects and arrays may be nested, the event itself counted; the bound that most JSON readers have.
pub const MAX_NESTING_DEPTH: usize = 128;

/// A byte order mark, which Windows programs like to put first. RFC 8259 lets a reader skip it, so one is skipped.
const BYTE_ORDER_MARK: &str = "\u{feff}";

const ID: &str = "id";
const EVENT_TIMESTAMP: &str = "eventTimestamp";
const TENANT_ID: &str = "tenantId";
const RECEIVED_TIMESTAMP: &str = "receivedTimestamp";

/// How events follow each other in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// One JSON array of objects.
    Array,
    /// One object a line; blank lines are skipped.
    Lines,
    /// An array, lines, or one object that may span lines: whichever it is.
    Any,
}

/// Why a body is refused. Nothing of a refused body is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RejectedEvents {
    pub reason: Rejection,
    /// Which event is at fault, from zero. None if the body as a whole is.
    pub event_index: Option<usize>,
    /// On which line, from one, that event starts. Only for [`BodyForm::Lines`].
    pub line: Option<usize>,
}

/// What is wrong with a body or an event, in words that say what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("The body holds no event; send at least one.")]
    BodyEmpty,
    #[error(
        "The body has more than {MAX_BODY_LENGTH} bytes after decompression; send the events in several smaller requests."
    )]
    BodyTooLarge,
    #[error("The body is no JSON array; wrap the events in [ and ], or send one event a line as application/x-ndjson.")]
    BodyNotAnArray,
    #[error("The body is no valid JSON in UTF-8: {0}.")]
    JsonInvalid(String),
    #[error("The body holds more than {MAX_EVENTS_PER_BODY} events; send them in several smaller requests.")]
    TooManyEvents,
    #[error("The event is no JSON object; every event must be one, and as NDJSON each on a line of its own.")]
    NotAnObject,
    #[error("The event has no field \"id\"; give it one that names the event uniquely.")]
    IdMissing,
    #[error("The event's field \"id\" must be a string of 1 to {MAX_EVENT_ID_LENGTH} bytes.")]
    IdInvalid,
    #[error(
        "The event has no field \"eventTimestamp\"; give it the time of the event, for example 2026-01-31T23:59:59.123Z."
    )]
    TimestampMissing,
    #[error(
        "The event's field \"eventTimestamp\" must be a string with a time as in RFC 3339 of the years 1970 to 9999, for example 2026-01-31T23:59:59.123Z."
    )]
    TimestampInvalid,
    #[error(
        "The event has more than {MAX_EVENT_LENGTH} bytes as one line with \"tenantId\" and \"receivedTimestamp\"; shorten it or split it."
    )]
    TooLarge,
    #[error("The event nests objects and arrays deeper than {MAX_NESTING_DEPTH} levels; flatten it.")]
    NestedTooDeeply,
    #[error("The event has the field \"{0}\" twice; send it once.")]
    FieldDuplicated(&'static str),
}

impl Rejection {
    /// The stable code of the API.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BodyEmpty => ErrorCode::BodyEmpty,
            Self::BodyTooLarge => ErrorCode::BodyTooLarge,
            Self::BodyNotAnArray => ErrorCode::BodyNotAnArray,
            Self::JsonInvalid(_) => ErrorCode::JsonInvalid,
            Self::TooManyEvents => ErrorCode::TooManyEvents,
            Self::NotAnObject => ErrorCode::EventNotAnObject,
            Self::IdMissing => ErrorCode::EventIdMissing,
            Self::IdInvalid => ErrorCode::EventIdInvalid,
            Self::TimestampMissing => ErrorCode::EventTimestampMissing,
            Self::TimestampInvalid => ErrorCode::EventTimestampInvalid,
            Self::TooLarge => ErrorCode::EventTooLarge,
            Self::NestedTooDeeply => ErrorCode::EventNestedTooDeeply,
            Self::FieldDuplicated(_) => ErrorCode::EventFieldDuplicated,
        }
    }

    /// Whether it is only the size that is wrong.
    #[must_use]
    pub fn is_about_size(&self) -> bool {
        matches!(self, Self::BodyTooLarge | Self::TooManyEvents | Self::TooLarge)
    }

    fn of_body(self) -> RejectedEvents {
        RejectedEvents { reason: self, event_index: None, line: None }
    }
}

/// Valid events of one tenant, not yet stamped: each a compact JSON object that lacks the service's fields and the
/// closing brace.
#[derive(Clone)]
pub struct EventBatch {
    tenant: TenantId,
    text: Vec<u8>,
    events: Vec<OpenEvent>,
}

#[derive(Clone, Copy)]
struct OpenEvent {
    /// Where in the batch's text it ends; it starts where the one before it ends.
    end: usize,
    timestamp: Timestamp,
}

/// Events are the tenant's data and have no place in a log: only their number is printed.
impl fmt::Debug for EventBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventBatch")
            .field("tenant", &self.tenant)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl EventBatch {
    /// A batch without events.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self { tenant, text: Vec::new(), events: Vec::new() }
    }

    /// Reads every event of a body.
    ///
    /// # Errors
    /// [`RejectedEvents`] for the first fault found; then no event of the body is taken.
    pub fn parse(tenant: TenantId, body: &[u8], form: BodyForm) -> Result<Self, RejectedEvents> {
        if body.len() > MAX_BODY_LENGTH {
            return Err(Rejection::BodyTooLarge.of_body());
        }
        let text = std::str::from_utf8(body)
            .map_err(|error| Rejection::JsonInvalid(format!("byte {} is not UTF-8", error.valid_up_to())).of_body())?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let starts_as_array = text.bytes().find(|byte| !is_whitespace(*byte)).map(|first| first == b'[');
        match (form, starts_as_array) {
            (_, None) => Err(Rejection::BodyEmpty.of_body()),
            (BodyForm::Array, Some(false)) => Err(not_an_array(text)),
            (BodyForm::Array | BodyForm::Any, Some(true)) => Parser::new(tenant, text.len()).array(text),
            (BodyForm::Lines, Some(_)) => Parser::new(tenant, text.len()).lines(text),
            (BodyForm::Any, Some(false)) => Parser::new(tenant.clone(), text.len()).lines(text).or_else(|rejected| {
                // A single object that spans lines fails on its first line.
                let first_line_is_no_object =
                    rejected.event_index == Some(0) && matches!(rejected.reason, Rejection::JsonInvalid(_));
                if first_line_is_no_object {
                    Parser::new(tenant, text.len()).single(text).map_err(|whole| match whole.reason {
                        Rejection::JsonInvalid(_) => rejected,
                        _ => whole,
                    })
                } else {
                    Err(rejected)
                }
            }),
        }
    }

    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Bytes of all lines as stored.
    #[must_use]
    pub fn stored_length(&self) -> usize {
        self.text.len() + self.events.len() * stamp_length(&self.tenant)
    }

    /// Adds the events of another batch of the same tenant behind these.
    pub fn append(&mut self, other: &Self) {
        debug_assert_eq!(self.tenant, other.tenant, "a block holds events of one tenant");
        let offset = self.text.len();
        self.text.extend_from_slice(&other.text);
        self.events
            .extend(other.events.iter().map(|event| OpenEvent { end: event.end + offset, timestamp: event.timestamp }));
    }

    /// Each event without its stamp, and its `eventTimestamp`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Timestamp)> {
        let mut start = 0;
        self.events.iter().map(move |event| {
            let line = self.text.get(start..event.end).unwrap_or_default();
            start = event.end;
            (line, event.timestamp)
        })
    }

    /// What ends each event of this batch when it is stored at `received`: the service's two fields, brace, line feed.
    pub(crate) fn stamp(&self, received: Timestamp) -> String {
        stamp(&self.tenant, received)
    }
}

fn stamp(tenant: &TenantId, received: Timestamp) -> String {
    // A tenant id has no character that JSON escapes.
    format!(",\"{TENANT_ID}\":\"{tenant}\",\"{RECEIVED_TIMESTAMP}\":\"{received}\"}}\n")
}

/// Every time is written with as many characters as any other.
fn stamp_length(tenant: &TenantId) -> usize {
    stamp(tenant, Timestamp::EPOCH).len()
}

fn not_an_array(text: &str) -> RejectedEvents {
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) if error.classify() != Category::Data && !text.trim_start().starts_with('{') => {
            Rejection::JsonInvalid(error.to_string()).of_body()
        }
        _ => Rejection::BodyNotAnArray.of_body(),
    }
}

/// The white space of JSON.
fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Builds a batch. Used as a [`DeserializeSeed`] for one event.
struct Parser {
    batch: EventBatch,
    /// The most bytes of an event before its stamp.
    max_open_length: usize,
    /// Why the event that was just read is refused; the JSON reader's own error can carry only text.
    rejection: Option<Rejection>,
}

impl Parser {
    fn new(tenant: TenantId, body_length: usize) -> Self {
        let max_open_length = MAX_EVENT_LENGTH.saturating_sub(stamp_length(&tenant));
        let mut batch = EventBatch::new(tenant);
        batch.text.reserve(body_length);
        Self { batch, max_open_length, rejection: None }
    }

    fn array(mut self, text: &str) -> Result<EventBatch, RejectedEvents> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outcome = reader.deserialize_seq(ArrayVisitor(&mut self)).and_then(|()| reader.end());
        match outcome {
            Ok(()) if self.batch.is_empty() => Err(Rejection::BodyEmpty.of_body()),
            Ok(()) => Ok(self.batch),
            Err(error) => Err(self.rejected(&error, None)),
        }
    }

    fn lines(mut self, text: &str) -> Result<EventBatch, RejectedEvents> {
        for (index, line) in text.split('\n').enumerate() {
            if line.bytes().all(is_whitespace) {
                continue;
            }
            let mut reader = serde_json::Deserializer::from_str(line);
            let outcome = (&mut self).deserialize(&mut reader).and_then(|()| reader.end());
            outcome.map_err(|error| self.rejected(&error, Some(index + 1)))?;
        }
        Ok(self.batch)
    }

    fn single(mut self, text: &str) -> Result<EventBatch, RejectedEvents> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outcome = (&mut self).deserialize(&mut reader).and_then(|()| reader.end());
        outcome.map_err(|error| self.rejected(&error, None))?;
        Ok(self.batch)
    }

    /// Sorts the reader's error. The event at fault is the one after those that were taken.
    fn rejected(&mut self, error: &serde_json::Error, line: Option<usize>) -> RejectedEvents {
        let event_index = Some(self.batch.events.len());
        let reason = match self.rejection.take() {
            Some(Rejection::TooManyEvents) => return Rejection::TooManyEvents.of_body(),
            Some(rejection) => rejection,
            // The visitor takes maps only, and all that is within them.
            None if error.classify() == Category::Data => Rejection::NotAnObject,
            None if line.is_some() => Rejection::JsonInvalid(without_line(error)),
            None => Rejection::JsonInvalid(error.to_string()),
        };
        RejectedEvents { reason, event_index, line }
    }

    /// Takes one event's fields.
    fn event<'de, A: MapAccess<'de>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        if self.batch.events.len() == MAX_EVENTS_PER_BODY {
            return Err(self.reject(Rejection::TooManyEvents));
        }
        let mut special = SpecialFields::default();
        let start = self.batch.text.len();
        self.batch.text.push(b'{');
        while let Some(key) = fields.next_key::<&RawValue>()? {
            let value = fields.next_value::<&RawValue>()?.get();
            let kept = special.take(key.get(), value).map_err(|rejection| self.reject(rejection))?;
            if kept {
                self.field(start, key.get(), value).map_err(|rejection| self.reject(rejection))?;
            }
        }
        let timestamp = special.finish().map_err(|rejection| self.reject(rejection))?;
        self.batch.events.push(OpenEvent { end: self.batch.text.len(), timestamp });
        Ok(())
    }

    /// Appends one field to the event that starts at `start`.
    fn field(&mut self, start: usize, key: &str, value: &str) -> Result<(), Rejection> {
        let text = &mut self.batch.text;
        if text.len() > start + 1 {
            text.push(b',');
        }
        text.extend_from_slice(key.as_bytes());
        text.push(b':');
        append_compact(text, value.as_bytes())?;
        if text.len() - start > self.max_open_length { Err(Rejection::TooLarge) } else { Ok(()) }
    }

    fn reject<E: serde::de::Error>(&mut self, rejection: Rejection) -> E {
        let error = E::custom(&rejection);
        self.rejection = Some(rejection);
        error
    }
}

/// Without the "line 1" that the reader says of every line it is given alone.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    format!("{} at column {}", text.get(..end).unwrap_or_default(), error.column())
}

impl<'de> DeserializeSeed<'de> for &mut Parser {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Parser {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        self.event(fields)
    }
}

struct ArrayVisitor<'parser>(&'parser mut Parser);

impl<'de> Visitor<'de> for ArrayVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while events.next_element_seed(&mut *self.0)?.is_some() {}
        Ok(())
    }
}

/// The fields of an event that the service knows.
#[derive(Default)]
struct SpecialFields {
    has_id: bool,
    event_timestamp: Option<Timestamp>,
    has_tenant_id: bool,
    has_received_timestamp: bool,
}

impl SpecialFields {
    /// Looks at one field; says whether it is stored as it came.
    fn take(&mut self, raw_key: &str, raw_value: &str) -> Result<bool, Rejection> {
        let unescaped: String;
        let key = if raw_key.contains('\\') {
            // A key that isn't Unicode (half a surrogate pair) is none of ours.
            unescaped = serde_json::from_str(raw_key).unwrap_or_default();
            unescaped.as_str()
        } else {
            raw_key.trim_matches('"')
        };
        match key {
            ID => {
                refuse_second(ID, self.has_id)?;
                self.has_id = true;
                check_id(raw_value)?;
                Ok(true)
            }
            EVENT_TIMESTAMP => {
                refuse_second(EVENT_TIMESTAMP, self.event_timestamp.is_some())?;
                self.event_timestamp = Some(event_timestamp(raw_value)?);
                Ok(true)
            }
            TENANT_ID => {
                refuse_second(TENANT_ID, self.has_tenant_id)?;
                self.has_tenant_id = true;
                Ok(false)
            }
            RECEIVED_TIMESTAMP => {
                refuse_second(RECEIVED_TIMESTAMP, self.has_received_timestamp)?;
                self.has_received_timestamp = true;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn finish(self) -> Result<Timestamp, Rejection> {
        if self.has_id { self.event_timestamp.ok_or(Rejection::TimestampMissing) } else { Err(Rejection::IdMissing) }
    }
}

fn refuse_second(name: &'static str, seen: bool) -> Result<(), Rejection> {
    if seen { Err(Rejection::FieldDuplicated(name)) } else { Ok(()) }
}

fn check_id(raw_value: &str) -> Result<(), Rejection> {
    let length = match string_content(raw_value) {
        Some(content) if content.contains('\\') => {
            serde_json::from_str::<String>(raw_value).map_err(|_| Rejection::IdInvalid)?.len()
        }
        Some(content) => content.len(),
        None => return Err(Rejection::IdInvalid),
    };
    if (1..=MAX_EVENT_ID_LENGTH).contains(&length) { Ok(()) } else { Err(Rejection::IdInvalid) }
}

fn event_timestamp(raw_value: &str) -> Result<Timestamp, Rejection> {
    let content = string_content(raw_value).ok_or(Rejection::TimestampInvalid)?;
    let parsed = if content.contains('\\') {
        let unescaped: String = serde_json::from_str(raw_value).map_err(|_| Rejection::TimestampInvalid)?;
        parse_rfc_3339(&unescaped)
    } else {
        parse_rfc_3339(content)
    };
    parsed.map_err(|_| Rejection::TimestampInvalid)
}

/// What stands between the quotes, escapes and all; `None` for any other value than a string.
fn string_content(raw_value: &str) -> Option<&str> {
    raw_value.strip_prefix('"')?.strip_suffix('"')
}

/// [`Timestamp::parse`] also takes other forms of ISO 8601; readers of the export can count on this one.
fn parse_rfc_3339(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    const DATE_AND_TIME: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    const OFFSET: &[u8] = b"+dd:dd";
    let (date_and_time, rest) = text.as_bytes().split_at_checked(DATE_AND_TIME.len()).ok_or(InvalidTimestamp)?;
    let offset = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits.max(1)..).ok_or(InvalidTimestamp)?
        }
        None => rest,
    };
    let well_formed =
        has_shape(date_and_time, DATE_AND_TIME) && (matches!(offset, b"Z" | b"z") || has_shape(offset, OFFSET));
    if well_formed { Timestamp::parse(text) } else { Err(InvalidTimestamp) }
}

fn has_shape(text: &[u8], shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.iter().zip(shape).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't'),
            b'+' => matches!(byte, b'+' | b'-'),
            other => byte == other,
        })
}

/// Copies valid JSON without the white space between its tokens.
fn append_compact(text: &mut Vec<u8>, json: &[u8]) -> Result<(), Rejection> {
    // Only objects and arrays have room between tokens.
    if !matches!(json.first(), Some(b'{' | b'[')) {
        text.extend_from_slice(json);
        return Ok(());
    }
    // The event is the outermost level.
    let mut depth = 1;
    let mut copied = 0;
    let mut position = 0;
    while let Some(byte) = json.get(position) {
        match byte {
            b'"' => position += string_length(json.get(position..).unwrap_or_default()) - 1,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING_DEPTH {
                    return Err(Rejection::NestedTooDeeply);
                }
            }
            b'}' | b']' => depth -= 1,
            byte if is_whitespace(*byte) => {
                append_range(text, json, copied..position);
                copied = position + 1;
            }
            _ => {}
        }
        position += 1;
    }
    append_range(text, json, copied..json.len());
    Ok(())
}

fn append_range(text: &mut Vec<u8>, json: &[u8], range: Range<usize>) {
    text.extend_from_slice(json.get(range).unwrap_or_default());
}

/// Bytes of the string literal at the start of `json`, quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut escaped = false;
    for (position, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests;
