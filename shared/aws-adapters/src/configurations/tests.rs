use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        get_item::GetItemOutput,
        put_item::PutItemOutput,
        query::QueryOutput,
        transact_write_items::{TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemError, UpdateItemInput, UpdateItemOutput},
    },
    types::{
        AttributeValue, CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        error::{ConditionalCheckFailedException, TransactionCanceledException},
    },
};
use aws_smithy_mocks::{MockResponse, Rule, RuleMode, mock, mock_client};
use domain::{
    block::INGEST_WRITE_BOUND,
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress, Layout,
        access_key::{AccessKeyId, SealedSecret},
        arn::RoleArn,
        change::{Author, Stamp},
        input::IdempotencyKey,
        test_support::{self, ID},
        update::{Edit, NewIdentity, PlainSettings},
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    connection_test::progress::{ConnectionTestProgress, TestStep},
    customer_server::CustomerServers,
    digest::Hex32,
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{OcsfSettings, Version},
    time::Timestamp,
    webhook::{SealedWebhookSecret, Webhook, WebhookUrl},
};
use export_engine::ports::{
    ConfigurationStore, EnabledConfigurations, ErrorKind, PortError, RunReport, TestProgressStore,
};

use super::{
    backlog::UNEXPORTED,
    editor::{IDEMPOTENCY_PREFIX, USAGE},
    item::{self, BEHIND_IDS, INDEX_PAGE_SIZE, attribute},
    table::MAX_LIST_PAGES,
    *,
};
use crate::{
    dynamodb::item::{Item, extended, number, text},
    events::{
        item as event_item,
        writer::{
            EventTable,
            tests::{Answer, answer, now, serve},
        },
    },
};

const CIPHERTEXT: &[u8] = b"ciphertext";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn key() -> ConfigurationKey {
    test_support::with_role().key
}

fn full() -> ExportConfiguration {
    ExportConfiguration {
        authentication: Authentication::AccessKey {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
            secret: SealedSecret::from_ciphertext(CIPHERTEXT.to_vec()),
        },
        format: ExportFormat::Parquet,
        ocsf: None,
        filter: serde_json::from_str(r#"{"exclude":{"actions":["QUERY"]},"include":{"targetTypes":["POLICY*"]}}"#)
            .unwrap(),
        start_from: at("2026-11-21T00:00:00Z"),
        connection: Connection::Failed {
            checked_at: at("2026-11-22T00:00:01Z"),
            error: ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow it.".to_owned() },
        },
        progress: ExportProgress {
            exported_through: Some(at("2026-11-21T22:00:00Z")),
            last_export_at: Some(at("2026-11-21T22:20:05Z")),
            consecutive_failures: 2,
            last_failure_at: Some(at("2026-11-22T00:00:01Z")),
        },
        webhooks: vec![Webhook {
            url: WebhookUrl::parse_for(CustomerServers::Public, "https://hooks.example.com/").unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(CIPHERTEXT.to_vec()),
        }],
        created_at: at("2026-11-21T00:00:00Z"),
        updated_by: "user-2".to_owned(),
        ..test_support::with_key()
    }
}

fn sparse() -> ExportConfiguration {
    let role_arn = RoleArn::parse("arn:aws:iam::222222222222:role/export").unwrap();
    let full = full();
    ExportConfiguration {
        description: None,
        format: ExportFormat::default(),
        ocsf: None,
        filter: None,
        enabled: false,
        destination: Destination {
            bucket_path: None,
            kms_key_arn: None,
            expected_bucket_owner: None,
            ..full.destination
        },
        authentication: Authentication::AssumedRole { role_arn },
        user_arn: None,
        connection: Connection::Pending,
        progress: ExportProgress::default(),
        requested_through: None,
        webhooks: Vec::new(),
        ..full
    }
}

fn table(rules: &[&Rule]) -> ConfigurationTable {
    ConfigurationTable::new(mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules), "Configurations".to_owned())
}

fn editor(rules: &[&Rule]) -> ConfigurationEditor {
    let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules);
    let events = EventTable { name: "Events".to_owned(), retention: Duration::from_hours(24) };
    ConfigurationEditor::new(&client, "Configurations".to_owned(), events)
}

fn author() -> Author {
    Author { subject: "user-3".to_owned(), issuer: "https://login.example".to_owned(), ip: None, request_id: None }
}

fn stamp() -> Stamp {
    Stamp { at: at("2026-11-23T00:00:00Z"), event: 1, block: (2 << 96) | 7 }
}

fn edit() -> Edit<'static> {
    Edit { by: "user-3", at: stamp().at }
}

/// Returns the event of the one correct form of a put.
fn event_of(write: &TransactWriteItem) -> serde_json::Value {
    let put = write.put().unwrap();
    assert_eq!(put.table_name(), "Events");
    assert_eq!(put.condition_expression(), Some("attribute_not_exists(#partition)"));
    assert_eq!(put.item()[event_item::PARTITION], text("acme#15"));
    let block = event_item::read_block(put.item().clone()).unwrap();
    block.check(&key().tenant_id).unwrap();
    assert_eq!(block.id.timestamp(), stamp().at);
    serde_json::from_slice(&block.inflate().unwrap()).unwrap()
}

fn transactions_to(requests: &Requests<TransactWriteItemsInput>) -> Rule {
    let requests = requests.clone();
    mock!(Client::transact_write_items).then_compute_output(move |request| {
        requests.note(request);
        TransactWriteItemsOutput::builder().build()
    })
}

fn lines(item: &Item) -> String {
    item.iter()
        .map(|(name, value)| match value {
            AttributeValue::M(fields) => (name, format!("{name} = {:?}\n", BTreeMap::from_iter(fields))),
            AttributeValue::L(maps) => {
                let maps: Vec<_> = maps.iter().map(|map| BTreeMap::from_iter(map.as_m().unwrap())).collect();
                (name, format!("{name} = {maps:?}\n"))
            }
            value => (name, format!("{name} = {value:?}\n")),
        })
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect()
}

/// The requests that DynamoDB received.
#[derive(Clone)]
struct Requests<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Requests<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn note(&self, request: &T) {
        self.0.lock().unwrap().push(request.clone());
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

fn cancelled(codes: &[&str]) -> TransactWriteItemsError {
    let mut exception = TransactionCanceledException::builder();
    for code in codes {
        exception = exception.cancellation_reasons(CancellationReason::builder().code(*code).build());
    }
    TransactWriteItemsError::TransactionCanceledException(exception.build())
}

/// A tenant of which no change has ended an export.
fn no_usage() -> Rule {
    mock!(Client::get_item).then_output(|| GetItemOutput::builder().build())
}

/// The tenant's configurations, read consistently: the one that is changed, and others that work or are disabled.
fn others(enabled: &'static [bool]) -> Rule {
    mock!(Client::query).match_requests(|request| request.consistent_read() == Some(true)).then_output(|| {
        let other = |enabled: &bool| {
            let configuration_id = ConfigurationId::from_bytes([7; 16]);
            let progress = ExportProgress { consecutive_failures: 0, ..full().progress };
            let connection = Connection::Success { checked_at: at("2026-11-22T00:00:00Z") };
            let key = ConfigurationKey { configuration_id, ..key() };
            item::write(&ExportConfiguration { key, enabled: *enabled, progress, connection, ..full() })
        };
        // A malformed one exports nothing.
        let malformed = Item::from([("enabled".to_owned(), AttributeValue::Bool(true))]);
        let found = [item::write(&full()), malformed].into_iter().chain(enabled.iter().map(other));
        QueryOutput::builder().set_items(Some(found.collect())).build()
    })
}

fn transactions(codes: &'static [&'static str]) -> Rule {
    mock!(Client::transact_write_items).then_error(|| cancelled(codes))
}

#[test]
fn attributes_have_the_names_of_the_api() {
    insta::assert_snapshot!(lines(&item::write(&full())), @r#"
    accessKeyId = S("AKIAIOSFODNN7EXAMPLE")
    bucketName = S("acme-audit")
    bucketPath = S("audit/log")
    connectionCheckedAt = S("2026-11-22T00:00:01.000Z")
    connectionError = {"code": S("WRITE_DENIED"), "message": S("Allow it.")}
    connectionStatus = S("FAILED")
    consecutiveFailures = N("2")
    createdAt = S("2026-11-21T00:00:00.000Z")
    createdBy = S("user-1")
    description = S("For the auditors")
    enabled = Bool(true)
    expectedBucketOwner = S("222222222222")
    exportedThrough = S("2026-11-21T22:00:00.000Z")
    filter = S("{\"exclude\":{\"actions\":[\"QUERY\"]},\"include\":{\"targetTypes\":[\"POLICY*\"]}}")
    format = S("PARQUET")
    id = S("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")
    interval = S("EVERY_2_HOURS")
    kmsKeyArn = S("arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    lastExportAt = S("2026-11-21T22:20:05.000Z")
    lastFailureAt = S("2026-11-22T00:00:01.000Z")
    principalArn = S("arn:aws:iam::222222222222:user/export")
    region = S("eu-west-1")
    schedulePartition = S("EVERY_2_HOURS#3")
    sealedSecret = B(Blob { inner: 63697068657274657874 })
    startFrom = S("2026-11-21T00:00:00.000Z")
    tenantId = S("acme")
    updatedAt = S("2026-11-22T00:00:00.000Z")
    updatedBy = S("user-2")
    version = N("7")
    webhooks = [{"sealedSecret": B(Blob { inner: 63697068657274657874 }), "url": S("https://hooks.example.com/")}]
    "#);
    insta::assert_snapshot!(lines(&item::write(&sparse())), @r#"
    bucketName = S("acme-audit")
    connectionStatus = S("PENDING")
    createdAt = S("2026-11-21T00:00:00.000Z")
    createdBy = S("user-1")
    enabled = Bool(false)
    id = S("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")
    interval = S("EVERY_2_HOURS")
    region = S("eu-west-1")
    roleArn = S("arn:aws:iam::222222222222:role/export")
    startFrom = S("2026-11-21T00:00:00.000Z")
    tenantId = S("acme")
    updatedAt = S("2026-11-22T00:00:00.000Z")
    updatedBy = S("user-2")
    version = N("7")
    "#);
}

#[test]
fn choices_of_ocsf_are_read_back_and_their_format_decides_about_the_layout() {
    let classes = serde_json::from_str(r#"[{"action":"A","class":"API_ACTIVITY"}]"#).unwrap();
    for ocsf in [None, Some(OcsfSettings { version: Version::V1_8_0, classes }), Some(OcsfSettings::default())] {
        let format = ExportFormat::OcsfParquet;
        let destination = Destination { layout: Layout::SecurityLake, ..full().destination };
        let configuration = ExportConfiguration { format, ocsf, destination, ..full() };
        let stored = item::write(&configuration);
        assert_eq!(
            stored.contains_key("ocsfClasses"),
            configuration.ocsf.as_ref().is_some_and(|ocsf| !ocsf.classes.is_empty())
        );
        assert_eq!(item::read(&stored).unwrap(), configuration);
    }
}

#[test]
fn items_are_read_back() {
    for configuration in [full(), sparse(), test_support::on_server()] {
        assert_eq!(item::read(&item::write(&configuration)).unwrap(), configuration);
    }
}

#[test]
fn sealed_secrets_are_not_printed() {
    assert!(format!("{:?}", full()).contains("secret: SealedSecret(10 bytes)"));
}

#[test]
fn the_attribute_of_a_corrupt_item_is_named() {
    let both = [item::write(&full()), item::write(&sparse())];
    for (item, name) in both.iter().flat_map(|item| item.keys().map(move |name| (item, name))) {
        // The index alone reads it.
        if name == attribute::SCHEDULE_PARTITION {
            continue;
        }
        for bad in [AttributeValue::Null(true), text("\u{7}bad"), number(-1)] {
            // Any text will do for the name of a person.
            if [attribute::CREATED_BY, attribute::UPDATED_BY].contains(&name.as_str()) && bad.is_s() {
                continue;
            }
            let mut item = item.clone();
            item.insert(name.clone(), bad);
            let error = PortError::from(item::read(&item).unwrap_err());
            assert_eq!(error.kind, ErrorKind::Internal);
            assert!(error.detail.contains(name.as_str()) && !error.detail.contains("bad\u{7}"), "{error}");
        }
    }
    let mut without = item::write(&full());
    without.remove(attribute::SEALED_SECRET);
    assert_eq!(item::read(&without).unwrap_err().attribute, attribute::SEALED_SECRET);
    let mut with_both = item::write(&full());
    with_both.extend([(attribute::ROLE_ARN.to_owned(), text("arn:aws:iam::222222222222:role/export"))]);
    assert!(item::read(&with_both).is_err());
    let mut role_on_server = item::write(&sparse());
    role_on_server.extend([(attribute::ENDPOINT_URL.to_owned(), text("https://s3.example.com"))]);
    assert_eq!(item::read(&role_on_server).unwrap_err().attribute, attribute::ENDPOINT_URL);
    assert!(item::read(&Item::new()).is_err());
}

#[tokio::test]
async fn creation_is_one_transaction() {
    let requests = Requests::<TransactWriteItemsInput>::new();
    let rule = transactions_to(&requests);
    let editor = editor(&[&rule]);
    let idempotency_key = IdempotencyKey::parse("the-key").unwrap();
    let request = IdempotentRequest { key: &idempotency_key, content_hash: [0xab; 32] };
    assert_eq!(editor.create(&full(), Some(request), &author(), stamp()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(editor.create(&full(), None, &author(), stamp()).await.unwrap(), CreateOutcome::Created);

    let [with_key, without_key] = requests.all().try_into().unwrap();
    assert_eq!(without_key.transact_items().len(), 3);
    let [configuration, usage, event, record] = with_key.transact_items() else { panic!("{with_key:?}") };
    let put = configuration.put().unwrap();
    let mut new = item::write(&full());
    new.insert("noticed".to_owned(), text("{}"));
    new.insert("secretStoredAt".to_owned(), text(full().created_at));
    assert_eq!(put.item(), &new);
    assert_eq!(put.condition_expression(), Some("attribute_not_exists(#id)"));
    let update = usage.update().unwrap();
    assert_eq!(update.key()[attribute::ID], text("usage"));
    assert_eq!(
        update.condition_expression(),
        Some("attribute_not_exists(#configurations) OR #configurations < :limit")
    );
    assert_eq!(update.expression_attribute_values().unwrap()[":limit"], number(100));
    assert_eq!(event_of(event)["action"], "CREATE");
    insta::assert_snapshot!(lines(record.put().unwrap().item()), @r#"
    configurationId = S("0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b")
    contentHash = S("abababababababababababababababababababababababababababababababab")
    expiresAt = N("1795305600")
    id = S("idempotency#ad44dc8e51cfbfa55e81ddbb626b466241069045066846e7e4cd096131505290")
    tenantId = S("acme")
    "#);
}

#[tokio::test]
async fn a_creation_that_is_refused_says_why() {
    const KEY_USED: &[&str] = &["None", "ConditionalCheckFailed", "None", "ConditionalCheckFailed"];

    let idempotency_key = IdempotencyKey::parse("the-key").unwrap();
    let ours = IdempotentRequest { key: &idempotency_key, content_hash: [1; 32] };
    let record =
        mock!(Client::get_item).match_requests(|request| request.consistent_read() == Some(true)).then_output(|| {
            let record = Item::from([
                ("configurationId".to_owned(), text(ID)),
                ("contentHash".to_owned(), text(Hex32([1; 32]))),
            ]);
            GetItemOutput::builder().set_item(Some(record)).build()
        });

    let other = IdempotentRequest { content_hash: [2; 32], ..ours };
    let cases: [(&[&str], _, _); 5] = [
        // Even if the limit is reached as well.
        (KEY_USED, Some(ours), Ok(CreateOutcome::Repeated(key().configuration_id))),
        (KEY_USED, Some(other), Ok(CreateOutcome::KeyReused)),
        (&["None", "ConditionalCheckFailed", "None", "None"], Some(ours), Ok(CreateOutcome::LimitExceeded)),
        // The ID is taken.
        (&["ConditionalCheckFailed", "None", "None"], None, Err(ErrorKind::Internal)),
        (&["None", "ValidationError"], None, Err(ErrorKind::Internal)),
    ];
    for (codes, request, expected) in cases {
        let editor = editor(&[&transactions(codes), &record]);
        let outcome = editor.create(&full(), request, &author(), stamp()).await;
        assert_eq!(outcome.map_err(|error| error.kind), expected, "{codes:?}");
    }
}

#[tokio::test]
async fn transactions_that_meet_are_tried_again_for_a_while() {
    let rule = mock!(Client::transact_write_items)
        .sequence()
        .error(|| cancelled(&["None", "TransactionConflict"]))
        .output(|| TransactWriteItemsOutput::builder().build())
        .build();
    assert_eq!(editor(&[&rule]).create(&full(), None, &author(), stamp()).await.unwrap(), CreateOutcome::Created);
    assert_eq!(rule.num_calls(), 2);

    let rule = transactions(&["TransactionConflict", "None"]);
    assert_eq!(
        editor(&[&rule]).create(&full(), None, &author(), stamp()).await.unwrap_err().kind,
        ErrorKind::Transient
    );
    assert_eq!(rule.num_calls(), 4);
}

#[tokio::test]
async fn deletion_counts_off_what_was_there() {
    let requests = Requests::<TransactWriteItemsInput>::new();
    let rule = transactions_to(&requests);
    let rules = [&rule, &no_usage(), &others(&[])];
    assert_eq!(editor(&rules).delete(&full(), &author(), stamp()).await.unwrap(), EditOutcome::Done);
    let [request] = requests.all().try_into().unwrap();
    let [delete, usage, tombstone, notice, event] = request.transact_items() else { panic!("{request:?}") };
    let delete = delete.delete().unwrap();
    assert_eq!(delete.key(), &item::key(&key()));
    assert_eq!(delete.condition_expression(), Some("#version = :read"));
    assert_eq!(delete.expression_attribute_values().unwrap()[":read"], number(7));
    let event = event_of(event);
    assert_eq!((&event["action"], &event["auditPayload"]["after"]), (&"DELETE".into(), &serde_json::Value::Null));
    let usage = usage.update().unwrap();
    assert_eq!(usage.condition_expression(), Some("attribute_not_exists(#stops)"));
    assert_eq!(usage.update_expression(), "ADD #configurations :configurations, #stops :stops");
    assert_eq!(usage.expression_attribute_values().unwrap()[":configurations"], number(-1));
    let id = key().configuration_id;
    let expected = Item::from([
        ("tenantId".to_owned(), text("acme")),
        ("id".to_owned(), text(format!("tombstone#2026-11-23T00:00:00.000Z#{id}"))),
        ("schedulePartition".to_owned(), text(format!("DELETED#{}", id.as_bytes()[15] % SCHEDULE_SHARDS))),
    ]);
    assert_eq!(tombstone.put().unwrap().item(), &expected);
    assert!(**expected["id"].as_s().unwrap() > *BEHIND_IDS, "a list would have it");

    let notice = notice.put().unwrap().item();
    assert_eq!((&notice["kind"], &notice["isLastExport"]), (&text("EXPORT_DELETED"), &AttributeValue::Bool(true)));
    assert!(notice["receivers"].as_s().unwrap().contains("https://hooks.example.com/"), "{notice:?}");

    let gone = transactions(&["ConditionalCheckFailed", "None", "None", "None", "None"]);
    let answer = editor(&[&gone, &no_usage(), &others(&[])]).delete(&full(), &author(), stamp()).await;
    assert_eq!(answer.unwrap(), EditOutcome::ChangedSince);
}

#[tokio::test]
async fn a_list_reads_all_pages_of_configurations_and_nothing_else() {
    let rule = mock!(Client::query)
        .match_requests(|request| {
            request.consistent_read() == Some(true)
                && request.key_condition_expression() == Some("#tenantId = :tenant AND #id < :behindIds")
        })
        .then_compute_output(|request| {
            let is_first = request.exclusive_start_key().is_none();
            QueryOutput::builder()
                .items(item::write(&if is_first { full() } else { sparse() }))
                .set_last_evaluated_key(is_first.then(|| item::key(&key())))
                .build()
        });
    let tenant = key().tenant_id;
    assert_eq!(table(&[&rule]).list(&tenant).await.unwrap(), [full(), sparse()]);
    for behind in [USAGE, IDEMPOTENCY_PREFIX, UNEXPORTED] {
        assert!(*behind > *BEHIND_IDS && *"ffffffff" < *BEHIND_IDS);
    }

    let endless = mock!(Client::query)
        .then_output(|| QueryOutput::builder().set_last_evaluated_key(Some(item::key(&key()))).build());
    assert_eq!(table(&[&endless]).list(&tenant).await.unwrap_err().kind, ErrorKind::Internal);
    assert_eq!(endless.num_calls(), MAX_LIST_PAGES);
}

fn updates(requests: &Requests<UpdateItemInput>, output: Item) -> Rule {
    let requests = requests.clone();
    mock!(Client::update_item).then_compute_output(move |request| {
        requests.note(request);
        UpdateItemOutput::builder().set_attributes(Some(output.clone())).build()
    })
}

fn stale() -> Rule {
    mock!(Client::update_item).then_error(|| {
        UpdateItemError::ConditionalCheckFailedException(ConditionalCheckFailedException::builder().build())
    })
}

/// The expression of an update, and its event.
async fn updated(before: &ExportConfiguration, after: &ExportConfiguration) -> (String, serde_json::Value) {
    let requests = Requests::<TransactWriteItemsInput>::new();
    let rule = transactions_to(&requests);
    let answer = editor(&[&rule, &no_usage(), &others(&[])]).update(before, after, &author(), stamp()).await;
    assert_eq!(answer.unwrap(), EditOutcome::Done);
    let [request] = requests.all().try_into().unwrap();
    let [update, others @ .., event] = request.transact_items() else { panic!("{request:?}") };
    let is_told = before.enabled != after.enabled || before.destination != after.destination;
    let ends = before.enabled && is_told;
    assert_eq!(others.len(), usize::from(ends) + usize::from(is_told), "the count and the notice");
    let update = update.update().unwrap();
    assert_eq!((update.table_name(), update.key()), ("Configurations", &item::key(&key())));
    assert_eq!(update.condition_expression(), Some("#version = :read"));
    let values = update.expression_attribute_values().unwrap();
    assert_eq!((&values[":read"], &values[":version"]), (&number(7), &number(8)));
    assert_eq!((&values[":updatedBy"], &values[":updatedAt"]), (&text("user-3"), &text(stamp().at)));
    // The values are those of `after`, and each name stands for itself.
    let new = item::write(after);
    for (placeholder, value) in values {
        let name = placeholder.trim_start_matches(':');
        assert!(name == "read" || new.get(name) == Some(value), "{name}");
    }
    let names = update.expression_attribute_names().unwrap();
    assert!(names.iter().all(|(placeholder, name)| *placeholder == format!("#{name}")));
    (update.update_expression().to_owned(), event_of(event))
}

#[tokio::test]
async fn an_update_writes_what_differs_and_its_event() {
    let (before, off) = (full(), full().with_enabled(false, edit()));
    let (expression, event) = updated(&before, &off).await;
    assert_eq!(event["action"], "DISABLE");
    insta::assert_snapshot!(expression, @"SET #enabled = :enabled, #updatedAt = :updatedAt, #updatedBy = :updatedBy, #version = :version, #connectionVersion = if_not_exists(#connectionVersion, :read) REMOVE #schedulePartition");

    let disabled =
        ExportConfiguration { version: 7, updated_by: "user-2".to_owned(), updated_at: full().updated_at, ..off };
    let (expression, event) = updated(&disabled, &disabled.with_enabled(true, edit())).await;
    assert_eq!(event["action"], "ENABLE");
    insta::assert_snapshot!(expression, @"SET #enabled = :enabled, #schedulePartition = :schedulePartition, #updatedAt = :updatedAt, #updatedBy = :updatedBy, #version = :version, #connectionVersion = if_not_exists(#connectionVersion, :read)");

    let settings =
        PlainSettings { interval: ExportInterval::Every24Hours, description: None, ..PlainSettings::of(&full()) };
    let (expression, event) = updated(&before, &before.with_settings(settings.clone(), edit())).await;
    assert_eq!(event["action"], "UPDATE");
    insta::assert_snapshot!(expression, @"SET #interval = :interval, #schedulePartition = :schedulePartition, #updatedAt = :updatedAt, #updatedBy = :updatedBy, #version = :version, #connectionVersion = if_not_exists(#connectionVersion, :read) REMOVE #description");
    let (expression, _) = updated(&disabled, &disabled.with_settings(settings, edit())).await;
    assert!(!expression.contains("schedulePartition"), "a disabled one is in no partition: {expression}");
}

#[tokio::test]
async fn another_connection_takes_away_whatever_was_known_of_the_old() {
    let settings = PlainSettings::of(&full());
    let moved = |before: &ExportConfiguration, identity: NewIdentity| {
        let destination = Destination { bucket_path: None, ..full().destination };
        before.with_connection(settings.clone(), destination, identity, edit())
    };
    // Even if nothing was known at the read: a test may store its outcome meanwhile.
    for connection in [full().connection, Connection::Pending] {
        let before = ExportConfiguration { connection, user_arn: None, ..full() };
        let (expression, _) = updated(&before, &moved(&before, NewIdentity::Kept)).await;
        assert_eq!(
            expression,
            "SET #connectionStatus = :connectionStatus, #updatedAt = :updatedAt, #updatedBy = :updatedBy, \
             #version = :version, #connectionVersion = :version \
             REMOVE #bucketPath, #connectionCheckedAt, #connectionError, #principalArn"
        );
    }
    let role = NewIdentity::Role(RoleArn::parse("arn:aws:iam::222222222222:role/export").unwrap());
    let (expression, event) = updated(&full(), &moved(&full(), role)).await;
    insta::assert_snapshot!(expression, @"SET #connectionStatus = :connectionStatus, #roleArn = :roleArn, #updatedAt = :updatedAt, #updatedBy = :updatedBy, #version = :version, #connectionVersion = :version REMOVE #accessKeyId, #bucketPath, #connectionCheckedAt, #connectionError, #principalArn, #sealedSecret, #secretStoredAt");
    assert_eq!(event["auditPayload"]["after"]["type"], "S3_ASSUMED_ROLE");
    assert!(!event.to_string().contains("secret"), "{event}");
}

#[tokio::test]
async fn the_last_export_is_known_and_stopped_after_all_others() {
    for (enabled, is_last) in [(&[][..], true), (&[false, false], true), (&[false, true], false)] {
        let requests = Requests::<TransactWriteItemsInput>::new();
        let stopped = mock!(Client::get_item).then_output(|| {
            let usage = Item::from([("stops".to_owned(), number(4))]);
            GetItemOutput::builder().set_item(Some(usage)).build()
        });
        let rules = [&transactions_to(&requests), &stopped, &others(enabled)];
        let after = full().with_enabled(false, edit());
        assert_eq!(editor(&rules).update(&full(), &after, &author(), stamp()).await, Ok(EditOutcome::Done));
        let [request] = requests.all().try_into().unwrap();
        let [_, usage, notice, _] = request.transact_items() else { panic!("{request:?}") };
        let usage = usage.update().unwrap();
        assert_eq!(usage.condition_expression(), Some("#stops = :made"));
        assert_eq!(usage.expression_attribute_values().unwrap()[":made"], number(4));
        assert_eq!(notice.put().unwrap().item().contains_key("isLastExport"), is_last, "{enabled:?}");
    }
    // Another change ended an export between the reads and the write.
    let raced = transactions(&["None", "ConditionalCheckFailed", "None", "None"]);
    let after = full().with_enabled(false, edit());
    let answer = editor(&[&raced, &no_usage(), &others(&[])]).update(&full(), &after, &author(), stamp()).await;
    assert_eq!(answer, Ok(EditOutcome::ChangedSince));
}

#[tokio::test]
async fn a_change_of_what_was_changed_since_is_no_change() {
    let stale = transactions(&["ConditionalCheckFailed", "None", "None", "None"]);
    let after = full().with_enabled(false, edit());
    let answer = editor(&[&stale, &no_usage(), &others(&[])]).update(&full(), &after, &author(), stamp()).await;
    assert_eq!(answer.unwrap(), EditOutcome::ChangedSince);
    // Another block of the same ID says nothing of the configuration.
    let collided = transactions(&["None", "None", "None", "ConditionalCheckFailed"]);
    let answer = editor(&[&collided, &no_usage(), &others(&[])]).update(&full(), &after, &author(), stamp()).await;
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Transient);
}

/// As for ingest's writer: its test shows that the SDK's default client would follow the service.
#[tokio::test]
async fn the_service_s_clock_never_changes_the_time_of_a_signature() {
    let in_2100 = |status: u16| Answer {
        headers: "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
        ..answer(status, serde_json::json!({"__type": "InternalServerError"}))
    };
    let (shared, requests) = serve(vec![in_2100(500), in_2100(200), in_2100(200)]);
    let events = EventTable { name: "Events".to_owned(), retention: Duration::from_hours(24) };
    let editor = ConfigurationEditor::new(&Client::new(&shared), "Configurations".to_owned(), events);
    for _ in 0..2 {
        let stamp = Stamp { at: now(), ..stamp() };
        let disabled = ExportConfiguration { enabled: false, ..full() };
        assert_eq!(editor.delete(&disabled, &author(), stamp).await.unwrap(), EditOutcome::Done);
    }
    let signed: Vec<Timestamp> = requests.try_iter().map(|request| request.signed_at).collect();
    let latest = now();
    assert!(signed.len() == 3 && signed.iter().all(|signed_at| *signed_at <= latest), "{signed:?}");
}

#[tokio::test]
async fn an_event_is_not_signed_for_long_after_its_stamp() {
    let bound = INGEST_WRITE_BOUND;
    for (age, sent) in [(Duration::ZERO, 1), (bound.saturating_sub(Duration::from_secs(10)), 1), (bound, 0)] {
        let (shared, requests) = serve(vec![answer(200, serde_json::json!({}))]);
        let events = EventTable { name: "Events".to_owned(), retention: Duration::from_hours(24) };
        let client = Client::new(&shared);
        let editor = ConfigurationEditor::new(&client, "Configurations".to_owned(), events);
        let stamp = Stamp { at: now().saturating_sub(age), ..stamp() };
        let answer = editor.create(&full(), None, &author(), stamp).await;
        let operations: Vec<String> = requests.try_iter().map(|request| request.operation).collect();
        assert_eq!(operations.len(), sent, "{age:?}: {operations:?}");
        match answer {
            Ok(answer) => assert_eq!((answer, sent), (CreateOutcome::Created, 1)),
            Err(error) => assert_eq!((error.kind, sent), (ErrorKind::Transient, 0)),
        }
    }
}

#[tokio::test]
async fn an_outcome_is_stored_for_the_version_that_was_tested() {
    let requests = Requests::new();
    let rule = updates(&requests, Item::new());
    let table_of_updates = table(&[&rule]);
    let checked_at = at("2026-11-23T00:00:00Z");
    let outcomes = [full().connection, Connection::Success { checked_at }, Connection::Pending];
    for outcome in &outcomes {
        table_of_updates.store_connection(&key(), 7, outcome, None).await.unwrap();
    }
    let user = full().user_arn;
    table_of_updates.store_connection(&key(), 7, &outcomes[1], user.as_ref()).await.unwrap();
    let expressions: Vec<String> = requests
        .all()
        .iter()
        .map(|request| {
            format!("{} IF {}", request.update_expression().unwrap(), request.condition_expression().unwrap())
        })
        .collect();
    insta::assert_snapshot!(expressions.join("\n"), @r"
    SET #connectionStatus = :connectionStatus, #connectionCheckedAt = :connectionCheckedAt, #connectionError = :connectionError IF (#version = :version OR #connectionVersion <= :version) AND (attribute_not_exists(#connectionCheckedAt) OR #connectionCheckedAt <= :connectionCheckedAt)
    SET #connectionStatus = :connectionStatus, #connectionCheckedAt = :connectionCheckedAt REMOVE #connectionError IF (#version = :version OR #connectionVersion <= :version) AND (attribute_not_exists(#connectionCheckedAt) OR #connectionCheckedAt <= :connectionCheckedAt)
    SET #connectionStatus = :connectionStatus REMOVE #connectionCheckedAt, #connectionError IF (#version = :version OR #connectionVersion <= :version)
    SET #connectionStatus = :connectionStatus, #connectionCheckedAt = :connectionCheckedAt, #principalArn = :principalArn REMOVE #connectionError IF (#version = :version OR #connectionVersion <= :version) AND (attribute_not_exists(#connectionCheckedAt) OR #connectionCheckedAt <= :connectionCheckedAt)
    ");

    table(&[&stale()]).store_connection(&key(), 7, &full().connection, None).await.unwrap();
}

fn progress() -> ConnectionTestProgress {
    let mut progress = ConnectionTestProgress::started(&full(), at("2026-11-22T00:00:00Z"));
    progress.reach(TestStep::Connected);
    progress
}

#[tokio::test]
async fn progress_is_stored_with_its_configuration_unless_that_or_newer_progress_is_there() {
    let requests = Requests::new();
    table(&[&updates(&requests, Item::new())]).store_progress(&key(), &progress()).await.unwrap();
    let request = requests.all().remove(0);
    assert_eq!(request.key().unwrap(), &item::key(&key()));
    let (changes, condition) = (request.update_expression().unwrap(), request.condition_expression().unwrap());
    assert_eq!(
        changes,
        "SET #connectionTest = :connectionTest, #testStartedAt = :testStartedAt, #testRevision = :testRevision"
    );
    assert_eq!(
        condition,
        "attribute_exists(#id) AND (attribute_not_exists(#testStartedAt) OR #testStartedAt < :testStartedAt OR \
         (#testStartedAt = :testStartedAt AND #testRevision < :testRevision))"
    );
    let values = request.expression_attribute_values().unwrap();
    assert_eq!(values[":testStartedAt"], text("2026-11-22T00:00:00.000Z"));
    assert_eq!(values[":testRevision"], number(2));

    // A deleted configuration, or a later state.
    table(&[&stale()]).store_progress(&key(), &progress()).await.unwrap();
}

/// A missing one would be refused in AWS, and by no emulator.
#[tokio::test]
async fn the_template_permits_every_attribute_that_a_test_writes_or_compares() {
    let template = include_str!("../../../../template.yaml");
    let (_, statement) = template.split_once("- Sid: StoreTests\n").unwrap();
    let (_, list) = statement.split_once("dynamodb:Attributes:\n").unwrap();
    let (list, _) = list.split_once("StringEqualsIfExists").unwrap();
    let permitted: BTreeSet<String> =
        list.lines().filter_map(|line| line.trim().strip_prefix("- ")).map(str::to_owned).collect();

    let requests = Requests::new();
    let rule = updates(&requests, Item::new());
    let table = table(&[&rule]);
    let user = full().user_arn;
    let success = Connection::Success { checked_at: at("2026-11-22T00:00:01Z") };
    for outcome in [&full().connection, &success] {
        table.store_connection(&key(), 7, outcome, user.as_ref()).await.unwrap();
    }
    table.store_progress(&key(), &progress()).await.unwrap();
    let named: BTreeSet<String> = requests
        .all()
        .iter()
        .flat_map(|request| {
            let names = request.expression_attribute_names().unwrap().values();
            names.chain(request.key().unwrap().keys()).cloned().collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(named, permitted);
}

#[tokio::test]
async fn progress_is_read_with_its_configuration_and_dropped_if_it_has_another_form() {
    let load = async |stored: Option<AttributeValue>| {
        let found = stored.into_iter().map(|value| (attribute::CONNECTION_TEST, value));
        let found = extended(item::write(&full()), found);
        let rule = mock!(Client::get_item)
            .match_requests(|request| request.consistent_read() == Some(true))
            .then_output(move || GetItemOutput::builder().set_item(Some(found.clone())).build());
        table(&[&rule]).load_with_progress(&key()).await.unwrap().unwrap()
    };
    let json = text(serde_json::to_string(&progress()).unwrap());
    assert_eq!(load(Some(json)).await, (full(), Some(progress())));
    assert_eq!(load(None).await, (full(), None));
    for another in [text("{}"), text(r#"{"checks":["NEW_CHECK"]}"#), number(1)] {
        assert_eq!(load(Some(another)).await, (full(), None));
    }
    let nothing = mock!(Client::get_item).then_output(|| GetItemOutput::builder().build());
    assert_eq!(table(&[&nothing]).load_with_progress(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn every_enabled_configuration_is_in_one_shard_of_the_index() {
    let rule = mock!(Client::query)
        .match_requests(|request| {
            request.index_name() == Some("enabledByInterval")
                && request.limit() == Some(INDEX_PAGE_SIZE)
                && request.expression_attribute_values().unwrap()[":schedule"] == text("EVERY_2_HOURS#3")
        })
        .then_compute_output(|request| {
            let is_first = request.exclusive_start_key().is_none();
            let keys = item::key(&key());
            let page = QueryOutput::builder().items(keys.clone());
            page.set_last_evaluated_key(is_first.then_some(keys)).build()
        });
    let table = table(&[&rule]);
    assert_eq!(table.shards(), 8);
    let (keys, next) = table.page(ExportInterval::Every2Hours, 3, None).await.unwrap();
    assert_eq!(keys, [key()]);
    let (keys, next) = table.page(ExportInterval::Every2Hours, 3, next).await.unwrap();
    assert_eq!(keys, [key()]);
    assert!(next.is_none());

    for last in 0..=u8::MAX {
        let mut bytes = [0; 16];
        bytes[15] = last;
        let id = ConfigurationId::from_bytes(bytes);
        let partition = item::schedule_partition(ExportInterval::Every24Hours, id);
        let mut shards = (0..SCHEDULE_SHARDS).map(|shard| item::schedule_shard(ExportInterval::Every24Hours, shard));
        assert!(shards.any(|shard| shard == partition));
    }
}

/// An interpreter for the expressions of a run's report, so that the test sees its effect.
struct Expressions<'a> {
    request: &'a UpdateItemInput,
    item: &'a Item,
}

impl Expressions<'_> {
    fn name(&self, placeholder: &str) -> String {
        self.request.expression_attribute_names().unwrap()[placeholder].clone()
    }

    fn operand(&self, token: &str) -> Option<AttributeValue> {
        if token.starts_with('#') {
            self.item.get(&self.name(token)).cloned()
        } else {
            Some(self.request.expression_attribute_values().unwrap()[token].clone())
        }
    }

    fn holds(&self) -> bool {
        let spaced = self.request.condition_expression().unwrap().replace('(', " ( ").replace(')', " ) ");
        let mut tokens = spaced.split_whitespace();
        let holds = self.any(&mut tokens);
        assert_eq!(tokens.next(), None);
        holds
    }

    fn any<'t>(&self, tokens: &mut (impl Iterator<Item = &'t str> + Clone)) -> bool {
        let mut holds = self.all(tokens);
        while tokens.clone().next() == Some("OR") {
            tokens.next();
            holds |= self.all(tokens);
        }
        holds
    }

    fn all<'t>(&self, tokens: &mut (impl Iterator<Item = &'t str> + Clone)) -> bool {
        let mut holds = self.one(tokens);
        while tokens.clone().next() == Some("AND") {
            tokens.next();
            holds &= self.one(tokens);
        }
        holds
    }

    fn one<'t>(&self, tokens: &mut (impl Iterator<Item = &'t str> + Clone)) -> bool {
        let mut next = || tokens.next().unwrap();
        match next() {
            function @ ("attribute_exists" | "attribute_not_exists") => {
                let ("(", name, ")") = (next(), next(), next()) else { panic!("{function}") };
                self.operand(name).is_some() == (function == "attribute_exists")
            }
            "(" => {
                let holds = self.any(tokens);
                assert_eq!(tokens.next(), Some(")"));
                holds
            }
            left => {
                let (operator, right) = (next(), next());
                let order = match (self.operand(left), self.operand(right)) {
                    (Some(AttributeValue::S(left)), Some(AttributeValue::S(right))) => left.cmp(&right),
                    (Some(AttributeValue::N(left)), Some(AttributeValue::N(right))) => {
                        left.parse::<u64>().unwrap().cmp(&right.parse().unwrap())
                    }
                    // An absent attribute is neither less nor equal.
                    _ => return false,
                };
                match operator {
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    "=" => order.is_eq(),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn updated(&self) -> Item {
        let count = |value: AttributeValue| value.as_n().unwrap().parse::<u32>().unwrap();
        let mut item = self.item.clone();
        let expression = self.request.update_expression().unwrap();
        if let Some(names) = expression.strip_prefix("REMOVE ") {
            item.retain(|name, _| names.split(", ").all(|removed| self.name(removed) != *name));
            return item;
        }
        for assignment in expression.strip_prefix("SET ").unwrap().split(", #") {
            let (name, value) = assignment.trim_start_matches('#').split_once(" = ").unwrap();
            let value = match value.strip_prefix("if_not_exists(").and_then(|rest| rest.split_once(") + ")) {
                Some((alternatives, step)) => {
                    let (attribute, default) = alternatives.split_once(", ").unwrap();
                    let start = self.operand(attribute).or_else(|| self.operand(default)).unwrap();
                    number(count(start) + count(self.operand(step).unwrap()))
                }
                None => self.operand(value).unwrap(),
            };
            item.insert(self.name(&format!("#{name}")), value);
        }
        item
    }
}

fn stored(item: &Arc<Mutex<Item>>) -> Rule {
    let item = Arc::clone(item);
    mock!(Client::update_item).then_compute_response(move |request| {
        let mut item = item.lock().unwrap();
        let expressions = Expressions { request, item: &item };
        if expressions.holds() {
            *item = expressions.updated();
            MockResponse::Output(UpdateItemOutput::builder().build())
        } else {
            let is_asked_for = request.return_values_on_condition_check_failure()
                == Some(&ReturnValuesOnConditionCheckFailure::AllOld);
            let found = Some(item.clone()).filter(|item| is_asked_for && !item.is_empty());
            MockResponse::Error(UpdateItemError::ConditionalCheckFailedException(
                ConditionalCheckFailedException::builder().set_item(found).build(),
            ))
        }
    })
}

/// Returns a configuration's item after reports of runs that ended at a minute, with an export through an hour.
async fn after_reports(start: Item, reports: &[(u8, u8, bool)]) -> Item {
    let item = Arc::new(Mutex::new(start));
    let rule = stored(&item);
    let table = table(&[&rule]);
    for (hour, minute, succeeded) in reports.iter().copied() {
        let report = RunReport {
            exported_through: Some(at_hour(hour)),
            ended_at: at_minute(minute),
            has_exported: succeeded,
            has_failed: !succeeded,
        };
        table.store_run(&key(), &report).await.unwrap();
    }
    let item = item.lock().unwrap();
    item.clone()
}

async fn progress_after(reports: &[(u8, u8, bool)]) -> (Option<Timestamp>, Option<Timestamp>, u32) {
    let progress = item::read(&after_reports(item::write(&sparse()), reports).await).unwrap().progress;
    (progress.exported_through, progress.last_export_at, progress.consecutive_failures)
}

fn at_hour(hour: u8) -> Timestamp {
    at(&format!("2026-11-22T{hour:02}:00:00Z"))
}

fn at_minute(minute: u8) -> Timestamp {
    at(&format!("2026-11-23T00:{minute:02}:00Z"))
}

#[tokio::test]
async fn the_progress_of_exports_is_kept() {
    let cases: [(&[_], _); 6] = [
        (&[], (None, None, 0)),
        (&[(2, 10, true)], (Some(2), Some(10), 0)),
        (&[(2, 10, false)], (Some(2), None, 1)),
        // Failures that brought nothing into the bucket count like one that brought a part of it.
        (&[(2, 10, true), (2, 20, false), (2, 30, false), (4, 40, false)], (Some(4), Some(10), 3)),
        (&[(2, 20, false), (2, 30, false), (4, 40, true)], (Some(4), Some(40), 0)),
        (&[(2, 20, false), (4, 40, true), (4, 50, false)], (Some(4), Some(40), 1)),
    ];
    for (reports, (hour, minute, failures)) in cases {
        assert_eq!(progress_after(reports).await, (hour.map(at_hour), minute.map(at_minute), failures), "{reports:?}");
    }
}

#[tokio::test]
async fn a_run_that_finished_no_window_is_no_export() {
    let item = Arc::new(Mutex::new(item::write(&sparse())));
    let rule = stored(&item);
    let table = table(&[&rule]);
    let progress = || item::read(&item.lock().unwrap()).unwrap().progress;
    let seen = || (progress().exported_through, progress().last_export_at, progress().consecutive_failures);
    let two = Some(at_hour(2));
    for (minute, exported_through, has_exported, has_failed, expected) in [
        // The first boundary after the configuration was made, at which nothing of it was due.
        (10, None, false, false, (None, None, 0)),
        (20, None, false, true, (None, None, 1)),
        (20, None, false, true, (None, None, 1)),
        (15, None, false, false, (None, None, 1)),
        (25, None, false, false, (None, None, 0)),
        (30, two, true, false, (two, Some(at_minute(30)), 0)),
        (40, two, false, false, (two, Some(at_minute(30)), 0)),
        (50, two, false, true, (two, Some(at_minute(30)), 1)),
        (45, two, false, false, (two, Some(at_minute(30)), 1)),
        (55, two, false, false, (two, Some(at_minute(30)), 0)),
        // It finished a window, and failed at the next.
        (57, Some(at_hour(4)), true, true, (Some(at_hour(4)), Some(at_minute(57)), 1)),
    ] {
        let report = RunReport { exported_through, ended_at: at_minute(minute), has_exported, has_failed };
        table.store_run(&key(), &report).await.unwrap();
        assert_eq!(seen(), expected, "{minute}");
    }
}

#[tokio::test]
async fn a_report_that_comes_late_or_twice_changes_nothing() {
    let cases: [(&[_], &[_], _); 2] = [
        (
            &[(4, 40, true)],
            &[(2, 10, true), (2, 10, false), (2, 50, true), (4, 30, false), (4, 40, true)],
            (Some(at_hour(4)), Some(at_minute(40)), 0),
        ),
        (
            &[(2, 10, true), (4, 40, false)],
            &[(4, 40, false), (4, 30, true), (4, 20, false), (2, 50, true)],
            (Some(at_hour(4)), Some(at_minute(10)), 1),
        ),
    ];
    for (reports, lates, expected) in cases {
        for late in lates {
            assert_eq!(progress_after(&[reports, &[*late]].concat()).await, expected, "{late:?}");
        }
    }
    // Clocks differ: how far the export got comes first.
    assert_eq!(progress_after(&[(2, 10, false), (4, 9, true)]).await, (Some(at_hour(4)), Some(at_minute(9)), 0));
}

#[tokio::test]
async fn a_report_changes_nothing_else_and_brings_nothing_back() {
    let report = [(23, 10, true), (23, 20, false)];
    let before = full();
    let after = item::read(&after_reports(item::write(&before), &report).await).unwrap();
    assert_eq!(ExportConfiguration { progress: before.progress, ..after }, before);
    assert_eq!(after_reports(Item::new(), &report).await, Item::new(), "it was deleted");
}

/// The table over one item, and the item.
fn over(start: Item) -> (ConfigurationTable, Arc<Mutex<Item>>) {
    let item = Arc::new(Mutex::new(start));
    (table(&[&stored(&item)]), item)
}

fn requested(item: &Arc<Mutex<Item>>) -> (Option<Timestamp>, Option<Timestamp>) {
    let configuration = item::read(&item.lock().unwrap()).unwrap();
    (configuration.requested_through, configuration.requested_until)
}

#[tokio::test]
async fn one_of_several_requests_is_queued_and_the_others_raise_it() {
    let (table, item) = over(item::write(&full()));
    let request = async |hour, minute| {
        table.request_run(&key(), at_hour(hour), at_minute(minute), u128::from(minute)).await.unwrap()
    };
    for ((hour, minute), outcome, through, until) in [
        ((2, 0), RunRequestOutcome::Queue, 2, 15),
        // Raised, and no longer in the queue for it.
        ((4, 1), RunRequestOutcome::Pending, 4, 15),
        ((3, 2), RunRequestOutcome::Pending, 4, 15),
        // The message may be lost.
        ((4, 15), RunRequestOutcome::Queue, 4, 30),
    ] {
        assert_eq!(request(hour, minute).await, outcome, "{hour}:{minute}");
        assert_eq!(requested(&item), (Some(at_hour(through)), Some(at_minute(until))), "{hour}:{minute}");
    }
    let configuration = item::read(&item.lock().unwrap()).unwrap();
    assert!(configuration.has_pending_run(at_minute(29)) && !configuration.has_pending_run(at_minute(30)));
    assert_eq!(ExportConfiguration { requested_through: None, requested_until: None, ..configuration }, full());
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_still_to_be_queued() {
    let (table, item) = over(item::write(&full()));
    for (token, expected) in
        [(1, RunRequestOutcome::Queue), (1, RunRequestOutcome::Queue), (2, RunRequestOutcome::Pending)]
    {
        let outcome = table.request_run(&key(), at_hour(2), at_minute(0), token).await.unwrap();
        assert_eq!(outcome, expected, "the same write tried again, and another one of the same moment");
    }
    assert_eq!(requested(&item), (Some(at_hour(2)), Some(at_minute(15))));
}

#[tokio::test]
async fn a_run_clears_what_it_exported_and_leaves_what_was_requested_meanwhile() {
    let (table, item) = over(item::write(&full()));
    table.request_run(&key(), at_hour(2), at_minute(0), 0).await.unwrap();
    table.request_run(&key(), at_hour(4), at_minute(1), 1).await.unwrap();
    assert_eq!(table.end_run_request(&key(), at_hour(3)).await.unwrap(), Some(at_hour(4)));
    assert_eq!(requested(&item), (Some(at_hour(4)), Some(at_minute(15))));
    assert_eq!(table.end_run_request(&key(), at_hour(4)).await.unwrap(), None);
    assert_eq!(*item.lock().unwrap(), item::write(&full()));
    // Nothing is there to be cleared.
    assert_eq!(table.end_run_request(&key(), at_hour(4)).await.unwrap(), None);
    assert_eq!(table.request_run(&key(), at_hour(5), at_minute(2), 2).await.unwrap(), RunRequestOutcome::Queue);
}

#[tokio::test]
async fn no_run_is_requested_of_what_was_deleted() {
    let (table, item) = over(Item::new());
    let outcome = table.request_run(&key(), at_hour(2), at_minute(0), 0).await.unwrap();
    assert_eq!(outcome, RunRequestOutcome::NotFound);
    assert_eq!(table.end_run_request(&key(), at_hour(2)).await.unwrap(), None);
    assert_eq!(*item.lock().unwrap(), Item::new(), "nothing brings it back");
}

#[tokio::test]
async fn a_change_by_a_person_leaves_a_requested_run_alone() {
    let requests = Requests::<TransactWriteItemsInput>::new();
    let editor = editor(&[&transactions_to(&requests), &no_usage(), &others(&[])]);
    let before =
        ExportConfiguration { requested_through: Some(at_hour(2)), requested_until: Some(at_minute(15)), ..full() };
    assert_eq!(item::read(&item::write(&before)).unwrap(), before);
    editor.update(&before, &before.with_enabled(false, edit()), &author(), stamp()).await.unwrap();
    let [request] = requests.all().try_into().unwrap();
    let expression = request.transact_items()[0].update().unwrap().update_expression();
    assert!(!expression.contains("requested"), "{expression}");
    let event = event_of(request.transact_items().last().unwrap()).to_string();
    assert!(!event.contains("requested"), "{event}");
}

fn counted() -> CountedBacklog {
    let backlog = crate::events::backlog::Backlog { events: 1 << 40, oldest: Some(at_hour(1)), is_complete: false };
    let other = crate::events::backlog::Backlog { events: 0, oldest: None, is_complete: true };
    let by_configuration = [(key().configuration_id, backlog), (ConfigurationId::from_bytes([7; 16]), other)];
    CountedBacklog { counted_at: at_minute(0), by_configuration: by_configuration.into() }
}

#[tokio::test]
async fn a_count_is_kept_for_an_hour() {
    let item = Arc::new(Mutex::new(Item::new()));
    let (put, got) = (Arc::clone(&item), Arc::clone(&item));
    let put = mock!(Client::put_item).then_compute_output(move |request| {
        assert_eq!(
            request.condition_expression(),
            Some("attribute_not_exists(#countedAt) OR #countedAt <= :countedAt"),
            "a later count stays"
        );
        *put.lock().unwrap() = request.item().unwrap().clone();
        PutItemOutput::builder().build()
    });
    let get = mock!(Client::get_item)
        .match_requests(|request| {
            request.consistent_read() == Some(true) && request.key().unwrap()[attribute::ID] == text("unexported")
        })
        .then_compute_output(move |_| {
            let item = got.lock().unwrap().clone();
            GetItemOutput::builder().set_item(Some(item).filter(|item| !item.is_empty())).build()
        });
    let table = table(&[&put, &get]);
    let tenant = key().tenant_id;
    assert_eq!(table.load_backlog(&tenant, at_minute(0)).await.unwrap(), None);
    table.store_backlog(&tenant, &counted()).await.unwrap();
    assert_eq!(table.load_backlog(&tenant, at_minute(59)).await.unwrap(), Some(counted()));
    assert_eq!(table.load_backlog(&tenant, at("2026-11-23T01:00:00Z")).await.unwrap(), None, "not deleted yet");
    let expires_at = item.lock().unwrap()[attribute::EXPIRES_AT].clone();
    assert_eq!(expires_at, number(at("2026-11-23T01:00:00Z").as_seconds()));
    // The count is only a copy: the next one replaces a malformed one.
    item.lock().unwrap().insert(attribute::BACKLOGS.to_owned(), text("{"));
    assert_eq!(table.load_backlog(&tenant, at_minute(0)).await.unwrap(), None);
}

#[tokio::test]
async fn a_later_count_of_somebody_else_is_no_failure() {
    let refused = mock!(Client::put_item).then_error(|| {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
            ConditionalCheckFailedException::builder().build(),
        )
    });
    assert_eq!(table(&[&refused]).store_backlog(&key().tenant_id, &counted()).await, Ok(()));
}
