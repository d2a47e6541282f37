//! The history of exports: what the runs have left in their table. Reads only.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use domain::{
    configuration::ConfigurationKey,
    export_job::{ExportSnapshot, Intent},
    export_run::{ExportState, WindowId, WindowRecord},
};
use export_engine::ports::{CompletedWindows, PortError, SealedDigest};

use crate::{
    dynamodb::{
        expression::Expression,
        item::{Attributes, Item, text},
        read::{self, Query},
        table::Table,
    },
    runs::{
        intents,
        item::{self, attribute, key},
    },
};

/// The most records that are read at once. One has less than 1 KB, so that all of them come in one page of 1 MB.
pub const MAX_RECORDS: u16 = 200;

/// The most snapshots that are read at once: those of one `BatchGetItem`.
pub const MAX_SNAPSHOTS: usize = read::MAX_READ_BATCH;

/// Reads the table `ExportRuns`, strongly consistently.
#[derive(Clone, Debug)]
pub struct ExportHistory {
    table: Table,
}

impl ExportHistory {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Returns the snapshot of an export. `None`: no run has started yet.
    ///
    /// Read it before the records: a window that ends in between is then in both, and not left out.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn snapshot(&self, configuration: &ConfigurationKey) -> Result<Option<ExportSnapshot>, PortError> {
        let found = self.get("dynamodb:GetItem (run state)", configuration, item::STATE).await?;
        Ok(found.as_ref().map(item::read_snapshot).transpose()?)
    }

    /// Returns the snapshots of exports, at most [`MAX_SNAPSHOTS`]: the first of more. Exports without a run are left out.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn snapshots(
        &self,
        configurations: &[&ConfigurationKey],
    ) -> Result<HashMap<ConfigurationKey, ExportSnapshot>, PortError> {
        let configurations = || configurations.iter().take(MAX_SNAPSHOTS).copied();
        let keys = configurations().map(|configuration| key(configuration, item::STATE)).collect();
        let states = self.table.get_batch("dynamodb:BatchGetItem (run states)", keys, None).await?.complete()?;
        let mut found = HashMap::new();
        for state in states {
            found.insert(Attributes(&state).text(attribute::RUN)?, item::read_snapshot(&state)?);
        }
        let by_key = configurations().filter_map(|configuration| {
            found.remove(&configuration.to_string()).map(|snapshot| (configuration.clone(), snapshot))
        });
        Ok(by_key.collect())
    }

    /// Returns the window of a sequence, if it is exported.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn record(
        &self,
        configuration: &ConfigurationKey,
        sequence: u64,
    ) -> Result<Option<WindowRecord>, PortError> {
        let found = self.get("dynamodb:GetItem (run record)", configuration, &item::job_name(sequence)).await?;
        Ok(found.map(|found| Attributes(&found).json(attribute::RECORD)).transpose()?)
    }

    /// Returns the exported windows before the sequence `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn records(
        &self,
        configuration: &ConfigurationKey,
        before: Option<u64>,
        limit: u16,
    ) -> Result<Vec<WindowRecord>, PortError> {
        let Some((first, last)) = item::job_names_before(before) else { return Ok(Vec::new()) };
        let key = Expression::new("#run = :run AND #item BETWEEN :first AND :last")
            .with("run", text(configuration))
            .with("first", text(first))
            .with("last", text(last));
        let query = Query::new(key).descending().limit(limit.min(MAX_RECORDS));
        let page = self.table.page("dynamodb:Query (run records)", &query, None).await?;
        let records = page.items.iter().map(|found| Attributes(found).json(attribute::RECORD));
        Ok(records.collect::<Result<_, _>>()?)
    }

    /// Returns the objects of a window that runs set out to write, in the order of their blocks.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn intents(&self, configuration: &ConfigurationKey, window: WindowId) -> Result<Vec<Intent>, PortError> {
        let items = intents::query(&self.table, configuration, &item::intent_prefix(window)).await?;
        Ok(items.iter().map(item::read_intent).collect::<Result<_, _>>()?)
    }

    /// Returns the sealed digest of a sequence. `None`: none is sealed yet.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn digest(
        &self,
        configuration: &ConfigurationKey,
        sequence: u64,
    ) -> Result<Option<SealedDigest>, PortError> {
        let found = self.get("dynamodb:GetItem (digest)", configuration, &item::digest_name(sequence)).await?;
        Ok(found.map(item::read_digest).transpose()?)
    }

    async fn get(
        &self,
        operation: &'static str,
        configuration: &ConfigurationKey,
        name: &str,
    ) -> Result<Option<Item>, PortError> {
        self.table.get(operation, key(configuration, name)).await
    }
}

impl CompletedWindows for ExportHistory {
    async fn state(&self, key: &ConfigurationKey) -> Result<Option<ExportState>, PortError> {
        Ok(self.snapshot(key).await?.map(|snapshot| snapshot.state))
    }

    async fn record(&self, key: &ConfigurationKey, sequence: u64) -> Result<Option<WindowRecord>, PortError> {
        self.record(key, sequence).await
    }

    async fn sealed_digest(&self, key: &ConfigurationKey, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        self.digest(key, sequence).await
    }
}

#[cfg(test)]
mod tests;
