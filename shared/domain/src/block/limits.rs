//! The limits of blocks: their sizes, and the times of their writes and of their expiry.

use std::time::Duration;

/// The most bytes of NDJSON in one block. Even if nothing of it can be compressed, the block and its attributes stay under
/// the 409,600 bytes that a `DynamoDB` item may have.
pub const MAX_BLOCK_RAW_LENGTH: usize = 320 * 1024;

/// The most bytes of a block's stream: those of an item,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>.
pub const MAX_BLOCK_STORED_LENGTH: usize = 400 * 1024;

/// The most events in one block.
pub const MAX_BLOCK_EVENTS: usize = 2_000;

/// The most time between the stamp in a block's ID and the signing of its write, and between the stamp and the response that
/// reports success. With [`SIGNATURE_LIFETIME`] it bounds how long after its stamp a block can appear.
pub const INGEST_WRITE_BOUND: Duration = Duration::from_secs(20);

/// The time for which AWS accepts the signature of a request (Signature Version 4 in headers: most services document five
/// minutes, and none allows more than fifteen).
pub const SIGNATURE_LIFETIME: Duration = Duration::from_mins(15);

/// The time for which an item is kept after the end of its retention. The window of an export never reaches back beyond the
/// retention, so `DynamoDB`'s deletion of expired items can't change what a retry reads.
pub const EXPIRY_GRACE: Duration = Duration::from_hours(14 * 24);
