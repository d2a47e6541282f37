//! The items of deleted configurations' runs: they are given an expiry, found by the tombstones of the configurations.

use aws::configurations::{SCHEDULE_SHARDS, Tombstone};
use domain::time::Timestamp;
use export::ports::{Clock, PortError};
use serde::Serialize;

use crate::handler::Housekeeper;

/// What a sweep did for deleted configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletionOutcome {
    /// Configurations all of whose items have an expiry now.
    configurations: u64,
    /// Items that were given one.
    items: u64,
}

impl Housekeeper {
    /// Gives the items of configurations that were deleted a while ago an expiry, until `deadline`: one page of tombstones of each
    /// shard. What is left is for the next sweep.
    pub(crate) async fn expire_deleted(&self, deadline: Timestamp) -> Result<DeletionOutcome, PortError> {
        let before = self.clock.now().saturating_sub(self.settings.deletion_rest);
        let mut outcome = DeletionOutcome::default();
        for shard in 0..SCHEDULE_SHARDS {
            for tombstone in self.configurations.tombstones(shard, before).await? {
                if self.clock.now() >= deadline {
                    return Ok(outcome);
                }
                if let Err(error) = self.expire_runs(&tombstone, deadline, &mut outcome).await {
                    let configuration = &tombstone.key;
                    tracing::warn!(%configuration, %error, "the items of a deleted configuration wait for the next sweep");
                }
            }
        }
        if outcome != DeletionOutcome::default() {
            let DeletionOutcome { configurations, items } = outcome;
            tracing::info!(configurations, items, "the history of deleted configurations was given an expiry");
        }
        Ok(outcome)
    }

    async fn expire_runs(
        &self,
        tombstone: &Tombstone,
        deadline: Timestamp,
        outcome: &mut DeletionOutcome,
    ) -> Result<(), PortError> {
        let Tombstone { key, deleted_at } = tombstone;
        // A configuration that an operator has put back goes on with its runs.
        if self.configurations.exists(key).await? {
            tracing::warn!(configuration = %key, "a deleted configuration is there again; its history is kept");
            return self.configurations.remove_tombstone(tombstone).await;
        }
        let expires_at = deleted_at.saturating_add(self.settings.history);
        let expired = self.runs.expire_all(key, expires_at, || self.clock.now() < deadline).await?;
        outcome.items += expired.items;
        if expired.is_complete {
            self.configurations.remove_tombstone(tombstone).await?;
            outcome.configurations += 1;
        }
        Ok(())
    }
}
