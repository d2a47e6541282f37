//! The table of configurations.

use aws_sdk_dynamodb::Client;
use domain::{configuration::ExportConfiguration, tenant::TenantId};
use export_engine::ports::PortError;

use super::item::{self, BEHIND_IDS};
use crate::dynamodb::{expression::Expression, item::text, read::Query, table::Table};

/// The most configurations of one tenant.
pub const MAX_CONFIGURATIONS_PER_TENANT: u16 = 100;

/// The most pages of a list. [`MAX_CONFIGURATIONS_PER_TENANT`] items of at most 8 KB fill less than one page of 1 MB.
pub(super) const MAX_LIST_PAGES: usize = 4;

/// The table `ExportConfigurations`. Reads are strongly consistent, except for those of the index.
#[derive(Clone, Debug)]
pub struct ConfigurationTable {
    pub(super) table: Table,
}

impl ConfigurationTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table { client, name: table } }
    }

    /// Returns all configurations of a tenant, by ID.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<ExportConfiguration>, PortError> {
        let key = Expression::new("#tenantId = :tenant AND #id < :behindIds")
            .with("tenant", text(tenant))
            .with("behindIds", text(BEHIND_IDS));
        let items = self.table.all("list configurations", &Query::new(key), MAX_LIST_PAGES).await?;
        Ok(items.iter().map(item::read).collect::<Result<_, _>>()?)
    }
}
