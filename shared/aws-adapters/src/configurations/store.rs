//! The configurations as runs and connection tests see them.

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::Connection,
    notice::gap::SignedGap,
    time::Timestamp,
};
use export_engine::ports::{ConfigurationStore, PortError, RunReport};

use super::{
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{json, number, text},
    write::{Write, WriteOutcome},
};

/// The condition under which the report of a run is stored. The texts sort like the times.
const RUN_IS_NEWS: &str = "attribute_exists(#id) AND (attribute_not_exists(#exportedThrough) \
    OR #exportedThrough < :exportedThrough OR (#exportedThrough = :exportedThrough \
    AND (attribute_not_exists(#lastExportAt) OR #lastExportAt < :endedAt) \
    AND (attribute_not_exists(#lastFailureAt) OR #lastFailureAt < :endedAt)))";

/// The condition for a report without a digest, so that only the times order the reports.
const FIRST_RUN_IS_NEWS: &str = "attribute_exists(#id) AND \
    (attribute_not_exists(#lastExportAt) OR #lastExportAt < :endedAt) \
    AND (attribute_not_exists(#lastFailureAt) OR #lastFailureAt < :endedAt)";

impl ConfigurationStore for ConfigurationTable {
    async fn load(&self, key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        let found = self.table.get("load configuration", item::key(key)).await?;
        Ok(found.as_ref().map(item::read).transpose()?)
    }

    /// An outcome also holds for later versions whose edits left destination and identity alone. It is dropped if the outcome
    /// of a later test was stored before. It changes neither `version` nor `updatedAt`.
    async fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        let checked_at = connection.checked_at().map(text);
        let error = connection.error().map(item::connection_error);
        let mut changes = Changes::default()
            .set(attribute::CONNECTION_STATUS, text(connection.status().name()))
            .set_or_remove(attribute::CONNECTION_CHECKED_AT, checked_at.clone())
            .set_or_remove(attribute::CONNECTION_ERROR, error);
        if let Some(user_arn) = user_arn {
            changes = changes.set(attribute::PRINCIPAL_ARN, text(user_arn));
        }
        let mut condition = "(#version = :version OR #connectionVersion <= :version)".to_owned();
        if checked_at.is_some() {
            // The texts sort like the times.
            condition.push_str(
                " AND (attribute_not_exists(#connectionCheckedAt) OR #connectionCheckedAt <= :connectionCheckedAt)",
            );
        }
        let condition = Expression::new(condition).with("version", number(version));
        match self.table.write("store connection", Write::update(item::key(key), changes).when(condition)).await? {
            WriteOutcome::Done(_) => {}
            WriteOutcome::Refused(_) => {
                tracing::info!(tenant = %key.tenant_id, configuration = %key.configuration_id, version,
                    "an outcome was dropped: the configuration was changed, deleted or tested later");
            }
        }
        Ok(())
    }

    /// Reports are ordered by how far the export got, and then by the end of the run. A report that comes late, or a second
    /// time because its response was lost, changes nothing: `exportedThrough` never goes back, and no failure is counted
    /// twice.
    async fn store_run(&self, key: &ConfigurationKey, report: &RunReport) -> Result<(), PortError> {
        let ended_at = || text(report.ended_at);
        let mut changes = Changes::default();
        if let Some(through) = report.exported_through {
            changes = changes.set(attribute::EXPORTED_THROUGH, text(through));
        }
        if report.has_exported {
            changes = changes.set(attribute::LAST_EXPORT_AT, ended_at());
        }
        changes = if report.has_failed {
            changes
                .set(attribute::LAST_FAILURE_AT, ended_at())
                .set_by("#consecutiveFailures = if_not_exists(#consecutiveFailures, :zero) + :one")
                .with("zero", number(0))
                .with("one", number(1))
        } else {
            changes.set(attribute::CONSECUTIVE_FAILURES, number(0))
        };
        let is_news = if report.exported_through.is_some() { RUN_IS_NEWS } else { FIRST_RUN_IS_NEWS };
        let is_news = Expression::new(is_news).with("endedAt", ended_at());
        match self.table.write("store run", Write::update(item::key(key), changes).when(is_news)).await? {
            WriteOutcome::Done(_) => {}
            WriteOutcome::Refused(_) => {
                tracing::info!(tenant = %key.tenant_id, configuration = %key.configuration_id,
                    ended_at = %report.ended_at, has_exported = report.has_exported, has_failed = report.has_failed,
                    "a run's report was dropped: it or a later one is there, or the configuration was deleted");
            }
        }
        Ok(())
    }

    async fn store_signed_gap(&self, key: &ConfigurationKey, gap: &SignedGap) -> Result<(), PortError> {
        let operation = "store signed gap";
        let changes = Changes::default()
            .set(attribute::SIGNED_GAP, json(operation, gap)?)
            .set(attribute::SIGNED_GAP_SEQUENCE, number(gap.sequence));
        // A run that has lost its lease may come late.
        let is_news = Expression::new(
            "attribute_exists(#id) AND (attribute_not_exists(#signedGapSequence) OR #signedGapSequence <= :signedGapSequence)",
        );
        if !self.table.write(operation, Write::update(item::key(key), changes).when(is_news)).await?.is_done() {
            tracing::info!(tenant = %key.tenant_id, configuration = %key.configuration_id, sequence = gap.sequence,
                "a signed gap was dropped: a later one is stored, or the configuration was deleted");
        }
        Ok(())
    }

    async fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        self.end_run_request(key, through).await
    }
}
