//! The parser of bodies: reads events from JSON arrays and NDJSON, and checks them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{error::Category, value::RawValue};

use super::{
    batch::{EventBatch, OpenEvent, stamp_length},
    compact::{Compactor, is_whitespace, unescaped},
    field::{EVENT_TIMESTAMP, ID, RECEIVED_TIMESTAMP, TENANT_ID},
    limits::{MAX_BODY_LENGTH, MAX_EVENT_ID_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY},
    rejection::{RejectedEvents, RejectedPart, Rejection},
    scanner::Scanner,
};
use crate::{
    tenant::TenantId,
    time::{InvalidTimestamp, Timestamp},
};

/// A byte order mark, with which Windows programs like to begin. RFC 8259 allows a reader to skip it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The form of the events in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// One JSON array of objects.
    Array,
    /// One object per line; blank lines are skipped.
    Lines,
    /// An array, lines, or one object that may span lines.
    Any,
}

impl EventBatch {
    /// Parses all events of a body.
    ///
    /// # Errors
    /// [`RejectedEvents`] for the first fault. No event of the body is accepted then.
    pub fn parse(tenant: TenantId, body: &[u8], form: BodyForm) -> Result<Self, RejectedEvents> {
        let text = text_of(body)?;
        let starts_as_array = text.bytes().find(|byte| !is_whitespace(*byte)).map(|first| first == b'[');
        match (form, starts_as_array) {
            (_, None) => Err(Rejection::BodyEmpty.of_body()),
            (BodyForm::Array, Some(false)) => Err(not_an_array(text)),
            (BodyForm::Array | BodyForm::Any, Some(true)) => {
                match Parser::new(tenant.clone(), text.len()).usual_array(text) {
                    Some(batch) => Ok(batch),
                    None => Parser::new(tenant, text.len()).array(text),
                }
            }
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
}

/// The valid events of a body, and what was wrong with the others.
#[derive(Debug)]
pub struct PartialBatch {
    /// At least one event.
    pub events: EventBatch,
    pub rejected: Option<RejectedPart>,
}

impl PartialBatch {
    /// Parses the events of NDJSON, and leaves the faulty ones out.
    ///
    /// # Errors
    /// [`RejectedEvents`] for a fault of the body, or for the first event if all are faulty.
    pub fn parse(tenant: TenantId, lines: &[u8]) -> Result<Self, RejectedEvents> {
        let text = text_of(lines)?;
        Parser::new(tenant, text.len()).valid_lines(text)
    }
}

fn text_of(body: &[u8]) -> Result<&str, RejectedEvents> {
    if body.len() > MAX_BODY_LENGTH {
        return Err(Rejection::BodyTooLarge.of_body());
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| Rejection::JsonInvalid(format!("byte {} is not UTF-8", error.valid_up_to())).of_body())?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

fn not_an_array(text: &str) -> RejectedEvents {
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) if error.classify() != Category::Data && !text.trim_start().starts_with('{') => {
            Rejection::JsonInvalid(error.to_string()).of_body()
        }
        _ => Rejection::BodyNotAnArray.of_body(),
    }
}

/// The builder of a batch. It is also the [`DeserializeSeed`] of one event.
struct Parser<'body> {
    batch: EventBatch,
    compactor: Compactor<'body>,
    /// The most bytes of an event before its stamp.
    max_open_length: usize,
    /// The rejection of the current event. The error of the JSON reader can carry only text.
    rejection: Option<Rejection>,
}

impl<'body> Parser<'body> {
    fn new(tenant: TenantId, body_length: usize) -> Self {
        let max_open_length = MAX_EVENT_LENGTH.saturating_sub(stamp_length(&tenant));
        let mut batch = EventBatch::new(tenant);
        batch.text.reserve(body_length);
        Self { batch, compactor: Compactor::default(), max_open_length, rejection: None }
    }

    /// Reads an array of usual events.
    fn usual_array(mut self, text: &'body str) -> Option<EventBatch> {
        let mut scanner = Scanner::new(text);
        scanner.skip_whitespace();
        scanner.expect(b'[')?;
        loop {
            scanner.skip_whitespace();
            self.usual_event(&mut scanner)?;
            scanner.skip_whitespace();
            match scanner.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        scanner.skip_whitespace();
        scanner.is_at_end().then_some(self.batch)
    }

    /// Reads a line with a usual event.
    fn usual_line(&mut self, line: &'body str) -> Option<()> {
        let mut scanner = Scanner::new(line);
        scanner.skip_whitespace();
        self.usual_event(&mut scanner)?;
        scanner.skip_whitespace();
        scanner.is_at_end().then_some(())
    }

    /// Reads an event as [`Parser::event`] does, unless it is faulty or unusual.
    fn usual_event(&mut self, scanner: &mut Scanner<'body>) -> Option<()> {
        if self.batch.events.len() == MAX_EVENTS_PER_BODY {
            return None;
        }
        let mut special = SpecialFields::default();
        let start = self.batch.text.len();
        scanner.expect(b'{')?;
        self.batch.text.push(b'{');
        self.compactor.start_event();
        loop {
            scanner.skip_whitespace();
            let key = scanner.string()?;
            scanner.skip_whitespace();
            scanner.expect(b':')?;
            scanner.skip_whitespace();
            let name = key.name()?;
            if SpecialFields::has(&name) {
                // The values of all these fields are usually strings.
                let value = scanner.string()?;
                self.field(&mut special, start, key.raw, value.raw).ok()?;
            } else {
                self.compactor.add_event_name(name).ok()?;
                let text = &mut self.batch.text;
                append_key(text, start, key.raw);
                scanner.copy_value(text, &mut self.compactor.names, 1)?;
            }
            scanner.skip_whitespace();
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        self.compactor.end_event().ok()?;
        let timestamp = special.finish().ok()?;
        let end = self.batch.text.len();
        (end - start <= self.max_open_length).then_some(())?;
        self.batch.events.push(OpenEvent { end, timestamp });
        Some(())
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
        for (number, line) in numbered_lines(text) {
            self.line(line, number)?;
        }
        Ok(self.batch)
    }

    fn valid_lines(mut self, text: &'body str) -> Result<PartialBatch, RejectedEvents> {
        let mut rejected: Option<RejectedPart> = None;
        for (number, line) in numbered_lines(text) {
            let Err(fault) = self.line(line, number) else { continue };
            if fault.event_index.is_none() {
                // The body is faulty.
                return Err(fault);
            }
            if let Some(rejected) = &mut rejected {
                rejected.count += 1;
            } else {
                // What follows an event on its line is part of the line here.
                let event_index = Some(self.batch.events.len());
                rejected = Some(RejectedPart { count: 1, first: RejectedEvents { event_index, ..fault } });
            }
        }
        match rejected {
            Some(rejected) if self.batch.is_empty() => Err(rejected.first),
            None if self.batch.is_empty() => Err(Rejection::BodyEmpty.of_body()),
            rejected => Ok(PartialBatch { events: self.batch, rejected }),
        }
    }

    /// Reads the event of a line. A faulty one leaves nothing in the batch.
    fn line(&mut self, line: &'body str, number: usize) -> Result<(), RejectedEvents> {
        let (text_length, events) = (self.batch.text.len(), self.batch.events.len());
        if self.usual_line(line).is_some() {
            return Ok(());
        }
        self.batch.text.truncate(text_length);
        self.batch.events.truncate(events);
        let mut reader = serde_json::Deserializer::from_str(line);
        let outcome = (&mut *self).deserialize(&mut reader).and_then(|()| reader.end());
        outcome.map_err(|error| {
            let rejected = self.rejected(&error, Some(number));
            self.batch.text.truncate(text_length);
            self.batch.events.truncate(events);
            rejected
        })
    }

    fn single(mut self, text: &'body str) -> Result<EventBatch, RejectedEvents> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outcome = (&mut self).deserialize(&mut reader).and_then(|()| reader.end());
        outcome.map_err(|error| self.rejected(&error, None))?;
        Ok(self.batch)
    }

    /// Classifies the reader's error. The faulty event is the one after those in the batch.
    fn rejected(&mut self, error: &serde_json::Error, line: Option<usize>) -> RejectedEvents {
        let event_index = Some(self.batch.events.len());
        let reason = match self.rejection.take() {
            Some(Rejection::TooManyEvents) => return Rejection::TooManyEvents.of_body(),
            Some(rejection) => rejection,
            // The visitor accepts maps only, with any content.
            None if error.classify() == Category::Data => Rejection::NotAnObject,
            None if line.is_some() => Rejection::JsonInvalid(without_line(error)),
            None => Rejection::JsonInvalid(error.to_string()),
        };
        RejectedEvents { reason, event_index, line }
    }

    /// Reads the fields of one event.
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

    /// Appends one field to the event that starts at `start`, unless the service sets the field.
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
        append_key(text, start, key);
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

/// Appends the name of a further field of the event that starts at `start`.
fn append_key(text: &mut Vec<u8>, start: usize, key: &str) {
    if text.len() > start + 1 {
        text.push(b',');
    }
    text.extend_from_slice(key.as_bytes());
    text.push(b':');
}

/// Returns the lines that are not blank, each with its number from one.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.split('\n')).filter(|(_, line)| !line.bytes().all(is_whitespace))
}

/// Returns the error without "line 1", which the reader reports for every line that it gets alone.
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

/// The treatment of a field that was sent.
enum Treatment {
    /// The field is stored as sent.
    Keep,
    /// The field is dropped, because the service sets it.
    Drop,
    /// This JSON is stored as the value.
    Rewrite(String),
}

/// The fields of an event that the service knows.
#[derive(Default)]
struct SpecialFields {
    has_id: bool,
    event_timestamp: Option<Timestamp>,
}

impl SpecialFields {
    /// Returns whether the field is one of them.
    fn has(name: &str) -> bool {
        matches!(name, ID | EVENT_TIMESTAMP | TENANT_ID | RECEIVED_TIMESTAMP)
    }

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

/// Returns the time, and the treatment of the field: readers of the export don't accept `t` and `z` in lower case.
fn event_timestamp(raw_value: &str) -> Result<(Timestamp, Treatment), Rejection> {
    if !raw_value.starts_with('"') {
        let is_number = raw_value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let reason = if is_number { InvalidTimestamp::Number } else { InvalidTimestamp::Malformed };
        return Err(Rejection::TimestampInvalid(reason));
    }
    let text = unescaped(raw_value)?;
    let timestamp = Timestamp::parse(&text).map_err(Rejection::TimestampInvalid)?;
    // No character of a time needs an escape, and it has no letters but these two.
    let is_plain = text.len() + 2 == raw_value.len() && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let treatment =
        if is_plain { Treatment::Keep } else { Treatment::Rewrite(format!("\"{}\"", text.to_ascii_uppercase())) };
    Ok((timestamp, treatment))
}

#[cfg(test)]
mod tests;
