//! The objects that an encoder makes of blocks.

use bytes::Bytes;
use zlib_rs::crc32::crc32_combine;

use crate::{
    block::StoredBlock,
    event_filter::{FilteredLines, event_times},
    ocsf::Class,
    time::Timestamp,
};

/// A finished object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedObject {
    pub bytes: Bytes,
    pub content: Content,
    /// The records in it. `None`: the format is not one of OCSF.
    pub records: Option<OcsfRecords>,
}

/// The records of OCSF in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OcsfRecords {
    pub class: Class,
    /// The number of those whose action no rule knows.
    pub other: u64,
}

/// The content of an object: its events as NDJSON, whatever the object's format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The length of the NDJSON in bytes.
    pub raw_length: u64,
    /// The CRC-32 of the NDJSON.
    pub crc32: u32,
    pub event_count: u64,
    /// The earliest `eventTimestamp`.
    pub oldest_event: Timestamp,
    /// The latest `eventTimestamp`.
    pub newest_event: Timestamp,
}

/// No events.
impl Default for Content {
    fn default() -> Self {
        Self { raw_length: 0, crc32: 0, event_count: 0, oldest_event: Timestamp::MAX, newest_event: Timestamp::EPOCH }
    }
}

impl Content {
    /// Adds a block whose events are all in the object.
    pub fn add(&mut self, block: &StoredBlock) {
        let raw_length = u64::from(block.raw_length);
        self.crc32 = crc32_combine(self.crc32, block.crc32, raw_length);
        self.raw_length += raw_length;
        self.event_count += u64::from(block.event_count);
        self.oldest_event = self.oldest_event.min(block.oldest_event);
        self.newest_event = self.newest_event.max(block.newest_event);
    }

    /// Adds a block of which only the lines that pass a filter are in the object.
    pub fn add_filtered(&mut self, block: &StoredBlock, filtered: &FilteredLines<'_>) {
        let lines = &*filtered.lines;
        if filtered.left_out == 0 {
            return self.add(block);
        }
        if lines.is_empty() {
            return;
        }
        let raw_length = lines.len() as u64;
        self.crc32 = crc32_combine(self.crc32, crc_fast::crc32_iso_hdlc(lines), raw_length);
        self.raw_length += raw_length;
        self.event_count += u64::from(block.event_count).saturating_sub(filtered.left_out);
        let (oldest, newest) = event_times(lines).unwrap_or((block.oldest_event, block.newest_event));
        self.oldest_event = self.oldest_event.min(oldest);
        self.newest_event = self.newest_event.max(newest);
    }

    /// Adds the line of an event, with its line feed, if other events of its block are in other objects.
    pub fn add_line(&mut self, line: &[u8], event_time: Timestamp) {
        self.crc32 = zlib_rs::crc32::crc32(self.crc32, line);
        self.raw_length += line.len() as u64;
        self.event_count += 1;
        self.oldest_event = self.oldest_event.min(event_time);
        self.newest_event = self.newest_event.max(event_time);
    }
}
