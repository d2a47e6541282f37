//! From the start of the program to its first question for an invocation, and to its first answer, beside the least that a
//! function can be.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::now;
use crate::{
    Bench, Outcome,
    corpus::TENANT,
    failure, file_length,
    functions::{self, ANSWER_TIME, RecordedRequest, configuration_id, configuration_item},
    report::{Report, mebibytes, median, milliseconds},
    stub::Stub,
};

const SUITE: &str = "cold start";
const MINIMAL: &str = "minimal";

/// How often each is started.
const STARTS: usize = 41;
const QUICK_STARTS: usize = 7;

/// What a function is asked first, and its memory as in template.yaml.
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

pub fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let stub = Stub::start(&bench.runtime)?;
    let firsts = firsts(bench)?;
    let mut times: BTreeMap<&'static str, Times> = BTreeMap::new();
    for _ in 0..bench.size(STARTS, QUICK_STARTS) {
        for first in &firsts {
            stub.reset()?;
            let item = configuration_item(TENANT, 1, now(), now())?;
            stub.world().database.configurations.seed(&item).map_err(|error| failure(error.0))?;
            let function = functions::start(bench, first.name, &stub, first.memory_megabytes)?;
            let answer = function.api.invoke(&first.payload, ANSWER_TIME)?;
            let body = answer.json()?;
            if body["statusCode"].as_u64().is_some_and(|status| status >= 300) {
                return Err(failure(format!("{} answered {body}", first.name)));
            }
            let times = times.entry(first.name).or_default();
            times.to_poll.push(milliseconds(function.started_in));
            // The bench's own way from one to the other is left out.
            times.to_answer.push(milliseconds(function.started_in + answer.time()));
            times.cpu.push(milliseconds(function.program.cpu()?));
            times.memory.push(mebibytes(function.program.peak_memory()?));
            stub.check()?;
        }
    }
    let least = times.get(MINIMAL).map(|times| median(&times.to_poll)).unwrap_or_default();
    let least_answer = times.get(MINIMAL).map(|times| median(&times.to_answer)).unwrap_or_default();
    let least_length = file_length(&bench.function(MINIMAL)?)?;
    for first in &firsts {
        let Some(times) = times.get(first.name) else { continue };
        report.add(SUITE, first.name, "to the first poll", "ms", &times.to_poll);
        report.compare(MINIMAL, least);
        report.add(SUITE, first.name, "to the first answer", "ms", &times.to_answer);
        report.compare(MINIMAL, least_answer);
        report.add(SUITE, first.name, "CPU to the first answer", "ms", &times.cpu);
        report.add(SUITE, first.name, "peak memory", "MiB", &times.memory);
        let length = file_length(&bench.function(first.name)?)?;
        report.add(SUITE, first.name, "program", "MiB", &[mebibytes(length)]);
        report.compare(MINIMAL, mebibytes(least_length));
    }
    Ok(())
}

fn firsts(bench: &Bench) -> Outcome<Vec<First>> {
    let graphql = RecordedRequest::read(&bench.root, "http-graphql-query.json")?;
    let query = json!({"query": "{ getAllExportConfigurations { id interval connectionStatus } }"}).to_string();
    let events = RecordedRequest::read(&bench.root, "http-plain-array.json")?;
    let event = json!([{"id": "1", "eventTimestamp": now()}]).to_string();
    let id = configuration_id(1)?;
    let dispatch = json!({"dispatch": {"interval": "EVERY_24_HOURS", "scheduledTime": now()}});
    let first = |name, memory_megabytes, payload| First { name, memory_megabytes, payload };
    Ok(vec![
        first(MINIMAL, 512, Bytes::from_static(b"{}")),
        first("api", 512, graphql.with_body("application/json", query.as_bytes())),
        first("ingest", 1_024, events.with_body("application/json", event.as_bytes())),
        first("exporter", 1_769, dispatch.to_string().into()),
        first("verifier", 512, json!({"tenantId": TENANT, "configurationId": id}).to_string().into()),
    ])
}
