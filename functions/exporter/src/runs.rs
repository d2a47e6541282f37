//! Messages of the run queue: one run each, and each fails for itself.

use std::time::Duration;

use aws::run_queue::RunQueueClient;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    export_run::{RunRequest, RunTrigger},
    time::Timestamp,
};
use export::{
    CORRUPT_BLOCK,
    ports::{Clock, ErrorKind, PortError, RunQueue},
    run::{DeferralReason, ExportEngine, RunOutcome},
};
use lambda_runtime::Context;

use crate::handler::Exporter;

/// The wait before a run is tried for the second time; doubled with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(20);

/// The longest wait between two tries.
const MAX_RETRY_DELAY: Duration = Duration::from_mins(15);

/// The shortest and the longest wait of a run whose tenant has no free share: about as long as a small export takes.
const SHARE_DELAY: (f64, f64) = (10.0, 20.0);

/// By how much the runs that wait for a Region are spread once they may go on.
const REGION_DELAY_SPREAD: f64 = 30.0;

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
        let queue = self.queue_of(request.trigger);
        let outcome = match outcome {
            Ok(RunOutcome::Paused { next: Some(next), .. } | RunOutcome::Refused { next: Some(next), .. }) => {
                queue.send(&[next]).await
            }
            Ok(RunOutcome::Deferred { reason, next }) => {
                let delay = deferral_delay(reason, self.clock.now(), rand::random());
                queue.send_later(&next, delay).await
            }
            outcome => outcome.map(|_| ()),
        };
        if outcome.is_err() {
            retry_later(queue, message).await;
        }
        outcome
    }

    /// What a person asked for and what the schedule asks for wait in queues of their own.
    fn queue_of(&self, trigger: RunTrigger) -> &RunQueueClient {
        match trigger {
            RunTrigger::Schedule => &self.queue,
            RunTrigger::Manual => &self.manual_queue,
        }
    }
}

/// Without this the message would stay hidden for the queue's whole visibility time-out.
async fn retry_later(queue: &RunQueueClient, message: &SqsMessage) {
    let Some(receipt_handle) = &message.receipt_handle else { return };
    let tries = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let delay = retry_delay(tries, rand::random_range(0.5..1.0));
    if let Err(error) = queue.retry_after(receipt_handle, delay).await {
        tracing::warn!(%error, "the retry waits for the visibility time-out");
    }
}

/// The wait of a run that can't begin yet; `share` is a random share of its jitter, 0 to 1.
fn deferral_delay(reason: DeferralReason, now: Timestamp, share: f64) -> Duration {
    match reason {
        DeferralReason::NoFreeShare => {
            let (shortest, longest) = SHARE_DELAY;
            Duration::from_secs_f64(shortest + (longest - shortest) * share)
        }
        DeferralReason::RegionUnreachable { until } => {
            until.saturating_since(now) + Duration::from_secs_f64(REGION_DELAY_SPREAD * share)
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
        Ok(RunOutcome::Paused { next: Some(next), .. }) => {
            tracing::info!(%tenant, %configuration, through = %next.through, slices = next.slices,
                "the run goes on in another slice");
        }
        Ok(RunOutcome::Paused { next: None, .. }) => {
            tracing::error!(%tenant, %configuration, %through, slices = request.slices, alarm = "SLICES_EXHAUSTED",
                "a slot's slices are used up; the rest is exported with the next slot");
        }
        Ok(RunOutcome::Deferred { reason, next }) => {
            tracing::info!(%tenant, %configuration, %through, ?reason, deferrals = next.deferrals, "the run has to wait");
        }
        Ok(RunOutcome::LeftToAnother) => {
            tracing::info!(%tenant, %configuration, %through, "another run was asked to go on");
        }
        Ok(RunOutcome::NotWanted) => {
            tracing::info!(%tenant, %configuration, %through, "the configuration is disabled or deleted");
        }
        Ok(RunOutcome::Refused { connection, .. }) => {
            let code = connection.error().map(|error| error.code.name());
            tracing::warn!(%tenant, %configuration, %through, code, "the customer has to change something");
        }
        Err(error) if matches!(error.kind, ErrorKind::Internal | ErrorKind::CorruptBlock(_)) => {
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
    fn a_run_waits_for_a_share_or_for_its_region() {
        let seconds = |reason, share| deferral_delay(reason, Timestamp::EPOCH, share).as_secs();
        let until = Timestamp::EPOCH.saturating_add(Duration::from_mins(1));
        assert_eq!([0.0, 1.0].map(|share| seconds(DeferralReason::NoFreeShare, share)), [10, 20]);
        assert_eq!([0.0, 1.0].map(|share| seconds(DeferralReason::RegionUnreachable { until }, share)), [60, 90]);
    }

    #[test]
    fn delays_grow_to_their_bound() {
        let whole = |tries| retry_delay(tries, 1.0).as_secs();
        assert_eq!([whole(0), whole(1), whole(2), whole(3), whole(100)], [20, 20, 40, 80, 900]);
        assert_eq!(retry_delay(1, 0.5).as_secs(), 10);
    }
}
