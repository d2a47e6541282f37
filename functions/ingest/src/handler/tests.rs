//! Recorded payloads through the whole function, with services in memory.

mod memory;

use std::{
    collections::BTreeSet,
    io::Write,
    num::NonZeroU8,
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};

use authentication::{Authenticator, Issuers};
use aws_adapters::events::writer::WriteError;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    block::INGEST_WRITE_BOUND,
    envelope::TenantPath,
    error_code::{ErrorCode, Place},
    event::{MAX_BODY_LENGTH, MAX_EVENT_LENGTH, MAX_EVENTS_PER_BODY},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use flate2::{Compression, write::GzEncoder};
use function_runtime::{
    client_version::MinimumClientVersion,
    environment::{DeploymentMode, Environment},
};
use host::Clock;
use lambda_runtime::Context;
use proptest::prelude::*;
use serde_json::{Value, json};

use self::memory::{MemoryQueue, MemoryWriter, TestHost};
use super::*;
use crate::{
    quota::{Quota, tests::MemoryCounts},
    source::{MessageForm, Source, TopicDelivery},
};

const PLAIN_ARRAY: &str = include_str!("../../../../tests/events/http-plain-array.json");
const BASE64_GZIP_LINES: &str = include_str!("../../../../tests/events/http-base64-gzip-lines.json");
const BASE64_UNPACKED_LINES: &str = include_str!("../../../../tests/events/http-base64-unpacked-lines.json");
/// As an HTTP API sends them: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
/// format 1.0, with names of headers in lower case.
const HTTP_API_ARRAY: &str = include_str!("../../../../tests/events/http-api-array.json");
const HTTP_API_GZIP_LINES: &str = include_str!("../../../../tests/events/http-api-gzip-lines.json");
const WITHOUT_PERMISSION: &str = include_str!("../../../../tests/events/http-without-permission.json");
const QUEUE_BATCH: &str = include_str!("../../../../tests/events/queue-batch.json");
const TOPIC_ENVELOPED: &str = include_str!("../../../../tests/events/queue-topic-enveloped.json");
const TOPIC_RAW: &str = include_str!("../../../../tests/events/queue-topic-raw.json");
const JWKS: &str = include_str!("../../../../tests/events/jwks.json");

/// A deadline that no test reaches.
const DEADLINE: Timestamp = Timestamp::MAX;

fn busy(detail: &str) -> WriteError {
    PortError::transient("write blocks", detail).into()
}

type TestIngest = Ingest<MemoryWriter, TestHost, MemoryQueue, MemoryCounts>;

fn ingest() -> TestIngest {
    ingest_with_quota(0)
}

fn ingest_with_quota(megabytes: u32) -> TestIngest {
    let mut environment = Environment::from_map([
        ("TOKEN_ISSUER", "https://issuer.example"),
        ("TOKEN_AUDIENCE", "audit-export"),
        ("TOKEN_DEVELOPMENT_JWKS", JWKS),
    ]);
    let settings = Issuers::from_environment(&mut environment, DeploymentMode::Development);
    let host = TestHost::default();
    Ingest {
        endpoint: Endpoint {
            authenticator: Authenticator::new(environment.finish(settings).unwrap()),
            minimum_client_version: MinimumClientVersion::parse("0.2.0").unwrap(),
            quota: Quota::new(MemoryCounts::default(), megabytes),
        },
        intake: Intake {
            writer: MemoryWriter::new(host.clone()),
            host,
            write_shards: NonZeroU8::new(4).unwrap(),
            packer: Mutex::default(),
        },
        sources: sources(MemoryQueue::default(), TopicDelivery::Enveloped),
    }
}

/// Returns the three queues; all but the first are named like those of the template.
fn sources(queue: MemoryQueue, delivery: TopicDelivery) -> Sources<MemoryQueue> {
    let path = TenantPath::parse("/detail/tenantId").unwrap();
    let service = |name: &str, form| Source::new(&format!("https://sqs/1/{name}"), form, MemoryQueue::default());
    Sources {
        senders: Source::new("https://sqs/1/audit-events", MessageForm::Plain, queue),
        services: [
            service("topic-events", MessageForm::Topic(delivery)),
            service("rule-events", MessageForm::Rule(path)),
        ],
    }
}

/// Returns the function's response to a payload, as JSON.
async fn invoke(ingest: &TestIngest, payload: &str, deadline: Timestamp) -> Value {
    serde_json::to_value(try_invoke(ingest, payload, deadline).await.unwrap()).unwrap()
}

async fn try_invoke(ingest: &TestIngest, payload: &str, deadline: Timestamp) -> Result<InvocationOutcome, Error> {
    let mut context = Context::default();
    context.deadline = deadline.as_millis();
    let payload = serde_json::from_str(payload).unwrap();
    ingest.handle(LambdaEvent { payload, context }).await
}

/// The queue of the senders, as in the recorded batch.
const SENDERS_ARN: &str = "arn:aws:sqs:eu-central-1:111111111111:audit-events";

/// Returns status and body of the response to a request.
async fn post(ingest: &TestIngest, payload: &str) -> (u64, Value) {
    let answer = invoke(ingest, payload, DEADLINE).await;
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert_eq!(answer["isBase64Encoded"], false);
    (answer["statusCode"].as_u64().unwrap(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
}

/// Returns the recorded request with another body and content type.
fn with_body(body: &[u8], content_type: &str) -> String {
    let mut payload: Value = serde_json::from_str(PLAIN_ARRAY).unwrap();
    payload["body"] = STANDARD.encode(body).into();
    payload["isBase64Encoded"] = true.into();
    payload["multiValueHeaders"]["Content-Type"] = json!([content_type]);
    payload.to_string()
}

fn with_header(payload: &str, name: &str, values: &Value) -> String {
    let mut payload: Value = serde_json::from_str(payload).unwrap();
    let headers = payload["multiValueHeaders"].as_object_mut().unwrap();
    if values.is_null() {
        headers.remove(name);
    } else {
        headers.insert(name.to_owned(), values.clone());
    }
    payload.to_string()
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

/// Returns all stored events of a tenant in the order of an export. Checks every block.
fn stored(ingest: &TestIngest, tenant: &str) -> Vec<Value> {
    let tenant = TenantId::parse(tenant).unwrap();
    let blocks = ingest.intake.writer.blocks.lock().unwrap();
    let mut events = Vec::new();
    for ((owner, _), (_, block)) in blocks.iter() {
        assert_eq!(block.check(owner), Ok(()));
        if *owner == tenant {
            let raw = block.inflate().unwrap();
            events.extend(std::str::from_utf8(&raw).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()));
        }
    }
    events
}

fn event(fields: &str) -> String {
    format!(r#"{{"id":"1","eventTimestamp":"2026-11-22T09:59:59Z"{fields}}}"#)
}

#[tokio::test]
async fn recorded_requests_are_accepted_in_every_form() {
    for (payload, count) in [
        (PLAIN_ARRAY, 3),
        (BASE64_GZIP_LINES, 5),
        (BASE64_UNPACKED_LINES, 5),
        (HTTP_API_ARRAY, 3),
        (HTTP_API_GZIP_LINES, 5),
    ] {
        let ingest = ingest();
        assert_eq!(post(&ingest, payload).await, (202, json!({"accepted": count})));
        let events = stored(&ingest, "acme");
        assert_eq!(events.len(), count);
        assert_eq!(events[0]["tenantId"], "acme");
        assert_eq!(events[0]["receivedTimestamp"], "2026-11-22T10:00:00.000Z");
        assert_eq!(events[0]["actor"]["name"], "Zoë Ångström");
    }
    let ingest = ingest();
    post(&ingest, PLAIN_ARRAY).await;
    let blocks = ingest.intake.writer.blocks.lock().unwrap();
    let raw = blocks.values().next().unwrap().1.inflate().unwrap();
    let text = String::from_utf8(raw).unwrap();
    assert!(text.contains("\"durationSeconds\":1.50,\"rows\":9007199254740993"), "numbers stay as they were sent");
}

#[tokio::test]
async fn permissions_are_checked_before_the_body_is_read() {
    let unreadable = with_body(&[0x1F, 0x8B, 0xFF], "nonsense");
    let other_scheme = json!(["Basic YTpi"]);
    let tampered = {
        let payload: Value = serde_json::from_str(PLAIN_ARRAY).unwrap();
        let token = payload["headers"]["Authorization"].as_str().unwrap().to_owned();
        json!([format!("{}A", &token[..token.len() - 1])])
    };
    let twice = {
        let payload: Value = serde_json::from_str(PLAIN_ARRAY).unwrap();
        json!([payload["headers"]["Authorization"], payload["headers"]["Authorization"]])
    };
    let ingest = ingest();
    for values in [Value::Null, other_scheme, tampered, twice] {
        let payload = with_header(&unreadable, "Authorization", &values);
        let answer = invoke(&ingest, &payload, DEADLINE).await;
        assert_eq!(answer["statusCode"], 401, "{values}");
        assert!(answer["headers"]["www-authenticate"].as_str().unwrap().starts_with("Bearer"), "{answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["errors"][0]["extensions"], json!({"code": "UNAUTHENTICATED"}));
    }
    let (status, body) = post(&ingest, WITHOUT_PERMISSION).await;
    assert_eq!((status, &body["errors"][0]["extensions"]["code"]), (403, &json!("FORBIDDEN")));
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_old_command_line_has_to_be_upgraded_once_it_is_known_who_asks() {
    let ingest = ingest();
    for (version, status) in [(json!(["0.2.0"]), 202), (json!(["0.1.9"]), 400), (json!(["new"]), 400)] {
        let payload = with_header(PLAIN_ARRAY, "Audit-Export-Version", &version);
        let (answered, body) = post(&ingest, &payload).await;
        assert_eq!(answered, status, "{version}");
        if answered == 400 {
            let expected = json!({"code": "UPGRADE_REQUIRED", "minimumVersion": "0.2.0"});
            assert_eq!(body["errors"][0]["extensions"], expected);
            let (answered, _) = post(&ingest, &with_header(&payload, "Authorization", &Value::Null)).await;
            assert_eq!(answered, 401);
        }
    }
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn bad_input_is_refused_with_code_and_event_and_nothing_is_stored() {
    let good = event("");
    let long = event(&format!(",\"a\":\"{}\"", "x".repeat(MAX_EVENT_LENGTH)));
    let many = format!("[{}]", vec![good.as_str(); MAX_EVENTS_PER_BODY + 1].join(","));
    let bomb = gzip(&vec![b' '; 2 * MAX_BODY_LENGTH]);
    let cut = gzip(good.as_bytes());
    let cases: Vec<(Vec<u8>, &str, u64, Value)> = vec![
        (vec![], "application/json", 400, json!({"code": "BODY_EMPTY"})),
        (b"[]".to_vec(), "application/json", 400, json!({"code": "BODY_EMPTY"})),
        (b"\n \n".to_vec(), "application/x-ndjson", 400, json!({"code": "BODY_EMPTY"})),
        (good.clone().into(), "application/json", 400, json!({"code": "BODY_NOT_AN_ARRAY"})),
        (
            format!("[{good},{{\"eventTimestamp\":\"2026-11-22T09:59:59Z\"}}]").into(),
            "application/json",
            400,
            json!({"code": "EVENT_ID_MISSING", "eventIndex": 1}),
        ),
        (
            format!("{good}\n\n{{\"id\":\"2\"}}\n").into(),
            "application/x-ndjson",
            400,
            json!({"code": "EVENT_TIMESTAMP_MISSING", "eventIndex": 1, "line": 3}),
        ),
        (
            format!("[{good},[]]").into(),
            "application/json",
            400,
            json!({"code": "EVENT_NOT_AN_OBJECT", "eventIndex": 1}),
        ),
        (
            format!("[{good},{}]", event(",\"a\":{\"twice\":1,\"tw\\u0069ce\":2}")).into(),
            "application/json",
            400,
            json!({"code": "EVENT_FIELD_DUPLICATED", "eventIndex": 1, "field": "twice"}),
        ),
        (
            event(&format!(",\"{0}\":1,\"{0}\":2", "é".repeat(65))).into(),
            "application/x-ndjson",
            400,
            json!({"code": "EVENT_FIELD_DUPLICATED", "eventIndex": 0, "line": 1, "field": "é".repeat(64)}),
        ),
        (
            event(",\"a\":\"\\ud800\"").into(),
            "application/x-ndjson",
            400,
            json!({"code": "EVENT_TEXT_INVALID", "eventIndex": 0, "line": 1}),
        ),
        (format!("[{good},").into(), "application/json", 400, json!({"code": "JSON_INVALID", "eventIndex": 1})),
        (vec![b'[', 0xFF, b']'], "application/json", 400, json!({"code": "JSON_INVALID"})),
        (
            format!("[{good},{long}]").into(),
            "application/json",
            413,
            json!({"code": "EVENT_TOO_LARGE", "eventIndex": 1}),
        ),
        (many.into(), "application/json", 413, json!({"code": "TOO_MANY_EVENTS"})),
        (vec![b' '; MAX_BODY_LENGTH + 1], "application/json", 413, json!({"code": "BODY_TOO_LARGE"})),
        (bomb, "application/json", 413, json!({"code": "BODY_TOO_LARGE"})),
        (cut[..cut.len() - 3].to_vec(), "application/json", 400, json!({"code": "GZIP_INVALID"})),
        (good.clone().into(), "text/plain", 415, json!({"code": "CONTENT_TYPE_UNSUPPORTED"})),
    ];
    let ingest = ingest();
    for (body, content_type, status, extensions) in cases {
        let (answered, answer) = post(&ingest, &with_body(&body, content_type)).await;
        assert_eq!((answered, &answer["errors"][0]["extensions"]), (status, &extensions));
        assert!(answer["errors"][0]["message"].as_str().unwrap().ends_with('.'), "{answer}");
    }
    let (status, answer) = post(&ingest, &with_header(PLAIN_ARRAY, "Idempotency-Key", &json!(["a b"]))).await;
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (400, &json!("IDEMPOTENCY_KEY_INVALID")));
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_compression_that_is_not_read_is_refused_on_both_paths() {
    let ingest = ingest();
    let logs = logs_request(PYTHON_SDK, "application/x-protobuf");
    for payload in [PLAIN_ARRAY, &logs] {
        let answer = invoke(&ingest, &with_header(payload, "Content-Encoding", &json!(["zstd"])), DEADLINE).await;
        assert_eq!((&answer["statusCode"], &answer["headers"]["accept-encoding"]), (&json!(415), &json!("gzip")));
        let body = answer["body"].as_str().unwrap();
        let is_base64 = answer["isBase64Encoded"].as_bool().unwrap();
        let body = if is_base64 { STANDARD.decode(body).unwrap() } else { body.as_bytes().to_vec() };
        assert!(String::from_utf8_lossy(&body).contains("CONTENT_ENCODING_UNSUPPORTED"), "{answer}");
        let unauthenticated = with_header(payload, "Authorization", &Value::Null);
        let answer =
            invoke(&ingest, &with_header(&unauthenticated, "Content-Encoding", &json!(["br"])), DEADLINE).await;
        assert_eq!(answer["statusCode"], 401);
    }
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn only_post_sends_events() {
    let answer = invoke(&ingest(), &PLAIN_ARRAY.replacen("\"POST\"", "\"PUT\"", 1), DEADLINE).await;
    assert_eq!((&answer["statusCode"], &answer["headers"]["allow"]), (&json!(405), &json!("POST")));
}

#[tokio::test]
async fn a_key_makes_a_request_safe_to_repeat() {
    let ingest = ingest();
    for _ in 0..2 {
        assert_eq!(post(&ingest, BASE64_GZIP_LINES).await, (202, json!({"accepted": 5})));
    }
    // The same events, without compression.
    let key = json!(["nightly-2026-11-22-0001"]);
    let unpacked = with_header(BASE64_UNPACKED_LINES, "Idempotency-Key", &key);
    assert_eq!(post(&ingest, &unpacked).await, (202, json!({"accepted": 5})));
    assert_eq!(stored(&ingest, "acme").len(), 5);

    let (status, answer) = post(&ingest, &with_header(PLAIN_ARRAY, "Idempotency-Key", &key)).await;
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (409, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(stored(&ingest, "acme").len(), 5);
}

#[tokio::test]
async fn a_write_that_took_too_long_is_no_success() {
    let ingest = ingest();
    let just_in_time = INGEST_WRITE_BOUND.checked_sub(Duration::from_millis(1)).unwrap();
    *ingest.intake.writer.delay.lock().unwrap() = just_in_time;
    assert_eq!(post(&ingest, PLAIN_ARRAY).await.0, 202);
    *ingest.intake.writer.delay.lock().unwrap() = INGEST_WRITE_BOUND;
    let answer = invoke(&ingest, PLAIN_ARRAY, DEADLINE).await;
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(503), &json!("1")));
    assert!(answer["body"].as_str().unwrap().contains("\"WRITE_TOO_SLOW\""));
    // The queue's messages come back.
    let answer = invoke(&ingest, QUEUE_BATCH, DEADLINE).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_failed_write_says_whose_turn_it_is_and_no_more() {
    for (error, status, code) in [
        (busy("hidden"), 503, "TRY_AGAIN"),
        (PortError::internal("write blocks", "hidden").into(), 500, "INTERNAL"),
        (WriteError::TooSlow, 503, "WRITE_TOO_SLOW"),
        (WriteError::TooLarge, 413, "BODY_TOO_LARGE"),
    ] {
        let ingest = ingest();
        ingest.intake.writer.failures.lock().unwrap().push(error);
        let (answered, answer) = post(&ingest, PLAIN_ARRAY).await;
        assert_eq!((answered, &answer["errors"][0]["extensions"]), (status, &json!({"code": code})));
        assert!(!answer.to_string().contains("hidden"));
    }
}

#[tokio::test]
async fn a_recorded_batch_stores_the_good_messages_and_names_the_bad() {
    let ingest = ingest();
    let answer = invoke(&ingest, QUEUE_BATCH, DEADLINE).await;
    let failed: BTreeSet<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap())
        .collect();
    let batch: Value = serde_json::from_str(QUEUE_BATCH).unwrap();
    let expected: BTreeSet<&str> =
        (4..10).map(|index| batch["Records"][index]["messageId"].as_str().unwrap()).collect();
    assert_eq!(failed, expected);

    let requests = |tenant: &str| -> Vec<String> {
        stored(&ingest, tenant).iter().map(|event| event["requestId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(requests("acme"), ["r-10", "r-11", "r-12", "r-15"]);
    assert_eq!(requests("globex"), ["r-13", "r-14"]);
    // One tenant's messages share a block.
    assert_eq!(ingest.intake.writer.blocks.lock().unwrap().len(), 2);
}

/// Returns the recorded batch after `receives` receives. Each receipt handle is the position of its message.
fn received(receives: u32) -> String {
    let mut batch: Value = serde_json::from_str(QUEUE_BATCH).unwrap();
    for (position, record) in batch["Records"].as_array_mut().unwrap().iter_mut().enumerate() {
        record["attributes"]["ApproximateReceiveCount"] = receives.to_string().into();
        record["receiptHandle"] = position.to_string().into();
    }
    batch.to_string()
}

#[tokio::test]
async fn a_refused_message_shows_again_at_once_and_one_that_was_put_off_waits() {
    for (receives, delays) in [(1, 90..=180), (2, 180..=360), (30, 900..=1_800)] {
        let ingest = ingest();
        ingest.intake.writer.failures.lock().unwrap().push(busy("down"));
        let answer = invoke(&ingest, &received(receives), DEADLINE).await;
        assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 9);
        let redelivered = ingest.sources.senders.queue.delays();
        assert_eq!(redelivered.len(), 9, "Lambda deletes the stored messages: {redelivered:?}");
        for position in 4..10 {
            assert_eq!(redelivered[&position.to_string()], 0);
        }
        let put_off: Vec<u64> = redelivered.into_values().filter(|delay| *delay > 0).collect();
        assert_eq!(put_off.len(), 3);
        assert!(put_off.iter().all(|delay| delays.contains(delay)), "{put_off:?} of {delays:?}");
    }
}

#[tokio::test]
async fn delays_are_sent_in_batches_and_one_that_fails_changes_no_answer() {
    let records: Vec<Value> = (0..25)
        .map(|number| {
            let id = number.to_string();
            json!({"messageId": id, "receiptHandle": id, "body": "bad", "eventSourceARN": SENDERS_ARN})
        })
        .collect();
    let queue = MemoryQueue { is_down: true, ..MemoryQueue::default() };
    let ingest = TestIngest { sources: sources(queue, TopicDelivery::Enveloped), ..ingest() };
    let answer = invoke(&ingest, &json!({ "Records": records }).to_string(), DEADLINE).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 25);
    let lengths: Vec<usize> = ingest.sources.senders.queue.batches.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [10, 10, 5]);
}

#[tokio::test]
async fn a_message_that_takes_too_much_room_alone_is_refused() {
    for (ids, delay) in [(vec!["a"], 0), (vec!["a", "b"], 90)] {
        let ingest = ingest();
        ingest.intake.writer.failures.lock().unwrap().push(WriteError::TooLarge);
        deliver(&ingest, &ids).await;
        assert_eq!(ingest.sources.senders.queue.delays()["a"], delay);
    }
}

fn message(id: &str) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": id,
        "body": event(&format!(r#","requestId":"{id}""#)),
        "messageAttributes": {"tenantId": {"stringValue": "acme", "dataType": "String"}},
        "eventSourceARN": SENDERS_ARN,
    })
}

async fn deliver(ingest: &TestIngest, ids: &[&str]) -> Value {
    let records: Vec<Value> = ids.iter().copied().map(message).collect();
    invoke(ingest, &json!({ "Records": records }).to_string(), DEADLINE).await
}

fn request_ids(ingest: &TestIngest) -> Vec<String> {
    let events = stored(ingest, "acme");
    events.iter().map(|event| event["requestId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_that_is_delivered_again_is_stored_once() {
    let ingest = ingest();
    let none_failed = json!({"batchItemFailures": []});
    assert_eq!(deliver(&ingest, &["a", "b", "c"]).await, none_failed);
    assert_eq!(deliver(&ingest, &["b"]).await, none_failed);
    ingest.intake.host.advance(Duration::from_secs(1));
    assert_eq!(deliver(&ingest, &["d", "a", "e", "c"]).await, none_failed, "among new ones");
    assert_eq!(request_ids(&ingest), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_message_that_was_stored_late_is_not_stored_again() {
    let ingest = ingest();
    *ingest.intake.writer.delay.lock().unwrap() = INGEST_WRITE_BOUND;
    assert_eq!(deliver(&ingest, &["a"]).await["batchItemFailures"].as_array().unwrap().len(), 1);
    *ingest.intake.writer.delay.lock().unwrap() = Duration::ZERO;
    assert_eq!(deliver(&ingest, &["a"]).await, json!({"batchItemFailures": []}));
    assert_eq!(request_ids(&ingest), ["a"]);
}

#[tokio::test]
async fn a_message_that_is_twice_in_a_batch_is_stored_once() {
    let ingest = ingest();
    assert_eq!(deliver(&ingest, &["a", "a", "b"]).await, json!({"batchItemFailures": []}));
    let stored: BTreeSet<String> = request_ids(&ingest).into_iter().collect();
    assert_eq!((request_ids(&ingest).len(), stored.len()), (2, 2));
}

/// The writer refuses more items than a transaction may have.
#[tokio::test]
async fn as_many_messages_as_lambda_brings_fit_into_transactions() {
    let ingest = ingest();
    let ids: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(deliver(&ingest, &ids).await, json!({"batchItemFailures": []}));
    assert_eq!((request_ids(&ingest).len(), ingest.intake.writer.writes.load(Ordering::Relaxed)), (100, 2));
}

#[tokio::test]
async fn no_message_is_changed_when_all_are_stored() {
    let ingest = ingest();
    let mut batch: Value = serde_json::from_str(QUEUE_BATCH).unwrap();
    batch["Records"].as_array_mut().unwrap().truncate(4);
    assert_eq!(invoke(&ingest, &batch.to_string(), DEADLINE).await, json!({"batchItemFailures": []}));
    assert!(ingest.sources.senders.queue.batches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tenant_over_its_quota_learns_when_the_next_minute_begins() {
    // The smallest quota: the size of the largest request.
    let ingest = ingest_with_quota(1);
    ingest.intake.host.advance(Duration::from_millis(18_500));
    let large = format!("[{}]", vec![event(&format!(",\"a\":\"{}\"", "x".repeat(200_000))); 9].join(","));
    let request = with_body(large.as_bytes(), "application/json");
    let statuses = [post(&ingest, &request).await.0, post(&ingest, &request).await.0];
    assert_eq!(statuses, [202, 202]);

    let answer = invoke(&ingest, &request, DEADLINE).await;
    assert_eq!((&answer["statusCode"], &answer["headers"]["retry-after"]), (&json!(429), &json!("42")));
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let extensions = &body["errors"][0]["extensions"];
    assert_eq!(*extensions, json!({"code": "TOO_MANY_REQUESTS", "retryAfterSeconds": 42}));
    assert_eq!(stored(&ingest, "acme").len(), 18, "nothing of it is stored");

    // The queue has no quota, and the next minute has a new one.
    assert_eq!(invoke(&ingest, QUEUE_BATCH, DEADLINE).await["batchItemFailures"].as_array().unwrap().len(), 6);
    ingest.intake.host.advance(Duration::from_secs(42));
    assert_eq!(post(&ingest, &request).await.0, 202);
}

#[tokio::test]
async fn a_failed_write_returns_only_the_messages_it_held() {
    let ingest = ingest();
    ingest.intake.writer.failures.lock().unwrap().push(busy("down"));
    let answer = invoke(&ingest, QUEUE_BATCH, DEADLINE).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 6 + 3, "those of the tenant written first");
    assert!(stored(&ingest, "acme").is_empty());
    assert_eq!(stored(&ingest, "globex").len(), 2);
}

#[tokio::test]
async fn no_write_is_begun_that_could_outlive_the_invocation() {
    let ingest = ingest();
    let deadline = ingest.intake.host.now().saturating_add(Duration::from_secs(10));
    let answer = invoke(&ingest, QUEUE_BATCH, deadline).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 10);
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn more_than_a_transaction_holds_becomes_several_writes() {
    let ingest = ingest();
    let body = event(&format!(",\"a\":\"{}\"", "x".repeat(250_000)));
    let records: Vec<Value> = (0..20)
        .map(|number| {
            json!({
                "messageId": number.to_string(),
                "body": body,
                "messageAttributes": {"tenantId": {"stringValue": "acme", "dataType": "String"}},
                "eventSourceARN": SENDERS_ARN,
            })
        })
        .collect();
    let answer = invoke(&ingest, &json!({ "Records": records }).to_string(), DEADLINE).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 2);
    assert_eq!(stored(&ingest, "acme").len(), 20);
}

#[tokio::test]
async fn writes_are_spread_over_the_shards_that_are_written_to() {
    let ingest = ingest();
    for _ in 0..40 {
        ingest.intake.host.advance(Duration::from_millis(1));
        assert_eq!(post(&ingest, PLAIN_ARRAY).await.0, 202);
    }
    let blocks = ingest.intake.writer.blocks.lock().unwrap();
    let shards: BTreeSet<u8> = blocks.values().map(|(shard, _)| shard.number()).collect();
    assert_eq!(shards, BTreeSet::from([0, 1, 2, 3]));
}

/// Returns a message of a queue, in each of the forms that messages have.
fn forms(id: &str, queue: &str) -> [Value; 3] {
    let event = |form: &str| event(&format!(",\"requestId\":\"{queue} {form}\""));
    let attributes = json!({"tenantId": {"Type": "String", "Value": "acme"}});
    let notification = json!({"Type": "Notification", "Message": event("topic"), "MessageAttributes": attributes});
    let detail: Value = serde_json::from_str(&event("rule").replacen('{', "{\"tenantId\":\"acme\",", 1)).unwrap();
    let bus = json!({"id": "e", "time": "2026-11-22T09:59:59Z", "detail-type": "A", "detail": detail});
    let plain = json!({"tenantId": {"stringValue": "acme", "dataType": "String"}});
    let bodies = [(event("plain"), plain), (notification.to_string(), json!({})), (bus.to_string(), json!({}))];
    let mut number = 0;
    bodies.map(|(body, attributes)| {
        number += 1;
        json!({
            "messageId": format!("{id}-{number}"),
            "receiptHandle": format!("{id}-{number}"),
            "body": body,
            "messageAttributes": attributes,
            "eventSourceARN": format!("arn:aws:sqs:us-east-1:111111111111:{queue}"),
        })
    })
}

#[tokio::test]
async fn the_queue_decides_how_a_message_names_its_tenant() {
    let ingest = ingest();
    for (queue, stored_forms, refused) in [
        ("audit-events", &["plain"][..], &["audit-events-2", "audit-events-3"][..]),
        ("topic-events", &["topic"], &["topic-events-1", "topic-events-3"]),
        ("rule-events", &["rule"], &["rule-events-1", "rule-events-2"]),
    ] {
        ingest.intake.host.advance(Duration::from_secs(1));
        let answer = invoke(&ingest, &json!({ "Records": forms(queue, queue) }).to_string(), DEADLINE).await;
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        let failed: Vec<&str> = failures.map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
        assert_eq!(failed, refused, "{queue}");
        let expected: Vec<String> = stored_forms.iter().map(|form| format!("{queue} {form}")).collect();
        let found = request_ids(&ingest);
        assert_eq!(found[found.len() - expected.len()..], expected, "{queue}");
    }
    assert_eq!(request_ids(&ingest).len(), 3);
    // Each queue shows its own messages again.
    let own = |source: &Source<MemoryQueue>| source.queue.delays().into_keys().collect::<Vec<_>>();
    assert_eq!(own(&ingest.sources.services[0]), ["topic-events-1", "topic-events-3"]);
    assert_eq!(own(&ingest.sources.services[1]), ["rule-events-1", "rule-events-2"]);
}

#[tokio::test]
async fn a_batch_that_is_not_of_one_known_queue_fails() {
    let ingest = ingest();
    let [known, ..] = forms("a", "audit-events");
    let [unknown, ..] = forms("b", "unknown");
    let [of_topic, ..] = forms("c", "topic-events");
    let mut without = known.clone();
    without.as_object_mut().unwrap().remove("eventSourceARN");
    for records in [vec![unknown.clone()], vec![without], vec![known.clone(), unknown], vec![known, of_topic], vec![]] {
        let payload = json!({ "Records": records }).to_string();
        assert!(try_invoke(&ingest, &payload, DEADLINE).await.is_err(), "{payload}");
    }
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), 0);
}

/// A raw message without attributes can't be distinguished from an envelope. Its publisher gains nothing: with the
/// attribute, a publication may name any tenant.
#[tokio::test]
async fn a_topic_delivers_in_one_way_and_a_raw_message_with_attributes_is_no_envelope() {
    let in_envelope = {
        let attributes = json!({"tenantId": {"Type": "String", "Value": "globex"}});
        let message = event(r#","requestId":"r-21""#);
        json!({"Type": "Notification", "Message": message, "MessageAttributes": attributes}).to_string()
    };
    let with = |recorded: &str, body: Option<&str>, attributes: Option<Value>| {
        let mut batch: Value = serde_json::from_str(recorded).unwrap();
        let record = &mut batch["Records"][0];
        if let Some(body) = body {
            record["body"] = body.into();
        }
        if let Some(attributes) = attributes {
            record["messageAttributes"] = attributes;
        }
        batch.to_string()
    };
    let other_attribute = json!({"trace": {"stringValue": "1", "dataType": "String"}});
    let cases = [
        (TopicDelivery::Enveloped, TOPIC_ENVELOPED.to_owned(), Some(("acme", "r-20"))),
        (TopicDelivery::Enveloped, TOPIC_RAW.to_owned(), None),
        (TopicDelivery::Enveloped, with(TOPIC_RAW, Some(&in_envelope), None), None),
        (TopicDelivery::Enveloped, with(TOPIC_RAW, Some(&in_envelope), Some(other_attribute.clone())), None),
        (TopicDelivery::Enveloped, with(TOPIC_RAW, Some(&in_envelope), Some(json!({}))), Some(("globex", "r-21"))),
        (TopicDelivery::Enveloped, with(TOPIC_RAW, None, Some(json!({}))), None),
        (TopicDelivery::Raw, TOPIC_RAW.to_owned(), Some(("acme", "r-20"))),
        (TopicDelivery::Raw, TOPIC_ENVELOPED.to_owned(), None),
        (TopicDelivery::Raw, with(TOPIC_RAW, Some(&in_envelope), None), None),
        (TopicDelivery::Raw, with(TOPIC_RAW, Some(&in_envelope), Some(other_attribute)), None),
        (TopicDelivery::Raw, with(TOPIC_RAW, Some(&in_envelope), Some(json!({}))), None),
    ];
    for (index, (delivery, batch, expected)) in cases.into_iter().enumerate() {
        let ingest = TestIngest { sources: sources(MemoryQueue::default(), delivery), ..ingest() };
        let answer = invoke(&ingest, &batch, DEADLINE).await;
        let failures = answer["batchItemFailures"].as_array().unwrap().len();
        assert_eq!(failures, usize::from(expected.is_none()), "case {index}");
        for tenant in ["acme", "globex"] {
            let found: Vec<Value> = stored(&ingest, tenant).iter().map(|event| event["requestId"].clone()).collect();
            let of_tenant = expected.filter(|(owner, _)| *owner == tenant).map(|(_, request)| json!(request));
            assert_eq!(found, Vec::from_iter(of_tenant), "case {index}, {tenant}");
        }
    }
}

const PYTHON_SDK: &[u8] = include_bytes!("../../../../tests/events/otlp-python-sdk.binpb");

/// Returns a request to `/v1/logs` with the recorded request's token.
fn logs_request(body: &[u8], content_type: &str) -> String {
    let mut payload: Value = serde_json::from_str(&with_body(body, content_type)).unwrap();
    payload["resource"] = "/v1/logs".into();
    payload["multiValueHeaders"].as_object_mut().unwrap().remove("Idempotency-Key");
    payload.to_string()
}

async fn post_logs(ingest: &TestIngest, payload: &str) -> (u64, Value, Vec<u8>) {
    let answer = invoke(ingest, payload, DEADLINE).await;
    let body = answer["body"].as_str().unwrap();
    let is_base64 = answer["isBase64Encoded"].as_bool().unwrap();
    let body = if is_base64 { STANDARD.decode(body).unwrap() } else { body.as_bytes().to_vec() };
    (answer["statusCode"].as_u64().unwrap(), answer["headers"].clone(), body)
}

#[tokio::test]
async fn log_records_are_stored_as_events_and_a_repeated_request_once() {
    let ingest = ingest();
    for body in [PYTHON_SDK.to_vec(), gzip(PYTHON_SDK), PYTHON_SDK.to_vec()] {
        let (status, headers, body) = post_logs(&ingest, &logs_request(&body, "application/x-protobuf")).await;
        assert_eq!((status, body), (200, Vec::new()));
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
    let events = stored(&ingest, "acme");
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["action"], &events[0]["tenantId"]), (&json!("user.login"), &json!("acme")));
    assert_eq!(events[0]["eventTimestamp"], "2026-01-31T23:59:59.123456789Z");

    let json = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1"}]}]}]}"#;
    let (status, headers, body) = post_logs(&ingest, &logs_request(json, "application/json; charset=utf-8")).await;
    assert_eq!((status, &headers["content-type"], body.as_slice()), (200, &json!("application/json"), &b"{}"[..]));
    assert_eq!(stored(&ingest, "acme").len(), 3);

    // Nothing to store is no fault.
    let writes = ingest.intake.writer.writes.load(Ordering::Relaxed);
    assert_eq!(post_logs(&ingest, &logs_request(b"", "application/x-protobuf")).await.0, 200);
    assert_eq!(post_logs(&ingest, &logs_request(b"{}", "application/json")).await.0, 200);
    assert_eq!(ingest.intake.writer.writes.load(Ordering::Relaxed), writes);
}

#[tokio::test]
async fn log_records_count_as_the_events_that_they_become() {
    // The smallest quota: the size of the largest request.
    let ingest = ingest_with_quota(1);
    let attribute = json!({"key": "x", "value": {"stringValue": "x".repeat(30_000)}});
    let request = |time: usize| {
        let records = vec![json!({"timeUnixNano": time.to_string()}); 100];
        let of_resource = json!({"resource": {"attributes": [attribute]}, "scopeLogs": [{"logRecords": records}]});
        logs_request(json!({"resourceLogs": [of_resource]}).to_string().as_bytes(), "application/json")
    };
    assert_eq!(post_logs(&ingest, &request(1)).await.0, 200);
    let (status, headers, _) = post_logs(&ingest, &request(2)).await;
    assert_eq!((status, headers["retry-after"].is_string()), (429, true));
    assert_eq!(stored(&ingest, "acme").len(), 100);
}

#[tokio::test]
async fn faulty_log_records_are_left_out_and_a_repeated_request_gets_the_same_answer() {
    let ingest = ingest();
    let record = |time: &str, more: &str| format!(r#"{{"timeUnixNano":"{time}","eventName":"E{time}"{more}}}"#);
    let twice = r#","attributes":[{"key":"audit.a"},{"key":"audit.a"}]"#;
    let records = [record("1", ""), record("2", twice), record("0", ""), record("4", "")].join(",");
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#);
    let request = logs_request(json.as_bytes(), "application/json");
    let first = post_logs(&ingest, &request).await;
    assert_eq!((first.0, &first.1["content-type"]), (200, &json!("application/json")));
    let body: Value = serde_json::from_slice(&first.2).unwrap();
    let message = "EVENT_FIELD_DUPLICATED: record 1: An object in the event, or the event itself, has two fields of the same name; \
                   send each field once. 2 of 4 log records were rejected; the others are stored.";
    assert_eq!(body, json!({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": message}}));
    let actions = || stored(&ingest, "acme").iter().map(|event| event["action"].clone()).collect::<Vec<_>>();
    assert_eq!(actions(), ["E1", "E4"]);

    ingest.intake.host.advance(Duration::from_mins(1));
    assert_eq!(post_logs(&ingest, &request).await, first);
    let with_key = with_header(&request, "Idempotency-Key", &json!(["k"]));
    for _ in 0..2 {
        assert_eq!(post_logs(&ingest, &with_key).await, first);
    }
    assert_eq!(actions().len(), 4, "the key is another identity, which is stored once as well");

    // The recorded request, and a record without a time: 2 bytes each for resource, scope and record.
    let protobuf = [PYTHON_SDK, b"\x0a\x04\x12\x02\x12\x00"].concat();
    let (status, headers, body) = post_logs(&ingest, &logs_request(&protobuf, "application/x-protobuf")).await;
    assert_eq!((status, &headers["content-type"]), (200, &json!("application/x-protobuf")));
    let (rejected, message) = crate::logs::tests::decoded_partial_success(&body).unwrap();
    assert_eq!(rejected, 1);
    assert!(message.starts_with("EVENT_TIMESTAMP_MISSING: record 2: "), "{message}");
    assert_eq!(stored(&ingest, "acme").len(), 6);

    // Nothing is stored if the write fails, whatever the records are.
    let untimed = json.replace("\"4\"", "\"5\"");
    ingest.intake.writer.failures.lock().unwrap().push(busy("hidden"));
    assert_eq!(post_logs(&ingest, &logs_request(untimed.as_bytes(), "application/json")).await.0, 503);
    assert_eq!(stored(&ingest, "acme").len(), 6);
}

#[tokio::test]
async fn refused_log_records_are_a_status_in_the_encoding_of_the_request() {
    let ingest = ingest();
    let untimed = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}"#;
    let (status, headers, body) = post_logs(&ingest, &logs_request(untimed, "application/json")).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &headers["content-type"], &body["code"]), (400, &json!("application/json"), &json!(3)));
    assert_eq!(body["details"][0]["reason"], "EVENT_TIMESTAMP_MISSING");
    assert!(body["message"].as_str().unwrap().starts_with("EVENT_TIMESTAMP_MISSING: record 0: "), "{body}");

    let (status, headers, body) = post_logs(&ingest, &logs_request(b"{}", "application/x-protobuf")).await;
    assert_eq!((status, &headers["content-type"]), (400, &json!("application/x-protobuf")));
    let (code, message, reason) = crate::logs::tests::decoded(&body);
    assert_eq!((code, reason.as_str()), (3, "OTLP_INVALID"));
    assert!(message.starts_with("OTLP_INVALID: The body is not"), "{message}");

    let many = vec!["{\"timeUnixNano\":\"1\"}"; MAX_EVENTS_PER_BODY + 1].join(",");
    let many = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{many}]}}]}}]}}"#);
    let (status, _, body) = post_logs(&ingest, &logs_request(many.as_bytes(), "application/json")).await;
    assert_eq!(status, 413);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["details"][0]["reason"], "TOO_MANY_EVENTS");

    let (status, _, body) = post_logs(&ingest, &logs_request(b"", "text/plain")).await;
    assert_eq!(status, 415);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["details"][0]["reason"], "CONTENT_TYPE_UNSUPPORTED");

    for (values, status, code) in [(json!(["Bearer x"]), 401, 16), (Value::Null, 401, 16)] {
        let payload = with_header(&logs_request(PYTHON_SDK, "application/x-protobuf"), "Authorization", &values);
        let (answered, headers, body) = post_logs(&ingest, &payload).await;
        assert_eq!((answered, crate::logs::tests::decoded(&body).0), (status, code));
        assert!(headers["www-authenticate"].as_str().unwrap().starts_with("Bearer"));
    }
    ingest.intake.writer.failures.lock().unwrap().push(busy("hidden"));
    let (status, headers, body) = post_logs(&ingest, &logs_request(PYTHON_SDK, "application/x-protobuf")).await;
    assert_eq!((status, &headers["retry-after"], crate::logs::tests::decoded(&body).0), (503, &json!("1"), 14));
    // An exporter would drop the records at a 500.
    ingest.intake.writer.failures.lock().unwrap().push(PortError::internal("write blocks", "hidden").into());
    let (status, _, body) = post_logs(&ingest, &logs_request(PYTHON_SDK, "application/x-protobuf")).await;
    assert_eq!((status, crate::logs::tests::decoded(&body).2.as_str()), (503, "INTERNAL"));
    assert!(stored(&ingest, "acme").is_empty(), "nothing of a refused request is stored");
}

/// Returns the number of log records of a request in JSON, if it has the protocol's form.
fn count_records(request: &Value) -> Option<usize> {
    fn lists<'a>(of: &'a Value, name: &str) -> Option<&'a [Value]> {
        of.get(name).map_or(Some(&[][..]), |list| list.as_array().map(Vec::as_slice))
    }
    let mut records = 0;
    for of_resource in lists(request, "resourceLogs")? {
        for of_scope in lists(of_resource, "scopeLogs")? {
            records += lists(of_scope, "logRecords")?.len();
        }
    }
    Some(records)
}

/// Log records in JSON, and whether each is a valid event.
const RECORDS: &[(&str, bool)] = &[
    (r#"{"timeUnixNano":"1"}"#, true),
    (r#"{"observedTimeUnixNano":1769903999123456789,"eventName":"LOGIN","body":{"stringValue":"x"}}"#, true),
    (r#"{"time_unix_nano":"1","attributes":[{"key":"audit.id","value":{"stringValue":"7"}}]}"#, true),
    (r#"{"timeUnixNano":"1","attributes":[{"key":"audit.id","value":{"intValue":"7"}}]}"#, false),
    (r#"{"timeUnixNano":"1","attributes":[{"key":"audit.a"},{"key":"audit.a"}]}"#, false),
    (r#"{"timeUnixNano":"1","attributes":[{"key":"audit.eventTimestamp","value":{"stringValue":"now"}}]}"#, false),
    ("{}", false),
];

/// Posts log records, and returns the code of a refusal, or the number of the stored and of the rejected ones.
fn outcome_of_logs(body: &[u8], content_type: &str) -> Result<(usize, usize), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ingest = ingest();
    let (status, _, response) = runtime.block_on(post_logs(&ingest, &logs_request(body, content_type)));
    let stored = stored(&ingest, "acme").len();
    let is_json = content_type == "application/json";
    if status == 200 {
        let rejected = if is_json {
            let response: Value = serde_json::from_slice(&response).unwrap();
            response["partialSuccess"]["rejectedLogRecords"].as_str().map(|rejected| rejected.parse().unwrap())
        } else {
            crate::logs::tests::decoded_partial_success(&response)
                .map(|(rejected, _)| usize::try_from(rejected).unwrap())
        };
        return Ok((stored, rejected.unwrap_or_default()));
    }
    assert!(matches!(status, 400 | 413), "{status}");
    assert_eq!(stored, 0, "a refused request stores nothing");
    let code = if is_json {
        let response: Value = serde_json::from_slice(&response).unwrap();
        response["details"][0]["reason"].as_str().unwrap().to_owned()
    } else {
        crate::logs::tests::decoded(&response).2
    };
    let is_known = |known: ErrorCode| known.name() == code && known.places().contains(&Place::Ingest);
    assert!(ErrorCode::all().any(is_known), "{code}");
    Err(code)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_log_record_is_stored_or_rejected(chosen in proptest::collection::vec(prop::sample::select(RECORDS), 0..9)) {
        let records: Vec<_> = chosen.iter().map(|(record, _)| *record).collect();
        let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(","));
        let valid = chosen.iter().filter(|(_, is_valid)| *is_valid).count();
        let outcome = outcome_of_logs(body.as_bytes(), "application/json");
        if valid == 0 && !chosen.is_empty() {
            prop_assert!(outcome.is_err(), "no record is valid");
        } else {
            prop_assert_eq!(outcome, Ok((valid, chosen.len() - valid)));
        }
    }

    #[test]
    fn any_body_to_the_logs_is_refused_with_a_code_or_counted(
        body in proptest::collection::vec(any::<u8>(), 0..100),
        chosen in proptest::collection::vec(prop::sample::select(RECORDS), 0..4),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize, any::<u8>()), 1..4),
    ) {
        let records: Vec<_> = chosen.iter().map(|(record, _)| *record).collect();
        let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(","));
        for (of, content_type) in [
            (body.as_slice(), "application/x-protobuf"),
            (PYTHON_SDK, "application/x-protobuf"),
            (body.as_slice(), "application/json"),
            (json.as_bytes(), "application/json"),
        ] {
            let mut changed = of.to_vec();
            for (place, removed, byte) in &changes {
                let start = place.index(changed.len() + 1);
                let end = changed.len().min(start + removed);
                changed.splice(start..end, [*byte]);
            }
            if let Ok((stored, rejected)) = outcome_of_logs(&changed, content_type)
                && content_type == "application/json"
            {
                let count = serde_json::from_slice(&changed).ok().and_then(|request| count_records(&request));
                prop_assert!(count.is_none_or(|count| count == stored + rejected), "{:?}", changed);
            }
        }
    }
}
