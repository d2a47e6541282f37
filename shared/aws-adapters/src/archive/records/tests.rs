//! Pages that end with a malformed key: the service writes none, and one stops nothing but itself.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::operation::{
    query::{QueryInput, QueryOutput},
    update_item::UpdateItemOutput,
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::{archive::ArchiveTimes, time::Timestamp};

use super::*;
use crate::dynamodb::item::item;

/// The items of a page of the double.
const PAGE: usize = 2;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-29T12:00:00Z").unwrap()
}

/// Returns the page of the items that a query asks for, in the order of their keys.
fn answer(items: &[Item], request: &QueryInput) -> QueryOutput {
    let key = |found: &Item| found[BLOCK_ID].as_s().unwrap().clone();
    let values = request.expression_attribute_values().unwrap();
    let bound = |name: &str| values.get(name).map(|value| value.as_s().unwrap().clone());
    let start = request.exclusive_start_key().map(key);
    let mut found: Vec<Item> = items.to_vec();
    found.retain(|found| {
        start.as_ref().is_none_or(|start| key(found) > *start)
            && bound(":first").is_none_or(|first| key(found) >= first)
            && bound(":last").is_none_or(|last| key(found) <= last)
    });
    found.sort_by_key(key);
    let goes_on = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| goes_on).cloned();
    QueryOutput::builder().set_items(Some(found)).set_last_evaluated_key(last).build()
}

/// Returns a table with items of one partition, and the keys of the blocks that it updates.
fn table(items: Vec<Item>) -> (ArchiveTable, Arc<Mutex<Vec<String>>>) {
    let updated = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&updated);
    let query = mock!(Client::query).then_compute_output(move |request| answer(&items, request));
    let update = mock!(Client::update_item).then_compute_output(move |request| {
        let key = request.key().unwrap()[BLOCK_ID].as_s().unwrap().clone();
        noted.lock().unwrap().push(key);
        UpdateItemOutput::builder().build()
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&query, &update]);
    (ArchiveTable::new(client, "events".to_owned()), updated)
}

#[tokio::test]
async fn a_malformed_key_at_the_end_of_a_page_hides_no_row() {
    let shard = RegistryShard::all().next().unwrap();
    let tenants = ["acme", "initech", "umbrella"].map(|name| TenantId::parse(name).unwrap());
    let bucket = BucketName::parse("archive").unwrap();
    let row = |tenant: &TenantId| {
        write_row(&ArchiveRow::new(tenant.clone(), bucket.clone(), now(), Duration::ZERO, &ArchiveTimes::PRODUCTION))
    };
    let malformed = ["b#", "c#", "d ", "z#"].map(|key| item([(PARTITION, text(shard)), (BLOCK_ID, text(key))]));
    let (table, _) = table(tenants.iter().map(row).chain(malformed).collect());
    let (mut found, mut unreadable, mut after) = (Vec::new(), 0, None);
    loop {
        let page = table.archive_rows(shard, after.as_ref()).await.unwrap();
        for row in page.rows {
            match row {
                Ok(row) => found.push(row.tenant),
                Err(_) => unreadable += 1,
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, unreadable), (tenants.to_vec(), 4));
}

#[tokio::test]
async fn a_malformed_key_at_the_end_of_a_page_leaves_no_block_with_the_short_expiry() {
    let tenant = TenantId::parse("acme").unwrap();
    let shard = Shard::new(3).unwrap();
    let of = |key: &str| {
        let partition = text(partition_key(&tenant, shard));
        item([(PARTITION, partition), (BLOCK_ID, text(key)), (EXPIRES_AT, seconds(now()))])
    };
    let first = BlockId::from_parts(now(), 7);
    let ids = [first, BlockId::from_parts(now(), 9), BlockId::from_parts(now(), 11)];
    let malformed = ids.map(|id| format!("{id}#"));
    let more = ids.map(|id| format!("{id}-"));
    let keys = ids.iter().map(ToString::to_string).chain(malformed).chain(more);
    let (table, updated) = table(keys.map(|key| of(&key)).collect());
    let mut range = BlockRange { first, end: ids[2].next().next() };
    loop {
        let rest = table.extend_expiry(&tenant, shard, range, Duration::from_hours(24)).await.unwrap();
        let Some(rest) = rest else { break };
        assert!(rest > range.first);
        range.first = rest;
    }
    assert_eq!(*updated.lock().unwrap(), ids.map(|id| id.to_string()));
}
