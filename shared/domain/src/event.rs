//! Audit events: parses what a producer sends into the lines that are stored.
//!
//! An event is any JSON object with a string `id` and a string `eventTimestamp` that the readers of the export can read: no
//! object in it has two fields of the same name, and every string is Unicode. The service sets `tenantId` and
//! `receivedTimestamp` at the end of the object, in place of any that were sent. Every other field stays as sent, in its
//! order, numbers and escapes byte for byte; only white space between tokens is removed, so that each event is one line, and
//! `eventTimestamp` gets a `T` and a `Z` in upper case.

mod batch;
mod compact;
mod escape;
mod field;
mod limits;
mod parser;
mod rejection;
mod scanner;

pub use self::{
    batch::EventBatch,
    escape::escaped_code_unit,
    limits::{MAX_BODY_LENGTH, MAX_EVENT_ID_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY, MAX_NESTING_DEPTH},
    parser::{BodyForm, PartialBatch},
    rejection::{RejectedEvents, RejectedPart, Rejection},
};

#[cfg(test)]
pub(crate) mod tests;
