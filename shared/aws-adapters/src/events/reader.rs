//! Reads a tenant's blocks.

use aws_sdk_dynamodb::Client;
use domain::{
    block::{Shard, partition_key},
    export_run::BlockRange,
    tenant::TenantId,
};
use export_engine::ports::{BlockPage, BlockSource, PortError, READ_BLOCK, StoredItem};

use super::{item, page::PageOfBlocks};
use crate::dynamodb::{direct::DirectPage, expression::Expression, item::text, read::Query, table::Table};

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
        let page = self.table.direct_page(operation, &Query::new(key), PageOfBlocks::read).await?;
        to_block_page(operation, &partition, page)
    }
}

fn to_block_page(
    operation: &'static str,
    partition: &str,
    page: DirectPage<PageOfBlocks>,
) -> Result<BlockPage, PortError> {
    let (items, is_last) = match page {
        DirectPage::Direct(page) => (page.blocks.into_iter().map(StoredItem::Block).collect(), page.is_last),
        DirectPage::Sdk(page) => {
            let items = page.items.into_iter().map(item::read_stored_item).collect::<Result<Vec<_>, _>>();
            let items = items.map_err(|error| {
                PortError::internal(READ_BLOCK, format!("an item of {partition}: {error}")).caused_by(error)
            })?;
            (items, page.next.is_none())
        }
    };
    let next = match items.last() {
        _ if is_last => None,
        Some(item) => Some(item.id().next()),
        None => return Err(PortError::internal(operation, "an empty page that was not the last")),
    };
    Ok(BlockPage { items, next })
}

#[cfg(test)]
mod tests;
