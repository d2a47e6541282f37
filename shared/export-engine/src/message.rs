//! The message that asks for a run, while the run goes on.

use std::{future::Future, pin::pin, time::Duration};

use domain::export_run::{HEARTBEAT, LEASE_DURATION};
use futures::future::{Either, select};
use host::Timer;

use crate::ports::PortError;

/// How long a message stays hidden after the last sign of life of the process that works on it: long enough for the lease to
/// have expired when the message shows again.
pub const HIDDEN_AFTER_HEARTBEAT: Duration = Duration::from_mins(2);

// The message and the lease are renewed each for itself, up to one heartbeat apart.
const _: () = assert!(HIDDEN_AFTER_HEARTBEAT.as_secs() >= LEASE_DURATION.as_secs() + HEARTBEAT.as_secs());

/// A message that was received, and that nobody else sees for now.
pub trait ReceivedMessage: Send + Sync {
    /// Has it show again after `delay`, whatever was asked for before.
    fn show_after(&self, delay: Duration) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Does the work, and keeps the message hidden only as long as the process lives: if it is killed, another one gets the message
/// within [`HIDDEN_AFTER_HEARTBEAT`].
///
/// A failure to keep it hidden is only logged: two runs share the work by the lease.
pub async fn while_hidden<T>(message: &impl ReceivedMessage, timer: &impl Timer, work: impl Future<Output = T>) -> T {
    let heart = async {
        loop {
            if let Err(error) = message.show_after(HIDDEN_AFTER_HEARTBEAT).await {
                tracing::warn!(%error, "the message was not kept hidden this time");
            }
            timer.sleep(HEARTBEAT).await;
        }
    };
    match select(pin!(work), pin!(heart)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((never, _)) => never,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    struct TokioTimer;

    impl Timer for TokioTimer {
        async fn sleep(&self, duration: Duration) {
            tokio::time::sleep(duration).await;
        }
    }

    /// When it will show again, as far as it was asked for; every second request fails.
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
        assert_eq!(while_hidden(&message, &TokioTimer, work).await, "done");
        tokio::time::sleep(HEARTBEAT * 2).await;
        let expected: Vec<_> = (0..3).map(|beat| (HEARTBEAT * beat, HIDDEN_AFTER_HEARTBEAT)).collect();
        assert_eq!(
            message.asked.into_inner().unwrap_or_default(),
            expected,
            "also after one that failed, and not afterwards"
        );
    }
}
