//! What is left of a deleted configuration until the items of its runs have been given an expiry.
//!
//! A tombstone is written by the transaction that deletes the configuration, and found through the index of enabled
//! configurations, in a partition of its own. Its id names the time of the deletion before the configuration, so that those that
//! are old enough come first.

use aws_sdk_dynamodb::types::Put;
use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::{
    ConfigurationTable, ENABLED_BY_INTERVAL, INDEX_PAGE_SIZE,
    item::{Attributes, Item, SCHEDULE_SHARDS, attribute, text},
};
use crate::error::port_error;

/// Sorts behind every UUID, so that no list of configurations has one.
const PREFIX: &str = "tombstone#";

/// The partition of the index; no interval has such a name.
const PARTITION: &str = "DELETED";

/// A configuration that was deleted, while items of its runs may still be without an expiry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    pub key: ConfigurationKey,
    pub deleted_at: Timestamp,
}

impl Tombstone {
    fn id(&self) -> String {
        format!("{PREFIX}{}#{}", self.deleted_at, self.key.configuration_id)
    }

    fn schedule_partition(&self) -> String {
        let [.., last] = self.key.configuration_id.as_bytes();
        partition(last % SCHEDULE_SHARDS)
    }

    fn item_key(&self) -> Item {
        Item::from([
            (attribute::TENANT_ID.to_owned(), text(&self.key.tenant_id)),
            (attribute::ID.to_owned(), text(self.id())),
        ])
    }

    /// The write of the tombstone, for the transaction of the deletion.
    pub(super) fn put(&self, table: &str) -> Result<Put, aws_smithy_types::error::operation::BuildError> {
        let mut written = self.item_key();
        written.insert(attribute::SCHEDULE_PARTITION.to_owned(), text(self.schedule_partition()));
        Put::builder().table_name(table).set_item(Some(written)).build()
    }

    fn read(found: &Item) -> Result<Self, PortError> {
        let attributes = Attributes(found);
        let parse = |text: &str| {
            let (deleted_at, id) = text.strip_prefix(PREFIX)?.split_once('#')?;
            Some((Timestamp::parse(deleted_at).ok()?, ConfigurationId::parse(id)?))
        };
        let (deleted_at, configuration_id) = attributes.required(attribute::ID, parse)?;
        let tenant_id = attributes.tenant_id()?;
        Ok(Self { key: ConfigurationKey { tenant_id, configuration_id }, deleted_at })
    }
}

fn partition(shard: u8) -> String {
    format!("{PARTITION}#{shard}")
}

impl ConfigurationTable {
    /// Returns tombstones of a shard, the oldest first, of configurations that were deleted before `before`. More may be
    /// there once these are removed.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn tombstones(
        &self,
        shard: u8,
        before: Timestamp,
    ) -> Result<Vec<Result<Tombstone, PortError>>, PortError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ENABLED_BY_INTERVAL)
            .key_condition_expression("#schedule = :schedule AND #id < :before")
            .expression_attribute_names("#schedule", attribute::SCHEDULE_PARTITION)
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_values(":schedule", text(partition(shard)))
            .expression_attribute_values(":before", text(format!("{PREFIX}{before}")))
            .limit(INDEX_PAGE_SIZE)
            .send()
            .await
            .map_err(|error| port_error("dynamodb:Query (tombstones)", &error))?;
        // One that can't be read stops no other.
        Ok(page.items().iter().map(Tombstone::read).collect())
    }

    /// Removes a tombstone; one that is gone already is no error.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn remove_tombstone(&self, tombstone: &Tombstone) -> Result<(), PortError> {
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(tombstone.item_key()));
        delete.send().await.map(drop).map_err(|error| port_error("dynamodb:DeleteItem (tombstone)", &error))
    }

    /// Returns whether the configuration is there: an operator may have restored one that was deleted.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn exists(&self, key: &ConfigurationKey) -> Result<bool, PortError> {
        let attributes = [attribute::TENANT_ID, attribute::ID];
        let found =
            self.read_batch("dynamodb:BatchGetItem (existence)", std::slice::from_ref(key), &attributes).await?;
        Ok(!found.is_empty())
    }
}
