//! That the policies that we print allow an export to use the bucket's key, and nothing that it doesn't need.
//!
//! The emulator doesn't ask KMS when S3 encrypts. Here AWS is a double that does, as AWS documents it: the connection test
//! runs with the policies as printed, and then with each permission taken away.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use aws::{configurations::ConfigurationTable, connector::AwsConnector};
use aws_config::{BehaviorVersion, Region as SdkRegion, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, Destination, ExportConfiguration, ExportProgress,
        ServiceIdentity,
        arn::{AccountId, KmsKeyArn, RoleArn},
        bucket::BucketName,
        region::{Partition, Region},
    },
    connection::{Connection, ConnectionErrorCode},
    customer_policy::CustomerPolicies,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export::{connection_test::ConnectionTest, ports::Clock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";
const ROLE: &str = "arn:aws:iam::222222222222:role/export";
/// In another account than the role, so that both the role's policy and the key's have to allow its use.
const KEY: &str = "arn:aws:kms:eu-west-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn configuration() -> ExportConfiguration {
    ExportConfiguration {
        key: ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::parse(ID).unwrap(),
        },
        version: 1,
        description: None,
        interval: ExportInterval::Every24Hours,
        enabled: true,
        destination: Destination {
            bucket_name: BucketName::parse("acme-audit").unwrap(),
            bucket_path: None,
            region: Region::parse("eu-west-1").unwrap(),
            kms_key_arn: Some(KmsKeyArn::parse(KEY).unwrap()),
            expected_bucket_owner: AccountId::parse("333333333333").ok(),
        },
        authentication: Authentication::AssumedRole { role_arn: RoleArn::parse(ROLE).unwrap() },
        user_arn: None,
        start_from: Timestamp::EPOCH,
        connection: Connection::Pending,
        progress: ExportProgress::default(),
        requested_through: None,
        requested_until: None,
        created_by: "user".to_owned(),
        created_at: Timestamp::EPOCH,
        updated_by: "user".to_owned(),
        updated_at: Timestamp::EPOCH,
    }
}

/// What a customer has put in place.
#[derive(Clone, Debug)]
struct Applied {
    iam_policy: Value,
    key_policy: Value,
}

impl Applied {
    fn as_printed() -> Self {
        let service = ServiceIdentity {
            account: AccountId::parse("111111111111").unwrap(),
            partition: Partition::Commercial,
            region: Region::parse("eu-west-1").unwrap(),
        };
        let policies = CustomerPolicies::of(&configuration(), &service);
        let statement = policies.kms_key_policy_statement.unwrap().document;
        Self {
            iam_policy: serde_json::from_str(&policies.iam_policy.document).unwrap(),
            key_policy: json!({ "Statement": [serde_json::from_str::<Value>(&statement).unwrap()] }),
        }
    }

    /// Across accounts, both have to.
    fn allows(&self, action: &str) -> bool {
        let has = |list: &Value, wanted: &str| list.as_array().unwrap().iter().any(|entry| entry == wanted);
        let any = |policy: &Value, test: &dyn Fn(&Value) -> bool| {
            policy["Statement"]
                .as_array()
                .unwrap()
                .iter()
                .any(|statement| has(&statement["Action"], action) && test(statement))
        };
        any(&self.iam_policy, &|statement| has(&statement["Resource"], KEY))
            && any(&self.key_policy, &|statement| {
                statement["Principal"]["AWS"] == ROLE && has(&statement["Resource"], "*")
            })
    }
}

/// STS and S3, with a bucket that encrypts with the key.
async fn serve(listener: TcpListener, applied: Arc<Applied>) {
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(connection, Arc::clone(&applied)));
    }
}

async fn answer(mut connection: TcpStream, applied: Arc<Applied>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).await.unwrap();
    let (status, text) = respond(head.lines().next().unwrap(), &String::from_utf8_lossy(&body), &applied);
    let length = text.len();
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n{text}");
    connection.write_all(answer.as_bytes()).await.unwrap();
}

/// Which permission each request takes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html> (Permissions).
fn respond(request: &str, body: &str, applied: &Applied) -> (&'static str, String) {
    let key_action = if body.contains("Action=AssumeRole") {
        return assume_role(body);
    } else if request.starts_with("PUT ") && !request.contains("partNumber=") {
        let error = "<Error><Code>BadDigest</Code><Message>The SHA256 you specified did not match</Message></Error>";
        return ("400 Bad Request", error.to_owned());
    } else if request.contains("?uploads") {
        "kms:GenerateDataKey"
    } else if request.contains("partNumber=") {
        "kms:Decrypt"
    } else {
        assert!(request.starts_with("POST ") && request.contains("uploadId="), "{request}");
        return ("200 OK", "<CompleteMultipartUploadResult/>".to_owned());
    };
    if applied.allows(key_action) {
        return (
            "200 OK",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>".to_owned(),
        );
    }
    let message = format!(
        "User: arn:aws:sts::222222222222:assumed-role/export/audit-export-{ID} is not authorized to perform: {key_action} on \
         resource: {KEY} because no identity-based policy allows the {key_action} action"
    );
    ("403 Forbidden", format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"))
}

fn assume_role(body: &str) -> (&'static str, String) {
    if !body.contains(&format!("ExternalId={ID}")) {
        let error = "<ErrorResponse><Error><Code>AccessDenied</Code><Message/></Error></ErrorResponse>";
        return ("403 Forbidden", error.to_owned());
    }
    let credentials = "<AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>";
    let result = format!("<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>");
    ("200 OK", format!("<AssumeRoleResponse>{result}</AssumeRoleResponse>"))
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-22T00:00:00Z").unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The code that the connection test ends with; `None`: success.
async fn test_connection(applied: Applied) -> Option<ConnectionErrorCode> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, Arc::new(applied)));
    let base = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(SdkRegion::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .retry_config(RetryConfig::disabled())
        .build();
    let configurations = ConfigurationTable::new(aws_sdk_dynamodb::Client::new(&base), "unused".to_owned());
    let connector = AwsConnector::new(base, "unused".to_owned());
    let test = ConnectionTest { configurations: &configurations, connector: &connector, clock: &FixedClock };
    let outcome = test.try_out(&configuration(), Duration::from_mins(1)).await.unwrap();
    server.abort();
    outcome.connection.error().map(|error| error.code)
}

#[tokio::test]
async fn the_printed_policies_are_enough() {
    assert_eq!(test_connection(Applied::as_printed()).await, None);
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

#[tokio::test]
async fn without_any_one_permission_the_key_is_denied() {
    let Applied { iam_policy, key_policy } = Applied::as_printed();
    let mut nobody = key_policy.clone();
    nobody["Statement"][0]["Principal"]["AWS"] = json!("arn:aws:iam::222222222222:role/another");
    let mut less = vec![
        Applied { iam_policy: without(&iam_policy, "Resource", KEY), key_policy: key_policy.clone() },
        Applied { iam_policy: iam_policy.clone(), key_policy: without(&key_policy, "Resource", "*") },
        Applied { iam_policy: iam_policy.clone(), key_policy: nobody },
    ];
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        less.push(Applied { iam_policy: without(&iam_policy, "Action", action), key_policy: key_policy.clone() });
        less.push(Applied { iam_policy: iam_policy.clone(), key_policy: without(&key_policy, "Action", action) });
    }
    for applied in less {
        assert_eq!(test_connection(applied.clone()).await, Some(ConnectionErrorCode::KmsDenied), "{applied:?}");
    }
}
