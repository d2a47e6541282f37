//! The sizes and times of export runs.

use std::time::Duration;

use crate::{
    block::{INGEST_WRITE_BOUND, SIGNATURE_LIFETIME},
    digest::MAX_DIGEST_GAPS,
};

/// The stored bytes with which an object ends. An object is assembled in memory, because its name holds its last block; two
/// objects (one being filled, one being uploaded) bound a run's memory.
pub const TARGET_STORED_LENGTH: u64 = 8 * 1024 * 1024;

/// The bytes of raw NDJSON with which an object ends, however well it compresses, so that no reader has to inflate more from
/// one file.
pub const TARGET_RAW_LENGTH: u64 = 256 * 1024 * 1024;

/// The bytes of one part of a multipart upload. An object of at most one part, such as all that end at
/// [`TARGET_STORED_LENGTH`], is put with one request instead of four, and one SHA-256. S3 accepts 5 MiB to 5 GiB:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub const PART_SIZE: u64 = 16 * 1024 * 1024;

/// The duration of a lease that is not renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(90);

/// The interval at which the holder of a lease renews it. Two renewals in a row may fail before the lease ends.
pub const HEARTBEAT: Duration = Duration::from_secs(25);

/// The time that one run works for one configuration before the next message of the queue gets its turn.
pub const SLICE: Duration = Duration::from_mins(2);

/// The most slices of one request: as many as fit into the longest interval, 24 hours. Every slice has to deliver something
/// before it ends, so only an enormous backlog reaches the bound.
pub const MAX_SLICES_PER_SLOT: u32 = 720;
const _: () = assert!(MAX_SLICES_PER_SLOT as u64 * SLICE.as_secs() == 24 * 60 * 60);

/// The most corrupt blocks that one window skips. More of them mean a damaged table, which has to be restored.
pub const MAX_SKIPPED_BLOCKS: usize = 99;
const _: () = assert!(MAX_SKIPPED_BLOCKS as u64 + 1 == MAX_DIGEST_GAPS, "beside the gap of the retention");

/// The most that the exporter's clock may differ from DynamoDB's. AWS keeps both within milliseconds of UTC; this is far more.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);

/// The least time after which no block of an earlier time can appear any more: ingest signs a write within
/// [`INGEST_WRITE_BOUND`] of its stamp, and AWS refuses a request that was signed longer than [`SIGNATURE_LIFETIME`] ago.
/// docs/SEMANTICS.md has the argument.
pub const MIN_SETTLE: Duration = INGEST_WRITE_BOUND.saturating_add(SIGNATURE_LIFETIME).saturating_add(MAX_CLOCK_SKEW);
