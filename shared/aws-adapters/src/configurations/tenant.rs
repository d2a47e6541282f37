//! The items of a tenant, as an erasure finds and deletes them.

use domain::{configuration::ConfigurationId, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;

use super::{
    item::{self, BEHIND_IDS, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, text},
    read::Query,
};

/// An item of a tenant's partition, with the attributes that an erasure needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantItem {
    Configuration {
        id: ConfigurationId,
        /// `None`: no run has ended yet.
        exported_through: Option<Timestamp>,
    },
    /// The record of an idempotency key, a count, a repair, a replay, a queued notice, or a tombstone.
    Other { id: String },
}

impl TenantItem {
    fn read(found: &Item) -> Result<Self, MalformedItem> {
        let attributes = Attributes(found);
        let id = attributes.text(attribute::ID)?;
        Ok(match ConfigurationId::parse(&id) {
            Some(id) => {
                Self::Configuration { id, exported_through: attributes.optional_time(attribute::EXPORTED_THROUGH)? }
            }
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
    /// Returns the first items of a tenant. The caller deletes them before it reads more.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn first_items(&self, tenant: &TenantId, items: TenantItems) -> Result<Vec<TenantItem>, PortError> {
        let key = match items {
            TenantItems::Configurations => {
                Expression::new("#tenantId = :tenant AND #id < :behindIds").with("behindIds", text(BEHIND_IDS))
            }
            TenantItems::All => Expression::new("#tenantId = :tenant"),
        };
        let query = Query::new(key.with("tenant", text(tenant))).project("#tenantId, #id, #exportedThrough");
        let page = self.table.page("dynamodb:Query (tenant's items)", &query, None).await?;
        Ok(page.items.iter().map(TenantItem::read).collect::<Result<_, _>>()?)
    }

    /// Deletes an item of a tenant.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete_item(&self, tenant: &TenantId, found: &TenantItem) -> Result<(), PortError> {
        self.table.delete("dynamodb:DeleteItem (tenant's item)", item::tenant_key(tenant, &found.id())).await
    }
}
