//! Export runs: the request, the window and the plan that are fixed before anything is read, and the state of the export.

mod limits;
mod plan;
mod record;
mod request;
mod state;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod window;

pub use self::{
    limits::{
        HEARTBEAT, LEASE_DURATION, MAX_CLOCK_SKEW, MAX_SKIPPED_BLOCKS, MAX_SLICES_PER_SLOT, MIN_SETTLE, PART_SIZE,
        SLICE, TARGET_RAW_LENGTH, TARGET_STORED_LENGTH,
    },
    plan::{Plan, PlanLimits},
    record::WindowRecord,
    request::{RunRequest, RunTrigger},
    state::{ExportState, FencingToken},
    window::{BlockRange, Checkpoint, Window, WindowId},
};

#[cfg(test)]
mod tests;
