//! The archive of blocks: moving them to segments, reading them from there, and the rescue of blocks that are not archived in
//! time.
//!
//! The three share nothing but the registry rows and their reading: a broken archiver stops neither exports nor the
//! rescue.

mod archiver;
mod reader;
mod registry;
mod rescue;
mod segment;

pub use self::{
    archiver::{ArchiveOutcome, Archiver, ArchiverSettings, COMPARED_LENGTH},
    reader::{ArchivedBlocks, ReaderSettings},
    registry::{MAX_ROW_PAGES, for_each_row},
    rescue::{Rescue, RescueOutcome, RescueSettings},
};

#[cfg(test)]
mod tests;
