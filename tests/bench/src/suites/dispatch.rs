//! Starting the exports of a slot: how it grows with the number of configurations.

use std::time::Duration;

use domain::time::Timestamp;
use serde_json::json;

use super::{grouped, now};
use crate::{
    Bench, Outcome, failure,
    functions::{self, configuration_item},
    report::{Report, float, mebibytes, milliseconds},
    stub::Stub,
};

const SUITE: &str = "dispatch";
const CONFIGURATIONS: [u64; 3] = [1_000, 10_000, 100_000];

/// Of one tenant; docs/SEMANTICS.md bounds it at a hundred.
const PER_TENANT: u64 = 10;

const MEMORY_MEGABYTES: u32 = 1_769;
const INVOCATION_TIME: Duration = Duration::from_mins(15);

pub fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let stub = Stub::start(&bench.runtime)?;
    for count in CONFIGURATIONS {
        let count = bench.size(count, count / 10);
        let (mut wall, mut cpu, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        let mut traffic = None;
        for _ in 0..bench.rounds {
            seed(&stub, count)?;
            let exporter = functions::start(bench, "exporter", &stub, MEMORY_MEGABYTES)?;
            let before = exporter.program.cpu()?;
            let request = json!({"dispatch": {"interval": "EVERY_24_HOURS", "scheduledTime": now()}}).to_string();
            let answer = exporter.api.invoke(&request.into(), INVOCATION_TIME)?;
            let sent = stub.world().messages;
            if answer.json()?["dispatched"] != count || sent != count {
                return Err(failure(format!("{sent} of {count} messages: {:?}", answer.json())));
            }
            wall.push(milliseconds(answer.time()));
            cpu.push(exporter.program.cpu_since(before)?.as_secs_f64() * 1e6 / float(count));
            memory.push(mebibytes(exporter.program.peak_memory()?));
            traffic = Some(stub.traffic());
            stub.check()?;
        }
        let subject = format!("{} configurations", grouped(count));
        report.add(SUITE, &subject, "time", "ms", &wall);
        report.add(SUITE, &subject, "CPU per configuration", "us", &cpu);
        report.add(SUITE, &subject, "peak memory", "MiB", &memory);
        let traffic = traffic.unwrap_or_default();
        report.add(SUITE, &subject, "requests to DynamoDB", "", &[float(traffic.of("dynamodb:"))]);
        report.add(SUITE, &subject, "requests to SQS", "", &[float(traffic.of("sqs:"))]);
    }
    Ok(())
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
