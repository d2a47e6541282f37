//! DynamoDB with prepared answers, in its JSON protocol:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/>.
//!
//! Items that are put are kept, and plain assignments of updates are applied, so that a run finds its intents and the api its
//! history. Conditions are not evaluated: every write succeeds. The table of events has prepared pages; blocks that are put
//! there are counted and dropped, and items of the archive are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use domain::block::BlockId;
use serde_json::{Map, Value, json};

use super::reply::Reply;
use crate::{archive::Archive, corpus::Window, event_items::EventItems};

pub const EVENTS: &str = "AuditEvents";
pub const EVENT_ITEMS: &str = "AuditEventItems";
pub const CONFIGURATIONS: &str = "ExportConfigurations";
pub const RUNS: &str = "ExportRuns";

/// DynamoDB's limit of a page.
const PAGE_LENGTH: usize = 1_024 * 1_024;

/// The end of the partitions with references to segments.
const ARCHIVE_SUFFIX: &str = "#archive";

/// The beginning of the partitions with the rows of tenants.
const REGISTRY_PREFIX: &str = "#archive#";

/// The attribute that the index of enabled configurations is partitioned by.
const INDEXED: &str = "schedulePartition";

pub type Item = Map<String, Value>;
type Key = (String, String);

/// All tables.
#[derive(Debug, Default)]
pub struct Database {
    /// The pages that queries of the events table return.
    pub window: Option<Window>,
    /// The archive of the tenant. `None`: every block is in the table.
    pub archive: Option<Arc<Archive>>,
    /// The pages of the table with an item for every event.
    pub event_items: EventItems,
    /// Events in the blocks that were put.
    pub events_put: u64,
    /// The rows of tenants and the references to segments that were put.
    archive_items: BTreeMap<Key, Item>,
    configurations: BTreeMap<Key, Item>,
    runs: BTreeMap<Key, Item>,
    /// The seeded configurations of each partition of the index, as ID and tenant.
    index: BTreeMap<String, BTreeSet<Key>>,
}

impl Database {
    /// Stores a configuration and indexes it.
    pub fn seed_configuration(&mut self, item: &Value) {
        let (Some(key), Some(attributes)) = (key(CONFIGURATIONS, item), item.as_object()) else { return };
        if let Some(partition) = item[INDEXED]["S"].as_str() {
            self.index.entry(partition.to_owned()).or_default().insert((key.1.clone(), key.0.clone()));
        }
        self.configurations.insert(key, attributes.clone());
    }

    /// Stores the state of an export.
    pub fn seed_state(&mut self, item: &Value) {
        if let (Some(key), Some(attributes)) = (key(RUNS, item), item.as_object()) {
            self.runs.insert(key, attributes.clone());
        }
    }

    /// Stores the row of a tenant of the archive.
    pub fn seed_archive_row(&mut self, item: &Value) {
        if let (Some(key), Some(attributes)) = (key(EVENTS, item), item.as_object()) {
            self.archive_items.insert(key, attributes.clone());
        }
    }

    /// Returns the items of a partition of the archive that were put, in order.
    pub fn archive_partition(&self, partition: &str) -> impl Iterator<Item = &Item> {
        let of_partition = self.archive_items.range((partition.to_owned(), String::new())..);
        of_partition.take_while(move |((hash, _), _)| hash == partition).map(|(_, item)| item)
    }

    pub fn answer(&mut self, operation: &str, request: &Value) -> Reply {
        let answer = match operation {
            "GetItem" => self.get(request),
            "BatchGetItem" => self.batch(request),
            "Query" => return self.query(request).unwrap_or_else(Reply::unprepared),
            "TransactWriteItems" => self.transact(request),
            _ => self.write(operation.trim_end_matches("Item"), request),
        };
        answer.map_or_else(Reply::unprepared, |answer| Reply::json(&answer))
    }

    fn table(&mut self, name: &str) -> Option<&mut BTreeMap<Key, Item>> {
        match name {
            CONFIGURATIONS => Some(&mut self.configurations),
            RUNS => Some(&mut self.runs),
            EVENTS => Some(&mut self.archive_items),
            _ => None,
        }
    }

    fn get(&mut self, request: &Value) -> Option<Value> {
        let name = request["TableName"].as_str()?;
        if name == EVENTS {
            return Some(self.archive.as_ref().map_or_else(|| json!({}), |archive| json!({ "Item": archive.row })));
        }
        let key = key(name, &request["Key"])?;
        Some(self.table(name)?.get(&key).map_or_else(|| json!({}), |item| json!({ "Item": item })))
    }

    fn batch(&mut self, request: &Value) -> Option<Value> {
        let mut responses = Map::new();
        for (name, asked) in request["RequestItems"].as_object()? {
            let keys = asked["Keys"].as_array()?.iter().filter_map(|asked| key(name, asked));
            let keys: Vec<_> = keys.collect();
            let table = self.table(name)?;
            let found: Vec<_> = keys.iter().filter_map(|key| table.get(key)).collect();
            responses.insert(name.clone(), json!(found));
        }
        Some(json!({ "Responses": responses, "UnprocessedKeys": {} }))
    }

    fn query(&mut self, request: &Value) -> Option<Reply> {
        let name = request["TableName"].as_str()?;
        let start = &request["ExclusiveStartKey"];
        if name == EVENT_ITEMS {
            return Some(Reply::pieces(self.event_items.page(start)));
        }
        let Keys { partition, first, last } = Keys::of(request)?;
        if name == EVENTS && partition.ends_with(ARCHIVE_SUFFIX) {
            let limit = request["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok())?;
            let archive = self.archive.as_ref();
            let items = archive.map(|archive| archive.items(&first.unwrap_or_default(), limit)).unwrap_or_default();
            return Some(Reply::json(&json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items })));
        }
        if name == EVENTS && !partition.starts_with(REGISTRY_PREFIX) {
            let id = |text: Option<&str>| text.map(BlockId::parse).transpose().ok();
            let first = id(start["blockId"]["S"].as_str())?.map(BlockId::next).or(id(first.as_deref())?);
            let is_projected = request["ProjectionExpression"].is_string();
            return Some(Reply::pieces(self.window.as_ref().map_or_else(
                || vec![br#"{"Count":0,"Items":[],"ScannedCount":0}"#.as_slice().into()],
                |window| window.page(&partition, first, id(last.as_deref()).flatten(), PAGE_LENGTH, is_projected),
            )));
        }
        let limit = request["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let items: Vec<Value> = if request["IndexName"].is_string() {
            let after = key(name, start).map_or(Bound::Unbounded, |(tenant, id)| Bound::Excluded((id, tenant)));
            let keys = self.index.get(&partition).map(|keys| keys.range((after, Bound::Unbounded)));
            let item =
                |(id, tenant): &Key| json!({ "tenantId": {"S": tenant}, "id": {"S": id}, INDEXED: {"S": partition} });
            keys.into_iter().flatten().map(item).take(limit).collect()
        } else {
            let first = (partition.clone(), first.unwrap_or_default());
            let last = (partition, last.unwrap_or_else(|| char::MAX.to_string()));
            let found = self.table(name)?.range(first..=last).map(|(_, item)| json!(item));
            match request["ScanIndexForward"].as_bool() {
                Some(false) => found.rev().take(limit).collect(),
                _ => found.take(limit).collect(),
            }
        };
        let mut answer = json!({ "Count": items.len(), "ScannedCount": items.len() });
        // DynamoDB returns a position too when a limit is reached exactly at the end.
        if items.len() == limit
            && let Some((hash, range)) = items.last().and_then(|last| key(name, last))
        {
            let [hash_name, range_name] = key_names(name);
            answer["LastEvaluatedKey"] = json!({ hash_name: {"S": hash}, range_name: {"S": range} });
        }
        answer["Items"] = Value::Array(items);
        Some(Reply::json(&answer))
    }

    fn transact(&mut self, request: &Value) -> Option<Value> {
        for write in request["TransactItems"].as_array()? {
            let (kind, write) = write.as_object()?.iter().next()?;
            self.write(kind, write)?;
        }
        Some(json!({}))
    }

    fn write(&mut self, kind: &str, request: &Value) -> Option<Value> {
        let name = request["TableName"].as_str()?;
        let key = key(name, if kind == "Put" { &request["Item"] } else { &request["Key"] })?;
        if name == EVENTS && !key.0.contains(ARCHIVE_SUFFIX) {
            let events = request["Item"]["eventCount"]["N"].as_str().and_then(|count| count.parse::<u64>().ok());
            self.events_put += events.unwrap_or_default();
            return Some(json!({}));
        }
        let table = self.table(name)?;
        match kind {
            "ConditionCheck" => {}
            "Put" => drop(table.insert(key, request["Item"].as_object()?.clone())),
            "Delete" => drop(table.remove(&key)),
            "Update" => {
                let item = table.entry(key).or_insert_with(|| request["Key"].as_object().cloned().unwrap_or_default());
                assign(item, request);
                if request["ReturnValues"] == "ALL_NEW" {
                    return Some(json!({ "Attributes": item }));
                }
            }
            _ => return None,
        }
        Some(json!({}))
    }
}

fn key_names(table: &str) -> [&'static str; 2] {
    match table {
        RUNS => ["run", "item"],
        EVENTS => ["partition", "blockId"],
        _ => ["tenantId", "id"],
    }
}

fn key(table: &str, item: &Value) -> Option<Key> {
    let [hash, range] = key_names(table).map(|name| item[name]["S"].as_str());
    Some((hash?.to_owned(), range?.to_owned()))
}

/// The keys that a query asks for.
struct Keys {
    partition: String,
    first: Option<String>,
    last: Option<String>,
}

impl Keys {
    /// Reads the four forms of conditions that the functions send.
    fn of(request: &Value) -> Option<Self> {
        let condition = request["KeyConditionExpression"].as_str()?;
        let words = condition.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != ':' && letter != '_');
        let value = |word: &str| request["ExpressionAttributeValues"][word]["S"].as_str().map(ToOwned::to_owned);
        let mut operands = words.filter(|word| word.starts_with(':')).map(value);
        let (partition, mut first, mut last) =
            (operands.next()??, operands.next().flatten(), operands.next().flatten());
        if condition.contains("begins_with") {
            last = first.as_ref().map(|prefix| format!("{prefix}{}", char::MAX));
        } else if condition.contains(" < ") {
            last = first.take();
        }
        Some(Self { partition, first, last })
    }
}

/// Applies `SET name = :value` and `REMOVE name`. Counters and `if_not_exists` leave the item as it was prepared.
fn assign(item: &mut Item, request: &Value) {
    let name = |word: &str| request["ExpressionAttributeNames"][word].as_str().unwrap_or(word).to_owned();
    let expression = request["UpdateExpression"].as_str().unwrap_or_default();
    let (set, remove) = expression.split_once("REMOVE ").unwrap_or((expression, ""));
    for (target, value) in set.split(',').filter_map(|term| term.split_once('=')) {
        let value = request["ExpressionAttributeValues"].get(value.trim());
        if let (Some(target), Some(value)) = (target.split_whitespace().next_back(), value) {
            item.insert(name(target), value.clone());
        }
    }
    for removed in remove.split(',') {
        item.remove(&name(removed.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body.concat()).unwrap()
    }

    #[test]
    fn the_index_is_paged_and_sparse() {
        let mut database = Database::default();
        for number in 0..7 {
            let mut item = json!({"tenantId": {"S": "acme"}, "id": {"S": format!("{number}")}});
            if number != 3 {
                item[INDEXED] = json!({"S": "EVERY_2_HOURS#0"});
            }
            database.seed_configuration(&item);
        }
        let mut request = json!({
            "TableName": CONFIGURATIONS, "IndexName": "enabledByInterval", "Limit": 4,
            "KeyConditionExpression": "#s = :s", "ExpressionAttributeNames": {"#s": INDEXED},
            "ExpressionAttributeValues": {":s": {"S": "EVERY_2_HOURS#0"}},
        });
        let mut ids = Vec::new();
        loop {
            let page = body(&database.answer("Query", &request));
            ids.extend(
                page["Items"].as_array().unwrap().iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()),
            );
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
        }
        assert_eq!(ids, ["0", "1", "2", "4", "5", "6"]);
    }

    #[test]
    fn a_run_finds_what_it_stored() {
        let mut database = Database::default();
        let key = json!({"run": {"S": "acme#1"}, "item": {"S": "state"}});
        database.seed_state(&json!({"run": {"S": "acme#1"}, "item": {"S": "state"}, "fencingToken": {"N": "1"}}));
        let put =
            |item: &str| json!({"Put": {"TableName": RUNS, "Item": {"run": {"S": "acme#1"}, "item": {"S": item}}}});
        let update = json!({
            "TableName": RUNS, "Key": key, "ReturnValues": "ALL_NEW",
            "UpdateExpression": "SET fencingToken = if_not_exists(fencingToken, :zero) + :one, #w = :w REMOVE gone, item2",
            "ExpressionAttributeNames": {"#w": "openWindow"}, "ExpressionAttributeValues": {":w": {"S": "{}"}},
        });
        let writes = json!({"TransactItems": [put("intent#1"), put("intent#2"), put("job#1"), {"Update": update}]});
        assert_eq!(database.answer("TransactWriteItems", &writes).status, 200);
        let state = body(&database.answer("UpdateItem", &update));
        assert_eq!(state["Attributes"]["fencingToken"]["N"], "1");
        assert_eq!(state["Attributes"]["openWindow"]["S"], "{}");
        let intents = json!({
            "TableName": RUNS, "KeyConditionExpression": "#run = :run AND begins_with(#item, :prefix)",
            "ExpressionAttributeValues": {":run": {"S": "acme#1"}, ":prefix": {"S": "intent#"}},
        });
        assert_eq!(body(&database.answer("Query", &intents))["Count"], 2);
        assert_eq!(database.answer("Scan", &json!({"TableName": RUNS})).status, 501);
    }

    #[test]
    fn the_archive_is_kept_and_blocks_are_not() {
        let mut database = Database::default();
        database.seed_archive_row(&json!({"partition": {"S": "#archive#3"}, "blockId": {"S": "acme"}}));
        let update = json!({
            "TableName": EVENTS, "Key": {"partition": {"S": "#archive#3"}, "blockId": {"S": "acme"}},
            "UpdateExpression": "SET #a = :a", "ExpressionAttributeNames": {"#a": "archivedThrough"},
            "ExpressionAttributeValues": {":a": {"S": "02"}},
        });
        let put = |partition: &str, events: &str| {
            let partition = json!({ "S": partition });
            let item = json!({"partition": partition, "blockId": {"S": "01"}, "eventCount": {"N": events}});
            json!({"Put": {"TableName": EVENTS, "Item": item}})
        };
        let writes = json!({"TransactItems": [{"Update": update}, put("acme#archive", "5"), put("acme#03", "7")]});
        assert_eq!(database.answer("TransactWriteItems", &writes).status, 200);
        let rows = json!({
            "TableName": EVENTS, "KeyConditionExpression": "#partition = :partition",
            "ExpressionAttributeValues": {":partition": {"S": "#archive#3"}},
        });
        assert_eq!(body(&database.answer("Query", &rows))["Items"][0]["archivedThrough"]["S"], "02");
        assert_eq!(database.archive_partition("acme#archive").count(), 1);
        assert_eq!(database.archive_partition("acme#03").count(), 0);
        assert_eq!(database.events_put, 7);
    }
}
