//! The erasure of a tenant's items of the runs table, which a scan finds.

use domain::{
    block::BlockId,
    configuration::{ConfigurationId, ConfigurationKey},
    digest::DigestReference,
    erasure::ErasedConfiguration,
    tenant::TenantId,
};
use export_engine::ports::PortError;

use super::{
    item::{self, CORRUPT_SUFFIX, SHARES_SUFFIX, attribute, key},
    table::RunTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, text},
    read::Query,
    write::Write,
};

/// Concurrent deletions of items.
const MAX_CONCURRENT_DELETIONS: usize = 16;

/// The names of `HousekeeperRole` in template.yaml.
const PROJECTION: &str = "#run, #item, #nextBlock, #chainHead";

/// The key of an item of the runs table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunItemKey {
    pub run: String,
    pub item: String,
}

/// A page of a tenant's items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantRunPage {
    pub items: Vec<RunItemKey>,
    /// The heads of the exports with a state among the items.
    pub exports: Vec<ErasedConfiguration>,
    /// The start of the next page; `None`: this is the last page.
    pub next: Option<RunItemKey>,
}

/// Returns whether a partition is one of the tenant's: a configuration's, its shares or its corrupt blocks. The partition of
/// a Region's circuit has the same beginning if a tenant is called `region`.
fn is_of_tenant(tenant: &TenantId, run: &str) -> bool {
    let suffix = run.strip_prefix(tenant.as_str());
    suffix.is_some_and(|suffix| {
        [SHARES_SUFFIX, CORRUPT_SUFFIX].contains(&suffix)
            || suffix.strip_prefix('#').and_then(ConfigurationId::parse).is_some()
    })
}

impl RunItemKey {
    fn state(configuration: &ConfigurationKey) -> Self {
        Self { run: configuration.to_string(), item: item::STATE.to_owned() }
    }

    fn read(found: &Item) -> Result<Self, MalformedItem> {
        let attributes = Attributes(found);
        Ok(Self { run: attributes.text(attribute::RUN)?, item: attributes.text(attribute::ITEM)? })
    }

    fn to_item(&self) -> Item {
        key(&self.run, &self.item)
    }
}

/// Returns the head of an export; `None`: the item is no state.
fn read_export(found: &RunItemKey, item: &Item) -> Option<ErasedConfiguration> {
    let configuration_id = found.run.split_once('#').and_then(|(_, id)| ConfigurationId::parse(id))?;
    if found.item != item::STATE {
        return None;
    }
    // Malformed attributes are left out: the item is erased all the same.
    let attributes = Attributes(item);
    let head = attributes.json::<DigestReference>(attribute::CHAIN_HEAD).ok();
    Some(ErasedConfiguration {
        configuration_id,
        exported_through: item::read_block(attributes, attribute::NEXT_BLOCK).ok().map(BlockId::timestamp),
        head_digest: head.map(|head| head.sha256),
    })
}

impl TenantRunPage {
    fn of(items: &[Item], is_included: impl Fn(&RunItemKey) -> bool) -> Result<Self, MalformedItem> {
        let mut page = Self::default();
        for item in items {
            let key = RunItemKey::read(item)?;
            if is_included(&key) {
                page.exports.extend(read_export(&key, item));
                page.items.push(key);
            }
        }
        Ok(page)
    }
}

impl RunTable {
    /// Reads one page of the table for items of the tenant. The table is read as a whole: partitions can't be listed by
    /// prefix.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn scan_tenant(&self, tenant: &TenantId, after: Option<&RunItemKey>) -> Result<TenantRunPage, PortError> {
        let filter = Expression::new("begins_with(#run, :prefix)").with("prefix", text(format_args!("{tenant}#")));
        let after = after.map(RunItemKey::to_item);
        let page = self.table.scan_page("dynamodb:Scan (tenant's runs)", filter, PROJECTION, after).await?;
        let found = TenantRunPage::of(&page.items, |key| is_of_tenant(tenant, &key.run))?;
        Ok(TenantRunPage { next: page.next.as_ref().map(RunItemKey::read).transpose()?, ..found })
    }

    /// Reads the first items of a configuration's runs. The caller deletes them before it reads more.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn first_items(&self, configuration: &ConfigurationKey) -> Result<TenantRunPage, PortError> {
        let key = Expression::new("#run = :run").with("run", text(configuration));
        let query = Query::new(key).project(PROJECTION);
        let page = self.table.page("dynamodb:Query (runs to erase)", &query, None).await?;
        Ok(TenantRunPage::of(&page.items, |_| true)?)
    }

    /// Returns the head of an export; `None`: no run has started.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn export_head(
        &self,
        configuration: &ConfigurationKey,
    ) -> Result<Option<ErasedConfiguration>, PortError> {
        let state = RunItemKey::state(configuration);
        let found = self.table.get("dynamodb:GetItem (state to erase)", state.to_item()).await?;
        Ok(found.and_then(|found| read_export(&state, &found)))
    }

    /// Deletes the state of an export. From then on, every write of a run that is under way is refused.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn delete_state(&self, configuration: &ConfigurationKey) -> Result<(), PortError> {
        self.delete_all(&[RunItemKey::state(configuration)]).await
    }

    /// Deletes items. Items that are gone already are no error.
    ///
    /// # Errors
    /// Transient or internal; some may be deleted then.
    pub async fn delete_all(&self, items: &[RunItemKey]) -> Result<(), PortError> {
        let deletions = items.iter().map(|item| Write::delete(item.to_item()));
        self.table.write_each("dynamodb:DeleteItem (run)", MAX_CONCURRENT_DELETIONS, deletions).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_s_partitions_are_its_own() {
        let tenant = TenantId::parse("acme").unwrap();
        let id = "01010101-0101-0101-0101-010101010101";
        for own in [format!("acme#{id}"), "acme#shares".to_owned(), "acme#corrupt".to_owned()] {
            assert!(is_of_tenant(&tenant, &own), "{own}");
        }
        for other in [
            format!("acme2#{id}"),
            format!("other#{id}"),
            "retention".to_owned(),
            "#erasure#acme".to_owned(),
            "acme#eu-west-1".to_owned(),
            "acme".to_owned(),
        ] {
            assert!(!is_of_tenant(&tenant, &other), "{other}");
        }
    }
}
