//! When a message that was not stored shows again.
//!
//! One that was put off waits longer and longer, so that its receives outlast an outage of the events table. One that was
//! refused shows at once: no wait makes it better, and its sender wants to find it in the dead-letter queue.

use std::time::Duration;

use aws_adapters::event_queue::{EventQueueClient, Redelivery};
use export_engine::ports::PortError;
use function_runtime::lazy::Lazy;
use futures::{StreamExt, stream};

/// The wait before a message is tried for the second time; doubled with each further one.
const FIRST_DELAY: Duration = Duration::from_mins(3);

/// The longest wait between two tries.
const MAX_DELAY: Duration = Duration::from_mins(30);

/// The least share of a delay that jitter leaves.
const LEAST_SHARE: f64 = 0.5;

/// The most requests at the same time: those of the largest batch that Lambda hands over.
const MAX_CONCURRENT_REQUESTS: usize = 10;

/// The queue that messages come from.
pub(crate) trait MessageQueue: Send + Sync {
    /// As [`EventQueueClient::show_again`].
    fn show_again(&self, batch: &[Redelivery]) -> impl Future<Output = Result<(), PortError>> + Send;
}

impl MessageQueue for Lazy<EventQueueClient> {
    async fn show_again(&self, batch: &[Redelivery]) -> Result<(), PortError> {
        EventQueueClient::show_again(self, batch).await
    }
}

/// Why a message was not stored, as far as its next try is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The message itself is at fault.
    Refused,
    /// The service could not store it, and may be able to later.
    PutOff,
}

/// The wait after the `receives`-th try. `random` decides on the jitter.
pub(crate) fn delay(kind: FailureKind, receives: u32, random: u128) -> Duration {
    match kind {
        FailureKind::Refused => Duration::ZERO,
        FailureKind::PutOff => {
            let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(receives.saturating_sub(1)));
            doubled.min(MAX_DELAY).mul_f64(share(random))
        }
    }
}

/// A share between [`LEAST_SHARE`] and 1.
fn share(random: u128) -> f64 {
    let drawn = u32::try_from(random >> 96).unwrap_or(u32::MAX);
    LEAST_SHARE + (1.0 - LEAST_SHARE) * f64::from(drawn) / f64::from(u32::MAX)
}

/// Sends the delays. A failure is only logged: the messages then show again after the queue's visibility time-out.
pub(crate) async fn show_again<Q: MessageQueue>(queue: &Q, redeliveries: &[Redelivery]) {
    stream::iter(redeliveries.chunks(EventQueueClient::MAX_BATCH))
        .for_each_concurrent(MAX_CONCURRENT_REQUESTS, async |batch| {
            if let Err(error) = queue.show_again(batch).await {
                tracing::warn!(messages = batch.len(), %error, "messages wait for the visibility time-out");
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../template.yaml");

    /// How long the events table may fail before good messages become dead letters.
    const OUTAGE: Duration = Duration::from_hours(6);

    /// The receives of a message of the events queue before SQS moves it to the dead-letter queue.
    fn max_receive_count() -> u32 {
        let (_, queue) = TEMPLATE.split_once("\n  EventsQueue:\n").unwrap();
        let (_, count) = queue.split_once("maxReceiveCount: ").unwrap();
        count.split_once(' ').unwrap().0.parse().unwrap()
    }

    #[test]
    fn good_messages_outlast_an_outage_of_six_hours() {
        // The last receive is the one that must succeed, so it is preceded by one wait less.
        let waits: Vec<Duration> =
            (1..max_receive_count()).map(|receives| delay(FailureKind::PutOff, receives, 0)).collect();
        // SQS counts whole seconds.
        let total: u64 = waits.iter().map(Duration::as_secs).sum();
        assert!(total >= OUTAGE.as_secs(), "{total} s of {}", OUTAGE.as_secs());
    }

    #[test]
    fn delays_grow_to_their_bound_and_jitter_halves_them_at_most() {
        let minutes = |receives, random| delay(FailureKind::PutOff, receives, random).as_secs_f64() / 60.0;
        let longest: Vec<f64> = [0, 1, 2, 3, 4, 5, 100].map(|receives| minutes(receives, u128::MAX)).to_vec();
        assert_eq!(longest, [3.0, 3.0, 6.0, 12.0, 24.0, 30.0, 30.0]);
        let shortest: Vec<f64> = [1, 2, 100].map(|receives| minutes(receives, 0)).to_vec();
        assert_eq!(shortest, [1.5, 3.0, 15.0]);
    }

    #[test]
    fn a_refused_message_does_not_wait() {
        for receives in [1, 2, 100] {
            assert_eq!(delay(FailureKind::Refused, receives, u128::MAX), Duration::ZERO);
        }
    }
}
