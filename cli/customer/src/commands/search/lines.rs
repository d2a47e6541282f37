//! The lines of an object, in the format of its name.

use std::io::{self, BufRead, BufReader, Read, Take};

use columnar::EventLines;
use domain::digest::DigestObject;
use flate2::{Crc, bufread::GzDecoder};
use verification::ProvenObject;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::commands::place::{Format, UnsupportedFormat};

/// Bytes of one read.
const BUFFER_LENGTH: usize = 256 * 1_024;

/// The reason why the lines of an object can't be read.
#[derive(Debug)]
pub enum LinesError {
    Unsupported(UnsupportedFormat),
    /// The content is not the one that the digest describes.
    Mismatch(String),
}

/// The lines of an object, inflated as they are read. At the end they are compared with the digest.
pub struct Lines<'a> {
    object: &'a DigestObject,
    /// Ends one byte after the length that the digest names.
    raw: Take<BufReader<Box<dyn Read + 'a>>>,
    line: Vec<u8>,
    crc: Crc,
    length: u64,
    count: u64,
}

impl<'a> Lines<'a> {
    pub fn of(proven: &'a ProvenObject) -> Result<Self, LinesError> {
        let raw: Box<dyn Read + 'a> = match Format::of(&proven.name).map_err(LinesError::Unsupported)? {
            Format::NdjsonGzip => Box::new(GzDecoder::new(proven.bytes.as_slice())),
            Format::NdjsonZstd => {
                Box::new(ZstdDecoder::with_buffer(proven.bytes.as_slice()).map_err(|error| not_inflated(&error))?)
            }
            Format::Parquet => Box::new(EventLines::of(&proven.bytes).map_err(|error| not_inflated(&error))?),
        };
        let raw = BufReader::with_capacity(BUFFER_LENGTH, raw).take(proven.object.raw_length.saturating_add(1));
        Ok(Self { object: &proven.object, raw, line: Vec::new(), crc: Crc::new(), length: 0, count: 0 })
    }

    /// Returns the next line without its line feed, or `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LinesError> {
        self.line.clear();
        let read = self.raw.read_until(b'\n', &mut self.line);
        read.map_err(|error| not_inflated(&error))?;
        if self.line.is_empty() {
            return self.compare().map(|()| None);
        }
        self.crc.update(&self.line);
        self.length += self.line.len() as u64;
        if self.line.pop_if(|last| *last == b'\n').is_none() {
            return Err(LinesError::Mismatch("its last line has no end".to_owned()));
        }
        self.count += 1;
        Ok(Some(&self.line))
    }

    fn compare(&self) -> Result<(), LinesError> {
        let DigestObject { raw_length, crc32, events, .. } = self.object;
        let detail = if self.length != *raw_length {
            format!("it inflates to {} bytes, its digest says {raw_length}", self.length)
        } else if self.crc.sum() != *crc32 {
            format!("its events have CRC-32 {:08x}, its digest says {crc32:08x}", self.crc.sum())
        } else if self.count != *events {
            format!("it holds {} lines, its digest says {events} events", self.count)
        } else {
            return Ok(());
        };
        Err(LinesError::Mismatch(detail))
    }
}

fn not_inflated(error: &io::Error) -> LinesError {
    LinesError::Mismatch(format!("it can't be inflated: {error}"))
}
