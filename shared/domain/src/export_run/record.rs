//! The history of finished windows.

use serde::{Deserialize, Serialize};

use super::window::{Checkpoint, WindowId, first_attempt};
use crate::{block::BlockId, digest::Gap, time::Timestamp};

/// A finished window in the history of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowRecord {
    pub sequence: u64,
    /// With the sequence, the identity of its intents.
    #[serde(default)]
    pub revision: u64,
    pub from: Timestamp,
    pub to: Timestamp,
    pub gap: Option<Gap>,
    /// Corrupt blocks that were skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<BlockId>,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub delivered: Checkpoint,
    /// The number of runs that worked on it: 1 unless one failed, paused or ended before everything was delivered.
    #[serde(default = "first_attempt")]
    pub attempts: u32,
}

impl WindowRecord {
    #[must_use]
    pub fn window_id(&self) -> WindowId {
        WindowId { sequence: self.sequence, revision: self.revision }
    }
}
