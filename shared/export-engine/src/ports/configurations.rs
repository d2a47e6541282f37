//! The export configurations, as a run and a connection test use them.

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::Connection,
    connection_test::progress::ConnectionTestProgress,
    notice::gap::SignedGap,
    time::Timestamp,
};

use super::error::PortError;

/// The configurations that runs and connection tests read and report to.
pub trait ConfigurationStore: Send + Sync {
    fn load(
        &self,
        key: &ConfigurationKey,
    ) -> impl Future<Output = Result<Option<ExportConfiguration>, PortError>> + Send;

    /// Stores the outcome of a test or run. Does nothing if a person has changed the destination or identity since `version`,
    /// because the outcome is about the earlier one. Also stores `user_arn` if it is known.
    fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        user_arn: Option<&UserArn>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores the result of a run, unless that of a later run is stored already or the configuration was deleted.
    fn store_run(
        &self,
        key: &ConfigurationKey,
        report: &RunReport,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores the newest gap that the export signs, for its notice. Done before the window is completed, so that none is missed.
    fn store_signed_gap(
        &self,
        key: &ConfigurationKey,
        gap: &SignedGap,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Clears a person's request for a run through `through`. A later request stays, and its time is returned.
    fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, PortError>> + Send;
}

/// Stores how far connection tests are, for those who wait for them.
pub trait TestProgressStore: Send + Sync {
    /// Stores the progress of a test of a configuration. Does nothing if the configuration was deleted, or if the progress of a
    /// later test, or a later state of this one, is stored.
    fn store_progress(
        &self,
        key: &ConfigurationKey,
        progress: &ConnectionTestProgress,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The part of a run's result that its configuration stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    pub ended_at: Timestamp,
    /// Everything received before it is in the bucket and in a digest. `None`: there is no digest yet.
    pub exported_through: Option<Timestamp>,
    /// True if this is the configuration's last export.
    pub has_exported: bool,
    /// True if the run failed. A failure extends the count of consecutive failures, a success resets it.
    pub has_failed: bool,
}
