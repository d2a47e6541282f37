//! The table of configurations.

use std::sync::PoisonError;

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::Connection,
    notice::gap::SignedGap,
    time::Timestamp,
};
use export_engine::ports::{ConfigurationStore, PortError, RunReport};
use host::Clock;

use super::process::Ports;
use crate::{bug::KnownBug, world::WorldState};
impl ConfigurationStore for Ports {
    async fn load(&self, key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        let key = key.clone();
        let found =
            self.world.call("load configuration", move |state| Ok(state.configurations.get(&key).cloned())).await?;
        if let Some(asked) = found.as_ref().and_then(|configuration| configuration.requested_through) {
            *self.asked_through.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        }
        if self.is_of_repair && self.has(KnownBug::RepairNotTested) {
            let connection = Connection::Success { checked_at: self.now() };
            return Ok(found.map(|configuration| ExportConfiguration { connection, ..configuration }));
        }
        Ok(found)
    }

    async fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        _user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        let (key, connection) = (key.clone(), connection.clone());
        let effect = move |state: &mut WorldState| {
            if let Some(configuration) = state.configurations.get_mut(&key)
                && configuration.version == version
            {
                configuration.connection = connection.clone();
            }
            Ok(())
        };
        self.world.call("store connection", effect).await
    }

    async fn store_run(&self, key: &ConfigurationKey, report: &RunReport) -> Result<(), PortError> {
        let (key, report) = (key.clone(), report.clone());
        let effect = move |state: &mut WorldState| {
            let has_digest = state.runs.get(&key).is_some_and(|items| items.state.head.is_some());
            // Its state may be erased since.
            let is_erased = state.erasure.concerns(&key.tenant_id);
            if !has_digest && !is_erased && (report.has_exported || report.exported_through.is_some()) {
                state.violations.push(format!("{key}: reports an export and has no digest"));
            }
            if let Some(configuration) = state.configurations.get_mut(&key) {
                let progress = &mut configuration.progress;
                progress.exported_through = progress.exported_through.max(report.exported_through);
                progress.last_export_at =
                    Some(report.ended_at).filter(|_| report.has_exported).or(progress.last_export_at);
                progress.consecutive_failures = u32::from(report.has_failed);
            }
            Ok(())
        };
        self.world.call("store run", effect).await
    }

    async fn store_signed_gap(&self, key: &ConfigurationKey, gap: &SignedGap) -> Result<(), PortError> {
        let (key, gap) = (key.clone(), *gap);
        let effect = move |state: &mut WorldState| {
            let stored = state.signed_gaps.entry(key.clone()).or_insert(gap);
            if stored.sequence <= gap.sequence {
                *stored = gap;
            }
            Ok(())
        };
        self.world.call("store signed gap", effect).await
    }

    async fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let key = key.clone();
        let effect = move |state: &mut WorldState| {
            let Some(configuration) = state.configurations.get_mut(&key) else { return Ok(None) };
            configuration.requested_through = configuration.requested_through.filter(|asked| *asked > through);
            Ok(configuration.requested_through)
        };
        self.world.call("clear run request", effect).await
    }
}
