//! Redelivery of messages that were not stored.
//!
//! A deferred message waits longer with each receive, so that its receives outlast an outage of the events table. A
//! refused message becomes visible at once: waiting doesn't help, and its sender should find it in the dead-letter
//! queue soon.

use std::time::Duration;

use aws_adapters::event_queue::{EventQueueClient, Redelivery};
use futures::{StreamExt, stream};
use host::backoff::Backoff;

use crate::ports::MessageQueue;

/// The delays between the tries of a deferred message.
const DEFERRALS: Backoff = Backoff { first: Duration::from_mins(3), longest: Duration::from_mins(30) };

/// The most concurrent requests: those for the largest batch that Lambda delivers.
const MAX_CONCURRENT_REQUESTS: usize = 10;

/// The kind of a failure, which decides on the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The message is invalid.
    Refused,
    /// The service could not store the message now, and may be able to later.
    Deferred,
}

/// Returns the delay after the try number `receives`. `fraction`, a random number from 0 to 1, decides on the jitter.
pub(crate) fn delay(kind: FailureKind, receives: u32, fraction: f64) -> Duration {
    match kind {
        FailureKind::Refused => Duration::ZERO,
        FailureKind::Deferred => DEFERRALS.delay(receives, fraction),
    }
}

/// Sends the delays to the queue. Failures are only logged: the messages then return after the queue's visibility
/// timeout.
pub(crate) async fn show_again<Q: MessageQueue>(queue: &Q, redeliveries: &[Redelivery]) {
    stream::iter(redeliveries.chunks(EventQueueClient::MAX_BATCH))
        .for_each_concurrent(MAX_CONCURRENT_REQUESTS, async |batch| {
            if let Err(error) = queue.show_again(batch).await {
                tracing::warn!(messages = batch.len(), %error, "messages wait for the visibility timeout");
            }
        })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../template.yaml");

    /// The longest outage of the events table in which no valid message becomes a dead letter.
    const OUTAGE: Duration = Duration::from_hours(6);

    /// Returns the number of receives after which SQS moves a message to the dead-letter queue.
    fn max_receive_count() -> u32 {
        let (_, queue) = TEMPLATE.split_once("\n  EventsQueue:\n").unwrap();
        let (_, count) = queue.split_once("maxReceiveCount: ").unwrap();
        count.split_once(' ').unwrap().0.parse().unwrap()
    }

    #[test]
    fn good_messages_outlast_an_outage_of_six_hours() {
        // The last receive must succeed, so there is one delay less than receives.
        let waits: Vec<Duration> =
            (1..max_receive_count()).map(|receives| delay(FailureKind::Deferred, receives, 0.0)).collect();
        // SQS counts whole seconds.
        let total: u64 = waits.iter().map(Duration::as_secs).sum();
        assert!(total >= OUTAGE.as_secs(), "{total} s of {}", OUTAGE.as_secs());
    }

    #[test]
    fn delays_grow_to_their_bound_and_jitter_halves_them_at_most() {
        let minutes = |receives, fraction| delay(FailureKind::Deferred, receives, fraction).as_secs_f64() / 60.0;
        let longest: Vec<f64> = [0, 1, 2, 3, 4, 5, 100].map(|receives| minutes(receives, 1.0)).to_vec();
        assert_eq!(longest, [3.0, 3.0, 6.0, 12.0, 24.0, 30.0, 30.0]);
        let shortest: Vec<f64> = [1, 2, 100].map(|receives| minutes(receives, 0.0)).to_vec();
        assert_eq!(shortest, [1.5, 3.0, 15.0]);
    }

    #[test]
    fn a_refused_message_does_not_wait() {
        for receives in [1, 2, 100] {
            assert_eq!(delay(FailureKind::Refused, receives, 1.0), Duration::ZERO);
        }
    }
}
