use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    operation::query::{QueryInput, QueryOutput},
    types::{AttributeValue, Select},
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::block::{StoredBlock, encode_block};
use export_engine::ports::ErrorKind;

use super::*;

/// Blocks in one page of the double.
const PAGE_BLOCKS: usize = 3;

/// All blocks are younger than what is read from the archive.
const NOW: Timestamp = Timestamp::EPOCH;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn block_id(millisecond: u64) -> BlockId {
    BlockId::lowest_at(Timestamp::from_millis(1_000_000 + millisecond).unwrap())
}

fn block(id: BlockId, events: usize) -> StoredBlock {
    let time = id.timestamp();
    encode_block(&tenant(), id, "{}\n".repeat(events).as_bytes(), time, time).unwrap()
}

/// The items as ingest writes them, in order; a query gets the attributes that it asks for and no others, in pages.
fn answer(items: &[Item], request: &QueryInput) -> QueryOutput {
    assert_eq!(request.select(), Some(&Select::SpecificAttributes));
    let wanted: BTreeSet<&str> = request.projection_expression().unwrap().split(", ").collect();
    let values = request.expression_attribute_values().unwrap();
    let start = request.exclusive_start_key().map_or(String::new(), |key| key[item::BLOCK_ID].as_s().unwrap().clone());
    let is_wanted = |found: &&Item| {
        let id = found[item::BLOCK_ID].as_s().unwrap();
        let is_before_end = values.get(":last").is_none_or(|last| id <= last.as_s().unwrap());
        let is_after_start = id >= values[":first"].as_s().unwrap() && *id > start;
        found[item::PARTITION] == values[":partition"] && is_after_start && is_before_end
    };
    let mut found: Vec<Item> = items.iter().filter(is_wanted).cloned().collect();
    let goes_on = found.len() > PAGE_BLOCKS;
    found.truncate(PAGE_BLOCKS);
    let last = found.last().filter(|_| goes_on).cloned();
    for item in &mut found {
        item.retain(|name, _| wanted.contains(name.as_str()));
    }
    QueryOutput::builder().set_items(Some(found)).set_last_evaluated_key(last).build()
}

fn counter(items: Vec<Item>) -> (EventCounter, Arc<Mutex<usize>>) {
    let queries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&queries);
    let rule = mock!(Client::query).then_compute_output(move |request| {
        *counted.lock().unwrap() += 1;
        answer(&items, request)
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    (EventCounter::new(client, "events".to_owned()), queries)
}

fn stored(shard: u8, millisecond: u64, events: usize) -> Item {
    let block = block(block_id(millisecond), events);
    item::write_block(&tenant(), Shard::new(shard).unwrap(), &block, Timestamp::MAX)
}

fn backlog(events: u64, oldest: Option<u64>, is_complete: bool) -> Backlog {
    Backlog { events, oldest: oldest.map(|millisecond| block_id(millisecond).timestamp()), is_complete }
}

#[tokio::test]
async fn all_shards_are_counted_from_the_first_block_on() {
    let mut items: Vec<Item> = (0..16_u8)
        .flat_map(|shard| (0..3_u64).map(move |number| stored(shard, 100 * u64::from(shard) + number, 2)))
        .collect();
    let other = TenantId::parse("acme2").unwrap();
    items.push(item::write_block(&other, Shard::new(3).unwrap(), &block(block_id(5_000), 1_000), Timestamp::MAX));
    let (counter, queries) = counter(items);
    let firsts = [block_id(0), block_id(701), block_id(701), block_id(1_503), block_id(700)];
    let backlogs = counter.count_from(&tenant(), &firsts, NOW).await.unwrap();
    assert_eq!(
        backlogs,
        [
            backlog(96, Some(0), true),
            // The first block itself, and what was received after it.
            backlog(8 * 6 + 4, Some(701), true),
            backlog(8 * 6 + 4, Some(701), true),
            backlog(0, None, true),
            backlog(9 * 6, Some(700), true),
        ]
    );
    assert_eq!(*queries.lock().unwrap(), 16, "one page for each shard, whatever is asked");
    assert_eq!(counter.count_from(&tenant(), &[], NOW).await.unwrap(), []);
    assert_eq!(*queries.lock().unwrap(), 16);
}

#[tokio::test]
async fn counting_ends_at_its_bound_and_says_so() {
    let items = |count: usize| (0..count as u64).map(|number| stored(7, number, 1)).collect::<Vec<_>>();
    let (exact, _) = counter(items(PAGE_BLOCKS));
    assert_eq!(exact.count_from(&tenant(), &[block_id(0)], NOW).await.unwrap(), [backlog(3, Some(0), true)]);
    let (more, queries) = counter(items(10 * PAGE_BLOCKS));
    // The last that a page holds is still known.
    let backlogs = more.count_from(&tenant(), &[block_id(0), block_id(2)], NOW).await.unwrap();
    assert_eq!(backlogs, [backlog(3, Some(0), false), backlog(1, Some(2), false)]);
    assert_eq!(*queries.lock().unwrap(), 16);
}

/// One export that is far behind must not hide how the others stand.
#[tokio::test]
async fn exports_that_start_after_the_first_pass_are_counted_in_a_second() {
    let mut items: Vec<Item> = (0..4_u8)
        .flat_map(|shard| (0..100_u64).map(move |number| stored(shard, 10 * number + u64::from(shard), 1)))
        .collect();
    items.push(stored(9, 983, 5));
    let (counter, queries) = counter(items);
    let firsts = [block_id(0), block_id(980), block_id(991)];
    let backlogs = counter.count_from(&tenant(), &firsts, NOW).await.unwrap();
    // 980 to 983 and 990 to 993 are in the four shards.
    assert_eq!(
        backlogs,
        [
            // With those of the second pass: they were seen.
            backlog(4 * 3 + 8 + 5, Some(0), false),
            backlog(8 + 5, Some(980), true),
            backlog(3, Some(991), true),
        ]
    );
    assert_eq!(*queries.lock().unwrap(), MAX_PAGES);
}

#[tokio::test]
async fn the_oldest_is_left_out_where_an_older_one_may_not_have_been_read() {
    let mut items: Vec<Item> = (0..5_u8)
        .flat_map(|shard| (0..100_u64).map(move |number| stored(shard, 10 * number + u64::from(shard), 1)))
        .collect();
    items.push(stored(9, 985, 5));
    // Five shards go on: more than the pages that are left.
    let (narrow, queries) = counter(items.clone());
    let backlogs = narrow.count_from(&tenant(), &[block_id(0), block_id(980), block_id(2_000)], NOW).await.unwrap();
    assert_eq!(
        backlogs,
        [backlog(5 * 3 + 5, Some(0), false), backlog(5, None, false), backlog(0, None, false)],
        "at least 5, and the oldest of them is not the one of shard 9"
    );
    assert_eq!(*queries.lock().unwrap(), 16);
    // The same with pages left, where the second pass begins before the third backlog and doesn't reach it.
    items.retain(|item| item[item::PARTITION] != AttributeValue::S("acme#04".to_owned()));
    let (counter, queries) = counter(items);
    let backlogs = counter.count_from(&tenant(), &[block_id(0), block_id(500), block_id(980)], NOW).await.unwrap();
    assert_eq!(
        backlogs,
        [backlog(12 + 12 + 5, Some(0), false), backlog(12 + 5, Some(500), false), backlog(5, None, false)]
    );
    assert_eq!(*queries.lock().unwrap(), MAX_PAGES);
}

#[tokio::test]
async fn a_malformed_item_is_named() {
    let mut item = stored(7, 0, 1);
    item.remove(item::EVENT_COUNT);
    let error = counter(vec![item]).0.count_from(&tenant(), &[block_id(0)], NOW).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.detail.contains("acme#07") && error.detail.contains("eventCount"), "{error}");
}

/// A segment whose last block is of this time.
fn segment(millisecond: u64, events: u64) -> Item {
    [
        (item::PARTITION.to_owned(), text("acme#archive")),
        (item::BLOCK_ID.to_owned(), text(block_id(millisecond))),
        (item::EVENT_COUNT.to_owned(), AttributeValue::N(events.to_string())),
    ]
    .into()
}

const HOUR_MILLIS: u64 = 3_600_000;

/// [`block_id`] counts from 1,000 s, so that the first whole hour is there.
const FIRST_HOUR: u64 = HOUR_MILLIS - 1_000_000;

#[tokio::test]
async fn archived_events_are_counted_by_their_segments_and_none_twice() {
    let end = FIRST_HOUR + 2 * HOUR_MILLIS;
    // The table still has the blocks that were archived last.
    let items =
        vec![segment(end - HOUR_MILLIS - 1, 100), segment(end - 1, 10), stored(3, end - 5, 10), stored(3, end, 2)];
    let (counter, queries) = counter(items);
    // Both segments ended more than five days ago.
    let later = block_id(end).timestamp().saturating_add(ArchiveTimes::PRODUCTION.read_from_table);
    let in_the_midst = block_id(end - HOUR_MILLIS / 2);
    let firsts = [block_id(FIRST_HOUR), block_id(end - HOUR_MILLIS), in_the_midst, block_id(end)];
    assert_eq!(
        counter.count_from(&tenant(), &firsts, later).await.unwrap(),
        [
            backlog(112, None, false),
            backlog(12, None, false),
            // The events of the segment may be from before: at least those behind it.
            backlog(2, None, false),
            backlog(2, Some(end), true),
        ]
    );
    assert_eq!(*queries.lock().unwrap(), 17);
}

/// An export that is a few hours late is counted exactly, although what it has not exported is archived already.
#[tokio::test]
async fn what_is_in_the_table_is_counted_there_although_it_is_archived() {
    let end = FIRST_HOUR + 2 * HOUR_MILLIS;
    let items = vec![segment(end - 1, 10), stored(3, end - 5, 10), stored(3, end, 2)];
    let (counter, queries) = counter(items);
    let first = block_id(end - HOUR_MILLIS);
    let now = block_id(end).timestamp();
    assert_eq!(counter.count_from(&tenant(), &[first], now).await.unwrap(), [backlog(12, Some(end - 5), true)]);
    assert_eq!(*queries.lock().unwrap(), 16, "no segment is read");
    // Five days later an hour is left that is read from the archive, and the rest is in the table.
    let later = block_id(end - 10).timestamp().saturating_add(ArchiveTimes::PRODUCTION.read_from_table);
    assert_eq!(counter.count_from(&tenant(), &[first], later).await.unwrap(), [backlog(12, Some(end - 5), true)]);
}
