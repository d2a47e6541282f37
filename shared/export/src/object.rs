//! Joining blocks into the next object of a window.

use bytes::Bytes;
use domain::{
    block::StoredBlock,
    configuration::ConfigurationKey,
    export_run::{Checkpoint, Plan},
    gzip::ObjectEncoder,
    object_key,
    tenant::TenantId,
};
use sha2::{Digest, Sha256};

use crate::{
    merge::BlockMerge,
    ports::{BlockSource, PortError},
};

/// An object of the export, complete in memory.
#[derive(Clone, Debug)]
pub(crate) struct DataObject {
    pub(crate) key: String,
    pub(crate) bytes: Bytes,
    pub(crate) sha256: [u8; 32],
    /// What the window's checkpoint becomes once this is in the bucket.
    pub(crate) checkpoint: Checkpoint,
}

/// The object that follows `delivered`; `None` at the end of the window.
///
/// It ends before a block of another UTC day, and with the block that brings it to a target of the plan.
pub(crate) async fn assemble_next(
    blocks: &mut BlockMerge<'_, impl BlockSource>,
    key: &ConfigurationKey,
    plan: &Plan,
    delivered: Checkpoint,
) -> Result<Option<DataObject>, PortError> {
    let Some(first) = blocks.peek().await?.map(|block| block.id) else { return Ok(None) };
    let day = first.timestamp().utc_date();
    let mut last = first;
    let mut encoder = ObjectEncoder::new();
    while let Some(next) = blocks.peek().await?.map(|block| block.id) {
        let is_full = encoder.stored_length() as u64 >= plan.target_stored_length
            || encoder.raw_length() >= plan.target_raw_length;
        if is_full || next.timestamp().utc_date() != day {
            break;
        }
        let Some(block) = blocks.next().await? else { break };
        check(&block, &key.tenant_id)?;
        last = block.id;
        encoder.push(&block);
    }
    let object = encoder.finish();
    Ok(Some(DataObject {
        key: object_key::data_object(&plan.destination, key.configuration_id, first, last),
        sha256: Sha256::digest(&object.bytes).into(),
        checkpoint: Checkpoint {
            last_block: Some(last),
            objects: delivered.objects + 1,
            blocks: delivered.blocks + u64::from(object.block_count),
            events: delivered.events + object.event_count,
            raw_bytes: delivered.raw_bytes + object.raw_length,
            stored_bytes: delivered.stored_bytes + object.bytes.len() as u64,
        },
        bytes: object.bytes,
    }))
}

fn check(block: &StoredBlock, tenant: &TenantId) -> Result<(), PortError> {
    block.verify(tenant).map_err(|corrupt| PortError::internal("verify block", format!("{}: {corrupt}", block.id)))
}
