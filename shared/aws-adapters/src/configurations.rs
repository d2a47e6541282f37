//! Export configurations in DynamoDB.
//!
//! Items of one tenant share a partition: its configurations under their ids, the records of idempotency keys under
//! `idempotency#<SHA-256 of the key>`, `usage`, the count of its configurations, `unexported`, what was last counted of
//! its backlog, the counts of its allowances, and the tombstones of deleted configurations. Ids are UUIDs, so all others sort
//! behind them.

mod backlog;
mod editor;
mod item;
mod run_request;
mod standing;
#[cfg(test)]
mod tests;
mod tombstone;

use aws_sdk_dynamodb::{Client, operation::update_item::UpdateItemError};
use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::Connection,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{ConfigurationStore, EnabledConfigurations, PortError, RunReport};

use self::item::{Item, attribute, number, text};
pub use self::{
    backlog::CountedBacklog,
    editor::{
        ConfigurationEditor, CreateAnswer, EditAnswer, IDEMPOTENCY_RETENTION, IdempotentRequest,
        MAX_TRANSACTION_ATTEMPTS,
    },
    item::SCHEDULE_SHARDS,
    run_request::RunRequestOutcome,
    standing::{TenantItem, TenantItems},
    tombstone::Tombstone,
};
use crate::error::port_error;

/// The index of enabled configurations. Its reads are eventually consistent: what was just enabled may be missed by a
/// dispatch of the same moment, and what was just disabled is refused by the run itself.
const ENABLED_BY_INTERVAL: &str = "enabledByInterval";

/// How many configurations one tenant may have.
pub const MAX_CONFIGURATIONS_PER_TENANT: u16 = 100;

/// Configurations that one page of the index holds. Their keys have at most 300 bytes: far from DynamoDB's 1 MB.
const INDEX_PAGE_SIZE: i32 = 500;

/// Pages that a list reads before it gives up. [`MAX_CONFIGURATIONS_PER_TENANT`] items of at most 8 KB fill less than one
/// page of 1 MB.
const MAX_LIST_PAGES: usize = 4;

const USAGE: &str = "usage";
const IDEMPOTENCY_PREFIX: &str = "idempotency#";

/// Sorts behind every UUID and before everything else in a tenant's partition.
pub(crate) const BEHIND_IDS: &str = "g";

/// The table `ExportConfigurations`. Reads are strongly consistent, but for those of the index.
#[derive(Clone, Debug)]
pub struct ConfigurationTable {
    client: Client,
    table: String,
}

/// Where a page of the index ended.
#[derive(Clone, Debug)]
pub struct IndexPosition(Item);

impl ConfigurationTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// All configurations of a tenant, by id.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<ExportConfiguration>, PortError> {
        let operation = "list configurations";
        let mut configurations = Vec::new();
        let mut start = None;
        for _ in 0..MAX_LIST_PAGES {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("#tenant = :tenant AND #id < :behindIds")
                .expression_attribute_names("#tenant", attribute::TENANT_ID)
                .expression_attribute_names("#id", attribute::ID)
                .expression_attribute_values(":tenant", text(tenant))
                .expression_attribute_values(":behindIds", text(BEHIND_IDS))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error(operation, &error))?;
            for item in page.items() {
                configurations.push(item::read(item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(configurations);
            }
        }
        Err(PortError::internal(operation, format!("{tenant} has more than {MAX_LIST_PAGES} pages of configurations")))
    }
}

/// The condition under which the report of a run is stored. The texts sort like the times.
const RUN_IS_NEWS: &str = "attribute_exists(#id) AND (attribute_not_exists(#through) OR #through < :through OR (\
    #through = :through AND (attribute_not_exists(#lastExportAt) OR #lastExportAt < :endedAt) \
    AND (attribute_not_exists(#lastFailureAt) OR #lastFailureAt < :endedAt)))";

/// The same where no digest is there yet, so that only the times order the reports.
const FIRST_RUN_IS_NEWS: &str = "attribute_exists(#id) AND \
    (attribute_not_exists(#lastExportAt) OR #lastExportAt < :endedAt) \
    AND (attribute_not_exists(#lastFailureAt) OR #lastFailureAt < :endedAt)";

impl ConfigurationStore for ConfigurationTable {
    async fn load(&self, key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("load configuration", &error))?;
        answer.item().map(item::read).transpose()
    }

    /// An outcome holds for later versions as well, while their edits left destination and identity alone. It is dropped too
    /// if a later test's was stored already. It changes neither `version` nor `updatedAt`.
    async fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        let mut set = vec!["#status = :status"];
        let mut remove = Vec::new();
        let mut condition = "(#version = :version OR #connectionVersion <= :version)".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_names("#connectionVersion", attribute::CONNECTION_VERSION)
            .expression_attribute_names("#status", attribute::CONNECTION_STATUS)
            .expression_attribute_names("#checkedAt", attribute::CONNECTION_CHECKED_AT)
            .expression_attribute_names("#error", attribute::CONNECTION_ERROR)
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":status", text(connection.status().name()));
        if let Some(checked_at) = connection.checked_at() {
            set.push("#checkedAt = :checkedAt");
            // The texts sort like the times.
            condition.push_str(" AND (attribute_not_exists(#checkedAt) OR #checkedAt <= :checkedAt)");
            update = update.expression_attribute_values(":checkedAt", text(checked_at));
        } else {
            remove.push("#checkedAt");
        }
        if let Some(error) = connection.error() {
            set.push("#error = :error");
            update = update.expression_attribute_values(":error", item::connection_error(error));
        } else {
            remove.push("#error");
        }
        if let Some(user_arn) = user_arn {
            set.push("#principalArn = :principalArn");
            update = update
                .expression_attribute_names("#principalArn", attribute::PRINCIPAL_ARN)
                .expression_attribute_values(":principalArn", text(user_arn));
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&remove.join(", "));
        }
        match update.update_expression(expression).condition_expression(condition).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                tracing::info!(tenant_id = %key.tenant_id, configuration_id = %key.configuration_id, version,
                    "an outcome was dropped: the configuration was changed, deleted or tested later");
                Ok(())
            }
            Err(error) => Err(port_error("store connection", &error)),
        }
    }

    /// Reports are ordered by how far the export got, and then by when the run ended. One that comes late, or a second
    /// time because its answer was lost, changes nothing: `exportedThrough` never goes back, and no failure is counted
    /// twice.
    async fn store_run(&self, key: &ConfigurationKey, report: &RunReport) -> Result<(), PortError> {
        let mut set = if report.has_failed {
            vec!["#lastFailureAt = :endedAt", "#failures = if_not_exists(#failures, :zero) + :one"]
        } else {
            vec!["#failures = :zero"]
        };
        if report.has_exported {
            set.insert(0, "#lastExportAt = :endedAt");
        }
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_names("#lastExportAt", attribute::LAST_EXPORT_AT)
            .expression_attribute_names("#lastFailureAt", attribute::LAST_FAILURE_AT)
            .expression_attribute_names("#failures", attribute::CONSECUTIVE_FAILURES)
            .expression_attribute_values(":endedAt", text(report.ended_at))
            .expression_attribute_values(":zero", number(0));
        update = if let Some(through) = report.exported_through {
            set.insert(0, "#through = :through");
            update
                .condition_expression(RUN_IS_NEWS)
                .expression_attribute_names("#through", attribute::EXPORTED_THROUGH)
                .expression_attribute_values(":through", text(through))
        } else {
            update.condition_expression(FIRST_RUN_IS_NEWS)
        };
        update = update.update_expression(format!("SET {}", set.join(", ")));
        if report.has_failed {
            update = update.expression_attribute_values(":one", number(1));
        }
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                tracing::info!(tenant_id = %key.tenant_id, configuration_id = %key.configuration_id,
                    ended_at = %report.ended_at, has_exported = report.has_exported, has_failed = report.has_failed,
                    "a run's report was dropped: it or a later one is there, or the configuration was deleted");
                Ok(())
            }
            Err(error) => Err(port_error("store run", &error)),
        }
    }

    async fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        self.end_run_request(key, through).await
    }
}

impl EnabledConfigurations for ConfigurationTable {
    type Position = IndexPosition;

    fn shards(&self) -> u8 {
        SCHEDULE_SHARDS
    }

    async fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<IndexPosition>,
    ) -> Result<(Vec<ConfigurationKey>, Option<IndexPosition>), PortError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(ENABLED_BY_INTERVAL)
            .key_condition_expression("#schedule = :schedule")
            .expression_attribute_names("#schedule", attribute::SCHEDULE_PARTITION)
            .expression_attribute_values(":schedule", text(item::schedule_shard(interval, shard)))
            .limit(INDEX_PAGE_SIZE)
            .set_exclusive_start_key(after.map(|IndexPosition(key)| key))
            .send()
            .await
            .map_err(|error| port_error("query enabled configurations", &error))?;
        let keys = page.items().iter().map(item::read_key).collect::<Result<_, _>>()?;
        Ok((keys, page.last_evaluated_key.map(IndexPosition)))
    }
}
