//! Writes the blocks of a request, all or none.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    config::StalledStreamProtectionConfig,
    types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem},
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
    block::{EXPIRY_GRACE, INGEST_WRITE_BOUND, Shard, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::PortError;

use super::item::{
    self, ACCEPTED, BLOCK_ID, BODY_HASH, CRC32C, EXPIRES_AT, IDEMPOTENCY_PARTITION_SUFFIX, Item, MAX_ATTRIBUTES_LENGTH,
    PARTITION, RAW_LENGTH,
};
use crate::{
    dynamodb::{
        expression::Expression,
        item::{Attributes, binary, item, number, seconds, text},
        transaction::{Cancellation, Part, Transaction},
        write::{Write, refused},
    },
    error::port_error,
};

/// The time limit of one write, including its retries. It is well within [`INGEST_WRITE_BOUND`], which also covers the
/// compression before it.
pub const WRITE_OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit of one attempt.
pub const WRITE_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// Attempts of one write, including the first. A repeat is safe: blocks are written only where there are none.
pub const MAX_WRITE_ATTEMPTS: u32 = 3;

/// The time that an `Idempotency-Key` is remembered after its first use, of events and of configurations.
pub const IDEMPOTENCY_LIFETIME: Duration = Duration::from_hours(24);

/// The most items of one transaction.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>.
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// The most bytes of all items of one transaction; the same source says 4 MB.
pub const MAX_TRANSACTION_LENGTH: usize = 4_000_000;

/// The operation of failed writes, for the log.
const WRITE: &str = "write blocks";

const IS_ABSENT: &str = "attribute_not_exists(#partition)";

/// An expired record counts as absent, because time to live deletes late.
const IS_ABSENT_OR_EXPIRED: &str = "attribute_not_exists(#partition) OR #expiresAt < :now";

/// The record of a request with an `Idempotency-Key`, or of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the key, in hexadecimal.
    pub key_hash: String,
    /// SHA-256 of the decompressed body.
    pub body_hash: [u8; 32],
    /// The number of accepted events in the response to the request.
    pub accepted: u64,
}

/// The outcome of storing blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    Written,
    /// The same bodies were accepted before under the same keys; nothing was written now.
    AcceptedBefore(Vec<AcceptedBefore>),
}

/// A key that was used before, for the same body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedBefore {
    /// The position among the records of the write.
    pub index: usize,
    /// The number of events that were accepted then.
    pub accepted: u64,
}

/// A write that failed. After a time-out the blocks may have been written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the Idempotency-Key was used for another body")]
    KeyReused,
    #[error("the blocks don't fit into one transaction")]
    TooLarge,
    #[error("more than the write bound has passed since the blocks were stamped")]
    TooSlow,
    /// Transient or internal.
    #[error(transparent)]
    Failed(#[from] PortError),
}

/// The table of blocks, for those who write blocks that stay in it for the whole retention.
#[derive(Clone, Debug)]
pub struct EventTable {
    pub name: String,
    pub retention: Duration,
}

impl EventTable {
    /// Returns the write of a block where there is none, as a part of a transaction. The sender bounds the time since the
    /// block's stamp by a [`StampGuard`].
    pub(crate) fn part(
        &self,
        tenant: &TenantId,
        shard: Shard,
        block: &StoredBlock,
    ) -> Result<TransactWriteItem, BuildError> {
        let expires_at = block.id.timestamp().saturating_add(self.retention).saturating_add(EXPIRY_GRACE);
        block_part(&self.name, tenant, shard, block, expires_at)
    }
}

/// Returns the write of a block where there is none, as a part of a transaction.
fn block_part(
    table: &str,
    tenant: &TenantId,
    shard: Shard,
    block: &StoredBlock,
    expires_at: Timestamp,
) -> Result<TransactWriteItem, BuildError> {
    let item = item::write_block(tenant, shard, block, expires_at);
    Write::put(item).when(Expression::new(IS_ABSENT)).returning_found().part(table)
}

fn record_part(
    table: &str,
    tenant: &TenantId,
    record: &IdempotencyRecord,
    stamp: Timestamp,
) -> Result<TransactWriteItem, BuildError> {
    let is_free = Expression::new(IS_ABSENT_OR_EXPIRED).with("now", seconds(stamp));
    Write::put(write_record(tenant, record, stamp)).when(is_free).returning_found().part(table)
}

/// Puts blocks and records, and never reads.
#[derive(Clone)]
pub struct EventWriter {
    client: Client,
    table: String,
}

impl fmt::Debug for EventWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventWriter").field("table", &self.table).finish_non_exhaustive()
    }
}

impl EventWriter {
    /// Creates a writer with its own client: without clock-skew correction, so that every request is signed with the time of
    /// this machine, and with the time-outs above.
    #[must_use]
    pub fn new(shared: &SdkConfig, table: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(WRITE_OPERATION_TIMEOUT)
            .operation_attempt_timeout(WRITE_ATTEMPT_TIMEOUT)
            .build();
        let configuration = aws_sdk_dynamodb::config::Builder::from(shared)
            .disable_clock_skew_correction(true)
            .timeout_config(timeouts)
            // It would wait for 20 s, and an attempt ends before. Without it, a write has a timer less.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_WRITE_ATTEMPTS))
            .build();
        Self { client: Client::from_conf(configuration), table }
    }

    /// Writes blocks that have one stamp and one expiry, and the idempotency records of the requests or messages in them.
    ///
    /// # Errors
    /// [`WriteError`]; then none of the blocks was written, or, after a transient one, all may have been.
    pub async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        expires_at: Timestamp,
        records: &[IdempotencyRecord],
    ) -> Result<StoreOutcome, WriteError> {
        match (blocks, records) {
            ([], _) => Err(PortError::internal(WRITE, "a write without blocks").into()),
            ([block], []) => self.put(tenant, shard, block, expires_at).await,
            (blocks, records) => self.put_all(tenant, shard, blocks, expires_at, records).await,
        }
    }

    async fn put(
        &self,
        tenant: &TenantId,
        shard: Shard,
        block: &StoredBlock,
        expires_at: Timestamp,
    ) -> Result<StoreOutcome, WriteError> {
        let guard = StampGuard::new(block.id.timestamp());
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::write_block(tenant, shard, block, expires_at)))
            .condition_expression(IS_ABSENT)
            .expression_attribute_names("#partition", PARTITION)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .interceptor(guard.clone())
            .send()
            .await;
        let Err(error) = answer else { return Ok(StoreOutcome::Written) };
        match refused(&error) {
            Some(found) => written_before(&found, block).map(|()| StoreOutcome::Written),
            None => Err(guard.classify(error)),
        }
    }

    async fn put_all(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        expires_at: Timestamp,
        records: &[IdempotencyRecord],
    ) -> Result<StoreOutcome, WriteError> {
        let items = blocks.len() + records.len();
        let length = blocks.iter().map(|block| block.deflate.len()).sum::<usize>() + items * MAX_ATTRIBUTES_LENGTH;
        let Some(first) = blocks.first().filter(|_| items <= MAX_TRANSACTION_ITEMS && length <= MAX_TRANSACTION_LENGTH)
        else {
            return Err(WriteError::TooLarge);
        };
        let stamp = first.id.timestamp();

        let mut transaction = Transaction::new(WRITE);
        let blocks: Vec<_> = blocks
            .iter()
            .map(|block| Ok((transaction.push(block_part(&self.table, tenant, shard, block, expires_at))?, block)))
            .collect::<Result<_, PortError>>()?;
        let records: Vec<_> = records
            .iter()
            .map(|record| Ok((transaction.push(record_part(&self.table, tenant, record, stamp))?, record)))
            .collect::<Result<_, PortError>>()?;

        let guard = StampGuard::new(stamp);
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(transaction.into_writes()))
            // Makes attempts after a lost answer count as one.
            .client_request_token(first.id.to_string())
            .customize()
            .interceptor(guard.clone())
            .send()
            .await;
        let Err(error) = answer else { return Ok(StoreOutcome::Written) };
        match Cancellation::of(&error) {
            Some(cancellation) => after_cancellation(&cancellation, &blocks, &records),
            None => Err(guard.classify(error)),
        }
    }
}

fn write_record(tenant: &TenantId, record: &IdempotencyRecord, stamp: Timestamp) -> Item {
    item([
        (PARTITION, text(format_args!("{tenant}{IDEMPOTENCY_PARTITION_SUFFIX}"))),
        (BLOCK_ID, text(&record.key_hash)),
        (BODY_HASH, binary(record.body_hash)),
        (ACCEPTED, number(record.accepted)),
        (EXPIRES_AT, seconds(stamp.saturating_add(IDEMPOTENCY_LIFETIME))),
    ])
}

/// Succeeds if the item under a block's ID is this block, from an attempt that was not answered.
fn written_before(found: &Item, block: &StoredBlock) -> Result<(), WriteError> {
    let found = Attributes(found);
    let is_same = found.number(CRC32C) == Ok(block.crc32c) && found.number(RAW_LENGTH) == Ok(block.raw_length);
    // Another block: two requests drew the same ID. The next attempt draws another one.
    if is_same { Ok(()) } else { Err(PortError::transient(WRITE, "another block has the same ID").into()) }
}

/// Classifies a cancelled transaction. A record that was found decides: its request was accepted before.
fn after_cancellation(
    cancellation: &Cancellation,
    blocks: &[(Part, &StoredBlock)],
    records: &[(Part, &IdempotencyRecord)],
) -> Result<StoreOutcome, WriteError> {
    let mut before = Vec::new();
    for (index, (part, record)) in records.iter().enumerate() {
        if let Some(found) = cancellation.refused(*part) {
            before.push(AcceptedBefore { index, accepted: accepted(found, record)? });
        }
    }
    if !before.is_empty() {
        return Ok(StoreOutcome::AcceptedBefore(before));
    }
    if let Some(failure) = cancellation.failure() {
        let detail = format!("transaction cancelled: {}", failure.codes);
        let failed = if failure.is_transient { PortError::transient } else { PortError::internal };
        return Err(failed(WRITE, detail).into());
    }
    let mut found = blocks.iter().filter_map(|(part, block)| Some((cancellation.refused(*part)?, *block)));
    let Some((first, block)) = found.next() else {
        return Err(PortError::internal(WRITE, "transaction cancelled without a reason").into());
    };
    written_before(first, block)?;
    found.try_for_each(|(found, block)| written_before(found, block)).map(|()| StoreOutcome::Written)
}

/// Returns the number of events that were accepted under the key of a record that was found.
fn accepted(found: &Item, record: &IdempotencyRecord) -> Result<u64, WriteError> {
    if found.is_empty() {
        return Err(PortError::internal(WRITE, "no idempotency record in the response").into());
    }
    let found = Attributes(found);
    if found.bytes(BODY_HASH) != Ok(&record.body_hash[..]) {
        return Err(WriteError::KeyReused);
    }
    Ok(found.number(ACCEPTED).map_err(PortError::from)?)
}

/// Holds back requests that are signed later than [`INGEST_WRITE_BOUND`] after the blocks were stamped: a function may be
/// frozen between the two. After the signature, AWS bounds how long a request can still take effect.
#[derive(Clone, Debug)]
pub(crate) struct StampGuard {
    stamp: Timestamp,
    /// Set when a request was held back. The SDK's error shows that only by its text.
    held_back: Arc<AtomicBool>,
}

impl StampGuard {
    pub(crate) fn new(stamp: Timestamp) -> Self {
        Self { stamp, held_back: Arc::new(AtomicBool::new(false)) }
    }

    pub(crate) fn has_held_back(&self) -> bool {
        self.held_back.load(Ordering::Acquire)
    }

    fn classify<E>(&self, error: SdkError<E, HttpResponse>) -> WriteError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        if self.has_held_back() { WriteError::TooSlow } else { port_error(WRITE, error).into() }
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
            .and_then(|source| source.now().duration_since(UNIX_EPOCH).ok())
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
