//! The rescue: blocks of tenants whose archive is behind get the full expiry.

use std::time::Duration;

use domain::{
    archive::{ArchiveRow, ArchiveTimes, RegistryShard},
    block::{BlockId, Shard},
    export_run::BlockRange,
    retention::RetentionHistory,
    time::Timestamp,
};
use host::Clock;

use crate::{
    alarms::ARCHIVE_BEHIND,
    ports::{ArchiveRecords, BlockExpiry, PortError},
};

/// The spans after which the progress of a tenant is stored.
const SPANS_OF_STEP: u32 = 6;

/// The settings of the rescue.
#[derive(Clone, Debug)]
pub struct RescueSettings {
    /// As for the archiver: blocks are kept for the longest retention that counts for one of them.
    pub retention: Duration,
    pub history: RetentionHistory,
    pub deploy_margin: Duration,
    pub grace: Duration,
    pub times: ArchiveTimes,
    /// The time after which no further step is begun.
    pub deadline: Timestamp,
}

/// The rescue, over its ports. It works without the archiver and shares no code with it.
#[derive(Debug)]
pub struct Rescue<'a, R, E, K> {
    pub records: &'a R,
    pub expiry: &'a E,
    pub clock: &'a K,
    pub settings: RescueSettings,
}

/// The result of an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RescueOutcome {
    /// The rows of the registry.
    pub tenants: u64,
    /// How far the archive of the tenant that is furthest behind is.
    pub furthest_lag: Duration,
    /// The tenants whose blocks got the full expiry.
    pub rescued: u64,
    /// The tenants whose rescue failed. The next one goes on where it was.
    pub failed: u64,
    /// True if every row was read and every rescue is done.
    pub is_complete: bool,
}

impl<R, E, K> Rescue<'_, R, E, K>
where
    R: ArchiveRecords,
    E: BlockExpiry,
    K: Clock,
{
    /// Rescues the blocks of every tenant whose archive is behind.
    ///
    /// # Errors
    /// Those of reading the registry. A failure of one tenant is logged and stops no other.
    pub async fn run(&self) -> Result<RescueOutcome, PortError> {
        let mut outcome = RescueOutcome { is_complete: true, ..RescueOutcome::default() };
        for shard in RegistryShard::all() {
            let mut after = None;
            loop {
                let page = self.records.archive_rows(shard, after.as_ref()).await?;
                for row in page.rows {
                    self.rescue_row(row, &mut outcome).await;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(outcome)
    }

    async fn rescue_row(&self, row: Result<ArchiveRow, PortError>, outcome: &mut RescueOutcome) {
        outcome.tenants += 1;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                tracing::error!(%error, "a registry row can't be read: its tenant is not rescued");
                outcome.failed += 1;
                outcome.is_complete = false;
                return;
            }
        };
        outcome.furthest_lag = outcome.furthest_lag.max(row.lag(self.clock.now()));
        let Some(range) = row.to_rescue(self.clock.now(), &self.settings.times) else { return };
        match self.rescue(&row, range).await {
            Ok(is_complete) => {
                outcome.rescued += 1;
                outcome.is_complete &= is_complete;
            }
            Err(error) => {
                tracing::error!(%error, tenant = %row.tenant, "a rescue failed; the next one goes on");
                outcome.failed += 1;
                outcome.is_complete = false;
            }
        }
    }

    /// Rescues the blocks of a tenant. `false`: there was no time for all of them.
    async fn rescue(&self, row: &ArchiveRow, range: BlockRange) -> Result<bool, PortError> {
        let RescueSettings { retention, history, deploy_margin, grace, times, deadline } = &self.settings;
        let now = self.clock.now();
        if now.saturating_since(range.first.timestamp()) >= times.min_table_period {
            tracing::error!(tenant = %row.tenant, since = %range.first, alarm = ARCHIVE_BEHIND,
                "blocks are rescued after their expiry: some may be deleted");
        }
        let kept = history.longest_since(range.first.timestamp(), *deploy_margin, *retention).saturating_add(*grace);
        let (mut row, mut position) = (row.clone(), range.first);
        while position < range.end {
            if self.clock.now() >= *deadline {
                return Ok(false);
            }
            let step_end = position.timestamp().saturating_add(times.span * SPANS_OF_STEP);
            let step = BlockRange { first: position, end: BlockId::lowest_at(step_end).min(range.end) };
            for shard in Shard::ALL {
                let mut rest = Some(step.first);
                while let Some(first) = rest {
                    rest = self.expiry.extend_expiry(&row.tenant, shard, BlockRange { first, ..step }, kept).await?;
                }
            }
            if !self.records.extend_archive_row(&row, step.end).await? {
                // Another rescue goes on, or the tenant was erased.
                return Ok(true);
            }
            row.extended_through = Some(step.end);
            position = step.end;
        }
        tracing::warn!(tenant = %row.tenant, through = %range.end, "the archive of a tenant is behind: its blocks are kept for longer");
        Ok(true)
    }
}
