//! The outcome of a run that did not fail.

use domain::{
    connection::Connection,
    export_run::{RunRequest, RunTrigger, WindowRecord},
    time::Timestamp,
};

/// The outcome of a run that need not be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The windows that the run brought into the bucket, oldest first. Empty: everything was exported before.
    Exported(Vec<WindowRecord>),
    /// The slice is over, or a person asked for more meanwhile. `next` continues and has to be queued. `None`: the request
    /// has used all its slices, and the rest is left to the next slot.
    ///
    /// `had_last_share`: all shares of the tenant were taken, so others may wait for one, and `next` has to be queued with a
    /// delay that lets them have it first.
    Paused { windows: Vec<WindowRecord>, next: Option<RunRequest>, had_last_share: bool },
    /// Another function makes the format of what is left: `next` has to be queued for it.
    Elsewhere { windows: Vec<WindowRecord>, next: RunRequest },
    /// Nothing was done, and `next` has to be queued with a delay: the tenant has no free share, or the Region does not
    /// answer.
    Deferred { reason: DeferralReason, next: RunRequest },
    /// Another run holds the lease and was asked to export this as well.
    LeftToAnother,
    /// The configuration was deleted or is disabled.
    NotWanted,
    /// The customer has to change something; the configuration says what. `next` was requested meanwhile and has to be queued.
    Refused { connection: Connection, next: Option<RunRequest> },
}

impl RunOutcome {
    /// Returns the outcome of a run that had the last share of its tenant.
    pub(super) fn of_last_share(self) -> Self {
        match self {
            Self::Paused { windows, next, .. } => Self::Paused { windows, next, had_last_share: true },
            outcome => outcome,
        }
    }

    /// Returns the outcome with a run through `later` to be queued, which a person requested meanwhile.
    pub(super) fn followed_by(self, request: &RunRequest, later: Timestamp) -> Self {
        let next = Some(RunRequest::new(request.key.clone(), later, RunTrigger::Manual));
        match self {
            Self::Exported(windows) => Self::Paused { windows, next, had_last_share: false },
            Self::LeftToAnother => Self::Paused { windows: Vec::new(), next, had_last_share: false },
            Self::Refused { connection, .. } => Self::Refused { connection, next },
            outcome @ (Self::Paused { .. } | Self::Elsewhere { .. } | Self::Deferred { .. } | Self::NotWanted) => {
                outcome
            }
        }
    }
}

/// The reason why a run has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeferralReason {
    /// All of the tenant's shares are taken.
    NoFreeShare,
    /// The circuit of the destination's Region is open.
    RegionUnreachable { until: Timestamp },
}
