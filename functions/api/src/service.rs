//! The use cases, one module each. Every one takes the caller: configurations of another tenant are not found.

mod backlog;
mod connection_test;
mod creation;
mod digest;
mod edits;
mod jobs;
mod listing;
mod page;
mod repairs;
mod replays;
mod runs;
mod shared;
mod update;
mod webhooks;

#[cfg(test)]
pub use self::backlog::BACKLOG_FRESHNESS;
pub use self::{
    backlog::{BacklogCounts, DatedBacklog},
    digest::DeliveredDigest,
    jobs::IdentifiedJob,
    listing::{ListedConfigurations, position_of},
    page::Page,
    shared::Service,
    update::UpdateTerms,
};
