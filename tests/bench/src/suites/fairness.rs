//! One tenant with a thousand times the events of each of the others, and when the others have theirs.
//!
//! Two exporters take their messages from one queue, as few as the template permits (`MaximumConcurrentRuns`). On Lambda each
//! has a processor of its own; here they share the measured core, so that the others' runs take up to twice as long while
//! the large one goes on, and not longer.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    export::{INVOCATION_TIME, MEMORY_MEGABYTES, first_day},
    grouped, now,
};
use crate::{
    Bench, Outcome,
    corpus::{Corpus, CorpusFile, TENANT, WRITE_SHARDS, Window},
    failure,
    functions::{self, Function, configuration_item, run_message, run_request},
    report::{Report, milliseconds},
    stub::Stub,
};

const SUITE: &str = "fairness";
const EXPORTERS: usize = 2;
const OTHERS: u64 = 50;

/// By how much one tenant has more events than another.
const TIMES_THE_EVENTS: u64 = 1_000;

/// A run that ended: whose, and how long after the queue was filled.
struct Ended {
    is_large: bool,
    after: Duration,
}

pub fn run(bench: &Bench, report: &mut Report) -> Outcome<()> {
    let file = CorpusFile::prepare(&bench.directory, bench.events, 100)?;
    let corpus = Arc::new(Corpus::load(&file, first_day(1), WRITE_SHARDS)?);
    let whole = corpus.window(u64::MAX);
    let blocks = whole.totals().blocks;
    let window = whole.with_others((blocks / TIMES_THE_EVENTS).max(1));
    let stub = Stub::start(&bench.runtime)?;
    let (mut alone, mut beside, mut large) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let others = |ended: &[Ended]| {
            let others = ended.iter().filter(|ended| !ended.is_large);
            others.map(|ended| milliseconds(ended.after)).fold(0.0, f64::max)
        };
        alone.push(others(&drain(bench, &stub, &window, false)?));
        let ended = drain(bench, &stub, &window, true)?;
        beside.push(others(&ended));
        large.extend(ended.iter().filter(|ended| ended.is_large).map(|ended| milliseconds(ended.after)));
    }
    let subject = format!("{OTHERS} tenants of {} events", grouped(window.totals().events / TIMES_THE_EVENTS));
    report.add(SUITE, &format!("{subject}, alone"), "until all are exported", "ms", &alone);
    let baseline = crate::report::median(&alone);
    report.add(SUITE, &format!("{subject}, behind a large one"), "until all are exported", "ms", &beside);
    report.compare("alone", baseline);
    let subject = format!("the large one, {} events", grouped(window.totals().events));
    report.add(SUITE, &subject, "until it is exported", "ms", &large);
    Ok(())
}

/// Fills the queue, the large tenant first, and lets two exporters empty it.
fn drain(bench: &Bench, stub: &Stub, window: &Window, has_large: bool) -> Outcome<Vec<Ended>> {
    stub.reset()?;
    {
        let mut world = stub.world();
        world.database.window = Some(window.clone());
        let others = (1..=OTHERS).map(|number| (format!("tenant-{number}"), number));
        for (tenant, number) in has_large.then(|| (TENANT.to_owned(), 0)).into_iter().chain(others) {
            let item = configuration_item(&tenant, number, window.from(), now())?;
            world.database.configurations.seed(&item).map_err(|error| failure(error.0))?;
            world.queue.push_back(run_request(&tenant, number, window.through())?);
        }
    }
    let exporters = (0..EXPORTERS).map(|_| functions::start(bench, "exporter", stub, MEMORY_MEGABYTES));
    let exporters = exporters.collect::<Outcome<Vec<_>>>()?;
    let started_at = Instant::now();
    let workers = exporters.into_iter().map(|exporter| {
        let stub = stub.clone();
        thread::spawn(move || work(&exporter, &stub, started_at))
    });
    let workers: Vec<_> = workers.collect();
    let mut ended = Vec::new();
    for worker in workers {
        ended.extend(worker.join().map_err(|_| failure("a thread of the bench failed"))??);
    }
    stub.check()?;
    let expected = usize::try_from(OTHERS)? + usize::from(has_large);
    let digests = stub.world().buckets.ending(".json").count();
    if digests < expected {
        return Err(failure(format!("{digests} of {expected} exports have a digest")));
    }
    Ok(ended)
}

/// One message after the other, until there is none.
fn work(exporter: &Function, stub: &Stub, started_at: Instant) -> Outcome<Vec<Ended>> {
    let mut ended = Vec::new();
    loop {
        let message = stub.world().queue.pop_front();
        let Some(message) = message else { return Ok(ended) };
        let answer = exporter.api.invoke(&run_message(&message), INVOCATION_TIME)?;
        if answer.json()?["batchItemFailures"].as_array().is_none_or(|failures| !failures.is_empty()) {
            return Err(failure("a run failed: see exporter.log"));
        }
        let is_large = message.contains(&format!("\"{TENANT}\""));
        ended.push(Ended { is_large, after: started_at.elapsed() });
    }
}
