//! A run of [`with_role`], for tests of this crate and of crates that store or show runs (feature `test-support`).

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use super::{Checkpoint, Plan, PlanLimits, Window, WindowId, WindowRecord};
use crate::{
    block::BlockId,
    configuration::test_support::with_role,
    digest::{DigestObject, DigestReference, Hex32},
    gzip::EncoderVersion,
    time::Timestamp,
};

const WINDOW_MINUTES: u64 = 120;

/// Returns the time this number of minutes after the first window begins.
fn minute(number: u64) -> Timestamp {
    Timestamp::parse("2026-11-22T00:00:00Z").unwrap().saturating_add(Duration::from_mins(number))
}

#[must_use]
pub fn plan() -> Plan {
    Plan {
        destination: with_role().destination,
        encoder_version: EncoderVersion::CURRENT.number(),
        filter: None,
        ocsf: None,
        limits: PlanLimits::CURRENT,
    }
}

/// Returns a window of two hours that begins where the previous one ends. Nothing is delivered yet.
#[must_use]
pub fn window(sequence: u64) -> Window {
    let (from, to) = (WINDOW_MINUTES * sequence, WINDOW_MINUTES * (sequence + 1));
    Window {
        id: WindowId { sequence, revision: 0 },
        from: BlockId::lowest_at(minute(from)),
        to: BlockId::lowest_at(minute(to)),
        gap: None,
        skipped: Vec::new(),
        started_at: minute(to + 20),
        plan: plan(),
        checkpoint: Checkpoint::default(),
        attempts: 3,
    }
}

/// Returns the record of [`window`], which held nothing.
#[must_use]
pub fn record(sequence: u64) -> WindowRecord {
    let (from, to) = (WINDOW_MINUTES * sequence, WINDOW_MINUTES * (sequence + 1));
    WindowRecord {
        sequence,
        revision: 0,
        from: minute(from),
        to: minute(to),
        gap: None,
        skipped: Vec::new(),
        started_at: minute(to + 20),
        ended_at: minute(to + 21),
        delivered: Checkpoint::default(),
        attempts: 2,
    }
}

/// Returns an object of the first window, with five events in ten blocks.
#[must_use]
pub fn object(number: u64) -> DigestObject {
    let received_at = minute(0);
    DigestObject {
        bucket: with_role().destination.bucket_name,
        key: format!("{number:04}.ndjson.gz"),
        sha256: Hex32([1; 32]),
        stored_length: 50,
        crc32: 0,
        raw_length: 500,
        events: 5,
        first_block: BlockId::from_parts(received_at, u128::from(10 * number)),
        last_block: BlockId::from_parts(received_at, u128::from(10 * number + 9)),
        oldest_event: received_at,
        newest_event: received_at,
        class: None,
        other: None,
    }
}

/// Returns the checkpoint after the first `objects` objects.
#[must_use]
pub fn delivered(objects: u64) -> Checkpoint {
    Checkpoint {
        last_block: objects.checked_sub(1).map(|last| object(last).last_block),
        objects,
        blocks: 10 * objects,
        events: 5 * objects,
        left_out: 0,
        raw_bytes: 500 * objects,
        stored_bytes: 50 * objects,
    }
}

/// Returns the reference of the digest of [`window`].
#[must_use]
pub fn digest_reference(sequence: u64) -> DigestReference {
    DigestReference {
        bucket: with_role().destination.bucket_name,
        key: format!("digest-{sequence}"),
        sha256: Hex32([2; 32]),
        signature_sha256: Hex32([3; 32]),
    }
}
