//! The message that requested a run, while the run is in progress.

use std::{future::Future, pin::pin, time::Duration};

use domain::export_run::{HEARTBEAT, LEASE_DURATION};
use futures::future::{Either, select};
use host::Timer;

use crate::ports::PortError;

/// The time for which a message stays hidden after the last heartbeat of its process. When the message reappears, the lease has
/// expired.
pub const HIDDEN_AFTER_HEARTBEAT: Duration = Duration::from_mins(2);

// The message and the lease are renewed independently, up to one heartbeat apart.
const _: () = assert!(HIDDEN_AFTER_HEARTBEAT.as_secs() >= LEASE_DURATION.as_secs() + HEARTBEAT.as_secs());

/// A received message, hidden from other processes.
pub trait ReceivedMessage: Send + Sync {
    /// Makes the message visible after `delay`, whatever was requested before.
    fn show_after(&self, delay: Duration) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Does the work and keeps the message hidden as long as the process lives. If the process is killed, another one gets the
/// message within [`HIDDEN_AFTER_HEARTBEAT`].
///
/// A failure to keep it hidden is only logged: the lease protects against two runs.
pub async fn while_hidden<T>(message: &impl ReceivedMessage, timer: &impl Timer, work: impl Future<Output = T>) -> T {
    let heartbeat = async {
        loop {
            if let Err(error) = message.show_after(HIDDEN_AFTER_HEARTBEAT).await {
                tracing::warn!(%error, "the message was not kept hidden this time");
            }
            timer.sleep(HEARTBEAT).await;
        }
    };
    match select(pin!(work), pin!(heartbeat)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((never, _)) => never,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use host::Machine;
    use tokio::time::Instant;

    use super::*;

    /// A message that records the requested delays. Every second request fails.
    struct Message {
        began: Instant,
        asked: Mutex<Vec<(Duration, Duration)>>,
    }

    impl ReceivedMessage for Message {
        async fn show_after(&self, delay: Duration) -> Result<(), PortError> {
            let mut asked = self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            asked.push((self.began.elapsed(), delay));
            if asked.len().is_multiple_of(2) { Err(PortError::transient("show message", "lost")) } else { Ok(()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_hidden_from_the_first_moment_and_for_as_long_as_the_work_lasts() {
        let message = Message { began: Instant::now(), asked: Mutex::default() };
        let work = async {
            tokio::time::sleep(HEARTBEAT * 2 + Duration::from_secs(1)).await;
            "done"
        };
        assert_eq!(while_hidden(&message, &Machine, work).await, "done");
        tokio::time::sleep(HEARTBEAT * 2).await;
        let expected: Vec<_> = (0..3).map(|beat| (HEARTBEAT * beat, HIDDEN_AFTER_HEARTBEAT)).collect();
        assert_eq!(
            message.asked.into_inner().unwrap_or_default(),
            expected,
            "also after a failure, and not after the work"
        );
    }
}
