//! The export engine: what happens between a schedule's firing and files in a customer's bucket.
//!
//! It knows the rules of `domain` and the narrow [`ports`] below; it must never know AWS. So the whole of it runs over
//! simulated ports, with a clock that is not the machine's.

pub mod connection_test;
pub mod dispatch;
mod merge;
pub mod message;
mod object;
pub mod ports;
pub mod retention;
pub mod run;
mod seal;
pub mod sweep;
pub mod upload;

pub use merge::MAX_PAGES;

/// How often a process tries to change what all processes share, when others change it at the same time.
const MAX_SHARED_CHANGES: u32 = 4;

/// The field `alarm` of a log line that says that events are past their retention and in no export.
const RETENTION_GAP: &str = "RETENTION_GAP";

/// The field `alarm` of a log line that says that the run before was killed, or stood still for longer than a lease lasts.
const RUN_CRASHED: &str = "RUN_CRASHED";

/// The operation that fails where a block of the events table is not what ingest wrote; an alarm looks for it.
pub const CORRUPT_BLOCK: &str = "read block";
