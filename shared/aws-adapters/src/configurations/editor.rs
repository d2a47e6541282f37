//! What persons change. Each change is one transaction with the audit event that tells of it.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::{TransactWriteItemsError, builders::TransactWriteItemsFluentBuilder},
    types::{CancellationReason, Delete, Put, TransactWriteItem, Update},
};
use aws_smithy_types::error::operation::BuildError;
use domain::{
    configuration::{
        ConfigurationId, ConfigurationKey, ExportConfiguration,
        change::{Author, Change, Stamp},
        input::IdempotencyKey,
    },
    digest::Hex32,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;
use sha2::{Digest, Sha256};

use super::{
    IDEMPOTENCY_PREFIX, MAX_CONFIGURATIONS_PER_TENANT, USAGE,
    item::{self, Attributes, attribute, number, text},
    tombstone::Tombstone,
};
use crate::{
    error::{TRANSIENT_CANCELLATIONS, port_error},
    events::writer::{EventTable, StampGuard},
};

/// How long an idempotency key is remembered after it was first used.
pub const IDEMPOTENCY_RETENTION: Duration = Duration::from_hours(24);

/// How often a transaction is tried that meets another one on the same items.
pub const MAX_TRANSACTION_ATTEMPTS: u32 = 4;

/// The wait after the first of them; it doubles.
const TRANSACTION_WAIT: Duration = Duration::from_millis(40);

/// Attributes that say what is known of a connection. Tests store them at any time, so they are touched only where the
/// connection is another one; then all of them are.
const OF_CONNECTION: [&str; 4] = [
    attribute::CONNECTION_STATUS,
    attribute::CONNECTION_CHECKED_AT,
    attribute::CONNECTION_ERROR,
    attribute::PRINCIPAL_ARN,
];

/// Reasons of a cancelled transaction:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
const NO_REASON: &str = "None";

/// Changes configurations, and puts the event of each change beside the tenant's other audit events.
#[derive(Clone, Debug)]
pub struct ConfigurationEditor {
    client: Client,
    table: String,
    events: EventTable,
}

/// A caller's idempotency key, and a hash of what was asked for under it.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest<'a> {
    pub key: &'a IdempotencyKey,
    /// SHA-256; it must not depend on a secret, since it could be used to guess it.
    pub content_hash: [u8; 32],
}

/// What became of creating a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateAnswer {
    Created,
    /// The same was asked for under the same key before, and made this one.
    Repeated(ConfigurationId),
    /// Something else was asked for under the same key before.
    KeyReused,
    /// The tenant has [`MAX_CONFIGURATIONS_PER_TENANT`].
    LimitExceeded,
}

/// What became of changing a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditAnswer {
    Done,
    /// A person has changed or deleted it since it was read.
    ChangedSince,
}

/// What became of a transaction.
enum Transaction {
    Done,
    /// One code per item: `None` for those that stood in nobody's way, `ConditionalCheckFailed` for the others.
    Cancelled(Vec<CancellationReason>),
}

impl ConfigurationEditor {
    /// Takes over `client`'s endpoint, credentials and time-outs, but not its correction of the clock's skew: no block may
    /// be signed for with another time than the one that it is stamped with.
    #[must_use]
    pub fn new(client: &Client, table: String, events: EventTable) -> Self {
        let configuration = client.config().to_builder().disable_clock_skew_correction(true).build();
        Self { client: Client::from_conf(configuration), table, events }
    }

    /// Stores a new configuration and its event, counts it, and remembers the idempotency key: all or nothing.
    ///
    /// # Errors
    /// Transient or internal. After a transient one it may have been done.
    pub async fn create(
        &self,
        configuration: &ExportConfiguration,
        idempotency: Option<IdempotentRequest<'_>>,
        author: &Author,
        stamp: Stamp,
    ) -> Result<CreateAnswer, PortError> {
        let operation = "create configuration";
        let key = &configuration.key;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::write(configuration)))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", attribute::ID)
            .build();
        let mut writes = vec![
            TransactWriteItem::builder().put(built(operation, put)?).build(),
            TransactWriteItem::builder().update(self.count(operation, &key.tenant_id, 1)?).build(),
            self.event(operation, Change::Create(configuration), author, stamp)?,
        ];
        if let Some(request) = idempotency {
            let record = self.idempotency_record(operation, key, request, configuration.created_at)?;
            writes.push(TransactWriteItem::builder().put(record).build());
        }

        let reasons = match self.transact(operation, writes, stamp).await? {
            Transaction::Done => return Ok(CreateAnswer::Created),
            Transaction::Cancelled(reasons) => reasons,
        };
        // The key comes first: a request that was done is repeated even when the tenant has reached its limit since.
        match idempotency {
            Some(request) if is_refused(&reasons, 3) => self.repeated(&key.tenant_id, request).await,
            _ if is_refused(&reasons, 1) => Ok(CreateAnswer::LimitExceeded),
            _ if is_refused(&reasons, 0) => Err(PortError::internal(operation, format!("the id {key} is taken"))),
            _ => Err(event_collided(operation)),
        }
    }

    /// Makes `after` of the configuration that was read as `before`. Only what differs is written: what runs and tests
    /// have stored meanwhile stays.
    ///
    /// # Errors
    /// As [`ConfigurationEditor::create`].
    pub async fn update(
        &self,
        before: &ExportConfiguration,
        after: &ExportConfiguration,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditAnswer, PortError> {
        let operation = "update configuration";
        let update = built(operation, self.difference(before, after).build())?;
        let writes = vec![
            TransactWriteItem::builder().update(update).build(),
            self.event(operation, Change::Update { before, after }, author, stamp)?,
        ];
        self.edit(operation, writes, stamp).await
    }

    /// Deletes the configuration that was read as `current`, counts it off, and leaves a tombstone, by which the housekeeper
    /// finds the items of its runs.
    ///
    /// # Errors
    /// As [`ConfigurationEditor::create`].
    pub async fn delete(
        &self,
        current: &ExportConfiguration,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditAnswer, PortError> {
        let operation = "delete configuration";
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(&current.key)))
            .condition_expression("#version = :read")
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_values(":read", number(current.version))
            .build();
        let tombstone = Tombstone { key: current.key.clone(), deleted_at: stamp.at };
        let writes = vec![
            TransactWriteItem::builder().delete(built(operation, delete)?).build(),
            self.event(operation, Change::Delete(current), author, stamp)?,
            TransactWriteItem::builder().update(self.count(operation, &current.key.tenant_id, -1)?).build(),
            TransactWriteItem::builder().put(built(operation, tombstone.put(&self.table))?).build(),
        ];
        self.edit(operation, writes, stamp).await
    }

    /// The first of the writes is the one of the configuration.
    async fn edit(
        &self,
        operation: &'static str,
        writes: Vec<TransactWriteItem>,
        stamp: Stamp,
    ) -> Result<EditAnswer, PortError> {
        match self.transact(operation, writes, stamp).await? {
            Transaction::Done => Ok(EditAnswer::Done),
            Transaction::Cancelled(reasons) if is_refused(&reasons, 0) => Ok(EditAnswer::ChangedSince),
            Transaction::Cancelled(_) => Err(event_collided(operation)),
        }
    }

    /// Sets the attributes that differ and removes those that are no more, if nobody has changed the configuration since.
    fn difference(
        &self,
        before: &ExportConfiguration,
        after: &ExportConfiguration,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let (old, new) = (item::write(before), item::write(after));
        let is_reconnected = !after.connects_like(before);
        let mut names: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        names.extend(OF_CONNECTION);
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(item::key(&before.key)))
            .condition_expression("#version = :read")
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_values(":read", number(before.version));
        for name in names {
            let differs = if OF_CONNECTION.contains(&name) { is_reconnected } else { old.get(name) != new.get(name) };
            if !differs {
                continue;
            }
            update = update.expression_attribute_names(format!("#{name}"), name);
            if let Some(value) = new.get(name) {
                set.push(format!("#{name} = :{name}"));
                update = update.expression_attribute_values(format!(":{name}"), value.clone());
            } else {
                remove.push(format!("#{name}"));
            }
        }
        // The version that was read is known to have the connection that an edit keeps.
        update = update.expression_attribute_names("#connectionVersion", attribute::CONNECTION_VERSION);
        set.push(if is_reconnected {
            "#connectionVersion = :version".to_owned()
        } else {
            "#connectionVersion = if_not_exists(#connectionVersion, :read)".to_owned()
        });
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&remove.join(", "));
        }
        update.update_expression(expression)
    }

    fn event(
        &self,
        operation: &'static str,
        change: Change<'_>,
        author: &Author,
        stamp: Stamp,
    ) -> Result<TransactWriteItem, PortError> {
        let event = change.event(author, stamp).map_err(|error| PortError::internal(operation, error.to_string()))?;
        let tenant = &change.subject().key.tenant_id;
        let put = built(operation, self.events.put(tenant, event.shard, &event.block))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Adds to the count of a tenant's configurations; up only below the limit.
    fn count(&self, operation: &'static str, tenant: &TenantId, step: i8) -> Result<Update, PortError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(USAGE))
            .update_expression("ADD #configurations :step")
            .expression_attribute_names("#configurations", attribute::CONFIGURATIONS)
            .expression_attribute_values(":step", number(step));
        let update = if step > 0 {
            update
                .condition_expression("attribute_not_exists(#configurations) OR #configurations < :limit")
                .expression_attribute_values(":limit", number(MAX_CONFIGURATIONS_PER_TENANT))
        } else {
            update
        };
        built(operation, update.build())
    }

    fn idempotency_record(
        &self,
        operation: &'static str,
        key: &ConfigurationKey,
        request: IdempotentRequest<'_>,
        now: Timestamp,
    ) -> Result<Put, PortError> {
        let put = Put::builder()
            .table_name(&self.table)
            .item(attribute::TENANT_ID, text(&key.tenant_id))
            .item(attribute::ID, text(idempotency_id(request.key)))
            .item(attribute::CONFIGURATION_ID, text(key.configuration_id))
            .item(attribute::CONTENT_HASH, text(Hex32(request.content_hash)))
            .item(attribute::EXPIRES_AT, number(now.saturating_add(IDEMPOTENCY_RETENTION).as_seconds()))
            // DynamoDB may leave an expired item for days.
            .condition_expression("attribute_not_exists(#id) OR #expiresAt <= :now")
            .expression_attribute_names("#id", attribute::ID)
            .expression_attribute_names("#expiresAt", attribute::EXPIRES_AT)
            .expression_attribute_values(":now", number(now.as_seconds()))
            .build();
        built(operation, put)
    }

    /// What an idempotency key was used for before.
    async fn repeated(&self, tenant: &TenantId, request: IdempotentRequest<'_>) -> Result<CreateAnswer, PortError> {
        let operation = "read idempotency key";
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::TENANT_ID, text(tenant))
            .key(attribute::ID, text(idempotency_id(request.key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        // It was there a moment ago, and has expired since.
        let record = answer.item.ok_or_else(|| PortError::transient(operation, "the record is gone"))?;
        let attributes = Attributes(&record);
        let hash = attributes.required(attribute::CONTENT_HASH, |text| Some(text.to_owned()))?;
        let id = attributes.required(attribute::CONFIGURATION_ID, ConfigurationId::parse)?;
        let is_same = hash == Hex32(request.content_hash).to_string();
        Ok(if is_same { CreateAnswer::Repeated(id) } else { CreateAnswer::KeyReused })
    }

    /// Writes all or nothing. Where it meets another transaction on the same items, it is tried again, as long as the
    /// event's stamp is young enough.
    async fn transact(
        &self,
        operation: &'static str,
        writes: Vec<TransactWriteItem>,
        stamp: Stamp,
    ) -> Result<Transaction, PortError> {
        let guard = StampGuard::new(stamp.at);
        let request: TransactWriteItemsFluentBuilder =
            self.client.transact_write_items().set_transact_items(Some(writes));
        let mut wait = TRANSACTION_WAIT;
        for _ in 0..MAX_TRANSACTION_ATTEMPTS {
            let answer = request.clone().customize().interceptor(guard.clone()).send().await;
            let Err(error) = answer else { return Ok(Transaction::Done) };
            if guard.has_held_back() {
                return Err(PortError::transient(operation, "too long since the event was stamped"));
            }
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
            else {
                return Err(port_error(operation, &error));
            };
            let reasons = cancelled.cancellation_reasons();
            let codes = || reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != NO_REASON);
            if codes().any(|code| code == CONDITION_FAILED) {
                return Ok(Transaction::Cancelled(reasons.to_vec()));
            }
            if !codes().all(|code| TRANSIENT_CANCELLATIONS.contains(&code)) {
                return Err(PortError::internal(operation, codes().collect::<Vec<_>>().join(", ")));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(PortError::transient(operation, format!("{MAX_TRANSACTION_ATTEMPTS} attempts met other transactions")))
    }
}

fn is_refused(reasons: &[CancellationReason], index: usize) -> bool {
    reasons.get(index).and_then(CancellationReason::code) == Some(CONDITION_FAILED)
}

/// Two requests drew the same block ID. The next attempt draws another one.
fn event_collided(operation: &'static str) -> PortError {
    PortError::transient(operation, "another block has the ID of the event's")
}

fn built<T>(operation: &'static str, request: Result<T, BuildError>) -> Result<T, PortError> {
    request.map_err(|error| PortError::internal(operation, error.to_string()))
}

/// Hashed, so that it fits the key of an item whatever it holds.
fn idempotency_id(key: &IdempotencyKey) -> String {
    format!("{IDEMPOTENCY_PREFIX}{}", Hex32(Sha256::digest(key.as_str()).into()))
}
