//! Every request of the adapters, answered as AWS does.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use domain::{export_run::BlockRange, operator_reason::OperatorReason, tenant::TenantId, time::Timestamp};
use serde_json::json;
use strum::IntoEnumIterator;

use super::*;
use crate::{
    call::Call,
    failure::CallFailureKind,
    ports::{
        ArchiveStanding, Archives, Inspection, Invocation, Invocations, KeyState, MessageMoves, Objects, Overviews,
        Queues, TableState, Volumes,
    },
    stack::{Function, Queue, Stack},
};

type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// Returns the IAM action of a request.
fn action(request: &http::Request<SdkBody>) -> String {
    let body = body(request);
    let (method, path) = (request.method().as_str(), request.uri().path());
    let target = request.headers().get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    if let Some((service, operation)) = target.as_deref().and_then(|target| target.split_once('.')) {
        let service = match service {
            "AmazonSQS" => "sqs",
            "DynamoDB_20120810" => "dynamodb",
            "TrentService" => "kms",
            other => other,
        };
        // A batch needs the permission of one.
        return format!("{service}:{}", operation.trim_end_matches("Batch"));
    }
    if let Some(operation) = body.strip_prefix("Action=") {
        return format!("cloudformation:{}", operation.split('&').next().unwrap());
    }
    match (method, path) {
        ("GET", path) if path.contains("/account-settings") => "lambda:GetAccountSettings".to_owned(),
        ("POST", path) if path.ends_with("/invocations") => "lambda:InvokeFunction".to_owned(),
        ("GET", path) if path.starts_with("/schedules/") => "scheduler:GetSchedule".to_owned(),
        ("GET", _) => "s3:GetObject".to_owned(),
        other => format!("unknown: {other:?}"),
    }
}

fn body(request: &http::Request<SdkBody>) -> String {
    String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap()
}

fn answer(action: &str) -> String {
    let json = match action {
        "cloudformation:DescribeStacks" => return STACKS.to_owned(),
        "cloudformation:ListStackResources" => return RESOURCES.to_owned(),
        "s3:GetObject" => return "{}".to_owned(),
        "lambda:InvokeFunction" => json!({ "tenantId": "acme" }),
        "lambda:GetAccountSettings" => {
            json!({ "AccountLimit": { "ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": 900 } })
        }
        "scheduler:GetSchedule" => json!({ "State": "ENABLED" }),
        "kms:DescribeKey" => json!({ "KeyMetadata": { "KeyId": "1", "KeyState": "PendingDeletion" } }),
        "kms:GetKeyRotationStatus" => json!({ "KeyRotationEnabled": true }),
        "dynamodb:DescribeTable" => json!({ "Table": { "TableStatus": "ACTIVE" } }),
        "dynamodb:DescribeTimeToLive" => json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "ENABLED" } }),
        "dynamodb:DescribeContinuousBackups" => json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" },
        } }),
        "dynamodb:Query" | "dynamodb:Scan" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
        "sqs:GetQueueAttributes" => json!({ "Attributes": {
            "QueueArn": "arn:aws:sqs:eu-central-1:111111111111:dead",
            "ApproximateNumberOfMessages": "3",
            "ApproximateNumberOfMessagesNotVisible": "2",
            "ApproximateNumberOfMessagesDelayed": "1",
        } }),
        "sqs:ReceiveMessage" => json!({ "Messages": [{
            "MessageId": "1", "ReceiptHandle": "handle", "Body": "an event",
            "Attributes": { "MessageGroupId": "acme" },
            "MessageAttributes": { "tenantId": { "DataType": "String", "StringValue": "acme" } },
        }] }),
        "sqs:SendMessage" => {
            json!({ "Successful": [{ "Id": "0", "MessageId": "2", "MD5OfMessageBody": "" }], "Failed": [] })
        }
        "sqs:DeleteMessage" => json!({ "Successful": [{ "Id": "0" }], "Failed": [] }),
        "sqs:ListMessageMoveTasks" => {
            json!({ "Results": [{ "Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 7 }] })
        }
        _ => json!({}),
    };
    json.to_string()
}

const STACKS: &str = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>production</StackName>\
    <StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-22T00:00:00Z</CreationTime><Parameters>\
    <member><ParameterKey>DevelopmentSlotSeconds</ParameterKey><ParameterValue>0</ParameterValue></member>\
    <member><ParameterKey>SettleSeconds</ParameterKey><ParameterValue>1200</ParameterValue></member>\
    <member><ParameterKey>RetentionDays</ParameterKey><ParameterValue>30</ParameterValue></member>\
    <member><ParameterKey>TableDays</ParameterKey><ParameterValue>7</ParameterValue></member>\
    </Parameters></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";

const RESOURCES: &str = "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>\
    <member><LogicalResourceId>ExportConfigurationsTable</LogicalResourceId>\
    <PhysicalResourceId>configurations</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType></member>\
    <member><LogicalResourceId>AuditEventsTable</LogicalResourceId>\
    <PhysicalResourceId>events</PhysicalResourceId><ResourceType>AWS::DynamoDB::Table</ResourceType></member>\
    <member><LogicalResourceId>ArchiveBucket</LogicalResourceId>\
    <PhysicalResourceId>archive</PhysicalResourceId><ResourceType>AWS::S3::Bucket</ResourceType></member>\
    <member><LogicalResourceId>RunFailedAlarm</LogicalResourceId>\
    <PhysicalResourceId>production-RunFailedAlarm</PhysicalResourceId>\
    <ResourceType>AWS::CloudWatch::Alarm</ResourceType></member>\
    </StackResourceSummaries></ListStackResourcesResult></ListStackResourcesResponse>";

/// Returns a client of an account, and the requests that it gets: their actions and bodies.
fn account(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> (Aws, Requests) {
    let requests = Requests::default();
    let recorded = Arc::clone(&requests);
    let http = infallible_client_fn(move |request| {
        let action = action(&request);
        let (status, text) = answer(&action);
        recorded.lock().unwrap().push((action, body(&request)));
        http::Response::builder().status(status).header("content-length", text.len()).body(text).unwrap()
    });
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let configuration = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    let cloudwatch = CloudWatch::new(&configuration, Machine).unwrap();
    (Aws::new(&configuration, cloudwatch), requests)
}

fn working_account() -> (Aws, Requests) {
    account(|action| (200, answer(action)))
}

async fn stack_of(aws: &Aws) -> Stack {
    aws.stack("production").await.unwrap()
}

/// Makes every request, except those to `CloudWatch`.
async fn use_everything(aws: &Aws) {
    let stack = stack_of(aws).await;
    assert_eq!(
        (stack.retention.as_secs(), stack.alarms()),
        (30 * 86_400, &["production-RunFailedAlarm".to_owned()][..])
    );
    assert!(stack.id_of(Queue::EventsQueue).is_err());

    let queue = aws.queue("https://sqs/dead").await.unwrap();
    assert_eq!((queue.visible, queue.in_flight, queue.delayed), (3, 2, 1));
    assert!(aws.is_schedule_enabled("production", "Every2HoursSchedule").await.unwrap());
    let key = aws.key("1", true).await.unwrap();
    assert_eq!(key, KeyState { state: "PendingDeletion".to_owned(), is_rotated: Some(true) });
    let table = aws.table("events").await.unwrap();
    assert_eq!(table, TableState { status: "ACTIVE".to_owned(), has_time_to_live: true, has_recovery: false });
    assert_eq!(aws.concurrency().await.unwrap().unreserved, 900);

    let acme = TenantId::parse("acme").unwrap();
    for tenant in [None, Some(&acme)] {
        assert!(aws.overviews(&stack, tenant, None).await.unwrap().overviews.is_empty());
    }
    assert_eq!(aws.volume(&stack, &acme, BlockRange::all(), 1).await.unwrap().blocks, 0);
    assert_eq!(aws.archive(&stack, Timestamp::EPOCH).await.unwrap(), ArchiveStanding::default());
    assert_eq!(aws.object("acme-audit", "digest.json", 2).await.unwrap().unwrap(), b"{}");
    let failure = aws.object("acme-audit", "digest.json", 1).await.unwrap_err();
    assert!(failure.detail.contains("more than 1"), "{failure}");

    let reason = OperatorReason::try_from("ticket 4711".to_owned()).unwrap();
    let payload = json!({ "reason": reason.as_str() });
    for function in [Function::ExporterFunction, Function::HousekeeperFunction] {
        let outcome = aws.invoke(function, "function", &payload).await.unwrap();
        assert_eq!(outcome, Invocation::Returned(json!({ "tenantId": "acme" })));
    }
    aws.start_move("dead", "live").await.unwrap();
    assert_eq!(aws.progress("dead").await.unwrap().unwrap().moved, 7);
    assert_eq!(aws.move_some("https://sqs/dead", "https://sqs/live").await.unwrap(), 1);
}

#[tokio::test]
async fn every_request_has_a_permission_and_every_permission_a_request() {
    let (aws, requests) = working_account();
    use_everything(&aws).await;
    let made: BTreeSet<String> = requests.lock().unwrap().iter().map(|(action, _)| action.clone()).collect();
    // Its client is given the call, and names the operation by it.
    let permitted = Call::iter().map(Call::action).filter(|action| !action.starts_with("cloudwatch:"));
    assert_eq!(made, permitted.map(str::to_owned).collect());
}

#[tokio::test]
async fn a_message_keeps_its_attributes_and_its_group() {
    let (aws, requests) = working_account();
    aws.move_some("https://sqs/dead", "https://sqs/live").await.unwrap();
    let requests = requests.lock().unwrap();
    let (_, sent) = requests.iter().find(|(action, _)| action == "sqs:SendMessage").unwrap();
    let sent: serde_json::Value = serde_json::from_str(sent).unwrap();
    let entry = &sent["Entries"][0];
    assert_eq!((&entry["MessageBody"], &entry["MessageGroupId"]), (&json!("an event"), &json!("acme")));
    assert_eq!(entry["MessageAttributes"]["tenantId"]["StringValue"], "acme");
    let (last, deleted) = requests.last().unwrap();
    assert_eq!(last, "sqs:DeleteMessage");
    assert!(deleted.contains("handle"), "{deleted}");
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_not_deleted() {
    let (aws, requests) = account(|action| {
        let failed =
            json!({ "Successful": [], "Failed": [{ "Id": "0", "Code": "InternalError", "SenderFault": false }] });
        (200, if action == "sqs:SendMessage" { failed.to_string() } else { answer(action) })
    });
    let failure = aws.move_some("https://sqs/dead", "https://sqs/live").await.unwrap_err();
    assert!(failure.to_string().contains("InternalError"), "{failure}");
    assert!(requests.lock().unwrap().iter().all(|(action, _)| action != "sqs:DeleteMessage"));
}

#[tokio::test]
async fn failures_are_classified() {
    for (status, code, kind) in [
        (400, "UnrecognizedClientException", CallFailureKind::Unauthenticated),
        (400, "AccessDeniedException", CallFailureKind::Denied),
        (400, "ThrottlingException", CallFailureKind::Unavailable),
        (500, "InternalServerError", CallFailureKind::Unavailable),
        (400, "ResourceNotFoundException", CallFailureKind::Refused),
        (400, "UnknownOperationException", CallFailureKind::Unsupported),
    ] {
        let body = json!({ "__type": code, "message": "no" }).to_string();
        let (aws, _) =
            account(
                move |action| {
                    if action.starts_with("dynamodb:") { (status, body.clone()) } else { (200, answer(action)) }
                },
            );
        let failure = aws.table("events").await.unwrap_err();
        assert_eq!((failure.call, failure.kind), (Call::DescribeTable, kind), "{failure}");
        assert!(failure.detail.contains(code), "{failure}");
        // The same through the service's own stores.
        let stack = stack_of(&aws).await;
        let Failure::Call(failure) = aws.overviews(&stack, None, None).await.unwrap_err() else { unreachable!() };
        assert_eq!((failure.call, failure.kind), (Call::ScanConfigurations, kind), "{failure}");
    }
}
