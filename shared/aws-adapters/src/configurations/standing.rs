//! The standings of exports. IAM permits the housekeeper to read these attributes and no others.

use domain::{
    configuration::ConfigurationKey, connection::ConnectionStatus, interval::ExportInterval, lag::ExportStanding,
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

    /// Leaves out configurations that were disabled after the index was read.
    async fn standings(&self, batch: &[ConfigurationKey]) -> Result<Vec<Result<ExportStanding, PortError>>, PortError> {
        let keys = batch.iter().map(item::key).collect();
        let items = self.table.get_batch("dynamodb:BatchGetItem (standings)", keys, Some(PROJECTION)).await?;
        let standings = items.iter().filter_map(|found| read_standing(found).transpose());
        Ok(standings.map(|standing| standing.map_err(PortError::from)).collect())
    }
}

/// Reads the standing of an item. `None`: the configuration is disabled.
fn read_standing(found: &Item) -> Result<Option<ExportStanding>, MalformedItem> {
    let attributes = Attributes(found);
    if !attributes.flag(attribute::ENABLED)? {
        return Ok(None);
    }
    let progress = item::read_progress(attributes)?;
    Ok(Some(ExportStanding {
        tenant_id: item::read_tenant_id(attributes)?,
        interval: attributes.required(attribute::INTERVAL, ExportInterval::parse)?,
        connection: attributes.required(attribute::CONNECTION_STATUS, ConnectionStatus::parse)?,
        connection_checked_at: attributes.optional_time(attribute::CONNECTION_CHECKED_AT)?,
        start_from: attributes.time(attribute::START_FROM)?,
        exported_through: progress.exported_through,
        consecutive_failures: progress.consecutive_failures,
        last_failure_at: progress.last_failure_at,
        created_at: attributes.time(attribute::CREATED_AT)?,
        updated_at: attributes.time(attribute::UPDATED_AT)?,
    }))
}
