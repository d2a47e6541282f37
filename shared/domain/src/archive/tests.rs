use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::{
    block::{BlockId, StoredBlock, encode_block},
    configuration::bucket::BucketName,
    digest::Hex32,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};

const TIMES: ArchiveTimes = ArchiveTimes::PRODUCTION;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn bucket() -> BucketName {
    BucketName::parse("archive").unwrap()
}

fn now() -> Timestamp {
    at("2026-11-29T12:34:56Z")
}

fn before(age: Duration) -> BlockId {
    BlockId::lowest_at(now().saturating_sub(age))
}

fn row(archived_through: BlockId) -> ArchiveRow {
    ArchiveRow {
        archived_from: before(DAY * 50),
        archived_through,
        segments_through: archived_through,
        ..ArchiveRow::new(tenant(), bucket(), now(), DAY * 104, &TIMES)
    }
}

fn blocks() -> Vec<StoredBlock> {
    let block = |number: u64| {
        let stamp = at("2026-11-29T10:00:00Z").saturating_add(Duration::from_mins(number));
        let line = format!("{{\"id\":\"{number}\"}}\n");
        encode_block(&tenant(), BlockId::from_parts(stamp, 7), line.as_bytes(), stamp, stamp).unwrap()
    };
    (0..3).map(block).collect()
}

fn covers() -> BlockRange {
    BlockRange::between(at("2026-11-29T08:00:00Z"), at("2026-11-29T11:00:00Z"))
}

fn segment() -> Bytes {
    let mut writer = SegmentWriter::new();
    for block in &blocks() {
        writer.push(block);
    }
    assert_eq!((writer.blocks(), writer.event_count()), (3, 3));
    writer.finish(&tenant(), covers())
}

fn read(bytes: &[u8]) -> Result<SegmentIndex, InvalidSegment> {
    let tail_length = usize::try_from(SegmentIndex::tail_length(&tenant(), 3)).unwrap();
    SegmentIndex::read(&bytes[bytes.len() - tail_length..], bytes.len() as u64, &tenant(), covers())
}

#[test]
fn the_bytes_of_a_segment_are_pinned() {
    insta::assert_snapshot!(HEXLOWER.encode(&segment()));
}

#[test]
fn the_blocks_of_a_segment_come_back() {
    let bytes = segment();
    let index = read(&bytes).unwrap();
    let block = |entry: &IndexedBlock| {
        let range = entry.range();
        entry.with_bytes(bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()))
    };
    let found: Vec<_> = index.blocks.iter().map(block).collect();
    assert_eq!(found, blocks());
    assert!(found.iter().all(|block| block.check(&tenant()).is_ok()));
    let ids: Vec<_> = blocks().iter().map(|block| block.id).collect();
    let of = |first: BlockId, end: BlockId| {
        index.of_range(BlockRange { first, end }).iter().map(IndexedBlock::id).collect::<Vec<_>>()
    };
    assert_eq!(of(ids[0], ids[2]), ids[..2]);
    assert_eq!(of(ids[0].next(), ids[2].next()), ids[1..]);
    assert_eq!(of(ids[2].next(), covers().end), []);
}

#[test]
fn an_index_with_any_other_byte_is_refused() {
    let bytes = segment();
    let tail_length = usize::try_from(SegmentIndex::tail_length(&tenant(), 3)).unwrap();
    for position in bytes.len() - tail_length..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[position] ^= 0x20;
        assert!(read(&changed).is_err(), "byte {position}");
    }
    let tail = &bytes[bytes.len() - tail_length..];
    let length = bytes.len() as u64;
    let other = TenantId::parse("evil").unwrap();
    assert_eq!(SegmentIndex::read(tail, length, &other, covers()), Err(InvalidSegment::Foreign));
    let more = BlockRange { end: covers().end.next(), ..covers() };
    assert_eq!(SegmentIndex::read(tail, length, &tenant(), more), Err(InvalidSegment::Foreign));
    assert_eq!(SegmentIndex::read(tail, length + 1, &tenant(), covers()), Err(InvalidSegment::Order));
    assert_eq!(SegmentIndex::read(&tail[1..], length, &tenant(), covers()), Err(InvalidSegment::Length));
    assert_eq!(SegmentIndex::read(&[], length, &tenant(), covers()), Err(InvalidSegment::Length));
}

#[test]
fn a_key_names_class_tenant_day_range_and_content() {
    let key = segment_key(DayClass::of(DAY * 106), &tenant(), covers(), Hex32([0xab; 32]));
    let (first, last) = (covers().first, covers().end.previous());
    assert_eq!(key, format!("keep-110-days/acme/2026/11/29/{first}-{last}-abababababababab.segment"));
    assert!(TenantSegments(&tenant()).prefixes().any(|prefix| key.starts_with(&prefix)));
}

#[test]
fn a_class_keeps_what_has_to_be_kept() {
    for (days, expected) in [(1, 30), (27, 30), (28, 60), (30, 60), (105, 110), (110, 140), (381, 400), (3_666, 3_700)]
    {
        assert_eq!(DayClass::of(DAY * days).days(), expected, "{days}");
    }
    assert_eq!(DayClass::of(DAY * 27 + Duration::from_secs(1)).days(), 60);
    assert!(DAY_CLASSES.is_sorted());
}

#[test]
fn the_shard_of_a_tenant_is_pinned() {
    let shard = |tenant: &str| RegistryShard::of(&TenantId::parse(tenant).unwrap()).to_string();
    insta::assert_snapshot!([shard("acme"), shard("globex"), shard("a")].join(" "));
    assert_eq!(RegistryShard::all().count(), 16);
}

#[test]
fn the_short_expiry_needs_a_fresh_archive_whose_row_outlives_the_block() {
    let terms = BlockTerms::parse(7, DAY * 90).unwrap();
    let (short, full) = (now().saturating_add(DAY * 7), now().saturating_add(DAY * 104));
    let fresh = row(before(HOUR));
    assert_eq!(terms.expiry(Some(&fresh), &bucket(), now()), short);
    assert_eq!(terms.expiry(None, &bucket(), now()), full);
    assert_eq!(terms.expiry(Some(&row(before(HOUR * 25))), &bucket(), now()), short);
    assert_eq!(terms.expiry(Some(&row(before(HOUR * 25 + Duration::from_millis(1)))), &bucket(), now()), full);
    let with_expiry = |expires_at| ArchiveRow { expires_at, ..fresh.clone() };
    let least = short.saturating_add(DAY * 2);
    assert_eq!(terms.expiry(Some(&with_expiry(least)), &bucket(), now()), short);
    assert_eq!(
        terms.expiry(Some(&with_expiry(least.saturating_sub(Duration::from_millis(1)))), &bucket(), now()),
        full
    );
    // Marks that no archiver can have written: in the future, or out of order.
    let future = ArchiveRow { archived_through: BlockId::lowest_at(now().saturating_add(DAY)), ..fresh.clone() };
    let unordered = ArchiveRow { segments_through: before(Duration::ZERO), ..fresh.clone() };
    let late = ArchiveRow { archived_from: before(Duration::ZERO), ..fresh.clone() };
    let in_future = Some(BlockId::lowest_at(now().saturating_add(DAY)));
    let extended = ArchiveRow { extended_through: in_future, ..fresh.clone() };
    let kept = ArchiveRow { kept_through: in_future, ..fresh.clone() };
    for impossible in [future, unordered, late, extended, kept] {
        assert_eq!(impossible.check_marks(now()), Err(ImpossibleMarks));
        assert_eq!(terms.expiry(Some(&impossible), &bucket(), now()), full);
    }
    assert_eq!(fresh.check_marks(now()), Ok(()));
    // An archive that has never stored a segment may not work at all, and one that has for some hours may be rolled back.
    let start = now().saturating_sub(DAY * 2);
    for (stored, expected) in
        [(Duration::ZERO, full), (HOUR * 3, full), (DAY.saturating_sub(Duration::from_millis(1)), full), (DAY, short)]
    {
        let segments_through = BlockId::lowest_at(start.saturating_add(stored));
        let young = ArchiveRow { archived_from: BlockId::lowest_at(start), segments_through, ..fresh.clone() };
        assert_eq!(terms.expiry(Some(&young), &bucket(), now()), expected, "{stored:?}");
    }
    // The segments of another bucket are not continued; a row from before the bucket was noted counts as the present one's.
    let other = BucketName::parse("other").unwrap();
    let foreign = ArchiveRow { bucket: Some(other.clone()), ..fresh.clone() };
    assert_eq!(
        (terms.expiry(Some(&foreign), &bucket(), now()), terms.expiry(Some(&foreign), &other, now())),
        (full, short)
    );
    let unnoted = ArchiveRow { bucket: None, ..fresh.clone() };
    assert_eq!(terms.expiry(Some(&unnoted), &bucket(), now()), short);
    let off = BlockTerms::parse(0, DAY * 90).unwrap();
    assert_eq!((off.expiry(Some(&fresh), &bucket(), now()), off.table()), (full, None));
}

#[test]
fn table_days_are_seven_to_365_or_none() {
    for bad in [1, 6, 366, u32::MAX] {
        assert_eq!(BlockTerms::parse(bad, DAY * 90), Err(InvalidTableDays), "{bad}");
    }
    for (days, retention, table) in
        [(7, 90, Some(7)), (365, 400, Some(365)), (104, 90, None), (103, 90, Some(103)), (15, 1, None)]
    {
        let terms = BlockTerms::parse(days, DAY * retention).unwrap();
        assert_eq!(terms.table(), table.map(|days: u32| DAY * days), "{days} of {retention}");
    }
}

#[test]
fn a_young_range_needs_no_row() {
    let young = BlockRange { first: before(DAY * 5), end: before(HOUR) };
    assert!(!BlockLayout::needs_row(young, now(), &TIMES));
    let old = BlockRange { first: before(DAY * 5 + Duration::from_millis(1)), ..young };
    assert!(BlockLayout::needs_row(old, now(), &TIMES));
    assert!(!BlockLayout::needs_row(BlockRange { end: old.first, ..old }, now(), &TIMES));
}

#[test]
fn a_range_has_a_part_before_the_archive_the_archive_and_the_table() {
    let row = row(before(HOUR));
    let layout = |first, end| BlockLayout::of(Some(&row), BlockRange { first, end }, now(), &TIMES).unwrap().parts;
    let table = |first, end| BlockPart::Table(BlockRange { first, end });
    let archive = |first, end| BlockPart::Archive(BlockRange { first, end });
    let (from, recent) = (row.archived_from, before(DAY * 5));
    let (old, end) = (before(DAY * 60), before(HOUR * 2));
    assert_eq!(layout(old, end), [table(old, from), archive(from, recent), table(recent, end)]);
    assert_eq!(layout(from, recent), [archive(from, recent)]);
    assert_eq!(layout(old, from), [table(old, from)]);
    let idle = ArchiveRow { segments_through: before(DAY * 20), ..row.clone() };
    let parts = BlockLayout::of(Some(&idle), BlockRange { first: old, end }, now(), &TIMES).unwrap().parts;
    // The time without blocks is read from the table: a row that says too much hides nothing.
    assert_eq!(parts, [table(old, from), archive(from, before(DAY * 20)), table(before(DAY * 20), end)]);
    let all = BlockRange { first: old, end };
    assert_eq!(BlockLayout::of(None, all, now(), &TIMES), Ok(BlockLayout::in_table(all)));
}

#[test]
fn old_blocks_of_the_table_have_no_segment() {
    let row = row(before(HOUR));
    let without = |row: Option<&ArchiveRow>, first, end| {
        BlockLayout::without_segments(row, BlockRange { first, end }, now(), &TIMES)
    };
    let before_it = |end| BlockRange { first: BlockId::LOWEST, end };
    let (from, recent) = (row.archived_from, before(DAY * 5));
    let (old, end) = (before(DAY * 60), before(HOUR * 2));
    assert_eq!(without(Some(&row), old, end), [before_it(from)]);
    // The archive has the old blocks, and the table the others.
    assert_eq!(without(Some(&row), from, end), []);
    // A row that is gone, or begins now.
    assert_eq!(without(None, old, before(DAY * 50)), [before_it(recent)]);
    assert_eq!(without(None, recent, end), []);
    let start = before(Duration::ZERO);
    let set_back = ArchiveRow { archived_from: start, archived_through: start, segments_through: start, ..row.clone() };
    assert_eq!(without(Some(&set_back), old, old.next()), [before_it(recent)]);
    // One that ends too early.
    let short = ArchiveRow { segments_through: before(DAY * 20), ..row.clone() };
    let rest = BlockRange { first: before(DAY * 20), end: recent };
    assert_eq!(without(Some(&short), old, end), [before_it(from), rest]);
    let rest = BlockRange { first: before(DAY * 9), end: before(DAY * 8) };
    assert_eq!(without(Some(&short), rest.first, rest.end), [rest]);
    assert_eq!(without(Some(&short), before(DAY * 4), end), []);
}

#[test]
fn a_row_counts_the_segments_between_its_start_and_their_end() {
    let row = row(before(HOUR));
    let counts = |first, end| {
        row.counts(&SegmentReference {
            covers: BlockRange { first, end },
            object_key: String::new(),
            length: 1,
            sha256: Hex32([7; 32]),
            event_count: 1,
            blocks: 1,
            left_out: 0,
            expires_at: now(),
        })
    };
    let (from, through) = (row.archived_from, row.segments_through);
    assert!(counts(from, through) && counts(from.next(), through.previous()));
    assert!(!counts(from.previous(), through) && !counts(from, through.next()));
}

#[test]
fn what_may_be_gone_is_an_error() {
    let dead = row(before(DAY * 10));
    let range = BlockRange { first: before(DAY * 30), end: before(HOUR) };
    let since = dead.archived_through;
    assert_eq!(BlockLayout::of(Some(&dead), range, now(), &TIMES), Err(ArchiveBehind { since, age: TIMES.behind }));
    // Neither what is archived nor what is young is concerned.
    let archived = BlockRange { end: since, ..range };
    assert!(BlockLayout::of(Some(&dead), archived, now(), &TIMES).is_ok());
    assert!(BlockLayout::of(Some(&dead), BlockRange { first: before(DAY * 6), ..range }, now(), &TIMES).is_ok());
    let rescued = ArchiveRow { extended_through: Some(before(DAY * 6)), ..dead.clone() };
    assert!(BlockLayout::of(Some(&rescued), range, now(), &TIMES).is_ok());
    let too_late = ArchiveRow { extended_through: Some(before(DAY * 7)), ..dead };
    assert!(BlockLayout::of(Some(&too_late), range, now(), &TIMES).is_err());
}

#[test]
fn the_rescue_begins_after_three_days_and_goes_on_where_it_was() {
    assert_eq!(row(before(DAY * 3)).to_rescue(now(), &TIMES), None);
    let late = row(before(DAY * 4));
    let end = before(DAY * 2);
    assert_eq!(late.to_rescue(now(), &TIMES), Some(BlockRange { first: before(DAY * 4), end }));
    let extended = |age| ArchiveRow { extended_through: Some(before(age)), ..late.clone() };
    let first = before(DAY * 3 + HOUR);
    assert_eq!(extended(DAY * 3 + HOUR).to_rescue(now(), &TIMES), Some(BlockRange { first, end }));
    // A tenant is rescued once a day, not with each sweep.
    assert_eq!(extended(DAY * 3).to_rescue(now(), &TIMES), None);
    assert_eq!(extended(DAY * 2).to_rescue(now(), &TIMES), None);
    // What a late rescue kept is not kept again, and is not safe.
    let kept = ArchiveRow { kept_through: Some(before(DAY * 3)), ..row(before(DAY * 9)) };
    assert_eq!((kept.to_rescue(now(), &TIMES), kept.has_losses(now(), &TIMES)), (None, true));
    assert_eq!(kept.safe_through(), before(DAY * 9));
    // That of an earlier rescue.
    assert_eq!(extended(DAY * 20).to_rescue(now(), &TIMES).unwrap().first, before(DAY * 4));
}

#[test]
fn an_idle_tenant_is_looked_at_less_often_and_its_row_ends() {
    let settled = before(HOUR);
    let busy = row(before(HOUR * 2));
    assert!(busy.is_due(settled, &TIMES));
    assert!(!row(settled).is_due(settled, &TIMES));
    let idle = busy.past_nothing(before(HOUR * 6));
    assert_eq!(idle.expires_at, busy.expires_at);
    assert!(!ArchiveRow { segments_through: before(HOUR * 8), ..idle.clone() }.is_due(settled, &TIMES));
    let idle = idle.past_nothing(before(HOUR * 7));
    assert!(ArchiveRow { segments_through: before(HOUR * 8), ..idle }.is_due(settled, &TIMES));
}

#[test]
fn an_erased_tenant_gets_another_archive() {
    let row = ArchiveRow::after_erasure(tenant(), bucket(), now(), DAY * 7, &TIMES);
    let new = ArchiveRow::new(tenant(), bucket(), now(), DAY * 104, &TIMES);
    assert!(row.archived_from != new.archived_from, "an advance of the earlier archive would be accepted");
    let terms = BlockTerms::parse(7, DAY * 90).unwrap();
    // It has stored no segment yet.
    assert_eq!(terms.expiry(Some(&row), &bucket(), now()), now().saturating_add(DAY * 104));
    let later = now().saturating_add(DAY);
    let through = BlockId::lowest_at(later);
    let works = ArchiveRow { archived_through: through, segments_through: through, ..row.clone() };
    assert_eq!(terms.expiry(Some(&works), &bucket(), later), later.saturating_add(DAY * 7));
    // It does not outlive what is written later.
    let later = now().saturating_add(DAY * 3);
    let through = BlockId::lowest_at(later);
    let works = ArchiveRow { archived_through: through, segments_through: through, ..row };
    assert_eq!(terms.expiry(Some(&works), &bucket(), later), later.saturating_add(DAY * 104));
}

proptest! {
    /// Whatever the row: a block with the short expiry is read where it is sure to be, until it is past its full expiry.
    #[test]
    fn no_layout_reads_a_block_from_where_it_may_be_gone(
        archived_hours in 0_u32..400,
        extended_hours in proptest::option::of(0_u32..400),
        first_hours in 0_u32..1_200,
        block_hours in 0_u32..1_200,
    ) {
        let row = ArchiveRow {
            extended_through: extended_hours.map(|hours| before(HOUR * hours)),
            ..row(before(HOUR * archived_hours))
        };
        let range = BlockRange { first: before(HOUR * first_hours), end: before(Duration::ZERO) };
        let block = before(HOUR * block_hours);
        prop_assume!(range.contains(block));
        let Ok(layout) = BlockLayout::of(Some(&row), range, now(), &TIMES) else {
            prop_assert!(row.safe_through() < before(TIMES.behind));
            return Ok(());
        };
        let parts: Vec<_> = layout.parts.iter().filter(|part| part.range().contains(block)).collect();
        prop_assert_eq!(parts.len(), 1);
        match parts[0] {
            BlockPart::Archive(_) => prop_assert!((row.archived_from..row.archived_through).contains(&block)),
            BlockPart::Table(_) => {
                let has_full_expiry = block < row.archived_from || (row.archived_through..row.safe_through()).contains(&block);
                prop_assert!(has_full_expiry || block >= before(TIMES.behind));
            }
        }
    }
}
