//! `audit-export setup --answers FILE --yes`, from nothing to a verified first file, with a double of the AWS command line and
//! local servers for the service and S3.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../../../shared/verification/tests/support/mod.rs"]
mod support;
#[path = "../src/test_server.rs"]
mod test_server;

use std::{
    fs::{self, File},
    io::{BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use serde_json::{Value, json};
use support::{CONFIGURATION, Export, Signer};
use tempfile::TempDir;
use test_server::{Request, response, serve};

/// Columns of a narrow terminal. Only lines with an ID are longer.
const WIDTH: usize = 80;
const END: &str = "2026-11-22T06:00:00.000Z";
const STACK: &str = "audit-export-0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";

/// Records its commands and the variables of the program that runs it. The stack is the file `stack`, which has its Region, and
/// `status` its status; while there is a file `denied`, nothing is created.
const AWS: &str = r#"#!/bin/sh
cd "$AWS_DOUBLE" || exit 2
echo "$*" >> commands
env | grep '^AUDIT_EXPORT_' >> variables
refuse() { echo "$1" >&2; exit 254; }
case "$1 $2" in
"sts get-caller-identity") echo '{"Account": "222222222222", "Arn": "arn:aws:iam::222222222222:user/zoe"}' ;;
"cloudformation describe-stacks")
    [ "$(cat stack)" = "$4" ] || refuse "An error occurred (ValidationError): Stack with id $6 does not exist"
    cat status ;;
"cloudformation describe-stack-events") echo '[]' ;;
"cloudformation delete-stack") rm stack ;;
"cloudformation create-stack")
    [ ! -f denied ] || refuse "An error occurred (AccessDenied) when calling the CreateStack operation: Not authorized"
    echo "$4" > stack
    echo '"CREATE_COMPLETE"' > status ;;
"cloudformation update-stack") refuse "An error occurred (ValidationError): No updates are to be performed." ;;
*) refuse "unexpected: $*" ;;
esac
"#;

/// The service with one configuration, whose connection test succeeds from the second attempt on.
#[derive(Default)]
struct Service {
    created: Option<Value>,
    tests: usize,
    /// Why every test fails.
    refusal: Option<&'static str>,
    /// Whether it received no events.
    is_empty: bool,
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
            "getAllExportJobs" if self.is_empty => json!([]),
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
        let (status, error) = match (self.tests, self.refusal) {
            (0, _) => ("PENDING", Value::Null),
            (_, Some(code)) => ("FAILED", json!({ "code": code, "message": "Change it." })),
            (1, _) => ("FAILED", json!({ "code": "ROLE_NOT_ASSUMABLE", "message": "Create the role." })),
            _ => ("SUCCESS", Value::Null),
        };
        let exported = if self.has_run && !self.is_empty { json!(END) } else { Value::Null };
        // Without events, an export begins after what a run could export.
        let start = if self.is_empty { "2026-11-22T06:10:00.000Z" } else { "2026-11-21T20:00:00.000Z" };
        json!({
            "id": CONFIGURATION, "version": 1, "description": null,
            "type": if created["roleArn"].is_null() { "S3_ACCESS_KEY" } else { "S3_ASSUMED_ROLE" },
            "interval": created["interval"], "format": "NDJSON_GZIP", "enabled": true, "connectionStatus": status, "connectionCheckedAt": null,
            "connectionError": error,
            "endpointConfiguration": {
                "bucketName": created["bucketName"], "bucketPath": created["bucketPath"], "region": created["region"],
                "roleArn": created["roleArn"], "accessKeyId": created["accessKeyId"], "kmsKeyArn": null,
                "expectedBucketOwner": null, "endpointUrl": created["endpointUrl"],
            },
            "principalArn": created["roleArn"], "exportedThrough": exported, "lastExport": null,
            "nextExportAt": "2026-11-23T00:20:00.000Z", "requestedRunThrough": END, "consecutiveFailures": 0,
            "startFrom": start, "externalId": CONFIGURATION, "createdBy": "zoe", "createdAt": END,
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
            "objects": 2, "events": 5, "leftOut": 0, "bytes": 500, "gaps": [], "exportConfigurationId": CONFIGURATION,
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
        self.read("commands")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    fn has_state(&self) -> bool {
        self.directory.path().join(".config/audit-export/config.setup.json").exists()
    }

    /// Runs setup with the answers of the file; returns the exit code and the output.
    fn answered(&self, options: &[&str]) -> (i32, String) {
        let output = self.command(&[&["--answers", "answers.json"], options].concat()).output().unwrap();
        (output.status.code().unwrap(), format!("{}{}", text(&output.stderr), text(&output.stdout)))
    }

    /// Changes fields of the answers.
    fn change_answers(&self, changes: &Value) {
        let mut answers: Value = serde_json::from_str(&self.read("answers.json")).unwrap();
        answers.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.write("answers.json", &answers.to_string());
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
    let [service, _] = &desk.urls;
    insta::assert_snapshot!("setup_with_credentials", shown.replace(&**service, "https://example.com/v1"));

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
    assert!(!desk.has_state());
}

#[test]
fn an_export_to_another_server_is_created_at_a_terminal() {
    let desk = Desk::new();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let terminal = openpt(flags).unwrap();
    unlockpt(&terminal).unwrap();
    let mut command = desk.command(&["--manual"]);
    let stream = || Stdio::from(ioctl_tiocgptpeer(&terminal, flags).unwrap());
    let mut child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
    // It holds the program's end, which has to be closed for this one to end.
    drop(command);
    let mut input = File::from(terminal.try_clone().unwrap());
    let mut output = BufReader::new(input.try_clone().unwrap()).bytes().map_while(Result::ok);
    let mut shown = Vec::new();
    for (question, answer) in [
        ("role or access-key", "access-key"),
        ("URL of the S3 server", "http://s3.example.com"),
        ("ENDPOINT_URL_INVALID", ""),
        ("URL of the S3 server", "https://s3.example.com:3900"),
        ("Hours between two exports", "24"),
        ("Bucket", "acme-audit"),
        ("Path in the bucket", "audit/logs"),
        ("The region that the server expects in signatures", "garage"),
        ("Access key ID", "audit-export"),
        ("Create it?", "yes"),
        ("Secret access key of audit-export", "not-a-secret-of-anybody"),
        ("Press Enter to test the connection", ""),
        ("retry, change, policies or quit", "retry"),
        ("The first file comes", ""),
    ] {
        let start = shown.len();
        let has = |shown: &[u8], words: &str| text(&shown[start..]).contains(words);
        let is_question = !matches!(question, "ENDPOINT_URL_INVALID" | "The first file comes");
        // Whole characters only: the text may be cut within one.
        while !(str::from_utf8(&shown[start..]).is_ok()
            && has(&shown, question)
            && (!is_question || shown.ends_with(b": ")))
        {
            shown.push(output.next().unwrap_or_else(|| panic!("{question}: {}", String::from_utf8_lossy(&shown))));
        }
        if is_question {
            writeln!(input, "{answer}").unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    let shown = text(&shown);
    let hidden = ["KMS", "Account that owns", "aws ", "not-a-secret-of-anybody"];
    assert!(hidden.iter().all(|words| !shown.contains(words)), "{shown}");
    let created = desk.service.lock().unwrap().created.clone().unwrap();
    let sent = ["endpointUrl", "region", "accessKeyId", "secretAccessKey"].map(|name| created[name].as_str().unwrap());
    assert_eq!(sent, ["https://s3.example.com:3900", "garage", "audit-export", "not-a-secret-of-anybody"]);
}

#[test]
fn the_command_line_of_aws_gets_no_secrets() {
    let desk = Desk::new();
    let mut command = desk.command(&["--answers", "answers.json", "--yes"]);
    let secrets = [("AUDIT_EXPORT_TOKEN", "token"), ("AUDIT_EXPORT_SECRET_ACCESS_KEY", "secret")];
    let output = command.envs(secrets).env("AUDIT_EXPORT_PLAIN", "shown").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let variables = desk.read("variables");
    assert!(
        variables.lines().count() > 1 && variables.lines().all(|line| line == "AUDIT_EXPORT_PLAIN=shown"),
        "{variables}"
    );
}

#[test]
fn the_stack_stays_in_its_region() {
    let desk = Desk::new();
    desk.service.lock().unwrap().refusal = Some("BUCKET_IN_ANOTHER_REGION");
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 7, "{shown}");
    {
        let mut service = desk.service.lock().unwrap();
        service.refusal = None;
        service.created.as_mut().unwrap()["region"] = json!("eu-west-1");
    }
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("delete-stack --region eu-central-1 \\\n    --stack-name "), "{shown}");
    let commands = desk.commands();
    let mut of_stack = commands.lines().filter(|command| command.starts_with("cloudformation"));
    assert!(of_stack.all(|command| command.contains("--region eu-central-1 ")), "{commands}");
    assert_eq!(commands.matches("create-stack").count(), 1, "{commands}");
}

#[test]
fn a_role_that_the_credentials_can_not_create_is_refused_first() {
    let desk = Desk::new();
    for role in ["arn:aws:iam::333333333333:role/audit-export", "arn:aws:iam::222222222222:role/team/audit-export"] {
        desk.change_answers(&json!({ "roleArn": role }));
        let (code, shown) = desk.answered(&["--yes"]);
        assert_eq!(code, 2, "{shown}");
        assert!(
            shown.contains("error: --yes: creates a role, so roleArn has to name one without a path in the account 2")
        );
    }
    // Security Lake creates that of its source.
    desk.change_answers(&json!({ "roleArn": "arn:aws:iam::222222222222:role/audit-export", "format": "OCSF_PARQUET" }));
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("that of an export as OCSF_PARQUET is created by Security Lake"), "{shown}");
    assert_eq!(desk.service.lock().unwrap().operations, ["exportServiceIdentity"; 3]);
    assert!(!desk.has_state());
}

#[test]
fn a_stack_of_a_person_is_left_alone() {
    let desk = Desk::new();
    desk.write("stack", "eu-central-1");
    desk.write("status", "\"REVIEW_IN_PROGRESS\"");
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 12, "{shown}");
    assert!(shown.contains(&format!("the stack {STACK} is REVIEW_IN_PROGRESS\n")), "{shown}");
    let command = format!("\n    aws cloudformation delete-stack --region eu-central-1 --stack-name {STACK}\n");
    assert!(shown.ends_with(&command), "{shown}");
    assert!(!desk.commands().contains("delete-stack"));

    // One whose creation was undone has nothing to lose.
    desk.write("status", "\"ROLLBACK_COMPLETE\"");
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("\nDeleting the stack first: it is ROLLBACK_COMPLETE, and has no resources.\n"), "{shown}");
}

#[test]
fn the_setup_of_another_tenant_does_not_continue() {
    let token = |tenant: &str| format!("e30.{}.x\n", URL_SAFE_NO_PAD.encode(format!(r#"{{"tenant_id":"{tenant}"}}"#)));
    let desk = Desk::new();
    desk.write("token", &token("acme"));
    assert_eq!(desk.answered(&[]).0, 7);
    desk.write("token", &token("bolt"));
    for options in [&[][..], &["--yes"]] {
        let (code, shown) = desk.answered(options);
        assert_eq!(code, 2, "{shown}");
        assert!(shown.starts_with("error: setup: the setup for the tenant acme is not finished\n"), "{shown}");
    }
    desk.write("token", &token("acme"));
    assert_eq!(desk.answered(&[]).0, 0);
}

#[test]
fn files_of_the_folder_stay() {
    let desk = Desk::new();
    fs::create_dir(desk.directory.path().join("policies")).unwrap();
    desk.write("policies/iam-policy.json", "mine");
    let (code, shown) = desk.answered(&["--directory", "policies"]);
    assert_eq!(code, 5, "{shown}");
    assert!(shown.ends_with(
        "error: policies/iam-policy.json exists and is not overwritten; move it away, or give another folder\n"
    ));
    assert_eq!(desk.read("policies/iam-policy.json"), "mine");
    assert_eq!(fs::read_dir(desk.directory.path().join("policies")).unwrap().count(), 1);

    let (code, shown) = desk.answered(&["--directory", "others"]);
    assert_eq!(code, 7, "{shown}");
    assert_eq!(desk.read("others/iam-policy.json"), "{}\n");
    // Setup created no stack, so there is none to delete.
    let (code, shown) = desk.answered(&["--directory", "others"]);
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("To undo it"), "{shown}");
}

#[test]
fn an_export_without_events_says_that_nothing_was_verified() {
    let desk = Desk::new();
    desk.service.lock().unwrap().is_empty = true;
    let (code, shown) = desk.answered(&["--yes"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("✓ Nothing to export yet\n") && !shown.contains("Verified"), "{shown}");
    let [service, _] = &desk.urls;
    let end = "The first file comes soon after 2026-11-23T00:20:00Z,\nif events are received until then.\nThere was nothing to verify \
               yet.\n";
    assert!(shown.contains(end), "{shown}");
    let verify =
        format!("\nTo verify:          audit-export verify {CONFIGURATION} --url {service}/ --token-file token\n");
    assert!(shown.contains(&verify), "{shown}");
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
