//! How exports stand. IAM permits the housekeeper to read these attributes and no others.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    connection::ConnectionStatus,
    interval::ExportInterval,
    lag::ExportStanding,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{ExportStandings, PortError};

use super::{
    BEHIND_IDS, ConfigurationTable,
    item::{self, Attributes, Item, attribute, text},
};
use crate::error::port_error;

/// How often configurations are asked for that DynamoDB leaves unprocessed.
const MAX_BATCH_ATTEMPTS: usize = 3;

/// The names of `HousekeeperRole` in template.yaml: a request for another one is refused there.
const ATTRIBUTES: [&str; 12] = [
    attribute::TENANT_ID,
    attribute::ID,
    attribute::ENABLED,
    attribute::INTERVAL,
    attribute::CONNECTION_STATUS,
    attribute::CONNECTION_CHECKED_AT,
    attribute::START_FROM,
    attribute::EXPORTED_THROUGH,
    attribute::CONSECUTIVE_FAILURES,
    attribute::LAST_FAILURE_AT,
    attribute::CREATED_AT,
    attribute::UPDATED_AT,
];

impl ConfigurationTable {
    /// Returns what is there of the keys, with those attributes alone.
    pub(super) async fn read_batch(
        &self,
        operation: &'static str,
        keys: &[ConfigurationKey],
        attributes: &[&str],
    ) -> Result<Vec<Item>, PortError> {
        let projection: Vec<String> = attributes.iter().map(|name| format!("#{name}")).collect();
        let names = attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys.iter().map(item::key).collect()))
            .consistent_read(true)
            .projection_expression(projection.join(", "))
            .set_expression_attribute_names(Some(names))
            .build()
            .map_err(|error| PortError::internal(operation, error.to_string()))?;
        let mut asked = HashMap::from([(self.table.clone(), request)]);
        let mut found = Vec::new();
        for _ in 0..MAX_BATCH_ATTEMPTS {
            let answer = self.client.batch_get_item().set_request_items(Some(asked)).send().await;
            let answer = answer.map_err(|error| port_error(operation, &error))?;
            found.extend(answer.responses.into_iter().flat_map(HashMap::into_values).flatten());
            asked = answer.unprocessed_keys.unwrap_or_default();
            if asked.is_empty() {
                return Ok(found);
            }
        }
        Err(PortError::transient(operation, format!("keys were left unprocessed {MAX_BATCH_ATTEMPTS} times")))
    }
}

impl ExportStandings for ConfigurationTable {
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>.
    const MAX_BATCH: usize = 100;

    /// One that was disabled after the index was read is left out, too.
    async fn standings(&self, batch: &[ConfigurationKey]) -> Result<Vec<Result<ExportStanding, PortError>>, PortError> {
        let items = self.read_batch("dynamodb:BatchGetItem (standings)", batch, &ATTRIBUTES).await?;
        Ok(items.iter().filter_map(|found| read(found).transpose()).collect())
    }
}

/// `None`: the configuration is disabled.
fn read(found: &Item) -> Result<Option<ExportStanding>, PortError> {
    let attributes = Attributes(found);
    if !attributes.flag(attribute::ENABLED)? {
        return Ok(None);
    }
    let progress = attributes.progress()?;
    Ok(Some(ExportStanding {
        tenant_id: attributes.tenant_id()?,
        interval: attributes.required(attribute::INTERVAL, ExportInterval::parse)?,
        connection: attributes.required(attribute::CONNECTION_STATUS, ConnectionStatus::parse)?,
        connection_checked_at: attributes
            .optional(attribute::CONNECTION_CHECKED_AT, |text| Timestamp::parse(text).ok())?,
        start_from: attributes.timestamp(attribute::START_FROM)?,
        exported_through: progress.exported_through,
        consecutive_failures: progress.consecutive_failures,
        last_failure_at: progress.last_failure_at,
        created_at: attributes.timestamp(attribute::CREATED_AT)?,
        updated_at: attributes.timestamp(attribute::UPDATED_AT)?,
    }))
}

/// An item of a tenant's partition, by what an erasure has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantItem {
    Configuration {
        id: ConfigurationId,
        /// `None`: no run has ended yet.
        exported_through: Option<Timestamp>,
    },
    /// The record of an idempotency key, a count, or a tombstone.
    Other { id: String },
}

impl TenantItem {
    fn read(found: &Item) -> Result<Self, PortError> {
        let attributes = Attributes(found);
        let id = attributes.required(attribute::ID, |text| Some(text.to_owned()))?;
        Ok(match ConfigurationId::parse(&id) {
            Some(id) => Self::Configuration {
                id,
                exported_through: attributes
                    .optional(attribute::EXPORTED_THROUGH, |text| Timestamp::parse(text).ok())?,
            },
            None => Self::Other { id },
        })
    }

    fn id(&self) -> String {
        match self {
            Self::Configuration { id, .. } => id.to_string(),
            Self::Other { id } => id.clone(),
        }
    }
}

/// The items of a tenant's partition to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantItems {
    Configurations,
    All,
}

impl ConfigurationTable {
    /// Returns some items of a tenant, the first ones: they are deleted before more are asked for.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn first_items(&self, tenant: &TenantId, which: TenantItems) -> Result<Vec<TenantItem>, PortError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .select(aws_sdk_dynamodb::types::Select::SpecificAttributes)
            .projection_expression("#tenantId, #id, #exportedThrough")
            .expression_attribute_names("#tenantId", attribute::TENANT_ID)
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_names("#exportedThrough", attribute::EXPORTED_THROUGH)
            .expression_attribute_values(":tenant", text(tenant));
        query = match which {
            TenantItems::Configurations => query
                .key_condition_expression("#tenantId = :tenant AND #id < :behindIds")
                .expression_attribute_values(":behindIds", text(BEHIND_IDS)),
            TenantItems::All => query.key_condition_expression("#tenantId = :tenant"),
        };
        let page = query.send().await.map_err(|error| port_error("dynamodb:Query (tenant's items)", &error))?;
        page.items().iter().map(TenantItem::read).collect()
    }

    /// Deletes an item of a tenant, whatever it is.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete_item(&self, tenant: &TenantId, found: &TenantItem) -> Result<(), PortError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(found.id()));
        delete.send().await.map(drop).map_err(|error| port_error("dynamodb:DeleteItem (tenant's item)", &error))
    }
}
