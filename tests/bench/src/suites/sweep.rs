//! The sweep over the enabled configurations, for a growing number of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::dispatch::seed;
use crate::{
    bench::Bench,
    functions::{self, HOUSEKEEPER_MEGABYTES, RUN_TIME},
    report::{Report, float, grouped, mebibytes, milliseconds},
    stub::{Stub, Traffic},
};

const SUITE: &str = "sweep";
const CONFIGURATIONS: [u64; 3] = [1_000, 10_000, 100_000];

/// The latency of AWS.
const LATENCY: Duration = Duration::from_millis(5);

/// The bounds of a sweep over all of them, on one core.
const MAX_TIME: Duration = Duration::from_mins(1);
const MAX_MEMORY: u64 = 64 * 1_024 * 1_024;

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let stub = Stub::start(&bench.runtime)?;
    for count in CONFIGURATIONS {
        let count = bench.size(count, count / 10);
        let passes = (0..bench.rounds).map(|_| sweep(bench, &stub, count)).collect::<Result<Vec<_>>>()?;
        let subject = format!("{} configurations, answers after {} ms", grouped(count), LATENCY.as_millis());
        let of = |figure: fn(&Pass) -> f64| passes.iter().map(figure).collect::<Vec<_>>();
        report.add(SUITE, &subject, "time", "ms", &of(|pass| milliseconds(pass.wall)));
        report.add(SUITE, &subject, "CPU per configuration", "us", &of(|pass| pass.cpu_microseconds));
        report.add(SUITE, &subject, "peak memory", "MiB", &of(|pass| mebibytes(pass.peak_memory)));
        let queries = of(|pass| float(pass.traffic.of("dynamodb:Query")));
        report.add(SUITE, &subject, "queries of the index", "", &queries);
        let batches = of(|pass| float(pass.traffic.of("dynamodb:BatchGetItem")));
        report.add(SUITE, &subject, "batches of configurations", "", &batches);
    }
    Ok(())
}

/// The resources of one sweep.
struct Pass {
    wall: Duration,
    /// The CPU time for each configuration.
    cpu_microseconds: f64,
    peak_memory: u64,
    traffic: Traffic,
}

fn sweep(bench: &Bench, stub: &Stub, count: u64) -> Result<Pass> {
    seed(stub, count)?;
    let housekeeper = functions::start(bench, "housekeeper", stub, HOUSEKEEPER_MEGABYTES)?;
    stub.world().latency = LATENCY;
    let before = housekeeper.program.cpu()?;
    let answer = housekeeper.api.invoke(&json!({"sweep": {}}).to_string().into(), RUN_TIME)?;
    let swept = answer.json()?;
    ensure!(swept["isComplete"] == true && swept["report"]["configurations"] == count, "not all of {count}: {swept}");
    ensure!(swept["notices"] == 0, "notices of exports that did not change: {swept}");
    stub.check()?;
    let pass = Pass {
        wall: answer.time,
        cpu_microseconds: housekeeper.program.cpu_since(before)?.as_secs_f64() * 1e6 / float(count),
        peak_memory: housekeeper.program.peak_memory()?,
        traffic: stub.world().traffic.clone(),
    };
    let writes = pass.traffic.of("dynamodb:UpdateItem") + pass.traffic.of("dynamodb:TransactWriteItems");
    ensure!(writes == 0, "{writes} writes of exports that did not change");
    ensure!(pass.wall < MAX_TIME, "a sweep over {count} configurations took {:?}", pass.wall);
    ensure!(pass.peak_memory < MAX_MEMORY, "a sweep over {count} configurations used {} bytes", pass.peak_memory);
    Ok(pass)
}
