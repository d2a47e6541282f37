//! One export run: what is asked for, the window and plan that are fixed before anything is read, and how far it got.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    block::BlockId,
    configuration::{ConfigurationKey, Destination, ExportConfiguration},
    gzip,
    time::Timestamp,
};

/// An object ends with the block that brings its stored bytes to this. An object is assembled in memory, because its
/// name tells its last block; two of them (one being filled, one on its way) bound a run's memory.
pub const TARGET_STORED_LENGTH: u64 = 16 * 1024 * 1024;

/// An object ends with the block that brings its raw NDJSON to this, however well it compresses, so that no reader has
/// to inflate more than this from one file.
pub const TARGET_RAW_LENGTH: u64 = 256 * 1024 * 1024;

/// Bytes of one part of a multipart upload; an object of at most one part is put at once. S3 takes 5 MiB to 5 GiB:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
pub const PART_SIZE: u64 = 8 * 1024 * 1024;

/// How long a lease holds unless it is renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(90);

/// What is sent to the run queue: "export this configuration through that time".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    #[serde(flatten)]
    pub key: ConfigurationKey,
    /// The end of the window, exclusive.
    pub through: Timestamp,
    pub trigger: RunTrigger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunTrigger {
    Schedule,
    Manual,
}

/// Everything about a run that decides which bytes it writes where. Stored before anything is read and never changed, so
/// that every retry writes the same objects, whatever was deployed or edited in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub destination: Destination,
    pub encoder_version: u32,
    /// Bytes; see [`TARGET_STORED_LENGTH`].
    pub target_stored_length: u64,
    /// Bytes; see [`TARGET_RAW_LENGTH`].
    pub target_raw_length: u64,
    /// Bytes; see [`PART_SIZE`].
    pub part_size: u64,
}

impl Plan {
    /// The plan of a run that starts now with this code.
    #[must_use]
    pub fn for_destination(destination: Destination) -> Self {
        Self {
            destination,
            encoder_version: gzip::ENCODER_VERSION,
            target_stored_length: TARGET_STORED_LENGTH,
            target_raw_length: TARGET_RAW_LENGTH,
            part_size: PART_SIZE,
        }
    }
}

/// The blocks of one run: those received in `from..to`, but none from before the retention floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Inclusive: what was exported through when the window was fixed.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Blocks received before it are past their retention, whether they were deleted yet or not.
    pub retention_floor: Timestamp,
    pub started_at: Timestamp,
    pub plan: Plan,
    pub checkpoint: Checkpoint,
}

impl Window {
    /// The blocks that are not in the bucket yet.
    #[must_use]
    pub fn remaining(&self) -> BlockRange {
        let first = match self.checkpoint.last_block {
            Some(block) => block.next(),
            None => BlockId::lowest_at(self.from.max(self.retention_floor)),
        };
        BlockRange { first, last: BlockId::highest_before(self.to) }
    }
}

/// Block ids from `first` to `last`, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    pub first: BlockId,
    pub last: BlockId,
}

impl BlockRange {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// How much of a window is in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    pub last_block: Option<BlockId>,
    pub objects: u64,
    pub blocks: u64,
    pub events: u64,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

/// The state of a configuration's export between and during runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Everything received before it is in the bucket.
    pub exported_through: Timestamp,
    /// Rises with each lease; a write under an older one is refused.
    pub fencing_token: u64,
    /// When the lease ends by itself; `None`: nobody holds it.
    pub lease_expires_at: Option<Timestamp>,
    /// The window that is being exported.
    pub window: Option<Window>,
}

impl RunState {
    /// The state before the first run.
    #[must_use]
    pub fn initial(configuration: &ExportConfiguration) -> Self {
        Self { exported_through: configuration.start_from, fencing_token: 0, lease_expires_at: None, window: None }
    }

    #[must_use]
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.lease_expires_at.is_some_and(|expires_at| now < expires_at)
    }

    /// The window that a run to `through` exports: the one that was begun, else a new one. `None`: nothing is left to do.
    #[must_use]
    pub fn window_through(
        &self,
        through: Timestamp,
        retention_floor: Timestamp,
        now: Timestamp,
        destination: &Destination,
    ) -> Option<Window> {
        if self.window.is_some() {
            return self.window.clone();
        }
        (self.exported_through < through).then(|| Window {
            from: self.exported_through,
            to: through,
            retention_floor,
            started_at: now,
            plan: Plan::for_destination(destination.clone()),
            checkpoint: Checkpoint::default(),
        })
    }
}

/// A finished run, as the history of a configuration keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    pub from: Timestamp,
    pub to: Timestamp,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub delivered: Checkpoint,
}
