//! The delay of fifty tenants behind one with a thousand times the events of each.
//!
//! Two exporters, the fewest that the template permits (`MaximumConcurrentRuns`), take messages from one queue. On Lambda each
//! has its own processor. Here they share the measured core, so the others' runs may take twice as long while the large one is
//! in progress, and not longer.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};

use super::export::{self, first_day};
use crate::{
    bench::Bench,
    corpus::{Corpus, CorpusFile, TENANT, WRITE_SHARDS, Window},
    functions::{self, EXPORTER_MEGABYTES, Function},
    report::{Report, grouped, median, milliseconds},
    stub::Stub,
};

const SUITE: &str = "fairness";
const EXPORTERS: usize = 2;
const OTHERS: u64 = 50;

/// The events of the large tenant relative to those of another.
const TIMES_THE_EVENTS: u64 = 1_000;

/// A completed run, and its end relative to the time when the queue was filled.
struct Ended {
    is_large: bool,
    after: Duration,
}

pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
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
    let baseline = median(&alone);
    report.add(SUITE, &format!("{subject}, behind a large one"), "until all are exported", "ms", &beside);
    report.compare("alone", baseline);
    let subject = format!("the large one, {} events", grouped(window.totals().events));
    report.add(SUITE, &subject, "until it is exported", "ms", &large);
    Ok(())
}

/// Fills the queue, with the large tenant first, and lets two exporters empty it.
fn drain(bench: &Bench, stub: &Stub, window: &Window, has_large: bool) -> Result<Vec<Ended>> {
    stub.reset();
    let others = (1..=OTHERS).map(|number| (format!("tenant-{number}"), number));
    for (tenant, number) in has_large.then(|| (TENANT.to_owned(), 0)).into_iter().chain(others) {
        export::prepare(&mut stub.world(), window, &tenant, number)?;
    }
    let exporters = (0..EXPORTERS).map(|_| functions::start(bench, "exporter", stub, EXPORTER_MEGABYTES));
    let exporters = exporters.collect::<Result<Vec<_>>>()?;
    let started_at = Instant::now();
    let workers = exporters.into_iter().map(|exporter| {
        let stub = stub.clone();
        thread::spawn(move || work(&exporter, &stub, started_at))
    });
    let workers: Vec<_> = workers.collect();
    let mut ended = Vec::new();
    for worker in workers {
        ended.extend(worker.join().map_err(|_| anyhow!("a thread of the bench failed"))??);
    }
    stub.check()?;
    let expected = usize::try_from(OTHERS)? + usize::from(has_large);
    let digests = stub.world().buckets.ending(".json").count();
    ensure!(digests >= expected, "{digests} of {expected} exports have a digest");
    Ok(ended)
}

/// Processes messages until the queue is empty.
fn work(exporter: &Function, stub: &Stub, started_at: Instant) -> Result<Vec<Ended>> {
    let mut ended = Vec::new();
    loop {
        let message = stub.world().queue.messages.pop_front();
        let Some(message) = message else { return Ok(ended) };
        exporter.export(&message)?;
        let is_large = message.contains(&format!("\"{TENANT}\""));
        ended.push(Ended { is_large, after: started_at.elapsed() });
    }
}
