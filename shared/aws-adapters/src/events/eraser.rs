//! Deletes a tenant's items of the events table, without reading what the events say.

use aws_sdk_dynamodb::Client;
use domain::{
    archive::segment_partition,
    block::{Shard, partition_key},
    tenant::TenantId,
};
use export_engine::ports::PortError;

use super::item::{IDEMPOTENCY_PARTITION_SUFFIX, QUOTA_PARTITION_SUFFIX};
use crate::dynamodb::{expression::Expression, item::text, read::Query, table::Table, write::Write};

/// Concurrent deletions in a partition. A deletion costs as much as the write of the item did, and a partition takes 1,000
/// write units a second.
const MAX_CONCURRENT_DELETIONS: usize = 8;

/// A partition of the events table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPartition {
    Blocks(Shard),
    /// Counts of bytes.
    Quota,
    /// Records of idempotency keys.
    Idempotency,
    /// References to the segments of the archive.
    Segments,
}

impl EventPartition {
    /// Returns all partitions of a tenant.
    pub fn all() -> impl Iterator<Item = Self> {
        Shard::ALL.into_iter().map(Self::Blocks).chain([Self::Quota, Self::Idempotency, Self::Segments])
    }

    fn name(self, tenant: &TenantId) -> String {
        match self {
            Self::Blocks(shard) => partition_key(tenant, shard),
            Self::Quota => format!("{tenant}{QUOTA_PARTITION_SUFFIX}"),
            Self::Idempotency => format!("{tenant}{IDEMPOTENCY_PARTITION_SUFFIX}"),
            Self::Segments => segment_partition(tenant),
        }
    }
}

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

    /// Deletes one page of a partition and returns the number of its items; 0: none is left.
    ///
    /// # Errors
    /// Transient or internal; some of the page may be deleted then.
    pub async fn erase_page(&self, tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        let key = Expression::new("#partition = :partition").with("partition", text(partition.name(tenant)));
        let keys = Query::new(key).project("#partition, #blockId");
        let page = self.table.page("dynamodb:Query (events to erase)", &keys, None).await?;
        let count = page.items.len() as u64;
        let deletions = page.items.into_iter().map(Write::delete);
        self.table.write_each("dynamodb:DeleteItem (event)", MAX_CONCURRENT_DELETIONS, deletions).await?;
        Ok(count)
    }
}
