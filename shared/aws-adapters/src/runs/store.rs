//! The state of exports as the engine sees it. Every write is conditional on the lease.

use domain::{
    configuration::ConfigurationKey,
    digest::DigestObject,
    export_run::{Checkpoint, ExportState, FencingToken, Window, WindowId},
    retention::RetentionHistory,
    time::Timestamp,
};
use export_engine::ports::{
    Completion, IntentOutcome, Lease, LeaseOutcome, LeaseRequest, PortError, ReleaseOutcome, RunStore, SealedDigest,
};

use super::{
    intents,
    item::{self, attribute},
    table::RunTable,
};
use crate::dynamodb::{
    expression::{Changes, Expression},
    item::{Attributes, Item, extended, json, number, seconds, text},
    transaction::{Part, Transaction, TransactionOutcome},
    write::{Write, WriteOutcome, check},
};

const HELD_BY_US: &str = "#fencingToken = :token";

/// Stands for a holder if the last run has let go of the lease.
const NOBODY: &str = "";

/// The outcome of a transaction with a part that only the holder of the lease passes, and one that is put once.
enum FencedPut {
    Done,
    /// Another run holds the lease.
    Fenced,
    /// The item was there already.
    Found(Item),
}

impl FencedPut {
    fn of(operation: &'static str, outcome: TransactionOutcome, [fence, put]: [Part; 2]) -> Result<Self, PortError> {
        let TransactionOutcome::Refused(cancellation) = outcome else { return Ok(Self::Done) };
        match (cancellation.refused(fence), cancellation.refused(put)) {
            (Some(_), _) => Ok(Self::Fenced),
            (None, Some(found)) => Ok(Self::Found(found.clone())),
            (None, None) if cancellation.is_transient() => {
                Err(PortError::transient(operation, "throttled, or in conflict with another transaction"))
            }
            (None, None) => Err(PortError::internal(operation, "an item that has to be there is missing")),
        }
    }
}

/// Returns the error of a run whose lease another one has taken.
fn lost(operation: &'static str) -> PortError {
    PortError::fenced(operation, "another run holds the lease")
}

/// Returns the condition that only the holder of the lease meets.
fn held_by(lease: &Lease) -> Expression {
    Expression::new(HELD_BY_US).with("token", number(lease.fencing_token.0))
}

/// Returns the changes that let go of a lease.
fn let_go() -> Changes {
    Changes::default()
        .remove(attribute::LEASE_EXPIRES_AT)
        .remove(attribute::LEASE_HOLDER)
        .remove(attribute::LEASE_MESSAGE)
}

/// Returns a write that finds nothing, or the item of an earlier attempt.
fn put_once(item: Item) -> Write {
    Write::put(item).when(Expression::new("attribute_not_exists(#run)")).returning_found()
}

impl RunTable {
    /// Returns an update of the state that only the holder of the lease can make.
    fn fenced(&self, lease: &Lease, changes: Changes) -> Write {
        Write::update(self.key(&lease.key, item::STATE), changes).when(held_by(lease)).returning_found()
    }

    /// Makes an update that only the holder of the lease can make, and returns the attributes after it.
    async fn update_fenced(&self, operation: &'static str, update: Write) -> Result<Item, PortError> {
        match self.table.write(operation, update).await? {
            WriteOutcome::Done(attributes) => Ok(attributes),
            WriteOutcome::Refused(_) => Err(lost(operation)),
        }
    }

    /// Puts an item once, if the lease is held.
    async fn put_fenced(&self, operation: &'static str, lease: &Lease, item: Item) -> Result<FencedPut, PortError> {
        let table = &self.table.name;
        let fence = check(table, self.key(&lease.key, item::STATE), held_by(lease));
        let mut transaction = Transaction::new(operation);
        let fence = transaction.push(fence)?;
        let put = transaction.push(put_once(self.created(item)).part(table))?;
        FencedPut::of(operation, self.table.transact(transaction).await?, [fence, put])
    }

    /// Adds what a window delivered to the counts of a replay, which its record shows.
    fn counting(&self, state: Changes, delivered: &Checkpoint) -> Changes {
        match self.replay {
            None => state,
            Some(_) => state
                .add(attribute::OBJECTS, number(delivered.objects))
                .add(attribute::EVENTS, number(delivered.events))
                .add(attribute::STORED_BYTES, number(delivered.stored_bytes)),
        }
    }

    /// Counts one more run that sets out to write the object. Only the history shows it: a failure delays no export.
    async fn count_attempt(&self, lease: &Lease, window: WindowId, object: &DigestObject) {
        let changes =
            Changes::default().set_by("#attempts = if_not_exists(#attempts, :one) + :one").with("one", number(1));
        let intent = self.key(&lease.key, &item::intent_name(window, object));
        let update = Write::update(intent, changes).when(Expression::new("attribute_exists(#run)"));
        let operation = "dynamodb:UpdateItem (count attempt)";
        match self.table.write(operation, update).await {
            Ok(WriteOutcome::Done(_)) => {}
            Ok(WriteOutcome::Refused(_)) => {
                tracing::warn!(operation, "an attempt at an object was not counted: its intent is gone");
            }
            Err(error) => tracing::warn!(%error, "an attempt at an object was not counted"),
        }
    }
}

impl RunStore for RunTable {
    async fn acquire_lease(
        &self,
        configuration: &ConfigurationKey,
        initial: &ExportState,
        request: &LeaseRequest<'_>,
    ) -> Result<LeaseOutcome, PortError> {
        let changes = Changes::default()
            .set_if_absent(attribute::NEXT_BLOCK, text(initial.cursor))
            .set_if_absent(attribute::NEXT_SEQUENCE, number(initial.next_sequence))
            .set_by("#fencingToken = if_not_exists(#fencingToken, :zero) + :one")
            .set_by("#takenFrom = if_not_exists(#leaseHolder, :nobody)")
            .set(attribute::LEASE_EXPIRES_AT, number(request.expires_at.as_millis()))
            .set(attribute::LEASE_HOLDER, text(request.holder))
            .set(attribute::LEASE_MESSAGE, text(request.message))
            .with("zero", number(0))
            .with("one", number(1))
            .with("nobody", text(NOBODY));
        let changes = match &self.replay {
            None => changes,
            Some(replay) => changes.set(attribute::EXPIRES_AT, seconds(replay.expires_at)),
        };
        let is_free = Expression::new(
            "attribute_not_exists(#leaseExpiresAt) OR #leaseExpiresAt <= :now OR #leaseHolder = :leaseHolder",
        )
        .with("now", number(request.now.as_millis()));
        let take = Write::update(self.key(configuration, item::STATE), changes).when(is_free);
        let take = take.returning_updated().returning_found();
        match self.table.write("dynamodb:UpdateItem (acquire lease)", take).await? {
            WriteOutcome::Done(attributes) => {
                let attributes = Attributes(&attributes);
                let state = item::read_state(attributes)?;
                let taken_from = attributes.text(attribute::TAKEN_FROM)?;
                let was_abandoned = taken_from != NOBODY && taken_from != request.holder;
                let lease = Lease { key: configuration.clone(), fencing_token: state.fencing_token };
                Ok(LeaseOutcome::Granted { lease, state: Box::new(state), was_abandoned })
            }
            WriteOutcome::Refused(found) => {
                let found = Attributes(&found);
                let message = found.optional(attribute::LEASE_MESSAGE, Some)?;
                Ok(LeaseOutcome::Held {
                    fencing_token: item::read_token(found)?,
                    is_same_message: message == Some(request.message),
                })
            }
        }
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<(), PortError> {
        let changes = Changes::default().set(attribute::LEASE_EXPIRES_AT, number(expires_at.as_millis()));
        self.update_fenced("dynamodb:UpdateItem (renew lease)", self.fenced(lease, changes)).await.map(drop)
    }

    async fn note_rerun(
        &self,
        configuration: &ConfigurationKey,
        token: FencingToken,
        through: Timestamp,
    ) -> Result<bool, PortError> {
        let lease = Lease { key: configuration.clone(), fencing_token: token };
        let changes = Changes::default().set(attribute::RERUN_THROUGH, text(through));
        let is_news = Expression::new(format!(
            "{HELD_BY_US} AND attribute_exists(#leaseExpiresAt) \
             AND (attribute_not_exists(#rerunThrough) OR #rerunThrough < :rerunThrough)"
        ))
        .with("token", number(token.0));
        let update = self.fenced(&lease, changes).when(is_news);
        match self.table.write("dynamodb:UpdateItem (note rerun)", update).await? {
            WriteOutcome::Done(_) => Ok(true),
            WriteOutcome::Refused(found) => {
                let attributes = Attributes(&found);
                let is_held_by_same =
                    found.contains_key(attribute::LEASE_EXPIRES_AT) && item::read_token(attributes)? == token;
                let is_noted_already = attributes.optional_time(attribute::RERUN_THROUGH)? >= Some(through);
                Ok(is_held_by_same && is_noted_already)
            }
        }
    }

    async fn store_window(&self, lease: &Lease, window: &Window) -> Result<(), PortError> {
        let operation = "dynamodb:UpdateItem (store window)";
        let changes = Changes::default().set(attribute::OPEN_WINDOW, json(operation, window)?);
        self.update_fenced(operation, self.fenced(lease, changes)).await.map(drop)
    }

    async fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> Result<IntentOutcome, PortError> {
        let operation = "dynamodb:TransactWriteItems (store intent)";
        let intent = extended(
            self.key(&lease.key, &item::intent_name(window, object)),
            [(attribute::DIGEST_OBJECT, json(operation, object)?), (attribute::ATTEMPTS, number(1))],
        );
        match self.put_fenced(operation, lease, intent).await? {
            FencedPut::Done => Ok(IntentOutcome::New),
            FencedPut::Fenced => Err(lost(operation)),
            FencedPut::Found(found) => {
                let known = Attributes(&found).json(attribute::DIGEST_OBJECT)?;
                self.count_attempt(lease, window, object).await;
                Ok(IntentOutcome::Known(Box::new(known)))
            }
        }
    }

    async fn intents(&self, lease: &Lease, window: WindowId) -> Result<Vec<DigestObject>, PortError> {
        let items =
            intents::query(&self.table, &self.partition(&lease.key), &self.item_name(&item::intent_prefix(window)))
                .await?;
        let objects = items.iter().map(|found| Attributes(found).json(attribute::DIGEST_OBJECT));
        Ok(objects.collect::<Result<_, _>>()?)
    }

    async fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> Result<SealedDigest, PortError> {
        let operation = "dynamodb:TransactWriteItems (store digest)";
        let stored = extended(self.key(&lease.key, &item::digest_name(sequence)), item::digest_attributes(digest));
        match self.put_fenced(operation, lease, stored).await? {
            FencedPut::Done => Ok(digest.clone()),
            FencedPut::Fenced => Err(lost(operation)),
            FencedPut::Found(found) => Ok(item::read_digest(found)?),
        }
    }

    async fn digest(&self, lease: &Lease, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        let found =
            self.table.get("dynamodb:GetItem (digest)", self.key(&lease.key, &item::digest_name(sequence))).await?;
        Ok(found.map(item::read_digest).transpose()?)
    }

    async fn expire_intents(&self, lease: &Lease, sequence: u64, expires_at: Timestamp) -> Result<(), PortError> {
        match self.replay {
            None => self.expire_intents_of(&lease.key, sequence, expires_at).await,
            // They have an expiry since they were created.
            Some(_) => Ok(()),
        }
    }

    async fn complete_window(&self, lease: &Lease, completion: &Completion) -> Result<(), PortError> {
        let operation = "dynamodb:TransactWriteItems (complete window)";
        let Completion { cursor, head, record, expires_at } = completion;
        let expiry = || seconds(*expires_at);
        let state = Changes::default()
            .set(attribute::NEXT_BLOCK, text(cursor))
            .set(attribute::NEXT_SEQUENCE, number(record.sequence + 1))
            .set(attribute::CHAIN_HEAD, json(operation, head)?)
            .remove(attribute::OPEN_WINDOW);
        let state = self.counting(state, &record.delivered);
        let state = Write::update(self.key(&lease.key, item::STATE), state).when(held_by(lease));
        let job = extended(
            self.key(&lease.key, &item::job_name(record.sequence)),
            [(attribute::RECORD, json(operation, record)?), (attribute::EXPIRES_AT, expiry())],
        );
        let digest = Changes::default().set(attribute::EXPIRES_AT, expiry());
        let digest = Write::update(self.key(&lease.key, &item::digest_name(record.sequence)), digest)
            .when(Expression::new("attribute_exists(#run)"));
        let mut transaction = Transaction::new(operation);
        let fence = transaction.push(state.part(&self.table.name))?;
        let put = transaction.push(put_once(job).part(&self.table.name))?;
        transaction.push(digest.part(&self.table.name))?;
        match FencedPut::of(operation, self.table.transact(transaction).await?, [fence, put])? {
            // Found: the response to an earlier attempt was lost. Under our own lease nobody else can have completed it.
            FencedPut::Done | FencedPut::Found(_) => Ok(()),
            FencedPut::Fenced => Err(lost(operation)),
        }
    }

    async fn release(&self, lease: &Lease, exported_through: Timestamp) -> Result<ReleaseOutcome, PortError> {
        let operation = "dynamodb:UpdateItem (release lease)";
        let is_done = Expression::new(format!(
            "{HELD_BY_US} AND (attribute_not_exists(#rerunThrough) OR #rerunThrough <= :through)"
        ))
        .with("token", number(lease.fencing_token.0))
        .with("through", text(exported_through));
        let release = self.fenced(lease, let_go().remove(attribute::RERUN_THROUGH)).when(is_done);
        match self.table.write(operation, release).await? {
            WriteOutcome::Done(_) => Ok(ReleaseOutcome::Released),
            WriteOutcome::Refused(found) => {
                let found = Attributes(&found);
                if item::read_token(found)? != lease.fencing_token {
                    return Err(lost(operation));
                }
                Ok(ReleaseOutcome::Rerun { through: found.time(attribute::RERUN_THROUGH)? })
            }
        }
    }

    async fn hand_over(&self, lease: &Lease) -> Result<Option<Timestamp>, PortError> {
        let hand_over = self.fenced(lease, let_go()).returning_updated();
        let attributes = self.update_fenced("dynamodb:UpdateItem (hand over lease)", hand_over).await?;
        Ok(Attributes(&attributes).optional_time(attribute::RERUN_THROUGH)?)
    }

    async fn record_lost(&self, lease: &Lease, through: Timestamp) -> Result<(), PortError> {
        let changes = Changes::default().set(attribute::LOST_THROUGH, text(through));
        self.update_fenced("dynamodb:UpdateItem (record lost)", self.fenced(lease, changes)).await.map(drop)
    }

    async fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        self.put_retention_history(current, history).await
    }
}
