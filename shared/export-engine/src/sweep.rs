//! The sweep over all enabled configurations, which measures the lag of exports.

use std::time::Duration;

use domain::{
    configuration::ConfigurationKey,
    interval::{ExportInterval, ExportSchedule},
    lag::{LagReport, LagSurvey},
    time::Timestamp,
};
use futures::stream::{StreamExt, TryStreamExt, iter};
use host::Clock;

use crate::ports::{EnabledConfigurations, ExportStandings, PortError};

/// The most pages of the index that a sweep reads. Each of the 40 shards of an index of five intervals has at least one page, and
/// 480 pages of 500 configurations are more than 200,000.
pub const MAX_INDEX_PAGES: usize = 480;

/// The concurrent reads of batches of configurations.
pub const MAX_CONCURRENT_BATCHES: usize = 8;

/// A sweep over the enabled configurations, over its ports.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a, I, S, K> {
    pub index: &'a I,
    pub standings: &'a S,
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
}

impl<I, S, K> Sweep<'_, I, S, K>
where
    I: EnabledConfigurations,
    S: ExportStandings,
    K: Clock,
{
    /// Reads every enabled configuration once. Memory is bounded by one page, the batches in flight, and the names of the
    /// tenants.
    ///
    /// # Errors
    /// Those of the index or the configurations.
    pub async fn run(&self) -> Result<SweepOutcome, PortError> {
        let mut survey = LagSurvey::new(self.schedule, self.retention, self.clock.now());
        let (mut pages_left, mut is_complete) = (MAX_INDEX_PAGES, true);
        'index: for interval in ExportInterval::ALL {
            for shard in 0..self.index.shards() {
                let mut after = None;
                loop {
                    if pages_left == 0 || self.clock.now() >= self.deadline {
                        is_complete = false;
                        break 'index;
                    }
                    pages_left -= 1;
                    let (page, next) = self.index.page(interval, shard, after).await?;
                    is_complete &= self.add(&mut survey, &page).await?;
                    if next.is_none() {
                        break;
                    }
                    after = next;
                }
            }
        }
        Ok(SweepOutcome { report: survey.report(), is_complete })
    }

    /// Adds the configurations of a page to the survey. `false`: one of them could not be read.
    async fn add(&self, survey: &mut LagSurvey, page: &[ConfigurationKey]) -> Result<bool, PortError> {
        let batches: Vec<_> = page.chunks(S::MAX_BATCH.max(1)).map(|batch| self.standings.standings(batch)).collect();
        let mut batches = iter(batches).buffer_unordered(MAX_CONCURRENT_BATCHES);
        let mut is_whole = true;
        while let Some(standings) = batches.try_next().await? {
            for standing in standings {
                match standing {
                    Ok(standing) => survey.add(&standing),
                    Err(error) => {
                        tracing::error!(%error, "a configuration can't be read; the sweep leaves it out");
                        is_whole = false;
                    }
                }
            }
        }
        Ok(is_whole)
    }
}

#[cfg(test)]
mod tests;
