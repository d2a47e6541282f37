//! The state of an export.

use super::{
    plan::Plan,
    window::{Checkpoint, Window, WindowId, first_attempt},
};
use crate::{
    block::BlockId,
    configuration::{ExportConfiguration, ExportProgress},
    digest::{DigestReference, Gap},
    time::Timestamp,
};

/// The number of a lease on an export. A later lease has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FencingToken(pub u64);

/// The state of a configuration's export between and during runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportState {
    /// The first block ID that is not exported. Everything before it is delivered and in a digest.
    pub cursor: BlockId,
    /// The sequence of the next digest.
    pub next_sequence: u64,
    /// The revision of the next window, as long as the sequence stays the same.
    pub next_revision: u64,
    /// The newest digest.
    pub head: Option<DigestReference>,
    /// Raised with each lease. A write with an older token is refused.
    pub fencing_token: FencingToken,
    /// The window that is being exported.
    pub window: Option<Window>,
    /// The time through which another request asked the holder of the lease to export.
    pub rerun_through: Option<Timestamp>,
    /// Everything received before it that is not exported is past its retention. Recorded by runs that failed, for the gap of
    /// the next window.
    pub lost_through: Option<Timestamp>,
}

impl ExportState {
    /// Returns the state before the first run.
    #[must_use]
    pub fn initial(configuration: &ExportConfiguration) -> Self {
        Self {
            cursor: BlockId::lowest_at(configuration.start_from),
            next_sequence: 0,
            next_revision: 0,
            head: None,
            fencing_token: FencingToken(0),
            window: None,
            rerun_through: None,
            lost_through: None,
        }
    }

    /// Moves the cursor of an export that starts with "earliest" to the oldest events that are still held, as long as there was
    /// no window: older events are no gap. Events since the creation of the configuration are promised, and would be one.
    pub fn begin_at_earliest(&mut self, configuration: &ExportConfiguration, retention_floor: Timestamp) {
        if self.next_sequence == 0 && self.window.is_none() && configuration.start_from == Timestamp::EPOCH {
            let earliest = retention_floor.min(configuration.created_at);
            self.cursor = self.cursor.max(BlockId::lowest_at(earliest));
        }
    }

    /// Returns the time before which everything received is exported.
    #[must_use]
    pub fn exported_through(&self) -> Timestamp {
        self.cursor.timestamp()
    }

    /// Returns the first block that is not delivered yet and within its retention.
    #[must_use]
    pub fn first_unexported(&self, retention_floor: Timestamp) -> BlockId {
        let first = self.window.as_ref().map_or(self.cursor, |window| window.remaining().first);
        first.max(BlockId::lowest_at(retention_floor))
    }

    /// Returns the gap of events that no window can export any more. `floor` is the beginning of the retention, and from
    /// `grace_floor` on every block is still in the table.
    ///
    /// The blocks of a begun window are exported until they may be deleted. An export that starts with "earliest" moves with the
    /// floor and loses nothing.
    #[must_use]
    pub fn lost(&self, configuration: &ExportConfiguration, floor: Timestamp, grace_floor: Timestamp) -> Option<Gap> {
        let from = match &self.window {
            Some(window) if !window.is_stale(grace_floor) => window.to,
            Some(window) if window.delivered_end().is_some() => window.remaining().first,
            // The next run gives up a window without deliveries.
            given_up => {
                let cursor = given_up.as_ref().map_or(self.cursor, |window| window.from);
                let mut state = Self { cursor, window: None, ..self.clone() };
                state.begin_at_earliest(configuration, floor);
                state.cursor
            }
        };
        let from = from.timestamp();
        (from < floor && !self.starts_before_retention(configuration, floor)).then(|| Gap::retention_ended(from, floor))
    }

    /// Returns whether this loss is the first since the cursor moved. An export that keeps failing loses more with each run.
    #[must_use]
    pub fn begins_loss(&self, gap: &Gap) -> bool {
        self.lost_through.is_none_or(|recorded| recorded <= gap.from)
    }

    /// Returns whether the export has not begun, and everything past its retention was received before the configuration was
    /// created: these events were never promised.
    fn starts_before_retention(&self, configuration: &ExportConfiguration, floor: Timestamp) -> bool {
        let has_begun =
            self.next_sequence > 0 || self.window.as_ref().is_some_and(|window| window.checkpoint.last_block.is_some());
        !has_begun && floor <= configuration.created_at
    }

    /// Returns whether a run that finished this number of windows and left this state has exported anything that `known`, the
    /// progress of the configuration, does not include.
    ///
    /// A boundary of the schedule is no proof of an export: a configuration that was created between the boundary and its
    /// firing has nothing to export at it. A window counts for the run that finished it, and for a later run if the report of
    /// the first was lost.
    #[must_use]
    pub fn has_exported(&self, known: &ExportProgress, finished_windows: usize) -> bool {
        let is_reported = known.last_export_at.is_some() && known.exported_through >= Some(self.exported_through());
        finished_windows > 0 || (self.head.is_some() && !is_reported)
    }

    /// Returns the window for a run through `through`: the one that was begun, else a new one. `None`: nothing is left to
    /// export.
    #[must_use]
    pub fn window_through(
        &self,
        configuration: &ExportConfiguration,
        through: Timestamp,
        retention_floor: Timestamp,
        now: Timestamp,
        plan: impl FnOnce() -> Plan,
    ) -> Option<Window> {
        if self.window.is_some() {
            return self.window.clone();
        }
        let id = WindowId { sequence: self.next_sequence, revision: self.next_revision };
        let to = BlockId::lowest_at(through);
        let exported_through = self.exported_through();
        let retention_floor = self.lost_through.map_or(retention_floor, |lost| lost.max(retention_floor));
        let gap = if self.starts_before_retention(configuration, retention_floor) {
            Gap::start_before_retention
        } else {
            Gap::retention_ended
        };
        (self.cursor < to).then(|| Window {
            id,
            from: self.cursor,
            to,
            gap: (exported_through < retention_floor).then(|| gap(exported_through, retention_floor.min(through))),
            started_at: now,
            plan: plan(),
            checkpoint: Checkpoint::default(),
            attempts: first_attempt(),
            skipped: Vec::new(),
        })
    }
}
