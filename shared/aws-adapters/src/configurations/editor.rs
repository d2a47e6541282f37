//! Changes that persons make. Each change is one transaction with its audit event.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{Client, types::TransactWriteItem};
use aws_smithy_types::error::operation::BuildError;
use domain::{
    configuration::{
        Authentication, ConfigurationId, ConfigurationKey, ExportConfiguration,
        change::{Author, Change, Stamp},
        input::IdempotencyKey,
    },
    digest::Hex32,
    notice::change::{ended_by, makes_up_for, notices_of, receivers_of},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::{
    item::{self, BEHIND_IDS, attribute},
    outbox,
    table::{MAX_CONFIGURATIONS_PER_TENANT, MAX_LIST_PAGES},
    tombstone::Tombstone,
};
use crate::{
    dynamodb::{
        expression::{Changes, Expression},
        item::{Attributes, Item, extended, number, seconds, text},
        read::Query,
        table::Table,
        transaction::{Cancellation, Transaction, TransactionOutcome, refusal},
        write::Write,
    },
    events::writer::{EventTable, IDEMPOTENCY_LIFETIME, StampGuard},
};

/// Attempts of a transaction that meets another one on the same items.
pub const MAX_TRANSACTION_ATTEMPTS: u32 = 4;

/// The wait after the first attempt. It doubles.
const TRANSACTION_WAIT: Duration = Duration::from_millis(40);

/// Attributes with what is known of a connection. Tests store them at any time, so an edit leaves them alone, or changes
/// all of them if it changes the connection.
const OF_CONNECTION: [&str; 4] = [
    attribute::CONNECTION_STATUS,
    attribute::CONNECTION_CHECKED_AT,
    attribute::CONNECTION_ERROR,
    attribute::PRINCIPAL_ARN,
];

/// What the sweep has noticed of a new export.
const NOTHING_NOTICED: &str = "{}";

/// The item of the count of a tenant's configurations.
pub(super) const USAGE: &str = "usage";

/// Precedes the hash of a key in the ID of its record.
pub(super) const IDEMPOTENCY_PREFIX: &str = "idempotency#";

/// Changes configurations, and puts the event of each change beside the tenant's other audit events.
#[derive(Clone, Debug)]
pub struct ConfigurationEditor {
    pub(super) table: Table,
    events: EventTable,
}

/// A caller's idempotency key, and a hash of the request.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest<'a> {
    pub key: &'a IdempotencyKey,
    /// SHA-256; it must not depend on a secret, since it could be used to guess it.
    pub content_hash: [u8; 32],
}

/// The outcome of creating a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    Created,
    /// An earlier request with the same key and content created this one.
    Repeated(ConfigurationId),
    /// An earlier request used the same key for other content.
    KeyReused,
    /// The tenant has [`MAX_CONFIGURATIONS_PER_TENANT`].
    LimitExceeded,
}

/// The outcome of changing a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    Done,
    /// A person has changed or deleted it since it was read.
    ChangedSince,
}

impl ConfigurationEditor {
    /// Takes over `client`'s endpoint, credentials and time-outs, but not its clock-skew correction: a block must be signed
    /// for by the clock that stamped it.
    #[must_use]
    pub fn new(client: &Client, table: String, events: EventTable) -> Self {
        let configuration = client.config().to_builder().disable_clock_skew_correction(true).build();
        Self { table: Table { client: Client::from_conf(configuration), name: table }, events }
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
    ) -> Result<CreateOutcome, PortError> {
        let operation = "create configuration";
        let key = &configuration.key;
        let mut new = extended(item::write(configuration), [(attribute::NOTICED, text(NOTHING_NOTICED))]);
        if let Authentication::AccessKey { .. } = configuration.authentication {
            new.insert(attribute::SECRET_STORED_AT.to_owned(), text(configuration.created_at));
        }
        let put = Write::put(new).when(Expression::new("attribute_not_exists(#id)"));
        let mut transaction = Transaction::new(operation);
        let put = transaction.push(put.part(&self.table.name))?;
        let count = transaction.push(count_one_more(&key.tenant_id).part(&self.table.name))?;
        transaction.push(self.event(operation, Change::Create(configuration), author, stamp)?)?;
        let record = match idempotency {
            Some(request) => {
                let record = idempotency_record(key, request, configuration.created_at);
                Some((request, transaction.push(record.part(&self.table.name))?))
            }
            None => None,
        };

        let cancellation = match self.transact(transaction, stamp).await? {
            TransactionOutcome::Done => return Ok(CreateOutcome::Created),
            TransactionOutcome::Refused(cancellation) => cancellation,
        };
        // The key comes first: a request that was done is repeated even when the tenant has reached its limit since.
        match record {
            Some((request, record)) if cancellation.is_refused(record) => self.repeated(&key.tenant_id, request).await,
            _ if cancellation.is_refused(count) => Ok(CreateOutcome::LimitExceeded),
            _ if cancellation.is_refused(put) => Err(PortError::internal(operation, format!("the ID {key} is taken"))),
            _ => Err(event_collided(operation)),
        }
    }

    /// Changes the configuration that was read as `before` to `after`. Only the differences are written: what runs and tests
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
    ) -> Result<EditOutcome, PortError> {
        let operation = "update configuration";
        let change = Change::Update { before, after };
        let stop = self.stop_of(change).await?;
        let count = stop.map(|stop| stop.write(usage_key(change), Changes::default()));
        let edit = Edit { count, ..Edit::of(difference(before, after)) };
        self.edit(operation, edit, change, stop, author, stamp).await
    }

    /// Deletes the configuration that was read as `current`, lowers the count, and leaves a tombstone, by which the
    /// housekeeper finds the items of its runs.
    ///
    /// # Errors
    /// As [`ConfigurationEditor::create`].
    pub async fn delete(
        &self,
        current: &ExportConfiguration,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditOutcome, PortError> {
        let operation = "delete configuration";
        let change = Change::Delete(current);
        let stop = self.stop_of(change).await?;
        let tombstone = Tombstone { key: current.key.clone(), deleted_at: stamp.at };
        let less_one = Changes::default().add(attribute::CONFIGURATIONS, number(-1));
        let count = match stop {
            Some(stop) => stop.write(usage_key(change), less_one),
            None => Write::update(usage_key(change), less_one),
        };
        let delete = Write::delete(item::key(&current.key)).when(is_version(current.version));
        let edit = Edit { subject: delete, count: Some(count), tombstone: Some(tombstone.write()) };
        self.edit(operation, edit, change, stop, author, stamp).await
    }

    /// Makes a change with its event and its notices.
    pub(super) async fn edit(
        &self,
        operation: &'static str,
        edit: Edit,
        change: Change<'_>,
        stop: Option<Stop>,
        author: &Author,
        stamp: Stamp,
    ) -> Result<EditOutcome, PortError> {
        let is_last_export = stop.is_some_and(|stop| stop.is_last);
        let notices = notices_of(change, author, is_last_export, stamp);
        let queued = notices.iter().map(|notice| outbox::write(notice, receivers_of(change)));
        let Edit { subject, count, tombstone } = edit;
        let mut transaction = Transaction::new(operation);
        let mut push = |write: Write| transaction.push(write.part(&self.table.name));
        let subject = push(subject)?;
        let count = count.map(&mut push).transpose()?;
        tombstone.map(&mut push).transpose()?;
        for notice in queued {
            push(notice?)?;
        }
        transaction.push(self.event(operation, change, author, stamp)?)?;
        match self.transact(transaction, stamp).await? {
            TransactionOutcome::Done => Ok(EditOutcome::Done),
            TransactionOutcome::Refused(cancellation)
                if cancellation.is_refused(subject) || count.is_some_and(|count| cancellation.is_refused(count)) =>
            {
                Ok(EditOutcome::ChangedSince)
            }
            TransactionOutcome::Refused(_) => Err(event_collided(operation)),
        }
    }

    /// Returns what a change has to know that ends an export. `None`: it ends none.
    async fn stop_of(&self, change: Change<'_>) -> Result<Option<Stop>, PortError> {
        let Some(ended) = ended_by(change) else { return Ok(None) };
        // Read before the list: if another change ends an export meanwhile, this one is made again.
        let usage = self.table.get("read count", usage_key(change)).await?.unwrap_or_default();
        let made = Attributes(&usage).optional_number(attribute::STOPS)?.unwrap_or(0);
        let of_tenant = Expression::new("#tenantId = :tenant AND #id < :behindIds")
            .with("tenant", text(&ended.key.tenant_id))
            .with("behindIds", text(BEHIND_IDS));
        let others = self.table.all("list other exports", &Query::new(of_tenant), MAX_LIST_PAGES).await?;
        // A malformed configuration exports nothing, and keeps nobody from stopping another one.
        let is_last = !others.iter().any(|other| item::read(other).is_ok_and(|other| makes_up_for(&other, ended)));
        Ok(Some(Stop { is_last, made }))
    }

    pub(super) fn event(
        &self,
        operation: &'static str,
        change: Change<'_>,
        author: &Author,
        stamp: Stamp,
    ) -> Result<Result<TransactWriteItem, BuildError>, PortError> {
        let event = change.event(author, stamp).map_err(|error| PortError::internal_from(operation, error))?;
        Ok(self.events.part(&change.subject().key.tenant_id, event.shard, &event.block))
    }

    /// Compares a request with the earlier one that used its idempotency key.
    async fn repeated(&self, tenant: &TenantId, request: IdempotentRequest<'_>) -> Result<CreateOutcome, PortError> {
        let operation = "read idempotency key";
        let record = self.table.get(operation, item::tenant_key(tenant, &idempotency_id(request.key))).await?;
        // The record was found a moment ago, and has expired since.
        let record = record.ok_or_else(|| PortError::transient(operation, "the record is gone"))?;
        let attributes = Attributes(&record);
        let hash = attributes.text(attribute::CONTENT_HASH)?;
        let id = attributes.required(attribute::CONFIGURATION_ID, ConfigurationId::parse)?;
        let is_same = hash == Hex32(request.content_hash).to_string();
        Ok(if is_same { CreateOutcome::Repeated(id) } else { CreateOutcome::KeyReused })
    }

    /// Makes all writes or none. A transaction that meets another one on the same items is repeated while the event's stamp
    /// is young enough.
    pub(super) async fn transact(
        &self,
        transaction: Transaction,
        stamp: Stamp,
    ) -> Result<TransactionOutcome, PortError> {
        let operation = transaction.operation();
        let guard = StampGuard::new(stamp.at);
        let request = self.table.client.transact_write_items().set_transact_items(Some(transaction.into_writes()));
        let mut wait = TRANSACTION_WAIT;
        for _ in 0..MAX_TRANSACTION_ATTEMPTS {
            let answer = request.clone().customize().interceptor(guard.clone()).send().await;
            let Err(error) = answer else { return Ok(TransactionOutcome::Done) };
            if guard.has_held_back() {
                return Err(PortError::transient(operation, "too long since the event was stamped"));
            }
            let met_another = Cancellation::of(&error).is_some_and(|cancellation| cancellation.is_transient());
            match refusal(operation, error) {
                Ok(cancellation) => return Ok(TransactionOutcome::Refused(cancellation)),
                Err(error) if !met_another => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(PortError::transient(operation, format!("{MAX_TRANSACTION_ATTEMPTS} attempts met other transactions")))
    }
}

/// The writes of a change, beside its event and its notices.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// That of the configuration or replay.
    subject: Write,
    /// That of the tenant's count.
    count: Option<Write>,
    tombstone: Option<Write>,
}

impl Edit {
    pub(super) fn of(subject: Write) -> Self {
        Self { subject, count: None, tombstone: None }
    }
}

/// A change that ends an export. The tenant's changes of this kind are made one after the other, so that two of them can't each
/// find the other's export working.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// True if no other export of the tenant makes up for it.
    is_last: bool,
    /// The number of such changes before.
    made: u64,
}

impl Stop {
    /// Returns the update of the tenant's count, beside other changes of it.
    fn write(self, usage: Item, changes: Changes) -> Write {
        Write::update(usage, changes.add(attribute::STOPS, number(1))).when(self.condition())
    }

    fn condition(self) -> Expression {
        match self.made {
            0 => Expression::new("attribute_not_exists(#stops)"),
            made => Expression::new("#stops = :made").with("made", number(made)),
        }
    }
}

fn usage_key(change: Change<'_>) -> Item {
    item::tenant_key(&change.subject().key.tenant_id, USAGE)
}

/// Returns the update of the attributes that differ, if nobody has changed the configuration since.
fn difference(before: &ExportConfiguration, after: &ExportConfiguration) -> Write {
    let (old, mut new) = (item::write(before), item::write(after));
    let is_reconnected = !after.connects_like(before);
    let mut names: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    names.extend(OF_CONNECTION.map(str::to_owned));
    let mut changes = Changes::default();
    for name in &names {
        let differs =
            if OF_CONNECTION.contains(&name.as_str()) { is_reconnected } else { old.get(name) != new.get(name) };
        if differs {
            changes = changes.set_or_remove(name, new.remove(name));
        }
    }
    if before.authentication != after.authentication {
        let stored_at = match after.authentication {
            Authentication::AccessKey { .. } => Some(text(after.updated_at)),
            Authentication::AssumedRole { .. } => None,
        };
        changes = changes.set_or_remove(attribute::SECRET_STORED_AT, stored_at);
    }
    // The version that was read is known to have the connection that an edit keeps.
    let version = attribute::CONNECTION_VERSION;
    changes = changes.set_by(if is_reconnected {
        format!("#{version} = :version")
    } else {
        format!("#{version} = if_not_exists(#{version}, :read)")
    });
    Write::update(item::key(&before.key), changes).when(is_version(before.version))
}

/// Returns the condition that a configuration still has the version that was read.
fn is_version(read: u64) -> Expression {
    Expression::new("#version = :read").with("read", number(read))
}

/// Returns the update that adds one to the count of a tenant's configurations, below the limit.
fn count_one_more(tenant: &TenantId) -> Write {
    let changes = Changes::default().add(attribute::CONFIGURATIONS, number(1));
    Write::update(item::tenant_key(tenant, USAGE), changes).when(
        Expression::new("attribute_not_exists(#configurations) OR #configurations < :limit")
            .with("limit", number(MAX_CONFIGURATIONS_PER_TENANT)),
    )
}

fn idempotency_record(key: &ConfigurationKey, request: IdempotentRequest<'_>, now: Timestamp) -> Write {
    let record = [
        (attribute::CONFIGURATION_ID, text(key.configuration_id)),
        (attribute::CONTENT_HASH, text(Hex32(request.content_hash))),
        (attribute::EXPIRES_AT, seconds(now.saturating_add(IDEMPOTENCY_LIFETIME))),
    ];
    let record_key = item::tenant_key(&key.tenant_id, &idempotency_id(request.key));
    // DynamoDB may keep an expired item for days.
    let is_free = Expression::new("attribute_not_exists(#id) OR #expiresAt <= :now").with("now", seconds(now));
    Write::put(extended(record_key, record)).when(is_free)
}

/// Two requests drew the same block ID. The next attempt draws another one.
pub(super) fn event_collided(operation: &'static str) -> PortError {
    PortError::transient(operation, "another block has the ID of the event's")
}

/// Returns the ID of a key's record. The key is hashed, so that any key fits.
fn idempotency_id(key: &IdempotencyKey) -> String {
    format!("{IDEMPOTENCY_PREFIX}{}", Hex32::sha256_of(key.as_str()))
}
