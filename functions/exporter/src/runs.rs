//! Messages of the run queue: one run each, and each fails for itself.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{export_run::RunRequest, time::Timestamp};
use export::{
    CORRUPT_BLOCK,
    ports::{ErrorKind, PortError, RunQueue},
    run::{ExportEngine, RunOutcome},
};
use lambda_runtime::Context;

use crate::handler::Exporter;

/// The wait before a run is tried for the second time; doubled with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(20);

/// The longest wait between two tries.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(15);

/// The time that is left for the last object of a slice: more than S3 takes for one of 8 MiB, or of 16 in older plans,
/// retries included.
const DEADLINE_MARGIN: Duration = Duration::from_mins(3);

impl Exporter {
    pub(crate) async fn run_batch(&self, batch: SqsEvent, invocation: &Context) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in batch.records {
            if self.run_message(&message, invocation).await.is_err() {
                response.add_failure(message.message_id.unwrap_or_default());
            }
        }
        response
    }

    async fn run_message(&self, message: &SqsMessage, invocation: &Context) -> Result<(), PortError> {
        let request = parse(message).inspect_err(|error| tracing::error!(%error, "the message asks for no run"))?;
        let engine = ExportEngine {
            configurations: &self.configurations,
            runs: &self.runs,
            blocks: &self.blocks,
            connector: &*self.connector,
            signer: &*self.signer,
            clock: &self.clock,
            settings: self.settings.engine,
            holder: &invocation.request_id,
            deadline: deadline(invocation),
        };
        let outcome = Box::pin(engine.run(&request)).await;
        log(&request, &outcome);
        let outcome = match outcome {
            Ok(RunOutcome::Paused { next, .. }) => self.queue.send(&[next]).await,
            outcome => outcome.map(|_| ()),
        };
        if outcome.is_err() {
            self.retry_later(message).await;
        }
        outcome
    }

    /// Without this the message would stay hidden for the queue's whole visibility time-out.
    async fn retry_later(&self, message: &SqsMessage) {
        let Some(receipt_handle) = &message.receipt_handle else { return };
        let tries = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
        let delay = retry_delay(tries, rand::random_range(0.5..1.0));
        if let Err(error) = self.queue.retry_after(receipt_handle, delay).await {
            tracing::warn!(%error, "the retry waits for the visibility time-out");
        }
    }
}

/// Exponential, with jitter: a share of the delay between a half and the whole.
fn retry_delay(tries: u32, share: f64) -> Duration {
    let doubled = FIRST_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
    doubled.min(MAX_RETRY_DELAY).mul_f64(share)
}

/// When the run has to be over: early enough for the object on its way to arrive.
fn deadline(invocation: &Context) -> Timestamp {
    Timestamp::from_millis(invocation.deadline).unwrap_or(Timestamp::MAX).saturating_sub(DEADLINE_MARGIN)
}

fn parse(message: &SqsMessage) -> Result<RunRequest, PortError> {
    let body = message.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| PortError::internal("read run request", error.to_string()))
}

fn log(request: &RunRequest, outcome: &Result<RunOutcome, PortError>) {
    let (tenant, configuration) = (&request.key.tenant_id, &request.key.configuration_id);
    let through = &request.through;
    match outcome {
        Ok(RunOutcome::Exported(_)) => {
            tracing::info!(%tenant, %configuration, %through, "all is exported");
        }
        Ok(RunOutcome::Paused { next, .. }) => {
            tracing::info!(%tenant, %configuration, through = %next.through, "the run goes on in another slice");
        }
        Ok(RunOutcome::LeftToAnother) => {
            tracing::info!(%tenant, %configuration, %through, "another run was asked to go on");
        }
        Ok(RunOutcome::NotWanted) => {
            tracing::info!(%tenant, %configuration, %through, "the configuration is disabled or deleted");
        }
        Ok(RunOutcome::Refused(connection)) => {
            let code = connection.error().map(|error| error.code.name());
            tracing::warn!(%tenant, %configuration, %through, code, "the customer has to change something");
        }
        Err(error) if error.kind == ErrorKind::Internal => {
            let alarm = if error.operation == CORRUPT_BLOCK { "CORRUPT_BLOCK" } else { "RUN_FAILED" };
            tracing::error!(%tenant, %configuration, %through, %error, alarm, "the run failed");
        }
        Err(error) => {
            tracing::warn!(%tenant, %configuration, %through, %error, "the run will be tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound() {
        let whole = |tries| retry_delay(tries, 1.0).as_secs();
        assert_eq!([whole(0), whole(1), whole(2), whole(3), whole(100)], [20, 20, 40, 80, 900]);
        assert_eq!(retry_delay(1, 0.5).as_secs(), 10);
    }
}
