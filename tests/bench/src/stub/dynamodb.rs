//! DynamoDB as far as the service uses it: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/>.
//!
//! Tables of state are small and real: conditions and updates are evaluated. The table of events is neither: its pages were
//! made before, and what ingest puts is checked, counted and dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    block::{BlockId, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};
use serde_json::{Value, json};

use super::expression::{BadExpression, Condition, Item, Names, update};
use crate::{corpus::Window, event_items::EventItems};

pub const EVENTS: &str = "AuditEvents";
pub const EVENT_ITEMS: &str = "AuditEventItems";
pub const CONFIGURATIONS: &str = "ExportConfigurations";
pub const RUNS: &str = "ExportRuns";

/// DynamoDB's bound of a page.
const PAGE_LENGTH: usize = 1_024 * 1_024;

/// A table whose keys are two texts.
#[derive(Debug)]
pub struct Table {
    hash: &'static str,
    range: &'static str,
    items: BTreeMap<(String, String), Item>,
    /// Attribute of the index's partition; the index sorts by the table's range key.
    indexed: Option<&'static str>,
    index: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Table {
    fn new(hash: &'static str, range: &'static str, indexed: Option<&'static str>) -> Self {
        Self { hash, range, items: BTreeMap::new(), indexed, index: BTreeMap::new() }
    }

    fn key(&self, item: &Value) -> Result<(String, String), BadExpression> {
        let text = |name: &str| item[name]["S"].as_str().map(ToOwned::to_owned);
        match (text(self.hash), text(self.range)) {
            (Some(hash), Some(range)) => Ok((hash, range)),
            _ => Err(BadExpression(format!("a key without {} or {}", self.hash, self.range))),
        }
    }

    fn new_item(&self, key: &(String, String)) -> Item {
        Item::from_iter([(self.hash.to_owned(), json!({"S": key.0})), (self.range.to_owned(), json!({"S": key.1}))])
    }

    fn index_key(&self, item: &Item) -> Option<String> {
        Some(item.get(self.indexed?)?["S"].as_str()?.to_owned())
    }

    fn set(&mut self, key: (String, String), item: Option<Item>) {
        if let Some(old) = self.items.get(&key).and_then(|old| self.index_key(old)) {
            self.index.entry(old).or_default().remove(&(key.1.clone(), key.0.clone()));
        }
        let Some(item) = item else {
            self.items.remove(&key);
            return;
        };
        if let Some(new) = self.index_key(&item) {
            self.index.entry(new).or_default().insert((key.1.clone(), key.0.clone()));
        }
        self.items.insert(key, item);
    }

    /// Puts an item as it is.
    pub fn seed(&mut self, item: &Value) -> Result<(), BadExpression> {
        let key = self.key(item)?;
        self.set(key, item.as_object().cloned());
        Ok(())
    }

    pub fn remove_all(&mut self, is_wanted: impl Fn(&str) -> bool) {
        let keys: Vec<_> = self.items.keys().filter(|(_, range)| is_wanted(range)).cloned().collect();
        for key in keys {
            self.set(key, None);
        }
    }
}

/// What ingest and the api have put into the table of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutEvents {
    pub blocks: u64,
    pub events: u64,
    pub raw_bytes: u64,
    pub stored_bytes: u64,
}

/// All tables.
#[derive(Debug)]
pub struct Database {
    pub configurations: Table,
    pub runs: Table,
    /// What queries of the table of events find.
    pub window: Option<Window>,
    /// What queries of the table with an item for every event find.
    pub event_items: EventItems,
    pub put: PutEvents,
    /// Idempotency records.
    records: BTreeSet<String>,
}

/// An answer's status and body, in pieces.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<Bytes>,
}

impl Reply {
    fn ok(body: &Value) -> Self {
        Self { status: 200, body: vec![body.to_string().into()] }
    }

    fn error(kind: &str, mut body: Value) -> Self {
        body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{kind}"));
        Self { status: 400, body: vec![body.to_string().into()] }
    }
}

impl From<BadExpression> for Reply {
    fn from(BadExpression(message): BadExpression) -> Self {
        Self::error("ValidationException", json!({ "message": message }))
    }
}

/// What became of one write.
enum Written {
    Done { new: Option<Item> },
    Refused { old: Option<Item> },
}

impl Default for Database {
    fn default() -> Self {
        Self {
            configurations: Table::new("tenantId", "id", Some("schedulePartition")),
            runs: Table::new("run", "item", None),
            window: None,
            event_items: EventItems::default(),
            put: PutEvents::default(),
            records: BTreeSet::new(),
        }
    }
}

impl Database {
    pub fn answer(&mut self, operation: &str, request: &Value) -> Reply {
        let answer = match operation {
            "GetItem" => self.get(request),
            "Query" => self.query(request),
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write_one(operation, request),
            "TransactWriteItems" => self.transact(request),
            other => Err(BadExpression(format!("the operation {other}"))),
        };
        answer.unwrap_or_else(Reply::from)
    }

    fn table(&mut self, request: &Value) -> Result<&mut Table, BadExpression> {
        match request["TableName"].as_str() {
            Some(CONFIGURATIONS) => Ok(&mut self.configurations),
            Some(RUNS) => Ok(&mut self.runs),
            other => Err(BadExpression(format!("the table {other:?}"))),
        }
    }

    fn get(&mut self, request: &Value) -> Result<Reply, BadExpression> {
        let table = self.table(request)?;
        let key = table.key(&request["Key"])?;
        Ok(Reply::ok(&table.items.get(&key).map_or_else(|| json!({}), |item| json!({ "Item": item }))))
    }

    fn query(&mut self, request: &Value) -> Result<Reply, BadExpression> {
        let condition = request["KeyConditionExpression"].as_str().unwrap_or_default();
        let condition = Condition::parse(condition, names(request))?;
        match request["TableName"].as_str() {
            Some(EVENTS) => return self.query_events(&condition, request),
            Some(EVENT_ITEMS) => {
                return Ok(Reply { status: 200, body: self.event_items.page(&request["ExclusiveStartKey"]) });
            }
            _ => {}
        }
        let table = self.table(request)?;
        let forward = request["ScanIndexForward"].as_bool().unwrap_or(true);
        let limit = request["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let start = &request["ExclusiveStartKey"];
        let start = if start.is_null() { None } else { Some(table.key(start)?) };
        let mut items = Vec::new();
        let mut length = 0;
        let mut last = None;
        let mut push = |key: &(String, String), item: Value| {
            if items.len() >= limit || length > PAGE_LENGTH {
                return false;
            }
            length += item.to_string().len();
            last = Some(key.clone());
            items.push(item);
            true
        };
        let mut has_more = false;
        if request["IndexName"].is_string() {
            let indexed = table.indexed.ok_or_else(|| BadExpression("no index".to_owned()))?;
            let partition = condition.equal_to(indexed).ok_or_else(|| BadExpression("no partition".to_owned()))?;
            let keys = table.index.get(&partition).map(|keys| {
                let after = start.map_or(Bound::Unbounded, |(hash, range)| Bound::Excluded((range, hash)));
                keys.range((after, Bound::Unbounded))
            });
            for (range, hash) in keys.into_iter().flatten() {
                let key = (hash.clone(), range.clone());
                let mut item = table.new_item(&key);
                item.insert(indexed.to_owned(), json!({ "S": partition }));
                if !push(&key, Value::Object(item)) {
                    has_more = true;
                    break;
                }
            }
        } else {
            let hash = condition.equal_to(table.hash).ok_or_else(|| BadExpression("no partition".to_owned()))?;
            let end = (format!("{hash}\0"), String::new());
            let matching = table.items.range((hash, String::new())..end).filter(|(_, item)| condition.holds(item));
            let is_after = |key: &(String, String)| match &start {
                Some(start) if forward => key > start,
                Some(start) => key < start,
                None => true,
            };
            let mut matching: Vec<_> = matching.filter(|(key, _)| is_after(key)).collect();
            if !forward {
                matching.reverse();
            }
            for (key, item) in matching {
                if !push(key, Value::Object(item.clone())) {
                    has_more = true;
                    break;
                }
            }
        }
        let mut answer = json!({ "Count": items.len(), "ScannedCount": items.len(), "Items": items });
        // DynamoDB tells a position too where a limit was met exactly at the end.
        if let Some(last) = last
            && (has_more || items_met(&answer, limit))
        {
            answer["LastEvaluatedKey"] = Value::Object(table.new_item(&last));
        }
        Ok(Reply::ok(&answer))
    }

    /// The pages of the corpus. A projection is of block id and count of events.
    fn query_events(&self, condition: &Condition, request: &Value) -> Result<Reply, BadExpression> {
        let partition = condition.equal_to("partition").ok_or_else(|| BadExpression("no partition".to_owned()))?;
        let (first, last) = condition.range_of("blockId");
        let start = request["ExclusiveStartKey"]["blockId"]["S"].as_str();
        let parse = |text: &str| BlockId::parse(text).map_err(|error| BadExpression(error.to_string()));
        let first = first.as_deref().map(parse).transpose()?;
        let start = start.map(parse).transpose()?.map(BlockId::next);
        let last = last.as_deref().map(parse).transpose()?;
        let Some(window) = &self.window else {
            return Ok(Reply::ok(&json!({ "Count": 0, "ScannedCount": 0, "Items": [] })));
        };
        let is_projected = request["ProjectionExpression"].is_string();
        let body = window.page(&partition, first.max(start), last, PAGE_LENGTH, is_projected);
        Ok(Reply { status: 200, body })
    }

    fn write_one(&mut self, operation: &str, request: &Value) -> Result<Reply, BadExpression> {
        match self.write(operation, request)? {
            Written::Done { new } => Ok(Reply::ok(&match (request["ReturnValues"].as_str(), new) {
                (Some("ALL_NEW"), Some(new)) => json!({ "Attributes": new }),
                _ => json!({}),
            })),
            Written::Refused { old } => {
                let mut body = json!({ "message": "The conditional request failed" });
                if let Some(old) = returned(request, old) {
                    body["Item"] = Value::Object(old);
                }
                Ok(Reply::error("ConditionalCheckFailedException", body))
            }
        }
    }

    /// All or nothing: whatever is refused is found before anything is written.
    fn transact(&mut self, request: &Value) -> Result<Reply, BadExpression> {
        let writes: Vec<(&str, &Value)> = request["TransactItems"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|write| write.as_object()?.iter().next().map(|(kind, write)| (kind.as_str(), write)))
            .collect();
        let mut reasons = Vec::new();
        for (kind, write) in &writes {
            reasons.push(match self.refusal(kind, write)? {
                Some(old) => match returned(write, old) {
                    Some(old) => json!({ "Code": "ConditionalCheckFailed", "Item": old }),
                    None => json!({ "Code": "ConditionalCheckFailed" }),
                },
                None => json!({ "Code": "None" }),
            });
        }
        if reasons.iter().any(|reason| reason["Code"] != "None") {
            let body = json!({ "Message": "Transaction cancelled", "CancellationReasons": reasons });
            return Ok(Reply::error("TransactionCanceledException", body));
        }
        for (kind, write) in writes {
            if kind != "ConditionCheck" {
                self.write(&format!("{kind}Item"), write)?;
            }
        }
        Ok(Reply::ok(&json!({})))
    }

    /// The item that a write's condition refuses, if it does.
    #[expect(clippy::option_option, reason = "refused, by an item or by its absence")]
    fn refusal(&mut self, kind: &str, write: &Value) -> Result<Option<Option<Item>>, BadExpression> {
        if write["TableName"] == EVENTS {
            return Ok(self.refuses_event(write).then_some(None));
        }
        let table = self.table(write)?;
        let key = table.key(if kind == "Put" { &write["Item"] } else { &write["Key"] })?;
        let Some(condition) = write["ConditionExpression"].as_str() else { return Ok(None) };
        let condition = Condition::parse(condition, names(write))?;
        let old = table.items.get(&key);
        let is_met = condition.holds(old.unwrap_or(&Item::new()));
        Ok(if is_met { None } else { Some(old.cloned()) })
    }

    fn write(&mut self, operation: &str, request: &Value) -> Result<Written, BadExpression> {
        let kind = operation.trim_end_matches("Item");
        if let Some(old) = self.refusal(kind, request)? {
            return Ok(Written::Refused { old });
        }
        if request["TableName"] == EVENTS {
            self.put_event(&request["Item"])?;
            return Ok(Written::Done { new: None });
        }
        let table = self.table(request)?;
        let key = table.key(if kind == "Put" { &request["Item"] } else { &request["Key"] })?;
        let new = match kind {
            "Put" => request["Item"].as_object().cloned(),
            "Delete" => None,
            _ => {
                let mut item = table.items.get(&key).cloned().unwrap_or_else(|| table.new_item(&key));
                update(request["UpdateExpression"].as_str().unwrap_or_default(), names(request), &mut item)?;
                Some(item)
            }
        };
        table.set(key, new.clone());
        Ok(Written::Done { new })
    }

    fn refuses_event(&self, write: &Value) -> bool {
        self.records.contains(write["Item"]["blockId"]["S"].as_str().unwrap_or_default())
    }

    /// A block is what its checksum says, or it is refused.
    fn put_event(&mut self, item: &Value) -> Result<(), BadExpression> {
        let text = |name: &str| item[name]["S"].as_str().unwrap_or_default();
        if item["block"].is_null() {
            self.records.insert(text("blockId").to_owned());
            return Ok(());
        }
        let bad = |what: &str| BadExpression(format!("the block's {what}"));
        let number =
            |name: &str| item[name]["N"].as_str().and_then(|digits| digits.parse().ok()).ok_or_else(|| bad(name));
        let time = |name: &str| Timestamp::parse(text(name)).map_err(|_| bad(name));
        let deflate = STANDARD.decode(item["block"]["B"].as_str().unwrap_or_default()).map_err(|_| bad("bytes"))?;
        let tenant = text("partition").split('#').next().and_then(|tenant| TenantId::parse(tenant).ok());
        let block = StoredBlock {
            id: BlockId::parse(text("blockId")).map_err(|_| bad("id"))?,
            event_count: number("eventCount")?,
            raw_length: number("rawLength")?,
            crc32: number("crc32")?,
            crc32c: number("crc32c")?,
            oldest_event: time("oldestEventTimestamp")?,
            newest_event: time("newestEventTimestamp")?,
            deflate: deflate.into(),
        };
        block.verify(&tenant.ok_or_else(|| bad("tenant"))?).map_err(|error| BadExpression(error.to_string()))?;
        self.put.blocks += 1;
        self.put.events += u64::from(block.event_count);
        self.put.raw_bytes += u64::from(block.raw_length);
        self.put.stored_bytes += block.deflate.len() as u64;
        Ok(())
    }
}

fn items_met(answer: &Value, limit: usize) -> bool {
    answer["Items"].as_array().is_some_and(|items| items.len() == limit)
}

fn names(request: &Value) -> Names<'_> {
    Names { names: &request["ExpressionAttributeNames"], values: &request["ExpressionAttributeValues"] }
}

fn returned(request: &Value, old: Option<Item>) -> Option<Item> {
    let wanted = request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD";
    old.filter(|_| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body.concat()).unwrap()
    }

    fn update_state(condition: &str, token: u64) -> Value {
        json!({
            "TableName": RUNS, "Key": {"run": {"S": "acme#1"}, "item": {"S": "state"}},
            "UpdateExpression": "SET fencingToken = if_not_exists(fencingToken, :zero) + :one",
            "ConditionExpression": condition, "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ExpressionAttributeValues": {":zero": {"N": "0"}, ":one": {"N": "1"}, ":token": {"N": token.to_string()}},
        })
    }

    #[test]
    fn conditions_guard_updates() {
        let mut database = Database::default();
        let created = database.answer("UpdateItem", &update_state("attribute_not_exists(fencingToken)", 0));
        assert_eq!(body(&created)["Attributes"]["fencingToken"]["N"], "1");
        let refused = database.answer("UpdateItem", &update_state("fencingToken = :token", 7));
        assert_eq!(refused.status, 400);
        assert_eq!(body(&refused)["Item"]["fencingToken"]["N"], "1");
        let done = database.answer("UpdateItem", &update_state("fencingToken = :token", 1));
        assert_eq!(body(&done)["Attributes"]["fencingToken"]["N"], "2");
    }

    #[test]
    fn a_transaction_writes_all_or_nothing() {
        let mut database = Database::default();
        let put = |item: &str| {
            json!({"Put": {
                "TableName": RUNS, "Item": {"run": {"S": "acme#1"}, "item": {"S": item}},
                "ConditionExpression": "attribute_not_exists(#run)", "ExpressionAttributeNames": {"#run": "run"},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }})
        };
        let answer = database.answer("TransactWriteItems", &json!({"TransactItems": [put("a")]}));
        assert_eq!(answer.status, 200);
        let answer = database.answer("TransactWriteItems", &json!({"TransactItems": [put("b"), put("a")]}));
        let reasons = &body(&answer)["CancellationReasons"];
        assert_eq!((&reasons[0]["Code"], &reasons[1]["Item"]["item"]["S"]), (&json!("None"), &json!("a")));
        assert_eq!(database.runs.items.len(), 1);
    }

    #[test]
    fn the_index_is_paged_and_sparse() {
        let mut database = Database::default();
        for number in 0..7 {
            let mut item = json!({"tenantId": {"S": "acme"}, "id": {"S": format!("{number}")}});
            if number != 3 {
                item["schedulePartition"] = json!({"S": "EVERY_2_HOURS#0"});
            }
            database.configurations.seed(&item).unwrap();
        }
        let mut request = json!({
            "TableName": CONFIGURATIONS, "IndexName": "enabledByInterval", "Limit": 4,
            "KeyConditionExpression": "#s = :s", "ExpressionAttributeNames": {"#s": "schedulePartition"},
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
    fn a_block_is_refused_that_is_not_what_it_says() {
        let tenant = TenantId::parse("acme").unwrap();
        let time = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
        let block = domain::block::encode_block(&tenant, BlockId::from_parts(time, 1), b"{}\n", time, time).unwrap();
        let item = |events: u32| {
            json!({"TableName": EVENTS, "Item": {
                "partition": {"S": "acme#00"}, "blockId": {"S": block.id.to_string()},
                "block": {"B": STANDARD.encode(&block.deflate)}, "eventCount": {"N": events.to_string()},
                "rawLength": {"N": "3"}, "crc32": {"N": block.crc32.to_string()}, "crc32c": {"N": block.crc32c.to_string()},
                "oldestEventTimestamp": {"S": time.to_string()}, "newestEventTimestamp": {"S": time.to_string()},
            }})
        };
        let mut database = Database::default();
        assert_eq!(database.answer("PutItem", &item(2)).status, 400);
        assert_eq!(database.put, PutEvents::default());
        assert_eq!(database.answer("PutItem", &item(1)).status, 200);
        assert_eq!((database.put.blocks, database.put.events), (1, 1));
    }
}
