//! The sweep over all enabled configurations, which measures the lag of exports and records what is worth a notice.

use std::time::Duration;

use domain::{
    configuration::ConfigurationKey,
    interval::{ExportInterval, ExportSchedule},
    lag::{LagReport, LagSurvey},
    notice::state::{NoticeTerms, NoticeTransition, ObservedExport},
    time::Timestamp,
};
use futures::stream::{StreamExt, iter};
use host::{Clock, Random};

use crate::ports::{EnabledConfigurations, ErrorKind, NoticeRecords, ObservedExports, PortError, RecordOutcome};

/// The most pages of the index that a sweep reads. Each of the 40 shards of an index of five intervals has at least one page, and
/// 480 pages of 500 configurations are more than 200,000.
pub const MAX_INDEX_PAGES: usize = 480;

/// The concurrent reads of batches of configurations, and the concurrent records of what was noticed.
pub const MAX_CONCURRENT_BATCHES: usize = 8;

/// A sweep over the enabled configurations, over its ports.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a, I, S, N, R, K> {
    pub index: &'a I,
    pub exports: &'a S,
    pub notices: &'a N,
    pub random: &'a R,
    pub clock: &'a K,
    pub schedule: ExportSchedule,
    pub retention: Duration,
    /// The time at which it ends. Configurations that it has not read by then are left out.
    pub deadline: Timestamp,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepOutcome {
    pub report: LagReport,
    /// True if every enabled configuration is in the report.
    pub is_complete: bool,
    /// The notices that were queued.
    pub notices: u64,
    /// The exports of which something was noticed that could not be stored. The next sweep notices it again.
    pub unrecorded: u64,
}

impl<I, S, N, R, K> Sweep<'_, I, S, N, R, K>
where
    I: EnabledConfigurations,
    S: ObservedExports,
    N: NoticeRecords,
    R: Random,
    K: Clock,
{
    /// Reads every enabled configuration once. Memory is bounded by one page, the batches in flight, and the names of the
    /// tenants.
    ///
    /// # Errors
    /// Those of the index, and internal ones of the configurations.
    pub async fn run(&self) -> Result<SweepOutcome, PortError> {
        let mut survey = LagSurvey::new(self.schedule, self.retention, self.clock.now());
        let mut outcome = SweepOutcome { report: survey.report(), is_complete: true, notices: 0, unrecorded: 0 };
        let mut pages_left = MAX_INDEX_PAGES;
        'index: for interval in ExportInterval::ALL {
            for shard in 0..self.index.shards() {
                let mut after = None;
                loop {
                    if pages_left == 0 || self.clock.now() >= self.deadline {
                        outcome.is_complete = false;
                        break 'index;
                    }
                    pages_left -= 1;
                    let (page, next) = self.index.page(interval, shard, after).await?;
                    let noticed = self.observe(&mut survey, &mut outcome, &page).await?;
                    self.record(&mut outcome, noticed).await;
                    if next.is_none() {
                        break;
                    }
                    after = next;
                }
            }
        }
        Ok(SweepOutcome { report: survey.report(), ..outcome })
    }

    /// Adds the configurations of a page to the survey. Returns those of which something changed.
    async fn observe(
        &self,
        survey: &mut LagSurvey,
        outcome: &mut SweepOutcome,
        page: &[ConfigurationKey],
    ) -> Result<Vec<(ObservedExport, NoticeTransition)>, PortError> {
        let terms = NoticeTerms { schedule: self.schedule, retention: self.retention };
        let batches: Vec<_> = page.chunks(S::MAX_BATCH.max(1)).map(|batch| self.exports.observe(batch)).collect();
        let mut batches = iter(batches).buffer_unordered(MAX_CONCURRENT_BATCHES);
        let mut noticed = Vec::new();
        while let Some(batch) = batches.next().await {
            let exports = match batch {
                Ok(exports) => exports,
                // One tenant's throttled partition must not hide the exports of all others.
                Err(error) if error.kind == ErrorKind::Transient => vec![Err(error)],
                Err(error) => return Err(error),
            };
            for export in exports {
                match export {
                    Ok(export) => {
                        survey.add(&export.standing);
                        if let Some(transition) = export.transition(terms, self.clock.now(), self.random.bits()) {
                            noticed.push((export, transition));
                        }
                    }
                    Err(error) => {
                        if error.kind == ErrorKind::Transient {
                            tracing::warn!(%error, "exports could not be read now; the sweep leaves them out");
                        } else {
                            tracing::error!(%error, "a configuration can't be read; the sweep leaves it out");
                        }
                        outcome.is_complete = false;
                    }
                }
            }
        }
        Ok(noticed)
    }

    /// Stores what was noticed. A failure stops no other export.
    async fn record(&self, outcome: &mut SweepOutcome, noticed: Vec<(ObservedExport, NoticeTransition)>) {
        let records = iter(noticed).map(async |(export, transition)| {
            let recorded = self.notices.record(&export, &transition).await;
            (export.key, transition.notices.len() as u64, recorded)
        });
        let mut records = std::pin::pin!(records.buffer_unordered(MAX_CONCURRENT_BATCHES));
        while let Some((key, notices, recorded)) = records.next().await {
            let ConfigurationKey { tenant_id: tenant, configuration_id: configuration } = &key;
            match recorded {
                Ok(RecordOutcome::Recorded) => outcome.notices += notices,
                Ok(RecordOutcome::ChangedSince) => {
                    tracing::info!(%tenant, %configuration, "an export was changed while it was swept; the next sweep observes it");
                }
                // Another sweep or a run writes the same item, or the table throttles, which has an alarm.
                Err(error) if error.kind == ErrorKind::Transient => {
                    tracing::warn!(%error, %tenant, %configuration, "the next sweep records what was noticed of an export");
                }
                Err(error) => {
                    tracing::error!(%error, %tenant, %configuration, "what was noticed of an export was not stored");
                    outcome.unrecorded += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
