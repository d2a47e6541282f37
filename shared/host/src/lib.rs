//! The time of day, timers and randomness of the machine, and the delay before a repeated attempt.
//!
//! All other code takes these as parameters, so that tests and the simulation control the time. `clippy.toml` bans
//! the functions of the standard library and of `rand` elsewhere.

pub mod backoff;

use std::{
    fmt,
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::time::Timestamp;

/// The time of day.
///
/// It may be set back, and it continues while Lambda has frozen the process.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

impl fmt::Debug for dyn Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// Waiting for a duration.
pub trait Timer: Send + Sync {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// Unpredictable random numbers.
pub trait Random: Send + Sync {
    /// Returns 128 uniformly distributed bits.
    fn bits(&self) -> u128;

    /// Returns a uniformly distributed number of [0, 1).
    fn fraction(&self) -> f64;
}

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
    }
}

impl Timer for Machine {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Random for Machine {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random numbers")]
    fn bits(&self) -> u128 {
        rand::random()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that draws random numbers")]
    fn fraction(&self) -> f64 {
        rand::random()
    }
}
