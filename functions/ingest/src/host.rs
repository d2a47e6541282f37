//! The two things that make a block unlike any other: the time, and chance.

use domain::time::Timestamp;
use host::Clock as _;
use host::Machine;

pub(crate) trait Host: Send + Sync {
    fn now(&self) -> Timestamp;

    /// 128 bits that nobody else draws.
    fn random(&self) -> u128;
}

/// The machine's clock and the operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemHost;

impl Host for SystemHost {
    fn now(&self) -> Timestamp {
        Machine.now()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}
