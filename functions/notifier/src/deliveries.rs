//! Messages of the webhooks queue. Each is one notice for one receiver, and fails independently.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::webhook::{delivery::WebhookDelivery, failure::WebhookFailure, schedule::next_attempt_after};
use export_engine::ports::PortError;
use futures::future::join_all;
use host::{Clock, Random};

use crate::notifier::{Notice, Notifier};

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The receiver has accepted the notice, or no attempt is left.
    Done,
    /// There is another attempt after this time.
    Again(Duration),
}

impl Notifier {
    /// Attempts all deliveries of a batch at once, so that a slow receiver costs the others nothing.
    pub(crate) async fn deliver_batch(&self, batch: SqsEvent) -> SqsBatchResponse {
        let attempts = batch.records.iter().map(async |message| (message, self.deliver(message).await));
        let mut response = SqsBatchResponse::default();
        for (message, is_finished) in join_all(attempts).await {
            if !is_finished {
                response.add_failure(message.message_id.clone().unwrap_or_default());
            }
        }
        response
    }

    /// Attempts a delivery, and sends the message of the next attempt. Returns whether the received message can be deleted: else
    /// it returns after its visibility time-out.
    ///
    /// The next attempt is another message, because one that is hidden counts as in flight, and a queue has 120,000 of those.
    async fn deliver(&self, message: &SqsMessage) -> bool {
        let delivery: WebhookDelivery = match serde_json::from_str(message.body.as_deref().unwrap_or_default()) {
            Ok(delivery) => delivery,
            Err(error) => {
                // The text of the error could hold a part of the message.
                tracing::error!(line = error.line(), column = error.column(), "the message is not a delivery");
                return false;
            }
        };
        if let Some(delay) = delivery.waits(self.machine.now()) {
            return self.send_later(&delivery, delay).await;
        }
        let key = delivery.key();
        let notice = Notice { key: &key, id: &delivery.notice_id, body: &delivery.body };
        let outcome = self.attempt(notice, &delivery.webhook).await;
        let now = self.machine.now();
        let age = now.saturating_since(delivery.created_at);
        let verdict = judge(&outcome, age, self.machine.fraction());
        log(&delivery, &outcome, age, verdict);
        match verdict {
            Verdict::Done => true,
            Verdict::Again(delay) => {
                let next = WebhookDelivery { next_attempt_at: Some(now.saturating_add(delay)), ..delivery };
                self.send_later(&next, delay).await
            }
        }
    }

    /// Sends a message that is received after the delay, or before, if SQS delays none for so long.
    async fn send_later(&self, delivery: &WebhookDelivery, delay: Duration) -> bool {
        let sent = self.queue.send_later(delivery, delay).await;
        if let Err(error) = &sent {
            let WebhookDelivery { tenant_id: tenant, configuration_id: configuration, notice_id: notice, .. } =
                delivery;
            tracing::error!(%tenant, %configuration, %notice, %error, "the next attempt waits for the visibility timeout");
        }
        sent.is_ok()
    }
}

/// Decides what becomes of a delivery of this age. `fraction`, a random number from 0 to 1, decides on the jitter.
fn judge(outcome: &Result<Result<u16, WebhookFailure>, PortError>, age: Duration, fraction: f64) -> Verdict {
    match outcome {
        Ok(Ok(_)) => Verdict::Done,
        Ok(Err(failure)) if !failure.code.is_retried() => Verdict::Done,
        Ok(Err(_)) | Err(_) => next_attempt_after(age, fraction).map_or(Verdict::Done, Verdict::Again),
    }
}

/// Logs the host of a receiver, never its URL: a path or query may be what admits a caller.
fn log(
    delivery: &WebhookDelivery,
    outcome: &Result<Result<u16, WebhookFailure>, PortError>,
    age: Duration,
    verdict: Verdict,
) {
    let WebhookDelivery { tenant_id: tenant, configuration_id: configuration, notice_id: notice, webhook, .. } =
        delivery;
    let (host, age_seconds) = (webhook.url.host(), age.as_secs());
    match outcome {
        Ok(Ok(status)) => {
            tracing::info!(%tenant, %configuration, %notice, host, status, age_seconds, "the notice was delivered");
        }
        Ok(Err(failure)) => {
            let (code, status) = (failure.code.name(), failure.status);
            if let Verdict::Again(_) = verdict {
                tracing::warn!(%tenant, %configuration, %notice, host, code, status, age_seconds,
                    "the notice will be sent again");
            } else if failure.code.is_retried() {
                tracing::error!(%tenant, %configuration, %notice, host, code, status, age_seconds,
                    alarm = "WEBHOOK_GIVEN_UP", "the notice was not delivered within a day");
            } else {
                tracing::warn!(%tenant, %configuration, %notice, host, code, status, age_seconds,
                    "the receiver wants no more notices");
            }
        }
        Err(error) => {
            if let Verdict::Again(_) = verdict {
                // Not only when the notice is dropped, a day later: the fault is in the service.
                tracing::error!(%tenant, %configuration, %notice, host, %error, age_seconds,
                    alarm = "NOTICE_NOT_SENT", "the notice was not sent, and will be tried again");
            } else {
                tracing::error!(%tenant, %configuration, %notice, host, %error, age_seconds,
                    alarm = "WEBHOOK_GIVEN_UP", "the notice could not be sent within a day");
            }
        }
    }
}

#[cfg(test)]
mod tests;
