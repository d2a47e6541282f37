//! Export configurations in `DynamoDB`.
//!
//! Items of one tenant share a partition: its configurations under their IDs, the records of idempotency keys under
//! `idempotency#<SHA-256 of the key>`, `usage`, the count of its configurations, `unexported`, the backlog that was counted
//! last, the counts of its allowances, the last repair of each configuration under `repair#<configuration>`, its replays under
//! `replay#<configuration>#<replay>`, the tombstones of deleted configurations, and the queued notices. Ids are UUIDs, so all others sort behind
//! them.

mod backlog;
mod editor;
mod index;
pub(crate) mod item;
mod observed;
mod outbox;
mod overview;
mod repair;
mod replay_editor;
mod replays;
mod run_request;
mod standing;
mod store;
mod table;
mod tenant;
mod test_progress;
#[cfg(test)]
mod tests;
mod tombstone;

pub use self::{
    backlog::CountedBacklog,
    editor::{ConfigurationEditor, CreateOutcome, EditOutcome, IdempotentRequest, MAX_TRANSACTION_ATTEMPTS},
    index::IndexPosition,
    item::{INDEX_PAGE_SIZE, SCHEDULE_SHARDS},
    overview::{ConfigurationOverview, OVERVIEW_PROJECTION, OverviewPage, OverviewPosition},
    repair::RepairRequestOutcome,
    replays::ReplaySeries,
    run_request::RunRequestOutcome,
    table::{ConfigurationTable, MAX_CONFIGURATIONS_PER_TENANT},
    tenant::{TenantItem, TenantItems},
    tombstone::Tombstone,
};
