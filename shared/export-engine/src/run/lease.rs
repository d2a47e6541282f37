//! Taking a configuration's lease and keeping it.

use domain::{
    configuration::ExportConfiguration,
    export_run::{ExportState, HEARTBEAT},
    time::Timestamp,
};
use host::{Clock, Timer};

use super::engine::{EnginePorts, ExportEngine};
use crate::{
    alarms::RUN_CRASHED,
    ports::{ErrorKind, Lease, LeaseOutcome, LeaseRequest, PortError, RunStore, TenantShare},
};

/// The number of times that a run asks for a lease whose holder releases it in between.
const MAX_LEASE_REQUESTS: u32 = 3;

impl<P: EnginePorts> ExportEngine<'_, P> {
    /// Takes the lease. `None`: another run holds it and was asked to export through `through`.
    pub(super) async fn acquire_lease(
        &self,
        configuration: &ExportConfiguration,
        through: Timestamp,
    ) -> Result<Option<(Lease, ExportState)>, PortError> {
        let key = &configuration.key;
        let initial = ExportState::initial(configuration);
        for _ in 0..MAX_LEASE_REQUESTS {
            let request = LeaseRequest {
                holder: self.holder,
                message: self.message,
                now: self.clock.now(),
                expires_at: self.lease_end(),
            };
            match self.runs.acquire_lease(key, &initial, &request).await? {
                LeaseOutcome::Granted { lease, state, was_abandoned } => {
                    if was_abandoned {
                        tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id,
                            alarm = RUN_CRASHED, "the previous run never released its lease");
                    }
                    return Ok(Some((lease, *state)));
                }
                // That run may be dead. If the work were left to it, nobody would ask for it again.
                LeaseOutcome::Held { is_same_message: true, .. } => {
                    return Err(PortError::transient("acquire lease", "an earlier run of the same message holds it"));
                }
                LeaseOutcome::Held { fencing_token, is_same_message: false } => {
                    if self.runs.note_rerun(key, fencing_token, through).await? {
                        return Ok(None);
                    }
                }
            }
        }
        Err(PortError::transient(
            "acquire lease",
            format!("{MAX_LEASE_REQUESTS} holders released it while it was asked for"),
        ))
    }

    /// Renews lease and share until the lease is lost, and returns the error that says so. Other failures are only logged:
    /// the lease outlasts two of them, and every write is refused once it has ended.
    pub(super) async fn keep_lease(&self, lease: &Lease, share: &TenantShare) -> PortError {
        loop {
            self.clock.sleep(HEARTBEAT).await;
            self.renew_share(share).await;
            match self.runs.renew_lease(lease, self.lease_end()).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Fenced => return error,
                Err(error) => tracing::warn!(%error, "the lease was not renewed this time"),
            }
        }
    }
}
