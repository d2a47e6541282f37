//! The exporter's writes, read back under the same names.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::operation::{
    batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
    get_item::GetItemOutput,
    query::{QueryInput, QueryOutput},
    transact_write_items::{TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput},
    update_item::{UpdateItemInput, UpdateItemOutput},
};
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, KeysAndAttributes, error::TransactionCanceledException,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use bytes::Bytes;
use domain::{
    configuration::test_support::with_role,
    export_run::{
        FencingToken,
        test_support::{digest_reference, object, record, window},
    },
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{Completion, ErrorKind, IntentOutcome, Lease, RunStore};

use super::*;
use crate::{
    dynamodb::{
        item::{extended, number},
        read::MAX_BATCH_ATTEMPTS,
    },
    runs::RunTable,
};

type Items = Arc<Mutex<BTreeMap<(String, String), Item>>>;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn key(tenant: &str) -> ConfigurationKey {
    ConfigurationKey { tenant_id: TenantId::parse(tenant).unwrap(), ..with_role().key }
}

fn lease() -> Lease {
    Lease { key: key("acme"), fencing_token: FencingToken(1) }
}

fn completion(sequence: u64) -> Completion {
    Completion {
        cursor: window(sequence).to,
        head: digest_reference(sequence),
        record: record(sequence),
        expires_at: at("2027-12-31T00:00:00Z"),
    }
}

fn name_of(key: &Item) -> (String, String) {
    let part = |name: &str| key[name].as_s().unwrap().clone();
    (part(attribute::RUN), part(attribute::ITEM))
}

/// Puts what isn't there; a transaction meets no other lease in here.
fn transact(
    items: &Items,
    request: &TransactWriteItemsInput,
) -> MockResponse<TransactWriteItemsOutput, TransactWriteItemsError> {
    let mut items = items.lock().unwrap();
    let mut reasons = Vec::new();
    for write in request.transact_items() {
        let mut reason = CancellationReason::builder().code("None");
        if let Some(put) = write.put() {
            match items.get(&name_of(put.item())) {
                Some(found) => reason = reason.code("ConditionalCheckFailed").set_item(Some(found.clone())),
                None => drop(items.insert(name_of(put.item()), put.item().clone())),
            }
        }
        reasons.push(reason.build());
    }
    if reasons.iter().all(|reason| reason.code() == Some("None")) {
        MockResponse::Output(TransactWriteItemsOutput::builder().build())
    } else {
        let exception = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
        MockResponse::Error(TransactWriteItemsError::TransactionCanceledException(exception))
    }
}

/// The two updates that this history is about: storing a window, and counting an attempt.
fn update(items: &Items, request: &UpdateItemInput) {
    let mut items = items.lock().unwrap();
    let item = items.get_mut(&name_of(request.key().unwrap())).unwrap();
    match request.update_expression().unwrap() {
        "SET #openWindow = :openWindow" => {
            item.insert(
                attribute::OPEN_WINDOW.to_owned(),
                request.expression_attribute_values().unwrap()[":openWindow"].clone(),
            );
        }
        "SET #attempts = if_not_exists(#attempts, :one) + :one" => {
            let before = item.get(attribute::ATTEMPTS).map_or(1, |value| value.as_n().unwrap().parse().unwrap());
            item.insert(attribute::ATTEMPTS.to_owned(), number(before + 1));
        }
        other => unreachable!("{other}"),
    }
}

fn query(items: &Items, request: &QueryInput) -> QueryOutput {
    assert_eq!(request.consistent_read(), Some(true));
    let values = request.expression_attribute_values().unwrap();
    let text = |name: &str| values[name].as_s().unwrap().clone();
    let run = text(":run");
    let matches = |name: &str| match request.key_condition_expression().unwrap() {
        "#run = :run AND begins_with(#item, :prefix)" => name.starts_with(&text(":prefix")),
        "#run = :run AND #item BETWEEN :first AND :last" => (text(":first")..=text(":last")).contains(&name.to_owned()),
        other => unreachable!("{other}"),
    };
    let items = items.lock().unwrap();
    let mut found: Vec<Item> =
        items.iter().filter(|((of, name), _)| *of == run && matches(name)).map(|(_, item)| item.clone()).collect();
    if request.scan_index_forward() == Some(false) {
        found.reverse();
    }
    found.truncate(request.limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
    QueryOutput::builder().set_items(Some(found)).build()
}

/// The exporter's view, the history, and what lies in the table.
fn table() -> (RunTable, ExportHistory, Items) {
    let items = Items::default();
    let (gets, queries, writes, updates) = (items.clone(), items.clone(), items.clone(), items.clone());
    let rules = [
        mock!(Client::get_item).then_compute_output(move |request| {
            assert_eq!(request.consistent_read(), Some(true));
            let item = gets.lock().unwrap().get(&name_of(request.key().unwrap())).cloned();
            GetItemOutput::builder().set_item(item).build()
        }),
        mock!(Client::query).then_compute_output(move |request| query(&queries, request)),
        mock!(Client::transact_write_items).then_compute_response(move |request| transact(&writes, request)),
        mock!(Client::update_item).then_compute_output(move |request| {
            update(&updates, request);
            UpdateItemOutput::builder().build()
        }),
    ];
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, &rules);
    (RunTable::new(client.clone(), "runs".to_owned()), ExportHistory::new(client, "runs".to_owned()), items)
}

#[tokio::test]
async fn finished_windows_come_in_pages_newest_first() {
    let (runs, history, _) = table();
    for sequence in 0..12 {
        runs.complete_window(&lease(), &completion(sequence)).await.unwrap();
        runs.store_intent(&lease(), window(sequence).id, &object(0)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = history.records(&key("acme"), before, 5).await.unwrap();
        assert!(page.len() <= 5);
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        seen.extend(page.into_iter().map(|record| record.sequence));
    }
    assert_eq!(seen, (0..12).rev().collect::<Vec<_>>());
    assert_eq!(history.record(&key("acme"), 3).await.unwrap(), Some(record(3)));
    assert_eq!(history.record(&key("acme"), 12).await.unwrap(), None);
}

#[tokio::test]
async fn a_digest_is_read_as_it_was_sealed() {
    let (runs, history, _) = table();
    for (sequence, is_tagged) in [(0, false), (1, true)] {
        let sealed = SealedDigest {
            end_block: window(sequence).to,
            bytes: Bytes::from_static(b"digest"),
            signature: Bytes::from_static(b"signature"),
            is_tagged,
        };
        runs.store_digest(&lease(), sequence, &sealed).await.unwrap();
        assert_eq!(history.digest(&key("acme"), sequence).await.unwrap(), Some(sealed));
        assert_eq!(history.digest(&key("other"), sequence).await.unwrap(), None);
    }
    assert_eq!(history.digest(&key("acme"), 2).await.unwrap(), None);
}

#[tokio::test]
async fn another_tenants_history_is_empty() {
    let (runs, history, _) = table();
    runs.complete_window(&lease(), &completion(0)).await.unwrap();
    runs.store_intent(&lease(), window(0).id, &object(0)).await.unwrap();
    let other = key("other");
    assert_eq!(history.records(&other, None, 10).await.unwrap(), []);
    assert_eq!(history.record(&other, 0).await.unwrap(), None);
    assert_eq!(history.intents(&other, window(0).id).await.unwrap(), []);
    assert_eq!(history.snapshot(&other).await.unwrap(), None);
}

#[tokio::test]
async fn every_attempt_at_an_object_is_counted() {
    let (runs, history, items) = table();
    let id = window(7).id;
    assert_eq!(runs.store_intent(&lease(), id, &object(0)).await.unwrap(), IntentOutcome::New);
    assert_eq!(runs.store_intent(&lease(), id, &object(1)).await.unwrap(), IntentOutcome::New);
    for _ in 0..2 {
        let known = runs.store_intent(&lease(), id, &object(1)).await.unwrap();
        assert_eq!(known, IntentOutcome::Known(Box::new(object(1))), "counting changes no byte");
    }
    runs.store_intent(&lease(), WindowId { revision: 1, ..id }, &object(0)).await.unwrap();
    let attempts = async || {
        let intents = history.intents(&key("acme"), id).await.unwrap();
        intents.iter().map(|intent| (intent.object.clone(), intent.attempts)).collect::<Vec<_>>()
    };
    assert_eq!(attempts().await, [(object(0), 1), (object(1), 3)]);

    // As it was stored before attempts were counted.
    for item in items.lock().unwrap().values_mut() {
        item.remove(attribute::ATTEMPTS);
    }
    assert_eq!(attempts().await, [(object(0), 1), (object(1), 1)]);
    runs.store_intent(&lease(), id, &object(1)).await.unwrap();
    assert_eq!(attempts().await, [(object(0), 1), (object(1), 2)]);
}

#[tokio::test]
async fn the_state_has_window_and_lease() {
    let (runs, history, items) = table();
    assert_eq!(history.snapshot(&key("acme")).await.unwrap(), None);
    let cursor = object(0).first_block;
    let state = extended(
        item::key(key("acme"), item::STATE),
        [
            (attribute::NEXT_BLOCK, text(cursor)),
            (attribute::NEXT_SEQUENCE, number(7)),
            (attribute::FENCING_TOKEN, number(1)),
        ],
    );
    items.lock().unwrap().insert(name_of(&state), state);
    let snapshot = history.snapshot(&key("acme")).await.unwrap().unwrap();
    assert_eq!((snapshot.state.cursor, snapshot.state.window, snapshot.lease_expires_at), (cursor, None, None));

    runs.store_window(&lease(), &window(7)).await.unwrap();
    let ends = at("2026-11-22T12:00:00Z");
    let set = |value| {
        let mut items = items.lock().unwrap();
        items.values_mut().next().unwrap().insert(attribute::LEASE_EXPIRES_AT.to_owned(), value);
    };
    set(number(ends.as_millis()));
    let snapshot = history.snapshot(&key("acme")).await.unwrap().unwrap();
    assert_eq!((snapshot.state.window, snapshot.lease_expires_at), (Some(window(7)), Some(ends)));

    set(AttributeValue::N(u64::MAX.to_string()));
    assert_eq!(history.snapshot(&key("acme")).await.unwrap_err().kind, ErrorKind::Internal);
}

/// Answers a batch as DynamoDB does that has time for so many of its keys.
fn batches(processed: usize) -> (ExportHistory, Arc<Mutex<Vec<BatchGetItemInput>>>) {
    let requests = Arc::<Mutex<Vec<BatchGetItemInput>>>::default();
    let seen = Arc::clone(&requests);
    let rule = mock!(Client::batch_get_item).then_compute_output(move |request| {
        seen.lock().unwrap().push(request.clone());
        let asked = &request.request_items().unwrap()["Runs"];
        assert_eq!(asked.consistent_read(), Some(true));
        let (answered, rest) = asked.keys().split_at(processed.min(asked.keys().len()));
        let states =
            answered.iter().filter(|key| key[attribute::RUN] != text("acme#00000000-0000-0000-0000-000000000000"));
        let states = states.map(|key| {
            let mut state = key.clone();
            state.insert(attribute::NEXT_BLOCK.to_owned(), text(window(3).from));
            state.insert(attribute::NEXT_SEQUENCE.to_owned(), number(3));
            state.insert(attribute::FENCING_TOKEN.to_owned(), number(1));
            state
        });
        let rest = KeysAndAttributes::builder().set_keys(Some(rest.to_vec())).consistent_read(true).build().unwrap();
        let rest = (!rest.keys().is_empty()).then(|| HashMap::from([("Runs".to_owned(), rest)]));
        BatchGetItemOutput::builder().responses("Runs", states.collect()).set_unprocessed_keys(rest).build()
    });
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule]);
    (ExportHistory::new(client, "Runs".to_owned()), requests)
}

fn numbered(number: u8) -> ConfigurationKey {
    let configuration_id = domain::configuration::ConfigurationId::from_bytes([number; 16]);
    ConfigurationKey { configuration_id, ..key("acme") }
}

#[tokio::test]
async fn all_exports_of_a_tenant_are_looked_up_in_one_request() {
    let keys: Vec<ConfigurationKey> = (0..=u8::try_from(MAX_SNAPSHOTS).unwrap()).map(numbered).collect();
    let keys: Vec<&ConfigurationKey> = keys.iter().collect();
    let (history, requests) = batches(MAX_SNAPSHOTS);
    let found = history.snapshots(&keys).await.unwrap();
    assert_eq!(found.len(), MAX_SNAPSHOTS - 1, "the first has not run, and the last is one too many");
    assert!(!found.contains_key(keys[0]) && !found.contains_key(keys[MAX_SNAPSHOTS]));
    assert_eq!((found[keys[1]].state.next_sequence, found[keys[1]].lease_expires_at), (3, None));
    assert_eq!(requests.lock().unwrap().len(), 1);
    assert_eq!(history.snapshots(&[]).await.unwrap(), HashMap::new());
    assert_eq!(requests.lock().unwrap().len(), 1, "nothing is asked for");
}

#[tokio::test]
async fn unprocessed_keys_are_requested_again_up_to_a_limit() {
    let keys: Vec<ConfigurationKey> = (1..=6).map(numbered).collect();
    let keys: Vec<&ConfigurationKey> = keys.iter().collect();
    let (history, requests) = batches(2);
    assert_eq!(history.snapshots(&keys).await.unwrap().len(), 6);
    assert_eq!(requests.lock().unwrap().len(), MAX_BATCH_ATTEMPTS);
    let (history, requests) = batches(1);
    assert_eq!(history.snapshots(&keys).await.unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(requests.lock().unwrap().len(), MAX_BATCH_ATTEMPTS);
}
