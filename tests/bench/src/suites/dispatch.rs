//! Starting the exports of a slot: how it grows with the number of configurations.

use std::time::Duration;

use domain::time::Timestamp;
use serde_json::json;

use super::{grouped, now};
use crate::{
    Bench, Outcome, failure,
    functions::{self, configuration_item},
    report::{Report, float, mebibytes, milliseconds},
    stub::{Stub, Traffic},
};

const SUITE: &str = "dispatch";
const CONFIGURATIONS: [u64; 3] = [1_000, 10_000, 100_000];

/// Of one tenant; docs/SEMANTICS.md bounds it at a hundred.
const PER_TENANT: u64 = 10;

const MEMORY_MEGABYTES: u32 = 1_769;
const INVOCATION_TIME: Duration = Duration::from_mins(15);

/// What a request takes on AWS, beside what it takes without a network.
const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(5)];

pub fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let stub = Stub::start(&bench.runtime)?;
    for count in CONFIGURATIONS {
        let count = bench.size(count, count / 10);
        let mut series = LATENCIES.map(|latency| (latency, Vec::new()));
        for _ in 0..bench.rounds {
            for (latency, passes) in &mut series {
                passes.push(dispatch(bench, &stub, count, *latency)?);
            }
        }
        for (latency, passes) in &series {
            let subject = format!("{} configurations, answers after {} ms", grouped(count), latency.as_millis());
            let of = |figure: fn(&Pass) -> f64| passes.iter().map(figure).collect::<Vec<_>>();
            report.add(SUITE, &subject, "time", "ms", &of(|pass| milliseconds(pass.wall)));
            report.add(SUITE, &subject, "CPU per configuration", "us", &of(|pass| pass.cpu_microseconds));
            report.add(SUITE, &subject, "peak memory", "MiB", &of(|pass| mebibytes(pass.peak_memory)));
            report.add(SUITE, &subject, "requests to DynamoDB", "", &of(|pass| float(pass.traffic.of("dynamodb:"))));
            report.add(SUITE, &subject, "requests to SQS", "", &of(|pass| float(pass.traffic.of("sqs:"))));
        }
    }
    Ok(())
}

/// What one dispatch took.
struct Pass {
    wall: Duration,
    /// For each configuration.
    cpu_microseconds: f64,
    peak_memory: u64,
    traffic: Traffic,
}

fn dispatch(bench: &Bench, stub: &Stub, count: u64, latency: Duration) -> Outcome<Pass> {
    seed(stub, count)?;
    let exporter = functions::start(bench, "exporter", stub, MEMORY_MEGABYTES)?;
    stub.world().latency = latency;
    let before = exporter.program.cpu()?;
    let request = json!({"dispatch": {"interval": "EVERY_24_HOURS", "scheduledTime": now()}}).to_string();
    let answer = exporter.api.invoke(&request.into(), INVOCATION_TIME)?;
    let sent = stub.world().messages;
    if answer.json()?["dispatched"] != count || sent != count {
        return Err(failure(format!("{sent} of {count} messages: {:?}", answer.json())));
    }
    stub.check()?;
    Ok(Pass {
        wall: answer.time(),
        cpu_microseconds: exporter.program.cpu_since(before)?.as_secs_f64() * 1e6 / float(count),
        peak_memory: exporter.program.peak_memory()?,
        traffic: stub.traffic(),
    })
}

fn seed(stub: &Stub, count: u64) -> Outcome<()> {
    stub.reset()?;
    let mut world = stub.world();
    world.drops_messages = true;
    for number in 0..count {
        let tenant = format!("tenant-{:06}", number / PER_TENANT);
        let item = configuration_item(&tenant, number, Timestamp::EPOCH, now())?;
        world.database.configurations.seed(&item).map_err(|error| failure(error.0))?;
    }
    Ok(())
}
