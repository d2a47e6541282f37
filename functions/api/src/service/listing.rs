//! Reading configurations, and what is derived from them.

use authentication::Caller;
use domain::{
    configuration::{ConfigurationId, ExportConfiguration},
    export_status::ExportStatus,
    time::Timestamp,
};
use tokio::sync::OnceCell;

use super::{
    page::Page,
    shared::{Service, key_of},
};
use crate::{error::ApiError, ports::SigningPublicKey};

/// The tenant's configurations within one query, so that it reads them at most once.
#[derive(Debug, Default)]
pub struct ListedConfigurations(OnceCell<Result<Vec<ExportConfiguration>, ApiError>>);

impl Service {
    /// Returns all configurations of the tenant, the oldest first.
    pub async fn list<'a>(
        &self,
        caller: &Caller,
        listed: &'a ListedConfigurations,
    ) -> Result<&'a [ExportConfiguration], ApiError> {
        let read = async || {
            let mut configurations = self.ports.configurations.list(&caller.tenant).await?;
            configurations.sort_by_key(position_of);
            Ok(configurations)
        };
        listed.0.get_or_init(read).await.as_deref().map_err(Clone::clone)
    }

    /// Returns the configurations after a position in the order of [`Service::list`].
    pub async fn page(
        &self,
        caller: &Caller,
        listed: &ListedConfigurations,
        after: Option<(Timestamp, ConfigurationId)>,
        limit: u16,
    ) -> Result<Page<ExportConfiguration>, ApiError> {
        let configurations = self.list(caller, listed).await?.iter();
        let behind = configurations.filter(|configuration| Some(position_of(configuration)) > after);
        Ok(Page::first(limit, behind.cloned()))
    }

    /// Returns one configuration.
    pub async fn get(&self, caller: &Caller, id: &str) -> Result<ExportConfiguration, ApiError> {
        self.load(&key_of(caller, id)?).await
    }

    /// Returns the start of the next scheduled export that can have events. `None`: the configuration is disabled.
    pub fn next_export_at(&self, configuration: &ExportConfiguration) -> Option<Timestamp> {
        configuration.next_export_at(self.schedule, self.clock.now())
    }

    /// Returns the status of an export, as its configuration stores it: nothing else is read.
    pub fn status(&self, configuration: &ExportConfiguration) -> ExportStatus {
        ExportStatus::of(configuration, self.schedule, self.retention, self.clock.now())
    }

    /// Returns the end of the requested run that is in the queue.
    pub fn requested_run_through(&self, configuration: &ExportConfiguration) -> Option<Timestamp> {
        configuration.pending_run_through(self.clock.now())
    }

    /// Returns the keys that digests are or were signed with, the current one first.
    pub async fn signing_keys(&self) -> Result<Vec<&SigningPublicKey>, ApiError> {
        Ok(self.ports.signing_keys.all().await?)
    }
}

/// Returns the position of a configuration among those of its tenant.
pub fn position_of(configuration: &ExportConfiguration) -> (Timestamp, ConfigurationId) {
    (configuration.created_at, configuration.key.configuration_id)
}
