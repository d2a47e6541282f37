//! Blocks and idempotency records as items of the events table.

use std::collections::HashMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use bytes::Bytes;
use domain::{
    block::{BlockId, EXPIRY_GRACE, Shard, StoredBlock, partition_key},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::StoredItem;

pub const PARTITION: &str = "partition";
pub const BLOCK_ID: &str = "blockId";
pub const BLOCK: &str = "block";
pub const EVENT_COUNT: &str = "eventCount";
pub const RAW_LENGTH: &str = "rawLength";
pub const CRC32: &str = "crc32";
pub const CRC32C: &str = "crc32c";
pub const OLDEST_EVENT_TIMESTAMP: &str = "oldestEventTimestamp";
pub const NEWEST_EVENT_TIMESTAMP: &str = "newestEventTimestamp";
/// Seconds since the epoch; the attribute that the table's time to live looks at.
pub const EXPIRES_AT: &str = "expiresAt";
pub const BODY_HASH: &str = "bodyHash";
pub const ACCEPTED: &str = "accepted";

/// More than the bytes that names and values of a block's attributes take beside the block itself: keys and names 250,
/// a tenant's id 128, numbers and times 150.
pub const MAX_ATTRIBUTES_LENGTH: usize = 1_024;

pub type Item = HashMap<String, AttributeValue>;

/// An item that no version of ingest wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item's attribute {attribute} is missing or malformed")]
pub struct MalformedItem {
    pub attribute: &'static str,
}

/// The item of a block. It expires `retention` and [`EXPIRY_GRACE`] after the block's stamp.
#[must_use]
pub fn of_block(tenant: &TenantId, shard: Shard, block: &StoredBlock, retention: std::time::Duration) -> Item {
    let expires_at = block.id.timestamp().saturating_add(retention).saturating_add(EXPIRY_GRACE);
    item([
        (PARTITION, AttributeValue::S(partition_key(tenant, shard))),
        (BLOCK_ID, AttributeValue::S(block.id.to_string())),
        (BLOCK, AttributeValue::B(Blob::new(block.deflate.to_vec()))),
        (EVENT_COUNT, number(block.event_count)),
        (RAW_LENGTH, number(block.raw_length)),
        (CRC32, number(block.crc32)),
        (CRC32C, number(block.crc32c)),
        (OLDEST_EVENT_TIMESTAMP, AttributeValue::S(block.oldest_event.to_string())),
        (NEWEST_EVENT_TIMESTAMP, AttributeValue::S(block.newest_event.to_string())),
        (EXPIRES_AT, number(expires_at.as_seconds())),
    ])
}

/// The block of an item, not yet [verified](StoredBlock::verify).
///
/// # Errors
/// [`MalformedItem`] names the first attribute that isn't as [`of_block`] writes it.
pub fn to_block(mut item: Item) -> Result<StoredBlock, MalformedItem> {
    let deflate = match item.remove(BLOCK) {
        Some(AttributeValue::B(bytes)) => Bytes::from(bytes.into_inner()),
        _ => return Err(MalformedItem { attribute: BLOCK }),
    };
    Ok(StoredBlock {
        id: parsed(&item, BLOCK_ID, |text| BlockId::parse(text).ok())?,
        event_count: unsigned(&item, EVENT_COUNT)?,
        raw_length: unsigned(&item, RAW_LENGTH)?,
        crc32: unsigned(&item, CRC32)?,
        crc32c: unsigned(&item, CRC32C)?,
        oldest_event: parsed(&item, OLDEST_EVENT_TIMESTAMP, |text| Timestamp::parse(text).ok())?,
        newest_event: parsed(&item, NEWEST_EVENT_TIMESTAMP, |text| Timestamp::parse(text).ok())?,
        deflate,
    })
}

/// What lies under a block's ID, whether it is a block or not.
///
/// # Errors
/// [`MalformedItem`] if the ID is none: then it can't be said what is missing if the item is left out.
pub fn to_stored_item(item: Item) -> Result<StoredItem, MalformedItem> {
    let id = parsed(&item, BLOCK_ID, |text| BlockId::parse(text).ok())?;
    Ok(match to_block(item) {
        Ok(block) => StoredItem::Block(block),
        Err(error) => StoredItem::Malformed { id, detail: error.to_string() },
    })
}

pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(super) fn unsigned<T: std::str::FromStr>(item: &Item, attribute: &'static str) -> Result<T, MalformedItem> {
    match item.get(attribute) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| MalformedItem { attribute }),
        _ => Err(MalformedItem { attribute }),
    }
}

pub(super) fn parsed<T>(
    item: &Item,
    attribute: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, MalformedItem> {
    match item.get(attribute) {
        Some(AttributeValue::S(text)) => parse(text).ok_or(MalformedItem { attribute }),
        _ => Err(MalformedItem { attribute }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let item = of_block(&tenant, Shard::new(3).unwrap(), &block, Duration::from_hours(24));
        assert_eq!(item[PARTITION], AttributeValue::S("acme#03".to_owned()));
        let fifteen_days_later = Timestamp::parse("2026-12-07T01:02:03Z").unwrap().as_seconds();
        assert_eq!(item[EXPIRES_AT], number(fifteen_days_later));
        let read = to_block(item).unwrap();
        assert_eq!(read, block);
        assert_eq!(read.verify(&tenant), Ok(()));
    }

    #[test]
    fn a_malformed_attribute_is_named() {
        let tenant = TenantId::parse("acme").unwrap();
        let good = of_block(&tenant, Shard::new(3).unwrap(), &block(&tenant), Duration::ZERO);
        for attribute in
            [BLOCK_ID, BLOCK, EVENT_COUNT, RAW_LENGTH, CRC32, CRC32C, OLDEST_EVENT_TIMESTAMP, NEWEST_EVENT_TIMESTAMP]
        {
            for bad in [None, Some(AttributeValue::N("-1".to_owned())), Some(AttributeValue::S("x".to_owned()))] {
                let mut item = good.clone();
                item.remove(attribute);
                item.extend(bad.map(|value| (attribute.to_owned(), value)));
                assert_eq!(to_block(item), Err(MalformedItem { attribute }));
            }
        }
    }
}
