//! Where the time of day comes from, so that tests can set it.

use std::fmt::Debug;
use std::time::SystemTime;

/// Tells the time. One clock serves both tokens' times and the age of cached keys: a function that Lambda has frozen and
/// thawed must see that time has passed, which a monotonic clock need not show.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
