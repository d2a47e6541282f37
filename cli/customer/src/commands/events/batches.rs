//! Groups events into requests that the service accepts.

use std::io::{self, BufRead, Write};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use domain::event::MAX_BODY_LENGTH;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::input::{Event, Events, InputError};

/// The longest batch, below the limit of the service.
pub const MAX_BATCH_LENGTH_BYTES: usize = 3 * 1_024 * 1_024;
const _: () = assert!(MAX_BATCH_LENGTH_BYTES < MAX_BODY_LENGTH);

/// The events of one request.
#[derive(Debug)]
pub struct Batch {
    /// The place among the batches of the input, from 1.
    pub number: u64,
    /// The line on which the first event starts, and that of the last event, from 1.
    pub first_line: u64,
    pub last_line: u64,
    /// Bytes of NDJSON.
    pub event_bytes: u64,
    pub body: Vec<u8>,
    pub compressed: bool,
    /// A key derived from the content and its place in the input, so that sending a file again stores no event twice.
    pub idempotency_key: String,
}

impl Batch {
    pub fn compress(self) -> io::Result<Self> {
        // Fast is enough: the service compresses again, with more effort.
        let mut encoder = GzEncoder::new(Vec::with_capacity(self.body.len() / 4), Compression::fast());
        encoder.write_all(&self.body)?;
        Ok(Self { body: encoder.finish()?, compressed: true, ..self })
    }
}

/// Batches of at most `max_events` events and [`MAX_BATCH_LENGTH_BYTES`] of NDJSON. Only one batch is in memory.
pub struct Batches<R> {
    events: Events<R>,
    max_events: u64,
    /// What distinguishes the keys of this input from those of others.
    key_prefix: Vec<u8>,
    number: u64,
    /// The event that did not fit into the previous batch.
    held_back: Option<Event>,
}

impl<R: BufRead> Batches<R> {
    pub fn new(input: R, max_events: u64, key_prefix: Vec<u8>) -> Self {
        Self { events: Events::new(input), max_events: max_events.max(1), key_prefix, number: 0, held_back: None }
    }

    /// Returns the next batch, not compressed, or `None` at the end of the input.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, InputError> {
        let mut body = Vec::new();
        let (mut event_count, mut first_line, mut last_line) = (0, 0, 0);
        while event_count < self.max_events {
            let held_back = self.held_back.take();
            let next = if held_back.is_some() { held_back } else { self.events.next_event()? };
            let Some(event) = next else { break };
            if body.len() + event.json.len() > MAX_BATCH_LENGTH_BYTES {
                self.held_back = Some(event);
                break;
            }
            if event_count == 0 {
                first_line = event.line;
            }
            last_line = event.line;
            body.extend_from_slice(&event.json);
            event_count += 1;
        }
        if event_count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let event_bytes = body.len() as u64;
        let idempotency_key = idempotency_key(&self.key_prefix, self.number, &body);
        let number = self.number;
        Ok(Some(Batch { number, first_line, last_line, event_bytes, body, compressed: false, idempotency_key }))
    }
}

fn idempotency_key(prefix: &[u8], number: u64, lines: &[u8]) -> String {
    let digest = Sha256::new().chain_update(prefix).chain_update(number.to_be_bytes()).chain_update(lines).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn batches(input: &[u8], max_events: u64) -> Vec<Batch> {
        let mut batches = Batches::new(input, max_events, Vec::new());
        std::iter::from_fn(|| batches.next_batch().unwrap()).collect()
    }

    #[test]
    fn events_are_cut_by_number_and_keep_their_place() {
        let cut = batches(b"1\n\n2\n3\n   \n4\n5", 2);
        let seen: Vec<_> = cut.iter().map(|batch| (batch.first_line, batch.last_line, batch.body.as_slice())).collect();
        assert_eq!(seen, [(1, 3, &b"1\n2\n"[..]), (4, 6, b"3\n4\n"), (7, 7, b"5\n")]);
        assert!(batches(b"", 2).is_empty());
        assert!(batches(b"\n\n", 2).is_empty());
        let bodies: Vec<_> = batches(b"[1,\n2, 3]", 2).into_iter().map(|batch| batch.body).collect();
        assert_eq!(bodies, [&b"1\n2\n"[..], b"3\n"]);
    }

    #[test]
    fn a_batch_is_never_longer_than_the_service_takes() {
        let line = [vec![b'x'; 200 * 1_024], vec![b'\n']].concat();
        let cut = batches(&line.repeat(40), 1_000);
        assert_eq!(cut.iter().map(|batch| batch.body.len()).sum::<usize>(), 40 * line.len());
        assert!(cut.iter().all(|batch| batch.body.len() <= MAX_BATCH_LENGTH_BYTES));
        let firsts: Vec<u64> = cut.iter().map(|batch| batch.first_line).collect();
        assert_eq!(firsts, [1, 16, 31]);
    }

    #[test]
    fn the_key_follows_content_place_and_prefix() {
        let keys = |input: &[u8]| batches(input, 1).into_iter().map(|batch| batch.idempotency_key).collect::<Vec<_>>();
        assert_eq!(keys(b"a\na\n"), keys(b"a\na\n"));
        let [first, second] = keys(b"a\na\n").try_into().unwrap();
        assert_ne!(first, second, "equal lines are different events");
        let other = Batches::new(&b"a\n"[..], 1, b"file".to_vec()).next_batch().unwrap().unwrap();
        assert_ne!(first, other.idempotency_key);
    }

    #[test]
    fn compressed_bodies_are_gzip() {
        let batch = batches(b"{}\n", 1).remove(0).compress().unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(batch.body.as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!((plain.as_slice(), batch.event_bytes, batch.compressed), (&b"{}\n"[..], 3, true));
    }
}
