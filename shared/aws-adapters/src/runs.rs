//! The state of exports in `DynamoDB`. Items of one configuration share a partition: `state` (cursor, lease, open window),
//! an `intent#…` for each object of a window, a `digest#…` for each sealed window, a `job#…` for each exported window.

mod erasure;
mod erasure_notes;
mod expiry;
pub(crate) mod intents;
pub(crate) mod item;
mod progress;
mod shared;
mod store;
mod table;

pub use self::{
    erasure::{RunItemKey, TenantRunPage},
    erasure_notes::{NotesOutcome, SignedStatement, StoredErasure},
    expiry::ExpiryOutcome,
    shared::SkipApprovalOutcome,
    table::RunTable,
};
