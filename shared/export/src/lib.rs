//! The export engine: what happens between a schedule's firing and files in a customer's bucket.
//!
//! It knows the rules of `domain` and the narrow [`ports`] below; it must never know AWS. So the whole of it runs over
//! simulated ports, with a clock that is not the machine's.

pub mod connection_test;
pub mod dispatch;
mod merge;
mod object;
pub mod ports;
pub mod run;
mod seal;
pub mod upload;

pub use merge::MAX_PAGES;

/// The operation that fails where a block of the events table is not what ingest wrote; an alarm looks for it.
pub const CORRUPT_BLOCK: &str = "read block";
