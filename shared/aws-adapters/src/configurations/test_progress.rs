//! The progress of the last connection test of each configuration, in attributes of its item. So it ends with the configuration.

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration},
    connection_test::progress::ConnectionTestProgress,
};
use export_engine::ports::{PortError, TestProgressStore};

use super::{
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, json, number, text},
    write::Write,
};

/// The condition under which progress is stored. The texts sort like the times.
const IS_NEWS: &str = "attribute_exists(#id) AND (attribute_not_exists(#testStartedAt) \
    OR #testStartedAt < :testStartedAt \
    OR (#testStartedAt = :testStartedAt AND #testRevision < :testRevision))";

impl TestProgressStore for ConfigurationTable {
    async fn store_progress(&self, key: &ConfigurationKey, progress: &ConnectionTestProgress) -> Result<(), PortError> {
        let operation = "store test progress";
        let changes = Changes::default()
            .set(attribute::CONNECTION_TEST, json(operation, progress)?)
            .set(attribute::TEST_STARTED_AT, text(progress.started_at()))
            .set(attribute::TEST_REVISION, number(progress.revision()));
        let write = Write::update(item::key(key), changes).when(Expression::new(IS_NEWS));
        // Nobody misses progress of a configuration that was deleted, or of an earlier test.
        self.table.write(operation, write).await.map(drop)
    }
}

impl ConfigurationTable {
    /// Returns a configuration with the progress of its last test, as of the same moment. No progress: none was stored, or another
    /// version stored it in another form. `None`: there is no configuration under this key.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn load_with_progress(
        &self,
        key: &ConfigurationKey,
    ) -> Result<Option<(ExportConfiguration, Option<ConnectionTestProgress>)>, PortError> {
        let Some(found) = self.table.get("load configuration", item::key(key)).await? else { return Ok(None) };
        let progress = Attributes(&found).optional_json(attribute::CONNECTION_TEST).unwrap_or_else(|error| {
            tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id, %error,
                "the progress of a test can't be read; that of the next one replaces it");
            None
        });
        Ok(Some((item::read(&found)?, progress)))
    }
}
