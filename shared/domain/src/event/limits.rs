//! The limits of events and of the bodies that carry them.

/// The most bytes of one event as stored: one line of NDJSON with the service's two fields and the line feed.
pub const MAX_EVENT_LENGTH: usize = 256 * 1024;

/// The most bytes of one request's body or one message, decompressed: 3.5 MiB.
pub const MAX_BODY_LENGTH: usize = 3_584 * 1024;

/// The most events in one request or message.
pub const MAX_EVENTS_PER_BODY: usize = 10_000;

/// The most bytes of an event's `id` in UTF-8.
pub const MAX_EVENT_ID_LENGTH: usize = 256;

/// The most levels of nested objects and arrays, the event itself included; the limit of most JSON readers.
pub const MAX_NESTING_DEPTH: usize = 128;
