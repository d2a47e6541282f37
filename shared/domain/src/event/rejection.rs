//! The reasons why events are refused.

use super::limits::{MAX_BODY_LENGTH, MAX_EVENT_ID_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY, MAX_NESTING_DEPTH};
use crate::{error_code::ErrorCode, time::InvalidTimestamp};

/// The fault of a body, or of its first faulty event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RejectedEvents {
    pub reason: Rejection,
    /// The index of the faulty event, from zero. `None`: the body as a whole is faulty.
    pub event_index: Option<usize>,
    /// The line on which that event starts, from one. Only for NDJSON.
    pub line: Option<usize>,
}

/// The events that are left out of a body whose other events are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPart {
    /// At least one.
    pub count: usize,
    /// The fault of the first of them.
    pub first: RejectedEvents,
}

/// The fault of a body or an event, in words that say what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("The body contains no event; send at least one.")]
    BodyEmpty,
    #[error(
        "The body has more than {MAX_BODY_LENGTH} bytes after decompression; send the events in several smaller requests."
    )]
    BodyTooLarge,
    #[error(
        "The body is not a JSON array; wrap the events in [ and ], or send one event per line as application/x-ndjson."
    )]
    BodyNotAnArray,
    #[error("The body is not valid JSON in UTF-8: {0}.")]
    JsonInvalid(String),
    #[error("The body contains more than {MAX_EVENTS_PER_BODY} events; send them in several smaller requests.")]
    TooManyEvents,
    #[error("The event is not a JSON object; send every event as an object, in NDJSON each on its own line.")]
    NotAnObject,
    #[error("The event has no field \"id\"; add a unique ID.")]
    IdMissing,
    #[error("The event's field \"id\" must be a string of 1 to {MAX_EVENT_ID_LENGTH} bytes.")]
    IdInvalid,
    #[error(
        "The event has no field \"eventTimestamp\"; add the time of the event, for example 2026-01-31T23:59:59.123Z."
    )]
    TimestampMissing,
    #[error(
        "The event's field \"eventTimestamp\" is not valid: {0}. Write the time of the event as a string, for example \"2026-01-31T23:59:59.123Z\"."
    )]
    TimestampInvalid(InvalidTimestamp),
    #[error(
        "The event has more than {MAX_EVENT_LENGTH} bytes as one line with \"tenantId\" and \"receivedTimestamp\"; shorten it or split it."
    )]
    TooLarge,
    #[error("The event nests objects and arrays deeper than {MAX_NESTING_DEPTH} levels; flatten it.")]
    NestedTooDeeply,
    /// The name is part of the event's data, which must not be logged: the text leaves it out.
    #[error("An object in the event, or the event itself, has two fields of the same name; send each field once.")]
    FieldDuplicated(Box<str>),
    #[error(
        "The event has a string or a field name with an escape from \\ud800 to \\udfff that is half of a surrogate pair, which is not a character; send both halves or \\ufffd."
    )]
    TextInvalid,
}

impl Rejection {
    /// Returns the stable code of the API.
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

    /// Returns whether only the size is wrong.
    #[must_use]
    pub fn is_about_size(&self) -> bool {
        matches!(self, Self::BodyTooLarge | Self::TooManyEvents | Self::TooLarge)
    }

    pub(super) fn of_body(self) -> RejectedEvents {
        RejectedEvents { reason: self, event_index: None, line: None }
    }
}
