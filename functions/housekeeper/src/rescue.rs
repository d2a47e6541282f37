//! The rescue of blocks that are not archived in time, and how far the archive is behind.

use domain::{block::EXPIRY_GRACE, retention::DEPLOY_MARGIN, time::Timestamp};
use export_engine::{
    archive::{Rescue, RescueOutcome, RescueSettings},
    ports::{PortError, SeenRetentions},
};
use host::Random;
use serde::Serialize;

use crate::housekeeper::Housekeeper;

/// How far the archive is behind, and what was done about it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RescueReport {
    tenants: u64,
    archive_lag_seconds: u64,
    rescued: u64,
    late: u64,
    failed: u64,
    is_complete: bool,
}

impl Housekeeper {
    /// Gives blocks the full expiry that the archive has not reached in time, until `deadline`. Works without the archiver, and also
    /// where there is no archive any more: blocks with the short expiry may be left from before.
    pub(crate) async fn rescue(&self, deadline: Timestamp) -> Result<RescueReport, PortError> {
        let rescue = Rescue {
            records: &self.archive,
            expiry: &self.archive,
            clock: &self.clock,
            settings: RescueSettings {
                retention: self.settings.retention,
                history: self.runs.retention_history().await?,
                deploy_margin: DEPLOY_MARGIN,
                grace: EXPIRY_GRACE,
                times: self.settings.archive_times,
                deadline,
            },
        };
        let outcome = rescue.run(self.clock.bits()).await?;
        let RescueOutcome { tenants, rescued, late, failed, is_complete, .. } = outcome;
        let archive_lag_seconds = outcome.lag(self.settings.terms.table().is_some()).as_secs();
        if failed > 0 || !is_complete {
            tracing::error!(tenants, failed, alarm = "SWEEP_INCOMPLETE", "the rescue of the archive is not complete");
        }
        // The alarms of template.yaml read these names.
        tracing::info!(tenants, archive_lag_seconds, rescued, late, failed, is_complete, "the archive was looked at");
        Ok(RescueReport { tenants, archive_lag_seconds, rescued, late, failed, is_complete })
    }
}
