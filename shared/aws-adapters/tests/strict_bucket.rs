//! A connection test and every delivery pass the strictest bucket with the printed policies, and each permission is needed.
//!
//! The emulator does not use KMS when S3 encrypts, and has no ACLs, Object Lock or conditions on headers. This double of AWS
//! has them as AWS documents them. It accepts a write only if
//!
//! - the session policy, the role's policy and, across accounts, the bucket's policy allow it;
//! - it has the headers that a bucket policy can require: `If-None-Match`
//!   (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>), the encryption and its key
//!   (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>), and the ACL for the bucket's owner
//!   (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-condition-keys.html>);
//! - it has a checksum, which Object Lock requires
//!   (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>, `Content-MD5`);
//! - the policies of the role and of the key let S3 use the key. The double checks this before it compares anything.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_adapters::{
    configurations::ConfigurationTable, connector::AwsConnector, customer_server::ServerConnections,
    object_sink::S3ObjectSink,
};
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress, Layout,
        ServiceIdentity,
        arn::{AccountId, KmsKeyArn, RoleArn},
        bucket::BucketName,
        region::{Partition, Region},
    },
    connection::{Connection, ConnectionErrorCode, ConnectionFailure},
    customer_policy::CustomerPolicies,
    customer_server::CustomerServers,
    export_format::ExportFormat,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::{
    connection_test::ConnectionTest,
    ports::{Connector, ContentType, ErrorKind, PortError},
    upload::{Upload, UploadShape, Uploaded, upload},
};
use host::{Clock, Timer};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::form_urlencoded;

const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";
const ROLE: &str = "arn:aws:iam::222222222222:role/export";
const ROLE_ACCOUNT: &str = "222222222222";
/// The bucket's and the key's, so that the policies of role, bucket and key all have to allow a write.
const OTHER_ACCOUNT: &str = "333333333333";
const KEY: &str = "arn:aws:kms:eu-west-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const MARKER: &str = ".immuta.export.log";

fn across_accounts() -> ExportConfiguration {
    ExportConfiguration {
        key: ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse(ID).unwrap(),
        },
        replay_of: None,
        version: 1,
        description: None,
        interval: ExportInterval::Every24Hours,
        format: ExportFormat::default(),
        ocsf: None,
        filter: None,
        enabled: true,
        destination: Destination {
            bucket_name: BucketName::parse("acme-audit").unwrap(),
            bucket_path: None,
            site: Region::parse("eu-west-1").unwrap().into(),
            kms_key_arn: Some(KmsKeyArn::parse(KEY).unwrap()),
            expected_bucket_owner: AccountId::parse(OTHER_ACCOUNT).ok(),
            layout: Layout::default(),
        },
        authentication: Authentication::AssumedRole { role_arn: RoleArn::parse(ROLE).unwrap() },
        user_arn: None,
        start_from: Timestamp::EPOCH,
        connection: Connection::Pending,
        progress: ExportProgress::default(),
        requested_through: None,
        requested_until: None,
        webhooks: Vec::new(),
        created_by: "user".to_owned(),
        created_at: Timestamp::EPOCH,
        updated_by: "user".to_owned(),
        updated_at: Timestamp::EPOCH,
    }
}

/// The bucket in the role's account, without a key.
fn in_one_account() -> ExportConfiguration {
    let example = across_accounts();
    let destination = Destination { kms_key_arn: None, expected_bucket_owner: None, ..example.destination };
    ExportConfiguration { destination, ..example }
}

/// The policies that a customer has put in place.
#[derive(Clone, Debug)]
struct Applied {
    writer: Value,
    /// Across accounts alone.
    bucket: Option<Value>,
    /// If the bucket has a key.
    key: Option<Value>,
}

impl Applied {
    fn as_printed(configuration: &ExportConfiguration) -> Self {
        let service = ServiceIdentity {
            account: AccountId::parse("111111111111").unwrap(),
            partition: Partition::Commercial,
            region: Region::parse("eu-west-1").unwrap(),
        };
        let CustomerPolicies { iam_policy, bucket_policy, kms_key_policy_statement, .. } =
            CustomerPolicies::of(configuration, &service);
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        Self {
            writer: parsed(&iam_policy.document),
            bucket: bucket_policy.is_required.then(|| parsed(&bucket_policy.document)),
            key: kms_key_policy_statement.map(|statement| json!({ "Statement": [parsed(&statement.document)] })),
        }
    }
}

/// Returns whether a statement of the policy allows an action. `*` at the end of a resource stands for anything.
fn allows(policy: &Value, action: &str, resource: &str, acl: Option<&str>) -> bool {
    let texts = |list: &Value| {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let demanded = &statement["Condition"]["StringEquals"]["s3:x-amz-acl"];
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => resource.starts_with(start),
            None => pattern == resource,
        };
        statement.get("Principal").is_none_or(|principal| principal["AWS"] == ROLE)
            && texts(&statement["Action"]).iter().any(|entry| entry == action)
            && texts(&statement["Resource"]).iter().any(matches)
            && (demanded.is_null() || demanded.as_str() == acl)
    })
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    content_type: String,
    body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    session_policy: Option<Value>,
    /// All versions, in the order of their writes.
    versions: Vec<(String, Stored)>,
    /// The type and the parts of the uploads that are not completed.
    uploads: BTreeMap<String, (String, Vec<u8>)>,
}

/// STS and S3 with one bucket.
#[derive(Debug)]
struct Aws {
    configuration: ExportConfiguration,
    applied: Applied,
    state: Mutex<State>,
}

struct Request {
    method: String,
    key: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

type Answer = (&'static str, String);

fn error(status: &'static str, code: &str, message: &str) -> Answer {
    (status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

fn denied(message: &str) -> Answer {
    error("403 Forbidden", "AccessDenied", message)
}

impl Aws {
    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(Arc::clone(&self).answer(connection));
        }
    }

    async fn answer(self: Arc<Self>, mut connection: TcpStream) {
        let request = read(&mut connection).await;
        let (status, text) = if request.method == "POST" && request.key.is_empty() {
            self.assume_role(&request)
        } else {
            self.write(&request).unwrap_or_else(|refused| refused)
        };
        let length = text.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n{text}");
        connection.write_all(answer.as_bytes()).await.unwrap();
    }

    fn assume_role(&self, request: &Request) -> Answer {
        let fields: BTreeMap<String, String> = form_urlencoded::parse(&request.body).into_owned().collect();
        if fields.get("ExternalId").is_none_or(|id| id != ID) {
            let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message/></Error></ErrorResponse>";
            return ("403 Forbidden", error.to_owned());
        }
        self.state.lock().unwrap().session_policy = Some(serde_json::from_str(&fields["Policy"]).unwrap());
        let credentials = "<AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>";
        let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>");
        ("200 OK", format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"))
    }

    /// Answers a write. The permissions of each request:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
    fn write(&self, request: &Request) -> Result<Answer, Answer> {
        let Request { method, key, query, body, .. } = request;
        let creates_upload = method == "POST" && query.starts_with("uploads");
        let completes = method == "POST" && query.contains("uploadId=");
        let is_part = method == "PUT" && query.contains("partNumber=");
        let is_object = method == "PUT" && !is_part;
        assert!(creates_upload || completes || is_part || is_object, "{method} {key}?{query}");

        self.authorize(request, is_object || creates_upload)?;
        if (is_object || completes) && request.header("if-none-match") != Some("*") {
            return Err(denied("explicit deny in a resource-based policy: s3:if-none-match"));
        }
        let checksum = request.header("x-amz-checksum-sha256");
        if (is_object || is_part) && checksum.is_none() {
            return Err(error("400 Bad Request", "InvalidRequest", "Content-MD5 OR x-amz-checksum- is required"));
        }
        if is_object || creates_upload {
            self.use_key("kms:GenerateDataKey")?;
        }
        if is_part {
            self.use_key("kms:Decrypt")?;
        }
        if checksum.is_some_and(|checksum| checksum != STANDARD.encode(Sha256::digest(body))) {
            return Err(error("400 Bad Request", "BadDigest", "The SHA256 you specified did not match"));
        }
        let mut state = self.state.lock().unwrap();
        if (is_object || completes) && state.versions.iter().any(|(name, _)| name == key) {
            return Err(error("412 Precondition Failed", "PreconditionFailed", "At least one did not hold"));
        }
        let content_type = || request.header("content-type").unwrap_or_default().to_owned();
        if is_object {
            let stored = Stored { content_type: content_type(), body: body.clone() };
            state.versions.push((key.clone(), stored));
        } else if creates_upload {
            state.uploads.insert(key.clone(), (content_type(), Vec::new()));
            let result = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
            return Ok(("200 OK", result.to_owned()));
        } else if is_part {
            state.uploads.get_mut(key).unwrap().1.extend_from_slice(body);
        } else {
            let (content_type, body) = state.uploads.remove(key).unwrap();
            state.versions.push((key.clone(), Stored { content_type, body }));
            return Ok(("200 OK", "<CompleteMultipartUploadResult/>".to_owned()));
        }
        Ok(("200 OK", String::new()))
    }

    fn authorize(&self, request: &Request, creates: bool) -> Result<(), Answer> {
        let destination = &self.configuration.destination;
        let owner = destination.expected_bucket_owner.as_ref().map_or(ROLE_ACCOUNT, AccountId::as_str);
        assert_eq!(request.header("x-amz-expected-bucket-owner"), Some(owner));
        let acl = request.header("x-amz-acl");
        let mut actions = vec!["s3:PutObject"];
        actions.extend(acl.map(|_| "s3:PutObjectAcl"));
        let resource = format!("arn:aws:s3:::{}/{}", destination.bucket_name, request.key);
        let session_policy = self.state.lock().unwrap().session_policy.clone().unwrap();
        let policies = [Some(&session_policy), Some(&self.applied.writer), self.applied.bucket.as_ref()];
        for action in actions {
            if !policies.into_iter().flatten().all(|policy| allows(policy, action, &resource, acl)) {
                return Err(denied(&format!("not authorized to perform: {action}")));
            }
        }
        if creates {
            let is_across = owner != ROLE_ACCOUNT;
            if acl != is_across.then_some("bucket-owner-full-control") {
                return Err(denied("explicit deny in a resource-based policy: s3:x-amz-acl"));
            }
            let key = destination.kms_key_arn.as_ref().map(KmsKeyArn::as_str);
            let encryption = request.header("x-amz-server-side-encryption");
            if encryption != key.map(|_| "aws:kms")
                || request.header("x-amz-server-side-encryption-aws-kms-key-id") != key
            {
                return Err(denied("explicit deny in a resource-based policy: s3:x-amz-server-side-encryption"));
            }
        }
        Ok(())
    }

    /// Across accounts, the policies of the role and of the key have to allow it.
    fn use_key(&self, action: &str) -> Result<(), Answer> {
        let Some(key_policy) = &self.applied.key else { return Ok(()) };
        let session_policy = self.state.lock().unwrap().session_policy.clone().unwrap();
        if [&session_policy, &self.applied.writer, key_policy].iter().all(|policy| allows(policy, action, KEY, None)) {
            return Ok(());
        }
        Err(denied(&format!(
            "User: arn:aws:sts::{ROLE_ACCOUNT}:assumed-role/export/audit-export-{ID} is not authorized to perform: {action} \
             on resource: {KEY} because no identity-based policy allows the {action} action"
        )))
    }
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

async fn read(connection: &mut TcpStream) -> Request {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    connection.read_exact(&mut body).await.unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path.strip_prefix("/acme-audit/").unwrap_or_default();
    let key = percent_decode_str(key).decode_utf8().unwrap().into_owned();
    Request { method, key, query: query.to_owned(), headers, body }
}

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-22T00:00:00Z").unwrap()
    }
}

impl Timer for FixedClock {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The service and its view of AWS.
struct World {
    aws: Arc<Aws>,
    base: SdkConfig,
    server: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new(configuration: ExportConfiguration, applied: Applied) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let aws = Arc::new(Aws { configuration, applied, state: Mutex::default() });
        let base = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(SdkRegion::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .retry_config(RetryConfig::disabled())
            .build();
        let server = tokio::spawn(Arc::clone(&aws).serve(listener));
        Self { aws, base, server }
    }

    fn connector(&self) -> AwsConnector<FixedClock> {
        let servers = ServerConnections::new(CustomerServers::Public, None).unwrap();
        AwsConnector::new(self.base.clone(), servers, "unused".to_owned(), FixedClock)
    }

    /// Returns the code of the connection test; `None`: success.
    async fn test_connection(&self) -> Option<ConnectionErrorCode> {
        let configurations = ConfigurationTable::new(aws_sdk_dynamodb::Client::new(&self.base), "unused".to_owned());
        let connector = self.connector();
        let test = ConnectionTest { configurations: &configurations, connector: &connector, clock: &FixedClock };
        let outcome = test.try_out(&self.aws.configuration, Duration::from_mins(1), &()).await.unwrap();
        outcome.connection.error().map(|error| error.code)
    }

    async fn sink(&self) -> S3ObjectSink {
        let configuration = &self.aws.configuration;
        self.connector().connect(configuration, &configuration.destination).await.unwrap()
    }

    fn versions(&self) -> Vec<(String, Stored)> {
        self.aws.state.lock().unwrap().versions.clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Delivers an object like an export.
async fn deliver(
    sink: &S3ObjectSink,
    name: &str,
    content_type: ContentType,
    shape: UploadShape,
) -> Result<Uploaded, PortError> {
    let bytes = Bytes::from_static(b"0123456789");
    let sha256 = Sha256::digest(&bytes).into();
    upload(sink, &FixedClock, &Upload { key: &format!("{ID}/{name}"), bytes, sha256, shape, content_type }).await
}

// Row: Object Lock, no default retention
// Row: encryption: SSE-KMS, key of another account
// Row: policy demands `s3:if-none-match`
// Row: policy demands `aws:kms` and a key
#[tokio::test]
async fn the_test_and_every_delivery_pass_the_strictest_bucket() {
    for configuration in [across_accounts(), in_one_account()] {
        let applied = Applied::as_printed(&configuration);
        let world = World::new(configuration, applied).await;
        // A second test leaves no second version, which Object Lock would keep.
        for _ in 0..2 {
            assert_eq!(world.test_connection().await, None);
        }
        let [(name, marker)] = world.versions().try_into().unwrap();
        assert_eq!((name.as_str(), marker.content_type.as_str()), (MARKER, "text/plain; charset=utf-8"));

        let sink = world.sink().await;
        let single = UploadShape::Single;
        let parts = UploadShape::Multipart { part_size: 6 };
        let deliveries = [
            ("date=2026-11-22/a.ndjson.gz", ContentType::Gzip, single, "application/gzip"),
            ("date=2026-11-22/b.ndjson.gz", ContentType::Gzip, parts, "application/gzip"),
            ("_digests/0.json.sig", ContentType::Binary, single, "application/octet-stream"),
            ("_digests/0.json", ContentType::Json, single, "application/json"),
        ];
        for (name, content_type, shape, header) in deliveries {
            assert_eq!(deliver(&sink, name, content_type, shape).await, Ok(Uploaded::Written), "{name}");
            let (key, stored) = world.versions().pop().unwrap();
            assert_eq!((key, stored.content_type.as_str()), (format!("{ID}/{name}"), header));
            assert_eq!(stored.body, b"0123456789");
            let again = deliver(&sink, name, content_type, UploadShape::Single).await;
            assert_eq!(again, Ok(Uploaded::Existed { was_repeated: false }), "{name}");
        }
        assert_eq!(world.versions().len(), 1 + deliveries.len());
        assert!(world.aws.state.lock().unwrap().uploads.is_empty());
    }
}

/// The policy with `entry` taken out of every list under `element`.
fn without(policy: &Value, element: &str, entry: &str) -> Value {
    let mut changed = policy.clone();
    for statement in changed["Statement"].as_array_mut().unwrap() {
        statement[element].as_array_mut().unwrap().retain(|kept| kept != entry);
    }
    assert_ne!(&changed, policy, "{entry}");
    changed
}

/// The printed policies without one of their entries each, and the code that this fails with. `kms:Decrypt` stays.
fn less_by_one() -> Vec<(Applied, ConnectionErrorCode)> {
    let applied = Applied::as_printed(&across_accounts());
    let of_bucket = applied.bucket.clone().unwrap();
    let of_key = applied.key.clone().unwrap();
    let role = |policy| Applied { writer: policy, ..applied.clone() };
    let bucket = |policy| Applied { bucket: Some(policy), ..applied.clone() };
    let key = |policy| Applied { key: Some(policy), ..applied.clone() };
    let mut less = Vec::new();
    let exports = format!("arn:aws:s3:::acme-audit/{ID}/*");
    let marker = format!("arn:aws:s3:::acme-audit/{MARKER}");
    let writes =
        [("Action", "s3:PutObject"), ("Action", "s3:PutObjectAcl"), ("Resource", &exports), ("Resource", &marker)];
    for (element, entry) in writes {
        less.push((role(without(&applied.writer, element, entry)), ConnectionErrorCode::WriteDenied));
        less.push((bucket(without(&of_bucket, element, entry)), ConnectionErrorCode::WriteDenied));
    }
    for (element, entry) in [("Action", "kms:GenerateDataKey"), ("Resource", KEY)] {
        less.push((role(without(&applied.writer, element, entry)), ConnectionErrorCode::KmsDenied));
    }
    for (element, entry) in [("Action", "kms:GenerateDataKey"), ("Resource", "*")] {
        less.push((key(without(&of_key, element, entry)), ConnectionErrorCode::KmsDenied));
    }
    let mut another = of_key;
    another["Statement"][0]["Principal"]["AWS"] = json!("arn:aws:iam::222222222222:role/another");
    less.push((key(another), ConnectionErrorCode::KmsDenied));
    less
}

#[tokio::test]
async fn without_any_one_permission_the_test_says_which_kind_is_missing() {
    for (applied, code) in less_by_one() {
        let world = World::new(across_accounts(), applied.clone()).await;
        assert_eq!(world.test_connection().await, Some(code), "{applied:?}");
    }
}

/// Windows of earlier versions write larger objects in parts.
#[tokio::test]
async fn only_uploads_in_parts_need_to_decrypt() {
    let printed = Applied::as_printed(&across_accounts());
    let writer = without(&printed.writer, "Action", "kms:Decrypt");
    let world = World::new(across_accounts(), Applied { writer, ..printed }).await;
    assert_eq!(world.test_connection().await, None);
    let sink = world.sink().await;
    let single = deliver(&sink, "a", ContentType::Gzip, UploadShape::Single).await;
    assert_eq!(single, Ok(Uploaded::Written));
    let parts = deliver(&sink, "b", ContentType::Gzip, UploadShape::Multipart { part_size: 6 }).await;
    assert_eq!(parts.unwrap_err().kind, ErrorKind::Customer(ConnectionFailure::KmsDenied));
}

/// A repair that overwrites sends no condition, so a bucket that requires one keeps what it has.
// Row: policy demands `s3:if-none-match`
#[tokio::test]
async fn a_bucket_that_requires_conditional_writes_denies_to_overwrite() {
    let world = World::new(in_one_account(), Applied::as_printed(&in_one_account())).await;
    let sink = world.sink().await;
    let written = deliver(&sink, "a", ContentType::Gzip, UploadShape::Single).await;
    assert_eq!(written, Ok(Uploaded::Written));
    let before = world.versions().len();
    let replaced = deliver(&sink, "a", ContentType::Gzip, UploadShape::Replacing).await;
    assert_eq!(replaced.unwrap_err().kind, ErrorKind::Customer(ConnectionFailure::WriteDenied));
    assert_eq!(world.versions().len(), before);
}
