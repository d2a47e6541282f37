//! The remains of a deleted configuration until the items of its runs have an expiry.
//!
//! A tombstone is written by the transaction that deletes the configuration, and found in a separate partition of the index
//! of enabled configurations. Its ID names the time of the deletion before the configuration, so that the oldest come first.

use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::{
    item::{self, ENABLED_BY_INTERVAL, INDEX_PAGE_SIZE, SCHEDULE_SHARDS, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, extended, text},
    read::Query,
    write::Write,
};

/// Sorts behind every UUID, so that no list of configurations has one.
const PREFIX: &str = "tombstone#";

/// The partition of the index; no interval has such a name.
const PARTITION: &str = "DELETED";

/// A deleted configuration. Items of its runs may still be without an expiry.
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
        item::tenant_key(&self.key.tenant_id, &self.id())
    }

    /// Returns the write of the tombstone, for the transaction of the deletion.
    pub(super) fn write(&self) -> Write {
        Write::put(extended(self.item_key(), [(attribute::SCHEDULE_PARTITION, text(self.schedule_partition()))]))
    }

    fn read(found: &Item) -> Result<Self, MalformedItem> {
        let attributes = Attributes(found);
        let parse = |text: &str| {
            let (deleted_at, id) = text.strip_prefix(PREFIX)?.split_once('#')?;
            Some((Timestamp::parse(deleted_at).ok()?, ConfigurationId::parse(id)?))
        };
        let (deleted_at, configuration_id) = attributes.required(attribute::ID, parse)?;
        let tenant_id = item::read_tenant_id(attributes)?;
        Ok(Self { key: ConfigurationKey { tenant_id, configuration_id }, deleted_at })
    }
}

fn partition(shard: u8) -> String {
    format!("{PARTITION}#{shard}")
}

impl ConfigurationTable {
    /// Returns tombstones of a shard, the oldest first, of configurations that were deleted before `before`. There may be
    /// more once these are removed.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn tombstones(
        &self,
        shard: u8,
        before: Timestamp,
    ) -> Result<Vec<Result<Tombstone, PortError>>, PortError> {
        let key = Expression::new("#schedulePartition = :schedule AND #id < :before")
            .with("schedule", text(partition(shard)))
            .with("before", text(format_args!("{PREFIX}{before}")));
        let query = Query::new(key).index(ENABLED_BY_INTERVAL).limit(INDEX_PAGE_SIZE);
        let page = self.table.page("dynamodb:Query (tombstones)", &query, None).await?;
        // A malformed tombstone stops no other.
        Ok(page.items.iter().map(|found| Tombstone::read(found).map_err(PortError::from)).collect())
    }

    /// Removes a tombstone; one that is gone already is no error.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn remove_tombstone(&self, tombstone: &Tombstone) -> Result<(), PortError> {
        self.table.delete("dynamodb:DeleteItem (tombstone)", tombstone.item_key()).await
    }

    /// Returns whether the configuration exists: an operator may have restored a deleted one.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn exists(&self, key: &ConfigurationKey) -> Result<bool, PortError> {
        let keys = vec![item::key(key)];
        let found = self.table.get_batch("dynamodb:BatchGetItem (existence)", keys, Some("#tenantId, #id")).await?;
        let found = found.complete()?;
        Ok(!found.is_empty())
    }
}
