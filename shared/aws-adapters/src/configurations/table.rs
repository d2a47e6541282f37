//! The table of configurations.

use aws_sdk_dynamodb::Client;
use domain::{
    configuration::ExportConfiguration,
    event_filter::MAX_FILTER_LENGTH,
    ocsf::{MAX_RULE_LENGTH, MAX_RULES},
    tenant::TenantId,
    webhook::{MAX_WEBHOOKS, url::MAX_WEBHOOK_URL_LENGTH},
};
use export_engine::ports::PortError;

use super::item::{self, BEHIND_IDS};
use crate::dynamodb::{expression::Expression, item::text, read::Query, table::Table};

/// The most configurations of one tenant.
pub const MAX_CONFIGURATIONS_PER_TENANT: u16 = 100;

/// The most bytes of a webhook: its URL, its sealed secret and the names of both.
const MAX_WEBHOOK_LENGTH: usize = MAX_WEBHOOK_URL_LENGTH + 1_024;

/// The most bytes of a configuration's item: its rules, filter and webhooks, and 12 KiB for everything else.
const MAX_ITEM_LENGTH: usize =
    MAX_RULES * MAX_RULE_LENGTH + MAX_FILTER_LENGTH + MAX_WEBHOOKS * MAX_WEBHOOK_LENGTH + 12 * 1_024;
const _: () = assert!(MAX_ITEM_LENGTH < 400_000, "a configuration would not fit into an item");

/// The bytes that a page has before another item would exceed it:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html>.
const PAGE_LENGTH: usize = 1_000_000;

/// The most pages of a list: those of [`MAX_CONFIGURATIONS_PER_TENANT`] items of the largest kind, and an empty one at the end.
pub(super) const MAX_LIST_PAGES: usize =
    (MAX_CONFIGURATIONS_PER_TENANT as usize).div_ceil(PAGE_LENGTH / MAX_ITEM_LENGTH) + 1;

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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use domain::configuration::test_support::largest;

    use super::*;
    use crate::{configurations::item::attribute, dynamodb::item::Item};

    /// Returns the size of an item:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
    fn length(item: &Item) -> usize {
        fn of_value(value: &AttributeValue) -> usize {
            match value {
                AttributeValue::S(text) => text.len(),
                AttributeValue::B(bytes) => bytes.as_ref().len(),
                AttributeValue::N(_) => 21,
                AttributeValue::L(values) => 3 + values.iter().map(|value| of_value(value) + 1).sum::<usize>(),
                AttributeValue::M(values) => 3 + length(values) + values.len(),
                _ => 1,
            }
        }
        item.iter().map(|(name, value)| name.len() + of_value(value)).sum()
    }

    #[test]
    fn no_configuration_is_larger_than_the_pages_of_a_list_allow_for() {
        let mut item = item::write(&largest());
        // What runs, tests and the sweep add.
        let added = [attribute::CONNECTION_TEST, attribute::NOTICED, attribute::SIGNED_GAP, attribute::PRINCIPAL_ARN];
        item.extend(added.map(|name| (name.to_owned(), text("x".repeat(700)))));
        let length = length(&item);
        assert!(length <= MAX_ITEM_LENGTH, "{length} of {MAX_ITEM_LENGTH}");
        // The bound of a rule has room for names of classes and activities that don't exist yet.
        assert!(length * 5 > MAX_ITEM_LENGTH * 4, "{length} of {MAX_ITEM_LENGTH}");
    }
}
