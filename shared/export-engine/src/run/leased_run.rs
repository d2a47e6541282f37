//! A run that holds the lease: its inputs and its progress.

use domain::{
    configuration::ExportConfiguration,
    export_run::{ExportState, SLICE, WindowRecord},
    retention::RetentionHistory,
    time::Timestamp,
};
use host::Clock;

use super::{
    circuit::RegionCircuit,
    engine::{EnginePorts, ExportEngine},
};
use crate::ports::Lease;

/// A run under a lease, with what it has done so far.
pub(super) struct LeasedRun<'a, P: EnginePorts> {
    pub(super) engine: &'a ExportEngine<'a, P>,
    pub(super) configuration: &'a ExportConfiguration,
    pub(super) lease: &'a Lease,
    pub(super) state: ExportState,
    pub(super) circuit: RegionCircuit<'a, P::Runs, P::Clock>,
    /// The end of the slice.
    pub(super) pause_at: Timestamp,
    /// The retentions under which blocks were written.
    pub(super) retention: RetentionHistory,
    pub(super) windows: Vec<WindowRecord>,
    /// True if an object or a digest reached the bucket.
    pub(super) has_moved: bool,
    /// True if a checkpoint or the cursor moved. A slice never ends before, so every slice makes progress.
    pub(super) has_advanced: bool,
}

impl<'a, P: EnginePorts> LeasedRun<'a, P> {
    pub(super) fn new(
        engine: &'a ExportEngine<'a, P>,
        configuration: &'a ExportConfiguration,
        lease: &'a Lease,
        state: ExportState,
    ) -> Self {
        Self {
            engine,
            configuration,
            lease,
            state,
            circuit: RegionCircuit::new(engine.runs, engine.clock, configuration),
            pause_at: engine.clock.now().saturating_add(SLICE).min(engine.deadline),
            retention: RetentionHistory::default(),
            windows: Vec::new(),
            has_moved: false,
            has_advanced: false,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    /// Returns whether the run has to pause: its slice is over and it has made progress.
    pub(super) fn is_slice_over(&self) -> bool {
        self.has_advanced && self.now() >= self.pause_at
    }

    /// Returns the time from which on every block is within its retention.
    pub(super) fn retention_floor(&self) -> Timestamp {
        let margin = self.engine.settings.deploy_margin;
        match self.engine.settings.retention_at {
            None => self.retention.floor(self.now(), margin),
            Some(at) => self.retention.floor(at, margin).max(self.grace_floor()),
        }
    }

    /// Returns the time from which on every block is still stored.
    pub(super) fn grace_floor(&self) -> Timestamp {
        let now = self.now().saturating_sub(self.engine.settings.grace);
        self.retention.floor(now, self.engine.settings.deploy_margin)
    }
}
