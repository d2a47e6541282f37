//! An export run: one execution of the exporter for one configuration.
//!
//! Reads from top to bottom: [`ExportEngine::run`] here decides whether there is work and takes a share and the lease,
//! `execution` does the work under the lease, `windows` exports one window after the other, `objects` fills a window's
//! objects.

mod circuit;
mod engine;
mod execution;
mod lease;
mod leased_run;
mod losses;
mod objects;
mod outcome;
mod share;
mod windows;

use std::pin::pin;

use domain::{configuration::ExportConfiguration, export_run::RunRequest, time::Timestamp};
use futures::future::{Either, select};
use host::Clock;

pub use self::{
    engine::{EnginePorts, EngineSettings, ExportEngine},
    outcome::{DeferralReason, RunOutcome},
};
use self::{execution::execute, leased_run::LeasedRun};
use crate::ports::{ConfigurationStore, Encoders, PortError, TenantShare};

impl<P: EnginePorts> ExportEngine<'_, P> {
    /// Exports what the request asks for. Does nothing if that is exported already.
    ///
    /// # Errors
    /// Transient: repeat the request later. Fenced: another run took over. Internal: repeat, and alert an operator.
    pub async fn run(&self, request: &RunRequest) -> Result<RunOutcome, PortError> {
        let now = self.clock.now();
        let settled = now.saturating_sub(self.settings.settle);
        if request.through > settled {
            let detail = format!("asked at {now} for an export through {}", request.through);
            return Err(PortError::transient("window not settled", detail));
        }
        let Some(configuration) = self.configurations.load(&request.key).await? else {
            return Ok(RunOutcome::NotWanted);
        };
        if !configuration.enabled {
            // After it is enabled again, a request must not seem pending whose message is gone.
            if let Some(asked) = configuration.requested_through {
                self.clear_run_request(&configuration, asked).await;
            }
            return Ok(RunOutcome::NotWanted);
        }
        if !self.encoders.makes(&configuration.encoding()) {
            return Ok(RunOutcome::Elsewhere { windows: Vec::new(), next: request.clone() });
        }
        let Some(share) = self.take_share(&request.key.tenant_id, request.trigger).await? else {
            let next = request.clone().deferred();
            return Ok(RunOutcome::Deferred { reason: DeferralReason::NoFreeShare, next });
        };
        // A person may have asked again since the message was sent.
        let asked_through = configuration.requested_through.filter(|through| *through <= settled);
        let through = asked_through.map_or(request.through, |asked| asked.max(request.through));
        let request = RunRequest { through, ..request.clone() };
        let mut outcome = self.run_in_share(&share, &configuration, &request).await;
        if share.number + 1 >= self.settings.max_runs_per_tenant {
            outcome = outcome.map(RunOutcome::of_last_share);
        }
        self.return_share(&share).await;
        let is_answered =
            matches!(outcome, Ok(RunOutcome::Exported(_) | RunOutcome::LeftToAnother | RunOutcome::Refused { .. }));
        if !is_answered || configuration.requested_through.is_none() {
            return outcome;
        }
        match self.clear_run_request(&configuration, through).await {
            None => outcome,
            // The later request has no message but this one.
            Some(later) => outcome.map(|outcome| outcome.followed_by(&request, later)),
        }
    }

    /// Clears a person's request for a run up to `through`. Returns the time of a later request, if there is one. A failure
    /// is only logged: the request expires.
    async fn clear_run_request(&self, configuration: &ExportConfiguration, through: Timestamp) -> Option<Timestamp> {
        let cleared = self.configurations.clear_run_request(&configuration.key, through).await;
        cleared.unwrap_or_else(|error| {
            tracing::warn!(%error, "the request for a run was not cleared; it expires");
            None
        })
    }

    async fn run_in_share(
        &self,
        share: &TenantShare,
        configuration: &ExportConfiguration,
        request: &RunRequest,
    ) -> Result<RunOutcome, PortError> {
        let Some((lease, state)) = self.acquire_lease(configuration, request.through).await? else {
            return Ok(RunOutcome::LeftToAnother);
        };
        let work = pin!(execute(LeasedRun::new(self, configuration, &lease, state), request.clone()));
        let heartbeat = pin!(self.keep_lease(&lease, share));
        match select(work, heartbeat).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((lost, _)) => Err(lost),
        }
    }
}
