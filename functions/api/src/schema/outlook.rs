//! What lies ahead of an export: when it next runs, and what waits for it.

use std::sync::Arc;

use async_graphql::Object;
use domain::configuration::ExportConfiguration;

/// Worked out when it is asked for.
pub struct ExportOutlook(Arc<ExportConfiguration>);

impl ExportOutlook {
    pub fn of(configuration: Arc<ExportConfiguration>) -> Self {
        Self(configuration)
    }
}

#[Object]
impl ExportOutlook {
    /// The external ID that the trust policy of the role has to require: the configuration's id.
    async fn external_id(&self) -> String {
        self.0.key.configuration_id.to_string()
    }
}
