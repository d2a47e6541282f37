//! Many histories, on all cores.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{bug::KnownBug, history::run, outcome::HistoryOutcome};

/// The outcome of many histories.
#[derive(Clone, Debug, Default)]
pub struct HistoriesOutcome {
    pub histories: u64,
    pub blocks: u64,
    pub objects: u64,
    pub of_classes: u64,
    pub digests: u64,
    pub left_out: u64,
    pub runs: u64,
    pub crashes: u64,
    pub repaired: u64,
    pub unrepaired: u64,
    /// Blocks that were read from the archive.
    pub archived: u64,
    /// Segments that erasures deleted.
    pub erased: u64,
    /// The lowest seed that broke a promise.
    pub broken: Option<(u64, HistoryOutcome)>,
}

impl fmt::Display for HistoriesOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, blocks, objects, of_classes, digests, left_out, .. } = self;
        let Self { runs, crashes, repaired, unrepaired, archived, erased, broken, .. } = self;
        write!(
            formatter,
            "{histories} histories: {blocks} blocks, {objects} objects ({of_classes} of OCSF), {digests} digests, \
             {left_out} events left out, {runs} runs, {crashes} crashes, {repaired} files repaired, {unrepaired} not, \
             {archived} blocks read from the archive, {erased} segments erased"
        )?;
        if let Some((seed, outcome)) = broken {
            write!(formatter, "\nseed {seed} breaks a promise; replay it with: make sim SEED={seed}")?;
            for violation in &outcome.violations {
                write!(formatter, "\n  {violation}")?;
            }
        }
        Ok(())
    }
}

/// Plays `seeds` histories from `first`, and stops soon after the first one that breaks a promise.
#[must_use]
pub fn run_many(first: u64, seeds: u64, bug: Option<KnownBug>) -> HistoriesOutcome {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(HistoriesOutcome::default());
    let play = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(seeds) {
                return;
            }
            let outcome = run(seed, bug);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.histories += 1;
            total.blocks += outcome.blocks as u64;
            total.objects += outcome.objects as u64;
            total.of_classes += outcome.of_classes as u64;
            total.digests += outcome.digests as u64;
            total.left_out += outcome.left_out;
            total.runs += outcome.runs;
            total.crashes += outcome.crashes;
            total.repaired += outcome.repaired;
            total.unrepaired += outcome.unrepaired;
            total.archived += outcome.archived;
            total.erased += outcome.erased;
            let is_first = total.broken.as_ref().is_none_or(|(earlier, _)| seed < *earlier);
            if !outcome.violations.is_empty() && is_first {
                total.broken = Some((seed, outcome));
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
