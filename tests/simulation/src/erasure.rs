//! The erasure of a tenant in a history, and what must not be left.

use bytes::Bytes;
use domain::{
    archive::TenantSegments, block::BlockId, configuration::ConfigurationKey, tenant::TenantId, time::Timestamp,
};
use export_engine::ports::PortError;

use crate::world::{ErasedTenant, WorldState};

impl WorldState {
    /// Begins the erasure of a tenant. Nobody restores what is missing of it from now on.
    pub(crate) fn begin_erasure(&mut self, erased: ErasedTenant) {
        self.archive.lost = self.archive.lost.take().filter(|((owner, _), _)| *owner != erased.tenant);
        self.erasure.erased = Some(erased);
    }

    /// Ends an erasure: what is still stored of the tenant was received since, and has to be kept and exported from now on.
    pub(crate) fn end_erasure(&mut self) {
        let Some(ErasedTenant { tenant, .. }) = self.erasure.erased.take() else { return };
        let Self { landed, blocks, archive, erasure, .. } = self;
        let of_tenant: Vec<_> = blocks.iter().filter(|((owner, _), _)| *owner == tenant).map(|(_, of)| of).collect();
        if let Some(landed) = landed.get_mut(&tenant) {
            erasure.landed.clone_from(landed);
            landed.retain(|id, _| of_tenant.iter().any(|blocks| blocks.contains_key(id)) || archive.has(&tenant, *id));
        }
    }

    /// Returns what is stored of an erased tenant that was received before this time, and whatever there is of its exports.
    pub(crate) fn remains(&self, tenant: &TenantId, before: Timestamp) -> Vec<String> {
        let end = BlockId::lowest_at(before);
        let blocks = self.blocks.iter().filter(|((owner, _), _)| owner == tenant).flat_map(|(_, blocks)| blocks.keys());
        let blocks = blocks.filter(|id| **id < end).map(|id| format!("the block {id}"));
        let references = self.archive.references.keys().filter(|(owner, id)| owner == tenant && *id < end);
        let references = references.map(|(_, id)| format!("the reference {id}"));
        let prefixes: Vec<_> = TenantSegments(tenant).prefixes().collect();
        let objects = self.archive.objects.keys().filter(|(_, key)| {
            prefixes.iter().any(|prefix| key.starts_with(prefix)) && last_block(key).is_none_or(|last| last < end)
        });
        let objects = objects.map(|(bucket, key)| format!("{key} in {bucket}"));
        let corrupt = self.corrupt_blocks.keys().filter(|(owner, id)| owner == tenant && *id < end);
        let corrupt = corrupt.map(|(_, id)| format!("the record of the corrupt block {id}"));
        let keys =
            self.runs.keys().chain(self.configurations.keys()).chain(self.replays.keys()).chain(self.repairs.keys());
        let exports = keys.filter(|key| key.tenant_id == *tenant).map(|key| format!("something of the export {key}"));
        blocks.chain(references).chain(objects).chain(corrupt).chain(exports).collect()
    }

    /// Returns the blocks that were ever stored for an export, and every one of which it has to deliver.
    pub(crate) fn landed_for(&self, key: &ConfigurationKey) -> impl Iterator<Item = (&BlockId, &Bytes)> {
        let is_erased = self.erasure.exports.contains_key(key) && !self.erasure.landed.is_empty();
        let of_erased = is_erased.then_some(&self.erasure.landed);
        of_erased.or_else(|| self.landed.get(&key.tenant_id)).into_iter().flatten()
    }

    /// Returns whether a failure is what has to happen: blocks may be gone, a reference is, or the tenant is being erased.
    pub(crate) fn explains(&self, error: &PortError, tenant: &TenantId) -> bool {
        let is_of_archive = ["read archive", "read segment"].contains(&error.operation);
        self.archive.explains(error) || (is_of_archive && self.erasure.concerns(tenant))
    }
}

/// Returns the last block of a segment, by its key.
fn last_block(key: &str) -> Option<BlockId> {
    let (_, name) = key.rsplit_once('/')?;
    BlockId::parse(name.split('-').nth(1)?).ok()
}
