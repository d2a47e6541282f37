//! Assembling the next object of a window from blocks.

use bytes::{Bytes, BytesMut};
use domain::{
    block::{BlockId, MAX_BLOCK_STORED_LENGTH, StoredBlock},
    configuration::ConfigurationKey,
    digest::{DigestObject, Hex32},
    encoded_object::Content,
    export_format::ExportFormat,
    export_run::{Checkpoint, Plan},
    object_key,
    tenant::TenantId,
    time::Timestamp,
};
use sha2::{Digest, Sha256};
use tokio::task::yield_now;

use crate::{
    merge::BlockMerge,
    ports::{BlockSource, Encoders, ObjectEncoder, PortError},
};

/// The NDJSON that is added to an object before other tasks of the run get their turn, such as requests in flight.
/// Compressing this much takes about 10 ms.
pub(crate) const TURN_RAW_LENGTH: u64 = 1024 * 1024;

/// The most memory that is reserved in advance, whatever a plan says. Pages that are never written to take no memory.
pub(crate) const MAX_RESERVED_LENGTH: usize = 16 * 1024 * 1024;

/// An object of the export, complete in memory.
#[derive(Clone, Debug)]
pub(crate) struct DataObject {
    /// Its entry in the digest.
    pub(crate) description: DigestObject,
    pub(crate) format: ExportFormat,
    pub(crate) bytes: Bytes,
    /// The window's checkpoint once this object is in the bucket.
    pub(crate) checkpoint: Checkpoint,
}

impl DataObject {
    /// Returns the buffer for another object, if no one else holds the bytes. So a run reuses the memory of its two objects.
    pub(crate) fn into_buffer(self) -> Option<BytesMut> {
        self.bytes.try_into_mut().ok()
    }
}

/// Allocates the buffer of one object of the plan.
fn buffer(plan: &Plan) -> BytesMut {
    let target = usize::try_from(plan.limits.target_stored_length).unwrap_or(usize::MAX);
    BytesMut::with_capacity(target.min(MAX_RESERVED_LENGTH).saturating_add(MAX_BLOCK_STORED_LENGTH))
}

/// The parameters that all objects of a window share.
pub(crate) struct Assembly<'a, E> {
    pub(crate) key: &'a ConfigurationKey,
    pub(crate) plan: &'a Plan,
    pub(crate) encoders: &'a E,
    /// Skipped blocks, in order.
    pub(crate) skipped: &'a [BlockId],
}

impl<E: Encoders> Assembly<'_, E> {
    /// Assembles the object that follows `delivered`, in `reused` if given. `None`: the window has ended.
    ///
    /// An object ends before a block of another UTC day, before a skipped block, and with the block that reaches a target
    /// size of the plan.
    pub(crate) async fn next(
        &self,
        blocks: &mut BlockMerge<'_, impl BlockSource>,
        delivered: Checkpoint,
        reused: Option<BytesMut>,
    ) -> Result<Option<DataObject>, PortError> {
        let Some(first_block) = blocks.peek().await? else { return Ok(None) };
        let buffer = reused.unwrap_or_else(|| buffer(self.plan));
        let encoder = self.encoders.encoder(self.plan.encoder_version, buffer);
        let Some((format, mut encoder)) = self.plan.format().zip(encoder) else {
            let detail = format!("the window was planned with encoder {}", self.plan.encoder_version);
            return Err(PortError::internal("encode objects", detail));
        };
        let (mut oldest_event, mut newest_event) = (Timestamp::MAX, Timestamp::EPOCH);
        let mut last_block = first_block;
        let day = first_block.timestamp().utc_day();
        let next_skipped = self.skipped.iter().find(|skipped| **skipped > first_block);
        let mut turn_ends_at = TURN_RAW_LENGTH;
        while let Some(next) = blocks.peek().await? {
            let is_full = encoder.stored_length() >= self.plan.limits.target_stored_length
                || encoder.raw_length() >= self.plan.limits.target_raw_length;
            let is_behind_skipped = next_skipped.is_some_and(|skipped| next > *skipped);
            if is_full || is_behind_skipped || next.timestamp().utc_day() != day {
                break;
            }
            let Some(block) = blocks.next().await? else { break };
            check(&block, &self.key.tenant_id)?;
            last_block = block.id;
            oldest_event = oldest_event.min(block.oldest_event);
            newest_event = newest_event.max(block.newest_event);
            encoder.push(block)?;
            if encoder.raw_length() >= turn_ends_at {
                turn_ends_at = encoder.raw_length() + TURN_RAW_LENGTH;
                blocks.poll_reads();
                yield_now().await;
            }
        }
        let object = encoder.finish()?;
        let Content { raw_length, crc32, event_count, block_count } = object.content;
        let description = DigestObject {
            bucket: self.plan.destination.bucket_name.clone(),
            key: object_key::data_object(
                &self.plan.destination,
                self.key.configuration_id,
                format,
                first_block,
                last_block,
            ),
            sha256: Hex32(Sha256::digest(&object.bytes).into()),
            stored_length: object.bytes.len() as u64,
            crc32,
            raw_length,
            events: event_count,
            first_block,
            last_block,
            oldest_event,
            newest_event,
        };
        let checkpoint = Checkpoint {
            last_block: Some(last_block),
            objects: delivered.objects + 1,
            blocks: delivered.blocks + u64::from(block_count),
            events: delivered.events + description.events,
            raw_bytes: delivered.raw_bytes + description.raw_length,
            stored_bytes: delivered.stored_bytes + description.stored_length,
        };
        Ok(Some(DataObject { description, format, bytes: object.bytes, checkpoint }))
    }
}

/// Checks a block before anything of it is written: against corruption, and against a copy under another tenant's key or
/// another ID.
pub(crate) fn check(block: &StoredBlock, tenant: &TenantId) -> Result<(), PortError> {
    Ok(block.check(tenant)?)
}
