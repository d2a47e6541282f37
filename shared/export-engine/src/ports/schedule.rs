//! The index of enabled configurations and the queue of runs, as the dispatch and the sweep use them.

use domain::{
    configuration::ConfigurationKey, export_run::RunRequest, interval::ExportInterval, notice::state::ObservedExport,
};

use super::error::PortError;

/// The enabled configurations of an interval, in pages.
pub trait EnabledConfigurations: Send + Sync {
    /// A position in one shard of the index.
    type Position: Send;

    /// Returns the number of shards. Each is paged separately.
    fn shards(&self) -> u8;

    fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<Self::Position>,
    ) -> impl Future<Output = Result<(Vec<ConfigurationKey>, Option<Self::Position>), PortError>> + Send;
}

/// What the sweep observes of exports, in batches.
pub trait ObservedExports: Send + Sync {
    /// The most configurations of a batch.
    const MAX_BATCH: usize;

    /// Returns the observations of at most [`ObservedExports::MAX_BATCH`] configurations, in any order. Leaves out those that were
    /// deleted; each that can't be read is an error inside the list.
    fn observe(
        &self,
        batch: &[ConfigurationKey],
    ) -> impl Future<Output = Result<Vec<Result<ObservedExport, PortError>>, PortError>> + Send;
}

/// The queue from which runs are started.
pub trait RunQueue: Send + Sync {
    /// The most requests of a batch.
    const MAX_BATCH: usize;

    /// Sends all of at most [`RunQueue::MAX_BATCH`] requests or fails. After a failure, some may have been sent.
    fn send(&self, batch: &[RunRequest]) -> impl Future<Output = Result<(), PortError>> + Send;
}
