//! Configurations for tests.

use std::sync::Mutex;

use aws_adapters::configurations::{ConfigurationOverview, OverviewPage, OverviewPosition};
use domain::{configuration::test_support::with_role, connection::Connection, tenant::TenantId, time::Timestamp};
use export_engine::ports::PortError;
use host::Clock;

use crate::{failure::Failure, ports::Overviews, stack::Stack};

/// A clock that stands still.
#[derive(Clone, Copy, Debug)]
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-11-28T12:00:00Z").unwrap()
    }
}

/// One page of configurations.
pub struct OnePage(pub Mutex<Vec<Result<ConfigurationOverview, PortError>>>);

impl OnePage {
    pub fn new(overviews: Vec<ConfigurationOverview>) -> Self {
        Self(Mutex::new(overviews.into_iter().map(Ok).collect()))
    }
}

impl Overviews for OnePage {
    async fn overviews(
        &self,
        _: &Stack,
        tenant: Option<&TenantId>,
        _: Option<OverviewPosition>,
    ) -> Result<OverviewPage, Failure> {
        let overviews = self.0.lock().unwrap();
        let is_wanted = |overview: &Result<ConfigurationOverview, _>| {
            tenant.is_none() || overview.as_ref().ok().map(|overview| &overview.key.tenant_id) == tenant
        };
        Ok(OverviewPage { overviews: overviews.iter().filter(|found| is_wanted(found)).cloned().collect(), next: None })
    }
}

/// A configuration of a tenant that has exported everything through a time of the day.
pub fn overview(tenant: &str, through: &str) -> ConfigurationOverview {
    let mut configuration = with_role();
    configuration.key.tenant_id = TenantId::parse(tenant).unwrap();
    let created = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
    configuration.created_at = created;
    configuration.updated_at = created;
    configuration.start_from = created;
    configuration.connection = Connection::Success { checked_at: Noon.now() };
    configuration.progress.exported_through = Some(Timestamp::parse(through).unwrap());
    ConfigurationOverview {
        key: configuration.key.clone(),
        bucket_name: configuration.destination.bucket_name.clone(),
        connection_error: None,
        last_export_at: Some(Noon.now()),
        standing: (&configuration).into(),
    }
}

pub fn failing(tenant: &str) -> ConfigurationOverview {
    let mut overview = overview(tenant, "2026-11-28T10:00:00Z");
    overview.standing.consecutive_failures = 3;
    overview
}
