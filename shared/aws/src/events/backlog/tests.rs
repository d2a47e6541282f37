use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::block::{StoredBlock, encode_block};
use export::ports::ErrorKind;

use super::*;

/// Blocks in one page of the double.
const PAGE_BLOCKS: usize = 3;

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
        found[item::PARTITION] == values[":partition"] && id >= values[":first"].as_s().unwrap() && *id > start
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
    item::of_block(&tenant(), Shard::new(shard).unwrap(), &block, Duration::ZERO)
}

#[tokio::test]
async fn all_shards_are_counted_from_the_first_block_on() {
    let mut items: Vec<Item> = (0..16_u8)
        .flat_map(|shard| (0..5_u64).map(move |number| stored(shard, 100 * u64::from(shard) + number, 2)))
        .collect();
    let other = TenantId::parse("acme2").unwrap();
    items.push(item::of_block(&other, Shard::new(3).unwrap(), &block(block_id(5_000), 1_000), Duration::ZERO));
    let (counter, queries) = counter(items);
    let count = async |first| counter.count_from(&tenant(), first).await.unwrap();
    let all = Backlog { events: 160, oldest: Some(block_id(0).timestamp()), is_complete: true };
    assert_eq!(count(block_id(0)).await, all);
    assert_eq!(*queries.lock().unwrap(), 32, "two pages for each shard");
    // The first block itself, and what was received after it.
    let some = Backlog { events: 8 * 10 + 4, oldest: Some(block_id(703).timestamp()), is_complete: true };
    assert_eq!(count(block_id(703)).await, some);
    assert_eq!(count(block_id(1_505)).await, Backlog::EMPTY);
}

#[tokio::test]
async fn counting_ends_at_its_bound_and_says_so() {
    let enough = PAGE_BLOCKS * MAX_PAGES_PER_SHARD;
    let items = |count: usize| (0..count as u64).map(|number| stored(7, number, 1)).collect::<Vec<_>>();
    let (exact, _) = counter(items(enough));
    assert!(exact.count_from(&tenant(), block_id(0)).await.unwrap().is_complete);
    let (more, queries) = counter(items(10 * enough));
    let backlog = more.count_from(&tenant(), block_id(0)).await.unwrap();
    let bound = Backlog { events: enough as u64, oldest: Some(block_id(0).timestamp()), is_complete: false };
    assert_eq!(backlog, bound);
    assert_eq!(*queries.lock().unwrap(), MAX_PAGES_PER_SHARD + 15);
}

#[tokio::test]
async fn a_malformed_item_is_told() {
    let mut item = stored(7, 0, 1);
    item.remove(item::EVENT_COUNT);
    let error = counter(vec![item]).0.count_from(&tenant(), block_id(0)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.detail.contains("acme#07") && error.detail.contains("eventCount"), "{error}");
}
