//! Requesting runs.

use authentication::Caller;
use domain::{
    allowance::{Allowance, RUN_REQUEST_LIFETIME},
    configuration::{ConfigurationKey, ExportConfiguration},
    connection::ConnectionStatus,
    export_run::{RunRequest, RunTrigger},
    time::Timestamp,
};

use super::shared::{Service, key_of};
use crate::{error::ApiError, ports::RunRequestOutcome};

impl Service {
    /// Requests a run of everything that has settled.
    ///
    /// Every request counts for the tenant, so that the allowance bounds the writes that a script can cause. The
    /// configuration's own allowance is for runs: a request that the run in the queue covers doesn't use it.
    pub async fn run(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        let key = key_of(caller, id)?;
        let configuration = self.load(&key).await?;
        if !configuration.enabled {
            return Err(ApiError::ConfigurationDisabled);
        }
        let now = self.clock.now();
        let of_configuration = Allowance::ConfigurationRuns(key.configuration_id);
        self.take(caller, Allowance::ManualRuns).await?;
        let is_pending = configuration.has_pending_run(now);
        if !is_pending {
            self.take(caller, of_configuration).await?;
        }
        let through = now.saturating_sub(self.schedule.settle);
        // The latest of several requests counts for all of them.
        let latest = configuration.pending_run_through(now).map_or(through, |pending| pending.max(through));
        let requested = ExportConfiguration {
            requested_through: Some(latest),
            requested_until: Some(now.saturating_add(RUN_REQUEST_LIFETIME)),
            ..configuration
        };
        match self.ports.configurations.request_run(&key, through, now, self.random.bits()).await? {
            RunRequestOutcome::Pending => Ok(requested),
            RunRequestOutcome::NotFound => Err(ApiError::NotFound),
            RunRequestOutcome::Queue => {
                // The run that was in the queue has ended since.
                if is_pending && let Err(refusal) = self.take(caller, of_configuration).await {
                    self.withdraw_request(&key).await;
                    return Err(refusal);
                }
                self.queue_run(key, through).await?;
                Ok(ExportConfiguration { requested_through: Some(through), ..requested })
            }
        }
    }

    /// Starts the export that is due, if the connection works now and did not before.
    ///
    /// The allowance of connection tests bounds these runs, so they use none of manual runs. They end at a boundary of the
    /// schedule, so they make no window that the schedule would not make. If the run can't be queued, the next slot
    /// exports, and the test or change stays done.
    pub(super) async fn start_if_repaired(&self, before: &ExportConfiguration, after: &ExportConfiguration) {
        let [was, is] = [before, after].map(|configuration| configuration.connection.status());
        let is_repaired = was != ConnectionStatus::Success && is == ConnectionStatus::Success;
        let now = self.clock.now();
        let due = self.schedule.due(after.interval, after.done_through(), now);
        let Some(through) = due.filter(|_| is_repaired && after.enabled) else { return };
        if let Err(error) = self.start(&after.key, through, now).await {
            tracing::warn!(configuration = %after.key.configuration_id, %through, %error,
                "the export that is due could not be started; the next slot exports it");
        }
    }

    async fn start(&self, key: &ConfigurationKey, through: Timestamp, now: Timestamp) -> Result<(), ApiError> {
        match self.ports.configurations.request_run(key, through, now, self.random.bits()).await? {
            RunRequestOutcome::Queue => self.queue_run(key.clone(), through).await,
            RunRequestOutcome::Pending | RunRequestOutcome::NotFound => Ok(()),
        }
    }

    /// Sends the message of a request that was stored. If it can't be sent, the request is withdrawn.
    async fn queue_run(&self, key: ConfigurationKey, through: Timestamp) -> Result<(), ApiError> {
        let request = RunRequest::new(key.clone(), through, RunTrigger::Manual);
        if let Err(error) = self.ports.manual_runs.send(request).await {
            self.withdraw_request(&key).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// Withdraws a request that has no message. If that fails, the request expires after [`RUN_REQUEST_LIFETIME`].
    async fn withdraw_request(&self, key: &ConfigurationKey) {
        if let Err(error) = self.ports.configurations.withdraw_run_request(key).await {
            tracing::warn!(configuration = %key.configuration_id, %error, "a requested run could not be withdrawn");
        }
    }
}
