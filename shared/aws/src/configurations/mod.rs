//! Export configurations in DynamoDB.
//!
//! Items of one tenant share a partition: its configurations under their ids, the records of idempotency keys under
//! `idempotency#<SHA-256 of the key>`, and `usage`, the count of its configurations. Ids are UUIDs, so those two sort
//! behind all of them.

mod item;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
        update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    },
    types::{AttributeValue, CancellationReason, Delete, Put, ReturnValue, TransactWriteItem, Update},
};
use aws_smithy_types::error::operation::BuildError;
use domain::{
    configuration::{ConfigurationId, ConfigurationKey, ExportConfiguration, input::IdempotencyKey},
    connection::Connection,
    digest::Hex32,
    interval::ExportInterval,
    tenant::TenantId,
    time::Timestamp,
};
use export::ports::{ConfigurationStore, EnabledConfigurations, PortError, RunReport};
use sha2::{Digest, Sha256};

pub use self::item::SCHEDULE_SHARDS;
use self::item::{Attributes, Item, attribute, number, text};
use crate::error::{TRANSIENT_CANCELLATIONS, port_error};

/// The index of enabled configurations. Its reads are eventually consistent: what was just enabled may be missed by a
/// dispatch of the same moment, and what was just disabled is refused by the run itself.
const ENABLED_BY_INTERVAL: &str = "enabledByInterval";

/// How many configurations one tenant may have.
pub const MAX_CONFIGURATIONS_PER_TENANT: u16 = 100;

/// How long an idempotency key is remembered after it was first used.
pub const IDEMPOTENCY_RETENTION: Duration = Duration::from_hours(24);

/// Configurations that one page of the index holds. Their keys have at most 300 bytes: far from DynamoDB's 1 MB.
const INDEX_PAGE_SIZE: i32 = 500;

/// Pages that a list reads before it gives up. [`MAX_CONFIGURATIONS_PER_TENANT`] items of at most 8 KB fill less than one
/// page of 1 MB.
const MAX_LIST_PAGES: usize = 4;

/// How often a transaction is tried that meets another one on the same items.
const MAX_TRANSACTION_ATTEMPTS: u32 = 4;

/// The wait after the first of them; it doubles.
const TRANSACTION_WAIT: Duration = Duration::from_millis(40);

const USAGE: &str = "usage";
const IDEMPOTENCY_PREFIX: &str = "idempotency#";

/// Sorts behind every UUID and before everything else in a tenant's partition.
const BEHIND_IDS: &str = "g";

/// The table `ExportConfigurations`. Reads are strongly consistent, but for those of the index.
#[derive(Clone, Debug)]
pub struct ConfigurationTable {
    client: Client,
    table: String,
}

/// A caller's idempotency key, and a hash of what was asked for under it.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest<'a> {
    pub key: &'a IdempotencyKey,
    /// SHA-256; it must not depend on a secret, since it could be used to guess it.
    pub content_hash: [u8; 32],
}

/// What became of creating a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created,
    /// The same was asked for under the same key before, and made this one.
    Repeated(ConfigurationId),
    /// Something else was asked for under the same key before.
    KeyReused,
    /// The tenant has [`MAX_CONFIGURATIONS_PER_TENANT`].
    LimitExceeded,
}

/// Where a page of the index ended.
#[derive(Clone, Debug)]
pub struct IndexPosition(Item);

/// What became of a transaction.
enum Transaction {
    Done,
    /// One code per item: `None` for those that stood in nobody's way, `ConditionalCheckFailed` for the others.
    Cancelled(Vec<CancellationReason>),
}

impl ConfigurationTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a new configuration, counts it, and remembers the idempotency key: all or nothing.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn create(
        &self,
        configuration: &ExportConfiguration,
        idempotency: Option<IdempotentRequest<'_>>,
    ) -> Result<CreateAnswer, PortError> {
        let operation = "create configuration";
        let key = &configuration.key;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::write(configuration)))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", attribute::ID)
            .build();
        let mut writes = vec![
            TransactWriteItem::builder().put(built(operation, put)?).build(),
            TransactWriteItem::builder().update(self.count(operation, &key.tenant_id, 1)?).build(),
        ];
        if let Some(request) = idempotency {
            let record = self.idempotency_record(operation, key, request, configuration.created_at)?;
            writes.push(TransactWriteItem::builder().put(record).build());
        }

        let reasons = match self.transact(operation, writes).await? {
            Transaction::Done => return Ok(CreateAnswer::Created),
            Transaction::Cancelled(reasons) => reasons,
        };
        let is_refused = |index: usize| {
            reasons.get(index).and_then(CancellationReason::code).is_some_and(|code| code == CONDITION_FAILED)
        };
        // The key comes first: a request that was done is repeated even when the tenant has reached its limit since.
        match idempotency {
            Some(request) if is_refused(2) => self.repeated(&key.tenant_id, request).await,
            _ if is_refused(1) => Ok(CreateAnswer::LimitExceeded),
            _ => Err(PortError::internal(operation, format!("the id {key} is taken"))),
        }
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

    /// Enables or disables the configuration that was read as `current`. `None`: a person has changed or deleted it since.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn set_enabled(
        &self,
        current: &ExportConfiguration,
        enabled: bool,
        updated_by: &str,
        updated_at: Timestamp,
    ) -> Result<Option<ExportConfiguration>, PortError> {
        let operation = "enable or disable configuration";
        let schedule = if enabled { ", #schedule = :schedule" } else { " REMOVE #schedule" };
        let expression = format!("SET #enabled = :enabled, #version = :next, #by = :by, #at = :at{schedule}");
        let update = self
            .update_version(current)
            .update_expression(expression)
            .expression_attribute_names("#enabled", attribute::ENABLED)
            .expression_attribute_names("#by", attribute::UPDATED_BY)
            .expression_attribute_names("#at", attribute::UPDATED_AT)
            .expression_attribute_names("#schedule", attribute::SCHEDULE_PARTITION)
            .expression_attribute_values(":enabled", AttributeValue::Bool(enabled))
            .expression_attribute_values(":next", number(current.version.saturating_add(1)))
            .expression_attribute_values(":by", text(updated_by))
            .expression_attribute_values(":at", text(updated_at))
            .return_values(ReturnValue::AllNew);
        let update = if enabled {
            let partition = item::schedule_partition(current.interval, current.key.configuration_id);
            update.expression_attribute_values(":schedule", text(partition))
        } else {
            update
        };
        match update.send().await {
            Ok(answer) => item::read(answer.attributes().unwrap_or(&HashMap::new())).map(Some),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(port_error(operation, &error)),
        }
    }

    /// Deletes a configuration and counts it off. `false`: there is none.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete(&self, key: &ConfigurationKey) -> Result<bool, PortError> {
        let operation = "delete configuration";
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .condition_expression("attribute_exists(#id)")
            .expression_attribute_names("#id", attribute::ID)
            .build();
        let writes = vec![
            TransactWriteItem::builder().delete(built(operation, delete)?).build(),
            TransactWriteItem::builder().update(self.count(operation, &key.tenant_id, -1)?).build(),
        ];
        match self.transact(operation, writes).await? {
            Transaction::Done => Ok(true),
            Transaction::Cancelled(_) => Ok(false),
        }
    }

    /// Adds to the count of a tenant's configurations; up only below the limit.
    fn count(&self, operation: &'static str, tenant: &TenantId, step: i8) -> Result<Update, PortError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(USAGE))
            .update_expression("ADD #configurations :step")
            .expression_attribute_names("#configurations", attribute::CONFIGURATIONS)
            .expression_attribute_values(":step", number(step));
        let update = if step > 0 {
            update
                .condition_expression("attribute_not_exists(#configurations) OR #configurations < :limit")
                .expression_attribute_values(":limit", number(MAX_CONFIGURATIONS_PER_TENANT))
        } else {
            update
        };
        built(operation, update.build())
    }

    fn idempotency_record(
        &self,
        operation: &'static str,
        key: &ConfigurationKey,
        request: IdempotentRequest<'_>,
        now: Timestamp,
    ) -> Result<Put, PortError> {
        let put = Put::builder()
            .table_name(&self.table)
            .item(attribute::TENANT_ID, text(&key.tenant_id))
            .item(attribute::ID, text(idempotency_id(request.key)))
            .item(attribute::CONFIGURATION_ID, text(key.configuration_id))
            .item(attribute::CONTENT_HASH, text(Hex32(request.content_hash)))
            .item(attribute::EXPIRES_AT, number(now.saturating_add(IDEMPOTENCY_RETENTION).as_seconds()))
            // DynamoDB may leave an expired item for days.
            .condition_expression("attribute_not_exists(#id) OR #expiresAt <= :now")
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
            .expression_attribute_values(":now", number(now.as_seconds()))
            .build();
        built(operation, put)
    }

    /// What an idempotency key was used for before.
    async fn repeated(&self, tenant: &TenantId, request: IdempotentRequest<'_>) -> Result<CreateAnswer, PortError> {
        let operation = "read idempotency key";
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(idempotency_id(request.key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        // It was there a moment ago, and has expired since.
        let record = answer.item.ok_or_else(|| PortError::transient(operation, "the record is gone"))?;
        let attributes = Attributes(&record);
        let hash = attributes.required(attribute::CONTENT_HASH, |text| Some(text.to_owned()))?;
        let id = attributes.required(attribute::CONFIGURATION_ID, ConfigurationId::parse)?;
        let is_same = hash == Hex32(request.content_hash).to_string();
        Ok(if is_same { CreateAnswer::Repeated(id) } else { CreateAnswer::KeyReused })
    }

    /// Writes all or nothing. Where it meets another transaction on the same items, it is tried again.
    async fn transact(
        &self,
        operation: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Transaction, PortError> {
        let request: TransactWriteItemsFluentBuilder =
            self.client.transact_write_items().set_transact_items(Some(writes));
        let mut wait = TRANSACTION_WAIT;
        for _ in 0..MAX_TRANSACTION_ATTEMPTS {
            let Err(error) = request.clone().send().await else { return Ok(Transaction::Done) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(port_error(operation, &error));
            };
            let reasons = cancelled.cancellation_reasons();
            let codes = || reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != NO_REASON);
            if codes().any(|code| code == CONDITION_FAILED) {
                return Ok(Transaction::Cancelled(reasons.to_vec()));
            }
            if !codes().all(|code| TRANSIENT_CANCELLATIONS.contains(&code)) {
                return Err(PortError::internal(operation, codes().collect::<Vec<_>>().join(", ")));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(PortError::transient(operation, format!("{MAX_TRANSACTION_ATTEMPTS} attempts met other transactions")))
    }

    /// An update on the condition that nobody has changed the configuration since.
    fn update_version(&self, current: &ExportConfiguration) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(&current.key)))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_values(":version", number(current.version))
    }
}

/// The condition under which a run's report is stored. The texts sort like the times.
const RUN_IS_NEWS: &str = "attribute_exists(#id) AND (attribute_not_exists(#through) OR #through < :through OR (\
    #through = :through AND (attribute_not_exists(#lastExportAt) OR #lastExportAt < :endedAt) \
    AND (attribute_not_exists(#lastFailureAt) OR #lastFailureAt < :endedAt)))";

/// Reasons of a cancelled transaction:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
const NO_REASON: &str = "None";

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

    /// An outcome is dropped too if a later test's was stored already. It changes neither `version` nor `updatedAt`.
    async fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
    ) -> Result<(), PortError> {
        let mut set = vec!["#status = :status"];
        let mut remove = Vec::new();
        let mut condition = "#version = :version".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .expression_attribute_names("#version", attribute::VERSION)
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
        let expression = if report.succeeded {
            "SET #through = :through, #lastExportAt = :endedAt, #failures = :zero"
        } else {
            "SET #through = :through, #lastFailureAt = :endedAt, #failures = if_not_exists(#failures, :zero) + :one"
        };
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(key)))
            .update_expression(expression)
            .condition_expression(RUN_IS_NEWS)
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_names("#through", attribute::EXPORTED_THROUGH)
            .expression_attribute_names("#lastExportAt", attribute::LAST_EXPORT_AT)
            .expression_attribute_names("#lastFailureAt", attribute::LAST_FAILURE_AT)
            .expression_attribute_names("#failures", attribute::CONSECUTIVE_FAILURES)
            .expression_attribute_values(":through", text(report.exported_through))
            .expression_attribute_values(":endedAt", text(report.ended_at))
            .expression_attribute_values(":zero", number(0));
        if !report.succeeded {
            update = update.expression_attribute_values(":one", number(1));
        }
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                tracing::info!(tenant_id = %key.tenant_id, configuration_id = %key.configuration_id,
                    ended_at = %report.ended_at, succeeded = report.succeeded,
                    "a run's report was dropped: it or a later one is there, or the configuration was deleted");
                Ok(())
            }
            Err(error) => Err(port_error("store run", &error)),
        }
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

fn built<T>(operation: &'static str, request: Result<T, BuildError>) -> Result<T, PortError> {
    request.map_err(|error| PortError::internal(operation, error.to_string()))
}

/// Hashed, so that it fits the key of an item whatever it holds.
fn idempotency_id(key: &IdempotencyKey) -> String {
    format!("{IDEMPOTENCY_PREFIX}{}", Hex32(Sha256::digest(key.as_str()).into()))
}
