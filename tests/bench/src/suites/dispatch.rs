//! The dispatch of a slot, for a growing number of configurations.

use std::time::Duration;

use anyhow::{Result, ensure};
use domain::time::Timestamp;
use host::{Clock, Machine};
use serde_json::json;

use crate::{
    bench::Bench,
    functions::{self, EXPORTER_MEGABYTES, RUN_TIME, configuration_item},
    report::{Report, float, grouped, mebibytes, milliseconds},
    stub::{Stub, Traffic},
};

const SUITE: &str = "dispatch";
const CONFIGURATIONS: [u64; 3] = [1_000, 10_000, 100_000];

/// The configurations of one tenant, whose limit is a hundred.
const PER_TENANT: u64 = 10;

/// The latency without a network, and that of AWS.
const LATENCIES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(5)];

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
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

/// The resources of one dispatch.
struct Pass {
    wall: Duration,
    /// The CPU time for each configuration.
    cpu_microseconds: f64,
    peak_memory: u64,
    traffic: Traffic,
}

fn dispatch(bench: &Bench, stub: &Stub, count: u64, latency: Duration) -> Result<Pass> {
    seed(stub, count)?;
    let exporter = functions::start(bench, "exporter", stub, EXPORTER_MEGABYTES)?;
    stub.world().latency = latency;
    let before = exporter.program.cpu()?;
    let request = json!({"dispatch": {"interval": "EVERY_24_HOURS", "scheduledTime": Machine.now()}}).to_string();
    let answer = exporter.api.invoke(&request.into(), RUN_TIME)?;
    let sent = stub.world().queue.sent;
    let dispatched = answer.json()?;
    ensure!(dispatched["dispatched"] == count && sent == count, "{sent} of {count} messages: {dispatched}");
    stub.check()?;
    Ok(Pass {
        wall: answer.time,
        cpu_microseconds: exporter.program.cpu_since(before)?.as_secs_f64() * 1e6 / float(count),
        peak_memory: exporter.program.peak_memory()?,
        traffic: stub.world().traffic.clone(),
    })
}

/// Stores enabled configurations of one interval.
pub fn seed(stub: &Stub, count: u64) -> Result<()> {
    stub.reset();
    let mut world = stub.world();
    world.queue.drops_messages = true;
    for number in 0..count {
        let tenant = format!("tenant-{:06}", number / PER_TENANT);
        let item = configuration_item(&tenant, number, Timestamp::EPOCH, Machine.now())?;
        world.database.seed_configuration(&item);
    }
    Ok(())
}
