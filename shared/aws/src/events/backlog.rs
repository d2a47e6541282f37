//! Counting a tenant's events without reading them.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Select},
};
use domain::{
    block::{BlockId, Shard, partition_key},
    tenant::TenantId,
    time::Timestamp,
};
use export::ports::PortError;
use futures::{StreamExt, TryStreamExt, stream};

use super::item::{self, Item, MalformedItem};
use crate::error::port_error;

/// Pages that are looked at of each shard. `DynamoDB` ends a page when 1 MB of items is read, the blocks that are left out
/// of the answer included: that is some ten thousand events a page.
pub const MAX_PAGES_PER_SHARD: usize = 4;

/// Shards that are counted at the same time.
const CONCURRENT_SHARDS: usize = 16;

/// All that is asked for. The role of the api function may read no other attribute of the table.
const PROJECTION: &str = "blockId, eventCount";

/// Events that wait to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub events: u64,
    /// When the oldest of them was received. `None`: there are none.
    pub oldest: Option<Timestamp>,
    /// Whether there are no more than `events`: otherwise the counting ended at its bound.
    pub is_complete: bool,
}

impl Backlog {
    const EMPTY: Self = Self { events: 0, oldest: None, is_complete: true };

    fn and(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
            is_complete: self.is_complete && other.is_complete,
        }
    }
}

/// Counts in the table `AuditEvents`, strongly consistently.
#[derive(Clone, Debug)]
pub struct EventCounter {
    client: Client,
    table: String,
}

impl EventCounter {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The tenant's events from the block `first` on.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn count_from(&self, tenant: &TenantId, first: BlockId) -> Result<Backlog, PortError> {
        stream::iter(Shard::ALL)
            .map(|shard| self.count_shard(tenant, shard, first))
            .buffer_unordered(CONCURRENT_SHARDS)
            .try_fold(Backlog::EMPTY, |sum, shard| async move { Ok(sum.and(shard)) })
            .await
    }

    async fn count_shard(&self, tenant: &TenantId, shard: Shard, first: BlockId) -> Result<Backlog, PortError> {
        let operation = "dynamodb:Query (count events)";
        let partition = partition_key(tenant, shard);
        let mut sum = Backlog::EMPTY;
        let mut start = None;
        for _ in 0..MAX_PAGES_PER_SHARD {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .select(Select::SpecificAttributes)
                .projection_expression(PROJECTION)
                .key_condition_expression("#partition = :partition AND blockId >= :first")
                .expression_attribute_names("#partition", item::PARTITION)
                .expression_attribute_values(":partition", AttributeValue::S(partition.clone()))
                .expression_attribute_values(":first", AttributeValue::S(first.to_string()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error(operation, &error))?;
            for found in page.items.unwrap_or_default() {
                let block = of_item(&found)
                    .map_err(|error| PortError::internal(operation, format!("an item of {partition}: {error}")))?;
                sum = sum.and(block);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(sum);
            }
        }
        Ok(Backlog { is_complete: false, ..sum })
    }
}

fn of_item(found: &Item) -> Result<Backlog, MalformedItem> {
    let id = item::parsed(found, item::BLOCK_ID, |text| BlockId::parse(text).ok())?;
    let events = item::unsigned::<u32>(found, item::EVENT_COUNT)?;
    Ok(Backlog { events: events.into(), oldest: Some(id.timestamp()), is_complete: true })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
