//! The work of a run under its lease, up to the release of the lease.

use domain::{
    connection::{Connection, ConnectionFailure},
    export_run::RunRequest,
    policy::AccountScope,
};

use super::{
    engine::EnginePorts,
    leased_run::LeasedRun,
    outcome::{DeferralReason, RunOutcome},
    windows::WindowsOutcome,
};
use crate::{
    connection_test::connection_after,
    ports::{ConfigurationStore, ErrorKind, PortError, ReleaseOutcome, RunReport, RunStore},
    retention::observe_retention,
};

/// The result of a run, as its configuration stores it.
#[derive(Clone, Copy, Debug)]
enum Report<'a> {
    Succeeded,
    /// The customer has to act: this is the state of the connection from now on.
    Refused(&'a Connection),
    /// An error that does not concern the customer.
    Failed,
}

/// Exports through the requested time, or through the time of a rerun that was requested meanwhile, and releases the lease.
pub(super) async fn execute<P: EnginePorts>(
    mut run: LeasedRun<'_, P>,
    mut request: RunRequest,
) -> Result<RunOutcome, PortError> {
    request.through = run.state.rerun_through.map_or(request.through, |noted| noted.max(request.through));
    match run.try_to_export(&mut request).await {
        Ok(outcome) => Ok(outcome),
        Err(Interruption::Failed(error)) => run.fail(&request, error).await,
        Err(Interruption::LeaseUnclear(error)) => Err(error),
    }
}

/// An error that ends a run early.
#[derive(Debug)]
enum Interruption {
    /// The lease is held: the failure is recorded before it is handed over.
    Failed(PortError),
    /// Releasing the lease failed, so it may be gone: nothing can be recorded.
    LeaseUnclear(PortError),
}

impl From<PortError> for Interruption {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl<P: EnginePorts> LeasedRun<'_, P> {
    async fn try_to_export(&mut self, request: &mut RunRequest) -> Result<RunOutcome, Interruption> {
        let runs = self.engine.runs;
        self.retention = observe_retention(runs, self.engine.settings.retention, self.engine.clock).await?;
        self.state.begin_at_earliest(self.configuration, self.retention_floor());
        if let Some(until) = self.circuit.closed_until().await? {
            self.record_lost().await;
            runs.hand_over(self.lease).await.map_err(Interruption::LeaseUnclear)?;
            let reason = DeferralReason::RegionUnreachable { until };
            return Ok(RunOutcome::Deferred { reason, next: request.clone().deferred() });
        }
        loop {
            let through = request.through;
            let windows = self.export_through(through).await?;
            // Before the lease is released: a repetition of a run that could not report finds nothing left to do. A run that
            // left everything to another function proves nothing about the export's health.
            if windows != WindowsOutcome::Elsewhere || self.has_moved {
                self.report(Report::Succeeded).await?;
            }
            if self.has_moved {
                self.circuit.record_reached().await;
            }
            if windows != WindowsOutcome::Done {
                runs.hand_over(self.lease).await.map_err(Interruption::LeaseUnclear)?;
                let next = request.clone().continued(through);
                let done = std::mem::take(&mut self.windows);
                return Ok(match next {
                    Some(next) if windows == WindowsOutcome::Elsewhere => RunOutcome::Elsewhere { windows: done, next },
                    next => RunOutcome::Paused { windows: done, next, had_last_share: false },
                });
            }
            let exported_through = self.state.exported_through();
            match runs.release(self.lease, exported_through).await.map_err(Interruption::LeaseUnclear)? {
                ReleaseOutcome::Rerun { through: asked } => request.through = through.max(asked),
                ReleaseOutcome::Released => return Ok(RunOutcome::Exported(std::mem::take(&mut self.windows))),
            }
        }
    }

    /// Records a failure and hands the lease over. An error of the customer's ends the request and is stored for the customer
    /// to read; all others bring the request back.
    async fn fail(&mut self, request: &RunRequest, error: PortError) -> Result<RunOutcome, PortError> {
        match error.kind {
            ErrorKind::Fenced => return Err(error),
            ErrorKind::Unreachable | ErrorKind::Customer(ConnectionFailure::EndpointUnreachable) => {
                self.circuit.record_unreachable().await;
            }
            ErrorKind::Customer(_) => self.circuit.record_reached().await,
            ErrorKind::CorruptBlock(block) => self.record_corrupt_block(block).await,
            ErrorKind::Transient | ErrorKind::Internal => {}
        }
        self.record_lost().await;
        let configuration = self.configuration;
        let scope = AccountScope::of(&configuration.destination, configuration.writer_account());
        let connection = connection_after(Err(error), configuration, scope, self.now());
        let noted = self.engine.runs.hand_over(self.lease).await?;
        match connection {
            Ok(connection) => {
                self.report(Report::Refused(&connection)).await?;
                // The person who asked while this run was failing may have removed the cause.
                let noted = noted.filter(|noted| *noted > request.through);
                let next = noted.map(|through| RunRequest { through, slices: 0, deferrals: 0, ..request.clone() });
                Ok(RunOutcome::Refused { connection, next })
            }
            Err(error) => {
                // The error of the run is returned, not that of storing it.
                if let Err(second) = self.report(Report::Failed).await {
                    tracing::warn!(error = %second, "the failure was not noted on the configuration");
                }
                Err(error)
            }
        }
    }

    /// Stores the result of the run on the configuration.
    async fn report(&self, result: Report<'_>) -> Result<(), PortError> {
        let (configuration, state) = (self.configuration, &self.state);
        let report = RunReport {
            ended_at: self.now(),
            exported_through: state.head.as_ref().map(|_| state.exported_through()),
            has_exported: state.has_exported(&configuration.progress, self.windows.len()),
            has_failed: !matches!(result, Report::Succeeded),
        };
        let configurations = self.engine.configurations;
        configurations.store_run(&configuration.key, &report).await?;
        match result {
            Report::Refused(connection) => {
                configurations.store_connection(&configuration.key, configuration.version, connection, None).await
            }
            // Only the connection test stores a success: its time is that of the last probe of the trust policy.
            Report::Succeeded | Report::Failed => Ok(()),
        }
    }
}
