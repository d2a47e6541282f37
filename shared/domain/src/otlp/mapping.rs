//! The mapping of one log record to one event.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::message::{AnyValue, KeyValue, LogRecord, Resource, Scope, Value};
use crate::{
    event::{MAX_BODY_LENGTH, MAX_EVENTS_PER_BODY},
    time::Timestamp,
};

/// The prefix of attributes that become fields of the event.
pub const FIELD_PREFIX: &str = "audit.";

/// The attribute with a unique ID of the record:
/// <https://opentelemetry.io/docs/specs/semconv/registry/attributes/log/>.
const RECORD_ID: &str = "log.record.uid";

/// Bytes of a derived ID, before it is written in hexadecimal.
const DERIVED_ID_LENGTH: usize = 16;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The attribute with the session of the user.
const SESSION_ID: &str = "session.id";

/// The attributes of the user who acted.
const ACTOR_FIELDS: [(&str, &[&str]); 2] = [("id", &["user.id", "enduser.id"]), ("name", &["user.name"])];

/// The reason why a request can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    #[error("The body is not an ExportLogsServiceRequest in the encoding that the Content-Type header names.")]
    Malformed,
    #[error(
        "The request has more than {MAX_EVENTS_PER_BODY} log records, resources or scopes; export fewer records at a time."
    )]
    TooManyRecords,
    #[error(
        "The log records have more than {MAX_BODY_LENGTH} bytes as events, each with its resource; export fewer records at a time."
    )]
    TooLarge,
}

/// The events of an export request.
#[derive(Clone, PartialEq, Eq)]
pub struct MappedEvents {
    /// NDJSON, one line for each record in their order.
    pub lines: String,
    pub records: u64,
}

/// Prints only the number of events: their content is the tenant's data, which must not be logged.
impl fmt::Debug for MappedEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MappedEvents").field("records", &self.records).finish_non_exhaustive()
    }
}

/// The events that were mapped so far.
#[derive(Default)]
pub(super) struct Mapping {
    lines: String,
    records: u64,
    /// How often each content was seen: equal records are different events.
    seen: HashMap<[u8; 32], u64>,
}

impl Mapping {
    pub(super) fn add(
        &mut self,
        resource: Option<&Resource>,
        scope: Option<&Scope>,
        record: &LogRecord,
    ) -> Result<(), OtlpError> {
        let fields = fields(resource, scope, record);
        let id = match attribute(record, RECORD_ID).and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
            _ if is_set(record, "id") => None,
            Some(Value::String(id)) => Some(id.clone()),
            _ => Some(self.derived_id(&fields)),
        };
        self.lines.push('{');
        if let Some(id) = id {
            self.lines += "\"id\":";
            self.lines += &json!(id).to_string();
            if !fields.is_empty() {
                self.lines.push(',');
            }
        }
        self.lines += &fields;
        self.lines += "}\n";
        self.records += 1;
        // Checked after each record: the resource is repeated in each.
        if self.lines.len() > MAX_BODY_LENGTH { Err(OtlpError::TooLarge) } else { Ok(()) }
    }

    pub(super) fn finish(self) -> MappedEvents {
        MappedEvents { lines: self.lines, records: self.records }
    }

    /// Returns an ID that follows from the content and the number of equal records before, so a repeated request has the
    /// same IDs.
    fn derived_id(&mut self, fields: &str) -> String {
        let content: [u8; 32] = Sha256::digest(fields).into();
        let earlier = self.seen.entry(content).or_default();
        let hash = Sha256::new().chain_update(content).chain_update(earlier.to_be_bytes()).finalize();
        *earlier += 1;
        HEXLOWER.encode(hash.get(..DERIVED_ID_LENGTH).unwrap_or_default())
    }
}

/// The fields of an object that is being written.
#[derive(Default)]
struct Object(String);

impl Object {
    fn add(&mut self, name: &str, json: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0 += &json!(name).to_string();
        self.0.push(':');
        self.0 += json;
    }

    /// Adds a field unless its value is empty.
    fn add_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.add(name, &json!(text).to_string());
        }
    }

    /// Adds an object unless it is empty.
    fn add_object(&mut self, name: &str, object: &Self) {
        if !object.0.is_empty() {
            self.add(name, &format!("{{{}}}", object.0));
        }
    }

    fn of<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        let mut object = Self::default();
        for attribute in attributes {
            object.add(&attribute.key, &json(attribute.value.as_ref()));
        }
        object
    }
}

/// Returns all fields of the event but a derived `id`.
fn fields(resource: Option<&Resource>, scope: Option<&Scope>, record: &LogRecord) -> String {
    let is_set = |name| is_set(record, name);
    let mut event = Object::default();
    let time = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|time| *time > 0);
    if let Some(time) = time.filter(|_| !is_set("eventTimestamp")) {
        event.add_text("eventTimestamp", &rfc_3339(time));
    }
    if !is_set("action") {
        event.add_text("action", &record.event_name);
    }
    if !is_set("actor") {
        let mut actor = Object::default();
        for (name, sources) in ACTOR_FIELDS {
            if let Some(source) = sources.iter().find_map(|source| attribute(record, source)) {
                actor.add(name, &json(source.value.as_ref()));
            }
        }
        event.add_object("actor", &actor);
    }
    if let Some(session) = attribute(record, SESSION_ID).filter(|_| !is_set("sessionId")) {
        event.add("sessionId", &json(session.value.as_ref()));
    }
    let (own, others): (Vec<_>, Vec<_>) =
        record.attributes.iter().partition(|attribute| attribute.key.starts_with(FIELD_PREFIX));
    for attribute in own {
        event.add(attribute.key.strip_prefix(FIELD_PREFIX).unwrap_or_default(), &json(attribute.value.as_ref()));
    }
    event.add_object("openTelemetry", &rest(resource, scope, record, others));
    event.0
}

/// Returns everything of a record that has no field of its own in the event.
fn rest(resource: Option<&Resource>, scope: Option<&Scope>, record: &LogRecord, attributes: Vec<&KeyValue>) -> Object {
    let mut rest = Object::default();
    if let Some(body) = &record.body {
        rest.add("body", &json(Some(body)));
    }
    rest.add_object("attributes", &Object::of(attributes));
    if let Some(resource) = resource {
        rest.add_object("resource", &Object::of(&resource.attributes));
    }
    if let Some(scope) = scope {
        let mut of_scope = Object::default();
        of_scope.add_text("name", &scope.name);
        of_scope.add_text("version", &scope.version);
        of_scope.add_object("attributes", &Object::of(&scope.attributes));
        rest.add_object("scope", &of_scope);
    }
    // Unless they became fields.
    if is_set(record, "action") {
        rest.add_text("eventName", &record.event_name);
    }
    if is_set(record, "eventTimestamp") && record.time_unix_nano > 0 {
        rest.add_text("timestamp", &rfc_3339(record.time_unix_nano));
    }
    rest.add_text("severityText", &record.severity_text);
    if record.severity_number != 0 {
        rest.add("severityNumber", &record.severity_number.to_string());
    }
    if record.flags != 0 {
        rest.add("flags", &record.flags.to_string());
    }
    rest.add_text("traceId", &HEXLOWER.encode(&record.trace_id));
    rest.add_text("spanId", &HEXLOWER.encode(&record.span_id));
    if record.observed_time_unix_nano > 0 {
        rest.add_text("observedTimestamp", &rfc_3339(record.observed_time_unix_nano));
    }
    if record.dropped_attributes_count > 0 {
        rest.add("droppedAttributesCount", &record.dropped_attributes_count.to_string());
    }
    rest
}

fn attribute<'a>(record: &'a LogRecord, name: &str) -> Option<&'a KeyValue> {
    record.attributes.iter().find(|attribute| attribute.key == name)
}

/// Returns whether an attribute with the prefix sets the field.
fn is_set(record: &LogRecord, field: &str) -> bool {
    record.attributes.iter().any(|attribute| attribute.key.strip_prefix(FIELD_PREFIX) == Some(field))
}

/// Returns a value as JSON. The depth is bounded by the decoders' limits.
fn json(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        None => "null".to_owned(),
        Some(Value::String(text)) => json!(text).to_string(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Double(number)) if number.is_finite() => json!(number).to_string(),
        // As in the JSON form of Protobuf: JSON has no such numbers.
        Some(Value::Double(number)) if number.is_nan() => "\"NaN\"".to_owned(),
        Some(Value::Double(number)) => if *number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }.to_owned(),
        Some(Value::Bytes(bytes)) => json!(BASE64_STANDARD.encode(bytes)).to_string(),
        Some(Value::Array(array)) => {
            let values: Vec<String> = array.values.iter().map(|value| json(Some(value))).collect();
            format!("[{}]", values.join(","))
        }
        Some(Value::List(list)) => format!("{{{}}}", Object::of(&list.values).0),
    }
}

/// Returns a time with all nine decimals.
fn rfc_3339(nanoseconds: u64) -> String {
    // The largest number of nanoseconds is in the year 2554.
    let time = Timestamp::from_millis(nanoseconds / NANOSECONDS_PER_MILLISECOND).unwrap_or(Timestamp::MAX);
    let milliseconds = time.to_string();
    format!("{}{:06}Z", milliseconds.trim_end_matches('Z'), nanoseconds % NANOSECONDS_PER_MILLISECOND)
}
