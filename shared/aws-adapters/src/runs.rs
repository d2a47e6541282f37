//! The state of exports in DynamoDB. Items of one configuration share a partition: `state` (cursor, lease, open window),
//! an `intent#…` for each object of a window, a `digest#…` for each window that was sealed, a `job#…` for each that was
//! exported.

mod erasure;
mod expiry;
pub(crate) mod item;
mod shared;

pub use self::{
    erasure::{NotesOutcome, RunItemKey, SignedStatement, StoredErasure, TenantRunPage},
    expiry::ExpiryOutcome,
    shared::SkipApprovalOutcome,
};

use aws_sdk_dynamodb::{
    Client,
    operation::{
        transact_write_items::TransactWriteItemsError,
        update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    },
    types::{
        AttributeValue, ConditionCheck, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        Update, error::ConditionalCheckFailedException,
    },
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::operation::BuildError;
use domain::{
    block::BlockId,
    configuration::ConfigurationKey,
    digest::{DigestObject, MAX_DIGEST_OBJECTS},
    export_run::{RunState, Window, WindowId},
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{
    Completion, IntentAnswer, KnownCorruptBlock, Lease, LeaseAnswer, LeaseRequest, PortError, ReleaseAnswer, RunStore,
    SealedDigest,
};

use self::item::{Item, attribute, json, key, number, text};
use crate::error::{port_error, transaction_error};

/// Pages of intents that are read of one window: [`MAX_DIGEST_OBJECTS`] and a few that were never carried out, of at
/// most 2 KB each, fill less than two pages of 1 MB.
const MAX_INTENT_PAGES: usize = 4;
const _: () = assert!(MAX_DIGEST_OBJECTS <= 1_000, "the intents of a window would fill more pages");

const HELD_BY_US: &str = "fencingToken = :token";
const LET_GO: &str = "REMOVE leaseExpiresAt, leaseHolder, leaseMessage";
/// In the place of a holder: the run before had let go of the lease.
const NOBODY: &str = "";

/// The table `ExportRuns`.
#[derive(Clone, Debug)]
pub struct RunTable {
    client: Client,
    table: String,
}

impl RunTable {
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// An update of the state that only the holder of the lease can make.
    fn fenced_update(&self, lease: &Lease, expression: &str) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, item::STATE)))
            .update_expression(expression)
            .condition_expression(HELD_BY_US)
            .expression_attribute_values(":token", number(lease.fencing_token))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Refuses the transaction that it is part of to whoever doesn't hold the lease.
    fn fence(&self, lease: &Lease) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, item::STATE)))
            .condition_expression(HELD_BY_US)
            .expression_attribute_values(":token", number(lease.fencing_token))
            .build()?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// A write that finds nothing, or what an earlier attempt wrote.
    fn put_once(
        &self,
        configuration: &ConfigurationKey,
        name: &str,
        attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item::with_attributes(key(configuration, name), attributes)))
            .condition_expression("attribute_not_exists(#run)")
            .expression_attribute_names("#run", attribute::RUN)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Tells the history that one more run sets out to write the object. Only the history looks at it: a failure delays no
    /// export.
    async fn count_attempt(&self, lease: &Lease, window: WindowId, object: &DigestObject) {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, &item::intent_name(window, object.first_block))))
            .update_expression("SET #attempts = if_not_exists(#attempts, :one) + :one")
            .condition_expression("attribute_exists(#run)")
            .expression_attribute_names("#attempts", attribute::ATTEMPTS)
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_values(":one", number(1))
            .send()
            .await;
        if let Err(error) = answer {
            let error = port_error("dynamodb:UpdateItem (count attempt)", &error);
            tracing::warn!(%error, "an attempt at an object was not counted");
        }
    }

    async fn transact<const N: usize>(
        &self,
        operation: &'static str,
        items: [Result<TransactWriteItem, BuildError>; N],
    ) -> Result<Transaction, PortError> {
        let items = items.into_iter().collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|error| PortError::internal(operation, error.to_string()))?;
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(Transaction::Done),
            Err(error) => refusal(&error).ok_or_else(|| transaction_error(operation, &error)),
        }
    }
}

/// The items of a window's intents, in the order of their blocks.
pub(crate) async fn query_intents(
    client: &Client,
    table: &str,
    configuration: &ConfigurationKey,
    window: WindowId,
) -> Result<Vec<Item>, PortError> {
    let operation = "dynamodb:Query (intents)";
    let mut items = Vec::new();
    let mut start = None;
    for _ in 0..MAX_INTENT_PAGES {
        let page = client
            .query()
            .table_name(table)
            .consistent_read(true)
            .key_condition_expression("#run = :run AND begins_with(#item, :prefix)")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#item", attribute::ITEM)
            .expression_attribute_values(":run", text(configuration))
            .expression_attribute_values(":prefix", text(&item::intent_prefix(window)))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| port_error(operation, &error))?;
        items.extend(page.items.unwrap_or_default());
        if page.last_evaluated_key.is_none() {
            return Ok(items);
        }
        start = page.last_evaluated_key;
    }
    Err(PortError::internal(operation, format!("more than {MAX_INTENT_PAGES} pages")))
}

/// The positions in a transaction of the item that only the holder of the lease gets past, and of the one that is put once.
const FENCE: usize = 0;
const PUT: usize = 1;

/// What became of a transaction whose first item is the fence.
enum Transaction {
    Done,
    /// The lease is somebody else's.
    Fenced,
    /// The item that it would have put was there already.
    Found(Item),
}

/// `None`: the transaction failed for another reason than its conditions.
fn refusal(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Transaction> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    let mut refused = cancelled
        .cancellation_reasons()
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
    match refused.next()? {
        (FENCE, _) => Some(Transaction::Fenced),
        (PUT, reason) => Some(Transaction::Found(reason.item().cloned().unwrap_or_default())),
        _ => None,
    }
}

/// The item that made the condition of an update fail; `None`: it failed for another reason.
fn refused_update(error: &SdkError<UpdateItemError, HttpResponse>) -> Option<Item> {
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(ConditionalCheckFailedException { item, .. }) => {
            Some(item.clone().unwrap_or_default())
        }
        _ => None,
    }
}

async fn send_fenced(operation: &'static str, update: UpdateItemFluentBuilder) -> Result<(), PortError> {
    match update.send().await {
        Ok(_) => Ok(()),
        Err(error) if refused_update(&error).is_some() => Err(PortError::fenced(operation)),
        Err(error) => Err(port_error(operation, &error)),
    }
}

impl RunStore for RunTable {
    async fn acquire_lease(
        &self,
        configuration: &ConfigurationKey,
        initial: &RunState,
        request: &LeaseRequest<'_>,
    ) -> Result<LeaseAnswer, PortError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(configuration, item::STATE)))
            .update_expression(
                "SET nextBlock = if_not_exists(nextBlock, :next_block), \
                 nextSequence = if_not_exists(nextSequence, :next_sequence), \
                 fencingToken = if_not_exists(fencingToken, :zero) + :one, \
                 takenFrom = if_not_exists(leaseHolder, :nobody), \
                 leaseExpiresAt = :expires_at, leaseHolder = :holder, leaseMessage = :message",
            )
            .condition_expression(
                "attribute_not_exists(leaseExpiresAt) OR leaseExpiresAt <= :now OR leaseHolder = :holder",
            )
            .expression_attribute_values(":next_block", text(&initial.cursor))
            .expression_attribute_values(":next_sequence", number(initial.next_sequence))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(request.now.as_millis()))
            .expression_attribute_values(":expires_at", number(request.expires_at.as_millis()))
            .expression_attribute_values(":holder", text(request.holder))
            .expression_attribute_values(":message", text(request.message))
            .expression_attribute_values(":nobody", text(NOBODY))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                let attributes = answer.attributes.unwrap_or_default();
                let state = item::read_state(&attributes)?;
                let taken_from = item::read_text(&attributes, attribute::TAKEN_FROM)?;
                let was_abandoned = taken_from != NOBODY && taken_from != request.holder;
                let lease = Lease { key: configuration.clone(), fencing_token: state.fencing_token };
                Ok(LeaseAnswer::Granted { lease, state: Box::new(state), was_abandoned })
            }
            Err(error) => match refused_update(&error) {
                Some(found) => {
                    let message = item::read_optional_text(&found, attribute::LEASE_MESSAGE)?;
                    Ok(LeaseAnswer::Held {
                        fencing_token: item::read_number(&found, attribute::FENCING_TOKEN)?,
                        is_same_message: message.is_some_and(|message| message == request.message),
                    })
                }
                None => Err(port_error("dynamodb:UpdateItem (acquire lease)", &error)),
            },
        }
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<(), PortError> {
        let update = self
            .fenced_update(lease, "SET leaseExpiresAt = :expires_at")
            .expression_attribute_values(":expires_at", number(expires_at.as_millis()));
        send_fenced("dynamodb:UpdateItem (renew lease)", update).await
    }

    async fn note_rerun(
        &self,
        configuration: &ConfigurationKey,
        holder: u64,
        through: Timestamp,
    ) -> Result<bool, PortError> {
        let lease = Lease { key: configuration.clone(), fencing_token: holder };
        let answer = self
            .fenced_update(&lease, "SET rerunThrough = :through")
            .condition_expression(format!(
                "{HELD_BY_US} AND attribute_exists(leaseExpiresAt) \
                 AND (attribute_not_exists(rerunThrough) OR rerunThrough < :through)"
            ))
            .expression_attribute_values(":through", text(&through))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) => {
                let found =
                    refused_update(&error).ok_or_else(|| port_error("dynamodb:UpdateItem (note rerun)", &error))?;
                let is_held_by_same = found.contains_key(attribute::LEASE_EXPIRES_AT)
                    && item::read_number(&found, attribute::FENCING_TOKEN)? == holder;
                let is_noted_already = item::read_optional_time(&found, attribute::RERUN_THROUGH)? >= Some(through);
                Ok(is_held_by_same && is_noted_already)
            }
        }
    }

    async fn store_window(&self, lease: &Lease, window: &Window) -> Result<(), PortError> {
        let operation = "dynamodb:UpdateItem (store window)";
        let update = self
            .fenced_update(lease, "SET openWindow = :window")
            .expression_attribute_values(":window", json(operation, window)?);
        send_fenced(operation, update).await
    }

    async fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> Result<IntentAnswer, PortError> {
        let operation = "dynamodb:TransactWriteItems (store intent)";
        let put = self.put_once(
            &lease.key,
            &item::intent_name(window, object.first_block),
            [(attribute::DIGEST_OBJECT, json(operation, object)?), (attribute::ATTEMPTS, number(1))],
        );
        match self.transact(operation, [self.fence(lease), put]).await? {
            Transaction::Done => Ok(IntentAnswer::New),
            Transaction::Fenced => Err(PortError::fenced(operation)),
            Transaction::Found(found) => {
                let known = item::read_json(&found, attribute::DIGEST_OBJECT)?;
                self.count_attempt(lease, window, object).await;
                Ok(IntentAnswer::Known(Box::new(known)))
            }
        }
    }

    async fn intents(&self, lease: &Lease, window: WindowId) -> Result<Vec<DigestObject>, PortError> {
        let items = query_intents(&self.client, &self.table, &lease.key, window).await?;
        items.iter().map(|found| item::read_json(found, attribute::DIGEST_OBJECT)).collect()
    }

    async fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> Result<SealedDigest, PortError> {
        let operation = "dynamodb:TransactWriteItems (store digest)";
        let put = self.put_once(&lease.key, &item::digest_name(sequence), item::digest_attributes(digest));
        match self.transact(operation, [self.fence(lease), put]).await? {
            Transaction::Done => Ok(digest.clone()),
            Transaction::Fenced => Err(PortError::fenced(operation)),
            Transaction::Found(found) => item::read_digest(found),
        }
    }

    async fn digest(&self, lease: &Lease, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, &item::digest_name(sequence))))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("dynamodb:GetItem (digest)", &error))?;
        answer.item.map(item::read_digest).transpose()
    }

    async fn expire_intents(&self, lease: &Lease, sequence: u64, expires_at: Timestamp) -> Result<(), PortError> {
        self.expire_intents_of(&lease.key, sequence, expires_at).await
    }

    async fn complete_window(&self, lease: &Lease, completion: &Completion) -> Result<(), PortError> {
        let operation = "dynamodb:TransactWriteItems (complete window)";
        let Completion { cursor, head, record, expires_at } = completion;
        let expiry = (attribute::EXPIRES_AT, number(expires_at.as_seconds()));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, item::STATE)))
            .update_expression(
                "SET nextBlock = :next_block, nextSequence = :next_sequence, chainHead = :head REMOVE openWindow",
            )
            .condition_expression(HELD_BY_US)
            .expression_attribute_values(":token", number(lease.fencing_token))
            .expression_attribute_values(":next_block", text(cursor))
            .expression_attribute_values(":next_sequence", number(record.sequence + 1))
            .expression_attribute_values(":head", json(operation, head)?)
            .build()
            .map(|update| TransactWriteItem::builder().update(update).build());
        let job = self.put_once(
            &lease.key,
            &item::job_name(record.sequence),
            [(attribute::RECORD, json(operation, record)?), expiry.clone()],
        );
        let digest = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&lease.key, &item::digest_name(record.sequence))))
            .update_expression("SET #expiresAt = :expires_at")
            .condition_expression("attribute_exists(#run)")
            .expression_attribute_names("#run", attribute::RUN)
            .expression_attribute_names("#expiresAt", expiry.0)
            .expression_attribute_values(":expires_at", expiry.1)
            .build()
            .map(|update| TransactWriteItem::builder().update(update).build());
        match self.transact(operation, [update, job, digest]).await? {
            // Found: the answer to an earlier try was lost. Under our own lease nobody else can have completed it.
            Transaction::Done | Transaction::Found(_) => Ok(()),
            Transaction::Fenced => Err(PortError::fenced(operation)),
        }
    }

    async fn release(&self, lease: &Lease, exported_through: Timestamp) -> Result<ReleaseAnswer, PortError> {
        let operation = "dynamodb:UpdateItem (release lease)";
        let answer = self
            .fenced_update(lease, &format!("{LET_GO}, rerunThrough"))
            .condition_expression(format!(
                "{HELD_BY_US} AND (attribute_not_exists(rerunThrough) OR rerunThrough <= :through)"
            ))
            .expression_attribute_values(":through", text(&exported_through))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(ReleaseAnswer::Released),
            Err(error) => {
                let found = refused_update(&error).ok_or_else(|| port_error(operation, &error))?;
                if item::read_number(&found, attribute::FENCING_TOKEN)? != lease.fencing_token {
                    return Err(PortError::fenced(operation));
                }
                let through = item::read_optional_time(&found, attribute::RERUN_THROUGH)?;
                let through = through.ok_or_else(|| item::corrupt(attribute::RERUN_THROUGH))?;
                Ok(ReleaseAnswer::Rerun { through })
            }
        }
    }

    async fn hand_over(&self, lease: &Lease) -> Result<Option<Timestamp>, PortError> {
        let operation = "dynamodb:UpdateItem (hand over lease)";
        let answer = self.fenced_update(lease, LET_GO).return_values(ReturnValue::AllNew).send().await;
        match answer {
            Ok(answer) => item::read_optional_time(&answer.attributes.unwrap_or_default(), attribute::RERUN_THROUGH),
            Err(error) if refused_update(&error).is_some() => Err(PortError::fenced(operation)),
            Err(error) => Err(port_error(operation, &error)),
        }
    }

    async fn record_lost(&self, lease: &Lease, through: Timestamp) -> Result<(), PortError> {
        let update = self
            .fenced_update(lease, "SET #lostThrough = :through")
            .expression_attribute_names("#lostThrough", attribute::LOST_THROUGH)
            .expression_attribute_values(":through", text(&through));
        send_fenced("dynamodb:UpdateItem (record lost)", update).await
    }

    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        self.read_retention_history().await
    }

    async fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        self.put_retention_history(current, history).await
    }

    async fn corrupt_blocks(&self, tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        self.query_corrupt_blocks(tenant).await
    }

    async fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        found_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), PortError> {
        self.put_corrupt_block(tenant, block, found_at, expires_at).await
    }
}
