//! The time from the start of a program to its first request for an invocation, and to its first response, beside that of a
//! minimal function.

use std::{collections::BTreeMap, fs};

use anyhow::{Result, ensure};
use bytes::Bytes;
use host::{Clock, Machine};
use serde_json::json;

use crate::{
    bench::Bench,
    corpus::TENANT,
    functions::{self, ANSWER_TIME, EXPORTER_MEGABYTES, RecordedRequest, configuration_id, configuration_item},
    report::{Report, mebibytes, median, milliseconds},
    stub::Stub,
};

const SUITE: &str = "cold start";
const MINIMAL: &str = "minimal";

/// The starts of each function.
const STARTS: usize = 41;
const QUICK_STARTS: usize = 7;

/// A function's first invocation, and its memory in template.yaml.
struct First {
    name: &'static str,
    memory_megabytes: u32,
    payload: Bytes,
}

#[derive(Debug, Default)]
struct Times {
    to_poll: Vec<f64>,
    to_answer: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    let firsts = firsts(bench)?;
    let mut times: BTreeMap<&'static str, Times> = BTreeMap::new();
    for _ in 0..bench.size(STARTS, QUICK_STARTS) {
        for first in &firsts {
            stub.reset();
            let item = configuration_item(TENANT, 1, Machine.now(), Machine.now())?;
            stub.world().database.seed_configuration(&item);
            let function = functions::start(bench, first.name, &stub, first.memory_megabytes)?;
            let answer = function.api.invoke(&first.payload, ANSWER_TIME)?;
            let body = answer.json()?;
            let is_good = body["statusCode"].as_u64().is_none_or(|status| status < 300);
            ensure!(is_good, "{} answered {body}", first.name);
            let times = times.entry(first.name).or_default();
            times.to_poll.push(milliseconds(function.started_in));
            // Without the bench's own time between the two.
            times.to_answer.push(milliseconds(function.started_in + answer.time));
            times.cpu.push(milliseconds(function.program.cpu()?));
            times.memory.push(mebibytes(function.program.peak_memory()?));
            stub.check()?;
        }
    }
    let least = times.get(MINIMAL).map(|times| median(&times.to_poll)).unwrap_or_default();
    let least_answer = times.get(MINIMAL).map(|times| median(&times.to_answer)).unwrap_or_default();
    let least_length = fs::metadata(bench.function(MINIMAL)?)?.len();
    for first in &firsts {
        let Some(times) = times.get(first.name) else { continue };
        report.add(SUITE, first.name, "to the first poll", "ms", &times.to_poll);
        report.compare(MINIMAL, least);
        report.add(SUITE, first.name, "to the first answer", "ms", &times.to_answer);
        report.compare(MINIMAL, least_answer);
        report.add(SUITE, first.name, "CPU to the first answer", "ms", &times.cpu);
        report.add(SUITE, first.name, "peak memory", "MiB", &times.memory);
        let length = fs::metadata(bench.function(first.name)?)?.len();
        report.add(SUITE, first.name, "program", "MiB", &[mebibytes(length)]);
        report.compare(MINIMAL, mebibytes(least_length));
    }
    Ok(())
}

fn firsts(bench: &Bench) -> Result<Vec<First>> {
    let graphql = RecordedRequest::read(&bench.root, "http-graphql-query.json")?;
    let query = json!({"query": "{ getAllExportConfigurations { id interval connectionStatus } }"}).to_string();
    let events = RecordedRequest::read(&bench.root, "http-plain-array.json")?;
    let event = json!([{"id": "1", "eventTimestamp": Machine.now()}]).to_string();
    let id = configuration_id(1)?;
    let dispatch = json!({"dispatch": {"interval": "EVERY_24_HOURS", "scheduledTime": Machine.now()}});
    let first = |name, memory_megabytes, payload| First { name, memory_megabytes, payload };
    Ok(vec![
        first(MINIMAL, 512, Bytes::from_static(b"{}")),
        first("api", 512, graphql.with_body("application/json", query.as_bytes())),
        first("ingest", 1_024, events.with_body("application/json", event.as_bytes())),
        first("exporter", EXPORTER_MEGABYTES, dispatch.to_string().into()),
        first("converter", EXPORTER_MEGABYTES, json!({"Records": []}).to_string().into()),
        first("notifier", 512, json!({"Records": []}).to_string().into()),
        first("verifier", 512, json!({"tenantId": TENANT, "configurationId": id}).to_string().into()),
    ])
}
