//! The scheduled sweep: logs the lag of exports in one line that metric filters read, and queues notices of what changed.

use std::time::Duration;

use domain::lag::LagReport;
use export_engine::sweep::{Sweep, SweepOutcome};
use host::Clock;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

use crate::{deletions::DeletionOutcome, housekeeper::Housekeeper, rescue::RescueReport};

/// The time to read the enabled configurations: 10,000 of them take a few seconds.
const SURVEY_BUDGET: Duration = Duration::from_mins(5);

/// The time for that and for the items of deleted configurations.
const SWEEP_BUDGET: Duration = Duration::from_mins(8);

/// The time for the whole sweep, including giving blocks the full expiry that were not archived in time. The function's timeout is 15
/// minutes.
const RESCUE_BUDGET: Duration = Duration::from_mins(12);

/// The request for a sweep, which has no parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SweepRequest {}

/// The outcome of a sweep.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SweepReport {
    report: LagReport,
    is_complete: bool,
    notices: u64,
    deletions: DeletionOutcome,
    archive: RescueReport,
}

/// The error of a sweep that noticed something and could not store it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("what was noticed of {0} exports was not stored; the next sweep notices it again")]
struct Unrecorded(u64);

impl Housekeeper {
    /// Measures the lag of all exports, queues notices of what changed, and sets the expiry of the items of deleted configurations.
    pub(crate) async fn sweep(&self) -> Result<SweepReport, Error> {
        let started_at = self.clock.now();
        let sweep = Sweep {
            index: &self.configurations,
            exports: &self.configurations,
            notices: &self.configurations,
            random: &self.clock,
            clock: &self.clock,
            schedule: self.settings.schedule,
            retention: self.settings.retention,
            deadline: started_at.saturating_add(SURVEY_BUDGET),
        };
        let surveyed = sweep.run().await.inspect_err(|error| tracing::error!(%error, "the sweep failed"));
        // At once: what follows may use up the time. And nothing that fails may keep the rest from being done.
        if let Ok(SweepOutcome { report, is_complete, .. }) = &surveyed {
            log(*report, *is_complete);
        }
        let deletions = self.expire_deleted(started_at.saturating_add(SWEEP_BUDGET)).await;
        let archive = self.rescue(started_at.saturating_add(RESCUE_BUDGET)).await;
        let archive = archive.inspect_err(|error| tracing::error!(%error, "the archive could not be looked at"));
        let SweepOutcome { report, is_complete, notices, unrecorded } = surveyed?;
        if unrecorded > 0 {
            return Err(Unrecorded(unrecorded).into());
        }
        Ok(SweepReport { report, is_complete, notices, deletions: deletions?, archive: archive? })
    }
}

/// Logs the report. The alarms of template.yaml read these names.
fn log(report: LagReport, is_complete: bool) {
    let LagReport {
        configurations,
        largest_lag_seconds,
        healthy_configurations,
        never_run_configurations,
        delayed_configurations,
        failing_configurations,
        refused_configurations,
        refused_tenants_percent,
        retention_used_percent,
        refused_retention_used_percent,
    } = report;
    if !is_complete {
        tracing::error!(configurations, alarm = "SWEEP_INCOMPLETE", "the sweep did not read every configuration");
    }
    tracing::info!(
        configurations,
        largest_lag_seconds,
        healthy_configurations,
        never_run_configurations,
        delayed_configurations,
        failing_configurations,
        refused_configurations,
        refused_tenants_percent,
        retention_used_percent,
        refused_retention_used_percent,
        "the sweep is done"
    );
}
