//! Splits a stream of lines into requests that the service accepts.

use std::io::{self, BufRead, Read, Write};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::event::{MAX_BODY_LENGTH, MAX_EVENT_LENGTH};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// The longest batch, below the limit of the service.
pub const MAX_BATCH_LENGTH_BYTES: usize = 3 * 1_024 * 1_024;
const _: () = assert!(MAX_BATCH_LENGTH_BYTES < MAX_BODY_LENGTH);
/// The longest event and its line feed.
const MAX_LINE_LENGTH_BYTES: usize = MAX_EVENT_LENGTH + 1;

/// The events of one request.
#[derive(Debug)]
pub struct Batch {
    /// The line number of the first event, from 1.
    pub first_line: u64,
    pub event_count: u64,
    /// Bytes of the input.
    pub input_length: u64,
    pub body: Vec<u8>,
    pub compressed: bool,
    /// A key derived from the content and its place in the input, so that sending a file again stores no event twice.
    pub idempotency_key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("line {line} is longer than 256 KiB, the limit of an event")]
    LineTooLong { line: u64 },
}

/// Batches of at most `max_events` events and [`MAX_BATCH_LENGTH_BYTES`] from NDJSON, without empty lines. Only one batch is
/// in memory.
pub struct Batches<R> {
    input: R,
    max_events: u64,
    compress: bool,
    next_line: u64,
    number: u64,
    /// The line that did not fit into the previous batch.
    held_back: Option<Vec<u8>>,
}

impl<R: BufRead> Batches<R> {
    pub fn new(input: R, max_events: u64, compress: bool) -> Self {
        Self { input, max_events: max_events.max(1), compress, next_line: 1, number: 0, held_back: None }
    }

    /// Returns the next batch, or `None` at the end of the input.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, BatchError> {
        let mut lines = Vec::new();
        let mut event_count = 0;
        let mut first_line = self.next_line;
        while event_count < self.max_events {
            let Some(line) = self.next_event()? else { break };
            if lines.len() + line.len() > MAX_BATCH_LENGTH_BYTES {
                self.held_back = Some(line);
                break;
            }
            if event_count == 0 {
                first_line = self.next_line - 1;
            }
            lines.extend_from_slice(&line);
            event_count += 1;
        }
        if event_count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let input_length = lines.len() as u64;
        let idempotency_key = idempotency_key(self.number, &lines);
        let body = if self.compress { gzip(&lines)? } else { lines };
        Ok(Some(Batch { first_line, event_count, input_length, body, compressed: self.compress, idempotency_key }))
    }

    /// Returns the next line that is not empty, with its line feed.
    fn next_event(&mut self) -> Result<Option<Vec<u8>>, BatchError> {
        if let Some(line) = self.held_back.take() {
            return Ok(Some(line));
        }
        loop {
            let mut line = Vec::new();
            let limit = MAX_LINE_LENGTH_BYTES as u64 + 1;
            if (&mut self.input).take(limit).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if line.len() > MAX_LINE_LENGTH_BYTES {
                return Err(BatchError::LineTooLong { line: self.next_line });
            }
            self.next_line += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            return Ok(Some(line));
        }
    }
}

fn idempotency_key(number: u64, lines: &[u8]) -> String {
    let digest = Sha256::new().chain_update(number.to_be_bytes()).chain_update(lines).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

fn gzip(lines: &[u8]) -> io::Result<Vec<u8>> {
    // Fast is enough: the service compresses again, with more effort.
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
    encoder.write_all(lines)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(input: &[u8], max_events: u64) -> Vec<Batch> {
        let mut batches = Batches::new(input, max_events, false);
        std::iter::from_fn(|| batches.next_batch().unwrap()).collect()
    }

    #[test]
    fn lines_are_cut_by_number_and_keep_their_place() {
        let cut = batches(b"1\n\n2\n3\n   \n4\n5", 2);
        let seen: Vec<_> =
            cut.iter().map(|batch| (batch.first_line, batch.event_count, batch.body.as_slice())).collect();
        assert_eq!(seen, [(1, 2, &b"1\n2\n"[..]), (4, 2, b"3\n4\n"), (7, 1, b"5\n")]);
        assert!(batches(b"", 2).is_empty());
        assert!(batches(b"\n\n", 2).is_empty());
    }

    #[test]
    fn a_batch_is_never_longer_than_the_service_takes() {
        let line = [vec![b'x'; 200 * 1_024], vec![b'\n']].concat();
        let cut = batches(&line.repeat(40), 1_000);
        assert_eq!(cut.iter().map(|batch| batch.event_count).sum::<u64>(), 40);
        assert!(cut.iter().all(|batch| batch.body.len() <= MAX_BATCH_LENGTH_BYTES));
        let firsts: Vec<u64> = cut.iter().map(|batch| batch.first_line).collect();
        assert_eq!(firsts, [1, 16, 31]);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut batches = Batches::new(io::BufReader::new(io::repeat(b'x')), 10, false);
        assert!(matches!(batches.next_batch(), Err(BatchError::LineTooLong { line: 1 })));
    }

    #[test]
    fn the_key_follows_content_and_place() {
        let keys = |input: &[u8]| batches(input, 1).into_iter().map(|batch| batch.idempotency_key).collect::<Vec<_>>();
        assert_eq!(keys(b"a\na\n"), keys(b"a\na\n"));
        let [first, second] = keys(b"a\na\n").try_into().unwrap();
        assert_ne!(first, second, "equal lines are different events");
    }

    #[test]
    fn compressed_bodies_are_gzip() {
        let batch = Batches::new(&b"{}\n"[..], 1, true).next_batch().unwrap().unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(batch.body.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!((plain.as_slice(), batch.input_length), (&b"{}\n"[..], 3));
    }
}
