//! The deletions of an erasure. What a call lists, another one deletes: a late deletion has its old list.

use domain::{
    archive::{ArchiveRow, TenantSegments},
    configuration::{ConfigurationKey, bucket::BucketName},
    tenant::TenantId,
};
use export_engine::ports::{ArchiveReset, EventPartition, ItemEraser, PortError, SegmentEraser};

use super::process::{PAGE_BLOCKS, Ports};
use crate::{bug::KnownBug, world::WorldState};

impl ItemEraser for Ports {
    async fn erase_items(&self, tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        let of_shard = match partition {
            EventPartition::Blocks(shard) => Some((tenant.clone(), shard)),
            EventPartition::Segments => None,
            // Nobody writes them here.
            EventPartition::Quota | EventPartition::Idempotency => return Ok(0),
        };
        let owner = tenant.clone();
        let list = move |state: &mut WorldState| {
            if let Some(name) = &of_shard {
                return Ok(state.blocks.get(name).into_iter().flatten().map(|(id, _)| *id).take(PAGE_BLOCKS).collect());
            }
            let references = state.archive.references.keys().filter(|(of, _)| *of == owner);
            Ok(references.map(|(_, id)| *id).take(PAGE_BLOCKS).collect::<Vec<_>>())
        };
        let listed = self.repeated("list events to erase", list).await?;
        let count = listed.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        let tenant = tenant.clone();
        let delete = move |state: &mut WorldState| {
            for id in &listed {
                if let EventPartition::Blocks(shard) = partition {
                    state.blocks.entry((tenant.clone(), shard)).or_default().remove(id);
                } else {
                    state.archive.references.remove(&(tenant.clone(), *id));
                }
            }
            Ok(())
        };
        self.repeated("erase events", delete).await?;
        Ok(count)
    }
}

impl SegmentEraser for Ports {
    async fn erase_segments(&self, tenant: &TenantId) -> Result<u64, PortError> {
        let (tenant, bucket) = (tenant.clone(), self.archive_bucket.as_str().to_owned());
        let is_by_reference = self.has(KnownBug::ErasureByReference);
        let list = move |state: &mut WorldState| {
            let prefixes: Vec<_> = TenantSegments(&tenant).prefixes().collect();
            let references = &state.archive.references;
            let is_listed = |key: &str| {
                let mut named = references.values().map(|segment| segment.object_key.as_str());
                prefixes.iter().any(|prefix| key.starts_with(prefix))
                    && (!is_by_reference || named.any(|named| named == key))
            };
            let objects = state.archive.objects.keys().filter(|(name, key)| *name == bucket && is_listed(key));
            Ok(objects.take(PAGE_BLOCKS).cloned().collect::<Vec<_>>())
        };
        let found = self.repeated("list segments to erase", list).await?;
        let count = found.len() as u64;
        if count == 0 {
            return Ok(0);
        }
        let delete = move |state: &mut WorldState| {
            for name in &found {
                state.erasure.segments += u64::from(state.archive.objects.remove(name).is_some());
            }
            Ok(())
        };
        self.repeated("erase segments", delete).await?;
        Ok(count)
    }
}

impl ArchiveReset for Ports {
    async fn archive_bucket(&self, tenant: &TenantId) -> Result<Option<BucketName>, PortError> {
        let tenant = tenant.clone();
        let effect =
            move |state: &mut WorldState| Ok(state.archive.rows.get(&tenant).and_then(|row| row.bucket.clone()));
        self.world.call("read bucket of archive", effect).await
    }

    async fn reset_archive_row(&self, row: &ArchiveRow) -> Result<(), PortError> {
        let (row, keeps) = (row.clone(), self.has(KnownBug::ErasureKeepsRow));
        let effect = move |state: &mut WorldState| {
            if let Some(stored) = state.archive.rows.get_mut(&row.tenant).filter(|_| !keeps) {
                *stored = row.clone();
            }
            Ok(())
        };
        self.world.call("reset registry row", effect).await
    }
}

/// The other tables, as the housekeeper erases them.
impl Ports {
    /// Deletes configurations and their states, then the records of replays and repairs. Returns whether there was a configuration.
    pub(crate) async fn erase_configurations(&self, tenant: &TenantId) -> Result<bool, PortError> {
        let keys = self.list_of(tenant, |state| state.configurations.keys().cloned().collect()).await?;
        for key in &keys {
            let name = key.clone();
            let delete = move |state: &mut WorldState| {
                state.configurations.remove(&name);
                Ok(())
            };
            self.repeated("erase configuration", delete).await?;
            self.erase_run(key).await?;
        }
        let list = |state: &WorldState| state.replays.keys().chain(state.repairs.keys()).cloned().collect();
        for key in self.list_of(tenant, list).await? {
            let delete = move |state: &mut WorldState| {
                state.replays.remove(&key);
                state.repairs.remove(&key);
                Ok(())
            };
            self.repeated("erase record", delete).await?;
        }
        Ok(!keys.is_empty())
    }

    /// Deletes the items of the runs table.
    pub(crate) async fn erase_runs(&self, tenant: &TenantId) -> Result<(), PortError> {
        for key in self.list_of(tenant, |state| state.runs.keys().cloned().collect()).await? {
            self.erase_run(&key).await?;
        }
        let tenant = tenant.clone();
        let delete = move |state: &mut WorldState| {
            state.corrupt_blocks.retain(|(owner, _), _| *owner != tenant);
            state.shares.retain(|(owner, ..), _| *owner != tenant);
            Ok(())
        };
        self.repeated("erase shares and corrupt blocks", delete).await
    }

    async fn erase_run(&self, key: &ConfigurationKey) -> Result<(), PortError> {
        let key = key.clone();
        let delete = move |state: &mut WorldState| {
            // A run that had read its configuration before may have begun another one. It delivers nothing.
            if let Some(items) = state.runs.remove(&key) {
                state.erasure.exports.entry(key.clone()).or_insert(items);
            }
            Ok(())
        };
        self.repeated("erase run", delete).await
    }

    async fn list_of(
        &self,
        tenant: &TenantId,
        list: impl Fn(&WorldState) -> Vec<ConfigurationKey> + Clone + Send + 'static,
    ) -> Result<Vec<ConfigurationKey>, PortError> {
        let tenant = tenant.clone();
        let effect =
            move |state: &mut WorldState| Ok(list(state).into_iter().filter(|key| key.tenant_id == tenant).collect());
        self.repeated("list items to erase", effect).await
    }
}
