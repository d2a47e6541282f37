//! Deletes a tenant's items of the events table, without reading what the events say.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Select},
};
use domain::{
    block::{Shard, partition_key},
    tenant::TenantId,
};
use export_engine::ports::PortError;
use futures::stream::{StreamExt, TryStreamExt, iter};

use super::{
    item::{BLOCK_ID, PARTITION},
    quota::PARTITION_SUFFIX as QUOTA,
    writer::IDEMPOTENCY_PARTITION_SUFFIX as IDEMPOTENCY,
};
use crate::error::port_error;

/// How many items of a partition are deleted at the same time. A deletion costs as much as the write of the item did, and a
/// partition takes 1,000 write units a second.
const MAX_CONCURRENT_DELETIONS: usize = 8;

/// What lies in a partition of the events table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPartition {
    Blocks(Shard),
    /// Counts of bytes.
    Quota,
    /// Records of idempotency keys.
    Idempotency,
}

impl EventPartition {
    /// All that a tenant has.
    pub fn all() -> impl Iterator<Item = Self> {
        Shard::ALL.into_iter().map(Self::Blocks).chain([Self::Quota, Self::Idempotency])
    }

    fn name(self, tenant: &TenantId) -> String {
        match self {
            Self::Blocks(shard) => partition_key(tenant, shard),
            Self::Quota => format!("{tenant}{QUOTA}"),
            Self::Idempotency => format!("{tenant}{IDEMPOTENCY}"),
        }
    }
}

/// The deleting side of the events table.
#[derive(Clone, Debug)]
pub struct EventEraser {
    client: Client,
    table: String,
}

impl EventEraser {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Deletes one page of a partition, and returns how many items that were; 0: none is left.
    ///
    /// # Errors
    /// Transient or internal; some of the page may be deleted then.
    pub async fn erase_page(&self, tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        let name = partition.name(tenant);
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .select(Select::SpecificAttributes)
            .projection_expression("#partition, #blockId")
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", PARTITION)
            .expression_attribute_names("#blockId", BLOCK_ID)
            .expression_attribute_values(":partition", AttributeValue::S(name))
            .send()
            .await
            .map_err(|error| port_error("dynamodb:Query (events to erase)", &error))?;
        let deletions = page.items().iter().map(|found| {
            let delete = self.client.delete_item().table_name(&self.table).set_key(Some(found.clone()));
            async { delete.send().await.map_err(|error| port_error("dynamodb:DeleteItem (event)", &error)) }
        });
        let deletions: Vec<_> = deletions.collect();
        let deleted = iter(deletions).buffer_unordered(MAX_CONCURRENT_DELETIONS);
        deleted.try_fold(0, async |count, _| Ok(count + 1)).await
    }
}
