//! Polling until what was requested has ended, behind `--wait`.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use crate::{failure::Failure, spinner::Spinner};

const MAX_TIMEOUT: Duration = Duration::from_hours(24);
/// The first and the longest pause between two polls.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Consecutive polls without an answer that end the waiting.
const MAX_FAILURES: u32 = 5;

/// What is polled for.
pub(super) struct Polling<'a> {
    /// Its name, as in "the export has not ended".
    pub(super) subject: &'static str,
    /// The text of the spinner before the first answer.
    pub(super) activity: &'static str,
    pub(super) timeout: Duration,
    /// The arguments of `audit-export config` that show the progress after the timeout.
    pub(super) follow: std::fmt::Arguments<'a>,
}

/// The result of one poll.
pub(super) enum Polled<T> {
    Ended(T),
    /// It goes on. The text of the spinner, if that changes.
    Waiting(Option<String>),
}

pub(super) fn parse_timeout(text: &str) -> Result<Duration, &'static str> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "a duration is a number and a unit, for example 90s or 15m")?;
    let timeout = Duration::try_from(duration).map_err(|_| "the timeout must be greater than zero")?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err("the timeout must be more than 0s and at most 24h");
    }
    Ok(timeout)
}

impl Polling<'_> {
    /// Calls `poll` until it returns an end, another failure than that of a service without an answer, or the time is over.
    pub(super) async fn wait<T>(
        &self,
        mut poll: impl AsyncFnMut() -> Result<Polled<T>, Failure>,
    ) -> Result<T, Failure> {
        let spinner = Spinner::new(self.activity);
        let deadline = Instant::now() + self.timeout;
        let (mut pause, mut failures) = (MIN_PAUSE, 0);
        loop {
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 5 / 4).min(MAX_PAUSE);
            match poll().await {
                Ok(Polled::Ended(end)) => return Ok(end),
                Ok(Polled::Waiting(text)) => {
                    failures = 0;
                    if let Some(text) = text {
                        spinner.set_message(text);
                    }
                }
                Err(failure @ (Failure::Unavailable(_) | Failure::NoAnswer(_))) => {
                    failures += 1;
                    if failures >= MAX_FAILURES {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            if Instant::now() >= deadline {
                let Self { subject, timeout, follow, .. } = self;
                return Err(Failure::Unfinished(format!(
                    "{subject} has not ended within {} s, and continues\n  To follow its progress: audit-export config {follow}",
                    timeout.as_secs(),
                )));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls for a minute; each poll takes the next of the results, the last one again and again.
    async fn wait(results: &[Result<Option<&'static str>, ()>]) -> (Result<&'static str, Failure>, usize) {
        let polling = Polling {
            subject: "the export",
            activity: "Exporting",
            timeout: Duration::from_mins(1),
            follow: format_args!("jobs 1"),
        };
        let mut polls = 0;
        let poll = async || {
            let result = results[polls.min(results.len() - 1)];
            polls += 1;
            match result {
                Ok(Some(end)) => Ok(Polled::Ended(end)),
                Ok(None) => Ok(Polled::Waiting(Some("Exporting: 1 event".to_owned()))),
                Err(()) => Err(Failure::Unavailable("busy".to_owned())),
            }
        };
        (polling.wait(poll).await, polls)
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_a_lost_service_and_the_timeout_end_the_waiting() {
        let (ended, polls) =
            wait(&[Ok(None), Err(()), Err(()), Err(()), Err(()), Ok(None), Err(()), Ok(Some("end"))]).await;
        assert!(matches!(ended, Ok("end")), "an answer in between starts the count again");
        assert_eq!(polls, 8);
        let (lost, polls) = wait(&[Err(())]).await;
        assert!(matches!(lost, Err(Failure::Unavailable(_))));
        assert_eq!(polls, 5);
        let started = Instant::now();
        let (late, _) = wait(&[Ok(None)]).await;
        let Err(Failure::Unfinished(text)) = late else { panic!("it waits for ever") };
        assert!(text.starts_with("the export has not ended within 60 s, and continues"), "{text}");
        assert!(text.ends_with("audit-export config jobs 1"), "{text}");
        assert_eq!(started.elapsed(), Duration::from_mins(1));
    }

    #[test]
    fn a_timeout_has_its_bounds() {
        assert_eq!(parse_timeout("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "0s", "25h", "-1m", "90", "soon"] {
            assert!(parse_timeout(bad).is_err(), "{bad}");
        }
    }
}
