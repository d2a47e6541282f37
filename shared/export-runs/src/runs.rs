//! Messages of the run queues. Each message requests one run and fails independently.

use std::time::Duration;

use aws_adapters::{run_queue::RunQueueClient, runs::RunTable};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    export_run::{RunRequest, RunTrigger},
    repair::RepairMessage,
    replay::{Replay, ReplayMessage},
    time::Timestamp,
};
use export_engine::{
    message::{ReceivedMessage, while_hidden},
    ports::{Encoders, PortError, RunQueue},
    run::{DeferralReason, ExportEngine, RunOutcome},
};
use function_runtime::deadline_before;
use host::{Clock, Random, backoff::Backoff};
use lambda_runtime::Context;
use serde::Deserialize;

use crate::exporter::Exporter;

/// The delays between the tries of a run.
const RETRIES: Backoff = Backoff { first: Duration::from_secs(20), longest: Duration::from_mins(15) };

/// The shortest and the longest delay of a run without a free share of its tenant, in seconds: about the duration of a
/// small export.
const SHARE_DELAY: (f64, f64) = (10.0, 20.0);

/// The number of deferrals with [`SHARE_DELAY`]: longer than a slice and the pause after it, so that a run gets the share of one that
/// pauses. A run that has waited longer is one of many, and its delays double, up to [`MAX_SHARE_DELAY_FACTOR`] times: each deferral
/// is an invocation.
const SHORT_DEFERRALS: u32 = 15;

/// 80 to 160 s: a hundred runs that wait cost one invocation a second, and slots are two hours apart.
const MAX_SHARE_DELAY_FACTOR: u32 = 8;

/// The delay of the next slice of a replay or repair, which no slot bounds, and of a run that had the last share of its tenant:
/// longer than [`SHARE_DELAY`], so that a run that waits for a share gets it first. Other runs go on at once: one share is
/// enough for everybody to have a turn.
pub(crate) const PAUSE_DELAY: Duration = Duration::from_secs(25);

/// The period, in seconds, over which runs that waited for a Region are spread.
const REGION_DELAY_SPREAD: f64 = 30.0;

/// The time reserved for the last object of a slice: more than S3 takes for 32 MiB of Parquet, the longest, retries
/// included.
const DEADLINE_MARGIN: Duration = Duration::from_mins(3);

impl<E: Encoders> Exporter<E> {
    /// Does the work that the messages request, and returns those that failed.
    pub async fn run_batch(&self, batch: SqsEvent, invocation: &Context) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for message in batch.records {
            if self.run_message(&message, invocation).await.is_err() {
                response.add_failure(message.message_id.unwrap_or_default());
            }
        }
        response
    }

    async fn run_message(&self, message: &SqsMessage, invocation: &Context) -> Result<(), PortError> {
        let request =
            parse(message).inspect_err(|error| tracing::error!(%error, "the message is not a run request"))?;
        let queue = self.queue(request.trigger());
        let received = Received { queue, message };
        let outcome = match request {
            RunMessage::Repair(RepairMessage { repair }) => {
                let engine = self.engine(&self.runs, message, invocation);
                self.continue_repair(&repair, engine, &received).await
            }
            RunMessage::Replay(request) => {
                let expires_at = Replay::kept_until(self.machine.now(), self.settings.engine.history);
                let runs = self.runs.of_replay(&request.replay, expires_at);
                self.continue_replay(&request, self.engine(&runs, message, invocation), &received).await
            }
            RunMessage::Run(request) => {
                let engine = self.engine(&self.runs, message, invocation);
                let outcome = while_hidden(&received, &self.machine, Box::pin(engine.run(&request))).await;
                log(&request, &outcome);
                match outcome {
                    Ok(outcome) => self.queue_next(queue, outcome).await,
                    Err(error) => Err(error),
                }
            }
        };
        if outcome.is_err()
            && let Err(error) = received.show_after(received.retry_delay(self.machine.fraction())).await
        {
            tracing::warn!(%error, "the retry waits for the visibility timeout");
        }
        outcome
    }

    /// Returns the engine for one message, over the items of an export or of a replay.
    fn engine<'a>(
        &'a self,
        runs: &'a RunTable,
        message: &'a SqsMessage,
        invocation: &'a Context,
    ) -> ExportEngine<'a, Self> {
        ExportEngine {
            configurations: &self.configurations,
            runs,
            blocks: &self.blocks,
            connector: &*self.connector,
            signer: &*self.signer,
            encoders: &self.encoders,
            clock: &self.machine,
            settings: self.settings.engine,
            holder: &invocation.request_id,
            message: message.message_id.as_deref().unwrap_or_default(),
            deadline: deadline(invocation),
        }
    }

    /// Queues the rest of the run. Its message may be deleted only after that.
    async fn queue_next(&self, queue: &RunQueueClient, outcome: RunOutcome) -> Result<(), PortError> {
        match outcome {
            RunOutcome::Paused { next: Some(next), had_last_share: true, .. } => {
                self.queue(next.trigger).send_later(&next, PAUSE_DELAY).await
            }
            RunOutcome::Paused { next: Some(next), .. } | RunOutcome::Refused { next: Some(next), .. } => {
                self.queue(next.trigger).send(&[next]).await
            }
            RunOutcome::Deferred { reason, next } => {
                let delay = deferral_delay(reason, next.deferrals, self.machine.now(), self.machine.fraction());
                queue.send_later(&next, delay).await
            }
            RunOutcome::Elsewhere { next, .. } => self.converter_queue(next.trigger)?.send(&[next]).await,
            RunOutcome::Paused { next: None, .. }
            | RunOutcome::Refused { next: None, .. }
            | RunOutcome::Exported(_)
            | RunOutcome::LeftToAnother
            | RunOutcome::NotWanted => Ok(()),
        }
    }
}

/// The body of a message, recognised by its shape.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RunMessage {
    Repair(RepairMessage),
    Replay(ReplayMessage),
    Run(RunRequest),
}

impl RunMessage {
    fn trigger(&self) -> RunTrigger {
        match self {
            Self::Repair(_) | Self::Replay(_) => RunTrigger::Manual,
            Self::Run(request) => request.trigger,
        }
    }
}

/// A message and its queue.
pub(crate) struct Received<'a> {
    pub(crate) queue: &'a RunQueueClient,
    message: &'a SqsMessage,
}

impl Received<'_> {
    pub(crate) fn retry_delay(&self, fraction: f64) -> Duration {
        let tries = self.message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
        RETRIES.delay(tries.unwrap_or(1), fraction)
    }
}

impl ReceivedMessage for Received<'_> {
    async fn show_after(&self, delay: Duration) -> Result<(), PortError> {
        let Some(receipt_handle) = &self.message.receipt_handle else { return Ok(()) };
        self.queue.show_after(receipt_handle, delay).await
    }
}

/// Returns the delay of a run that can't start yet, and has been deferred `deferrals` times, this time included. `fraction`, a random
/// number from 0 to 1, decides on the jitter.
pub(crate) fn deferral_delay(reason: DeferralReason, deferrals: u32, now: Timestamp, fraction: f64) -> Duration {
    match reason {
        DeferralReason::NoFreeShare => {
            let (shortest, longest) = SHARE_DELAY;
            let factor = 2_u32.saturating_pow(deferrals.saturating_sub(SHORT_DEFERRALS)).min(MAX_SHARE_DELAY_FACTOR);
            Duration::from_secs_f64(shortest + (longest - shortest) * fraction) * factor
        }
        DeferralReason::RegionUnreachable { until } => {
            until.saturating_since(now) + Duration::from_secs_f64(REGION_DELAY_SPREAD * fraction)
        }
    }
}

/// Returns the time by which the run must end, so that the current object can still be stored.
fn deadline(invocation: &Context) -> Timestamp {
    deadline_before(invocation.deadline, DEADLINE_MARGIN)
}

fn parse(message: &SqsMessage) -> Result<RunMessage, PortError> {
    let body = message.body.as_deref().unwrap_or_default();
    serde_json::from_str(body).map_err(|error| PortError::internal_from("read run request", error))
}

fn log(request: &RunRequest, outcome: &Result<RunOutcome, PortError>) {
    let (tenant, configuration) = (&request.key.tenant_id, &request.key.configuration_id);
    let through = &request.through;
    match outcome {
        Ok(RunOutcome::Exported(_)) => {
            tracing::info!(%tenant, %configuration, %through, "the run is complete");
        }
        Ok(RunOutcome::Paused { next: Some(next), .. }) => {
            tracing::info!(%tenant, %configuration, through = %next.through, slices = next.slices,
                "the run continues in another slice");
        }
        Ok(RunOutcome::Paused { next: None, .. }) => {
            tracing::error!(%tenant, %configuration, %through, slices = request.slices, alarm = "SLICES_EXHAUSTED",
                "a slot's slices are used up; the rest is exported with the next slot");
        }
        Ok(RunOutcome::Elsewhere { .. }) => {
            tracing::info!(%tenant, %configuration, %through, "another function makes the format");
        }
        Ok(RunOutcome::Deferred { reason, next }) => {
            tracing::info!(%tenant, %configuration, %through, ?reason, deferrals = next.deferrals, "the run was deferred");
        }
        Ok(RunOutcome::LeftToAnother) => {
            tracing::info!(%tenant, %configuration, %through, "another run continues the export");
        }
        Ok(RunOutcome::NotWanted) => {
            tracing::info!(%tenant, %configuration, %through, "the configuration is disabled or deleted");
        }
        Ok(RunOutcome::Refused { connection, .. }) => {
            let code = connection.error().map(|error| error.code.name());
            tracing::warn!(%tenant, %configuration, %through, code, "the customer has to change something");
        }
        Err(error) => match error.alarm() {
            Some(alarm) => {
                tracing::error!(%tenant, %configuration, %through, %error, alarm, "the run failed");
            }
            None => {
                tracing::warn!(%tenant, %configuration, %through, %error, "the run will be tried again");
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        Client,
        operation::{
            change_message_visibility::ChangeMessageVisibilityOutput, send_message::SendMessageOutput,
            send_message_batch::SendMessageBatchOutput,
        },
    };
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use domain::{
        configuration::{ConfigurationId, ConfigurationKey},
        connection::Connection,
        export_run::SLICE,
        repair::{RepairId, RepairRequest},
        tenant::TenantId,
    };

    use export_engine::GzipEncoders;

    use super::*;
    use crate::exporter::tests::exporter;

    const TRIGGERS: [(RunTrigger, &str); 2] = [(RunTrigger::Schedule, "scheduled"), (RunTrigger::Manual, "manual")];

    fn request(trigger: RunTrigger) -> RunRequest {
        let key = ConfigurationKey {
            tenant_id: TenantId::parse("acme").unwrap(),
            configuration_id: ConfigurationId::from_bytes([1; 16]),
        };
        RunRequest::new(key, Timestamp::MAX, trigger)
    }

    fn exporter_with(rule: &Rule) -> Exporter<GzipEncoders> {
        exporter(&mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [rule]), ["scheduled", "manual"])
    }

    #[tokio::test]
    async fn the_rest_of_a_run_returns_to_its_queue() {
        for (trigger, url) in TRIGGERS {
            let next = request(trigger);
            for outcome in [
                RunOutcome::Paused { windows: Vec::new(), next: Some(next.clone()), had_last_share: false },
                RunOutcome::Refused { connection: Connection::Pending, next: Some(next.clone()) },
            ] {
                let expected = next.clone();
                let rule = mock!(Client::send_message_batch)
                    .match_requests(move |input| {
                        let [entry] = input.entries() else { return false };
                        let sent: RunRequest = serde_json::from_str(entry.message_body()).unwrap();
                        sent == expected && input.queue_url() == Some(url)
                    })
                    .then_output(|| {
                        let none = SendMessageBatchOutput::builder().set_successful(Some(Vec::new()));
                        none.set_failed(Some(Vec::new())).build().unwrap()
                    });
                let exporter = exporter_with(&rule);
                assert_eq!(exporter.queue_next(exporter.queue(trigger), outcome).await, Ok(()));
                assert_eq!(rule.num_calls(), 1);
            }
        }
    }

    #[tokio::test]
    async fn the_rest_of_a_run_with_the_last_share_lets_others_pass() {
        for (trigger, url) in TRIGGERS {
            let next = request(trigger);
            let expected = next.clone();
            let rule = mock!(Client::send_message)
                .match_requests(move |input| {
                    let sent: RunRequest = serde_json::from_str(input.message_body().unwrap()).unwrap();
                    sent == expected && input.delay_seconds() == Some(25) && input.queue_url() == Some(url)
                })
                .then_output(|| SendMessageOutput::builder().build());
            let exporter = exporter_with(&rule);
            let outcome = RunOutcome::Paused { windows: Vec::new(), next: Some(next), had_last_share: true };
            assert_eq!(exporter.queue_next(exporter.queue(trigger), outcome).await, Ok(()));
            assert_eq!(rule.num_calls(), 1);
        }
    }

    #[tokio::test]
    async fn a_run_for_another_format_goes_to_the_queue_of_the_function_that_makes_it() {
        for (trigger, url) in [(RunTrigger::Schedule, "c-scheduled"), (RunTrigger::Manual, "c-manual")] {
            let rule = mock!(Client::send_message_batch)
                .match_requests(move |input| {
                    let [entry] = input.entries() else { return false };
                    let sent: RunRequest = serde_json::from_str(entry.message_body()).unwrap();
                    sent == request(trigger) && input.queue_url() == Some(url)
                })
                .then_output(|| {
                    let none = SendMessageBatchOutput::builder().set_successful(Some(Vec::new()));
                    none.set_failed(Some(Vec::new())).build().unwrap()
                });
            let exporter = exporter_with(&rule);
            let outcome = || RunOutcome::Elsewhere { windows: Vec::new(), next: request(trigger) };
            assert_eq!(exporter.queue_next(exporter.queue(trigger), outcome()).await, Ok(()));
            assert_eq!(rule.num_calls(), 1);
            let converter = Exporter { converter: None, ..exporter };
            let error = converter.queue_next(converter.queue(trigger), outcome()).await.unwrap_err();
            assert_eq!(error.kind, export_engine::ports::ErrorKind::Internal);
        }
    }

    #[tokio::test]
    async fn a_run_that_has_to_wait_is_sent_again_with_a_delay() {
        for (trigger, url) in TRIGGERS {
            let next = request(trigger).deferred();
            let expected = next.clone();
            let rule = mock!(Client::send_message)
                .match_requests(move |input| {
                    let sent: RunRequest = serde_json::from_str(input.message_body().unwrap()).unwrap();
                    let is_delayed = input.delay_seconds().is_some_and(|delay| (10..=20).contains(&delay));
                    sent == expected && sent.deferrals == 1 && is_delayed && input.queue_url() == Some(url)
                })
                .then_output(|| SendMessageOutput::builder().build());
            let exporter = exporter_with(&rule);
            let outcome = RunOutcome::Deferred { reason: DeferralReason::NoFreeShare, next };
            assert_eq!(exporter.queue_next(exporter.queue(trigger), outcome).await, Ok(()));
            assert_eq!(rule.num_calls(), 1);
        }
    }

    /// A run fails at once if its boundary has not settled.
    #[tokio::test]
    async fn a_message_that_failed_comes_back_to_its_own_queue() {
        for (trigger, url) in TRIGGERS {
            let rule = mock!(Client::change_message_visibility)
                .match_requests(move |input| {
                    let is_retry = input.visibility_timeout().is_some_and(|delay| (10..=20).contains(&delay));
                    is_retry && input.queue_url() == Some(url) && input.receipt_handle() == Some("r")
                })
                .then_output(|| ChangeMessageVisibilityOutput::builder().build());
            let exporter = exporter_with(&rule);
            let mut message = SqsMessage::default();
            message.message_id = Some("1".to_owned());
            message.receipt_handle = Some("r".to_owned());
            message.body = Some(serde_json::to_string(&request(trigger)).unwrap());
            let mut batch = SqsEvent::default();
            batch.records = vec![message];
            let response = exporter.run_batch(batch, &Context::default()).await;
            let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| &*failure.item_identifier).collect();
            assert_eq!((failed, rule.num_calls()), (vec!["1"], 1));
        }
    }

    #[test]
    fn a_waiting_run_gets_the_share_of_one_that_pauses() {
        let delay =
            |deferrals, fraction| deferral_delay(DeferralReason::NoFreeShare, deferrals, Timestamp::EPOCH, fraction);
        for deferrals in 0..=SHORT_DEFERRALS {
            assert!(delay(deferrals, 1.0) < PAUSE_DELAY, "{deferrals}");
        }
        // It comes that often until a slice and the pause after it are over.
        let shortest: Duration = (1..=SHORT_DEFERRALS).map(|deferrals| delay(deferrals, 0.0)).sum();
        assert!(shortest >= SLICE + PAUSE_DELAY, "{shortest:?}");
    }

    #[test]
    fn a_run_that_has_waited_for_long_costs_fewer_invocations() {
        let whole = |deferrals| {
            let seconds =
                |fraction| deferral_delay(DeferralReason::NoFreeShare, deferrals, Timestamp::EPOCH, fraction).as_secs();
            [0.0, 1.0].map(seconds)
        };
        let short = [10, 20];
        for (deferrals, expected) in [(0, short), (1, short), (15, short), (16, [20, 40]), (18, [80, 160])] {
            assert_eq!(whole(deferrals), expected, "{deferrals}");
        }
        assert_eq!(whole(u32::MAX), [80, 160]);
    }

    #[test]
    fn a_run_waits_for_a_share_or_for_its_region() {
        let seconds = |reason, fraction| deferral_delay(reason, 1, Timestamp::EPOCH, fraction).as_secs();
        let until = Timestamp::EPOCH.saturating_add(Duration::from_mins(1));
        assert_eq!([0.0, 1.0].map(|fraction| seconds(DeferralReason::NoFreeShare, fraction)), [10, 20]);
        assert_eq!([0.0, 1.0].map(|fraction| seconds(DeferralReason::RegionUnreachable { until }, fraction)), [60, 90]);
    }

    #[tokio::test]
    async fn a_message_is_hidden_in_its_own_queue_while_the_run_goes_on() {
        for (trigger, url) in TRIGGERS {
            let rule = mock!(Client::change_message_visibility)
                .match_requests(move |input| {
                    input.visibility_timeout() == Some(120)
                        && input.queue_url() == Some(url)
                        && input.receipt_handle() == Some("r")
                })
                .then_output(|| ChangeMessageVisibilityOutput::builder().build());
            let exporter = exporter_with(&rule);
            let mut message = SqsMessage::default();
            message.receipt_handle = Some("r".to_owned());
            let received = Received { queue: exporter.queue(trigger), message: &message };
            let work = async {
                while rule.num_calls() == 0 {
                    tokio::task::yield_now().await;
                }
            };
            while_hidden(&received, &exporter.machine, work).await;
            assert_eq!(rule.num_calls(), 1);
        }
    }

    #[test]
    fn the_shape_of_a_message_identifies_its_work() {
        let parse = |body: String| {
            let mut message = SqsMessage::default();
            message.body = Some(body);
            parse(&message)
        };
        let run = request(RunTrigger::Schedule);
        let repair = RepairRequest { key: run.key.clone(), repair_id: RepairId::from_random(1) };
        let body = serde_json::to_string(&RepairMessage { repair: repair.clone() }).unwrap();
        assert!(matches!(parse(body).unwrap(), RunMessage::Repair(message) if message.repair == repair));
        let replay = domain::replay::test_support::replay().message();
        let body = serde_json::to_string(&replay).unwrap();
        assert!(matches!(parse(body).unwrap(), RunMessage::Replay(message) if message == replay));
        let body = serde_json::to_string(&run).unwrap();
        assert!(matches!(parse(body).unwrap(), RunMessage::Run(request) if request == run));
        assert!(parse("{}".to_owned()).is_err());
    }

    #[test]
    fn delays_grow_to_their_bound() {
        let whole = |tries| RETRIES.delay(tries, 1.0).as_secs();
        assert_eq!([whole(0), whole(1), whole(2), whole(3), whole(100)], [20, 20, 40, 80, 900]);
        assert_eq!(RETRIES.delay(1, 0.0).as_secs(), 10);
    }
}
