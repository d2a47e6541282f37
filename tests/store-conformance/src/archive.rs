//! The records of the archive: rows of tenants, references to segments, and expiries of blocks.

use std::time::Duration;

use domain::{
    archive::{ArchiveRow, ArchiveTimes, RegistryShard, SegmentReference, segment_partition},
    block::{BlockId, Shard, encode_block, partition_key},
    configuration::bucket::BucketName,
    digest::Hex32,
    export_run::BlockRange,
    time::Timestamp,
};
use export_engine::ports::{AdvanceOutcome, ArchiveRecords, ArchiveReset, BlockExpiry, RowPosition};
use host::{Machine, Random};

use crate::support::{RETENTION, Store, Table, now};

const TIMES: ArchiveTimes = ArchiveTimes::PRODUCTION;
const HOUR: Duration = Duration::from_hours(1);

fn bucket() -> BucketName {
    BucketName::parse("archive").unwrap()
}

impl Store {
    fn new_row(&self) -> ArchiveRow {
        // DynamoDB keeps whole seconds of an expiry.
        let second = now().floor_to(Duration::from_secs(1));
        ArchiveRow::new(self.tenant.clone(), bucket(), second, RETENTION, &TIMES)
    }

    async fn created_row(&self) -> ArchiveRow {
        let row = self.new_row();
        assert_eq!(self.archive().create_archive_row(&row).await, Ok(true));
        row
    }

    async fn found_row(&self) -> Option<ArchiveRow> {
        self.archive().archive_row(&self.tenant).await.unwrap()
    }
}

/// Returns the row after a rescue.
fn extended(row: &ArchiveRow, through: BlockId) -> ArchiveRow {
    ArchiveRow { extended_through: Some(through), ..row.clone() }
}

/// Returns the reference to the segment of the hour after what the row has archived.
fn next_segment(row: &ArchiveRow) -> SegmentReference {
    let end = BlockId::lowest_at(row.archived_through.timestamp().saturating_add(HOUR));
    SegmentReference {
        covers: BlockRange { first: row.segments_through, end },
        object_key: format!("keep-110-days/{}/{end}.segment", row.tenant),
        length: 40_000_000_000,
        sha256: Hex32([7; 32]),
        event_count: 5_000_000_000,
        blocks: 3,
        left_out: 1,
        // The emulators delete what has expired within the minute, and DynamoDB keeps whole seconds.
        expires_at: now().floor_to(Duration::from_secs(1)).saturating_add(RETENTION),
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_row_is_created_once_and_listed_in_its_shard() {
    let store = Store::new();
    assert_eq!(store.found_row().await, None);
    let row = store.created_row().await;
    let other = ArchiveRow { archived_through: row.archived_through.next(), ..row.clone() };
    assert_eq!(store.archive().create_archive_row(&other).await, Ok(false));
    assert_eq!(store.found_row().await, Some(row.clone()));

    let (shard, mut after, mut listed) = (RegistryShard::of(&store.tenant), None, Vec::new());
    loop {
        let page = store.archive().archive_rows(shard, after.as_ref()).await.unwrap();
        listed.extend(page.rows.into_iter().map(Result::unwrap));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed.iter().filter(|found| **found == row).count(), 1);
    let after_it = RowPosition::new(store.tenant.to_string());
    let after_it = store.archive().archive_rows(shard, Some(&after_it)).await.unwrap();
    assert!(after_it.rows.into_iter().all(|found| found.unwrap().tenant > store.tenant));
    let item = &store.items(Table::Events, &shard.to_string()).await[store.tenant.as_str()];
    assert_eq!(store.expiry(Table::Events, item).await, Some(row.expires_at));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_segment_and_its_row_are_written_both_or_neither() {
    let store = Store::new();
    let (archive, row) = (store.archive(), store.created_row().await);
    let segment = next_segment(&row);
    let next = row.past(&segment, &TIMES);
    assert_eq!(archive.advance_archive(&row, &next, Some(&segment)).await, Ok(AdvanceOutcome::Done));
    assert_eq!(store.found_row().await, Some(next.clone()));
    let all = BlockRange { first: row.archived_from, end: next.archived_through };
    assert_eq!(archive.segments(&store.tenant, all).await, Ok(vec![segment.clone()]));

    // Another archiver that still has the earlier row.
    let late = SegmentReference { object_key: "another".to_owned(), ..segment.clone() };
    assert_eq!(archive.advance_archive(&row, &row.past(&late, &TIMES), Some(&late)).await, Ok(AdvanceOutcome::Moved));
    let empty = row.past_nothing(segment.covers.end.next());
    assert_eq!(archive.advance_archive(&row, &empty, None).await, Ok(AdvanceOutcome::Moved));
    assert_eq!(archive.segments(&store.tenant, all).await, Ok(vec![segment.clone()]));
    assert_eq!(store.found_row().await, Some(next.clone()));

    // A reference under a row that was not moved is somebody else's.
    let foreign = archive.advance_archive(&next, &next.past_nothing(segment.covers.end), Some(&segment)).await;
    assert_eq!(foreign, Ok(AdvanceOutcome::ReferenceExists));
    assert_eq!(store.found_row().await, Some(next.clone()));

    let further = next.past_nothing(BlockId::lowest_at(now()));
    assert_eq!(archive.advance_archive(&next, &further, None).await, Ok(AdvanceOutcome::Done));
    assert_eq!(store.found_row().await, Some(further));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_row_notes_its_bucket_and_moves_in_that_bucket_alone() {
    let store = Store::new();
    let (archive, row) = (store.archive(), ArchiveRow { bucket: None, ..store.new_row() });
    assert_eq!(archive.archive_bucket(&store.tenant).await, Ok(None), "there is no row");
    assert_eq!(archive.create_archive_row(&row).await, Ok(true));
    assert_eq!((store.found_row().await, archive.archive_bucket(&store.tenant).await), (Some(row.clone()), Ok(None)));

    // An earlier release has written the row; the next advance notes the bucket.
    let noted = ArchiveRow { bucket: Some(bucket()), ..row.past_nothing(row.archived_through.next()) };
    assert_eq!(archive.advance_archive(&row, &noted, None).await, Ok(AdvanceOutcome::Done));
    assert_eq!(archive.archive_bucket(&store.tenant).await, Ok(Some(bucket())));
    let other = ArchiveRow { bucket: BucketName::parse("other").ok(), ..noted.clone() };
    let (segment, through) = (next_segment(&noted), noted.archived_through.next());
    for stale in [ArchiveRow { bucket: None, ..noted.clone() }, other] {
        assert_eq!(
            archive.advance_archive(&stale, &stale.past_nothing(through), None).await,
            Ok(AdvanceOutcome::Moved)
        );
        let moved = archive.advance_archive(&stale, &stale.past(&segment, &TIMES), Some(&segment)).await;
        assert_eq!(moved, Ok(AdvanceOutcome::Moved));
    }
    assert_eq!(
        archive.advance_archive(&noted, &noted.past(&segment, &TIMES), Some(&segment)).await,
        Ok(AdvanceOutcome::Done)
    );
    assert_eq!(store.found_row().await, Some(noted.past(&segment, &TIMES)));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn no_row_is_moved_where_there_is_none() {
    let store = Store::new();
    let row = store.new_row();
    let segment = next_segment(&row);
    let archive = store.archive();
    assert_eq!(
        archive.advance_archive(&row, &row.past(&segment, &TIMES), Some(&segment)).await,
        Ok(AdvanceOutcome::Moved)
    );
    assert_eq!(archive.extend_archive_row(&row, &extended(&row, segment.covers.end)).await, Ok(false));
    assert_eq!(archive.reset_archive_row(&row).await, Ok(()));
    assert_eq!(store.found_row().await, None);
    assert!(store.items(Table::Events, &segment_partition(&store.tenant)).await.is_empty());
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_segments_of_a_range_are_those_that_cover_some_of_it() {
    let store = Store::new();
    let (archive, mut row) = (store.archive(), store.created_row().await);
    let mut segments = Vec::new();
    for _ in 0..4 {
        let segment = next_segment(&row);
        let next = row.past(&segment, &TIMES);
        assert_eq!(archive.advance_archive(&row, &next, Some(&segment)).await, Ok(AdvanceOutcome::Done));
        (row, segments) = (next, [segments, vec![segment]].concat());
    }
    let (first, last) = (segments[1].covers.first, segments[2].covers.end);
    for (range, expected) in [
        (BlockRange { first, end: last }, &segments[1..3]),
        (BlockRange { first: first.next(), end: last.previous() }, &segments[1..3]),
        (BlockRange { first: first.previous(), end: last.next() }, &segments[..]),
        (BlockRange { first: row.archived_through, end: BlockId::lowest_at(Timestamp::MAX) }, &[]),
    ] {
        assert_eq!(archive.segments(&store.tenant, range).await.unwrap(), expected, "{range:?}");
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_rescue_moves_its_own_mark_and_an_archiver_leaves_it() {
    let store = Store::new();
    let (archive, row) = (store.archive(), store.created_row().await);
    let (one, two) = (row.archived_through.next(), row.archived_through.next().next());
    let first = extended(&row, one);
    assert_eq!(archive.extend_archive_row(&row, &first).await, Ok(true));
    assert_eq!(archive.extend_archive_row(&row, &extended(&row, two)).await, Ok(false), "another rescue was faster");
    let second = extended(&first, two);
    assert_eq!(archive.extend_archive_row(&first, &second).await, Ok(true));
    let late = ArchiveRow { kept_through: Some(two.next()), ..second.clone() };
    assert_eq!(archive.extend_archive_row(&second, &late).await, Ok(true));
    assert_eq!(archive.extend_archive_row(&second, &extended(&second, two.next())).await, Ok(false));
    let later = ArchiveRow { kept_through: Some(two.next().next()), ..late.clone() };
    assert_eq!(archive.extend_archive_row(&late, &later).await, Ok(true));
    let moved = row.past_nothing(BlockId::lowest_at(now()));
    assert_eq!(archive.advance_archive(&row, &moved, None).await, Ok(AdvanceOutcome::Done));
    let ArchiveRow { extended_through, kept_through, .. } = later;
    assert_eq!(store.found_row().await, Some(ArchiveRow { extended_through, kept_through, ..moved }));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_erased_tenants_row_begins_again() {
    let store = Store::new();
    let (archive, row) = (store.archive(), store.created_row().await);
    let through = Some(row.archived_through.next());
    let rescued = ArchiveRow { extended_through: through, kept_through: through, ..row.clone() };
    assert_eq!(archive.extend_archive_row(&row, &rescued).await, Ok(true));
    let second = now().floor_to(Duration::from_secs(1));
    let fresh = ArchiveRow::after_erasure(store.tenant.clone(), bucket(), second, RETENTION, &TIMES);
    assert_eq!(archive.reset_archive_row(&fresh).await, Ok(()));
    assert_eq!(store.found_row().await, Some(fresh));
    let segment = next_segment(&row);
    let late = archive.advance_archive(&row, &row.past(&segment, &TIMES), Some(&segment)).await;
    assert_eq!(late, Ok(AdvanceOutcome::Moved), "an archiver that worked on the earlier archive");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_expiry_is_extended_where_it_is_shorter_and_nothing_else_changes() {
    let store = Store::new();
    let shard = Shard::new(2).unwrap();
    let partition = partition_key(&store.tenant, shard);
    let first = BlockId::from_parts(now(), Machine.bits());
    let ids: Vec<_> = std::iter::successors(Some(first), |id| Some(id.next())).take(4).collect();
    let stamp = first.timestamp();
    for (id, lifetime) in ids.iter().zip([HOUR, RETENTION * 2, HOUR, HOUR]) {
        let block = encode_block(&store.tenant, *id, b"{\"id\":\"1\"}\n", stamp, stamp).unwrap();
        let expires_at = stamp.saturating_add(lifetime);
        store.writer().write(&store.tenant, shard, &[block], expires_at, &[]).await.unwrap();
    }
    let before = store.items(Table::Events, &partition).await;
    let range = BlockRange { first: ids[0], end: ids[3] };
    let rest = store.archive().extend_expiry(&store.tenant, shard, range, RETENTION).await;
    assert_eq!(rest, Ok(None));
    let after = store.items(Table::Events, &partition).await;
    for (number, (id, lifetime)) in ids.iter().zip([RETENTION, RETENTION * 2, RETENTION, HOUR]).enumerate() {
        let (mut old, mut new) = (before[&id.to_string()].clone(), after[&id.to_string()].clone());
        let expiry = store.expiry(Table::Events, &new).await.unwrap();
        assert_eq!(expiry.as_seconds(), stamp.saturating_add(lifetime).as_seconds(), "block {number}");
        old.remove("expiresAt");
        new.remove("expiresAt");
        assert_eq!(old, new);
    }
    // A range without blocks makes none.
    let empty = BlockRange { first: ids[3].next(), end: BlockId::lowest_at(Timestamp::MAX) };
    assert_eq!(store.archive().extend_expiry(&store.tenant, shard, empty, RETENTION).await, Ok(None));
    assert_eq!(store.items(Table::Events, &partition).await.len(), 4);
}
