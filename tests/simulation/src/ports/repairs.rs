//! The repairs, and the completed windows that they read.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use domain::{
    configuration::ConfigurationKey,
    digest::{Digest, DigestReference, Hex32},
    encoded_object::{Content, EncodedObject},
    export_run::{ExportState, WindowRecord},
    repair::{Repair, RepairStatus},
};
use export_engine::{
    ports::{CompletedWindows, Encoders, ObjectEncoder, PortError, RepairStore, SealedDigest},
    repair::RepairPorts,
};

use super::{encoders::Release, process::Ports};
use crate::{
    bug::KnownBug,
    world::{RunItems, WorldState},
};

impl RepairPorts for Ports {
    type Repairs = Self;
    type Windows = Self;
}

impl RepairStore for Ports {
    async fn load_repair(&self, key: &ConfigurationKey) -> Result<Option<Repair>, PortError> {
        let (key, skips) = (key.clone(), self.has(KnownBug::RepairPlaceLost));
        let effect = move |state: &mut WorldState| {
            let mut found = state.repairs.get(&key).cloned();
            if let Some(repair) = &mut found
                && skips
                && repair.status == RepairStatus::Running
            {
                repair.position.files += 1;
            }
            Ok(found)
        };
        self.world.call("load repair", effect).await
    }

    async fn store_repair(&self, key: &ConfigurationKey, repair: &Repair) -> Result<(), PortError> {
        let (key, repair, ignores) = (key.clone(), repair.clone(), self.has(KnownBug::RepairNotFenced));
        let effect = move |state: &mut WorldState| match state.repairs.get_mut(&key) {
            Some(stored) if stored.id == repair.id && (ignores || stored.revision + 1 == repair.revision) => {
                *stored = repair.clone();
                Ok(())
            }
            _ => Err(PortError::fenced("store repair", "another process has gone on with the repair")),
        };
        self.world.call("store repair", effect).await
    }
}

impl CompletedWindows for Ports {
    async fn state(&self, key: &ConfigurationKey) -> Result<Option<ExportState>, PortError> {
        let (key, forges) = (key.clone(), self.has(KnownBug::RepairNotProven));
        let encoders = self.release.of_converter();
        let effect = move |state: &mut WorldState| {
            let Some(items) = state.runs.get(&key) else { return Ok(None) };
            let mut found = items.state.clone();
            if forges {
                found.head = forged_chain(state, &key, items, encoders).1;
            }
            Ok(Some(found))
        };
        self.world.call("read state", effect).await
    }

    async fn record(&self, key: &ConfigurationKey, sequence: u64) -> Result<Option<WindowRecord>, PortError> {
        let key = key.clone();
        let effect = move |state: &mut WorldState| {
            let items = state.runs.get(&key).filter(|_| !has_expired(state, &key, sequence));
            let of_sequence = |record: &&WindowRecord| record.sequence == sequence;
            Ok(items.and_then(|items| items.records.iter().find(of_sequence).cloned()))
        };
        self.world.call("read record", effect).await
    }

    async fn sealed_digest(&self, key: &ConfigurationKey, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        let (key, forges) = (key.clone(), self.has(KnownBug::RepairNotProven));
        let encoders = self.release.of_converter();
        let effect = move |state: &mut WorldState| {
            let Some(items) = state.runs.get(&key).filter(|_| !has_expired(state, &key, sequence)) else {
                return Ok(None);
            };
            Ok(if forges {
                forged_chain(state, &key, items, encoders).0.remove(&sequence)
            } else {
                items.digests.get(&sequence).cloned()
            })
        };
        self.world.call("read sealed digest", effect).await
    }
}

fn has_expired(state: &WorldState, key: &ConfigurationKey, sequence: u64) -> bool {
    state.expired_before.get(key).is_some_and(|end| sequence < *end)
}

/// Returns the digests of the completed windows and the newest reference, as if they had been sealed over the blocks that are
/// stored now.
fn forged_chain(
    state: &WorldState,
    key: &ConfigurationKey,
    items: &RunItems,
    encoders: Release,
) -> (BTreeMap<u64, SealedDigest>, Option<DigestReference>) {
    let mut forged = BTreeMap::new();
    let mut previous: Option<DigestReference> = None;
    for sequence in 0..items.state.next_sequence {
        let Some(sealed) = items.digests.get(&sequence) else { continue };
        let Ok(mut digest) = Digest::from_bytes(&sealed.bytes) else { continue };
        let encoding = digest.encoding();
        for object in &mut digest.objects {
            let of_tenant = state.blocks.iter().filter(|((tenant, _), _)| *tenant == key.tenant_id);
            let mut blocks: Vec<_> =
                of_tenant.flat_map(|(_, blocks)| blocks.range(object.first_block..=object.last_block)).collect();
            blocks.sort_by_key(|(id, _)| **id);
            let number = encoders.current(&encoding);
            let encoder = number.and_then(|number| encoders.encoder(number, &encoding, BytesMut::new()));
            let Some(mut encoder) = encoder else { continue };
            let is_encoded = blocks.into_iter().all(|(_, block)| encoder.push(block.clone()).is_ok());
            let objects = is_encoded.then(|| encoder.finish().ok()).flatten();
            let is_of_class = |made: &EncodedObject| made.records.map(|records| records.class) == object.class;
            let Some(whole) = objects.into_iter().flatten().find(is_of_class) else { continue };
            object.sha256 = Hex32::sha256_of(&whole.bytes);
            object.stored_length = whole.bytes.len() as u64;
            let Content { raw_length, crc32, event_count, .. } = whole.content;
            (object.raw_length, object.crc32, object.events) = (raw_length, crc32, event_count);
            object.other = whole.records.map(|records| records.other);
        }
        digest.previous.clone_from(&previous);
        let bytes = Bytes::from(digest.to_bytes().unwrap_or_default());
        previous =
            reference_to(items, sequence).map(|found| DigestReference { sha256: Hex32::sha256_of(&bytes), ..found });
        forged.insert(sequence, SealedDigest { bytes, ..sealed.clone() });
    }
    (forged, previous)
}

/// Returns the reference to the digest of a completed window.
pub(crate) fn reference_to(items: &RunItems, sequence: u64) -> Option<DigestReference> {
    if sequence + 1 == items.state.next_sequence {
        return items.state.head.clone();
    }
    let next = items.digests.get(&(sequence + 1))?;
    Digest::from_bytes(&next.bytes).ok()?.previous
}
