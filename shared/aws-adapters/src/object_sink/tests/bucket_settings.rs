//! Settings of a customer's bucket that no emulator enforces: the requests that meet them, and S3's refusals.
//!
//! `Row:` names the row of "Settings of the bucket" in `docs/CUSTOMER_GUIDE.md` that a test proves.
//! `infra/lint/test_bucket_settings.py` compares them.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};

use super::*;

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Returns the heads of the requests that begin a write: an object at once, the trial of a connection test, and an upload in
/// parts.
async fn heads(change: impl Fn(S3ObjectSink) -> S3ObjectSink) -> [String; 3] {
    let (listener, endpoint) = listen().await;
    let sink = change(sink(&endpoint));
    let (_, whole) = tokio::join!(put(&sink), refuse_one(&listener));
    let (_, trial) = tokio::join!(sink.try_put("k", PutCondition::Absent), refuse_one(&listener));
    let (_, parts) = tokio::join!(sink.create_multipart_upload("k", ContentType::Gzip), refuse_one(&listener));
    [whole, trial, parts]
}

fn with_key(sink: S3ObjectSink) -> S3ObjectSink {
    S3ObjectSink { kms_key_arn: KmsKeyArn::parse(KEY).ok(), ..sink }
}

/// A bucket that blocks SSE-C refuses requests with its headers alone:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html>.
/// The owner of a bucket that its requesters pay for sends no `x-amz-request-payer`:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html>.
// Row: encryption: SSE-C blocked
// Row: Requester Pays
// Row: policy demands other headers
#[tokio::test]
async fn a_write_leaves_to_the_bucket_what_the_configuration_does_not_name() {
    let never = [
        "x-amz-server-side-encryption-customer-",
        "x-amz-request-payer",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-object-lock-",
        "x-amz-grant-",
        "x-amz-website-redirect-location",
    ];
    for head in heads(|sink| sink).await.into_iter().chain(heads(with_key).await) {
        for header in never {
            assert!(!head.contains(header), "{header}: {head}");
        }
    }
}

/// MFA delete asks for a second factor to delete a version, and to change the versioning:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiFactorAuthenticationDelete.html>.
// Row: versioning with MFA delete
#[tokio::test]
async fn no_write_deletes_or_changes_a_bucket() {
    let [whole, trial, parts] = heads(|sink| sink).await;
    for (head, begin) in [(whole, "put /acme/k?"), (trial, "put /acme/k?"), (parts, "post /acme/k?uploads ")] {
        assert!(head.starts_with(begin), "{head}");
    }
}

/// Without a header the bucket's default encryption applies, and with one the header:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html>.
// Row: encryption: SSE-KMS, AWS managed key
// Row: encryption: SSE-KMS, your key
// Row: encryption: DSSE-KMS
// Row: policy demands `AES256` or `aws:kms:dsse`
#[tokio::test]
async fn only_a_configured_key_names_an_encryption() {
    for head in heads(|sink| sink).await {
        assert!(!head.contains("x-amz-server-side-encryption"), "{head}");
    }
    for head in heads(with_key).await {
        assert!(head.contains("x-amz-server-side-encryption: aws:kms\r\n"), "{head}");
        assert!(head.contains(&format!("x-amz-server-side-encryption-aws-kms-key-id: {KEY}\r\n")), "{head}");
    }
}

/// Whether a bucket uses an S3 Bucket Key is left to it.
// Row: encryption: S3 Bucket Key
#[tokio::test]
async fn no_write_decides_about_a_bucket_key() {
    for head in heads(with_key).await {
        assert!(!head.contains("bucket-key-enabled"), "{head}");
    }
}

// Row: policy demands `s3:x-amz-acl`
#[tokio::test]
async fn only_a_write_to_another_accounts_bucket_has_an_acl() {
    for head in heads(|sink| sink).await {
        assert!(!head.contains("x-amz-acl"), "{head}");
    }
    let acl = Some(ObjectCannedAcl::BucketOwnerFullControl);
    for head in heads(|sink| S3ObjectSink { acl: acl.clone(), ..sink }).await {
        assert!(head.contains("x-amz-acl: bucket-owner-full-control\r\n"), "{head}");
    }
}

/// Answers one request like S3, and returns the kind of error that the write ends with.
async fn refused_with(status: &str, code: &str, message: &str) -> ErrorKind {
    let (listener, endpoint) = listen().await;
    let sink = sink(&endpoint);
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let server = async {
        let (connection, _) = listener.accept().await.unwrap();
        answer_all(connection, &[(status, &body)], Duration::ZERO).await;
    };
    let (error, ()) = tokio::join!(put(&sink), server);
    error.kind
}

/// S3's answers, as AWS documents them:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html> and
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors>.
#[tokio::test]
async fn a_setting_that_refuses_writes_is_reported_with_its_code() {
    let forbidden = "403 Forbidden";
    let writer = "User: arn:aws:sts::222222222222:assumed-role/export/audit-export is not authorized to perform";
    let by_policy = format!("{writer}: s3:PutObject on resource: k with an explicit deny in a resource-based policy");
    let by_key = format!("{writer}: kms:GenerateDataKey on resource: {KEY} because no resource-based policy allows it");
    let disabled = format!("{KEY} is disabled.");
    for (status, code, message, failure) in [
        // Row: Requester Pays
        (forbidden, "AccessDenied", "Access Denied", ConnectionFailure::WriteDenied),
        // Row: policy demands other headers
        // Row: policy demands `AES256` or `aws:kms:dsse`
        // Row: policy demands `s3:x-amz-acl`
        (forbidden, "AccessDenied", by_policy.as_str(), ConnectionFailure::WriteDenied),
        // Row: encryption: SSE-KMS, AWS managed key
        // Row: encryption: SSE-KMS, your key
        // Row: encryption: SSE-KMS, key of another account
        // Row: encryption: DSSE-KMS
        (forbidden, "AccessDenied", by_key.as_str(), ConnectionFailure::KmsDenied),
        // Row: encryption: disabled or deleted key
        ("400 Bad Request", "KMS.DisabledException", disabled.as_str(), ConnectionFailure::KmsKeyUnusable),
        ("400 Bad Request", "KMS.NotFoundException", "Key not found", ConnectionFailure::KmsKeyUnusable),
    ] {
        assert_eq!(refused_with(status, code, message).await, ErrorKind::Customer(failure), "{code}: {message}");
    }
}

/// Records where requests go, and answers that the write succeeded.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.lock().unwrap().push(request.uri().to_owned());
        HttpConnectorFuture::ready(Ok(Response::new(StatusCode::try_from(200).unwrap(), SdkBody::empty())))
    }
}

/// Returns the URI of a write without an endpoint of its own, as in service.
async fn uri_of_a_write(bucket: &str) -> String {
    let recorder = Recorder::default();
    let connector = SharedHttpConnector::new(recorder.clone());
    let sink = sink("http://127.0.0.1:1");
    let mut settings = sink.client.config().to_builder();
    settings.set_endpoint_url(None);
    let settings = settings.http_client(http_client_fn(move |_, _| connector.clone())).build();
    let sink = S3ObjectSink { client: Client::from_conf(settings), bucket: bucket.to_owned(), ..sink };
    assert_eq!(put_bytes(&sink, 1).await, Ok(PutOutcome::Written));
    let uris = recorder.0.lock().unwrap();
    let [uri] = uris.as_slice() else { unreachable!("{uris:?}") };
    uri.clone()
}

// Row: policy demands TLS (`aws:SecureTransport`)
// Row: Transfer Acceleration
#[tokio::test]
async fn a_write_goes_to_the_regional_endpoint_over_tls() {
    let uri = uri_of_a_write("acme").await;
    assert!(uri.starts_with("https://acme.s3.eu-west-1.amazonaws.com/k"), "{uri}");
}

/// The certificate of S3 is for one label before `s3`, so a name with a dot is part of the path:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>.
// Row: name with a dot
#[tokio::test]
async fn a_name_with_a_dot_is_part_of_the_path() {
    let uri = uri_of_a_write("logs.acme").await;
    assert!(uri.starts_with("https://s3.eu-west-1.amazonaws.com/logs.acme/k"), "{uri}");
}
