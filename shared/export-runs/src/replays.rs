//! Messages that continue replays, each for one slice.

use std::time::Duration;

use aws_adapters::replays::ReplayTables;
use domain::{
    export_run::{LEASE_DURATION, RunTrigger},
    replay::{ReplayKey, ReplayMessage},
};
use export_engine::{
    ReplayOutcome,
    message::while_hidden,
    ports::{Encoders, PortError},
    run::ExportEngine,
};
use host::{Clock, Random};

use crate::{
    exporter::Exporter,
    runs::{PAUSE_DELAY, Received, deferral_delay},
};

/// The delay of a message whose replay another run works on: if that run dies, its lease has expired by then.
const OCCUPIED_DELAY: Duration = LEASE_DURATION;

impl<E: Encoders> Exporter<E> {
    /// Continues a replay for one slice, and queues the rest. The message may be deleted only after that.
    pub(crate) async fn continue_replay(
        &self,
        message: &ReplayMessage,
        engine: ExportEngine<'_, Self>,
        received: &Received<'_>,
    ) -> Result<(), PortError> {
        let store = ReplayTables { configurations: &self.configurations, runs: &self.runs };
        let outcome = while_hidden(received, &self.machine, Box::pin(engine.replay(&store, message))).await;
        log(&message.replay, &outcome);
        self.queue_next_of(message, &outcome?).await
    }

    async fn queue_next_of(&self, message: &ReplayMessage, outcome: &ReplayOutcome) -> Result<(), PortError> {
        let delay = match outcome {
            ReplayOutcome::Paused => PAUSE_DELAY,
            ReplayOutcome::Deferred(reason) => deferral_delay(*reason, 1, self.machine.now(), self.machine.fraction()),
            ReplayOutcome::LeftToAnother => OCCUPIED_DELAY,
            ReplayOutcome::Elsewhere => {
                return self.converter_queue(RunTrigger::Manual)?.send_replay(message, Duration::ZERO).await;
            }
            ReplayOutcome::Succeeded(_) | ReplayOutcome::NotWanted | ReplayOutcome::Failed(_) => return Ok(()),
        };
        self.queues.manual.send_replay(message, delay).await
    }
}

fn log(key: &ReplayKey, outcome: &Result<ReplayOutcome, PortError>) {
    let ReplayKey { tenant_id: tenant, configuration_id: configuration, replay_id: replay } = key;
    match outcome {
        Ok(ReplayOutcome::Succeeded(_)) => {
            tracing::info!(%tenant, %configuration, %replay, "the replay is complete");
        }
        Ok(ReplayOutcome::Paused) => {
            tracing::info!(%tenant, %configuration, %replay, "the replay continues in another slice");
        }
        Ok(ReplayOutcome::Deferred(reason)) => {
            tracing::info!(%tenant, %configuration, %replay, ?reason, "the replay was deferred");
        }
        Ok(ReplayOutcome::Elsewhere) => {
            tracing::info!(%tenant, %configuration, %replay, "another function makes the format");
        }
        Ok(ReplayOutcome::LeftToAnother) => {
            tracing::info!(%tenant, %configuration, %replay, "another run works on the replay");
        }
        Ok(ReplayOutcome::NotWanted) => {
            tracing::info!(%tenant, %configuration, %replay, "it has ended, was requested again, or its configuration was deleted");
        }
        Ok(ReplayOutcome::Failed(error)) => {
            tracing::warn!(%tenant, %configuration, %replay, code = error.code.name(), "the replay has failed");
        }
        Err(error) => match error.alarm() {
            Some(alarm) => {
                tracing::error!(%tenant, %configuration, %replay, %error, alarm, "the run of a replay failed");
            }
            None => {
                tracing::warn!(%tenant, %configuration, %replay, %error, "the run of a replay will be tried again");
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{Client, operation::send_message::SendMessageOutput};
    use aws_smithy_mocks::{RuleMode, mock, mock_client};
    use domain::replay::test_support::replay;
    use export_engine::run::DeferralReason;

    use super::*;
    use crate::exporter::tests::exporter;

    /// A replay that has not ended has a message, whichever run works on it.
    #[tokio::test]
    async fn an_unfinished_replay_is_queued_again_in_the_queue_of_manual_runs() {
        for (outcome, delays) in [
            (ReplayOutcome::Paused, Some(25..=25)),
            (ReplayOutcome::Deferred(DeferralReason::NoFreeShare), Some(10..=20)),
            (ReplayOutcome::LeftToAnother, Some(90..=90)),
            (ReplayOutcome::Elsewhere, Some(0..=0)),
            (ReplayOutcome::Succeeded(Vec::new()), None),
            (ReplayOutcome::NotWanted, None),
        ] {
            let url = if outcome == ReplayOutcome::Elsewhere { "c-manual" } else { "manual" };
            let expected = delays.clone().unwrap_or(0..=0);
            let rule = mock!(Client::send_message)
                .match_requests(move |input| {
                    let body = input.message_body().unwrap_or_default();
                    serde_json::from_str(body).is_ok_and(|message: ReplayMessage| message == replay().message())
                        && input.queue_url() == Some(url)
                        && input.delay_seconds().is_some_and(|delay| expected.contains(&delay))
                })
                .then_output(|| SendMessageOutput::builder().build());
            let sqs = mock_client!(aws_sdk_sqs, RuleMode::MatchAny, [&rule]);
            let exporter = exporter(&sqs, ["scheduled", "manual"]);
            assert_eq!(exporter.queue_next_of(&replay().message(), &outcome).await, Ok(()));
            assert_eq!(rule.num_calls(), usize::from(delays.is_some()), "{outcome:?}");
        }
    }
}
