//! The records of replays, as the engine sees them.

use domain::{
    replay::{Replay, ReplayKey},
    time::Timestamp,
};
use export_engine::ports::{PortError, ReplayChange, ReplayStore};

use crate::{configurations::ConfigurationTable, runs::RunTable};

/// The records of replays in the table of configurations, and the items of their runs.
#[derive(Clone, Copy, Debug)]
pub struct ReplayTables<'a> {
    pub configurations: &'a ConfigurationTable,
    /// The table of runs, of any export.
    pub runs: &'a RunTable,
}

impl ReplayStore for ReplayTables<'_> {
    async fn load_replay(&self, key: &ReplayKey) -> Result<Option<Replay>, PortError> {
        self.configurations.load_replay(key).await
    }

    /// Every change but the first brings the counts along. They are those of the state, so that a report that was lost is made
    /// good by the next one.
    async fn change_replay(
        &self,
        replay: &Replay,
        change: &ReplayChange,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let progress = match change {
            ReplayChange::Started { .. } | ReplayChange::Tested(_) => None,
            ReplayChange::Delivered { .. } | ReplayChange::Ended { .. } => {
                self.runs.replay_progress(&replay.key).await?
            }
        };
        self.configurations.change_replay(replay, change, progress, expires_at).await
    }
}
