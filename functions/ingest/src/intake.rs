//! Stamps events, packs them into blocks and stores those: what HTTP and the queue have in common.

use std::num::NonZeroU8;

use aws_adapters::events::writer::{AcceptedBefore, EventWriter, IdempotencyRecord, WriteError, WriteOutcome};
use domain::{
    block::{BlockId, INGEST_WRITE_BOUND, Shard, StoredBlock, pack},
    error_code::ErrorCode,
    event::{EventBatch, Rejection},
    tenant::TenantId,
};
use function_runtime::http_error::ErrorBody;
use http::StatusCode;

use crate::host::Host;

/// Where blocks go.
pub(crate) trait BlockStore: Send + Sync {
    /// As [`EventWriter::write`].
    fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> impl Future<Output = Result<WriteOutcome, WriteError>> + Send;
}

impl BlockStore for EventWriter {
    async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> Result<WriteOutcome, WriteError> {
        EventWriter::write(self, tenant, shard, blocks, records).await
    }
}

/// Why events were not accepted although nothing is wrong with them. The producer may send them again; what was stored
/// all the same is then there twice, with the same event ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error("The Idempotency-Key was used for other events within the last 24 hours; use a new key for them.")]
    KeyReused,
    #[error("The events take too much room even after compression; send them in several smaller requests.")]
    TooLarge,
    #[error("Storing the events took too long. Send them again, with the same Idempotency-Key if they had one.")]
    TooSlow,
    #[error("The events can't be stored at the moment. Send them again later.")]
    TryAgain,
    #[error("The events could not be stored because of a fault in the service.")]
    Internal,
}

impl IntakeError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::KeyReused => ErrorCode::IdempotencyKeyReused,
            Self::TooLarge => Rejection::BodyTooLarge.code(),
            Self::TooSlow => ErrorCode::WriteTooSlow,
            Self::TryAgain => ErrorCode::TryAgain,
            Self::Internal => ErrorCode::Internal,
        }
    }
}

impl From<IntakeError> for ErrorBody {
    fn from(error: IntakeError) -> Self {
        let status = match error {
            IntakeError::KeyReused => StatusCode::CONFLICT,
            IntakeError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            IntakeError::TooSlow | IntakeError::TryAgain => StatusCode::SERVICE_UNAVAILABLE,
            IntakeError::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// What became of events that nothing is wrong with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// They are stored, so many of them.
    Now(u64),
    /// Nothing was stored: those of these records had been accepted before.
    Before(Vec<AcceptedBefore>),
}

/// Stamps, packs and stores.
pub(crate) struct Intake<S, H> {
    pub(crate) store: S,
    pub(crate) host: H,
    /// How many of a tenant's shards are written to.
    pub(crate) write_shards: NonZeroU8,
}

impl<S: BlockStore, H: Host> Intake<S, H> {
    /// Stores the events of one request, or of messages with a record each: all of them, or none.
    ///
    /// The stamp is taken here, right before packing and writing. Success is told only if [`INGEST_WRITE_BOUND`] has not
    /// passed since: an export may read up to that stamp once it has settled, and nothing may land behind it.
    pub(crate) async fn accept(
        &self,
        events: &EventBatch,
        records: &[IdempotencyRecord],
    ) -> Result<Accepted, IntakeError> {
        let tenant = events.tenant();
        let stamp = self.host.now();
        let random = self.host.random();
        let blocks = pack(tenant, events, BlockId::from_parts(stamp, random)).map_err(|error| {
            tracing::error!(tenant = tenant.as_str(), %error, "events can't be packed");
            IntakeError::Internal
        })?;
        let outcome = self.store.write(tenant, Shard::draw(random, self.write_shards), &blocks, records).await;
        let elapsed = self.host.now().saturating_since(stamp);
        match outcome {
            Ok(WriteOutcome::Written) if elapsed < INGEST_WRITE_BOUND => {
                tracing::info!(
                    tenant = tenant.as_str(),
                    events = events.len(),
                    blocks = blocks.len(),
                    raw_bytes = blocks.iter().map(|block| u64::from(block.raw_length)).sum::<u64>(),
                    stored_bytes = blocks.iter().map(|block| block.deflate.len()).sum::<usize>(),
                    milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                    "events were stored"
                );
                Ok(Accepted::Now(u64::try_from(events.len()).unwrap_or(u64::MAX)))
            }
            Ok(WriteOutcome::AcceptedBefore(before)) => {
                let events = before.iter().map(|before| before.accepted).sum::<u64>();
                tracing::info!(tenant = tenant.as_str(), events, "events had been accepted before");
                Ok(Accepted::Before(before))
            }
            Ok(WriteOutcome::Written) => {
                tracing::warn!(
                    tenant = tenant.as_str(),
                    elapsed_seconds = elapsed.as_secs(),
                    "events were stored late"
                );
                Err(IntakeError::TooSlow)
            }
            Err(error) => Err(told(tenant, &error)),
        }
    }
}

/// What the producer is told of a failed write; the rest is for the log.
fn told(tenant: &TenantId, error: &WriteError) -> IntakeError {
    let tenant = tenant.as_str();
    match error {
        WriteError::KeyReused => IntakeError::KeyReused,
        WriteError::TooLarge => IntakeError::TooLarge,
        WriteError::TooSlow => {
            tracing::warn!(tenant, %error, "events were not stored");
            IntakeError::TooSlow
        }
        WriteError::TryAgain(_) => {
            tracing::warn!(tenant, %error, "events were not stored");
            IntakeError::TryAgain
        }
        WriteError::Internal(_) => {
            tracing::error!(tenant, %error, "events were not stored");
            IntakeError::Internal
        }
    }
}
