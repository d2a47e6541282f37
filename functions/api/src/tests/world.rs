//! AWS as far as this function calls it, kept in memory: one table, KMS, the verifier and the run queue.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_adapters::{
    allowance::Allowances,
    configurations::{ConfigurationEditor, ConfigurationTable},
    events::{item::to_block, writer::EventTable},
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys::SigningKeys,
    verifier_client::VerifierClient,
};
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use aws_sdk_dynamodb::{
    operation::{
        get_item::GetItemOutput,
        put_item::{PutItemError, PutItemInput, PutItemOutput},
        query::QueryOutput,
        transact_write_items::{TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemError, UpdateItemInput, UpdateItemOutput},
    },
    types::{
        AttributeValue, CancellationReason, Delete, Update,
        error::{ConditionalCheckFailedException, TransactionCanceledException},
    },
};
use aws_sdk_kms::{
    operation::{
        encrypt::EncryptOutput,
        get_public_key::{GetPublicKeyError, GetPublicKeyOutput},
    },
    primitives::Blob,
    types::{KeySpec, error::DisabledException},
};
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_sqs::{operation::send_message_batch::SendMessageBatchOutput, types::BatchResultErrorEntry};
use aws_smithy_mocks::{MockResponse, Rule, RuleMode, mock, mock_client};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    configuration::{
        ConfigurationId, ServiceIdentity,
        arn::AccountId,
        region::{Partition, Region},
    },
    customer_template::TemplateUrl,
    interval::ExportSchedule,
    tenant::TenantId,
    time::Timestamp,
};
use function_runtime::{
    client_version::MinimumClientVersion,
    lazy::lazily,
    token::{KeySet, KeySource, TokenSettings, TokenVerifier},
};
use lambda_http::{Body, Request, RequestExt, Response, http};
use serde_json::{Value, json};

use super::history::History;
use crate::{handler::Handler, schema::ApiSchema, service::Service};

type Item = HashMap<String, AttributeValue>;

/// As IAM issues them, of letters and digits alone, so that it passes for a name of GraphQL too.
pub const SECRET: &str = "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY";
const EVENTS: &str = "Events";
pub const NOW: &str = "2026-11-22T12:00:00.000Z";

/// What the verifier does when it is invoked.
#[derive(Clone, Copy, Debug)]
pub enum Verifier {
    Succeeds,
    Fails,
    Crashes,
}

#[derive(Default)]
struct State {
    items: BTreeMap<(String, String), Item>,
    plaintexts: Vec<String>,
    /// Audit events of changes.
    changes: Vec<Value>,
    /// How many of the next transactions meet somebody else's change.
    interferences: usize,
    /// How long a transaction takes.
    delay: Duration,
    /// How much later than [`NOW`] it is.
    elapsed: Duration,
    /// Access keys that were tested before they were stored.
    candidates: Vec<Value>,
    messages: Vec<Value>,
    /// The groups of the messages.
    message_groups: Vec<Option<String>>,
    /// Whether SQS refuses every message.
    is_queue_down: bool,
    invocations: usize,
    ids: u128,
    /// DER of the public keys that KMS holds, by the names that the settings have for them.
    signing_keys: BTreeMap<String, Vec<u8>>,
}

pub struct World {
    pub history: History,
    state: Arc<Mutex<State>>,
    verifier: Arc<Mutex<Verifier>>,
    handler: Handler,
    key: EcdsaKeyPair,
}

fn text(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}

fn key_of(item: &Item) -> (String, String) {
    (text(item, "tenantId"), text(item, "id"))
}

/// The event in the block that an item holds.
fn event_of(item: &Item) -> Value {
    let block = to_block(item.clone()).unwrap();
    let event: Value = serde_json::from_slice(&block.inflate().unwrap()).unwrap();
    let tenant = event["tenantId"].as_str().unwrap();
    assert!(text(item, "partition").starts_with(&format!("{tenant}#")));
    block.verify(&TenantId::parse(tenant).unwrap()).unwrap();
    event
}

fn count(item: &mut Item, update: &Update) -> bool {
    let values = update.expression_attribute_values().unwrap();
    let number = |value: &AttributeValue| value.as_n().unwrap().parse::<i64>().unwrap();
    let count = item.get("configurations").map_or(0, number);
    let sum = count + number(&values[":step"]);
    item.insert("configurations".to_owned(), AttributeValue::N(sum.to_string()));
    values.get(":limit").is_none_or(|limit| count < number(limit))
}

/// As much of DynamoDB's expressions as a change of a configuration uses. `false`: its condition doesn't hold.
fn apply(item: &mut Item, update: &Update) -> bool {
    let values = update.expression_attribute_values().unwrap();
    assert_eq!(update.condition_expression(), Some("#version = :read"));
    if item["version"] != values[":read"] {
        return false;
    }
    let expression = update.update_expression().strip_prefix("SET ").unwrap();
    let (set, remove) = expression.split_once(" REMOVE ").unwrap_or((expression, ""));
    for assignment in set.split(", #") {
        let (name, value) = assignment.trim_start_matches('#').split_once(" = ").unwrap();
        let kept = value.strip_prefix("if_not_exists(").and_then(|rest| rest.strip_suffix(')')?.split_once(", "));
        match kept {
            Some((attribute, default)) => {
                item.entry(attribute.trim_start_matches('#').to_owned()).or_insert_with(|| values[default].clone());
            }
            None => {
                item.insert(name.to_owned(), values[value].clone());
            }
        }
    }
    for name in remove.split(", ") {
        item.remove(name.trim_start_matches('#'));
    }
    true
}

impl State {
    /// Fails like DynamoDB if one of the tables refuses one of the writes.
    fn transact(&mut self, request: &TransactWriteItemsInput) -> Result<(), Vec<&'static str>> {
        if self.interferences > 0 {
            self.interferences -= 1;
            self.interfere(request);
        }
        let mut items = self.items.clone();
        let mut changes = self.changes.clone();
        let codes: Vec<&'static str> = request
            .transact_items()
            .iter()
            .map(|write| {
                let done = if let Some(put) = write.put().filter(|put| put.table_name() == EVENTS) {
                    changes.push(event_of(put.item()));
                    true
                } else if let Some(put) = write.put() {
                    items.insert(key_of(put.item()), put.item().clone()).is_none()
                } else if let Some(delete) = write.delete() {
                    let read = &delete.expression_attribute_values().unwrap()[":read"];
                    items.remove(&key_of(delete.key())).is_some_and(|item| item["version"] == *read)
                } else {
                    let update = write.update().unwrap();
                    if update.key()["id"].as_s().unwrap() == "usage" {
                        count(items.entry(key_of(update.key())).or_default(), update)
                    } else {
                        items.get_mut(&key_of(update.key())).is_some_and(|item| apply(item, update))
                    }
                };
                if done { "None" } else { "ConditionalCheckFailed" }
            })
            .collect();
        if codes.iter().all(|code| *code == "None") {
            (self.items, self.changes) = (items, changes);
            Ok(())
        } else {
            Err(codes)
        }
    }

    /// Another person changes what the transaction is about to change.
    fn interfere(&mut self, request: &TransactWriteItemsInput) {
        let [first, ..] = request.transact_items() else { return };
        let key = first.update().map(Update::key).or(first.delete().map(Delete::key)).unwrap();
        let item = self.items.get_mut(&key_of(key)).unwrap();
        let version: u64 = item["version"].as_n().unwrap().parse().unwrap();
        item.insert("version".to_owned(), AttributeValue::N((version + 1).to_string()));
    }

    /// As much of DynamoDB's expressions as counts and requested runs use. An error is the item that was found.
    fn update(&mut self, request: &UpdateItemInput) -> Result<(), Item> {
        let values = request.expression_attribute_values().unwrap();
        let key = key_of(request.key().unwrap());
        if key.1.contains('#') {
            let name = &request.expression_attribute_names().unwrap()["#taken"];
            return self.count(key, name, values);
        }
        let Some(item) = self.items.get_mut(&key) else { return Err(Item::new()) };
        let number = |value: &AttributeValue| value.as_n().unwrap().parse::<u64>().unwrap();
        let until = item.get("requestedUntil").map(number);
        let is_before = |item: &Item| {
            item.get("requestedThrough").map(|through| through.as_s().unwrap())
                < values.get(":through").map(|through| through.as_s().unwrap())
        };
        let is_pending = || until.is_some_and(|until| until > number(&values[":now"]));
        match request.update_expression().unwrap() {
            "SET #through = :through, #until = :until, #token = :token" if !is_pending() => {
                item.insert("requestedThrough".to_owned(), values[":through"].clone());
                item.insert("requestedUntil".to_owned(), values[":until"].clone());
                item.insert("requestToken".to_owned(), values[":token"].clone());
            }
            "SET #through = :through" if is_pending() && is_before(item) => {
                item.insert("requestedThrough".to_owned(), values[":through"].clone());
            }
            "REMOVE #through, #until, #token" if until.is_some() => {
                item.retain(|name, _| !name.starts_with("request"));
            }
            _ => return Err(item.clone()),
        }
        Ok(())
    }

    fn count(&mut self, key: (String, String), name: &str, values: &Item) -> Result<(), Item> {
        let number = |value: &AttributeValue| value.as_n().unwrap().parse::<u32>().unwrap();
        let item = self.items.entry(key).or_default();
        let count = item.get(name).map_or(0, number);
        if count >= number(&values[":limit"]) {
            return Err(item.clone());
        }
        item.insert(name.to_owned(), AttributeValue::N((count + 1).to_string()));
        Ok(())
    }

    /// Stores what was counted, unless a later count is there.
    fn put(&mut self, request: &PutItemInput) -> bool {
        let item = request.item().unwrap();
        let later =
            self.items.get(&key_of(item)).is_some_and(|there| text(there, "countedAt") > text(item, "countedAt"));
        if !later {
            self.items.insert(key_of(item), item.clone());
        }
        !later
    }

    /// As the verifier does it.
    fn store_outcome(&mut self, key: &Value, outcome: &Value) {
        let field = |name: &str| key[name].as_str().unwrap().to_owned();
        let Some(item) = self.items.get_mut(&(field("tenantId"), field("configurationId"))) else { return };
        for name in ["connectionStatus", "connectionCheckedAt"] {
            item.insert(name.to_owned(), AttributeValue::S(outcome[name].as_str().unwrap().to_owned()));
        }
        item.remove("connectionError");
        if let Some(error) = outcome["connectionError"].as_object() {
            let fields =
                error.iter().map(|(name, value)| (name.clone(), AttributeValue::S(value.as_str().unwrap().to_owned())));
            item.insert("connectionError".to_owned(), AttributeValue::M(fields.collect()));
        }
    }
}

fn table(state: &Arc<Mutex<State>>) -> Vec<Rule> {
    let get = {
        let state = Arc::clone(state);
        mock!(aws_sdk_dynamodb::Client::get_item).then_compute_output(move |request| {
            assert_eq!(request.consistent_read(), Some(true));
            let item = state.lock().unwrap().items.get(&key_of(request.key().unwrap())).cloned();
            GetItemOutput::builder().set_item(item).build()
        })
    };
    let query = {
        let state = Arc::clone(state);
        mock!(aws_sdk_dynamodb::Client::query).then_compute_output(move |request| {
            assert_eq!(request.consistent_read(), Some(true));
            let values = request.expression_attribute_values().unwrap();
            let (tenant, behind) = (text(values, ":tenant"), text(values, ":behindIds"));
            let state = state.lock().unwrap();
            let items = state.items.iter().filter(|((owner, id), _)| *owner == tenant && *id < behind);
            QueryOutput::builder().set_items(Some(items.map(|(_, item)| item.clone()).collect())).build()
        })
    };
    let transact = {
        let state = Arc::clone(state);
        mock!(aws_sdk_dynamodb::Client::transact_write_items).then_compute_response(move |request| {
            let mut state = state.lock().unwrap();
            let delay = state.delay;
            state.elapsed += delay;
            match state.transact(request) {
                Ok(()) => MockResponse::Output(TransactWriteItemsOutput::builder().build()),
                Err(codes) => {
                    let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build());
                    let exception =
                        TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons.collect()));
                    MockResponse::Error(TransactWriteItemsError::TransactionCanceledException(exception.build()))
                }
            }
        })
    };
    let update = {
        let state = Arc::clone(state);
        mock!(aws_sdk_dynamodb::Client::update_item).then_compute_response(move |request| {
            match state.lock().unwrap().update(request) {
                Ok(()) => MockResponse::Output(UpdateItemOutput::builder().build()),
                Err(found) => {
                    let found = Some(found).filter(|found| !found.is_empty());
                    MockResponse::Error(UpdateItemError::ConditionalCheckFailedException(
                        ConditionalCheckFailedException::builder().set_item(found).build(),
                    ))
                }
            }
        })
    };
    let put = {
        let state = Arc::clone(state);
        mock!(aws_sdk_dynamodb::Client::put_item).then_compute_response(move |request| {
            if state.lock().unwrap().put(request) {
                MockResponse::Output(PutItemOutput::builder().build())
            } else {
                let exception = ConditionalCheckFailedException::builder().build();
                MockResponse::Error(PutItemError::ConditionalCheckFailedException(exception))
            }
        })
    };
    vec![get, query, transact, update, put]
}

fn encrypt(state: &Arc<Mutex<State>>) -> Rule {
    let state = Arc::clone(state);
    mock!(aws_sdk_kms::Client::encrypt).then_compute_output(move |request| {
        let plaintext = request.plaintext().unwrap().as_ref();
        state.lock().unwrap().plaintexts.push(String::from_utf8(plaintext.to_vec()).unwrap());
        let sealed: Vec<u8> = plaintext.iter().map(|byte| !byte).collect();
        EncryptOutput::builder().ciphertext_blob(Blob::new(sealed)).build()
    })
}

fn get_public_key(state: &Arc<Mutex<State>>) -> Rule {
    let state = Arc::clone(state);
    mock!(aws_sdk_kms::Client::get_public_key).then_compute_response(move |request| {
        match state.lock().unwrap().signing_keys.get(request.key_id().unwrap()) {
            Some(der) => MockResponse::Output(
                GetPublicKeyOutput::builder().key_spec(KeySpec::EccNistP256).public_key(Blob::new(der.clone())).build(),
            ),
            None => MockResponse::Error(GetPublicKeyError::DisabledException(DisabledException::builder().build())),
        }
    })
}

fn new_public_key() -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der = pair.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

fn invoke(state: &Arc<Mutex<State>>, verifier: &Arc<Mutex<Verifier>>) -> Rule {
    let (state, verifier) = (Arc::clone(state), Arc::clone(verifier));
    mock!(aws_sdk_lambda::Client::invoke).then_compute_output(move |request| {
        let mut state = state.lock().unwrap();
        state.invocations += 1;
        let key: Value = serde_json::from_slice(request.payload().unwrap().as_ref()).unwrap();
        let candidate = key.get("candidate").cloned();
        let (status, error) = match *verifier.lock().unwrap() {
            Verifier::Succeeds => ("SUCCESS", Value::Null),
            Verifier::Fails => ("FAILED", json!({"code": "WRITE_DENIED", "message": "Allow s3:PutObject."})),
            Verifier::Crashes => {
                return InvokeOutput::builder()
                    .function_error("Unhandled")
                    .payload(aws_sdk_lambda::primitives::Blob::new("{}"))
                    .build();
            }
        };
        let mut outcome = json!({"connectionStatus": status, "connectionCheckedAt": NOW, "connectionError": error});
        match candidate {
            None => state.store_outcome(&key, &outcome),
            Some(candidate) => {
                if status == "SUCCESS" {
                    outcome["userArn"] = json!("arn:aws:iam::222222222222:user/export");
                }
                state.candidates.push(candidate);
            }
        }
        InvokeOutput::builder().payload(aws_sdk_lambda::primitives::Blob::new(outcome.to_string())).build()
    })
}

fn send(state: &Arc<Mutex<State>>) -> Rule {
    let state = Arc::clone(state);
    mock!(aws_sdk_sqs::Client::send_message_batch).then_compute_output(move |request| {
        assert_eq!(request.queue_url(), Some("manual-queue"));
        let mut state = state.lock().unwrap();
        let mut answer =
            SendMessageBatchOutput::builder().set_successful(Some(Vec::new())).set_failed(Some(Vec::new()));
        for entry in request.entries() {
            if state.is_queue_down {
                let failed = BatchResultErrorEntry::builder().id(entry.id()).code("InternalError").sender_fault(false);
                answer = answer.failed(failed.build().unwrap());
                continue;
            }
            state.messages.push(serde_json::from_str(entry.message_body()).unwrap());
            state.message_groups.push(entry.message_group_id().map(ToOwned::to_owned));
        }
        answer.build().unwrap()
    })
}

impl World {
    pub fn new() -> Self {
        Self::with_introspection(false)
    }

    pub fn with_introspection(introspection: bool) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let verifier = Arc::new(Mutex::new(Verifier::Succeeds));
        let table = table(&state);
        let (encrypt, invoke, send) = (encrypt(&state), invoke(&state, &verifier), send(&state));
        let public_key = get_public_key(&state);
        for name in ["signing-key", "retired-signing-key"] {
            state.lock().unwrap().signing_keys.insert(name.to_owned(), new_public_key());
        }
        let kms = mock_client!(aws_sdk_kms, RuleMode::MatchAny, [&encrypt, &public_key]);
        let lambda = mock_client!(aws_sdk_lambda, RuleMode::MatchAny, [&invoke]);
        let (ids, clock) = (Arc::clone(&state), Arc::clone(&state));
        let events = EventTable { name: EVENTS.to_owned(), retention: Duration::from_hours(24) };
        let dynamodb = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, &table);
        let history = History::default();
        let (export_history, event_counter) = history.adapters();
        let service = Service {
            editor: ConfigurationEditor::new(&dynamodb, "Configurations".to_owned(), events),
            allowances: Allowances::new(dynamodb.clone(), "Configurations".to_owned()),
            configurations: ConfigurationTable::new(dynamodb.clone(), "Configurations".to_owned()),
            secrets: lazily({
                let kms = kms.clone();
                move || SecretVault::new(kms, "key".to_owned())
            }),
            signing_keys: lazily(move || {
                SigningKeys::new(kms, "signing-key".to_owned(), vec!["retired-signing-key".to_owned()])
            }),
            verifier: lazily(move || VerifierClient::new(&lambda, "verifier".to_owned())),
            manual_runs: lazily(move || {
                RunQueueClient::new(mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&send]), "manual-queue".to_owned())
            }),
            identity: ServiceIdentity {
                account: AccountId::parse("111111111111").unwrap(),
                partition: Partition::Commercial,
                region: Region::parse("us-east-1").unwrap(),
            },
            customer_template: TemplateUrl::parse("https://templates.s3.us-east-1.amazonaws.com/audit-export.yaml"),
            schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
            retention: Duration::from_hours(24 * 90),
            history: export_history,
            event_counter,
            clock: Box::new(move || Timestamp::parse(NOW).unwrap().saturating_add(clock.lock().unwrap().elapsed)),
            random: Box::new(|| uuid::Uuid::new_v4().as_u128()),
            new_id: Box::new(move || {
                let mut state = ids.lock().unwrap();
                state.ids += 1;
                ConfigurationId::from_uuid(uuid::Uuid::from_u128(state.ids))
            }),
        };

        let document = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        let point = key.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "1", "x": base64url(&point[1..33]), "y": base64url(&point[33..])});
        let keys = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        let tokens = TokenVerifier::new(TokenSettings {
            issuer: "https://issuer".to_owned(),
            audience: "audit-export".to_owned(),
            tenant_claim: "tenant_id".to_owned(),
            permissions_claim: "permissions".to_owned(),
            key_source: KeySource::Inline(keys),
        });
        let handler = Handler {
            tokens,
            minimum_client_version: MinimumClientVersion::parse("0.2.0").unwrap(),
            schema: ApiSchema::new(Arc::new(service), introspection),
        };
        Self { history, state, verifier, handler, key }
    }

    pub fn set_verifier(&self, verifier: Verifier) {
        *self.verifier.lock().unwrap() = verifier;
    }

    /// The audit events of the changes that were made.
    pub fn changes(&self) -> Vec<Value> {
        self.state.lock().unwrap().changes.clone()
    }

    /// Access keys that the verifier was to test before they were stored.
    pub fn candidates(&self) -> Vec<Value> {
        self.state.lock().unwrap().candidates.clone()
    }

    /// Lets the next changes meet one of somebody else.
    pub fn interfere(&self, times: usize) {
        self.state.lock().unwrap().interferences = times;
    }

    pub fn delay_writes(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// An attribute of a configuration's item of tenant `acme`.
    pub fn attribute(&self, id: &str, name: &str) -> Option<AttributeValue> {
        self.state.lock().unwrap().items[&("acme".to_owned(), id.to_owned())].get(name).cloned()
    }

    /// Secrets that KMS was asked to encrypt.
    pub fn plaintexts(&self) -> Vec<String> {
        self.state.lock().unwrap().plaintexts.clone()
    }

    /// Lets SQS refuse every message, or take them again.
    pub fn set_queue_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_queue_down = is_down;
    }

    /// Lets time pass.
    pub fn wait(&self, time: Duration) {
        self.state.lock().unwrap().elapsed += time;
    }

    /// The groups of the messages in the queue of manual runs.
    pub fn message_groups(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().message_groups.clone()
    }

    /// Ends the requested run of a configuration of tenant `acme`, as the exporter does.
    pub fn end_requested_run(&self, id: &str) {
        let mut state = self.state.lock().unwrap();
        let item = state.items.get_mut(&("acme".to_owned(), id.to_owned())).unwrap();
        item.retain(|name, _| !name.starts_with("request"));
    }

    /// Messages in the queue of manual runs.
    pub fn messages(&self) -> Vec<Value> {
        self.state.lock().unwrap().messages.clone()
    }

    pub fn invocations(&self) -> usize {
        self.state.lock().unwrap().invocations
    }

    /// Takes a signing key away from KMS.
    pub fn disable_signing_key(&self, name: &str) {
        self.state.lock().unwrap().signing_keys.remove(name).unwrap();
    }

    /// DER of a signing key's public half.
    pub fn signing_key(&self, name: &str) -> Vec<u8> {
        self.state.lock().unwrap().signing_keys[name].clone()
    }

    /// Puts attributes into a configuration of tenant `acme`, as the exporter does after a run.
    pub fn store_run(&self, id: &str, attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) {
        let mut state = self.state.lock().unwrap();
        let item = state.items.get_mut(&("acme".to_owned(), id.to_owned())).unwrap();
        item.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }

    /// Replaces attributes of what was counted of a tenant's backlog.
    pub fn put_counted(&self, tenant: &str, attributes: &[(&str, AttributeValue)]) {
        let mut state = self.state.lock().unwrap();
        let item = state.items.get_mut(&(tenant.to_owned(), "unexported".to_owned())).unwrap();
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }

    /// The table as text.
    pub fn dump(&self) -> String {
        format!("{:?}", self.state.lock().unwrap().items)
    }

    pub fn token(&self, tenant: &str, permissions: &[&str]) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let header = json!({"alg": "ES256", "kid": "1"});
        let claims = json!({"iss": "https://issuer", "aud": "audit-export", "sub": "user-1", "exp": now + 600,
            "tenant_id": tenant, "permissions": permissions});
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature))
    }

    pub fn sdl(&self) -> String {
        self.handler.schema.sdl()
    }

    pub async fn send(&self, request: Request) -> Response<Body> {
        self.handler.handle(request).await
    }

    /// The answer to a document of tenant `acme`.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        self.ask_as("acme", query, variables).await
    }

    pub async fn ask_as(&self, tenant: &str, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables}).to_string();
        let response = self.send(self.post(tenant, body)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        json_of(&response)
    }

    pub fn post(&self, tenant: &str, body: impl Into<Body>) -> Request {
        let context = json!({"requestId": "request-1", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.7"}});
        http::Request::post("/api/audit/graphql")
            .header("authorization", format!("Bearer {}", self.token(tenant, &["AUDIT"])))
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap()
            .with_request_context(serde_json::from_value(context).unwrap())
    }
}

pub fn json_of(response: &Response<Body>) -> Value {
    serde_json::from_slice(response.body().as_ref()).unwrap()
}

/// The code of an answer's only error.
pub fn code(answer: &Value) -> &str {
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{answer}");
    errors[0]["extensions"]["code"].as_str().unwrap()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
