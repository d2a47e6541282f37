//! Writes blocks. All of a request, or nothing of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    primitives::Blob,
    types::{AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        orchestrator::HttpResponse,
        result::SdkError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::ConfigBag,
    error::{metadata::ProvideErrorMetadata, operation::BuildError},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use domain::{
    block::{INGEST_WRITE_BOUND, Shard, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};

use super::item::{
    self, ACCEPTED, BLOCK_ID, BODY_HASH, CRC32C, EXPIRES_AT, Item, MAX_ATTRIBUTES_LENGTH, PARTITION, RAW_LENGTH,
};
use crate::error::{Fault, TRANSIENT_CANCELLATIONS, describe};

/// The longest that one write may take, its retries included. Well within [`INGEST_WRITE_BOUND`], which also has to hold
/// the compression before it.
pub const WRITE_OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that one attempt may take.
pub const WRITE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Attempts of one write, the first included. A repeat is safe: blocks are written only where there are none.
pub const MAX_WRITE_ATTEMPTS: u32 = 3;

/// How long an `Idempotency-Key` is remembered.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_hours(24);

/// The most items of one transaction.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// The most bytes of all items of one transaction; the same source says 4 MB.
pub const MAX_TRANSACTION_LENGTH: usize = 4_000_000;

/// Under this a block's partition can't be: shards are numbers.
pub(super) const IDEMPOTENCY_PARTITION_SUFFIX: &str = "#idempotency";

const IS_ABSENT: &str = "attribute_not_exists(#partition)";

/// Time to live deletes late, so that an expired record counts as absent.
const IS_ABSENT_OR_EXPIRED: &str = "attribute_not_exists(#partition) OR #expiresAt < :now";

/// What is remembered of a request with an `Idempotency-Key`, or of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the key, in hexadecimal.
    pub key_hash: String,
    /// SHA-256 of the decompressed body.
    pub body_hash: [u8; 32],
    /// How many events the request was answered to have accepted.
    pub accepted: u64,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    Written,
    /// The same bodies were accepted before under the same keys; nothing was written now.
    AcceptedBefore(Vec<AcceptedBefore>),
}

/// A key that was used before, for the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedBefore {
    /// Which of the records of the write it is.
    pub index: usize,
    /// How many events were accepted then.
    pub accepted: u64,
}

/// Why nothing can be said to have been written. After a time-out the blocks may be there all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the Idempotency-Key was used for another body")]
    KeyReused,
    #[error("the blocks don't fit into one transaction")]
    TooLarge,
    #[error("more than the write bound has passed since the blocks were stamped")]
    TooSlow,
    #[error("busy or unreachable: {0}")]
    TryAgain(String),
    #[error("refused: {0}")]
    Internal(String),
}

/// Where blocks are stored, and for how long.
#[derive(Clone, Debug)]
pub struct EventTable {
    pub name: String,
    pub retention: Duration,
}

impl EventTable {
    /// The write of a block where there is none, as a part of a transaction. Whoever sends it bounds the time since the
    /// block's stamp by a [`StampGuard`].
    pub(crate) fn put(&self, tenant: &TenantId, shard: Shard, block: &StoredBlock) -> Result<Put, BuildError> {
        self.conditional_put(item::of_block(tenant, shard, block, self.retention), IS_ABSENT, None)
    }

    fn conditional_put(&self, item: Item, condition: &str, now: Option<Timestamp>) -> Result<Put, BuildError> {
        let mut put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression(condition)
            .expression_attribute_names("#partition", PARTITION)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(now) = now {
            put = put
                .expression_attribute_names("#expiresAt", EXPIRES_AT)
                .expression_attribute_values(":now", item::number(now.as_seconds()));
        }
        put.build()
    }
}

/// Puts blocks, and nothing else: it never reads.
#[derive(Clone)]
pub struct EventWriter {
    client: Client,
    table: EventTable,
}

impl fmt::Debug for EventWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventWriter").field("table", &self.table).finish_non_exhaustive()
    }
}

impl EventWriter {
    /// A writer with a client of its own: without clock-skew correction, so that no request is signed with another time
    /// than this machine's, and with the time-outs above.
    #[must_use]
    pub fn new(shared: &SdkConfig, table: String, retention: Duration) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(WRITE_OPERATION_TIMEOUT)
            .operation_attempt_timeout(WRITE_ATTEMPT_TIMEOUT)
            .build();
        let configuration = aws_sdk_dynamodb::config::Builder::from(shared)
            .disable_clock_skew_correction(true)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_WRITE_ATTEMPTS))
            .build();
        Self { client: Client::from_conf(configuration), table: EventTable { name: table, retention } }
    }

    /// Writes blocks that are stamped with one time, and the idempotency records of the requests or messages in them.
    ///
    /// # Errors
    /// [`WriteError`]; then none of the blocks was written, or, after [`WriteError::TryAgain`], all may have been.
    pub async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> Result<WriteOutcome, WriteError> {
        match (blocks, records) {
            ([], _) => Err(WriteError::Internal("a write without blocks".to_owned())),
            ([block], []) => self.put(tenant, shard, block).await,
            (blocks, records) => self.put_all(tenant, shard, blocks, records).await,
        }
    }

    async fn put(&self, tenant: &TenantId, shard: Shard, block: &StoredBlock) -> Result<WriteOutcome, WriteError> {
        let guard = StampGuard::new(block.id.timestamp());
        let answer = self
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(item::of_block(tenant, shard, block, self.table.retention)))
            .condition_expression(IS_ABSENT)
            .expression_attribute_names("#partition", PARTITION)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .interceptor(guard.clone())
            .send()
            .await;
        let Err(error) = answer else { return Ok(WriteOutcome::Written) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                written_before(failure.item(), block).map(|()| WriteOutcome::Written)
            }
            _ => Err(guard.classify(&error)),
        }
    }

    async fn put_all(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> Result<WriteOutcome, WriteError> {
        let items = blocks.len() + records.len();
        let length = blocks.iter().map(|block| block.deflate.len()).sum::<usize>() + items * MAX_ATTRIBUTES_LENGTH;
        let Some(first) = blocks.first().filter(|_| items <= MAX_TRANSACTION_ITEMS && length <= MAX_TRANSACTION_LENGTH)
        else {
            return Err(WriteError::TooLarge);
        };
        let stamp = first.id.timestamp();

        let mut puts = Vec::with_capacity(items);
        for block in blocks {
            puts.push(transacted(self.table.put(tenant, shard, block))?);
        }
        for record in records {
            let item = item_of_record(tenant, record, stamp);
            puts.push(transacted(self.table.conditional_put(item, IS_ABSENT_OR_EXPIRED, Some(stamp)))?);
        }

        let guard = StampGuard::new(stamp);
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(puts))
            // Makes attempts after a lost answer count as one.
            .client_request_token(first.id.to_string())
            .customize()
            .interceptor(guard.clone())
            .send()
            .await;
        let Err(error) = answer else { return Ok(WriteOutcome::Written) };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancellation)) => {
                sort_cancellation(cancellation.cancellation_reasons(), blocks, records)
            }
            _ => Err(guard.classify(&error)),
        }
    }
}

fn transacted(put: Result<Put, BuildError>) -> Result<TransactWriteItem, WriteError> {
    let put = put.map_err(|error| WriteError::Internal(error.to_string()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn item_of_record(tenant: &TenantId, record: &IdempotencyRecord, stamp: Timestamp) -> Item {
    item::item([
        (PARTITION, AttributeValue::S(format!("{tenant}{IDEMPOTENCY_PARTITION_SUFFIX}"))),
        (BLOCK_ID, AttributeValue::S(record.key_hash.clone())),
        (BODY_HASH, AttributeValue::B(Blob::new(record.body_hash))),
        (ACCEPTED, item::number(record.accepted)),
        (EXPIRES_AT, item::number(stamp.saturating_add(IDEMPOTENCY_LIFETIME).as_seconds())),
    ])
}

/// An item is there under a block's ID: is it this block, from an attempt whose answer was lost?
fn written_before(existing: Option<&Item>, block: &StoredBlock) -> Result<(), WriteError> {
    let is_same = existing.is_some_and(|existing| {
        item::unsigned(existing, CRC32C) == Ok(block.crc32c)
            && item::unsigned(existing, RAW_LENGTH) == Ok(block.raw_length)
    });
    // Another block: two requests drew the same ID. The next attempt draws another one.
    if is_same { Ok(()) } else { Err(WriteError::TryAgain("another block has the same ID".to_owned())) }
}

/// Reasons come in the order of the transaction's items: the blocks, then the records.
fn sort_cancellation(
    reasons: &[CancellationReason],
    blocks: &[StoredBlock],
    records: &[IdempotencyRecord],
) -> Result<WriteOutcome, WriteError> {
    let of_records = reasons.get(blocks.len()..).unwrap_or_default().iter().zip(records).enumerate();
    let before = of_records
        .filter(|(_, (reason, _))| is_condition(reason))
        .map(|(index, (reason, record))| Ok(AcceptedBefore { index, accepted: accepted(reason.item(), record)? }))
        .collect::<Result<Vec<_>, WriteError>>()?;
    if !before.is_empty() {
        return Ok(WriteOutcome::AcceptedBefore(before));
    }
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code().unwrap_or("None")).collect();
    if let Some(code) = codes.iter().find(|code| !matches!(**code, "None" | "ConditionalCheckFailed")) {
        let detail = format!("transaction cancelled: {code}");
        return Err(match *code {
            code if TRANSIENT_CANCELLATIONS.contains(&code) => WriteError::TryAgain(detail),
            _ => WriteError::Internal(detail),
        });
    }
    let mut failed = reasons.iter().zip(blocks).filter(|(reason, _)| is_condition(reason)).peekable();
    if failed.peek().is_none() {
        return Err(WriteError::Internal("transaction cancelled without a reason".to_owned()));
    }
    failed.try_for_each(|(reason, block)| written_before(reason.item(), block)).map(|()| WriteOutcome::Written)
}

fn is_condition(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// How many events were accepted under the key of a record that is there already.
fn accepted(existing: Option<&Item>, record: &IdempotencyRecord) -> Result<u64, WriteError> {
    let existing = existing.ok_or_else(|| WriteError::Internal("no idempotency record in the answer".to_owned()))?;
    match existing.get(BODY_HASH) {
        Some(AttributeValue::B(hash)) if hash.as_ref() == record.body_hash => {
            item::unsigned(existing, ACCEPTED).map_err(|error| WriteError::Internal(error.to_string()))
        }
        _ => Err(WriteError::KeyReused),
    }
}

/// Lets no request out that was signed later than [`INGEST_WRITE_BOUND`] after the blocks were stamped: a function may be
/// frozen between the two. From its signature on, AWS bounds how long a request can still take effect.
#[derive(Clone, Debug)]
pub(crate) struct StampGuard {
    stamp: Timestamp,
    /// Set when a request was held back. The SDK's error would tell that only by its text.
    held_back: Arc<AtomicBool>,
}

impl StampGuard {
    pub(crate) fn new(stamp: Timestamp) -> Self {
        Self { stamp, held_back: Arc::new(AtomicBool::new(false)) }
    }

    pub(crate) fn has_held_back(&self) -> bool {
        self.held_back.load(Ordering::Acquire)
    }

    fn classify<E>(&self, error: &SdkError<E, HttpResponse>) -> WriteError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if self.has_held_back() {
            WriteError::TooSlow
        } else if Fault::of(error).is_transient() {
            WriteError::TryAgain(describe(error))
        } else {
            WriteError::Internal(describe(error))
        }
    }
}

impl Intercept for StampGuard {
    fn name(&self) -> &'static str {
        "StampGuard"
    }

    fn read_after_signing(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _configuration: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = components
            .time_source()
            .and_then(|source| source.now().duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since_epoch| u64::try_from(since_epoch.as_millis()).ok())
            .and_then(Timestamp::from_millis)
            .ok_or("there is no clock")?;
        if now.saturating_since(self.stamp) < INGEST_WRITE_BOUND {
            Ok(())
        } else {
            self.held_back.store(true, Ordering::Release);
            Err("too long since the blocks were stamped".into())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
