//! The table of audit events: how a block becomes an item, and who writes, reads and counts it.

pub mod backlog;
pub mod item;
pub mod quota;
pub mod reader;
pub mod writer;
