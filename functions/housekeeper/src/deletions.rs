//! The expiry of the runs table's items of deleted configurations, which are found through tombstones.

use aws_adapters::configurations::{SCHEDULE_SHARDS, Tombstone};
use domain::time::Timestamp;
use export_engine::ports::PortError;
use host::Clock;
use serde::Serialize;

use crate::housekeeper::Housekeeper;

/// The outcome of a sweep for deleted configurations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletionOutcome {
    /// The number of configurations that are complete: all their items have an expiry.
    configurations: u64,
    /// The number of items that were given an expiry.
    items: u64,
}

/// The failures of independent parts of the work.
#[derive(Debug, Default)]
struct Failures {
    first: Option<PortError>,
}

impl Failures {
    /// Returns the value of a part, or logs its failure.
    fn note<T>(&mut self, result: Result<T, PortError>) -> Option<T> {
        result
            .map_err(|error| {
                tracing::error!(%error, "items of a deleted configuration wait for the next sweep");
                self.first.get_or_insert(error);
            })
            .ok()
    }
}

impl Housekeeper {
    /// Sets the expiry of the items of deleted configurations until `deadline`: of one page of tombstones of each
    /// shard. The next sweep continues. A failure does not stop the other parts; the first one is returned at the end.
    pub(crate) async fn expire_deleted(&self, deadline: Timestamp) -> Result<DeletionOutcome, PortError> {
        let before = self.clock.now().saturating_sub(self.settings.deletion_rest);
        let (mut outcome, mut failures) = (DeletionOutcome::default(), Failures::default());
        'shards: for shard in 0..SCHEDULE_SHARDS {
            let found = failures.note(self.configurations.tombstones(shard, before).await);
            for tombstone in found.into_iter().flatten() {
                if self.clock.now() >= deadline {
                    break 'shards;
                }
                if let Some(tombstone) = failures.note(tombstone) {
                    failures.note(self.expire_runs(&tombstone, deadline, &mut outcome).await);
                }
            }
        }
        if outcome != DeletionOutcome::default() {
            let DeletionOutcome { configurations, items } = outcome;
            tracing::info!(configurations, items, "the history of deleted configurations was given an expiry");
        }
        failures.first.map_or(Ok(outcome), Err)
    }

    async fn expire_runs(
        &self,
        tombstone: &Tombstone,
        deadline: Timestamp,
        outcome: &mut DeletionOutcome,
    ) -> Result<(), PortError> {
        let Tombstone { key, deleted_at } = tombstone;
        // An operator has restored the configuration, so its runs continue.
        if self.configurations.exists(key).await? {
            tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id,
                "a deleted configuration was restored; its history is kept");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_kept_and_what_comes_after_it_is_used() {
        let mut failures = Failures::default();
        let results =
            [Ok(1), Err(PortError::internal("first", "corrupt")), Err(PortError::internal("second", "")), Ok(4)];
        let used: Vec<_> = results.into_iter().filter_map(|result| failures.note(result)).collect();
        assert_eq!(used, [1, 4]);
        assert!(failures.first.is_some_and(|error| error.to_string().contains("first")));
    }
}
