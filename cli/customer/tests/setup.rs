//! `audit-export setup --answers FILE --yes`, from nothing to a verified first file, with a double of the AWS command line and
//! local servers for the service and S3.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;
#[path = "../src/test_server.rs"]
mod test_server;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use support::{CONFIGURATION, Export, Signer};
use tempfile::TempDir;
use test_server::{Request, response, serve};

/// Columns of a narrow terminal. Only lines with an ID are longer.
const WIDTH: usize = 80;
const END: &str = "2026-11-22T06:00:00.000Z";
const STACK: &str = "audit-export-0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

/// Records its commands. The stack is the file `stack`; while there is a file `denied`, nothing is created.
const AWS: &str = r#"#!/bin/sh
cd "$AWS_DOUBLE" || exit 2
echo "$*" >> commands
refuse() { echo "$1" >&2; exit 254; }
case "$1 $2" in
"sts get-caller-identity") echo '{"Account": "222222222222", "Arn": "arn:aws:iam::222222222222:user/zoe"}' ;;
"cloudformation describe-stacks")
    [ -f stack ] || refuse "An error occurred (ValidationError): Stack with id $6 does not exist"
    echo '"CREATE_COMPLETE"' ;;
"cloudformation create-stack")
    [ ! -f denied ] || refuse "An error occurred (AccessDenied) when calling the CreateStack operation: Not authorized"
    touch stack ;;
"cloudformation update-stack") refuse "An error occurred (ValidationError): No updates are to be performed." ;;
*) refuse "unexpected: $*" ;;
esac
"#;

/// The service with one configuration, whose connection test succeeds from the second attempt on.
#[derive(Default)]
struct Service {
    created: Option<Value>,
    tests: usize,
    has_run: bool,
    /// The names of the operations, in order.
    operations: Vec<String>,
}

impl Service {
    fn answer(&mut self, request: &Request, export: &Export, signer: &Signer) -> Vec<u8> {
        let question: Value = serde_json::from_str(&request.body).unwrap();
        let query = question["query"].as_str().unwrap();
        let field = query.split("{ ").nth(1).unwrap().split([' ', '(']).next().unwrap();
        let data = match field {
            "exportServiceIdentity" => json!({ "account": "111111111111", "partition": "aws", "region": "us-east-1" }),
            "createS3AssumedRoleExportConfiguration" | "createS3AccessKeyExportConfiguration" => {
                self.created = Some(question["variables"]["data"].clone());
                self.configuration()
            }
            "testExportConfiguration" => {
                self.tests += 1;
                self.configuration()
            }
            "getExportConfigurationPolicies" => policies(),
            "runExportConfiguration" => {
                self.has_run = true;
                self.configuration()
            }
            "getExportConfiguration" => self.configuration(),
            "getAllExportJobs" => jobs(export),
            "getAllExportJobTasks" => {
                let object = export.objects.first().unwrap();
                let key = format!("audit/logs/{CONFIGURATION}/{object}");
                json!([{ "id": format!("{CONFIGURATION}.0.0"), "attempts": 1, "offset": 0, "limit": 3,
                    "status": "SUCCEEDED", "failureReason": null, "bytes": export.files[object].len(), "objectKey": key }])
            }
            "exportSigningKeys" => {
                json!([{ "fingerprint": signer.fingerprint().to_string(), "publicKey": signer.public_key_pem() }])
            }
            "getExportDigest" => json!({ "bucketName": "acme-audit", "objectKey": export.head.as_ref().unwrap().key,
                "sha256": export.head.as_ref().unwrap().sha256.to_string() }),
            other => panic!("unexpected: {other}"),
        };
        self.operations.push(field.to_owned());
        response("200 OK", "", json!({ "data": { field: data } }).to_string())
    }

    fn configuration(&self) -> Value {
        let created = self.created.as_ref().unwrap();
        let (status, error) = match self.tests {
            0 => ("PENDING", Value::Null),
            1 => ("FAILED", json!({ "code": "ROLE_NOT_ASSUMABLE", "message": "Create the role." })),
            _ => ("SUCCESS", Value::Null),
        };
        let exported = if self.has_run { json!(END) } else { Value::Null };
        json!({
            "id": CONFIGURATION, "version": 1, "description": null,
            "type": if created["roleArn"].is_null() { "S3_ACCESS_KEY" } else { "S3_ASSUMED_ROLE" },
            "interval": created["interval"], "enabled": true, "connectionStatus": status, "connectionCheckedAt": null,
            "connectionError": error,
            "endpointConfiguration": {
                "bucketName": created["bucketName"], "bucketPath": created["bucketPath"], "region": created["region"],
                "roleArn": created["roleArn"], "accessKeyId": created["accessKeyId"], "kmsKeyArn": null,
                "expectedBucketOwner": null, "endpointUrl": created["endpointUrl"],
            },
            "principalArn": created["roleArn"], "exportedThrough": exported, "lastExport": null,
            "nextExportAt": "2026-11-23T00:20:00.000Z", "requestedRunThrough": END, "consecutiveFailures": 0,
            "startFrom": "2026-11-21T20:00:00.000Z", "externalId": CONFIGURATION, "createdBy": "zoe", "createdAt": END,
            "updatedBy": "zoe", "updatedAt": END, "nextSteps": [], "connectionChecks": [], "backlog": null,
            "status": {
                "health": "OK", "lagSeconds": 0, "lastSuccessAt": null, "exportedThrough": exported,
                "consecutiveFailures": 0, "nextExportAt": null, "retentionUsedPercent": 0, "advice": "",
            },
        })
    }
}

fn policies() -> Value {
    let document = json!({ "document": "{}", "isRequired": true, "instruction": "Put it there." });
    let parameters = [("ExternalId", CONFIGURATION), ("RoleName", "audit-export"), ("CreateBucket", "false")];
    let parameters = parameters.map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "externalId": CONFIGURATION, "principalArn": "arn:aws:iam::222222222222:role/audit-export",
        "trustPolicy": document, "iamPolicy": document, "bucketPolicy": document, "kmsKeyPolicyStatement": null,
        "cloudFormation": { "launchUrl": null, "parameters": parameters },
    })
}

fn jobs(export: &Export) -> Value {
    let job = |sequence: usize| {
        json!({
            "id": format!("{CONFIGURATION}.{sequence}"), "startTimestamp": "2026-11-21T20:00:00.000Z",
            "endTimestamp": "2026-11-21T22:00:00.000Z", "attempts": 1, "status": "SUCCEEDED", "failureReason": null,
            "objects": 2, "events": 5, "bytes": 500, "gaps": [], "exportConfigurationId": CONFIGURATION,
        })
    };
    (0..export.digests.len()).rev().map(job).collect()
}

/// The export in a bucket: one page of a list, and whole objects.
fn bucket(request: &Request, export: &Export) -> Vec<u8> {
    let target = request.head[0].split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let [path, query] =
        [path, query].map(|text| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned());
    let prefix = format!("audit/logs/{CONFIGURATION}/");
    if let Some(name) = path.strip_prefix(&format!("/acme-audit/{prefix}")) {
        return match export.files.get(name) {
            Some(bytes) => response("200 OK", "etag: \"x\"\r\n", bytes),
            None => response("404 Not Found", "", "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"),
        };
    }
    let folder = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap();
    let keys = export.files.iter().map(|(name, bytes)| (format!("{prefix}{name}"), bytes.len()));
    let entries: Vec<String> = keys
        .filter(|(key, _)| key.starts_with(folder))
        .map(|(key, length)| format!("<Contents><Key>{key}</Key><Size>{length}</Size></Contents>"))
        .collect();
    let list = format!("<ListBucketResult>{}<IsTruncated>false</IsTruncated></ListBucketResult>", entries.concat());
    response("200 OK", "", list)
}

/// A machine with the program, a token, answers, and the doubles.
struct Desk {
    directory: TempDir,
    service: Arc<Mutex<Service>>,
    urls: [String; 2],
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::generate();
        let export = Arc::new(Export::sample(&signer, true));
        let service = Arc::<Mutex<Service>>::default();
        let (of_service, of_bucket, state) = (Arc::clone(&export), export, Arc::clone(&service));
        let urls = [
            serve(move |request| state.lock().unwrap().answer(request, &of_service, &signer)),
            serve(move |request| bucket(request, &of_bucket)),
        ];
        let desk = Self { directory, service, urls };
        desk.write("aws", AWS);
        fs::set_permissions(desk.directory.path().join("aws"), fs::Permissions::from_mode(0o700)).unwrap();
        desk.write("token", "token\n");
        let answers = json!({
            "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "bucketPath": "audit/logs", "region": "eu-central-1",
            "roleArn": "arn:aws:iam::222222222222:role/audit-export", "startFrom": "earliest",
        });
        desk.write("answers.json", &answers.to_string());
        desk
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    fn commands(&self) -> String {
        fs::read_to_string(self.directory.path().join("commands")).unwrap()
    }

    fn setup(&self) -> Output {
        self.command(&["--answers", "answers.json", "--yes"]).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let directory = self.directory.path();
        let [service, bucket] = &self.urls;
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
        command
            .args(["setup", "--token-file", "token", "--url", service])
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
            .env("HOME", directory)
            .env("TZ", "UTC")
            .env("AWS_DOUBLE", directory)
            .env("AWS_ENDPOINT_URL", bucket)
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "eu-central-1");
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_refused_stack_is_repeated_up_to_the_verified_first_file() {
    let desk = Desk::new();
    desk.write("denied", "");
    let refused = desk.setup();
    let reason = text(&refused.stderr);
    assert_eq!((refused.status.code(), &*text(&refused.stdout)), (Some(12), ""), "{reason}");
    assert!(reason.ends_with(
        "error: not finished: aws cloudformation create-stack: An error occurred (AccessDenied) when calling the CreateStack \
         operation: Not authorized\n"
    ));

    fs::remove_file(desk.directory.path().join("denied")).unwrap();
    let done = desk.setup();
    let shown = format!("{}{}", text(&done.stderr), text(&done.stdout));
    assert_eq!(done.status.code(), Some(0), "{shown}");
    let has_id = |line: &str| line.contains(CONFIGURATION);
    assert!(shown.lines().all(|line| line.chars().count() <= WIDTH || has_id(line)), "{shown}");
    insta::assert_snapshot!("setup_with_credentials", shown);

    // Nothing was created twice, and the test was repeated until the role could be assumed.
    let operations = desk.service.lock().unwrap().operations.clone();
    let count = |name: &str| operations.iter().filter(|operation| *operation == name).count();
    assert_eq!(count("createS3AssumedRoleExportConfiguration"), 1, "{operations:?}");
    assert_eq!((count("testExportConfiguration"), count("runExportConfiguration")), (2, 1), "{operations:?}");
    let commands = desk.commands();
    let created: Vec<&str> = commands.lines().filter(|command| command.contains("create-stack")).collect();
    assert_eq!(created.len(), 2, "{commands}");
    for part in [
        format!("--region eu-central-1 --stack-name {STACK} --template-body file://"),
        format!(r#"{{"ParameterKey":"ExternalId","ParameterValue":"{CONFIGURATION}"}}"#),
        "--capabilities CAPABILITY_NAMED_IAM".to_owned(),
    ] {
        assert!(created[1].contains(&part), "{commands}");
    }
    assert!(!desk.directory.path().join(".config/audit-export/config.setup.json").exists());
}

#[test]
fn an_export_to_another_server_is_created_from_a_file() {
    let desk = Desk::new();
    let answers = json!({
        "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "bucketPath": "audit/logs", "region": "garage",
        "endpointUrl": "https://s3.example.com:3900", "accessKeyId": "audit-export",
    });
    desk.write("answers.json", &answers.to_string());
    let mut command = desk.command(&["--answers", "answers.json"]);
    command.env("AUDIT_EXPORT_SECRET_ACCESS_KEY", "not-a-secret-of-anybody").env_remove("PATH");
    // The first test fails, and the second succeeds.
    let failed = command.output().unwrap();
    let shown = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(7), "{shown}");
    assert!(shown.contains("iam-policy.json") && !shown.contains("aws "), "{shown}");
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));

    let service = desk.service.lock().unwrap();
    let mut created = service.created.clone().unwrap();
    assert!(created.as_object_mut().unwrap().remove("idempotencyKey").is_some());
    let mut expected = answers;
    expected["secretAccessKey"] = json!("not-a-secret-of-anybody");
    assert_eq!(created, expected);
    let creations = service.operations.iter().filter(|operation| operation.starts_with("create"));
    assert_eq!(creations.collect::<Vec<_>>(), ["createS3AccessKeyExportConfiguration"]);
}
