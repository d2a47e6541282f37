//! Blocks and idempotency records as items of the events table.

use domain::{
    block::{BlockId, Shard, StoredBlock, partition_key},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::StoredItem;

use crate::dynamodb::item::{Attributes, binary, item, number, seconds, take_bytes, text};
pub use crate::dynamodb::item::{Item, MalformedItem};

pub const PARTITION: &str = "partition";
pub const BLOCK_ID: &str = "blockId";
pub const BLOCK: &str = "block";
pub const EVENT_COUNT: &str = "eventCount";
pub const RAW_LENGTH: &str = "rawLength";
pub const CRC32: &str = "crc32";
pub const CRC32C: &str = "crc32c";
pub const OLDEST_EVENT_TIMESTAMP: &str = "oldestEventTimestamp";
pub const NEWEST_EVENT_TIMESTAMP: &str = "newestEventTimestamp";
/// Seconds since the epoch: the attribute of the table's time to live.
pub const EXPIRES_AT: &str = "expiresAt";
pub const BODY_HASH: &str = "bodyHash";
pub const ACCEPTED: &str = "accepted";

/// An upper bound of the bytes that an item has beside its block: keys and names 250, a tenant's ID 128, numbers and times
/// 150.
pub const MAX_ATTRIBUTES_LENGTH: usize = 1_024;

/// Names no partition of blocks: their shards are numbers.
pub(super) const IDEMPOTENCY_PARTITION_SUFFIX: &str = "#idempotency";

/// template.yaml permits `dynamodb:UpdateItem` on these partitions alone.
pub(super) const QUOTA_PARTITION_SUFFIX: &str = "#quota";

/// Returns the item of a block.
#[must_use]
pub fn write_block(tenant: &TenantId, shard: Shard, block: &StoredBlock, expires_at: Timestamp) -> Item {
    item([
        (PARTITION, text(partition_key(tenant, shard))),
        (BLOCK_ID, text(block.id)),
        (BLOCK, binary(&block.deflate)),
        (EVENT_COUNT, number(block.event_count)),
        (RAW_LENGTH, number(block.raw_length)),
        (CRC32, number(block.crc32)),
        (CRC32C, number(block.crc32c)),
        (OLDEST_EVENT_TIMESTAMP, text(block.oldest_event)),
        (NEWEST_EVENT_TIMESTAMP, text(block.newest_event)),
        (EXPIRES_AT, seconds(expires_at)),
    ])
}

/// Returns the block of an item, not yet [checked](StoredBlock::check).
///
/// # Errors
/// [`MalformedItem`] names the first attribute that differs from what [`write_block`] writes.
pub fn read_block(mut item: Item) -> Result<StoredBlock, MalformedItem> {
    let deflate = take_bytes(&mut item, BLOCK)?;
    let attributes = Attributes(&item);
    Ok(StoredBlock {
        id: read_id(&item)?,
        event_count: attributes.number(EVENT_COUNT)?,
        raw_length: attributes.number(RAW_LENGTH)?,
        crc32: attributes.number(CRC32)?,
        crc32c: attributes.number(CRC32C)?,
        oldest_event: attributes.time(OLDEST_EVENT_TIMESTAMP)?,
        newest_event: attributes.time(NEWEST_EVENT_TIMESTAMP)?,
        deflate,
    })
}

/// Returns the item that is stored under a block's ID, even if it is no block.
///
/// # Errors
/// [`MalformedItem`] if the ID itself is malformed: a gap without an ID could not be stated.
pub fn read_stored_item(item: Item) -> Result<StoredItem, MalformedItem> {
    let id = read_id(&item)?;
    Ok(match read_block(item) {
        Ok(block) => StoredItem::Block(block),
        Err(error) => StoredItem::Malformed { id, detail: error.to_string() },
    })
}

pub(crate) fn read_id(item: &Item) -> Result<BlockId, MalformedItem> {
    Attributes(item).required(BLOCK_ID, |text| BlockId::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use domain::block::encode_block;

    use super::*;

    fn block(tenant: &TenantId) -> StoredBlock {
        let stamp = Timestamp::parse("2026-11-22T01:02:03.004Z").unwrap();
        let oldest = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        encode_block(tenant, BlockId::from_parts(stamp, 7), b"{\"id\":\"1\"}\n", oldest, stamp).unwrap()
    }

    #[test]
    fn a_block_comes_back_from_its_item() {
        let tenant = TenantId::parse("acme").unwrap();
        let block = block(&tenant);
        let expires_at = Timestamp::parse("2026-12-07T01:02:03.004Z").unwrap();
        let item = write_block(&tenant, Shard::new(3).unwrap(), &block, expires_at);
        assert_eq!(item[PARTITION], AttributeValue::S("acme#03".to_owned()));
        assert_eq!(item[EXPIRES_AT], number(expires_at.as_seconds()));
        let read = read_block(item).unwrap();
        assert_eq!(read, block);
        assert_eq!(read.check(&tenant), Ok(()));
    }

    #[test]
    fn a_malformed_attribute_is_named() {
        let tenant = TenantId::parse("acme").unwrap();
        let good = write_block(&tenant, Shard::new(3).unwrap(), &block(&tenant), Timestamp::EPOCH);
        for attribute in
            [BLOCK_ID, BLOCK, EVENT_COUNT, RAW_LENGTH, CRC32, CRC32C, OLDEST_EVENT_TIMESTAMP, NEWEST_EVENT_TIMESTAMP]
        {
            for bad in [None, Some(AttributeValue::N("-1".to_owned())), Some(AttributeValue::S("x".to_owned()))] {
                let mut item = good.clone();
                item.remove(attribute);
                item.extend(bad.map(|value| (attribute.to_owned(), value)));
                assert_eq!(read_block(item), Err(MalformedItem { attribute }));
            }
        }
    }
}
