//! What the runs have left in their table, for whoever asks how an export went. Reads only.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::KeysAndAttributes};
use domain::{
    configuration::ConfigurationKey,
    export_job::{Intent, RunSnapshot},
    export_run::{RunRecord, WindowId},
};
use export_engine::ports::{PortError, SealedDigest};

use crate::{
    error::port_error,
    runs::{
        self,
        item::{self, Item, attribute, key, text},
    },
};

/// The most records that are read at once. One has less than 1 KB, so that all of them come in one page of 1 MB.
pub const MAX_RECORDS: u16 = 200;

/// The most snapshots that are read at once: those of one `BatchGetItem`,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
pub const MAX_SNAPSHOTS: usize = 100;

/// How often snapshots are asked for that `DynamoDB` leaves unprocessed.
const MAX_BATCH_ATTEMPTS: usize = 3;

/// Reads the table `ExportRuns`, strongly consistently.
#[derive(Clone, Debug)]
pub struct ExportHistory {
    client: Client,
    table: String,
}

impl ExportHistory {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// How the export stands. `None`: no run has started yet.
    ///
    /// Read it before the records: a window that ends in between is then told of twice, and not left out.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn snapshot(&self, configuration: &ConfigurationKey) -> Result<Option<RunSnapshot>, PortError> {
        let found = self.get("dynamodb:GetItem (run state)", configuration, item::STATE).await?;
        found.as_ref().map(item::read_snapshot).transpose()
    }

    /// Returns how exports stand, at most [`MAX_SNAPSHOTS`]: the first of more. What no run has started yet is left out.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn snapshots(
        &self,
        configurations: &[&ConfigurationKey],
    ) -> Result<HashMap<ConfigurationKey, RunSnapshot>, PortError> {
        let operation = "dynamodb:BatchGetItem (run states)";
        let configurations = || configurations.iter().take(MAX_SNAPSHOTS).copied();
        let mut keys: Vec<Item> = configurations().map(|configuration| key(configuration, item::STATE)).collect();
        let mut found = HashMap::new();
        for _ in 0..MAX_BATCH_ATTEMPTS {
            if keys.is_empty() {
                break;
            }
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let request = request.map_err(|error| PortError::internal(operation, error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .send()
                .await
                .map_err(|error| port_error(operation, &error))?;
            for state in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                found.insert(item::read_text(&state, attribute::RUN)?, item::read_snapshot(&state)?);
            }
            keys =
                answer.unprocessed_keys.into_iter().flat_map(HashMap::into_values).flat_map(|rest| rest.keys).collect();
        }
        if !keys.is_empty() {
            return Err(PortError::transient(operation, format!("{} states were left unprocessed", keys.len())));
        }
        let by_key = configurations().filter_map(|configuration| {
            found.remove(&configuration.to_string()).map(|snapshot| (configuration.clone(), snapshot))
        });
        Ok(by_key.collect())
    }

    /// The window of that sequence, if it is exported.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn record(
        &self,
        configuration: &ConfigurationKey,
        sequence: u64,
    ) -> Result<Option<RunRecord>, PortError> {
        let found = self.get("dynamodb:GetItem (run record)", configuration, &item::job_name(sequence)).await?;
        found.map(|found| item::read_json(&found, attribute::RECORD)).transpose()
    }

    /// The windows that were exported, the newest first: those before the sequence `before`, and `limit` at most.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn records(
        &self,
        configuration: &ConfigurationKey,
        before: Option<u64>,
        limit: u16,
    ) -> Result<Vec<RunRecord>, PortError> {
        let operation = "dynamodb:Query (run records)";
        let Some((first, last)) = item::job_names_before(before) else { return Ok(Vec::new()) };
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::from(limit.min(MAX_RECORDS)))
            .key_condition_expression("#run = :run AND #item BETWEEN :first AND :last")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#item", attribute::ITEM)
            .expression_attribute_values(":run", text(configuration))
            .expression_attribute_values(":first", text(&first))
            .expression_attribute_values(":last", text(&last))
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        answer.items().iter().map(|found| item::read_json(found, attribute::RECORD)).collect()
    }

    /// The objects that runs set out to write of the window, in the order of their blocks.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn intents(&self, configuration: &ConfigurationKey, window: WindowId) -> Result<Vec<Intent>, PortError> {
        let items = runs::query_intents(&self.client, &self.table, configuration, window).await?;
        items.iter().map(item::read_intent).collect()
    }

    /// Returns the sealed digest of that sequence. `None`: none is sealed yet.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn digest(
        &self,
        configuration: &ConfigurationKey,
        sequence: u64,
    ) -> Result<Option<SealedDigest>, PortError> {
        let found = self.get("dynamodb:GetItem (digest)", configuration, &item::digest_name(sequence)).await?;
        found.map(item::read_digest).transpose()
    }

    async fn get(
        &self,
        operation: &'static str,
        configuration: &ConfigurationKey,
        name: &str,
    ) -> Result<Option<Item>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(configuration, name)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        Ok(answer.item)
    }
}

#[cfg(test)]
mod tests;
