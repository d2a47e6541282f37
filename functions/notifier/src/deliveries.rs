//! Messages of the webhooks queue. Each is one notice for one receiver, and fails independently.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::webhook::{delivery::WebhookDelivery, failure::WebhookFailure, schedule::next_attempt_after};
use futures::future::join_all;
use host::{Clock, Random};

use crate::notifier::{AttemptFailure, Notice, Notifier};

/// The outcome of an attempt at a delivery.
#[derive(Debug, PartialEq)]
enum DeliveryOutcome {
    /// The receiver has accepted the notice with this status.
    Delivered { status: u16 },
    /// The receiver wants no more notices.
    Refused(WebhookFailure),
    /// There is another attempt after this time.
    Retried { after: Duration, failure: AttemptFailure },
    /// No attempt is left.
    GivenUp(AttemptFailure),
}

impl DeliveryOutcome {
    /// Decides what the result of an attempt means for a delivery of this age. `fraction`, a random number from 0 to 1, decides on
    /// the jitter.
    fn of(attempt: Result<u16, AttemptFailure>, age: Duration, fraction: f64) -> Self {
        match attempt {
            Ok(status) => Self::Delivered { status },
            Err(AttemptFailure::Receiver(failure)) if !failure.code.is_retried() => Self::Refused(failure),
            Err(failure) => match next_attempt_after(age, fraction) {
                Some(after) => Self::Retried { after, failure },
                None => Self::GivenUp(failure),
            },
        }
    }

    /// Logs the outcome with the host of the receiver, never its URL: a path or query may be what admits a caller.
    fn log(&self, delivery: &WebhookDelivery, age: Duration) {
        let WebhookDelivery { tenant_id: tenant, configuration_id: configuration, notice_id: notice, webhook, .. } =
            delivery;
        let (host, age_seconds) = (webhook.url.host(), age.as_secs());
        match self {
            Self::Delivered { status } => {
                tracing::info!(%tenant, %configuration, %notice, host, status, age_seconds, "the notice was delivered");
            }
            Self::Refused(WebhookFailure { code, status }) => {
                tracing::warn!(%tenant, %configuration, %notice, host, code = code.name(), status, age_seconds,
                    "the receiver wants no more notices");
            }
            Self::Retried { failure: AttemptFailure::Receiver(WebhookFailure { code, status }), .. } => {
                tracing::warn!(%tenant, %configuration, %notice, host, code = code.name(), status, age_seconds,
                    "the notice will be sent again");
            }
            Self::Retried { failure: AttemptFailure::Service(error), .. } => {
                // Not only when the notice is dropped, a day later: the fault is in the service.
                tracing::error!(%tenant, %configuration, %notice, host, %error, age_seconds,
                    alarm = "NOTICE_NOT_SENT", "the notice was not sent, and will be tried again");
            }
            Self::GivenUp(AttemptFailure::Receiver(WebhookFailure { code, status })) => {
                tracing::error!(%tenant, %configuration, %notice, host, code = code.name(), status, age_seconds,
                    alarm = "WEBHOOK_GIVEN_UP", "the notice was not delivered within a day");
            }
            Self::GivenUp(AttemptFailure::Service(error)) => {
                tracing::error!(%tenant, %configuration, %notice, host, %error, age_seconds,
                    alarm = "WEBHOOK_GIVEN_UP", "the notice could not be sent within a day");
            }
        }
    }
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
        let attempt = self.attempt(notice, &delivery.webhook).await;
        let now = self.machine.now();
        let age = now.saturating_since(delivery.created_at);
        let outcome = DeliveryOutcome::of(attempt, age, self.machine.fraction());
        outcome.log(&delivery, age);
        match outcome {
            DeliveryOutcome::Delivered { .. } | DeliveryOutcome::Refused(_) | DeliveryOutcome::GivenUp(_) => true,
            DeliveryOutcome::Retried { after, .. } => {
                let next = WebhookDelivery { next_attempt_at: Some(now.saturating_add(after)), ..delivery };
                self.send_later(&next, after).await
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

#[cfg(test)]
mod tests;
