//! A spinner on standard error, only at a terminal.

use std::{future::Future, pin::pin, time::Duration};

use indicatif::ProgressBar;
use tokio::time::timeout;

const TICK: Duration = Duration::from_millis(120);
/// Shorter waits show no spinner.
const DELAY: Duration = Duration::from_millis(300);

/// A spinner that disappears when it is dropped.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    pub fn new(activity: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(activity);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub fn set_message(&self, text: String) {
        self.0.set_message(text);
    }

    /// Hides the spinner while `print` runs.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows a spinner while the future runs, from [`DELAY`] on.
pub async fn spinning<T>(activity: &'static str, future: impl Future<Output = T>) -> T {
    after_delay(future, || Spinner::new(activity)).await
}

/// Runs the future. `begin` is called if it takes longer than [`DELAY`], and its result is dropped at the end.
async fn after_delay<T, G>(future: impl Future<Output = T>, begin: impl FnOnce() -> G) -> T {
    let mut future = pin!(future);
    if let Ok(result) = timeout(DELAY, &mut future).await {
        return result;
    }
    let _shown = begin();
    future.await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_wait_of_300_ms_shows_a_spinner() {
        for (milliseconds, expected) in [(0, None), (299, None), (301, Some(300)), (5_000, Some(300))] {
            let (started, shown) = (Instant::now(), Cell::new(None));
            let begin = || shown.set(Some(started.elapsed().as_millis()));
            after_delay(sleep(Duration::from_millis(milliseconds)), begin).await;
            assert_eq!((shown.get(), started.elapsed().as_millis()), (expected, u128::from(milliseconds)));
        }
    }
}
