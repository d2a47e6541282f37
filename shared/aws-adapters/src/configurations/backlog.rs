//! The backlog of a tenant that was counted last, kept for a short time so that it is counted seldom.

use std::{collections::BTreeMap, time::Duration};

use domain::{configuration::ConfigurationId, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::{
    dynamodb::{
        expression::Expression,
        item::{Attributes, Item, MalformedItem, extended, json, seconds, text},
        write::Write,
    },
    events::backlog::Backlog,
};

/// The item's ID. It sorts behind the IDs of all configurations.
pub(super) const UNEXPORTED: &str = "unexported";

/// The time that a count is kept. One of this age is no longer served.
const COUNT_LIFETIME: Duration = Duration::from_hours(1);

/// The backlogs of a tenant's configurations, counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedBacklog {
    pub counted_at: Timestamp,
    pub by_configuration: BTreeMap<ConfigurationId, Backlog>,
}

impl ConfigurationTable {
    /// Returns the last count. `None`: there is none, it is too old, or another version stored it in another form.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_backlog(&self, tenant: &TenantId, now: Timestamp) -> Result<Option<CountedBacklog>, PortError> {
        let found = self.table.get("load backlog", item::tenant_key(tenant, UNEXPORTED)).await?;
        let counted = found.as_ref().map(read).transpose().unwrap_or_else(|error| {
            tracing::warn!(%tenant, %error, "the last count can't be read; the next one replaces it");
            None
        });
        // DynamoDB may keep an expired item for days.
        Ok(counted.filter(|counted| now.saturating_since(counted.counted_at) < COUNT_LIFETIME))
    }

    /// Stores a count, unless a later one is there.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn store_backlog(&self, tenant: &TenantId, counted: &CountedBacklog) -> Result<(), PortError> {
        let operation = "store backlog";
        let counted_at = text(counted.counted_at);
        let stored = [
            (attribute::COUNTED_AT, counted_at.clone()),
            (attribute::BACKLOGS, json(operation, &counted.by_configuration)?),
            (attribute::EXPIRES_AT, seconds(counted.counted_at.saturating_add(COUNT_LIFETIME))),
        ];
        let put = Write::put(extended(item::tenant_key(tenant, UNEXPORTED), stored));
        // The texts sort like the times.
        let is_latest = Expression::new("attribute_not_exists(#countedAt) OR #countedAt <= :countedAt")
            .with("countedAt", counted_at);
        self.table.write(operation, put.when(is_latest)).await.map(drop)
    }
}

fn read(found: &Item) -> Result<CountedBacklog, MalformedItem> {
    let attributes = Attributes(found);
    Ok(CountedBacklog {
        counted_at: attributes.time(attribute::COUNTED_AT)?,
        by_configuration: attributes.json(attribute::BACKLOGS)?,
    })
}
