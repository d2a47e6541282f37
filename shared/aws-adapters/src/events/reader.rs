//! Reads a tenant's blocks.

use aws_sdk_dynamodb::Client;
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
use crate::dynamodb::{expression::Expression, item::text, read::Query, table::Table};

/// Reads the table `AuditEvents`.
#[derive(Clone, Debug)]
pub struct EventTableReader {
    table: Table,
}

impl EventTableReader {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }
}

impl BlockSource for EventTableReader {
    /// Reads one page of `DynamoDB`, which has up to 1 MB. Strongly consistent, because an eventually consistent read may
    /// miss blocks that were written long before it.
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        let operation = "dynamodb:Query (blocks)";
        let partition = partition_key(tenant, shard);
        let key = Expression::new("#partition = :partition AND blockId BETWEEN :first AND :last")
            .with("partition", text(&partition))
            .with("first", text(range.first))
            .with("last", text(range.end.previous()));
        let page = self.table.page(operation, &Query::new(key), None).await?;
        let items =
            page.items.into_iter().map(item::to_stored_item).collect::<Result<Vec<_>, _>>().map_err(|error| {
                PortError::internal(CORRUPT_BLOCK, format!("an item of {partition}: {error}")).caused_by(error)
            })?;
        let next = match (page.next, items.last()) {
            (None, _) => None,
            (Some(_), Some(item)) => Some(item.id().next()),
            (Some(_), None) => return Err(PortError::internal(operation, "an empty page that was not the last")),
        };
        Ok(BlockPage { items, next })
    }
}
