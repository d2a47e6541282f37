mod bucket_settings;
mod server;

use aws_config::retry::RetryConfig;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_smithy_runtime_api::http::{Response, StatusCode};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use domain::{
    configuration::{Layout, bucket::BucketName, region::Region},
    connection::ConnectionFailure,
    digest::Hex32,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::*;

fn sink(endpoint: &str) -> S3ObjectSink {
    sink_with(endpoint, RetryConfig::disabled(), BASE_TIMEOUT)
}

/// As many attempts as in service, without the waits between them.
fn retrying_sink(endpoint: &str, base_timeout: Duration) -> S3ObjectSink {
    sink_with(endpoint, RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)), base_timeout)
}

fn sink_with(endpoint: &str, retries: RetryConfig, base_timeout: Duration) -> S3ObjectSink {
    let base = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .retry_config(retries)
        .build();
    let destination = Destination {
        bucket_name: BucketName::parse("acme").unwrap(),
        bucket_path: None,
        site: Region::parse("eu-west-1").unwrap().into(),
        kms_key_arn: None,
        expected_bucket_owner: None,
        layout: Layout::default(),
    };
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let owner = AccountId::parse("222222222222").unwrap();
    let region = Region::parse("eu-west-1").unwrap();
    S3ObjectSink::with_base_timeout(&base, credentials, &destination, &region, &owner, base_timeout)
}

async fn put(sink: &S3ObjectSink) -> PortError {
    put_bytes(sink, 1).await.unwrap_err()
}

#[tokio::test]
async fn session_errors_are_not_the_customers() {
    let kind = |sink: &S3ObjectSink, code| {
        let metadata = ErrorMetadata::builder().code(code).build();
        let response = Response::new(StatusCode::try_from(403).unwrap(), SdkBody::empty());
        sink.refused("test", SdkError::service_error(PutObjectError::generic(metadata), response)).kind
    };
    let with_key = sink("http://127.0.0.1:1");
    let with_session = S3ObjectSink { is_session: true, ..with_key.clone() };
    assert_eq!(kind(&with_session, "SignatureDoesNotMatch"), ErrorKind::Internal);
    assert_eq!(kind(&with_session, "InvalidAccessKeyId"), ErrorKind::Transient);
    assert_eq!(kind(&with_session, "TokenRefreshRequired"), ErrorKind::Transient);
    let customer = ErrorKind::Customer;
    assert_eq!(kind(&with_session, "AccessDenied"), customer(ConnectionFailure::WriteDenied));
    assert_eq!(kind(&with_key, "SignatureDoesNotMatch"), customer(ConnectionFailure::SecretAccessKeyWrong));
    assert_eq!(kind(&with_key, "InvalidAccessKeyId"), customer(ConnectionFailure::AccessKeyUnknown));
}

async fn put_bytes(sink: &S3ObjectSink, length: usize) -> Result<PutOutcome, PortError> {
    let bytes = Bytes::from(vec![b'x'; length]);
    let sha256 = Sha256::digest(&bytes).into();
    let (content_type, condition) = (ContentType::Gzip, PutCondition::Absent);
    sink.put_object(PutObject { key: "k", bytes, sha256, content_type, condition }).await
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// Reads whole requests from one connection, answers them in this order, each after `delay`, and closes it.
async fn answer_all(mut connection: TcpStream, answers: &[(&str, &str)], delay: Duration) {
    for (index, (status, body)) in answers.iter().enumerate() {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        connection.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
        tokio::time::sleep(delay).await;
        let length = body.len();
        let fate = if index + 1 < answers.len() { "keep-alive" } else { "close" };
        let head = format!("Content-Length: {length}\r\nConnection: {fate}\r\nETag: \"e\"");
        let answer = format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}");
        // Whoever has given up is gone.
        let _ = connection.write_all(answer.as_bytes()).await;
    }
}

/// Accepts and never answers, as a Region that browns out does.
#[tokio::test]
async fn a_silent_server_is_given_up_after_two_attempts() {
    let (listener, endpoint) = listen().await;
    let sink = retrying_sink(&endpoint, Duration::from_millis(200));
    let silence = async {
        let mut connections = Vec::new();
        loop {
            connections.push(listener.accept().await.unwrap());
            assert!(connections.len() <= 2, "a third attempt");
        }
    };
    let start = Instant::now();
    let error = tokio::select! {
        error = put(&sink) => error,
        () = silence => unreachable!(),
    };
    assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
    let elapsed = start.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_secs(5)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn a_long_body_is_waited_for_where_a_short_one_is_not() {
    let (listener, endpoint) = listen().await;
    let sink = sink_with(&endpoint, RetryConfig::disabled(), Duration::from_millis(100));
    let late = Duration::from_millis(600);
    // 2 s, by their length.
    for length in [1024 * 1024, 1] {
        let server = async {
            let (connection, _) = listener.accept().await.unwrap();
            answer_all(connection, &[("200 OK", "")], late).await;
        };
        let (answer, ()) = tokio::join!(put_bytes(&sink, length), server);
        let unreachable = ErrorKind::Customer(ConnectionFailure::EndpointUnreachable);
        let expected = if length == 1 { Err(unreachable) } else { Ok(PutOutcome::Written) };
        assert_eq!(answer.map_err(|error| error.kind), expected, "{length} bytes");
    }
}

/// Settings of a single request don't make the SDK open a connection for it.
#[tokio::test]
async fn requests_of_every_length_share_a_connection() {
    let (listener, endpoint) = listen().await;
    let sink = sink(&endpoint);
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let answers = [
        ("200 OK", ""),
        ("200 OK", ""),
        ("200 OK", begun),
        ("200 OK", ""),
        ("200 OK", "<CompleteMultipartUploadResult/>"),
    ];
    let server = async {
        let (connection, _) = listener.accept().await.unwrap();
        answer_all(connection, &answers, Duration::ZERO).await;
    };
    let requests = async {
        assert_eq!(put_bytes(&sink, 1).await, Ok(PutOutcome::Written));
        assert_eq!(put_bytes(&sink, 300_000).await, Ok(PutOutcome::Written));
        let upload = sink.create_multipart_upload("k", ContentType::Gzip).await.unwrap();
        let part = sink.upload_part("k", &upload, 1, Bytes::from_static(b"part")).await.unwrap();
        let PartOutcome::Uploaded(part) = part else { unreachable!("{part:?}") };
        sink.complete_multipart_upload("k", &upload, &[part]).await.unwrap()
    };
    let (answer, ()) = tokio::join!(requests, server);
    assert_eq!(answer, PutOutcome::Written);
}

/// The SDK repeats a request that S3 failed to answer. Then the object that is there may be the one that was sent.
#[tokio::test]
async fn an_object_that_is_there_may_be_our_own_only_after_a_repeated_request() {
    let exists = ("412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>");
    let failed = ("500 Internal Server Error", "<Error><Code>InternalError</Code></Error>");
    for (answers, was_repeated) in [(vec![exists], false), (vec![failed, exists], true)] {
        let (listener, endpoint) = listen().await;
        let sink = retrying_sink(&endpoint, BASE_TIMEOUT);
        let upload = UploadId("u".to_owned());
        let server = async {
            for answer in [answers.clone(), answers].concat() {
                let (connection, _) = listener.accept().await.unwrap();
                answer_all(connection, &[answer], Duration::ZERO).await;
            }
        };
        let requests = async {
            let put = put_bytes(&sink, 1).await.unwrap();
            (put, sink.complete_multipart_upload("k", &upload, &[]).await.unwrap())
        };
        let ((put, completed), ()) = tokio::join!(requests, server);
        assert_eq!(put, PutOutcome::Exists { was_repeated });
        assert_eq!(completed, PutOutcome::Exists { was_repeated }, "each call counts its own");
    }
}

#[tokio::test]
async fn a_region_that_nobody_answers_for_is_unreachable() {
    // Bound and closed again: nothing listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = put(&sink(&format!("http://{address}"))).await;
    assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
}

/// Answers one request with a refusal and gives its head.
async fn refuse_one(listener: &TcpListener) -> String {
    answer_one(listener, "403 Forbidden", "AccessDenied").await
}

async fn answer_one(listener: &TcpListener, status: &str, code: &str) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let body = format!("<Error><Code>{code}</Code><Message>As it is</Message></Error>");
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    connection.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// The emulator lets every owner pass; that the owner is sent with every write is seen on the wire.
#[tokio::test]
async fn every_write_names_the_owner_and_none_but_a_requested_one_replaces_an_object() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
    let upload = UploadId("u".to_owned());
    let part = UploadedPart { number: 1, entity_tag: "e".to_owned(), sha256: STANDARD.encode([0; 32]) };
    let denied = ErrorKind::Customer(ConnectionFailure::WriteDenied);

    let (error, head) = tokio::join!(put(&sink), refuse_one(&listener));
    assert_eq!(error.kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
    assert!(head.contains("if-none-match: *") && head.contains("x-amz-checksum-sha256: "), "{head}");

    let replacing = PutObject {
        key: "k",
        bytes: Bytes::from_static(b"x"),
        sha256: Sha256::digest("x").into(),
        content_type: ContentType::Gzip,
        condition: PutCondition::Replace,
    };
    let (answer, head) = tokio::join!(sink.put_object(replacing), refuse_one(&listener));
    assert_eq!(answer.unwrap_err().kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
    assert!(!head.contains("if-none-match") && head.contains("x-amz-checksum-sha256: "), "{head}");

    let (answer, head) = tokio::join!(sink.try_put("k", PutCondition::Absent), refuse_one(&listener));
    assert_eq!(answer.unwrap_err().kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
    assert!(head.contains("if-none-match: *") && head.contains("x-amz-checksum-sha256: "), "{head}");

    let create = sink.create_multipart_upload("k", ContentType::Gzip);
    let (answer, head) = tokio::join!(create, refuse_one(&listener));
    assert_eq!(answer.unwrap_err().kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");

    let (answer, head) =
        tokio::join!(sink.upload_part("k", &upload, 1, Bytes::from_static(b"x")), refuse_one(&listener));
    assert_eq!(answer.unwrap_err().kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
    assert!(head.contains("x-amz-checksum-sha256: "), "{head}");

    let parts = [part];
    let complete = sink.complete_multipart_upload("k", &upload, &parts);
    let (answer, head) = tokio::join!(complete, refuse_one(&listener));
    assert_eq!(answer.unwrap_err().kind, denied);
    assert!(head.contains("x-amz-expected-bucket-owner: 222222222222"), "{head}");
    assert!(head.contains("if-none-match: *"), "{head}");
}

/// S3 refuses a body that doesn't have the hash in the signature, so a known one protects it as a computed one does.
#[tokio::test]
async fn a_body_is_signed_by_the_hash_that_is_known() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
    let object = PutObject {
        key: "k",
        bytes: Bytes::from_static(b"x"),
        // Of other bytes: if it is sent, it was not computed.
        sha256: [0xAB; 32],
        content_type: ContentType::Gzip,
        condition: PutCondition::Absent,
    };
    let (_, head) = tokio::join!(sink.put_object(object), refuse_one(&listener));
    assert!(head.contains(&format!("x-amz-content-sha256: {}", "ab".repeat(32))), "{head}");

    let upload = UploadId("u".to_owned());
    let part = Bytes::from_static(b"part");
    let hash = Hex32::sha256_of(&part);
    let (_, head) = tokio::join!(sink.upload_part("k", &upload, 1, part), refuse_one(&listener));
    assert!(head.contains(&format!("x-amz-content-sha256: {hash}")), "{head}");
}

#[tokio::test]
async fn a_trial_is_permitted_if_only_its_bytes_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = sink(&format!("http://{}", listener.local_addr().unwrap()));
    for (status, code, permitted) in [
        ("400 Bad Request", "BadDigest", Ok(())),
        ("412 Precondition Failed", "PreconditionFailed", Ok(())),
        ("409 Conflict", "ConditionalRequestConflict", Ok(())),
        ("403 Forbidden", "AccessDenied", Err(ErrorKind::Customer(ConnectionFailure::WriteDenied))),
        ("404 Not Found", "NoSuchBucket", Err(ErrorKind::Customer(ConnectionFailure::BucketNotFound))),
        ("503 Slow Down", "SlowDown", Err(ErrorKind::Transient)),
        // S3 would have written what was never to be written.
        ("200 OK", "", Err(ErrorKind::Internal)),
    ] {
        let (answer, _) = tokio::join!(sink.try_put("k", PutCondition::Absent), answer_one(&listener, status, code));
        assert_eq!(answer.map_err(|error| error.kind), permitted, "{code}");
    }
}
