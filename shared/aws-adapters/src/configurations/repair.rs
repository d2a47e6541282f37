//! The last repair of each configuration. Its revision fences out processes that work on an earlier state of it.

use domain::{
    configuration::{
        ConfigurationKey, ExportConfiguration,
        change::{Author, Change, Stamp},
    },
    repair::Repair,
    time::Timestamp,
};
use export_engine::ports::{PortError, RepairStore};

use super::{
    editor::{ConfigurationEditor, event_collided},
    item::{self, attribute},
    table::ConfigurationTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, extended, json, number, seconds, text},
    table::Table,
    transaction::{Transaction, TransactionOutcome},
    write::{Write, WriteOutcome, check},
};

/// Precedes the configuration in the ID of its repair. It sorts behind every UUID.
const PREFIX: &str = "repair#";

/// The outcome of requesting a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairRequestOutcome {
    /// It is stored: send its message.
    Requested,
    /// Another one has not ended.
    InProgress,
    /// The configuration was deleted.
    NotFound,
}

impl RepairStore for ConfigurationTable {
    async fn load_repair(&self, key: &ConfigurationKey) -> Result<Option<Repair>, PortError> {
        load(&self.table, key).await
    }

    async fn store_repair(&self, key: &ConfigurationKey, repair: &Repair) -> Result<(), PortError> {
        let operation = "store repair";
        let changes = Changes::default()
            .set(attribute::REPAIR, json(operation, repair)?)
            .set(attribute::REVISION, number(repair.revision))
            .set_or_remove(attribute::UNFINISHED_UNTIL, repair.unfinished_until().map(seconds));
        let is_next = Expression::new("#repairId = :repairId AND #revision = :read")
            .with("repairId", text(repair.id))
            .with("read", number(repair.revision.saturating_sub(1)));
        match self.table.write(operation, Write::update(repair_key(key), changes).when(is_next)).await? {
            WriteOutcome::Done(_) => Ok(()),
            WriteOutcome::Refused(_) => {
                Err(PortError::fenced(operation, "another process has gone on with the repair"))
            }
        }
    }
}

impl ConfigurationEditor {
    /// Returns the last repair that was requested. `None`: none, or it has expired.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn last_repair(&self, key: &ConfigurationKey) -> Result<Option<Repair>, PortError> {
        load(&self.table, key).await
    }

    /// Stores a new repair and its event, unless another one has not ended. It expires at `expires_at`.
    ///
    /// # Errors
    /// As [`ConfigurationEditor::create`].
    pub async fn request_repair(
        &self,
        configuration: &ExportConfiguration,
        repair: &Repair,
        expires_at: Timestamp,
        author: &Author,
        stamp: Stamp,
    ) -> Result<RepairRequestOutcome, PortError> {
        let operation = "request repair";
        let key = &configuration.key;
        let mut stored = vec![
            (attribute::REPAIR, json(operation, repair)?),
            (attribute::REPAIR_ID, text(repair.id)),
            (attribute::REVISION, number(repair.revision)),
            (attribute::EXPIRES_AT, seconds(expires_at)),
        ];
        stored.extend(repair.unfinished_until().map(|until| (attribute::UNFINISHED_UNTIL, seconds(until))));
        let is_free = Expression::new("attribute_not_exists(#unfinishedUntil) OR #unfinishedUntil < :now")
            .with("now", seconds(stamp.at));
        let put = Write::put(extended(repair_key(key), stored)).when(is_free);
        let exists = Expression::new("attribute_exists(#id)");
        let mut transaction = Transaction::new(operation);
        let put = transaction.push(put.part(&self.table.name))?;
        let exists = transaction.push(check(&self.table.name, item::key(key), exists))?;
        transaction.push(self.event(operation, Change::Repair { configuration, repair }, author, stamp)?)?;
        match self.transact(transaction, stamp).await? {
            TransactionOutcome::Done => Ok(RepairRequestOutcome::Requested),
            TransactionOutcome::Refused(cancellation) if cancellation.is_refused(exists) => {
                Ok(RepairRequestOutcome::NotFound)
            }
            TransactionOutcome::Refused(cancellation) if cancellation.is_refused(put) => {
                Ok(RepairRequestOutcome::InProgress)
            }
            TransactionOutcome::Refused(_) => Err(event_collided(operation)),
        }
    }

    /// Removes a repair whose message could not be sent, unless a process has claimed it: the message may have been sent.
    ///
    /// # Errors
    /// Transient or internal.
    pub async fn withdraw_repair(&self, key: &ConfigurationKey, repair: &Repair) -> Result<(), PortError> {
        let is_unclaimed = Expression::new("#repairId = :repairId AND #revision = :read")
            .with("repairId", text(repair.id))
            .with("read", number(repair.revision));
        self.table.write("withdraw repair", Write::delete(repair_key(key)).when(is_unclaimed)).await.map(drop)
    }
}

fn repair_key(key: &ConfigurationKey) -> Item {
    item::tenant_key(&key.tenant_id, &format!("{PREFIX}{}", key.configuration_id))
}

async fn load(table: &Table, key: &ConfigurationKey) -> Result<Option<Repair>, PortError> {
    let found = table.get("load repair", repair_key(key)).await?;
    Ok(found.map(|found| Attributes(&found).json(attribute::REPAIR)).transpose()?)
}
