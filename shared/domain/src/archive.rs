//! The archive: blocks are kept in the events table for a short time, and in segments in the service's own bucket for the rest
//! of their retention.
//!
//! docs/SEMANTICS.md argues why nothing can be lost, whatever happens to the archiver.

mod expiry;
mod format;
mod layout;
mod registry;
mod segment;
mod times;

pub use self::{
    expiry::{BlockTerms, InvalidTableDays, MAX_TABLE_DAYS},
    format::{IndexedBlock, InvalidSegment, SegmentIndex, SegmentWriter},
    layout::{ArchiveBehind, BlockLayout, BlockPart},
    registry::{ArchiveRow, ForeignBucket, ImpossibleMarks, REGISTRY_SHARDS, RegistryShard, segment_partition},
    segment::{
        DAY_CLASSES, DayClass, MAX_SEGMENT_BLOCKS, SEGMENT_LENGTH, SegmentReference, TenantSegments, segment_key,
    },
    times::ArchiveTimes,
};

#[cfg(test)]
mod tests;
