//! Repairs: putting the objects and digests of completed windows into the bucket again, byte for byte.
//!
//! Reads from top to bottom: [`RepairEngine::run`] here claims the repair for one slice, `walk` visits the files of the range,
//! `proof` makes the bytes of an object again and compares them with its signed digest.
//!
//! A repair takes no lease of the export: it writes only names of completed windows, with the bytes that their digests prove.
//! Its own revision fences it: of two processes that work on one repair, the first to store progress continues.

mod engine;
mod proof;
mod walk;

use std::pin::pin;

use domain::{
    configuration::ExportConfiguration,
    connection::{ConnectionError, ConnectionErrorCode},
    export_run::{HEARTBEAT, RunTrigger},
    policy::AccountScope,
    repair::{Repair, RepairMode, RepairRequest},
};
use futures::future::{Either, select};
use host::Timer;

pub use self::engine::{RepairEngine, RepairPorts};
use self::walk::{Walk, WalkOutcome};
use crate::{
    outage::as_passing,
    ports::{ConfigurationStore, ErrorKind, PortError, RepairStore, TenantShare},
};

/// The outcome of a slice of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairOutcome {
    /// All files of the range are done, or the customer has to change something.
    Ended(Box<Repair>),
    /// The slice is over, or a person has edited the configuration: the request has to be queued again.
    Paused,
    /// Another function makes the format of the next window: the request has to be queued for it.
    Elsewhere,
    /// The tenant has no free share of the runs: the request has to be queued with a delay.
    Deferred,
    /// The configuration was deleted, or the repair has ended or was replaced.
    NotWanted,
}

impl<P: RepairPorts> RepairEngine<'_, P> {
    /// Continues the repair that the request names.
    ///
    /// # Errors
    /// Transient, unreachable and fenced: repeat the request later. Internal: repeat, and alert an operator.
    pub async fn run(&self, request: &RepairRequest) -> Result<RepairOutcome, PortError> {
        let (engine, key) = (&self.exports, &request.key);
        let stored = self.repairs.load_repair(key).await?;
        let Some(repair) = stored.filter(|stored| stored.id == request.repair_id && !stored.status.is_ended()) else {
            return Ok(RepairOutcome::NotWanted);
        };
        let Some(configuration) = engine.configurations.load(key).await? else { return Ok(RepairOutcome::NotWanted) };
        let Some(share) = engine.take_share(&key.tenant_id, RunTrigger::Manual).await? else {
            return Ok(RepairOutcome::Deferred);
        };
        let outcome = {
            let work = pin!(self.repair(&configuration, repair));
            match select(work, pin!(self.keep_share(&share))).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((never, _)) => never,
            }
        };
        engine.return_share(&share).await;
        outcome
    }

    async fn repair(&self, configuration: &ExportConfiguration, repair: Repair) -> Result<RepairOutcome, PortError> {
        let mut walk = Walk::claim(self, configuration, repair).await?;
        let outcome = match walk.test_connection_if_due().await {
            Ok(()) => walk.visit_files().await.map_err(|error| as_passing(error, &configuration.destination.site)),
            // It knows whether the connection has worked before.
            Err(error) => Err(error),
        };
        match outcome {
            Ok(WalkOutcome::Done) => walk.repair.end(),
            Ok(WalkOutcome::Paused) => return Ok(RepairOutcome::Paused),
            Ok(WalkOutcome::Elsewhere) => return Ok(RepairOutcome::Elsewhere),
            Ok(WalkOutcome::NotWanted) => return Ok(RepairOutcome::NotWanted),
            Err(PortError { kind: ErrorKind::Customer(failure), .. }) => {
                let scope = AccountScope::of(&configuration.destination, configuration.writer_account());
                let failure = failure.explain(&configuration.destination, scope);
                walk.repair.fail(explained_for(walk.repair.mode, failure));
            }
            Err(error) => return Err(error),
        }
        walk.store().await?;
        Ok(RepairOutcome::Ended(Box::new(walk.repair)))
    }

    /// Renews the share for as long as the work lasts. Failures are only logged: the share only limits concurrency.
    async fn keep_share<T>(&self, share: &TenantShare) -> T {
        loop {
            self.exports.clock.sleep(HEARTBEAT).await;
            self.exports.renew_share(share).await;
        }
    }
}

/// Adds the cause that only a write without a condition can have.
fn explained_for(mode: RepairMode, failure: ConnectionError) -> ConnectionError {
    let ConnectionError { code, mut message } = failure;
    if mode == RepairMode::Overwrite && code == ConnectionErrorCode::WriteDenied {
        message.push_str(
            " A repair with overwrite sends no If-None-Match: a policy that requires s3:if-none-match denies it. Delete the \
             altered objects yourself and repair without overwrite, or change the policy for the duration of the repair.",
        );
    }
    ConnectionError { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_overwrite_names_the_condition_that_it_lacks() {
        let explained = |mode, code| {
            let message = "Allow s3:PutObject.".to_owned();
            explained_for(mode, ConnectionError { code, message }).message.contains("s3:if-none-match")
        };
        assert!(explained(RepairMode::Overwrite, ConnectionErrorCode::WriteDenied));
        assert!(!explained(RepairMode::Missing, ConnectionErrorCode::WriteDenied));
        assert!(!explained(RepairMode::Overwrite, ConnectionErrorCode::KmsDenied));
    }
}
