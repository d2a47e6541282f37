//! Deletes a tenant's items of the events table, without reading what the events say.

use aws_sdk_dynamodb::Client;
use domain::{archive::segment_partition, block::partition_key, tenant::TenantId};
use export_engine::ports::{EventPartition, ItemEraser, PortError};

use super::item::{IDEMPOTENCY_PARTITION_SUFFIX, QUOTA_PARTITION_SUFFIX};
use crate::dynamodb::{expression::Expression, item::text, read::Query, table::Table, write::Write};

/// Concurrent deletions in a partition. A deletion costs as much as the write of the item did, and a partition takes 1,000
/// write units a second.
const MAX_CONCURRENT_DELETIONS: usize = 8;

/// Deletes from the events table.
#[derive(Clone, Debug)]
pub struct EventEraser {
    table: Table,
}

impl EventEraser {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }
}

impl ItemEraser for EventEraser {
    async fn erase_items(&self, tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        let key = Expression::new("#partition = :partition").with("partition", text(key_of(tenant, partition)));
        let keys = Query::new(key).project("#partition, #blockId");
        let page = self.table.page("dynamodb:Query (events to erase)", &keys, None).await?;
        let count = page.items.len() as u64;
        let deletions = page.items.into_iter().map(Write::delete);
        self.table.write_each("dynamodb:DeleteItem (event)", MAX_CONCURRENT_DELETIONS, deletions).await?;
        Ok(count)
    }
}

/// Returns the key of a partition.
fn key_of(tenant: &TenantId, partition: EventPartition) -> String {
    match partition {
        EventPartition::Blocks(shard) => partition_key(tenant, shard),
        EventPartition::Quota => format!("{tenant}{QUOTA_PARTITION_SUFFIX}"),
        EventPartition::Idempotency => format!("{tenant}{IDEMPOTENCY_PARTITION_SUFFIX}"),
        EventPartition::Segments => segment_partition(tenant),
    }
}
