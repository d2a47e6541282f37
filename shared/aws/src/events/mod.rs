//! The table of audit events: how a block becomes an item, and who writes and reads it.

pub mod item;
pub mod reader;
pub mod writer;
