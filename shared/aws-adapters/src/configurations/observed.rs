//! What the sweep observes of exports, and what it noticed. IAM permits the housekeeper to read these attributes and no others.

use domain::{
    configuration::ConfigurationKey,
    notice::state::{NoticeTransition, ObservedExport, StoredNoticeState},
};
use export_engine::ports::{NoticeRecords, ObservedExports, PortError, RecordOutcome};

use super::{
    item::{self, attribute},
    outbox,
    standing::read_standing,
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, MalformedItem, json, number, text},
    read,
    transaction::{Transaction, TransactionOutcome},
    write::{Write, WriteOutcome},
};

/// The names of `HousekeeperRole` in template.yaml: a request for another one is refused there.
const PROJECTION: &str = "#tenantId, #id, #version, #enabled, #interval, #connectionStatus, #connectionCheckedAt, \
    #connectionError, #startFrom, #exportedThrough, #consecutiveFailures, #lastFailureAt, #createdAt, #updatedAt, \
    #noticed, #signedGap, #secretStoredAt, #webhooks";

impl ObservedExports for ConfigurationTable {
    const MAX_BATCH: usize = read::MAX_READ_BATCH;

    async fn observe(&self, batch: &[ConfigurationKey]) -> Result<Vec<Result<ObservedExport, PortError>>, PortError> {
        let keys = batch.iter().map(item::key).collect();
        let found = self.table.get_batch("dynamodb:BatchGetItem (exports)", keys, Some(PROJECTION)).await?;
        Ok(found.each(|found| Ok(read_observed(found)?)))
    }
}

impl NoticeRecords for ConfigurationTable {
    async fn record(&self, export: &ObservedExport, transition: &NoticeTransition) -> Result<RecordOutcome, PortError> {
        let operation = "record notices";
        let changes = Changes::default().set(attribute::NOTICED, json(operation, &transition.next)?);
        // Another sweep may run at the same time, and people may edit: version and state are those that were observed.
        let condition = match &export.noticed {
            Some(noticed) => {
                Expression::new("#version = :version AND #noticed = :before").with("before", text(noticed.as_str()))
            }
            None => Expression::new("#version = :version AND attribute_not_exists(#noticed)"),
        };
        let condition = condition.with("version", number(export.version));
        let update = Write::update(item::key(&export.key), changes).when(condition);
        let is_refused = if transition.notices.is_empty() {
            matches!(self.table.write(operation, update).await?, WriteOutcome::Refused(_))
        } else {
            let queued = transition.notices.iter().map(|notice| outbox::write(notice, &export.webhooks));
            let mut transaction = Transaction::new(operation);
            for write in std::iter::once(Ok(update)).chain(queued) {
                transaction.push(write?.part(&self.table.name))?;
            }
            matches!(self.table.transact(transaction).await?, TransactionOutcome::Refused(_))
        };
        Ok(if is_refused { RecordOutcome::ChangedSince } else { RecordOutcome::Recorded })
    }
}

fn read_observed(found: &Item) -> Result<ObservedExport, MalformedItem> {
    let attributes = Attributes(found);
    Ok(ObservedExport {
        key: item::read_key(found)?,
        version: attributes.number(attribute::VERSION)?,
        standing: read_standing(found)?,
        connection_error: item::read_connection(attributes)?.error().cloned(),
        secret_stored_at: attributes.optional_time(attribute::SECRET_STORED_AT)?,
        signed_gap: attributes.optional_json(attribute::SIGNED_GAP)?,
        noticed: attributes.optional(attribute::NOTICED, StoredNoticeState::parse)?,
        webhooks: item::read_webhooks(attributes)?,
    })
}

#[cfg(test)]
mod tests {
    use domain::{configuration::test_support::with_role, export_health::ExportStanding};

    use super::*;

    #[test]
    fn an_observation_needs_the_projected_attributes_and_no_others() {
        let configuration = with_role();
        let mut stored = item::write(&configuration);
        stored.insert(attribute::NOTICED.to_owned(), text("{}"));
        let projected: Vec<&str> = PROJECTION.split(", ").map(|name| name.trim_start_matches('#')).collect();
        stored.retain(|name, _| projected.contains(&name.as_str()));
        let observed = read_observed(&stored).unwrap();
        assert_eq!((&observed.key, observed.version), (&configuration.key, configuration.version));
        assert_eq!(observed.standing, ExportStanding::from(&configuration));
        assert_eq!(observed.noticed, StoredNoticeState::parse("{}"));
        for secret in [attribute::SEALED_SECRET, attribute::ACCESS_KEY_ID, attribute::ROLE_ARN, attribute::BUCKET_NAME]
        {
            assert!(!projected.contains(&secret));
        }
    }
}
