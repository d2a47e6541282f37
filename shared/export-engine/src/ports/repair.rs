//! Repairs, and the windows that they repair.

use domain::{
    configuration::ConfigurationKey,
    export_run::{ExportState, WindowRecord},
    repair::Repair,
};

use super::{error::PortError, runs::SealedDigest};

/// The last repair of each configuration.
pub trait RepairStore: Send + Sync {
    fn load_repair(&self, key: &ConfigurationKey) -> impl Future<Output = Result<Option<Repair>, PortError>> + Send;

    /// Stores the revision that follows the stored one. Fenced: another process has stored it, or another repair replaced this
    /// one.
    fn store_repair(
        &self,
        key: &ConfigurationKey,
        repair: &Repair,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The completed windows of exports. Reads are strongly consistent and need no lease.
pub trait CompletedWindows: Send + Sync {
    /// Returns the state of an export. `None`: no run has started yet.
    fn state(&self, key: &ConfigurationKey) -> impl Future<Output = Result<Option<ExportState>, PortError>> + Send;

    /// Returns the record of a completed window. `None`: it has expired.
    fn record(
        &self,
        key: &ConfigurationKey,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<WindowRecord>, PortError>> + Send;

    /// Returns the digest of a completed window. `None`: it has expired.
    fn sealed_digest(
        &self,
        key: &ConfigurationKey,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<SealedDigest>, PortError>> + Send;
}
