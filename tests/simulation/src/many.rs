//! Many histories, on all cores.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{Verdict, bug::KnownBug, history::run};

/// What became of many histories.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub histories: u64,
    pub blocks: u64,
    pub objects: u64,
    pub digests: u64,
    pub runs: u64,
    pub crashes: u64,
    /// The first seed, in order of the seeds played, that broke a promise.
    pub broken: Option<(u64, Verdict)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, blocks, objects, digests, runs, crashes, broken } = self;
        write!(
            formatter,
            "{histories} histories: {blocks} blocks, {objects} objects, {digests} digests, {runs} runs, {crashes} crashes"
        )?;
        if let Some((seed, verdict)) = broken {
            write!(formatter, "\nseed {seed} breaks a promise; replay it with: make sim SEED={seed}")?;
            for violation in &verdict.violations {
                write!(formatter, "\n  {violation}")?;
            }
        }
        Ok(())
    }
}

/// Plays `seeds` histories from `first` on, and stops soon after the first that breaks a promise.
#[must_use]
pub fn run_many(first: u64, seeds: u64, bug: Option<KnownBug>) -> Outcome {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(Outcome::default());
    let play = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(seeds) {
                return;
            }
            let verdict = run(seed, bug);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.histories += 1;
            total.blocks += verdict.blocks as u64;
            total.objects += verdict.objects as u64;
            total.digests += verdict.digests as u64;
            total.runs += verdict.runs;
            total.crashes += verdict.crashes;
            let is_first = total.broken.as_ref().is_none_or(|(earlier, _)| seed < *earlier);
            if !verdict.violations.is_empty() && is_first {
                total.broken = Some((seed, verdict));
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play);
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}
