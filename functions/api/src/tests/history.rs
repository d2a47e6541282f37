//! The tables that the api function only reads: what the runs left in theirs, and the events.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_adapters::{
    events::{backlog::EventCounter, item::of_block},
    export_history::ExportHistory,
};
use aws_sdk_dynamodb::{
    Client,
    operation::{
        batch_get_item::BatchGetItemOutput,
        get_item::GetItemOutput,
        query::{QueryInput, QueryOutput},
    },
    types::AttributeValue,
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use domain::{
    block::{BlockId, Shard, encode_block},
    digest::{DigestObject, DigestReference},
    export_run::{RunRecord, Window, WindowId},
    tenant::TenantId,
    time::Timestamp,
};

type Item = HashMap<String, AttributeValue>;

const RUNS: &str = "Runs";
const EVENTS: &str = "Events";

#[derive(Default)]
struct Tables {
    /// By partition and sort key.
    runs: BTreeMap<(String, String), Item>,
    events: BTreeMap<(String, String), Item>,
    event_queries: usize,
    /// Requests for the states of several exports.
    batches: usize,
}

/// What was exported before, as the exporter's own code names and writes it.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Tables>>);

fn text(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}

fn string(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

impl Tables {
    fn query(&mut self, request: &QueryInput) -> QueryOutput {
        assert_eq!(request.consistent_read(), Some(true));
        let values = request.expression_attribute_values().unwrap();
        let of = |partition: &str, first: String, last: String| {
            ((partition.to_owned(), first), (partition.to_owned(), last))
        };
        let (table, (first, last)) = match request.table_name().unwrap() {
            RUNS => {
                let run = text(values, ":run");
                let range = match request.key_condition_expression().unwrap() {
                    "#run = :run AND begins_with(#item, :prefix)" => {
                        let prefix = text(values, ":prefix");
                        (prefix.clone(), format!("{prefix}\u{7f}"))
                    }
                    "#run = :run AND #item BETWEEN :first AND :last" => (text(values, ":first"), text(values, ":last")),
                    other => unreachable!("{other}"),
                };
                (&self.runs, of(&run, range.0, range.1))
            }
            EVENTS => {
                self.event_queries += 1;
                // The role of the function may read nothing else.
                assert_eq!(request.projection_expression(), Some("blockId, eventCount"));
                let first = text(values, ":first");
                (&self.events, of(&text(values, ":partition"), first, "\u{7f}".to_owned()))
            }
            other => unreachable!("{other}"),
        };
        let mut found: Vec<Item> = table.range(first..=last).map(|(_, item)| item.clone()).collect();
        if request.scan_index_forward() == Some(false) {
            found.reverse();
        }
        found.truncate(request.limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap()));
        QueryOutput::builder().set_items(Some(found)).build()
    }
}

impl History {
    pub fn adapters(&self) -> (ExportHistory, EventCounter) {
        let (gets, queries, batches) = (self.clone(), self.clone(), self.clone());
        let batch = mock!(Client::batch_get_item).then_compute_output(move |request| {
            let asked = &request.request_items().unwrap()[RUNS];
            assert_eq!(asked.consistent_read(), Some(true));
            let mut tables = batches.0.lock().unwrap();
            tables.batches += 1;
            let found = asked.keys().iter().filter_map(|key| {
                let state = tables.runs.get(&(text(key, "run"), text(key, "item")))?;
                Some(state.iter().chain(key).map(|(name, value)| (name.clone(), value.clone())).collect())
            });
            BatchGetItemOutput::builder().responses(RUNS, found.collect()).build()
        });
        let get = mock!(Client::get_item).then_compute_output(move |request| {
            assert_eq!((request.table_name(), request.consistent_read()), (Some(RUNS), Some(true)));
            let key = request.key().unwrap();
            let item = gets.0.lock().unwrap().runs.get(&(text(key, "run"), text(key, "item"))).cloned();
            GetItemOutput::builder().set_item(item).build()
        });
        let query = mock!(Client::query).then_compute_output(move |request| queries.0.lock().unwrap().query(request));
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&get, &query, &batch]);
        (ExportHistory::new(client.clone(), RUNS.to_owned()), EventCounter::new(client, EVENTS.to_owned()))
    }

    fn put<const N: usize>(&self, configuration_id: &str, name: &str, attributes: [(&str, AttributeValue); N]) {
        let run = format!("acme#{configuration_id}");
        let item = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        self.0.lock().unwrap().runs.insert((run, name.to_owned()), item);
    }

    /// The state of an export of tenant `acme` through `cursor`, as a run left it.
    pub fn put_state(&self, configuration_id: &str, cursor: BlockId, next_sequence: u64, window: Option<&Window>) {
        let mut attributes: Vec<(&str, AttributeValue)> = vec![
            ("nextBlock", string(&cursor)),
            ("nextSequence", AttributeValue::N(next_sequence.to_string())),
            ("fencingToken", AttributeValue::N("1".to_owned())),
        ];
        attributes.extend(window.map(|window| ("openWindow", string(&serde_json::to_string(window).unwrap()))));
        self.put(configuration_id, "state", []);
        let mut tables = self.0.lock().unwrap();
        let state = tables.runs.get_mut(&(format!("acme#{configuration_id}"), "state".to_owned())).unwrap();
        state.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }

    /// A state of an export that no version has written.
    pub fn put_broken_state(&self, configuration_id: &str) {
        self.put(configuration_id, "state", [("nextBlock", string("broken"))]);
    }

    /// A window that is exported.
    pub fn put_record(&self, configuration_id: &str, record: &RunRecord) {
        let json = string(&serde_json::to_string(record).unwrap());
        self.put(configuration_id, &format!("job#{:010}", record.sequence), [("record", json)]);
    }

    /// An object that a run set out to write.
    pub fn put_intent(&self, configuration_id: &str, window: WindowId, object: &DigestObject, attempts: u32) {
        let name = format!("intent#{:010}.{}#{}", window.sequence, window.revision, object.first_block);
        let json = string(&serde_json::to_string(object).unwrap());
        let attempts = AttributeValue::N(attempts.to_string());
        self.put(configuration_id, &name, [("digestObject", json), ("attempts", attempts)]);
    }

    /// A digest that is sealed.
    pub fn put_digest(&self, configuration_id: &str, sequence: u64, end: BlockId, digest: &[u8], signature: &[u8]) {
        let bytes = |bytes: &[u8]| AttributeValue::B(bytes.to_vec().into());
        let attributes = [("endBlock", string(&end)), ("digest", bytes(digest)), ("signature", bytes(signature))];
        self.put(configuration_id, &format!("digest#{sequence:010}"), attributes);
    }

    /// The newest digest in the bucket, in the state that [`History::put_state`] put.
    pub fn put_head(&self, configuration_id: &str, head: &DigestReference) {
        let mut tables = self.0.lock().unwrap();
        let state = tables.runs.get_mut(&(format!("acme#{configuration_id}"), "state".to_owned())).unwrap();
        state.insert("chainHead".to_owned(), string(&serde_json::to_string(head).unwrap()));
    }

    /// A block of a tenant, received at that time.
    pub fn put_block(&self, tenant: &str, shard: u8, received_at: Timestamp, events: usize) {
        let tenant = TenantId::parse(tenant).unwrap();
        let raw = "{}\n".repeat(events);
        let block =
            encode_block(&tenant, BlockId::lowest_at(received_at), raw.as_bytes(), received_at, received_at).unwrap();
        let item = of_block(&tenant, Shard::new(shard).unwrap(), &block, Duration::ZERO);
        let key = (text(&item, "partition"), text(&item, "blockId"));
        self.0.lock().unwrap().events.insert(key, item);
    }

    /// How often the states of several exports were asked for.
    pub fn batches(&self) -> usize {
        self.0.lock().unwrap().batches
    }

    /// How often the table of events was queried.
    pub fn event_queries(&self) -> usize {
        self.0.lock().unwrap().event_queries
    }
}
