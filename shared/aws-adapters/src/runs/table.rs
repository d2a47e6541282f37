//! The table of runs.

use aws_sdk_dynamodb::Client;
use domain::{
    configuration::ConfigurationKey,
    replay::{ReplayId, ReplayKey},
    time::Timestamp,
};

use super::item::{self, attribute};
use crate::dynamodb::{
    item::{Item, extended, seconds},
    table::Table,
};

/// The table `ExportRuns`, of exports or of one replay.
#[derive(Clone, Debug)]
pub struct RunTable {
    pub(super) table: Table,
    /// The replay whose runs these are. Its items lie in the partition of the configuration that it replays, under a prefix of
    /// their own: so they are erased with those of the configuration, and no reader of those finds them.
    pub(super) replay: Option<ReplayItems>,
}

/// The items of one replay.
#[derive(Clone, Debug)]
pub(super) struct ReplayItems {
    key: ReplayKey,
    /// Every item has an expiry from the write on that creates it: nothing comes back to a replay whose messages are lost.
    pub(super) expires_at: Timestamp,
}

impl RunTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table }, replay: None }
    }

    /// Returns the same table, for the runs of a replay. What they write is kept until `expires_at`.
    #[must_use]
    pub fn of_replay(&self, replay: &ReplayKey, expires_at: Timestamp) -> Self {
        Self { table: self.table.clone(), replay: Some(ReplayItems { key: replay.clone(), expires_at }) }
    }

    /// Returns the key of the partition in which the items of an export lie.
    pub(super) fn partition(&self, export: &ConfigurationKey) -> ConfigurationKey {
        self.replay.as_ref().map_or_else(|| export.clone(), |replay| replay.key.configuration())
    }

    /// Returns the full name of an export's item.
    pub(super) fn item_name(&self, name: &str) -> String {
        self.replay.as_ref().map_or_else(|| name.to_owned(), |replay| replay_item_name(replay.key.replay_id, name))
    }

    /// Returns the key of an export's item.
    pub(super) fn key(&self, export: &ConfigurationKey, name: &str) -> Item {
        item::key(self.partition(export), &self.item_name(name))
    }

    /// Returns an item that is about to be created, with the expiry of a replay's items.
    pub(super) fn created(&self, item: Item) -> Item {
        extended(item, self.replay.as_ref().map(|replay| (attribute::EXPIRES_AT, seconds(replay.expires_at))))
    }
}

pub(super) fn replay_item_name(replay: ReplayId, name: &str) -> String {
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
        let of_replay = runs.of_replay(&replay.key, Timestamp::EPOCH);
        assert_eq!(runs.created(own.clone()), own);
        assert_eq!(of_replay.created(own.clone())["expiresAt"], seconds(Timestamp::EPOCH));
        let state = of_replay.key(&replay.key.export(), item::STATE);
        assert_eq!(state["run"], own["run"]);
        assert_eq!(state["item"], text(format_args!("replay#{}#state", replay.key.replay_id)));
        let (_, last_job) = item::job_names_before(None).unwrap();
        assert!(of_replay.item_name(&item::job_name(0)) > last_job, "no list of jobs has it");
    }
}
