//! The records of replays.

use domain::{
    replay::{Replay, ReplayEnd, ReplayKey, ReplayTest},
    time::Timestamp,
};

use super::error::PortError;

/// The records of replays, beside the configurations that they replay.
pub trait ReplayStore: Send + Sync {
    /// Returns a replay. `None`: there is none under this key, or it has expired.
    fn load_replay(&self, key: &ReplayKey) -> impl Future<Output = Result<Option<Replay>, PortError>> + Send;

    /// Stores a change of a replay, and keeps its record until `expires_at`. Does nothing if the replay has ended, or was
    /// requested again since it was read.
    fn change_replay(
        &self,
        replay: &Replay,
        change: &ReplayChange,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A change of a replay that a run reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayChange {
    /// The first run has started.
    Started {
        at: Timestamp,
    },
    /// Something was delivered. The store adds the counts, which it keeps with the state of the export.
    Delivered {
        exported_through: Option<Timestamp>,
    },
    /// A connection test has succeeded.
    Tested(ReplayTest),
    Ended {
        at: Timestamp,
        end: ReplayEnd,
    },
}
