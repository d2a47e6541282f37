//! The standing of an export in an item.

use domain::{connection::ConnectionStatus, export_health::ExportStanding, interval::ExportInterval};

use super::item::{self, attribute};
use crate::dynamodb::item::{Attributes, Item, MalformedItem};

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
