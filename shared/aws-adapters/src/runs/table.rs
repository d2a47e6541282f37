//! The table of runs.

use aws_sdk_dynamodb::Client;
use domain::{
    configuration::ConfigurationKey,
    replay::{ReplayId, ReplayKey},
};

use super::item;
use crate::dynamodb::{item::Item, table::Table};

/// The table `ExportRuns`, of exports or of one replay.
#[derive(Clone, Debug)]
pub struct RunTable {
    pub(super) table: Table,
    /// The replay whose runs these are. Its items lie in the partition of the configuration that it replays, under a prefix of
    /// their own: so they expire and are erased with those of the configuration, and no reader of those finds them.
    pub(super) replay: Option<ReplayKey>,
}

impl RunTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table }, replay: None }
    }

    /// Returns the same table, for the runs of a replay.
    #[must_use]
    pub fn of_replay(&self, replay: &ReplayKey) -> Self {
        Self { table: self.table.clone(), replay: Some(replay.clone()) }
    }

    /// Returns the key of the partition in which the items of an export lie.
    pub(super) fn partition(&self, export: &ConfigurationKey) -> ConfigurationKey {
        self.replay.as_ref().map_or_else(|| export.clone(), ReplayKey::configuration)
    }

    /// Returns the full name of an export's item.
    pub(super) fn item_name(&self, name: &str) -> String {
        self.replay.as_ref().map_or_else(|| name.to_owned(), |replay| replay_item_name(replay.replay_id, name))
    }

    /// Returns the key of an export's item.
    pub(super) fn key(&self, export: &ConfigurationKey, name: &str) -> Item {
        item::key(self.partition(export), &self.item_name(name))
    }
}

fn replay_item_name(replay: ReplayId, name: &str) -> String {
    format!("replay#{replay}#{name}")
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use domain::{configuration::test_support::with_role, replay::test_support::replay};

    use super::*;
    use crate::dynamodb::item::text;

    #[test]
    fn the_items_of_a_replay_lie_beside_those_of_its_configuration_under_a_prefix_of_their_own() {
        let nowhere = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let (replay, configuration) = (replay(), with_role());
        let runs = RunTable::new(Client::new(&nowhere), "runs".to_owned());
        let own = runs.key(&configuration.key, item::STATE);
        let of_replay = runs.of_replay(&replay.key).key(&replay.key.export(), item::STATE);
        assert_eq!(of_replay["run"], own["run"]);
        assert_eq!(of_replay["item"], text(format_args!("replay#{}#state", replay.key.replay_id)));
        let (_, last_job) = item::job_names_before(None).unwrap();
        assert!(runs.of_replay(&replay.key).item_name(&item::job_name(0)) > last_job, "no list of jobs has it");
    }
}
