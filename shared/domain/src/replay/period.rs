//! The period of a replay.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The receipt times of the events that a replay exports again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPeriod {
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}
