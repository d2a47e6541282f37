//! The cost of each operation of the GraphQL API, and its time under concurrent requests.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use host::{Clock, Machine};
use serde_json::{Value, json};

use super::export::{self, first_day};
use crate::{
    bench::Bench,
    corpus::{Corpus, CorpusFile, TENANT, WRITE_SHARDS},
    functions::{self, ANSWER_TIME, Function, RecordedRequest, configuration_id, configuration_item},
    report::{Report, float, mebibytes, median, milliseconds, quantile},
    stub::{Stub, Traffic},
};

const SUITE: &str = "api";

/// In template.yaml.
const MEMORY_MEGABYTES: u32 = 512;

/// The configurations of the tenant.
const CONFIGURATIONS: u64 = 20;

/// The requests of each operation.
const REPEATS: usize = 50;
const QUICK_REPEATS: usize = 10;

/// The concurrent requests. Each has its own process, as on Lambda.
const CONCURRENCY: [usize; 2] = [1, 8];
const REQUESTS_EACH: usize = 200;
const QUICK_REQUESTS_EACH: usize = 30;

const FIELDS: &str = "id version description interval enabled connectionStatus connectionCheckedAt exportedThrough \
    lastExport consecutiveFailures nextExportAt type principalArn endpointConfiguration { bucketName bucketPath region roleArn }";

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    // An export leaves jobs, tasks and a backlog.
    let file = CorpusFile::prepare(&bench.directory, bench.size(200_000, 20_000), 100)?;
    let window = Arc::new(Corpus::load(&file, first_day(1), WRITE_SHARDS)?).window(u64::MAX);
    export::export(bench, &stub, &window)?;
    for number in 2..=CONFIGURATIONS {
        let item = configuration_item(TENANT, number, window.from(), Machine.now())?;
        stub.world().database.seed_configuration(&item);
    }
    let recorded = RecordedRequest::read(&bench.root, "http-graphql-query.json")?;
    operations(bench, report, &stub, &recorded)?;
    concurrency(bench, report, &stub, &recorded)
}

/// Returns the operations that can be repeated.
fn repeatable() -> Result<Vec<(&'static str, String)>> {
    let id = configuration_id(1)?;
    let job = format!("{id}.0");
    Ok(vec![
        ("getAllExportConfigurations", format!("{{ getAllExportConfigurations {{ {FIELDS} }} }}")),
        (
            "getAllExportConfigurations with backlog",
            "{ getAllExportConfigurations { id backlog { events oldest isComplete } } }".to_owned(),
        ),
        ("getExportConfiguration", format!("{{ getExportConfiguration(id: \"{id}\") {{ {FIELDS} }} }}")),
        ("exportConfigurations", format!("{{ exportConfigurations(first: 20) {{ nodes {{ {FIELDS} }} }} }}")),
        (
            "getAllExportJobs",
            format!("{{ getAllExportJobs(exportConfigurationId: \"{id}\") {{ id status events bytes }} }}"),
        ),
        ("exportJobs", format!("{{ exportJobs(exportConfigurationId: \"{id}\") {{ nodes {{ id status events }} }} }}")),
        (
            "getAllExportJobTasks",
            format!("{{ getAllExportJobTasks(exportJobId: \"{job}\") {{ id status objectKey }} }}"),
        ),
        (
            "getExportConfigurationPolicies",
            format!(
                "{{ getExportConfigurationPolicies(id: \"{id}\") {{ iamPolicy {{ document }} trustPolicy {{ document }} }} }}"
            ),
        ),
        ("exportServiceIdentity", "{ exportServiceIdentity { account partition region } }".to_owned()),
        ("exportSigningKeys", "{ exportSigningKeys { fingerprint publicKey } }".to_owned()),
        (
            "testExportConfiguration",
            format!("mutation {{ testExportConfiguration(id: \"{id}\") {{ id connectionStatus }} }}"),
        ),
        ("runExportConfiguration", format!("mutation {{ runExportConfiguration(id: \"{id}\") {{ id }} }}")),
    ])
}

fn operations(bench: &Bench, report: &mut Report, stub: &Stub, recorded: &RecordedRequest) -> Result<()> {
    let api = functions::start(bench, "api", stub, MEMORY_MEGABYTES)?;
    let repeats = bench.size(REPEATS, QUICK_REPEATS);
    let asker = Asker { api: &api, stub, recorded };
    for (name, query) in repeatable()? {
        asker.measure(report, name, (0..repeats).map(|_| query.clone()))?;
    }
    let id = configuration_id(1)?;
    // Each request changes the description, because an update without a change writes nothing.
    asker.measure(
        report,
        "updateS3AssumedRoleExportConfiguration",
        (0..repeats).map(|number| {
            format!(
                "mutation {{ updateS3AssumedRoleExportConfiguration(data: {{ id: \"{id}\", description: \"{number}\" }}) \
                 {{ id version }} }}"
            )
        }),
    )?;
    let toggle = |name: &str| format!("mutation {{ {name}(id: \"{id}\") {{ id enabled }} }}");
    asker.measure(
        report,
        "disable, enable",
        (0..repeats).map(|number| {
            toggle(if number.is_multiple_of(2) { "disableExportConfiguration" } else { "enableExportConfiguration" })
        }),
    )?;
    let create = "mutation { createS3AssumedRoleExportConfiguration(data: { interval: EVERY_24_HOURS, \
        bucketName: \"customer-audit-logs\", region: \"eu-central-1\", \
        roleArn: \"arn:aws:iam::222222222222:role/audit-export\" }) { id } }";
    let created =
        asker.measure(report, "createS3AssumedRoleExportConfiguration", (0..repeats).map(|_| create.to_owned()))?;
    let with_key = "mutation { createS3AccessKeyExportConfiguration(data: { interval: EVERY_24_HOURS, \
        bucketName: \"customer-audit-logs\", region: \"eu-central-1\", accessKeyId: \"AKIAIOSFODNN7EXAMPLE\", \
        secretAccessKey: \"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\" }) { id connectionStatus } }";
    let others = asker.measure(
        report,
        "createS3AccessKeyExportConfiguration",
        (0..repeats.min(QUICK_REPEATS)).map(|_| with_key.to_owned()),
    )?;
    let ids = created.iter().chain(&others).filter_map(|data| {
        let data = data.as_object()?.values().next()?;
        data["id"].as_str().map(ToOwned::to_owned)
    });
    let deletions = ids.map(|id| format!("mutation {{ deleteExportConfiguration(id: \"{id}\") {{ id }} }}"));
    asker.measure(report, "deleteExportConfiguration", deletions)?;
    report.add(SUITE, "function", "peak memory", "MiB", &[mebibytes(api.program.peak_memory()?)]);
    Ok(())
}

struct Asker<'a> {
    api: &'a Function,
    stub: &'a Stub,
    recorded: &'a RecordedRequest,
}

impl Asker<'_> {
    /// Sends each query once, and returns the data of the answers.
    fn measure(&self, report: &mut Report, name: &str, queries: impl Iterator<Item = String>) -> Result<Vec<Value>> {
        let (mut cpu, mut wall, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        self.stub.world().traffic = Traffic::default();
        for query in queries {
            let payload = payload(self.recorded, &query);
            let before = self.api.program.cpu()?;
            let (data, took) = ask(self.api, &payload)?;
            cpu.push(milliseconds(self.api.program.cpu_since(before)?));
            wall.push(milliseconds(took));
            answers.push(data);
        }
        self.stub.check()?;
        let count = answers.len() as u64;
        ensure!(count > 0, "{name} had no queries");
        let traffic = self.stub.world().traffic.clone();
        report.add(SUITE, name, "CPU", "ms", &cpu);
        report.add(SUITE, name, "time", "ms", &wall);
        report.add(SUITE, name, "requests to DynamoDB", "", &[float(traffic.of("dynamodb:")) / float(count)]);
        let others = traffic.total() - traffic.of("dynamodb:");
        if others > 0 {
            report.add(SUITE, name, "requests to KMS, Lambda, SQS", "", &[float(others) / float(count)]);
        }
        Ok(answers)
    }
}

fn payload(recorded: &RecordedRequest, query: &str) -> Bytes {
    recorded.with_body("application/json", json!({ "query": query }).to_string().as_bytes())
}

/// Returns the `data` of the answer. Fails if it has errors.
fn ask(api: &Function, payload: &Bytes) -> Result<(Value, Duration)> {
    let answer = api.api.invoke(payload, ANSWER_TIME)?;
    let response = answer.json()?;
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let is_good = response["statusCode"] == 200 && body["errors"].is_null() && body["data"].is_object();
    ensure!(is_good, "the api answered {response}");
    Ok((body["data"].clone(), answer.time))
}

fn concurrency(bench: &Bench, report: &mut Report, stub: &Stub, recorded: &RecordedRequest) -> Result<()> {
    let id = configuration_id(1)?;
    let payload = payload(recorded, &format!("{{ getExportConfiguration(id: \"{id}\") {{ {FIELDS} }} }}"));
    let requests = bench.size(REQUESTS_EACH, QUICK_REQUESTS_EACH);
    for processes in CONCURRENCY {
        let apis = (0..processes).map(|_| functions::start(bench, "api", stub, MEMORY_MEGABYTES));
        let apis = apis.collect::<Result<Vec<_>>>()?;
        let askers: Vec<_> = apis
            .into_iter()
            .map(|api| {
                let payload = payload.clone();
                std::thread::spawn(move || -> Result<Vec<f64>> {
                    (0..requests).map(|_| Ok(milliseconds(ask(&api, &payload)?.1))).collect()
                })
            })
            .collect();
        let mut times = Vec::new();
        for asker in askers {
            times.extend(asker.join().map_err(|_| anyhow!("a thread of the bench failed"))??);
        }
        stub.check()?;
        let subject = format!("getExportConfiguration, {processes} at a time on one core");
        report.add(SUITE, &subject, "p50", "ms", &[median(&times)]);
        report.add(SUITE, &subject, "p99", "ms", &[quantile(&times, 0.99)]);
    }
    Ok(())
}
