//! Overviews of configurations for operators: never a secret, an identity or a description.

use domain::{
    configuration::{ConfigurationKey, bucket::BucketName},
    connection::ConnectionError,
    export_health::ExportStanding,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::{
    item::{self, BEHIND_IDS, attribute},
    standing::read_standing,
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::Expression,
    item::{Attributes, Item, MalformedItem, text},
    read::{Page, Query},
};

/// The attributes that are read. The operator program prints policies that permit no others.
pub const OVERVIEW_PROJECTION: &str = "#tenantId, #id, #enabled, #interval, #bucketName, #connectionStatus, \
    #connectionCheckedAt, #connectionError, #startFrom, #exportedThrough, #lastExportAt, #consecutiveFailures, \
    #lastFailureAt, #createdAt, #updatedAt";

/// A configuration, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationOverview {
    pub key: ConfigurationKey,
    pub bucket_name: BucketName,
    pub connection_error: Option<ConnectionError>,
    pub last_export_at: Option<Timestamp>,
    pub standing: ExportStanding,
}

/// The end of a page.
#[derive(Clone, Debug)]
pub struct OverviewPosition(Item);

/// A page of configurations. A configuration that can't be read is an error of its own.
#[derive(Debug)]
pub struct OverviewPage {
    pub overviews: Vec<Result<ConfigurationOverview, PortError>>,
    /// `None`: this is the last page.
    pub next: Option<OverviewPosition>,
}

impl ConfigurationTable {
    /// Returns the page after a position: of a tenant's configurations, or of the whole table.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn overview_page(
        &self,
        tenant: Option<&TenantId>,
        after: Option<OverviewPosition>,
    ) -> Result<OverviewPage, PortError> {
        let after = after.map(|OverviewPosition(key)| key);
        let is_configuration = |condition: &str| Expression::new(condition).with("behindIds", text(BEHIND_IDS));
        let Page { items, next } = if let Some(tenant) = tenant {
            let key = is_configuration("#tenantId = :tenant AND #id < :behindIds").with("tenant", text(tenant));
            self.table.page("dynamodb:Query (overviews)", &Query::new(key).project(OVERVIEW_PROJECTION), after).await?
        } else {
            let filter = is_configuration("#id < :behindIds");
            self.table.scan_page("dynamodb:Scan (overviews)", filter, OVERVIEW_PROJECTION, after).await?
        };
        let overviews = items.iter().map(|found| read(found).map_err(PortError::from)).collect();
        Ok(OverviewPage { overviews, next: next.map(OverviewPosition) })
    }
}

fn read(found: &Item) -> Result<ConfigurationOverview, MalformedItem> {
    let attributes = Attributes(found);
    Ok(ConfigurationOverview {
        key: item::read_key(found)?,
        bucket_name: attributes.required(attribute::BUCKET_NAME, |text| BucketName::parse(text).ok())?,
        connection_error: item::read_connection(attributes)?.error().cloned(),
        last_export_at: item::read_progress(attributes)?.last_export_at,
        standing: read_standing(found)?,
    })
}

#[cfg(test)]
mod tests {
    use domain::configuration::test_support::with_role;

    use super::*;

    #[test]
    fn an_overview_needs_the_projected_attributes_and_no_others() {
        let configuration = with_role();
        let mut stored = item::write(&configuration);
        let projected: Vec<&str> = OVERVIEW_PROJECTION.split(", ").map(|name| name.trim_start_matches('#')).collect();
        stored.retain(|name, _| projected.contains(&name.as_str()));
        let overview = read(&stored).unwrap();
        assert_eq!(overview.key, configuration.key);
        assert_eq!(overview.bucket_name, configuration.destination.bucket_name);
        assert_eq!(overview.standing, ExportStanding::from(&configuration));
    }
}
