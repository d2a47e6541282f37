//! The deployed functions as programs: their environment and their invocations.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use aws_credential_types::Credentials;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{block::BlockId, configuration::ConfigurationId, time::Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    corpus::WRITE_SHARDS,
    process::Program,
    runtime_api::RuntimeApi,
    stub::{
        ACCOUNT, REGION, Stub,
        dynamodb::{CONFIGURATIONS, EVENTS, RUNS},
    },
};

/// The time within which a program has to ask for its first invocation.
const START_TIME: Duration = Duration::from_secs(20);

/// The time within which a function has to respond, except to an export run.
pub const ANSWER_TIME: Duration = Duration::from_mins(1);

/// The time within which an export run has to end.
pub const RUN_TIME: Duration = Duration::from_mins(15);

/// The memory of the exporter, of the converter and of the archiver in template.yaml.
pub const EXPORTER_MEGABYTES: u32 = 1_769;

/// The memory of the housekeeper in template.yaml.
pub const HOUSEKEEPER_MEGABYTES: u32 = 512;

/// A function that is running.
#[derive(Debug)]
pub struct Function {
    pub program: Program,
    pub api: RuntimeApi,
    /// The time from the start of the program to its first request for an invocation.
    pub started_in: Duration,
}

impl Function {
    /// Exports what a message of the run queue requests, and returns the time that it took.
    pub fn export(&self, message: &str) -> Result<Duration> {
        let invoked = self.api.invoke(&run_message(message), RUN_TIME)?;
        let failures = invoked.json()?["batchItemFailures"].as_array().map_or(1, Vec::len);
        ensure!(failures == 0, "the run failed: see the log of the function in the folder of the bench");
        Ok(invoked.time)
    }
}

/// The AWS resources in a function's environment. Credentials are printed without their secret.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The endpoint of all services.
    pub endpoint: String,
    pub region: String,
    pub credentials: Credentials,
    pub tables: Tables,
    pub queue_url: String,
    pub secret_key_arn: String,
    pub signing_key_arn: String,
}

/// The names of the template's tables.
#[derive(Clone, Debug, Deserialize)]
pub struct Tables {
    pub events: String,
    pub configurations: String,
    pub runs: String,
}

impl Surroundings {
    fn of_stub(stub: &Stub) -> Self {
        let key = |id: u32| format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-{id:012}");
        Self {
            endpoint: stub.endpoint(),
            region: REGION.to_owned(),
            credentials: Credentials::new("ASIAIOSFODNN7EXAMPLE", "bench", Some("bench".to_owned()), None, "bench"),
            tables: Tables {
                events: EVENTS.to_owned(),
                configurations: CONFIGURATIONS.to_owned(),
                runs: RUNS.to_owned(),
            },
            queue_url: stub.queue_url(),
            secret_key_arn: key(1),
            signing_key_arn: key(2),
        }
    }
}

/// Starts a function on the measured core and waits until it asks for its first invocation.
pub fn start(bench: &Bench, name: &str, stub: &Stub, memory_megabytes: u32) -> Result<Function> {
    start_in(bench, name, Surroundings::of_stub(stub), memory_megabytes)
}

/// Starts a function with other AWS resources than the stub.
pub fn start_in(bench: &Bench, name: &str, surroundings: Surroundings, memory_megabytes: u32) -> Result<Function> {
    start_program(bench, name, Command::new(bench.function(name)?), surroundings, memory_megabytes)
}

/// Starts a command of this program as a function.
pub fn start_own(bench: &Bench, name: &str, arguments: &[String], stub: &Stub, megabytes: u32) -> Result<Function> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).args(arguments);
    start_program(bench, name, command, Surroundings::of_stub(stub), megabytes)
}

fn start_program(
    bench: &Bench,
    name: &str,
    mut command: Command,
    surroundings: Surroundings,
    memory_megabytes: u32,
) -> Result<Function> {
    let api = RuntimeApi::start(&bench.runtime)?;
    let log = File::options().create(true).append(true).open(bench.directory.join(format!("{name}.log")))?;
    command
        .env_clear()
        .envs(environment(bench, name, surroundings, memory_megabytes)?)
        .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let started_at = Instant::now();
    let program = Program::start(&mut command, bench.cores.measured)?;
    let polled_at = api.polled(START_TIME).with_context(|| format!("{name} did not start: see {name}.log"))?;
    Ok(Function { program, api, started_in: polled_at - started_at })
}

/// Returns the environment of template.yaml with Lambda's own variables.
fn environment(
    bench: &Bench,
    name: &str,
    surroundings: Surroundings,
    memory_megabytes: u32,
) -> Result<Vec<(&'static str, String)>> {
    let Surroundings { endpoint, region, credentials, tables, queue_url, secret_key_arn, signing_key_arn } =
        surroundings;
    let keys = fs::read_to_string(bench.root.join("tests/events/jwks.json"))?;
    let mut variables = vec![
        // Only development mode takes signing keys from the environment. It has no other effect here.
        ("DEPLOYMENT_MODE", "development".to_owned()),
        ("EVENTS_TABLE", tables.events),
        ("CONFIGURATIONS_TABLE", tables.configurations),
        ("RUNS_TABLE", tables.runs),
        ("EVENTS_QUEUE_URL", queue_url.clone()),
        ("TOPIC_EVENTS_QUEUE_URL", format!("{queue_url}-topics")),
        ("RULE_EVENTS_QUEUE_URL", format!("{queue_url}-rules")),
        ("TOPIC_DELIVERY", "Enveloped".to_owned()),
        ("RULE_TENANT_PATH", "/detail/tenantId".to_owned()),
        ("MANUAL_RUN_QUEUE_URL", queue_url.clone()),
        ("CONVERSION_QUEUE_URL", format!("{queue_url}-conversions")),
        ("MANUAL_CONVERSION_QUEUE_URL", format!("{queue_url}-conversions")),
        ("WEBHOOK_QUEUE_URL", queue_url.clone()),
        ("NOTICE_BUS_NAME", "notices".to_owned()),
        ("RUN_QUEUE_URL", queue_url),
        ("MAX_RUNS_PER_TENANT", "20".to_owned()),
        ("INGEST_MEGABYTES_PER_TENANT_MINUTE", "0".to_owned()),
        ("SECRET_KEY_ARN", secret_key_arn),
        ("SIGNING_KEY_ARN", signing_key_arn),
        ("VERIFIER_FUNCTION", "verifier".to_owned()),
        ("NOTIFIER_FUNCTION", "notifier".to_owned()),
        ("SETTLE_SECONDS", "1200".to_owned()),
        ("RETENTION_DAYS", "3650".to_owned()),
        ("TABLE_DAYS", "7".to_owned()),
        ("ARCHIVE_BUCKET", "archive".to_owned()),
        ("HISTORY_DAYS", "400".to_owned()),
        ("WRITE_SHARDS", WRITE_SHARDS.to_string()),
        ("SERVICE_ACCOUNT_ID", ACCOUNT.to_owned()),
        ("SERVICE_PARTITION", "aws".to_owned()),
        ("INTROSPECTION", "disabled".to_owned()),
        ("MINIMUM_CLI_VERSION", "0.1.0".to_owned()),
        ("TOKEN_ISSUER", "https://issuer.example".to_owned()),
        ("TOKEN_AUDIENCE", "audit-export".to_owned()),
        ("TOKEN_DEVELOPMENT_JWKS", keys),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory_megabytes.to_string()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ("PATH", "/usr/bin:/bin".to_owned()),
    ];
    variables.extend(credentials.session_token().map(|token| ("AWS_SESSION_TOKEN", token.to_owned())));
    Ok(variables)
}

/// Returns the ID of the n-th configuration.
pub fn configuration_id(number: u64) -> Result<ConfigurationId> {
    ConfigurationId::parse(&format!("00000000-0000-4000-8000-{number:012x}")).context("too many configurations")
}

/// Returns an enabled and tested configuration with a role, as the api stores it:
/// shared/aws-adapters/src/configurations/item.rs.
pub fn configuration_item(tenant: &str, number: u64, start_from: Timestamp, now: Timestamp) -> Result<Value> {
    let id = configuration_id(number)?;
    let shard = id.as_bytes()[15] % aws_adapters::configurations::SCHEDULE_SHARDS;
    let text = |text: &str| json!({ "S": text });
    Ok(json!({
        "tenantId": text(tenant), "id": text(&id.to_string()), "version": {"N": "1"}, "interval": text("EVERY_24_HOURS"),
        "enabled": {"BOOL": true}, "schedulePartition": text(&format!("EVERY_24_HOURS#{shard}")),
        "bucketName": text("customer-audit-logs"), "bucketPath": text("audit"), "region": text(REGION),
        "roleArn": text("arn:aws:iam::222222222222:role/audit-export"), "startFrom": text(&start_from.to_string()),
        "connectionStatus": text("SUCCESS"), "connectionCheckedAt": text(&now.to_string()),
        "createdBy": text("bench"), "createdAt": text(&start_from.to_string()),
        "updatedBy": text("bench"), "updatedAt": text(&start_from.to_string()),
        // Exports that start long ago are delayed: that was noticed before.
        "noticed": text("{\"delayedPercent\":50}"),
    }))
}

/// Returns the state of an export that starts at `from`, under a lease that was just taken:
/// shared/aws-adapters/src/runs/item.rs.
pub fn state_item(tenant: &str, number: u64, from: Timestamp) -> Result<Value> {
    let text = |text: &str| json!({ "S": text });
    Ok(json!({
        "run": text(&format!("{tenant}#{}", configuration_id(number)?)), "item": text("state"),
        "nextBlock": text(&BlockId::lowest_at(from).to_string()), "nextSequence": {"N": "0"}, "fencingToken": {"N": "1"},
        "takenFrom": text(""),
    }))
}

/// Returns a message of the run queue, as Lambda passes it on.
fn run_message(body: &str) -> Bytes {
    let message = json!({"Records": [{
        "messageId": "2e1424d4-f796-459a-8184-9c92662be6da", "receiptHandle": "receipt", "body": body,
        "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:export-runs"), "awsRegion": REGION,
    }]});
    message.to_string().into()
}

/// Returns the request for an export of a tenant's n-th configuration.
pub fn run_request(tenant: &str, number: u64, through: Timestamp) -> Result<String> {
    let id = configuration_id(number)?;
    Ok(json!({"tenantId": tenant, "configurationId": id, "through": through, "trigger": "SCHEDULE"}).to_string())
}

/// A recorded request of API Gateway with another body.
#[derive(Clone, Debug)]
pub struct RecordedRequest(Value);

impl RecordedRequest {
    pub fn read(root: &Path, name: &str) -> Result<Self> {
        Ok(Self(serde_json::from_slice(&fs::read(root.join("tests/events").join(name))?)?))
    }

    /// API Gateway encodes every body as base 64, because all types are binary in template.yaml.
    pub fn with_body(&self, content_type: &str, body: &[u8]) -> Bytes {
        let mut request = self.0.clone();
        request["headers"]["Content-Type"] = json!(content_type);
        request["multiValueHeaders"]["Content-Type"] = json!([content_type]);
        request["body"] = json!(STANDARD.encode(body));
        request["isBase64Encoded"] = json!(true);
        request.to_string().into()
    }
}
