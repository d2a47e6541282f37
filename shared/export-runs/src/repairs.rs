//! Repairs: their messages are in the queue of manual runs.

use std::time::Duration;

use domain::{export_run::RunTrigger, repair::RepairRequest};
use export_engine::{
    message::while_hidden,
    ports::{Encoders, PortError},
    repair::{RepairEngine, RepairOutcome},
    run::{DeferralReason, ExportEngine},
};
use host::{Clock, Random};

use crate::{
    exporter::Exporter,
    runs::{PAUSE_DELAY, Received, deferral_delay},
};

impl<E: Encoders> Exporter<E> {
    /// Continues a repair for one slice, and queues the rest. The message may be deleted only after that.
    pub(crate) async fn continue_repair(
        &self,
        request: &RepairRequest,
        engine: ExportEngine<'_, Self>,
        received: &Received<'_>,
    ) -> Result<(), PortError> {
        let engine = RepairEngine::<Self> { exports: engine, repairs: &self.configurations, windows: &self.history };
        let outcome = while_hidden(received, &self.machine, Box::pin(engine.run(request))).await;
        log(request, &outcome);
        let queue = self.queue(RunTrigger::Manual);
        match outcome? {
            RepairOutcome::Paused => queue.send_repair(request, PAUSE_DELAY).await,
            RepairOutcome::Elsewhere => {
                self.converter_queue(RunTrigger::Manual)?.send_repair(request, Duration::ZERO).await
            }
            RepairOutcome::Deferred => {
                let (now, fraction) = (self.machine.now(), self.machine.fraction());
                queue.send_repair(request, deferral_delay(DeferralReason::NoFreeShare, 1, now, fraction)).await
            }
            RepairOutcome::Ended(_) | RepairOutcome::NotWanted => Ok(()),
        }
    }
}

fn log(request: &RepairRequest, outcome: &Result<RepairOutcome, PortError>) {
    let (tenant, configuration) = (&request.key.tenant_id, &request.key.configuration_id);
    let repair = &request.repair_id;
    match outcome {
        Ok(RepairOutcome::Ended(ended)) => {
            let code = ended.failure.as_ref().map(|failure| failure.code.name());
            let counts = &ended.counts;
            tracing::info!(%tenant, %configuration, %repair, status = ended.status.name(), code, checked = counts.checked,
                repaired = counts.repaired, present = counts.present, unrepaired = counts.unrepaired,
                "the repair has ended");
        }
        Ok(RepairOutcome::Paused) => {
            tracing::info!(%tenant, %configuration, %repair, "the repair continues in another slice");
        }
        Ok(RepairOutcome::Elsewhere) => {
            tracing::info!(%tenant, %configuration, %repair, "another function makes the format");
        }
        Ok(RepairOutcome::Deferred) => tracing::info!(%tenant, %configuration, %repair, "the repair was deferred"),
        Ok(RepairOutcome::NotWanted) => {
            tracing::info!(%tenant, %configuration, %repair, "the repair has ended before, or its configuration was deleted");
        }
        Err(error) => match error.alarm() {
            Some(alarm) => {
                tracing::error!(%tenant, %configuration, %repair, %error, alarm, "the repair failed");
            }
            None => {
                tracing::warn!(%tenant, %configuration, %repair, %error, "the repair will be tried again");
            }
        },
    }
}
