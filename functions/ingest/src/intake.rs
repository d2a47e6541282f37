//! Stamping, packing and storing of events from requests and messages.

use std::{
    num::NonZeroU8,
    sync::{Mutex, PoisonError},
};

use aws_adapters::events::writer::{AcceptedBefore, IdempotencyRecord, StoreOutcome, WriteError};
use domain::{
    block::{BlockId, EncodeError, INGEST_WRITE_BOUND, Packer, Shard, StoredBlock},
    error_code::ErrorCode,
    event::{EventBatch, Rejection},
    tenant::TenantId,
};
use export_engine::ports::{ErrorKind, PortError};
use function_runtime::http_error::ErrorBody;
use http::StatusCode;

use crate::ports::{BlockWriter, Host};

/// The mark of a failure that is not over by itself. Messages of a queue are received again for hours, so no metric of the function
/// or the queue shows it in time.
const EVENTS_NOT_STORED: &str = "EVENTS_NOT_STORED";

/// The reason why valid events were not accepted. The producer may send them again. Events that were stored despite the
/// error are then stored twice, with the same event IDs.
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

/// The outcome for valid events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AcceptOutcome {
    /// This number of events was stored.
    Stored(u64),
    /// Nothing was stored, because the events of these records had been accepted before.
    AcceptedBefore(Vec<AcceptedBefore>),
}

/// Stamps, packs and stores events.
pub(crate) struct Intake<W, H> {
    pub(crate) writer: W,
    pub(crate) host: H,
    /// The number of a tenant's shards that are written to.
    pub(crate) write_shards: NonZeroU8,
    /// Kept from request to request, because allocating and clearing its memory takes longer than packing an event.
    pub(crate) packer: Mutex<Packer>,
}

impl<W: BlockWriter, H: Host> Intake<W, H> {
    /// Stores all events of one request, or of messages with one record each, or none of them.
    ///
    /// The stamp is taken directly before packing and writing. The write counts as successful only if it took less than
    /// [`INGEST_WRITE_BOUND`]: once that stamp has settled, an export may read up to it, and no event may be stored
    /// behind it.
    pub(crate) async fn accept(
        &self,
        events: &EventBatch,
        records: &[IdempotencyRecord],
    ) -> Result<AcceptOutcome, IntakeError> {
        let tenant = events.tenant();
        let stamp = self.host.now();
        let random = self.host.bits();
        let blocks = self.pack(events, BlockId::from_parts(stamp, random)).map_err(|error| {
            tracing::error!(tenant = tenant.as_str(), %error, alarm = EVENTS_NOT_STORED, "events can't be packed");
            IntakeError::Internal
        })?;
        let outcome = self.writer.write(tenant, Shard::draw(random, self.write_shards), &blocks, records).await;
        let elapsed = self.host.now().saturating_since(stamp);
        match outcome {
            Ok(StoreOutcome::Written) if elapsed < INGEST_WRITE_BOUND => {
                tracing::info!(
                    tenant = tenant.as_str(),
                    events = events.len(),
                    blocks = blocks.len(),
                    raw_bytes = blocks.iter().map(|block| u64::from(block.raw_length)).sum::<u64>(),
                    stored_bytes = blocks.iter().map(|block| block.deflate.len()).sum::<usize>(),
                    milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                    "events were stored"
                );
                Ok(AcceptOutcome::Stored(u64::try_from(events.len()).unwrap_or(u64::MAX)))
            }
            Ok(StoreOutcome::AcceptedBefore(before)) => {
                let events = before.iter().map(|before| before.accepted).sum::<u64>();
                tracing::info!(tenant = tenant.as_str(), events, "events had been accepted before");
                Ok(AcceptOutcome::AcceptedBefore(before))
            }
            Ok(StoreOutcome::Written) => {
                tracing::warn!(
                    tenant = tenant.as_str(),
                    elapsed_seconds = elapsed.as_secs(),
                    "events were stored late"
                );
                Err(IntakeError::TooSlow)
            }
            Err(error) => Err(intake_error(tenant, &error)),
        }
    }

    fn pack(&self, events: &EventBatch, first_id: BlockId) -> Result<Vec<StoredBlock>, EncodeError> {
        // Each call clears what the one before has left.
        let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
        packer.pack(events.tenant(), events, first_id)
    }
}

/// Logs a failed write, and returns the error without the details that only the log may have.
fn intake_error(tenant: &TenantId, error: &WriteError) -> IntakeError {
    let tenant = tenant.as_str();
    match error {
        WriteError::KeyReused => IntakeError::KeyReused,
        WriteError::TooLarge => IntakeError::TooLarge,
        WriteError::TooSlow => {
            tracing::warn!(tenant, %error, "events were not stored");
            IntakeError::TooSlow
        }
        WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }) => {
            tracing::warn!(tenant, %error, "events were not stored");
            IntakeError::TryAgain
        }
        WriteError::Failed(_) => {
            tracing::error!(tenant, %error, alarm = EVENTS_NOT_STORED, "events were not stored");
            IntakeError::Internal
        }
    }
}
