//! Assembling the next objects of a window from blocks.

use bytes::{Bytes, BytesMut};
use domain::{
    block::{BlockId, MAX_BLOCK_STORED_LENGTH, StoredBlock},
    configuration::ConfigurationKey,
    digest::{DigestObject, Hex32},
    encoded_object::{Content, EncodedObject},
    encoding::Encoding,
    export_format::ExportFormat,
    export_run::{Checkpoint, Plan},
    object_key,
    tenant::TenantId,
};

use crate::{
    merge::BlockMerge,
    ports::{BlockSource, Encoders, ObjectEncoder, PortError},
};

/// The most NDJSON that is read for an object, as a multiple of the target size of its plan. Without a filter an object ends
/// long before. With one that leaves out nearly everything, each slice of a run ends with progress all the same.
const MAX_READ_RATIO: u64 = 8;

/// The most memory that is reserved in advance, whatever a plan says. Pages that are never written to take no memory.
pub(crate) const MAX_RESERVED_LENGTH: usize = 16 * 1024 * 1024;

/// An object of the export, complete in memory.
#[derive(Clone, Debug)]
pub(crate) struct DataObject {
    /// Its entry in the digest.
    pub(crate) description: DigestObject,
    pub(crate) format: ExportFormat,
    pub(crate) bytes: Bytes,
}

/// What consecutive blocks become: an object, or none if the filter leaves out all of their events.
#[derive(Clone, Debug)]
pub(crate) struct Assembled {
    pub(crate) objects: Vec<DataObject>,
    /// The window's checkpoint once the objects are in the bucket.
    pub(crate) checkpoint: Checkpoint,
}

impl Assembled {
    /// Returns the buffer for another object, if no one else holds the bytes. So a run reuses the memory of its objects.
    pub(crate) fn into_buffer(mut self) -> Option<BytesMut> {
        self.objects.pop().and_then(|object| object.bytes.try_into_mut().ok())
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
    /// Assembles the objects of the blocks that follow `delivered`, in `reused` if given. `None`: the window has ended.
    ///
    /// They end before a block of another UTC day, before a skipped block, with the block that reaches a target size of the
    /// plan, and with the block that brings what was read to [`MAX_READ_RATIO`] times the target size.
    pub(crate) async fn next(
        &self,
        blocks: &mut BlockMerge<'_, impl BlockSource>,
        delivered: Checkpoint,
        reused: Option<BytesMut>,
    ) -> Result<Option<Assembled>, PortError> {
        let Some(first_block) = blocks.peek().await? else { return Ok(None) };
        let buffer = reused.unwrap_or_else(|| buffer(self.plan));
        let encoding = self.plan.encoding();
        let encoder = encoding.and_then(|encoding| {
            let encoder = self.encoders.encoder(self.plan.encoder_version, &encoding, buffer)?;
            Some((encoding, encoder))
        });
        let Some((encoding, mut encoder)) = encoder else {
            let detail = format!("the window was planned with encoder {}", self.plan.encoder_version);
            return Err(PortError::internal("encode objects", detail));
        };
        let mut read = BlocksRead { first: first_block, last: first_block, blocks: 0, events: 0, raw_length: 0 };
        let day = first_block.timestamp().utc_day();
        let next_skipped = self.skipped.iter().find(|skipped| **skipped > first_block);
        let most_read = self.plan.limits.target_raw_length.saturating_mul(MAX_READ_RATIO);
        while let Some(next) = blocks.peek().await? {
            let is_full = encoder.stored_length() >= self.plan.limits.target_stored_length
                || encoder.raw_length() >= self.plan.limits.target_raw_length
                || read.raw_length >= most_read;
            let is_behind_skipped = next_skipped.is_some_and(|skipped| next > *skipped);
            if is_full || is_behind_skipped || next.timestamp().utc_day() != day {
                break;
            }
            let Some(block) = blocks.next().await? else { break };
            check(&block, &self.key.tenant_id)?;
            read.add(&block);
            encoder.push(block)?;
            blocks.yield_turn().await;
        }
        let objects: Vec<_> =
            encoder.finish()?.into_iter().map(|object| self.describe(object, &encoding, &read)).collect();
        let sum =
            |value: fn(&DigestObject) -> u64| objects.iter().map(|object| value(&object.description)).sum::<u64>();
        let events = sum(|object| object.events);
        let checkpoint = Checkpoint {
            last_block: Some(read.last),
            objects: delivered.objects + objects.len() as u64,
            blocks: delivered.blocks + read.blocks,
            events: delivered.events + events,
            left_out: delivered.left_out + read.events.saturating_sub(events),
            raw_bytes: delivered.raw_bytes + sum(|object| object.raw_length),
            stored_bytes: delivered.stored_bytes + sum(|object| object.stored_length),
        };
        Ok(Some(Assembled { objects, checkpoint }))
    }

    fn describe(&self, object: EncodedObject, encoding: &Encoding, read: &BlocksRead) -> DataObject {
        let EncodedObject { bytes, content, records } = object;
        let Content { raw_length, crc32, event_count, oldest_event, newest_event } = content;
        let (destination, configuration_id) = (&self.plan.destination, self.key.configuration_id);
        let class = records.map(|records| records.class);
        let description = DigestObject {
            bucket: destination.bucket_name.clone(),
            key: object_key::data_object(destination, configuration_id, encoding, class, read.first, read.last),
            sha256: Hex32::sha256_of(&bytes),
            stored_length: bytes.len() as u64,
            crc32,
            raw_length,
            events: event_count,
            first_block: read.first,
            last_block: read.last,
            oldest_event,
            newest_event,
            class,
            other: records.map(|records| records.other),
        };
        DataObject { description, format: encoding.format, bytes }
    }
}

/// The blocks that were read for some objects.
#[derive(Debug)]
struct BlocksRead {
    first: BlockId,
    last: BlockId,
    blocks: u64,
    events: u64,
    raw_length: u64,
}

impl BlocksRead {
    fn add(&mut self, block: &StoredBlock) {
        self.last = block.id;
        self.blocks += 1;
        self.events += u64::from(block.event_count);
        self.raw_length += u64::from(block.raw_length);
    }
}

/// Checks a block before anything of it is written: against corruption, and against a copy under another tenant's key or
/// another ID.
pub(crate) fn check(block: &StoredBlock, tenant: &TenantId) -> Result<(), PortError> {
    Ok(block.check(tenant)?)
}
