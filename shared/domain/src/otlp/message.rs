//! The messages of OTLP that are read, in Protobuf and in JSON:
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/logs/v1/logs.proto>.
//!
//! Own definitions, because the crate `opentelemetry-proto` brings gRPC and the SDK. Unknown fields are ignored, as the
//! protocol requires. In JSON, IDs are hexadecimal: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Everything
//! else is read as the JSON form of Protobuf says (<https://protobuf.dev/programming-guides/json/>): integers are numbers or strings,
//! null is the default, Base64 has either alphabet. The protocol doesn't allow exporters to write the original names of fields or
//! the names of severities. They are read as well: an ignored name would lose events with a 200.

use std::str::FromStr;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost::{Message, Oneof};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};

/// Base64 with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const SEVERITY_PREFIX: &str = "SEVERITY_NUMBER_";

/// The names of severities, each the first of four numbers from 1 on: INFO, INFO2, INFO3, INFO4 are 9 to 12.
const SEVERITIES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ExportLogsRequest {
    #[prost(message, repeated, tag = "1")]
    #[serde(alias = "resource_logs", deserialize_with = "nullable")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(alias = "scope_logs", deserialize_with = "nullable")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "nullable")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    #[serde(alias = "log_records", deserialize_with = "nullable")]
    pub(super) log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "nullable")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "nullable")]
    pub(super) version: String,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "nullable")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(alias = "time_unix_nano", deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    #[serde(alias = "severity_number", deserialize_with = "severity")]
    pub(super) severity_number: i32,
    #[prost(string, tag = "3")]
    #[serde(alias = "severity_text", deserialize_with = "nullable")]
    pub(super) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    #[serde(deserialize_with = "nullable")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")]
    #[serde(alias = "dropped_attributes_count", deserialize_with = "number")]
    pub(super) dropped_attributes_count: u32,
    #[prost(fixed32, tag = "8")]
    #[serde(deserialize_with = "number")]
    pub(super) flags: u32,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(alias = "trace_id", deserialize_with = "hexadecimal")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(alias = "span_id", deserialize_with = "hexadecimal")]
    pub(super) span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    #[serde(alias = "observed_time_unix_nano", deserialize_with = "number")]
    pub(super) observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    #[serde(alias = "event_name", deserialize_with = "nullable")]
    pub(super) event_name: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "nullable")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(from = "Option<JsonValue>")]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    List(KeyValueList),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "nullable")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "nullable")]
    pub(super) values: Vec<KeyValue>,
}

/// The parts of a request that are counted before it is decoded: an empty record has two bytes, and takes a hundred times as much
/// memory.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RequestOutline {
    #[prost(message, repeated, tag = "1")]
    #[serde(alias = "resource_logs", deserialize_with = "nullable")]
    resource_logs: Vec<ResourceOutline>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceOutline {
    #[prost(message, repeated, tag = "2")]
    #[serde(alias = "scope_logs", deserialize_with = "nullable")]
    scope_logs: Vec<ScopeOutline>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScopeOutline {
    #[prost(message, repeated, tag = "2")]
    #[serde(alias = "log_records", deserialize_with = "nullable")]
    log_records: Vec<Skipped>,
}

/// A record that is only counted. It takes no memory.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(from = "IgnoredAny")]
struct Skipped {}

impl From<IgnoredAny> for Skipped {
    fn from(_: IgnoredAny) -> Self {
        Self {}
    }
}

impl RequestOutline {
    /// Returns the number of resources, scopes or records, whichever is the largest.
    pub(super) fn largest_count(&self) -> usize {
        let scopes = || self.resource_logs.iter().flat_map(|of_resource| &of_resource.scope_logs);
        let records = scopes().map(|of_scope| of_scope.log_records.len()).sum();
        self.resource_logs.len().max(scopes().count()).max(records)
    }
}

/// The JSON form of [`AnyValue`], of which one field is present.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "they are the protocol's names")]
struct JsonValue {
    #[serde(alias = "string_value")]
    string_value: Option<String>,
    #[serde(alias = "bool_value")]
    bool_value: Option<bool>,
    #[serde(alias = "int_value")]
    int_value: Option<Integer>,
    #[serde(alias = "double_value")]
    double_value: Option<Double>,
    #[serde(alias = "array_value")]
    array_value: Option<ArrayValue>,
    #[serde(alias = "kvlist_value")]
    kvlist_value: Option<KeyValueList>,
    #[serde(alias = "bytes_value")]
    bytes_value: Option<Base64>,
}

#[derive(Deserialize)]
struct Integer(#[serde(deserialize_with = "number")] i64);

#[derive(Deserialize)]
struct Double(#[serde(deserialize_with = "number")] f64);

struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?.replace('-', "+").replace('_', "/");
        BASE64.decode(text).map(Self).map_err(D::Error::custom)
    }
}

impl From<Option<JsonValue>> for AnyValue {
    fn from(json: Option<JsonValue>) -> Self {
        let json = json.unwrap_or_default();
        let value = json
            .string_value
            .map(Value::String)
            .or_else(|| json.bool_value.map(Value::Bool))
            .or_else(|| json.int_value.map(|Integer(value)| Value::Int(value)))
            .or_else(|| json.double_value.map(|Double(value)| Value::Double(value)))
            .or_else(|| json.array_value.map(Value::Array))
            .or_else(|| json.kvlist_value.map(Value::List))
            .or_else(|| json.bytes_value.map(|Base64(bytes)| Value::Bytes(bytes)));
        Self { value }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<T> {
    Number(T),
    Text(String),
}

fn nullable<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn number<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + FromStr + Default,
    D: Deserializer<'de>,
{
    match Option::deserialize(deserializer)? {
        None => Ok(T::default()),
        Some(NumberOrText::Number(number)) => Ok(number),
        Some(NumberOrText::Text(text)) => text.parse().map_err(|_| D::Error::custom("not a number")),
    }
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    match Option::deserialize(deserializer)? {
        None => Ok(0),
        Some(NumberOrText::Number(number)) => Ok(number),
        Some(NumberOrText::Text(text)) => {
            text.parse().ok().or_else(|| severity_of_name(&text)).ok_or_else(|| D::Error::custom("not a severity"))
        }
    }
}

fn severity_of_name(name: &str) -> Option<i32> {
    let name = name.strip_prefix(SEVERITY_PREFIX)?;
    if name == "UNSPECIFIED" {
        return Some(0);
    }
    let mut digits = [("2", 1), ("3", 2), ("4", 3)].into_iter();
    let numbered = digits.find_map(|(digit, step)| Some((name.strip_suffix(digit)?, step)));
    let (name, step) = numbered.unwrap_or((name, 0));
    let (_, first) = SEVERITIES.iter().zip((1..).step_by(4)).find(|(known, _)| **known == name)?;
    Some(first + step)
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: String = nullable(deserializer)?;
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(D::Error::custom)
}
