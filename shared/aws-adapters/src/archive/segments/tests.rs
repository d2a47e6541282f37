use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use domain::archive::DAY_CLASSES;
use export_engine::ports::ErrorKind;

use super::*;

/// A request: its method, path and query, and the headers that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    target: String,
    range: Option<String>,
    if_none_match: Option<String>,
    checksum: Option<String>,
}

type Requests = Arc<Mutex<Vec<Request>>>;

/// Returns a bucket that gets these answers in turn, and then empty ones.
fn bucket(answers: Vec<(u16, String)>) -> (SegmentBucket, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let answers = Mutex::new(answers.into_iter());
    let client = infallible_client_fn(move |request: http::Request<SdkBody>| {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        seen.lock().unwrap().push(Request {
            target: format!("{} {}", request.method(), request.uri().path_and_query().unwrap()),
            range: header("range"),
            if_none_match: header("if-none-match"),
            checksum: header("x-amz-checksum-sha256"),
        });
        let (status, body) = answers.lock().unwrap().next().unwrap_or((200, String::new()));
        http::Response::builder().status(status).body(SdkBody::from(body)).unwrap()
    });
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let shared = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:1")
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(client)
        .build();
    (SegmentBucket::new(&shared, BucketName::parse("archive").unwrap()), requests)
}

fn failure(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>as S3 says it</Message></Error>")
}

async fn put(answer: (u16, String)) -> (Result<(), PortError>, Vec<Request>) {
    let (bucket, requests) = bucket(vec![answer]);
    let outcome = bucket.put_segment("keep-30-days/acme/a.segment", Bytes::from_static(b"bytes"), [7; 32]).await;
    let requests = requests.lock().unwrap().clone();
    (outcome, requests)
}

#[tokio::test]
async fn a_segment_is_put_only_where_there_is_none_with_its_checksum() {
    let (outcome, requests) = put((200, String::new())).await;
    assert_eq!(outcome, Ok(()));
    let [request] = &requests[..] else { unreachable!("one request: {requests:?}") };
    assert!(request.target.starts_with("PUT /archive/keep-30-days/acme/a.segment"), "{request:?}");
    assert_eq!(request.if_none_match.as_deref(), Some("*"));
    assert_eq!(request.checksum, Some(STANDARD.encode([7; 32])));
}

#[tokio::test]
async fn an_object_that_is_there_is_no_error_and_a_concurrent_write_is_tried_again() {
    assert_eq!(put((412, failure("PreconditionFailed"))).await.0, Ok(()));
    let kind = |outcome: Result<(), PortError>| outcome.unwrap_err().kind;
    assert_eq!(kind(put((409, failure("ConditionalRequestConflict"))).await.0), ErrorKind::Transient);
    assert_eq!(kind(put((503, failure("SlowDown"))).await.0), ErrorKind::Transient);
    assert_eq!(kind(put((403, failure("AccessDenied"))).await.0), ErrorKind::Internal);
}

async fn read(answer: (u16, &str)) -> (Result<Bytes, PortError>, Vec<Request>) {
    let (bucket, requests) = bucket(vec![(answer.0, answer.1.to_owned())]);
    let outcome = bucket.read_segment("a.segment", 10, 5).await;
    let requests = requests.lock().unwrap().clone();
    (outcome, requests)
}

#[tokio::test]
async fn a_range_is_read_as_a_whole() {
    let (outcome, requests) = read((206, "bytes")).await;
    assert_eq!(outcome, Ok(Bytes::from_static(b"bytes")));
    assert_eq!(requests[0].range.as_deref(), Some("bytes=10-14"));
}

#[tokio::test]
async fn a_segment_that_is_gone_or_short_is_an_internal_error_that_names_it() {
    for (status, answer) in [
        (404, failure("NoSuchKey")),
        (403, failure("AccessDenied")),
        (416, failure("InvalidRange")),
        (206, "byte".to_owned()),
    ] {
        let error = read((status, &answer)).await.0.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal, "{error}");
        assert!(error.detail.contains("a.segment"), "{error}");
    }
    assert_eq!(read((500, "")).await.0.unwrap_err().kind, ErrorKind::Transient);
}

#[tokio::test]
async fn all_versions_and_markers_of_a_tenant_are_deleted_and_nobody_elses() {
    let page = "<ListVersionsResult>\
        <Version><Key>keep-60-days/acme/a</Key><VersionId>1</VersionId></Version>\
        <Version><Key>keep-60-days/acme/a</Key><VersionId>2</VersionId></Version>\
        <DeleteMarker><Key>keep-60-days/acme/a</Key><VersionId>3</VersionId></DeleteMarker>\
        </ListVersionsResult>";
    let none = "<ListVersionsResult></ListVersionsResult>";
    let (bucket, requests) = bucket(vec![(200, none.to_owned()), (200, page.to_owned())]);
    let tenant = TenantId::parse("acme").unwrap();
    assert_eq!(bucket.erase_segments(&tenant).await, Ok(3));
    let targets: Vec<_> = requests.lock().unwrap().iter().map(|request| request.target.clone()).collect();
    assert!(targets[0].contains("prefix=keep-30-days%2Facme%2F"), "{targets:?}");
    assert!(targets[1].contains("prefix=keep-60-days%2Facme%2F"), "{targets:?}");
    let mut deleted: Vec<_> =
        targets[2..].iter().map(|target| target.split("versionId=").nth(1).unwrap().chars().next().unwrap()).collect();
    deleted.sort_unstable();
    assert_eq!(deleted, ['1', '2', '3']);
    assert!(
        targets[2..].iter().all(|target| target.starts_with("DELETE /archive/keep-60-days/acme/a?")),
        "{targets:?}"
    );
}

#[tokio::test]
async fn a_tenant_without_segments_has_nothing_to_delete() {
    let nothing = "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>";
    let (bucket, requests) = bucket(vec![(200, nothing.to_owned()); DAY_CLASSES.len()]);
    assert_eq!(bucket.erase_segments(&TenantId::parse("acme").unwrap()).await, Ok(0));
    assert!(requests.lock().unwrap().iter().all(|request| request.target.starts_with("GET ")));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_fails_in_the_time_that_its_length_needs() {
    let started = tokio::time::Instant::now();
    let error = received("read", "a", 4 << 20, std::future::pending::<Result<(), String>>()).await.unwrap_err();
    assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::Transient, "a was not there after 13 s"));
    assert_eq!(started.elapsed().as_secs(), 13);
}
