use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    thread,
};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::block::{BlockId, encode_block};
use export_engine::ports::ErrorKind;
use host::{Clock, Machine};
use serde_json::{Value, json};

use super::*;

/// One request as it came over the wire.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: String,
    /// `X-Amz-Date`, the time of the signature.
    pub(crate) signed_at: Timestamp,
    body: Value,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: &'static str,
    pub(crate) body: Value,
}

pub(crate) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: "", body }
}

fn failure(status: u16, code: &str, more: &Value) -> Answer {
    let mut body =
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as the service says it"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer(status, body)
}

/// A server with as much HTTP as the SDK needs: it gives the answers in turn and hands out the requests.
pub(crate) fn serve(answers: Vec<Answer>) -> (SdkConfig, mpsc::Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    let answers = Mutex::new(answers.into_iter());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let request = read_request(&stream);
            let Some(answer) = answers.lock().unwrap().next() else { return };
            // Before the answer, because the test looks for the request after it.
            if sender.send(request).is_err() {
                return;
            }
            let body = answer.body.to_string();
            write!(
                stream,
                "HTTP/1.1 {} X\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n{body}",
                answer.status,
                answer.headers,
                body.len()
            )
            .unwrap();
        }
    });
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    (shared, requests)
}

fn read_request(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut header = |line: &mut String| {
        line.clear();
        reader.read_line(line).unwrap();
        line.trim_end().to_owned()
    };
    let mut line = String::new();
    let (mut operation, mut date, mut length) = (String::new(), String::new(), 0);
    loop {
        let text = header(&mut line);
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => operation = value.split('.').next_back().unwrap().to_owned(),
                "x-amz-date" => value.clone_into(&mut date),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let rfc_3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[0..4],
        &date[4..6],
        &date[6..8],
        &date[9..11],
        &date[11..13],
        &date[13..15]
    );
    Request { operation, signed_at: Timestamp::parse(&rfc_3339).unwrap(), body: serde_json::from_slice(&body).unwrap() }
}

pub(crate) fn now() -> Timestamp {
    Machine.now()
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn blocks(count: usize, stamp: Timestamp) -> Vec<StoredBlock> {
    std::iter::successors(Some(BlockId::from_parts(stamp, 42)), |id| Some(id.next()))
        .take(count)
        .map(|id| encode_block(&tenant(), id, format!("{{\"id\":\"{id}\"}}\n").as_bytes(), stamp, stamp).unwrap())
        .collect()
}

fn record() -> IdempotencyRecord {
    IdempotencyRecord { key_hash: "ab".repeat(32), body_hash: [7; 32], accepted: 3 }
}

fn expires_at() -> Timestamp {
    Timestamp::parse("2026-12-01T00:00:00Z").unwrap()
}

fn shard() -> Shard {
    Shard::new(2).unwrap()
}

async fn write(
    answers: Vec<Answer>,
    blocks: &[StoredBlock],
    records: &[IdempotencyRecord],
) -> (Result<StoreOutcome, WriteError>, Vec<Request>) {
    let (shared, requests) = serve(answers);
    let writer = EventWriter::new(&shared, "events".to_owned());
    let outcome = writer.write(&tenant(), shard(), blocks, expires_at(), records).await;
    (outcome, requests.try_iter().collect())
}

/// An item in the JSON of the service.
fn wire_form(item: &Item) -> Value {
    let attributes = item.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => json!({"S": text}),
            AttributeValue::N(digits) => json!({"N": digits}),
            AttributeValue::B(bytes) => json!({"B": aws_smithy_types::base64::encode(bytes)}),
            _ => Value::Null,
        };
        (name.clone(), value)
    });
    Value::Object(attributes.collect())
}

fn cancelled(reasons: &Value) -> Answer {
    failure(400, "TransactionCanceledException", &json!({"CancellationReasons": reasons}))
}

#[tokio::test]
async fn one_block_is_put_where_there_is_none() {
    let blocks = blocks(1, now());
    let (outcome, requests) = write(vec![answer(200, json!({}))], &blocks, &[]).await;
    assert_eq!(outcome, Ok(StoreOutcome::Written));
    assert_eq!(requests[0].operation, "PutItem");
    let body = &requests[0].body;
    assert_eq!(body["ConditionExpression"], IS_ABSENT);
    assert_eq!(body["Item"], wire_form(&item::write_block(&tenant(), shard(), &blocks[0], expires_at())));
    assert!(body.get("ReturnValues").is_none(), "that would need more than the right to put");
}

#[tokio::test]
async fn several_blocks_and_a_record_are_one_transaction() {
    let blocks = blocks(2, now());
    let (outcome, requests) = write(vec![answer(200, json!({}))], &blocks, &[record()]).await;
    assert_eq!(outcome, Ok(StoreOutcome::Written));
    assert_eq!(requests[0].operation, "TransactWriteItems");
    let puts = requests[0].body["TransactItems"].as_array().unwrap();
    assert_eq!(puts.len(), 3);
    assert!(puts.iter().all(|put| put.as_object().unwrap().keys().eq(["Put"])));
    let remembered = &puts[2]["Put"];
    assert_eq!(remembered["Item"]["partition"], json!({"S": "acme#idempotency"}));
    assert_eq!(remembered["Item"]["accepted"], json!({"N": "3"}));
    assert_eq!(remembered["ConditionExpression"], IS_ABSENT_OR_EXPIRED);
    let stamp = blocks[0].id.timestamp().as_seconds();
    assert_eq!(remembered["ExpressionAttributeValues"][":now"], json!({"N": stamp.to_string()}));
    assert_eq!(remembered["Item"]["expiresAt"], json!({"N": (stamp + 86_400).to_string()}));
    assert_eq!(requests[0].body["ClientRequestToken"], blocks[0].id.to_string());
}

#[tokio::test]
async fn an_attempt_whose_answer_was_lost_counts() {
    let blocks = blocks(2, now());
    let stored = |block| wire_form(&item::write_block(&tenant(), shard(), block, expires_at()));
    let lost = failure(500, "InternalServerError", &json!({}));
    let again = failure(400, "ConditionalCheckFailedException", &json!({"Item": stored(&blocks[0])}));
    let (outcome, requests) = write(vec![lost, again], &blocks[..1], &[]).await;
    assert_eq!((outcome, requests.len()), (Ok(StoreOutcome::Written), 2));

    let reasons = json!([
        {"Code": "ConditionalCheckFailed", "Item": stored(&blocks[0])},
        {"Code": "ConditionalCheckFailed", "Item": stored(&blocks[1])},
    ]);
    assert_eq!(write(vec![cancelled(&reasons)], &blocks, &[]).await.0, Ok(StoreOutcome::Written));

    let foreign = failure(400, "ConditionalCheckFailedException", &json!({"Item": stored(&blocks[1])}));
    assert!(matches!(
        write(vec![foreign], &blocks[..1], &[]).await.0,
        Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))
    ));
    let without_item = failure(400, "ConditionalCheckFailedException", &json!({}));
    assert!(matches!(
        write(vec![without_item], &blocks[..1], &[]).await.0,
        Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))
    ));
}

#[tokio::test]
async fn a_key_answers_the_same_again_and_refuses_another_body() {
    let blocks = blocks(1, now());
    let existing = wire_form(&write_record(&tenant(), &IdempotencyRecord { accepted: 9, ..record() }, now()));
    let reasons = json!([{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": existing}]);
    let (outcome, _) = write(vec![cancelled(&reasons)], &blocks, &[record()]).await;
    assert_eq!(outcome, Ok(StoreOutcome::AcceptedBefore(vec![AcceptedBefore { index: 0, accepted: 9 }])));

    let other_body = IdempotencyRecord { body_hash: [8; 32], ..record() };
    let (outcome, _) = write(vec![cancelled(&reasons)], &blocks, &[other_body]).await;
    assert_eq!(outcome, Err(WriteError::KeyReused));
}

#[tokio::test]
async fn of_several_records_those_are_named_that_were_there() {
    let blocks = blocks(2, now());
    let records = ["a", "b", "c"].map(|key| IdempotencyRecord { key_hash: key.to_owned(), ..record() });
    let known = |record: &IdempotencyRecord| wire_form(&write_record(&tenant(), record, now()));
    let none = || json!({"Code": "None"});
    let failed = |record| json!({"Code": "ConditionalCheckFailed", "Item": known(record)});
    let reasons = json!([none(), none(), failed(&records[0]), none(), failed(&records[2])]);
    let (outcome, _) = write(vec![cancelled(&reasons)], &blocks, &records).await;
    let before = [0, 2].map(|index| AcceptedBefore { index, accepted: 3 });
    assert_eq!(outcome, Ok(StoreOutcome::AcceptedBefore(before.to_vec())));
}

#[tokio::test]
async fn transient_failures_are_kept_apart_from_permanent_ones() {
    let blocks = blocks(2, now());
    let busy = |code| cancelled(&json!([{"Code": "None"}, {"Code": code}]));
    for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let (outcome, _) = write(vec![busy(code)], &blocks, &[]).await;
        assert!(
            matches!(outcome, Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))),
            "{code}: {outcome:?}"
        );
    }
    let (outcome, _) = write(vec![busy("ValidationError")], &blocks, &[]).await;
    assert!(matches!(outcome, Err(WriteError::Failed(PortError { kind: ErrorKind::Internal, .. }))), "{outcome:?}");

    let throttled = || failure(400, "ProvisionedThroughputExceededException", &json!({}));
    let (outcome, requests) = write(vec![throttled(), throttled(), throttled()], &blocks[..1], &[]).await;
    assert!(matches!(outcome, Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))), "{outcome:?}");
    assert_eq!(requests.len(), 3);

    for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"] {
        let (outcome, requests) = write(vec![failure(400, code, &json!({}))], &blocks[..1], &[]).await;
        assert!(
            matches!(outcome, Err(WriteError::Failed(PortError { kind: ErrorKind::Internal, .. }))),
            "{code}: {outcome:?}"
        );
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn a_writer_without_a_table_to_reach_says_try_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (shared, _requests) = serve(Vec::new());
    let shared = shared.into_builder().endpoint_url(endpoint).build();
    let writer = EventWriter::new(&shared, "events".to_owned());
    let outcome = writer.write(&tenant(), shard(), &blocks(1, now()), expires_at(), &[]).await;
    assert!(matches!(outcome, Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))), "{outcome:?}");
}

#[tokio::test]
async fn a_request_signed_too_long_after_the_stamp_never_leaves() {
    let stamp = now().saturating_sub(INGEST_WRITE_BOUND);
    for count in [1, 2] {
        let (outcome, requests) = write(vec![answer(200, json!({}))], &blocks(count, stamp), &[]).await;
        assert_eq!(outcome, Err(WriteError::TooSlow));
        assert!(requests.is_empty());
    }
}

#[tokio::test]
async fn more_than_a_transaction_takes_is_refused_here() {
    let (outcome, requests) = write(Vec::new(), &blocks(MAX_TRANSACTION_ITEMS + 1, now()), &[]).await;
    assert_eq!((outcome, requests.len()), (Err(WriteError::TooLarge), 0));
    let (outcome, _) = write(Vec::new(), &blocks(MAX_TRANSACTION_ITEMS, now()), &[record()]).await;
    assert_eq!(outcome, Err(WriteError::TooLarge));
}

/// The service answers with another year. The SDK's correction would sign the next attempt with that time, and the time of a
/// write would no longer be bounded by the stamp.
#[tokio::test]
async fn the_service_s_clock_never_changes_the_time_of_a_signature() {
    let answers = || {
        let skewed = "Date: Fri, 01 Jan 2100 00:00:00 GMT\r\n";
        vec![
            Answer { headers: skewed, ..failure(500, "InternalServerError", &json!({})) },
            Answer { headers: skewed, ..answer(200, json!({})) },
            Answer { headers: skewed, ..answer(200, json!({})) },
        ]
    };
    let (shared, requests) = serve(answers());
    let writer = EventWriter::new(&shared, "events".to_owned());
    for _ in 0..2 {
        assert_eq!(
            writer.write(&tenant(), shard(), &blocks(1, now()), expires_at(), &[]).await,
            Ok(StoreOutcome::Written)
        );
    }
    let signed: Vec<Timestamp> = requests.try_iter().map(|request| request.signed_at).collect();
    assert_eq!(signed.len(), 3);
    let latest = now();
    assert!(signed.iter().all(|signed_at| *signed_at <= latest), "{signed:?}");

    // The SDK's default client follows the service, so this test can fail.
    let (shared, requests) = serve(answers());
    let corrected = EventWriter { client: Client::new(&shared), table: "events".to_owned() };
    corrected.write(&tenant(), shard(), &blocks(1, now()), expires_at(), &[]).await.unwrap();
    let signed: Vec<Timestamp> = requests.try_iter().map(|request| request.signed_at).collect();
    assert!(signed.iter().any(|signed_at| *signed_at > latest.saturating_add(Duration::from_hours(24))), "{signed:?}");
}
