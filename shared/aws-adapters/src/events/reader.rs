//! Reading a tenant's blocks.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use domain::{
    block::{Shard, partition_key},
    export_run::BlockRange,
    tenant::TenantId,
};
use export_engine::{
    CORRUPT_BLOCK,
    ports::{BlockPage, BlockSource, PortError},
};

use super::item;
use crate::error::port_error;

/// Reads the table `AuditEvents`.
#[derive(Clone, Debug)]
pub struct EventTableReader {
    client: Client,
    table: String,
}

impl EventTableReader {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

impl BlockSource for EventTableReader {
    /// One page is what `DynamoDB` gives at once: up to 1 MB. Strongly consistent, because an eventually consistent read
    /// may miss what was written long before it.
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        let operation = "dynamodb:Query (blocks)";
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#partition = :partition AND blockId BETWEEN :first AND :last")
            .expression_attribute_names("#partition", item::PARTITION)
            .expression_attribute_values(":partition", AttributeValue::S(partition_key(tenant, shard)))
            .expression_attribute_values(":first", AttributeValue::S(range.first.to_string()))
            .expression_attribute_values(":last", AttributeValue::S(range.end.previous().to_string()))
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        let is_last = answer.last_evaluated_key.is_none();
        let found = answer.items.unwrap_or_default().into_iter().map(item::to_stored_item);
        let items = found.collect::<Result<Vec<_>, _>>().map_err(|error| {
            PortError::internal(CORRUPT_BLOCK, format!("an item of {}: {error}", partition_key(tenant, shard)))
        })?;
        let next = match items.last() {
            Some(item) if !is_last => Some(item.id().next()),
            Some(_) => None,
            None if is_last => None,
            None => return Err(PortError::internal(operation, "a page without items that was not the last")),
        };
        Ok(BlockPage { items, next })
    }
}
