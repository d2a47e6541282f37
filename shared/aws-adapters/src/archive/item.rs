//! Rows of tenants and references to segments as items of the events table.

use domain::{
    archive::{ArchiveRow, RegistryShard, SegmentReference, segment_partition},
    block::BlockId,
    configuration::bucket::BucketName,
    digest::Hex32,
    export_run::BlockRange,
    tenant::TenantId,
};

use crate::{
    dynamodb::item::{Attributes, Item, MalformedItem, extended, item, number, seconds, text},
    events::item::{BLOCK_ID, EVENT_COUNT, EXPIRES_AT, PARTITION},
};

pub(super) const BUCKET: &str = "bucket";
pub(super) const ARCHIVED_FROM: &str = "archivedFrom";
pub(super) const ARCHIVED_THROUGH: &str = "archivedThrough";
pub(super) const SEGMENTS_THROUGH: &str = "segmentsThrough";
pub(super) const EXTENDED_THROUGH: &str = "extendedThrough";
pub(super) const KEPT_THROUGH: &str = "keptThrough";
const FIRST_BLOCK: &str = "firstBlock";
const OBJECT_KEY: &str = "objectKey";
const LENGTH: &str = "length";
const SHA256: &str = "sha256";
const BLOCKS: &str = "blocks";
const LEFT_OUT: &str = "leftOut";

/// Returns the key of a tenant's row.
pub(super) fn row_key(tenant: &TenantId) -> Item {
    row_key_in(RegistryShard::of(tenant), tenant.as_str())
}

/// Returns the key of the row with this sort key in a shard.
pub(super) fn row_key_in(shard: RegistryShard, key: &str) -> Item {
    item([(PARTITION, text(shard)), (BLOCK_ID, text(key))])
}

pub(super) fn write_row(row: &ArchiveRow) -> Item {
    let mut found = extended(
        row_key(&row.tenant),
        [
            (ARCHIVED_FROM, text(row.archived_from)),
            (ARCHIVED_THROUGH, text(row.archived_through)),
            (SEGMENTS_THROUGH, text(row.segments_through)),
            (EXPIRES_AT, seconds(row.expires_at)),
        ],
    );
    found.extend(row.bucket.as_ref().map(|bucket| (BUCKET.to_owned(), text(bucket))));
    found.extend(row.extended_through.map(|extended| (EXTENDED_THROUGH.to_owned(), text(extended))));
    found.extend(row.kept_through.map(|kept| (KEPT_THROUGH.to_owned(), text(kept))));
    found
}

pub(super) fn read_row(found: &Item) -> Result<ArchiveRow, MalformedItem> {
    let attributes = Attributes(found);
    let id = |name| attributes.required(name, |text| BlockId::parse(text).ok());
    Ok(ArchiveRow {
        tenant: attributes.required(BLOCK_ID, |text| TenantId::parse(text).ok())?,
        bucket: read_bucket(found)?,
        archived_from: id(ARCHIVED_FROM)?,
        archived_through: id(ARCHIVED_THROUGH)?,
        segments_through: id(SEGMENTS_THROUGH)?,
        extended_through: attributes.optional(EXTENDED_THROUGH, |text| BlockId::parse(text).ok())?,
        kept_through: attributes.optional(KEPT_THROUGH, |text| BlockId::parse(text).ok())?,
        expires_at: attributes.optional_seconds(EXPIRES_AT)?.ok_or(MalformedItem { attribute: EXPIRES_AT })?,
    })
}

/// Returns the bucket of a row. `None`: it is from before the bucket was noted.
pub(super) fn read_bucket(row: &Item) -> Result<Option<BucketName>, MalformedItem> {
    Attributes(row).optional(BUCKET, |text| BucketName::parse(text).ok())
}

pub(super) fn write_segment(tenant: &TenantId, segment: &SegmentReference) -> Item {
    item([
        (PARTITION, text(segment_partition(tenant))),
        (BLOCK_ID, text(segment.id())),
        (FIRST_BLOCK, text(segment.covers.first)),
        (OBJECT_KEY, text(&segment.object_key)),
        (LENGTH, number(segment.length)),
        (SHA256, text(segment.sha256)),
        (EVENT_COUNT, number(segment.event_count)),
        (BLOCKS, number(segment.blocks)),
        (LEFT_OUT, number(segment.left_out)),
        (EXPIRES_AT, seconds(segment.expires_at)),
    ])
}

pub(super) fn read_segment(found: &Item) -> Result<SegmentReference, MalformedItem> {
    let attributes = Attributes(found);
    let id = |name| attributes.required(name, |text| BlockId::parse(text).ok());
    Ok(SegmentReference {
        covers: BlockRange { first: id(FIRST_BLOCK)?, end: id(BLOCK_ID)?.next() },
        object_key: attributes.text(OBJECT_KEY)?,
        length: attributes.number(LENGTH)?,
        sha256: attributes.required(SHA256, |text| Hex32::try_from(text.to_owned()).ok())?,
        event_count: attributes.number(EVENT_COUNT)?,
        blocks: attributes.number(BLOCKS)?,
        left_out: attributes.number(LEFT_OUT)?,
        expires_at: attributes.optional_seconds(EXPIRES_AT)?.ok_or(MalformedItem { attribute: EXPIRES_AT })?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{archive::ArchiveTimes, time::Timestamp};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-29T12:00:00Z").unwrap()
    }

    fn row() -> ArchiveRow {
        let tenant = TenantId::parse("acme").unwrap();
        let bucket = BucketName::parse("archive").unwrap();
        let row = ArchiveRow::new(tenant, bucket, now(), Duration::from_hours(24), &ArchiveTimes::PRODUCTION);
        ArchiveRow { archived_through: row.archived_from.next(), ..row }
    }

    fn segment() -> SegmentReference {
        SegmentReference {
            covers: BlockRange::between(now().saturating_sub(Duration::from_hours(1)), now()),
            object_key: "keep-110-days/acme/2026/11/29/a-b-c.segment".to_owned(),
            length: 5_000_000_000,
            sha256: Hex32([7; 32]),
            event_count: 6_000_000_000,
            blocks: 3,
            left_out: 1,
            expires_at: now(),
        }
    }

    #[test]
    fn a_row_comes_back_from_its_item() {
        for (bucket, extended_through) in [(None, None), (row().bucket, Some(BlockId::lowest_at(now())))] {
            let kept_through = extended_through.map(BlockId::next);
            let row = ArchiveRow { bucket, extended_through, kept_through, ..row() };
            assert_eq!(read_row(&write_row(&row)), Ok(row));
        }
    }

    #[test]
    fn a_segment_comes_back_from_its_item() {
        let tenant = TenantId::parse("acme").unwrap();
        let found = write_segment(&tenant, &segment());
        assert_eq!((&found[PARTITION], &found[BLOCK_ID]), (&text("acme#archive"), &text(segment().id())));
        assert_eq!(read_segment(&found), Ok(segment()));
    }

    /// Else a block of a tenant could be taken for a row, or the api's role, which may write to `*#15`, could write one.
    #[test]
    fn the_partition_of_a_row_is_no_tenants_and_no_shard_for_changes() {
        for shard in RegistryShard::all() {
            let key = shard.to_string();
            assert!(key.starts_with("#archive#") && !key.ends_with("#15"), "{key}");
        }
    }

    #[test]
    fn a_malformed_attribute_is_named() {
        let tenant = TenantId::parse("acme").unwrap();
        for name in [BUCKET, ARCHIVED_FROM, ARCHIVED_THROUGH, SEGMENTS_THROUGH, EXPIRES_AT] {
            let mut bad = write_row(&row());
            bad.insert(name.to_owned(), text("x"));
            assert_eq!(read_row(&bad).unwrap_err().attribute, name);
        }
        for name in [FIRST_BLOCK, OBJECT_KEY, LENGTH, SHA256, EVENT_COUNT, BLOCKS, LEFT_OUT, EXPIRES_AT] {
            let mut bad = write_segment(&tenant, &segment());
            bad.remove(name);
            assert_eq!(read_segment(&bad).unwrap_err().attribute, name);
        }
    }
}
