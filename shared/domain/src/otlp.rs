//! Log records of OpenTelemetry as audit events: decodes an OTLP export request, and maps each record to an event.
//!
//! docs/PRODUCERS.md has the rules of the mapping. The result is NDJSON, which goes through the same check as events that a
//! producer sends.

mod mapping;
mod message;

use prost::Message;
use serde::de::DeserializeOwned;

pub use self::mapping::{FIELD_PREFIX, MappedEvents, OtlpError};
use self::{
    mapping::Mapping,
    message::{ExportLogsRequest, RequestOutline},
};
use crate::event::MAX_EVENTS_PER_BODY;

/// The encoding of a request, and so of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// Maps the records of a request to events, which are not checked yet. A request without records has no lines.
///
/// # Errors
/// See [`OtlpError`].
pub fn map_logs(body: &[u8], encoding: Encoding) -> Result<MappedEvents, OtlpError> {
    let outline: RequestOutline = decoded(body, encoding)?;
    if outline.largest_count() > MAX_EVENTS_PER_BODY {
        return Err(OtlpError::TooManyRecords);
    }
    let request: ExportLogsRequest = decoded(body, encoding)?;
    let mut mapping = Mapping::default();
    for of_resource in &request.resource_logs {
        for of_scope in &of_resource.scope_logs {
            for record in &of_scope.log_records {
                mapping.add(of_resource.resource.as_ref(), of_scope.scope.as_ref(), record)?;
            }
        }
    }
    Ok(mapping.finish())
}

fn decoded<M: Message + Default + DeserializeOwned>(body: &[u8], encoding: Encoding) -> Result<M, OtlpError> {
    match encoding {
        Encoding::Protobuf => M::decode(body).map_err(|_| OtlpError::Malformed),
        // serde would read an array as the fields of the message.
        Encoding::Json if !body.trim_ascii_start().starts_with(b"{") => Err(OtlpError::Malformed),
        Encoding::Json => serde_json::from_slice(body).map_err(|_| OtlpError::Malformed),
    }
}

#[cfg(test)]
mod tests;
