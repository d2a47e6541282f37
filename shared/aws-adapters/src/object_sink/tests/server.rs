//! Writes to a server other than AWS's.

use aws_smithy_http_client::Builder;
use domain::{
    configuration::{endpoint::EndpointUrl, region::SigningRegion, test_support::on_server},
    connection::{AwsErrorCode, Refusal},
    customer_server::CustomerServers,
};

use super::*;
use crate::customer_server::{ServerConnections, bounded};

/// Returns a sink for a server without TLS, which no customer's URL can name.
fn server_sink(endpoint: &str) -> S3ObjectSink {
    let base = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        // AWS's: another server has none of it.
        .use_fips(true)
        .use_dual_stack(true)
        .retry_config(RetryConfig::disabled())
        .build();
    let credentials = Credentials::new("GK31c2f218a2e44f485b94239e", "secret", None, None, "test");
    let region = SigningRegion::parse("garage").unwrap();
    let bucket = BucketName::parse("acme").unwrap();
    S3ObjectSink::at_endpoint(&base, bounded(Builder::new().build_http()), credentials, &bucket, endpoint, &region)
}

/// Returns a sink that reaches the server as a stack does.
fn checked_sink(servers: CustomerServers, url: &str) -> S3ObjectSink {
    let base = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .build();
    let connections = ServerConnections::new(servers, None).unwrap().http_client();
    let credentials = Credentials::new("minioadmin", "minioadmin", None, None, "test");
    let mut server = on_server().destination.site.server().unwrap().clone();
    server.endpoint = EndpointUrl::parse_for(CustomerServers::PublicAndLocal, url).unwrap();
    S3ObjectSink::on_server(&base, connections, credentials, &BucketName::parse("acme").unwrap(), &server)
}

/// Headers that servers other than AWS's refuse or ignore, and the hash that some demand for buckets with Object Lock.
const OF_AWS: [&str; 7] = [
    "content-md5",
    "x-amz-expected-bucket-owner",
    "x-amz-acl",
    "x-amz-server-side-encryption",
    "x-amz-checksum-",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
];

#[tokio::test]
async fn no_request_has_what_only_aws_knows() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let upload = UploadId("u".to_owned());
    let part = UploadedPart { number: 1, entity_tag: "e".to_owned(), sha256: STANDARD.encode([0; 32]) };
    let check = |head: &str, begin: &str| {
        assert!(head.starts_with(begin), "{head}");
        assert!(head.contains("credential=gk31c2f218a2e44f485b94239e/") && head.contains("/garage/s3/"), "{head}");
        assert_eq!(OF_AWS.iter().find(|header| head.contains(**header)), None, "{head}");
    };

    let (error, head) = tokio::join!(put(&sink), refuse_one(&listener));
    assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::WriteDenied));
    check(&head, "put /acme/k");
    let hash = Hex32::sha256_of("x");
    assert!(head.contains("if-none-match: *") && head.contains(&format!("x-amz-content-sha256: {hash}")), "{head}");

    let create = sink.create_multipart_upload("k", ContentType::Gzip);
    let (_, head) = tokio::join!(create, refuse_one(&listener));
    check(&head, "post /acme/k?uploads");
    let (_, head) = tokio::join!(sink.upload_part("k", &upload, 1, Bytes::from_static(b"x")), refuse_one(&listener));
    check(&head, "put /acme/k?");
    assert!(head.contains(&format!("x-amz-content-sha256: {hash}")), "{head}");
    let parts = [part];
    let (_, head) = tokio::join!(sink.complete_multipart_upload("k", &upload, &parts), refuse_one(&listener));
    check(&head, "post /acme/k?");
    assert!(head.contains("if-none-match: *"), "{head}");
}

#[tokio::test]
async fn a_trial_announces_another_hash_in_its_signature() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let customer = |failure| Err(ErrorKind::Customer(failure));
    let refused = |code, status| ConnectionFailure::BucketRefused(Refusal { code: AwsErrorCode::parse(code), status });
    for (status, code, outcome) in [
        ("400 Bad Request", "XAmzContentSHA256Mismatch", Ok(())),
        ("400 Bad Request", "InvalidDigest", Ok(())),
        // A condition that holds, or none: a proxy answers so, or a server that takes every condition for failed.
        ("412 Precondition Failed", "PreconditionFailed", customer(refused("PreconditionFailed", 412))),
        ("409 Conflict", "ConditionalRequestConflict", customer(refused("ConditionalRequestConflict", 409))),
        ("500 Internal Server Error", "InternalError", Ok(())),
        ("502 Bad Gateway", "Unheard", customer(refused("Unheard", 502))),
        ("403 Forbidden", "AccessDenied", customer(ConnectionFailure::WriteDenied)),
        ("404 Not Found", "NoSuchBucket", customer(ConnectionFailure::BucketNotFound)),
    ] {
        for condition in [PutCondition::Absent, PutCondition::Replace] {
            let (answer, head) = tokio::join!(sink.try_put("k", condition), answer_one(&listener, status, code));
            assert_eq!(answer.map_err(|error| error.kind), outcome, "{code}");
            assert_eq!(head.contains("if-none-match: *"), condition == PutCondition::Absent, "{head}");
            let announced = Hex32::sha256_of("other bytes than these");
            assert!(head.contains(&format!("x-amz-content-sha256: {announced}")), "{head}");
            assert_eq!(OF_AWS.iter().find(|header| head.contains(**header)), None, "{head}");
        }
    }
}

#[tokio::test]
async fn a_server_that_accepts_wrong_bytes_is_refused() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let server = async {
        let (connection, _) = listener.accept().await.unwrap();
        answer_all(connection, &[("200 OK", "")], Duration::ZERO).await;
    };
    let (answer, ()) = tokio::join!(sink.try_put("k", PutCondition::Replace), server);
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Customer(ConnectionFailure::ChecksumsMissing));
}

#[tokio::test]
async fn an_object_that_is_there_is_known_by_the_status_alone_if_there_was_a_condition() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let (answer, _) = tokio::join!(put_bytes(&sink, 1), answer_one(&listener, "412 Precondition Failed", "Unheard"));
    assert_eq!(answer, Ok(PutOutcome::Exists { was_repeated: false }));

    let bytes = Bytes::from_static(b"x");
    let sha256 = Sha256::digest(&bytes).into();
    let (content_type, condition) = (ContentType::Text, PutCondition::Replace);
    let unconditional = sink.put_object(PutObject { key: "k", bytes, sha256, content_type, condition });
    let (answer, _) = tokio::join!(unconditional, answer_one(&listener, "412 Precondition Failed", "Unheard"));
    let refusal = Refusal { code: AwsErrorCode::parse("Unheard"), status: 412 };
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Customer(ConnectionFailure::BucketRefused(refusal)));
}

/// Without a bound of its own, a server that never stores an object would count as a fault of the service.
#[tokio::test]
async fn an_upload_that_a_server_loses_each_time_is_for_its_owner_to_resolve() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let upload = UploadId("u".to_owned());
    let refused = |code, status| {
        ErrorKind::Customer(ConnectionFailure::BucketRefused(Refusal { code: AwsErrorCode::parse(code), status }))
    };
    let (conflict, lost) = ("ConditionalRequestConflict", "NoSuchUpload");
    let (answer, _) = tokio::join!(put_bytes(&sink, 1), answer_one(&listener, "409 Conflict", conflict));
    let Ok(PutOutcome::Aborted(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind, refused(conflict, 409));

    let part = sink.upload_part("k", &upload, 1, Bytes::from_static(b"x"));
    let (answer, _) = tokio::join!(part, answer_one(&listener, "404 Not Found", lost));
    let Ok(PartOutcome::Aborted(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind, refused(lost, 404));

    let complete = sink.complete_multipart_upload("k", &upload, &[]);
    let (answer, _) = tokio::join!(complete, answer_one(&listener, "404 Not Found", lost));
    let Ok(PutOutcome::Aborted(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind, refused(lost, 404));

    // An answer that has no ID of the upload.
    let create = sink.create_multipart_upload("k", ContentType::Gzip);
    let (answer, _) = tokio::join!(create, answer_one(&listener, "200 OK", "None"));
    let error = answer.unwrap_err();
    assert_eq!(error.kind, refused("None", 200), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_a_long_response_not_read() {
    let (listener, endpoint) = listen().await;
    let sink = server_sink(&endpoint);
    let redirect = "302 Found\r\nLocation: http://127.0.0.1:1/";
    let (error, _) = tokio::join!(put(&sink), answer_one(&listener, redirect, "Moved"));
    let ErrorKind::Customer(ConnectionFailure::BucketRefused(refusal)) = error.kind else { unreachable!("{error}") };
    assert_eq!(refusal.status, 302);

    let long = "x".repeat(70 * 1_024);
    let (error, _) = tokio::join!(put(&sink), answer_one(&listener, "400 Bad Request", &long));
    assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
}

#[tokio::test]
async fn a_name_with_a_private_address_gets_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let error = put(&checked_sink(CustomerServers::Public, &url)).await;
    assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointNotPublic), "{error}");
    let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(connected.is_err(), "a connection was made");

    // No other cause is taken for it: nothing listens, and no such name.
    for url in ["https://localhost:1024", "https://no-such-host.example.invalid.example"] {
        let error = put(&checked_sink(CustomerServers::PublicAndLocal, url)).await;
        assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
    }
}

/// The environment belongs to a process, so the test starts itself with the variables of a proxy.
#[tokio::test]
async fn no_proxy_gets_a_request_to_a_server() {
    const NAME: &str = "object_sink::tests::server::no_proxy_gets_a_request_to_a_server";
    const STARTED_WITH_PROXY: &str = "AUDIT_EXPORT_TEST_HAS_PROXY";
    if std::env::var_os(STARTED_WITH_PROXY).is_some() {
        let error = put(&checked_sink(CustomerServers::PublicAndLocal, "https://localhost:1024")).await;
        assert_eq!(error.kind, ErrorKind::Customer(ConnectionFailure::EndpointUnreachable), "{error}");
        return;
    }
    let (proxy, url) = listen().await;
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    itself.args(["--exact", NAME]).env(STARTED_WITH_PROXY, "1").env_remove("NO_PROXY").env_remove("no_proxy");
    for variable in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        itself.env(variable, &url).env(variable.to_ascii_lowercase(), &url);
    }
    let output = tokio::task::spawn_blocking(move || itself.output().unwrap()).await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    let connected = tokio::time::timeout(Duration::from_millis(50), proxy.accept()).await;
    assert!(connected.is_err(), "the proxy got a connection");
}
