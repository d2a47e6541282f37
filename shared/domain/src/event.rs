//! Audit events: from what a producer sends to the lines that are stored.
//!
//! An event is any JSON object with a string `id` and a string `eventTimestamp` that the readers of the export can read: no
//! object in it has two fields of the same name, and every text is Unicode. The service sets `tenantId` and
//! `receivedTimestamp` itself, at the end of the object, in place of any that were sent. Every other field stays as it
//! came, in its order, numbers and escapes byte for byte; only white space between tokens goes, so that each event is
//! one line, and `eventTimestamp` gets a `T` and a `Z` in upper case.

mod compact;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use self::compact::{Compactor, is_whitespace, unescaped};
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
        "The event's field \"eventTimestamp\" is not valid: {0}. Give the time of the event as text, for example \"2026-01-31T23:59:59.123Z\"."
    )]
    TimestampInvalid(InvalidTimestamp),
    #[error(
        "The event has more than {MAX_EVENT_LENGTH} bytes as one line with \"tenantId\" and \"receivedTimestamp\"; shorten it or split it."
    )]
    TooLarge,
    #[error("The event nests objects and arrays deeper than {MAX_NESTING_DEPTH} levels; flatten it.")]
    NestedTooDeeply,
    /// The name is the event's data, which has no place in a log: the text leaves it out.
    #[error("An object in the event, or the event itself, has two fields of the same name; send each field once.")]
    FieldDuplicated(Box<str>),
    #[error(
        "The event has a text or a field name with an escape from \\ud800 to \\udfff that is half of a surrogate pair, which stands for no character; send both halves or \\ufffd."
    )]
    TextInvalid,
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
            Self::TimestampInvalid(_) => ErrorCode::EventTimestampInvalid,
            Self::TooLarge => ErrorCode::EventTooLarge,
            Self::NestedTooDeeply => ErrorCode::EventNestedTooDeeply,
            Self::FieldDuplicated(_) => ErrorCode::EventFieldDuplicated,
            Self::TextInvalid => ErrorCode::EventTextInvalid,
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

/// Builds a batch. Used as a [`DeserializeSeed`] for one event.
struct Parser<'body> {
    batch: EventBatch,
    compactor: Compactor<'body>,
    /// The most bytes of an event before its stamp.
    max_open_length: usize,
    /// Why the event that was just read is refused; the JSON reader's own error can carry only text.
    rejection: Option<Rejection>,
}

impl<'body> Parser<'body> {
    fn new(tenant: TenantId, body_length: usize) -> Self {
        let max_open_length = MAX_EVENT_LENGTH.saturating_sub(stamp_length(&tenant));
        let mut batch = EventBatch::new(tenant);
        batch.text.reserve(body_length);
        Self { batch, compactor: Compactor::default(), max_open_length, rejection: None }
    }

    fn array(mut self, text: &'body str) -> Result<EventBatch, RejectedEvents> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outcome = reader.deserialize_seq(ArrayVisitor(&mut self)).and_then(|()| reader.end());
        match outcome {
            Ok(()) if self.batch.is_empty() => Err(Rejection::BodyEmpty.of_body()),
            Ok(()) => Ok(self.batch),
            Err(error) => Err(self.rejected(&error, None)),
        }
    }

    fn lines(mut self, text: &'body str) -> Result<EventBatch, RejectedEvents> {
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

    fn single(mut self, text: &'body str) -> Result<EventBatch, RejectedEvents> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outcome = (&mut self).deserialize(&mut reader).and_then(|()| reader.end());
        outcome.map_err(|error| self.rejected(&error, None))?;
        Ok(self.batch)
    }

    /// Classifies the reader's error. The event at fault is the one after those that were taken.
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
    fn event<A: MapAccess<'body>>(&mut self, mut fields: A) -> Result<(), A::Error> {
        if self.batch.events.len() == MAX_EVENTS_PER_BODY {
            return Err(self.reject(Rejection::TooManyEvents));
        }
        let mut special = SpecialFields::default();
        let start = self.batch.text.len();
        self.batch.text.push(b'{');
        self.compactor.start_event();
        while let Some(key) = fields.next_key::<&RawValue>()? {
            let value = fields.next_value::<&RawValue>()?;
            self.field(&mut special, start, key.get(), value.get()).map_err(|rejection| self.reject(rejection))?;
        }
        let timestamp = self.compactor.end_event().and_then(|()| special.finish());
        let timestamp = timestamp.map_err(|rejection| self.reject(rejection))?;
        self.batch.events.push(OpenEvent { end: self.batch.text.len(), timestamp });
        Ok(())
    }

    /// Appends one field to the event that starts at `start`, unless the service sets it.
    fn field(
        &mut self,
        special: &mut SpecialFields,
        start: usize,
        key: &'body str,
        value: &'body str,
    ) -> Result<(), Rejection> {
        let name = unescaped(key)?;
        let treatment = special.take(&name, value)?;
        self.compactor.add_event_name(name)?;
        let text = &mut self.batch.text;
        if matches!(treatment, Treatment::Drop) {
            return Ok(());
        }
        if text.len() > start + 1 {
            text.push(b',');
        }
        text.extend_from_slice(key.as_bytes());
        text.push(b':');
        match treatment {
            Treatment::Rewrite(value) => text.extend_from_slice(value.as_bytes()),
            Treatment::Keep | Treatment::Drop => self.compactor.append(text, value)?,
        }
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

impl<'de> DeserializeSeed<'de> for &mut Parser<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Parser<'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        self.event(fields)
    }
}

struct ArrayVisitor<'parser, 'body>(&'parser mut Parser<'body>);

impl<'de> Visitor<'de> for ArrayVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while events.next_element_seed(&mut *self.0)?.is_some() {}
        Ok(())
    }
}

/// What becomes of a field that was sent.
enum Treatment {
    /// It is stored as it came.
    Keep,
    /// The service sets it.
    Drop,
    /// This JSON is stored as its value.
    Rewrite(String),
}

/// The fields of an event that the service knows.
#[derive(Default)]
struct SpecialFields {
    has_id: bool,
    event_timestamp: Option<Timestamp>,
}

impl SpecialFields {
    /// Checks one field.
    fn take(&mut self, name: &str, raw_value: &str) -> Result<Treatment, Rejection> {
        match name {
            ID => {
                self.has_id = true;
                check_id(raw_value)?;
                Ok(Treatment::Keep)
            }
            EVENT_TIMESTAMP => {
                let (timestamp, treatment) = event_timestamp(raw_value)?;
                self.event_timestamp = Some(timestamp);
                Ok(treatment)
            }
            TENANT_ID | RECEIVED_TIMESTAMP => Ok(Treatment::Drop),
            _ => Ok(Treatment::Keep),
        }
    }

    fn finish(self) -> Result<Timestamp, Rejection> {
        if self.has_id { self.event_timestamp.ok_or(Rejection::TimestampMissing) } else { Err(Rejection::IdMissing) }
    }
}

fn check_id(raw_value: &str) -> Result<(), Rejection> {
    if !raw_value.starts_with('"') {
        return Err(Rejection::IdInvalid);
    }
    let length = unescaped(raw_value)?.len();
    if (1..=MAX_EVENT_ID_LENGTH).contains(&length) { Ok(()) } else { Err(Rejection::IdInvalid) }
}

/// The time, and how it is stored: readers of the export know no `t` and `z` in lower case.
fn event_timestamp(raw_value: &str) -> Result<(Timestamp, Treatment), Rejection> {
    if !raw_value.starts_with('"') {
        let is_number = raw_value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let reason = if is_number { InvalidTimestamp::Number } else { InvalidTimestamp::Malformed };
        return Err(Rejection::TimestampInvalid(reason));
    }
    let text = unescaped(raw_value)?;
    let timestamp = Timestamp::parse(&text).map_err(Rejection::TimestampInvalid)?;
    // No character of a time has to be escaped, and the two letters are the only ones.
    let is_plain = text.len() + 2 == raw_value.len() && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let treatment =
        if is_plain { Treatment::Keep } else { Treatment::Rewrite(format!("\"{}\"", text.to_ascii_uppercase())) };
    Ok((timestamp, treatment))
}

#[cfg(test)]
mod tests;
