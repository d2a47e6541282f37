//! The volume of a tenant's stored events, without reading them.

use aws_sdk_dynamodb::Client;
use domain::{
    block::{SHARDS, Shard, partition_key},
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::item;
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, text},
    read::Query,
    table::Table,
};

/// The attributes that are read. The operator program prints policies that permit no others.
pub const VOLUME_PROJECTION: &str = "#partition, #blockId, #eventCount, #rawLength";

/// The stored blocks of a tenant, exported ones included: they are kept until their retention ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredVolume {
    pub blocks: u64,
    pub events: u64,
    /// The bytes of the events before compression.
    pub raw_bytes: u64,
    pub oldest: Option<Timestamp>,
    /// Items that are no block: they are in none of the other numbers.
    pub unreadable: u64,
    /// `false`: the counting ended at its bound, and there is more.
    pub is_complete: bool,
}

impl StoredVolume {
    const EMPTY: Self = Self { blocks: 0, events: 0, raw_bytes: 0, oldest: None, unreadable: 0, is_complete: true };

    fn add(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            events: self.events.saturating_add(other.events),
            raw_bytes: self.raw_bytes.saturating_add(other.raw_bytes),
            oldest: self.oldest.into_iter().chain(other.oldest).min(),
            unreadable: self.unreadable + other.unreadable,
            is_complete: self.is_complete && other.is_complete,
        }
    }
}

/// Measures the table `AuditEvents`.
#[derive(Clone, Debug)]
pub struct VolumeReader {
    table: Table,
}

impl VolumeReader {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Returns the volume of a tenant: of at most so many pages of each shard. `DynamoDB` ends a page when 1 MB of items is read.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn volume(
        &self,
        tenant: &TenantId,
        range: BlockRange,
        max_pages_per_shard: usize,
    ) -> Result<StoredVolume, PortError> {
        let shards = stream::iter(Shard::ALL).map(|shard| self.of_shard(tenant, shard, range, max_pages_per_shard));
        let sum = |sum: StoredVolume, of_shard| std::future::ready(Ok(sum.add(of_shard)));
        shards.buffer_unordered(SHARDS as usize).try_fold(StoredVolume::EMPTY, sum).await
    }

    async fn of_shard(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
        max_pages: usize,
    ) -> Result<StoredVolume, PortError> {
        let partition = partition_key(tenant, shard);
        let key = Expression::new("#partition = :partition AND #blockId BETWEEN :first AND :last")
            .with("partition", text(&partition))
            .with("first", text(range.first))
            .with("last", text(range.end.previous()));
        let query = Query::new(key).project(VOLUME_PROJECTION);
        let (mut volume, mut after) = (StoredVolume::EMPTY, None);
        for _ in 0..max_pages {
            let page = self.table.page("dynamodb:Query (volume)", &query, after).await?;
            for found in &page.items {
                // A corrupt block has a runbook of its own; it must not hide the others.
                volume =
                    volume.add(read_volume(found).unwrap_or(StoredVolume { unreadable: 1, ..StoredVolume::EMPTY }));
            }
            after = page.next;
            if after.is_none() {
                return Ok(volume);
            }
        }
        Ok(StoredVolume { is_complete: false, ..volume })
    }
}

fn read_volume(found: &Item) -> Result<StoredVolume, MalformedItem> {
    let attributes = Attributes(found);
    Ok(StoredVolume {
        blocks: 1,
        events: attributes.number(item::EVENT_COUNT)?,
        raw_bytes: attributes.number(item::RAW_LENGTH)?,
        oldest: Some(item::read_id(found)?.timestamp()),
        ..StoredVolume::EMPTY
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{operation::query::QueryOutput, types::AttributeValue};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use domain::block::BlockId;

    use super::*;
    use crate::dynamodb::item::{item, number};

    fn block(time: &str) -> Item {
        let id = BlockId::lowest_at(Timestamp::parse(time).unwrap());
        item([(item::BLOCK_ID, text(id)), (item::EVENT_COUNT, number(3)), (item::RAW_LENGTH, number(100))])
    }

    async fn volume(has_more: bool) -> StoredVolume {
        let rule = mock!(Client::query)
            .match_requests(|input| input.projection_expression() == Some(VOLUME_PROJECTION))
            .then_output(move || {
                let next = has_more.then(|| item([(item::BLOCK_ID, AttributeValue::S("next".to_owned()))]));
                let unreadable = item([(item::BLOCK_ID, text("01M805D1C10000000000000007"))]);
                let blocks = vec![block("2026-11-22T00:00:00Z"), unreadable, block("2026-11-21T00:00:00Z")];
                QueryOutput::builder().set_items(Some(blocks)).set_last_evaluated_key(next).build()
            });
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
        let reader = VolumeReader::new(client, "events".to_owned());
        reader.volume(&TenantId::parse("acme").unwrap(), BlockRange::all(), 4).await.unwrap()
    }

    #[tokio::test]
    async fn the_blocks_of_all_shards_are_added() {
        let expected = StoredVolume {
            blocks: 32,
            events: 96,
            raw_bytes: 3_200,
            oldest: Some(Timestamp::parse("2026-11-21T00:00:00Z").unwrap()),
            // An item of each shard.
            unreadable: 16,
            is_complete: true,
        };
        assert_eq!(volume(false).await, expected);
    }

    #[tokio::test]
    async fn a_large_tenant_is_measured_up_to_the_bound() {
        let volume = volume(true).await;
        assert_eq!((volume.blocks, volume.is_complete), (32 * 4, false));
    }
}
