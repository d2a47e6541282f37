//! The standings of exports. IAM permits the housekeeper to read these attributes and no others.

use domain::{
    configuration::ConfigurationKey, connection::ConnectionStatus, export_health::ExportStanding,
    interval::ExportInterval,
};
use export_engine::ports::{ExportStandings, PortError};

use super::{
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    item::{Attributes, Item, MalformedItem},
    read,
};

/// The names of `HousekeeperRole` in template.yaml: a request for another one is refused there.
const PROJECTION: &str = "#tenantId, #id, #enabled, #interval, #connectionStatus, #connectionCheckedAt, #startFrom, \
    #exportedThrough, #consecutiveFailures, #lastFailureAt, #createdAt, #updatedAt";

impl ExportStandings for ConfigurationTable {
    const MAX_BATCH: usize = read::MAX_BATCH;

    async fn standings(&self, batch: &[ConfigurationKey]) -> Result<Vec<Result<ExportStanding, PortError>>, PortError> {
        let keys = batch.iter().map(item::key).collect();
        let items = self.table.get_batch("dynamodb:BatchGetItem (standings)", keys, Some(PROJECTION)).await?;
        Ok(items.iter().map(|found| read_standing(found).map_err(PortError::from)).collect())
    }
}

/// Reads the standing of an item.
pub(super) fn read_standing(found: &Item) -> Result<ExportStanding, MalformedItem> {
    let attributes = Attributes(found);
    let progress = item::read_progress(attributes)?;
    Ok(ExportStanding {
        tenant_id: item::read_tenant_id(attributes)?,
        enabled: attributes.flag(attribute::ENABLED)?,
        interval: attributes.required(attribute::INTERVAL, ExportInterval::parse)?,
        connection: attributes.required(attribute::CONNECTION_STATUS, ConnectionStatus::parse)?,
        connection_checked_at: attributes.optional_time(attribute::CONNECTION_CHECKED_AT)?,
        start_from: attributes.time(attribute::START_FROM)?,
        exported_through: progress.exported_through,
        consecutive_failures: progress.consecutive_failures,
        last_failure_at: progress.last_failure_at,
        created_at: attributes.time(attribute::CREATED_AT)?,
        updated_at: attributes.time(attribute::UPDATED_AT)?,
    })
}
