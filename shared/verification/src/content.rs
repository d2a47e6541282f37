//! The content of an object: NDJSON, inflated as its bytes arrive, or the lines of a Parquet file, whose records may be those of OCSF.

use std::io::{self, Write};

use columnar::EventLines;
use domain::{
    block::MAX_BLOCK_RAW_LENGTH, digest::DigestObject, encoding::Encoding, event_filter::EventFilter,
    export_format::ExportFormat,
};
use flate2::{Crc, write::GzDecoder};
use zstd::stream::write::Decoder as ZstdDecoder;

use crate::{breaks::BreakCode, export_files::ReadError};

/// A decoder that compares the content of an object with its digest.
pub(crate) struct Content {
    decoder: Decoder,
    failure: Option<io::Error>,
}

enum Decoder {
    Gzip(Box<GzDecoder<Counter>>),
    Zstd(Box<ZstdDecoder<'static, Counter>>),
    /// The bytes of the file: its footer, which comes last, says where the lines are.
    Parquet {
        file: Vec<u8>,
        counter: Box<Counter>,
    },
}

/// A writer that counts what is inflated, and keeps at most one line of it.
struct Counter {
    limit: u64,
    crc: Crc,
    length: u64,
    lines: u64,
    ends_with_line: bool,
    filter: Option<FilterCheck>,
}

/// The comparison of lines with the filter of their digest.
struct FilterCheck {
    filter: EventFilter,
    /// A line whose end has not arrived.
    open_line: Vec<u8>,
    /// The number of the line, from 1.
    line: u64,
    /// The number of the first line that does not pass.
    mismatch: Option<u64>,
}

impl FilterCheck {
    fn new(filter: EventFilter) -> Self {
        Self { filter, open_line: Vec::new(), line: 1, mismatch: None }
    }

    fn push(&mut self, raw: &[u8]) {
        for piece in raw.split_inclusive(|byte| *byte == b'\n') {
            if self.mismatch.is_some() {
                return;
            }
            let is_whole = piece.ends_with(b"\n");
            if is_whole && self.open_line.is_empty() {
                self.check(piece);
                continue;
            }
            self.open_line.extend_from_slice(piece);
            if is_whole {
                let line = std::mem::take(&mut self.open_line);
                self.check(&line);
                self.open_line = line;
                self.open_line.clear();
            } else if self.open_line.len() > MAX_BLOCK_RAW_LENGTH {
                // Longer than any event.
                self.mismatch = Some(self.line);
            }
        }
    }

    fn check(&mut self, line: &[u8]) {
        if !self.filter.matches(line) {
            self.mismatch = Some(self.line);
        }
        self.line += 1;
    }
}

impl Write for Counter {
    fn write(&mut self, raw: &[u8]) -> io::Result<usize> {
        self.length += raw.len() as u64;
        if self.length > self.limit {
            return Err(io::Error::other("it inflates to more than its digest says"));
        }
        self.crc.update(raw);
        #[expect(clippy::naive_bytecount, reason = "as fast as the dependency it asks for: it becomes vector code")]
        let lines = raw.iter().filter(|byte| **byte == b'\n').count();
        self.lines += lines as u64;
        if let Some(filter) = &mut self.filter {
            filter.push(raw);
        }
        if let Some(last) = raw.last() {
            self.ends_with_line = *last == b'\n';
        }
        Ok(raw.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Content {
    /// Creates a decoder that inflates no more than `limit` bytes.
    ///
    /// # Errors
    /// Those of the start of a decoder.
    pub(crate) fn new(encoding: &Encoding, limit: u64) -> Result<Self, ReadError> {
        let filter = encoding.filter.clone().map(FilterCheck::new);
        let counter = Counter { limit, crc: Crc::new(), length: 0, lines: 0, ends_with_line: false, filter };
        let decoder = match encoding.format {
            ExportFormat::NdjsonGzip => Decoder::Gzip(Box::new(GzDecoder::new(counter))),
            ExportFormat::NdjsonZstd => {
                let failed = |error: io::Error| ReadError::Unreadable(format!("the decoder failed to start: {error}"));
                Decoder::Zstd(Box::new(ZstdDecoder::new(counter).map_err(failed)?))
            }
            ExportFormat::Parquet | ExportFormat::OcsfParquet => {
                Decoder::Parquet { file: Vec::new(), counter: Box::new(counter) }
            }
        };
        Ok(Self { decoder, failure: None })
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        if self.failure.is_none() {
            self.failure = match &mut self.decoder {
                Decoder::Gzip(decoder) => decoder.write_all(piece).err(),
                Decoder::Zstd(decoder) => decoder.write_all(piece).err(),
                Decoder::Parquet { file, .. } => {
                    file.extend_from_slice(piece);
                    None
                }
            };
        }
    }

    /// Compares the content with the digest and its filter.
    ///
    /// # Errors
    /// The difference, in words.
    pub(crate) fn compare(self, object: &DigestObject) -> Result<(), (BreakCode, String)> {
        let differs = |detail: String| Err((BreakCode::ContentMismatch, detail));
        let counter = match self.failure {
            Some(failure) => Err(failure),
            None => match self.decoder {
                Decoder::Gzip(decoder) => decoder.finish(),
                Decoder::Zstd(mut decoder) => decoder.flush().map(|()| decoder.into_inner()),
                Decoder::Parquet { file, mut counter } => {
                    EventLines::of(&file).and_then(|mut lines| io::copy(&mut lines, &mut *counter)).map(|_| *counter)
                }
            },
        }
        .map_err(|error| (BreakCode::ContentMismatch, format!("it can't be inflated: {error}")))?;
        let crc32 = counter.crc.sum();
        if counter.length != object.raw_length {
            return differs(format!("it inflates to {} bytes, its digest says {}", counter.length, object.raw_length));
        }
        if crc32 != object.crc32 {
            return differs(format!("its events have CRC-32 {crc32:08x}, its digest says {:08x}", object.crc32));
        }
        if counter.lines != object.events || !counter.ends_with_line {
            return differs(format!(
                "it holds {} whole lines, its digest says {} events",
                counter.lines, object.events
            ));
        }
        match counter.filter.and_then(|filter| filter.mismatch) {
            None => Ok(()),
            Some(line) => Err((BreakCode::FilterMismatch, format!("its line {line} does not pass the filter"))),
        }
    }
}
