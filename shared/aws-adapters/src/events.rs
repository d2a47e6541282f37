//! The table of audit events: how a block becomes an item, and who writes, reads, counts and deletes it.

pub mod backlog;
pub mod eraser;
pub mod item;
mod page;
pub mod quota;
pub mod reader;
pub mod volume;
pub mod writer;
