//! The archive of blocks: moving them to segments, reading them from there, and the rescue of blocks that are not archived in
//! time.
//!
//! The three share nothing but the registry rows: a broken archiver stops neither exports nor the rescue.

mod archiver;
mod reader;
mod rescue;
mod segment;

pub use self::{
    archiver::{ArchiveOutcome, Archiver, ArchiverSettings, COMPARED_LENGTH},
    reader::{ArchivedBlocks, ReaderSettings},
    rescue::{Rescue, RescueOutcome, RescueSettings},
};

#[cfg(test)]
mod tests;
