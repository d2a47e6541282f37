//! The reader with and without the SDK's deserializer: the same pages, and the same errors after the same requests.

mod differential;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, retry::ErrorKind as RetryKind};
use domain::{
    block::{BlockId, StoredBlock, encode_block},
    time::Timestamp,
};
use export_engine::ports::ErrorKind;

use super::*;
use aws_sdk_dynamodb::types::AttributeValue;

const OPERATION: &str = "dynamodb:Query (blocks)";
const PARTITION: &str = "acme#03";

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn block(random: u128) -> StoredBlock {
    let stamp = Timestamp::parse("2026-11-22T01:02:03.004Z").unwrap();
    encode_block(&tenant(), BlockId::from_parts(stamp, random), b"{\"id\":\"1\"}\n", stamp, stamp).unwrap()
}

/// The blocks of a page, or the IDs and descriptions of malformed items, and the start of the next page.
type Contents = (Vec<Result<StoredBlock, (BlockId, String)>>, Option<BlockId>);

fn contents(page: BlockPage) -> Contents {
    let items = page.items.into_iter().map(|item| match item {
        StoredItem::Block(block) => Ok(block),
        StoredItem::Malformed { id, detail } => Err((id, detail)),
    });
    (items.collect(), page.next)
}

/// The members of an item of a block, each with its name.
fn members(block: &StoredBlock) -> Vec<String> {
    let attributes = item::write_block(&tenant(), Shard::new(3).unwrap(), block, Timestamp::MAX);
    let mut members: Vec<_> = attributes.iter().map(|(name, value)| format!("\"{name}\":{}", json(value))).collect();
    members.sort();
    members
}

fn json(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!(r#"{{"S":"{text}"}}"#),
        AttributeValue::N(number) => format!(r#"{{"N":"{number}"}}"#),
        AttributeValue::B(bytes) => format!(r#"{{"B":"{}"}}"#, aws_smithy_types::base64::encode(bytes)),
        _ => unreachable!("{value:?}"),
    }
}

/// Returns an answer as `DynamoDB` writes it.
fn answer(items: &[Vec<String>], is_last: bool) -> String {
    let count = items.len();
    let items: Vec<_> = items.iter().map(|members| format!("{{{}}}", members.join(","))).collect();
    let key = if is_last {
        String::new()
    } else {
        format!(r#""LastEvaluatedKey":{{"partition":{{"S":"{PARTITION}"}},"blockId":{{"S":"x"}}}},"#)
    };
    format!(r#"{{"Count":{count},"Items":[{}],{key}"ScannedCount":{count}}}"#, items.join(","))
}

/// An answer of `DynamoDB`, or a failure before it.
#[derive(Clone, Debug)]
enum Reply {
    Status(u16, Vec<(&'static str, String)>, String),
    Fails(fn() -> ConnectorError),
}

impl Reply {
    fn error(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"no"}}"#);
        Self::Status(status, Vec::new(), body)
    }

    fn good(body: impl Into<String>) -> Self {
        Self::Status(200, Vec::new(), body.into())
    }
}

/// Gives prepared replies, and the last one again when they run out.
#[derive(Clone, Debug)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<usize>>,
}

impl HttpConnector for Script {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        *self.requests.lock().unwrap() += 1;
        let mut replies = self.replies.lock().unwrap();
        let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
        HttpConnectorFuture::ready(match reply.unwrap() {
            Reply::Status(status, headers, body) => {
                let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
                for (name, value) in headers {
                    response.headers_mut().insert(name, value);
                }
                Ok(response)
            }
            Reply::Fails(error) => Err(error()),
        })
    }
}

fn script(replies: &[Reply]) -> (EventTableReader, Script) {
    let script = Script { replies: Arc::new(Mutex::new(replies.to_vec().into())), requests: Arc::default() };
    let connector = SharedHttpConnector::new(script.clone());
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
    let configuration = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::for_tests())
        .retry_config(retries)
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    (EventTableReader::new(Client::from_conf(configuration), "AuditEvents".to_owned()), script)
}

fn range() -> BlockRange {
    BlockRange { first: block(0).id, end: block(1_000).id }
}

/// A page, or the kind and the text of its error.
type Simplified = Result<Contents, (ErrorKind, String)>;

fn simplified(page: Result<BlockPage, PortError>) -> Simplified {
    page.map(contents).map_err(|error| {
        let text = error.to_string();
        (error.kind, text)
    })
}

/// The result of a request for a page, and the number of HTTP requests.
type Outcome = (Simplified, usize);

fn outcome(page: Result<BlockPage, PortError>, script: &Script) -> Outcome {
    (simplified(page), *script.requests.lock().unwrap())
}

/// Reads a page as the exporter does.
async fn read(replies: &[Reply]) -> Outcome {
    let (reader, script) = script(replies);
    outcome(reader.page(&tenant(), Shard::new(3).unwrap(), range()).await, &script)
}

/// Reads a page as the SDK alone does.
async fn read_by_sdk(replies: &[Reply]) -> Outcome {
    let (reader, script) = script(replies);
    let query = Query::new(Expression::new("#partition = :partition").with("partition", text(PARTITION)));
    let page = reader.table.page(OPERATION, &query, None).await;
    outcome(page.and_then(|page| to_block_page(OPERATION, PARTITION, DirectPage::Sdk(page))), &script)
}

/// Without this test, a new version of the SDK could raise the processor time of every export by half unnoticed.
#[tokio::test]
async fn a_page_of_blocks_is_not_read_by_the_sdk() {
    let (reader, script) = script(&[Reply::good(answer(&[members(&block(1)), members(&block(2))], false))]);
    let query = Query::new(Expression::new("#partition = :partition").with("partition", text(PARTITION)));
    let page = reader.table.direct_page(OPERATION, &query, PageOfBlocks::read).await.unwrap();
    let DirectPage::Direct(page) = page else { unreachable!("the SDK read the page: {page:?}") };
    assert_eq!((page.blocks, page.is_last), (vec![block(1), block(2)], false));
    assert_eq!(*script.requests.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_the_direct_reader_refuses_is_read_by_the_sdk() {
    let good = answer(&[members(&block(1)), members(&block(2))], true);
    let both = (vec![Ok(block(1)), Ok(block(2))], None);
    let malformed = (vec![Err((block(1).id, "the item's attribute crc32 is missing or malformed".to_owned()))], None);
    let members_of_malformed = members(&block(1)).into_iter().filter(|member| !member.contains("\"crc32\""));
    for (body, expected) in [
        (good.replace("\":", "\" : "), both.clone()),
        (good.replace("\"blockId\"", r#""\u0062lockId""#), both.clone()),
        (good.replace("\"Count\"", "\"ConsumedCapacity\":{\"TableName\":\"t\"},\"Count\""), both.clone()),
        (good.replace("\"crc32\"", "\"later\":{\"L\":[{\"BOOL\":true}]},\"crc32\""), both.clone()),
        (answer(&[members_of_malformed.collect()], true), malformed),
        (r#"{"Count":0}"#.to_owned(), (Vec::new(), None)),
    ] {
        assert_eq!(PageOfBlocks::read(body.as_bytes()), None, "{body}");
        assert_eq!(read(&[Reply::good(body.clone())]).await, (Ok(expected), 1), "{body}");
    }
}

#[tokio::test]
async fn failures_are_those_of_the_sdk() {
    let good = Reply::good(answer(&[members(&block(1))], true));
    let ok = || Ok((vec![Ok(block(1))], None));
    let Reply::Status(_, _, body) = &good else { unreachable!() };
    let with = |name, value: String| Reply::Status(200, vec![(name, value)], body.clone());
    let without_id: Vec<_> = members(&block(1)).into_iter().filter(|member| !member.contains("blockId")).collect();
    let (internal, transient) = (Err(ErrorKind::Internal), Err(ErrorKind::Transient));
    let truncated = Reply::Status(
        200,
        vec![("content-length", body.len().to_string())],
        body.get(..body.len() / 2).unwrap().to_owned(),
    );
    let scenarios = [
        ("good", vec![good.clone()], ok(), 1),
        ("throttled", vec![Reply::error(400, "ProvisionedThroughputExceededException"), good.clone()], ok(), 2),
        ("throttled by rate", vec![Reply::error(400, "ThrottlingException"), good.clone()], ok(), 2),
        ("throttled for long", vec![Reply::error(400, "ProvisionedThroughputExceededException")], transient.clone(), 3),
        ("invalid", vec![Reply::error(400, "ValidationException")], internal.clone(), 1),
        ("no such table", vec![Reply::error(400, "ResourceNotFoundException")], internal.clone(), 1),
        ("denied", vec![Reply::error(403, "AccessDeniedException")], internal.clone(), 1),
        ("a page as a refusal", vec![Reply::Status(400, vec![], body.clone())], internal.clone(), 1),
        ("a page as a failure", vec![Reply::Status(500, vec![], body.clone()), good.clone()], ok(), 2),
        ("failed", vec![Reply::error(500, "InternalServerError"), good.clone()], ok(), 2),
        ("unavailable", vec![Reply::Status(503, vec![], "<html>".to_owned())], transient.clone(), 3),
        (
            "an error as a page",
            vec![Reply::Status(200, vec![], r#"{"__type":"x#Other"}"#.to_owned())],
            Ok((vec![], None)),
            1,
        ),
        ("empty body", vec![Reply::good("")], Ok((vec![], None)), 1),
        ("no JSON", vec![Reply::good("<html>")], internal.clone(), 1),
        ("half a page", vec![Reply::good(body.get(..body.len() / 2).unwrap())], internal.clone(), 1),
        ("connection closed in the page", vec![truncated, good.clone()], internal.clone(), 1),
        // The SDK for Rust does not compare this header. Every block has its own CRC.
        ("wrong CRC of the page", vec![with("x-amz-crc32", "1".to_owned())], ok(), 1),
        ("no ID", vec![Reply::good(answer(&[without_id], true))], internal.clone(), 1),
        ("empty page with a next one", vec![Reply::good(answer(&[], false))], internal.clone(), 1),
        ("refused", vec![Reply::Fails(|| ConnectorError::io("refused".into()))], transient.clone(), 3),
        ("late", vec![Reply::Fails(|| ConnectorError::timeout("3 s".into())), good.clone()], ok(), 2),
        (
            "closed",
            vec![
                Reply::Fails(|| ConnectorError::other("closed".into(), Some(RetryKind::TransientError))),
                good.clone(),
            ],
            ok(),
            2,
        ),
    ];
    for (name, replies, expected, requests) in scenarios {
        let outcome = read(&replies).await;
        assert_eq!(outcome, read_by_sdk(&replies).await, "{name}");
        let (page, sent) = outcome;
        assert_eq!((page.map_err(|(kind, _)| kind), sent), (expected, requests), "{name}");
    }
}
