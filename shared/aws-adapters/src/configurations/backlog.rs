//! What was last counted of a tenant's backlog, kept for a short time so that it is counted seldom.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::{configuration::ConfigurationId, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    ConfigurationTable,
    item::{Attributes, Item, attribute, number, text},
};
use crate::{error::port_error, events::backlog::Backlog};

/// The item's id. Like that of every item that is no configuration, it sorts behind the ids of all configurations.
pub(super) const UNEXPORTED: &str = "unexported";

/// How long a count is kept. One that is this old is served no more.
const RETENTION: Duration = Duration::from_hours(1);

/// The backlogs of a tenant's configurations as they were counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedBacklog {
    pub counted_at: Timestamp,
    pub by_configuration: BTreeMap<ConfigurationId, Backlog>,
}

impl ConfigurationTable {
    /// Returns what was last counted. `None`: nothing, too long ago, or by a version that stores it in another form.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_backlog(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<CountedBacklog>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(UNEXPORTED))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("load backlog", &error))?;
        let counted = answer.item().map(read).transpose().unwrap_or_else(|error| {
            tracing::warn!(tenant_id = %tenant, %error, "what was counted can't be read; the next count replaces it");
            None
        });
        // DynamoDB may leave an expired item for days.
        Ok(counted.filter(|counted| now.saturating_since(counted.counted_at) < RETENTION))
    }

    /// Stores what was counted, unless a later count is there.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn store_backlog(&self, tenant: &TenantId, counted: &CountedBacklog) -> Result<(), PortError> {
        let operation = "store backlog";
        let backlogs = serde_json::to_string(&counted.by_configuration)
            .map_err(|error| PortError::internal(operation, error.to_string()))?;
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(attribute::TENANT_ID, text(tenant))
            .item(attribute::ID, text(UNEXPORTED))
            .item(attribute::COUNTED_AT, text(counted.counted_at))
            .item(attribute::BACKLOGS, text(backlogs))
            .item(attribute::EXPIRES_AT, number(counted.counted_at.saturating_add(RETENTION).as_seconds()))
            // The texts sort like the times.
            .condition_expression("attribute_not_exists(#countedAt) OR #countedAt <= :countedAt")
            .expression_attribute_names("#countedAt", attribute::COUNTED_AT)
            .expression_attribute_values(":countedAt", text(counted.counted_at))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(())
            }
            Err(error) => Err(port_error(operation, &error)),
        }
    }
}

fn read(found: &Item) -> Result<CountedBacklog, PortError> {
    let attributes = Attributes(found);
    Ok(CountedBacklog {
        counted_at: attributes.required(attribute::COUNTED_AT, |text| Timestamp::parse(text).ok())?,
        by_configuration: attributes.required(attribute::BACKLOGS, |text| serde_json::from_str(text).ok())?,
    })
}
