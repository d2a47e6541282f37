//! The archive: its records in the events table, and its segments in the service's own bucket.

mod item;
pub mod records;
pub mod segments;
