//! The commands for export configurations, run as programs against a local server.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(unix)]

#[path = "../src/test_server.rs"]
mod test_server;

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use domain::digest::Hex32;
use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_server::{Request, response, serve};

const ID: &str = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b";
const ROLE: &str = "arn:aws:iam::222222222222:role/audit-export";
const SERVER: &str = "https://s3.example.com:9000";
const THROUGH: &str = "2026-11-22T08:40:00.000Z";

/// The program, its directory, and a service that answers each field of a query.
struct Desk {
    directory: TempDir,
    url: String,
    /// The variables of the requests, under the fields that they asked for.
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    #[track_caller]
    fn is(&self, code: i32, stderr: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(stderr), "{stderr:?} is not in: {}", self.stderr);
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl Desk {
    /// Serves `answer`, which gets the field of the query.
    fn new(answer: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let url = serve(move |request: &Request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let query = body["query"].as_str().unwrap();
            let field = query.split_once("{ ").unwrap().1.split([' ', '(']).next().unwrap().to_owned();
            let answer = answer(&field);
            seen.lock().unwrap().push((field.clone(), body["variables"].clone()));
            let body = match answer.get("code") {
                Some(_) => json!({ "data": null, "errors": [{ "message": "Because.", "extensions": answer }] }),
                None => json!({ "data": { field: answer } }),
            };
            response("200 OK", "content-type: application/json\r\n", body.to_string())
        });
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), "token\n").unwrap();
        Self { directory, url, requests }
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command();
        let output = command.args(arguments).output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Outcome { code: output.status.code().unwrap(), stdout, stderr }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-export"));
        command.env_clear().current_dir(self.directory.path()).envs([
            ("AUDIT_EXPORT_URL", self.url.as_str()),
            ("AUDIT_EXPORT_TOKEN_FILE", "token"),
            ("TZ", "UTC0"),
        ]);
        command
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    /// Returns the requests so far, and forgets them.
    fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

/// The API's answer for a configuration after a change.
fn configuration(changes: &Value) -> Value {
    let mut configuration: Value = serde_json::from_str(include_str!("configuration.json")).unwrap();
    configuration.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    configuration
}

fn job(sequence: u64, status: &str) -> Value {
    json!({
        "id": format!("{ID}.{sequence}"), "exportConfigurationId": ID, "startTimestamp": "2026-11-22T00:00:00.000Z",
        "endTimestamp": THROUGH, "attempts": 1, "status": status, "failureReason": null, "objects": 2, "events": 1_400,
        "leftOut": 0, "bytes": 104_690, "gaps": [],
    })
}

fn working() -> Desk {
    Desk::new(|_| configuration(&json!({})))
}

#[test]
fn a_configuration_is_created_from_options() {
    let desk = working();
    let options = ["config", "create", "--bucket", "acme-audit", "--path", "logs", "--region", "eu-west-1"];
    let more = ["--role-arn", ROLE, "--interval", "24h", "--owner", "222222222222", "--start-from", "earliest"];
    let created = desk.run(&[&options[..], &more, &["--format", "parquet", "--idempotency-key", "key-1"]].concat());
    created.is(0, "");
    assert!(created.stdout.starts_with(&format!("Created export configuration {ID}\n")), "{}", created.stdout);
    let expected = json!({
        "interval": "EVERY_24_HOURS", "format": "PARQUET", "bucketName": "acme-audit", "bucketPath": "logs",
        "region": "eu-west-1", "roleArn": ROLE, "expectedBucketOwner": "222222222222", "startFrom": "earliest", "idempotencyKey": "key-1",
    });
    let request = ("createS3AssumedRoleExportConfiguration".to_owned(), json!({ "data": expected }));
    assert_eq!(desk.requests(), [request]);

    desk.write("secret", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n");
    let key = ["--access-key-id", "AKIAIOSFODNN7EXAMPLE", "--secret-file", "secret", "--interval", "2"];
    desk.run(&[&options[..], &key].concat()).is(0, "");
    let [(field, variables)] = &desk.requests()[..] else { panic!("one request") };
    assert_eq!(field, "createS3AccessKeyExportConfiguration");
    assert_eq!(variables["data"]["secretAccessKey"], "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
}

#[test]
fn a_filter_is_given_by_options_or_a_file_and_removed() {
    let desk = working();
    let create = ["config", "create", "--bucket", "acme-audit", "--region", "eu-west-1", "--interval", "24h"];
    let include = ["--include-action", "DELETE*", "--include-action", "UPDATE", "--include-target-type", "POLICY"];
    let exclude = ["--exclude-actor-type", "SERVICE_ACTOR", "--role-arn", ROLE, "--idempotency-key", "key-1"];
    desk.run(&[&create[..], &include, &exclude].concat()).is(0, "");
    let filter = json!({
        "include": { "actions": ["DELETE*", "UPDATE"], "targetTypes": ["POLICY"] },
        "exclude": { "actorTypes": ["SERVICE_ACTOR"] },
    });
    let [(_, variables)] = &desk.requests()[..] else { panic!("one request") };
    assert_eq!(variables["data"]["filter"], filter);

    // The options replace the file's filter, with all its lists.
    desk.write("export.json", json!({ "filter": filter, "roleArn": ROLE }).to_string());
    let one = json!({ "include": { "actorTypes": ["USER"] } });
    for (command, options, sent) in [
        ("config", &[][..], &filter),
        ("exportConfig", &[], &filter),
        ("config", &["--include-actor-type", "USER"], &one),
        ("config", &["--no-filter"], &Value::Null),
    ] {
        desk.run(&[&[command, "update", ID, "export.json"], options].concat()).is(0, "");
        let [(field, variables)] = &desk.requests()[..] else { panic!("one request") };
        assert_eq!(field, "updateS3AssumedRoleExportConfiguration");
        assert_eq!(variables["data"], json!({ "id": ID, "roleArn": ROLE, "filter": sent }), "{options:?}");
    }
    let shown = desk.run(&["config", "update", ID, "--no-filter", "--dry-run", "--output", "json"]);
    shown.is(0, "");
    assert_eq!(shown.json()["data"], json!({ "id": ID, "filter": null }));
}

#[test]
fn an_option_takes_precedence_over_the_file() {
    let desk = working();
    let file = json!({
        "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "bucketPath": "logs", "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    });
    desk.write("export.json", file.to_string());
    let arguments = ["config", "create", "export.json", "--role-arn", ROLE, "--region", "eu-central-1", "--path", ""];
    let shown = desk.run(&[&arguments[..], &["--dry-run", "--output", "json"]].concat());
    shown.is(0, "");
    let data = json!({
        "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "region": "eu-central-1", "roleArn": ROLE,
    });
    assert_eq!(shown.json(), json!({ "operation": "createS3AssumedRoleExportConfiguration", "data": data }));
}

#[test]
fn wrong_options_are_refused_in_their_own_words_before_anything_is_sent() {
    let desk = working();
    let create = ["config", "create"];
    let bucket = ["config", "create", "--bucket", "acme-audit", "--interval", "6h", "--role-arn", ROLE];
    for (arguments, words) in [
        (&create[..], "<FILE|-|--bucket <NAME>>"),
        (&["config", "create", "--bucket", "acme-audit"], "--region: Give a value"),
        (&["config", "create", "--bucket", "acme-audit"], "--role-arn: Give a value"),
        (
            &[&bucket[..], &["--region", "eu-wst-1"]].concat(),
            "eu-wst-1 is not a Region of AWS; did you mean eu-west-1?",
        ),
        (&[&bucket[..], &["--region", "cn-north-1"]].concat(), "--role-arn: The role is in partition aws"),
        (&[&bucket[..], &["--region", "garage"]].concat(), "Give the code of the bucket's AWS Region"),
        (&[&bucket[..], &["--endpoint-url", "https://s3.example.org"]].concat(), "cannot be used with"),
        (
            &[&bucket[..], &["--access-key-id", "AKIAIOSFODNN7EXAMPLE"]].concat(),
            "'--role-arn <ARN>' cannot be used with",
        ),
        (&["config", "create", "--bucket", "Acme"], "invalid value 'Acme' for '--bucket <NAME>'"),
        (&["config", "update", ID, "--interval", "23h"], "did you mean 24h?"),
        (&["config", "update", ID, "--format", "gz"], "did you mean ndjson-gzip?"),
        (
            &[&bucket[..], &["--region", "eu-west-1", "--include-action", "AB", "--exclude-action", "A*"]].concat(),
            "--include-action: Every value of this list is excluded too",
        ),
        (&["config", "update", ID, "--include-action", "*"], "invalid value '*' for '--include-action <ACTION>'"),
        (&["config", "update", ID, "--exclude-target-type", "A", "--no-filter"], "cannot be used with"),
        (&["config", "create", "--bucket", "acme-audit", "--no-filter"], "unexpected argument '--no-filter'"),
        (&["config", "update", ID], "give options such as --interval 12h, or a JSON file"),
        (&["config", "jobs", ID, "--limit", "0"], "1..=100"),
    ] {
        desk.run(arguments).is(2, words);
    }
    desk.write("export.json", json!({ "bucketName": "acme-audit", "region": "eu-wst-1", "roleArn": ROLE }).to_string());
    desk.run(&["config", "create", "export.json"]).is(5, "export.json: region: eu-wst-1 is not a Region");
    desk.write("format.json", json!({ "format": "zstd" }).to_string());
    desk.run(&["config", "update", ID, "format.json", "--dry-run"]).is(
        5,
        "format.json: format: Choose one of NDJSON_GZIP, NDJSON_ZSTD, PARQUET, OCSF_PARQUET. Did you mean NDJSON_ZSTD? (FORMAT_INVALID)",
    );
    assert_eq!(desk.requests(), []);
}

#[test]
fn a_refusal_names_the_options() {
    let field = |field: &str| json!({ "field": field, "code": "X_INVALID", "message": "Give another." });
    let desk =
        Desk::new(move |_| json!({ "code": "INVALID_INPUT", "fields": [field("interval"), field("bucketName")] }));
    let refused = desk.run(&["config", "update", ID, "--bucket", "acme-audit", "--role-arn", ROLE]);
    refused.is(3, "\n  --bucket: Give another. (X_INVALID)\n");
    desk.write("export.json", json!({ "interval": "EVERY_24_HOUR", "roleArn": ROLE }).to_string());
    let refused = desk.run(&["config", "update", ID, "export.json", "--bucket", "acme-audit"]);
    refused.is(3, "\n  interval: Give another. (X_INVALID); did you mean EVERY_24_HOURS?\n  --bucket: Give another.");

    let fields = [field("filter"), field("filter.include.actions"), field("filter.exclude.targetTypes")];
    let desk = Desk::new(move |_| json!({ "code": "INVALID_INPUT", "fields": fields }));
    let update = ["config", "update", ID, "--role-arn", ROLE];
    desk.run(&[&update[..], &["--include-action", "A"]].concat()).is(
        3,
        "\n  the options of the filter: Give another. (X_INVALID)\n  --include-action: Give another. (X_INVALID)\n  \
         --exclude-target-type: Give another.",
    );
    desk.write("filter.json", json!({ "filter": { "include": { "actions": ["A"] } } }).to_string());
    let refused = desk.run(&["config", "update", ID, "filter.json", "--role-arn", ROLE]);
    refused.is(3, "\n  filter.include.actions: Give another. (X_INVALID)\n");
}

#[test]
fn an_update_changes_what_its_options_name() {
    let desk = working();
    desk.run(&["config", "update", ID, "--role-arn", ROLE, "--description", "", "--expect-version", "3"]).is(0, "");
    let data = json!({ "id": ID, "roleArn": ROLE, "description": null, "version": 3 });
    assert_eq!(desk.requests(), [("updateS3AssumedRoleExportConfiguration".to_owned(), json!({ "data": data }))]);
    // The alias of the Immuta CLI; the kind of the configuration is asked for.
    desk.run(&["exportConfig", "update", ID, "--interval", "12h"]).is(0, "");
    let fields: Vec<String> = desk.requests().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["getExportConfiguration", "updateS3AssumedRoleExportConfiguration"]);
}

#[test]
fn an_update_that_breaks_the_connection_fails() {
    let refused = json!({ "code": "WRITE_DENIED", "message": "Allow it." });
    let desk = Desk::new({
        let refused = refused.clone();
        move |_| json!({ "code": "NEW_CONNECTION_REFUSED", "connectionError": refused })
    });
    let update = ["config", "update", ID, "--role-arn", ROLE, "--bucket", "acme-other"];
    desk.run(&update).is(7, "WRITE_DENIED: Allow it.");
    let stored = json!({
        "connectionStatus": "FAILED", "connectionError": refused, "updatedAt": "2026-11-22T12:00:00.000Z",
        "connectionCheckedAt": "2026-11-22T12:00:01.000Z",
    });
    let desk = Desk::new(move |_| configuration(&stored));
    desk.run(&update).is(7, "the connection test failed: WRITE_DENIED; the change is stored");
}

/// Records of OCSF need other permissions. If the service can't test them after a change of the format, a script has to know.
#[test]
fn an_update_that_leaves_the_connection_untested_fails() {
    let untested = json!({ "connectionStatus": "PENDING", "connectionCheckedAt": null });
    let desk = Desk::new(move |_| configuration(&untested));
    let role = ["config", "update", ID, "--role-arn", ROLE];
    for changes in [["--format", "ocsf-parquet"], ["--bucket", "acme-other"]] {
        desk.run(&[&role[..], &changes].concat()).is(7, "the change is stored, but the connection is untested");
    }
    desk.run(&["config", "update", ID, "--description", "SIEM"]).is(0, "");
}

#[test]
fn a_run_gives_its_job_as_json() {
    let desk = Desk::new(|field| match field {
        "getAllExportJobs" => json!([job(2, "SUCCEEDED")]),
        _ => configuration(&json!({ "requestedRunThrough": THROUGH, "exportedThrough": THROUGH })),
    });
    for command in ["config", "exportConfig"] {
        // The job existed before the run, so the run had nothing to export.
        let nothing = desk.run(&[command, "run", ID, "--wait", "--output", "json"]);
        assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "null\n"), "{}", nothing.stderr);
    }
    let asked = Mutex::new(0);
    let desk = Desk::new(move |field| match field {
        "getAllExportJobs" => {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            if *asked == 1 { json!([]) } else { json!([job(1, "SUCCEEDED")]) }
        }
        _ => configuration(&json!({ "requestedRunThrough": THROUGH, "exportedThrough": THROUGH })),
    });
    let exported = desk.run(&["config", "run", ID, "--wait", "--output", "json"]);
    exported.is(0, "");
    assert_eq!(exported.json(), job(1, "SUCCEEDED"));
}

fn on_server() -> Value {
    let mut endpoint = configuration(&json!({}))["endpointConfiguration"].clone();
    endpoint["endpointUrl"] = json!(SERVER);
    endpoint["region"] = json!("garage");
    configuration(&json!({ "endpointConfiguration": endpoint }))
}

/// Runs a printed command in a shell, without AWS credentials.
fn pasted(desk: &Desk, shown: &str) -> Outcome {
    let start = shown.find("audit-export verify").unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_audit-export"));
    let mut shell = Command::new("sh");
    shell.env_clear().current_dir(desk.directory.path()).envs([
        ("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()).as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AUDIT_EXPORT_CONFIG", "config.toml"),
    ]);
    let output = shell.args(["-c", &shown[start..]]).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    Outcome { code: output.status.code().unwrap(), stdout, stderr }
}

#[test]
fn the_command_that_checks_a_replay_can_be_pasted() {
    let replay = "5f3c1f9e-2b7a-4c64-8a55-6a8f3a0c9d21";
    let answer = json!({
        "id": replay, "exportConfigurationId": ID, "status": "SUCCEEDED", "error": null,
        "from": "2026-11-20T00:00:00.000Z", "to": "2026-11-22T00:00:00.000Z", "bucketName": "acme-audit",
        "bucketPath": "replays/it's", "place": format!("s3://acme-audit/replays/it's/{replay}"), "percent": 100,
        "exportedThrough": "2026-11-22T00:00:00.000Z", "objects": 3, "events": 40, "bytes": 5_000,
    });
    let replayed = move |configuration: Value| {
        let answer = answer.clone();
        Desk::new(move |field| match field {
            "replayExportConfiguration" => answer.clone(),
            "getExportConfiguration" => configuration.clone(),
            other => panic!("unexpected: {other}"),
        })
    };
    let period = ["--from", "2026-11-20T00:00:00Z", "--to", "2026-11-22T00:00:00Z", "--bucket-path", "replays/it's"];
    let command = [&["config", "replay", ID], &period[..]].concat();
    for (desk, options) in [
        (replayed(configuration(&json!({}))), " --region eu-west-1 --url "),
        (replayed(on_server()), " --region garage --endpoint-url https://s3.example.com:9000 --url "),
    ] {
        let shown = desk.run(&command);
        shown.is(0, "");
        assert!(shown.stdout.contains(options), "{}", shown.stdout);
        // The arguments are right: only credentials are missing.
        pasted(&desk, &shown.stdout).is(4, "no AWS credentials were found");
    }
    // The default profile is named, because verify uses none by itself.
    let desk = replayed(configuration(&json!({})));
    let text = format!("default_profile = \"home\"\n[profiles.home]\nurl = \"{}\"\ntoken_file = \"token\"\n", desk.url);
    desk.write("config.toml", text);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(desk.directory.path().join("config.toml"), private).unwrap();
    let mut program = desk.command();
    program
        .env_remove("AUDIT_EXPORT_URL")
        .env_remove("AUDIT_EXPORT_TOKEN_FILE")
        .env("AUDIT_EXPORT_CONFIG", "config.toml");
    let shown = String::from_utf8(program.args(&command).output().unwrap().stdout).unwrap();
    assert!(shown.ends_with(" --region eu-west-1 --profile home\n"), "{shown}");
    pasted(&desk, &shown).is(4, "no AWS credentials were found");
}

#[test]
fn a_digest_is_restored_on_its_server() {
    let sha256 = |bytes: &[u8]| Hex32::sha256_of(bytes).to_string();
    let key = format!("logs/{ID}/_digests/0000000007_20261122T020000000Z_abababababababab.json");
    let digest = json!({
        "exportJobId": format!("{ID}.7"), "bucketName": "acme-audit", "objectKey": key, "digest": "{}", "sha256": sha256(b"{}"),
        "signatureObjectKey": format!("{key}.sig"), "signature": "AAAA", "signatureSha256": sha256(&[0; 3]),
    });
    let gone = json!({ "code": "NOT_FOUND" });
    for (configuration, option) in [(on_server(), " --endpoint-url https://s3.example.com:9000"), (gone, "")] {
        let digest = digest.clone();
        let desk = Desk::new(move |field| match field {
            "getExportDigest" => digest.clone(),
            _ => configuration.clone(),
        });
        let restored = desk.run(&["config", "digest", &format!("{ID}.7")]);
        restored.is(0, "");
        assert_eq!(
            restored.stdout.matches(&format!("\naws s3 cp{option} ./_digests/")).count(),
            2,
            "{}",
            restored.stdout
        );
        let verify = format!("\naudit-export verify s3://acme-audit/logs/{ID}{option} --public-key FILE\n");
        assert!(restored.stdout.ends_with(&verify), "{}", restored.stdout);
    }
}

#[test]
fn an_export_to_another_server_is_created_and_moved_with_options() {
    let desk = Desk::new(|_| on_server());
    desk.write("secret", "not-a-secret-of-anybody\n");
    let server = ["--endpoint-url", SERVER, "--region", "garage", "--access-key-id", "audit-export"];
    let fields =
        ["--bucket", "acme-audit", "--interval", "24h", "--secret-file", "secret", "--idempotency-key", "key-1"];
    desk.run(&[&["config", "create"], &server[..], &fields[..]].concat()).is(0, "");
    let data = json!({
        "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "region": "garage", "endpointUrl": SERVER,
        "accessKeyId": "audit-export", "secretAccessKey": "not-a-secret-of-anybody", "idempotencyKey": "key-1",
    });
    assert_eq!(desk.requests(), [("createS3AccessKeyExportConfiguration".to_owned(), json!({ "data": data }))]);
    desk.run(&[&["config", "update", ID], &server[..2]].concat()).is(0, "");
    let data = json!({ "id": ID, "endpointUrl": SERVER });
    assert_eq!(
        desk.requests().pop(),
        Some(("updateS3AccessKeyExportConfiguration".to_owned(), json!({ "data": data })))
    );
}

#[test]
fn a_program_that_prints_the_token_gets_no_secrets() {
    let desk = working();
    let profile = "token_command = [\"sh\", \"-c\", \"env > variables; echo token\"]";
    desk.write("config.toml", format!("[profiles.a]\nurl = \"{}\"\n{profile}\n", desk.url));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(desk.directory.path().join("config.toml"), private).unwrap();
    let mut command = desk.command();
    command.env_remove("AUDIT_EXPORT_TOKEN_FILE").env_remove("AUDIT_EXPORT_URL").envs([
        ("AUDIT_EXPORT_CONFIG", "config.toml"),
        ("AUDIT_EXPORT_SECRET_ACCESS_KEY", "secret"),
        ("PATH", "/usr/bin:/bin"),
    ]);
    let output = command.args(["config", "get", ID, "--profile", "a"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let variables = fs::read_to_string(desk.directory.path().join("variables")).unwrap();
    assert!(variables.contains("AUDIT_EXPORT_CONFIG=") && !variables.contains("secret"), "{variables}");
}

#[test]
fn a_signal_at_a_hidden_question_restores_the_terminal() {
    let desk = working();
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&terminal).unwrap();
        let program_end = ioctl_tiocgptpeer(&terminal, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let echoes = || tcgetattr(&program_end).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echoes());
        let stream = || Stdio::from(program_end.try_clone().unwrap());
        let mut command = desk.command();
        command.args(["config", "notifications", "add", ID, "https://hooks.example.com/audit"]);
        let mut child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();

        let mut shown = String::new();
        let mut bytes = BufReader::new(File::from(terminal.try_clone().unwrap())).bytes().map_while(Result::ok);
        while !shown.ends_with("(not shown): ") {
            shown.push(char::from(bytes.next().unwrap()));
        }
        assert!(!echoes(), "{shown}");
        let kill = format!("kill -{name} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert!(echoes(), "{name}");
    }
}

#[test]
fn a_list_of_jobs_has_a_limit() {
    let desk = Desk::new(|_| json!([job(3, "RUNNING"), job(2, "SUCCEEDED"), job(1, "SUCCEEDED")]));
    let listed = desk.run(&["config", "jobs", ID, "--limit", "2", "--output", "json"]);
    assert_eq!(listed.json(), json!([job(3, "RUNNING"), job(2, "SUCCEEDED")]));
    let listed = desk.run(&["exportConfig", "jobs", ID, "--limit", "1"]);
    assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.stdout);
}

#[test]
fn a_slow_service_shows_no_spinner_without_a_terminal() {
    let desk = Desk::new(|_| {
        thread::park_timeout(Duration::from_millis(400));
        json!([configuration(&json!({}))])
    });
    let listed = desk.run(&["config", "ls"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    assert!(listed.stdout.contains(ID) && !listed.stdout.contains('\u{1b}'));
}

/// Runs the program with its error stream at a terminal. Returns its exit code, its output, and what the terminal got.
fn at_a_terminal(desk: &Desk, arguments: &[&str]) -> (i32, String, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let terminal = openpt(flags).unwrap();
    unlockpt(&terminal).unwrap();
    let mut command = desk.command();
    let error = ioctl_tiocgptpeer(&terminal, flags).unwrap();
    tcsetwinsize(&error, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    command.env("TERM", "xterm");
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::from(error)).spawn().unwrap();
    // It holds the program's end, which has to be closed for this one to end.
    drop(command);
    let shown = thread::spawn(move || {
        let bytes: Vec<u8> = BufReader::new(File::from(terminal)).bytes().map_while(Result::ok).collect();
        String::from_utf8(bytes).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), shown.join().unwrap())
}

#[test]
fn the_checks_of_a_change_are_shown_at_a_terminal_as_they_end() {
    let role = json!({ "status": "PASSED", "title": "The role can be assumed" });
    let bucket = json!({ "status": "NOT_CHECKED", "title": "The bucket exists" });
    let refused = json!({ "code": "NEW_CONNECTION_REFUSED",
        "connectionError": { "code": "WRITE_DENIED", "message": "Allow it." } });
    for (is_running, updated, code, words) in [
        (true, configuration(&json!({})), 0, "The role can be assumed"),
        (true, refused, 7, "The role can be assumed"),
        // Nothing is tested: the checks are those of the stored connection.
        (false, configuration(&json!({})), 0, "Waiting for the service"),
    ] {
        let test = json!({ "isRunning": is_running, "checks": [role, bucket] });
        let desk = Desk::new(move |field| {
            if field == "getExportConnectionTest" {
                return test.clone();
            }
            thread::park_timeout(Duration::from_millis(1_500));
            updated.clone()
        });
        let (ended, stdout, shown) =
            at_a_terminal(&desk, &["config", "update", ID, "--bucket", "acme-audit", "--role-arn", ROLE]);
        assert_eq!(ended, code, "{stdout}{shown}");
        assert!(shown.contains(words), "{shown:?}");
        assert_eq!(shown.contains("✓"), is_running, "{shown:?}");
        assert!(!shown.contains("The bucket exists"), "{shown:?}");
        let asked = desk.requests().into_iter().filter(|(field, _)| field == "getExportConnectionTest");
        assert!(asked.clone().count() >= 1 && asked.clone().all(|(_, variables)| variables == json!({ "id": ID })));
    }
}

#[test]
fn profiles_are_deleted() {
    let desk = working();
    let run = |arguments: &[&str]| {
        let mut command = desk.command();
        let output = command.env("AUDIT_EXPORT_CONFIG", "config.toml").arg("profile").args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    for name in ["production", "staging"] {
        assert_eq!(run(&["set", name, "--url", "https://example.com", "--token-file", "token"]).0, 0);
    }
    assert_eq!(run(&["delete", "production"]).0, 0);
    let (_, listed) = run(&["ls"]);
    assert!(listed.contains("staging") && !listed.contains("production"), "{listed}");
    assert_eq!(run(&["rm", "production"]).0, 2);
}

#[test]
fn a_file_of_bad_content_is_not_one_that_could_not_be_read() {
    let desk = working();
    desk.write("text.json", [0xff, 0xfe]);
    for (file, words) in [("text.json", "text.json: is not UTF-8 text\n"), ("none.json", "none.json: No such file")] {
        desk.run(&["config", "create", file]).is(5, words);
    }
    let help = desk.run(&["--help"]).stdout;
    assert!(help.contains("  5  a file could not be read or written, or its content is invalid"), "{help}");
}

/// Presses TAB at the end of a line in bash, and returns the words that it offers.
fn offered(desk: &Desk, line: &str) -> Vec<String> {
    let script = "eval \"$(audit-export completions bash)\"; COMP_WORDS=(audit-export $1)
        if [[ $1 == *' ' ]]; then COMP_WORDS+=(''); fi
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _audit__export audit-export \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_audit-export"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut command = desk.command();
    command.env("AUDIT_EXPORT_CONFIG", "config.toml");
    let variables: Vec<_> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    let mut bash = Command::new("bash");
    bash.env_clear().envs(variables).env("PATH", path).current_dir(desk.directory.path());
    let output = bash.args(["--norc", "-c", script, "bash", line]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn completions_know_ids_codes_and_profiles() {
    let desk = Desk::new(|field| match field {
        "getAllExportJobs" => json!([job(2, "SUCCEEDED"), job(1, "SUCCEEDED")]),
        _ => json!([configuration(&json!({})), { "id": "1c9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b" }]),
    });
    desk.write("config.toml", "[profiles.production]\nurl = \"https://example.com\"\ntoken_file = \"token\"\n");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(desk.directory.path().join("config.toml"), private).unwrap();
    assert_eq!(offered(&desk, "config get 0b"), [ID]);
    assert_eq!(offered(&desk, "exportConfig run ").len(), 2);
    assert_eq!(offered(&desk, "config tasks 0b"), [format!("{ID}.2"), format!("{ID}.1")]);
    assert_eq!(offered(&desk, "explain WRITE_D"), ["WRITE_DENIED"]);
    assert_eq!(offered(&desk, "config ls --profile "), ["production"]);
    assert_eq!(offered(&desk, "profile delete p"), ["production"]);
    // Everything else is completed as before.
    assert_eq!(offered(&desk, "config get --outp"), ["--output"]);
    assert_eq!(offered(&desk, "exportConfig upd"), ["update"]);
    assert_eq!(offered(&desk, "config replay-cancel --outp"), ["--output"]);
}
