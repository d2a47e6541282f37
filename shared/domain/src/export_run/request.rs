//! Requests for export runs.

use serde::{Deserialize, Serialize};

use super::limits::MAX_SLICES_PER_SLOT;
use crate::{configuration::ConfigurationKey, time::Timestamp};

/// A message of the run queue: a request to export a configuration through a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    #[serde(flatten)]
    pub key: ConfigurationKey,
    /// The end of the window, exclusive.
    pub through: Timestamp,
    pub trigger: RunTrigger,
    /// The number of slices that have worked on it before; see [`MAX_SLICES_PER_SLOT`].
    #[serde(default)]
    pub slices: u32,
    /// The number of times that it was deferred, because its tenant had no free share of the runs or its Region did not answer.
    #[serde(default)]
    pub deferrals: u32,
}

impl RunRequest {
    #[must_use]
    pub fn new(key: ConfigurationKey, through: Timestamp, trigger: RunTrigger) -> Self {
        Self { key, through, trigger, slices: 0, deferrals: 0 }
    }

    /// Returns the request for the rest that a slice has left. `None`: the slot has had the most slices; the rest is left to the
    /// next slot.
    #[must_use]
    pub fn continued(self, through: Timestamp) -> Option<Self> {
        let slices = self.slices.saturating_add(1);
        (slices < MAX_SLICES_PER_SLOT).then_some(Self { through, slices, deferrals: 0, ..self })
    }

    /// Returns the same request, deferred once more.
    #[must_use]
    pub fn deferred(self) -> Self {
        Self { deferrals: self.deferrals.saturating_add(1), ..self }
    }
}

/// The trigger of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunTrigger {
    Schedule,
    Manual,
}
