//! The archive of a history: its times, which play days in hours, and what is stored.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, ArchiveTimes, SegmentIndex, SegmentReference},
    block::BlockId,
    export_run::BlockRange,
    tenant::TenantId,
    time::Timestamp,
};

/// The times of the archive. The relations between them are those of production.
pub(crate) const TIMES: ArchiveTimes = ArchiveTimes {
    span: Duration::from_mins(10),
    new_row_age: Duration::from_mins(20),
    idle: Duration::from_mins(20),
    cached: Duration::from_mins(5),
    fresh: Duration::from_mins(55),
    rescued_after: Duration::from_mins(62),
    rescued_from_age: Duration::from_mins(30),
    read_from_table: Duration::from_mins(70),
    behind: Duration::from_mins(100),
    min_table_period: Duration::from_mins(130),
    row_margin: Duration::from_mins(10),
    // The shortest retention of histories, and the grace.
    min_lifetime: Duration::from_mins(5 * 60 - 10),
    segment_margin: Duration::from_mins(10),
};
const _: () = assert!(TIMES.are_sound());

/// Everything about archives.
#[derive(Debug, Default)]
pub(crate) struct ArchiveState {
    /// True in histories with an archive.
    pub(crate) is_on: bool,
    pub(crate) rows: BTreeMap<TenantId, ArchiveRow>,
    pub(crate) references: BTreeMap<(TenantId, BlockId), SegmentReference>,
    pub(crate) objects: BTreeMap<String, Bytes>,
    /// The full expiry of blocks with the short one.
    pub(crate) full_expires_at: BTreeMap<(TenantId, BlockId), Timestamp>,
    /// The blocks that were read from the archive.
    pub(crate) blocks_read: u64,
}

impl ArchiveState {
    /// Returns whether a segment that counts has the block.
    pub(crate) fn has(&self, tenant: &TenantId, id: BlockId) -> bool {
        let covering = self.references.range((tenant.clone(), id)..).next();
        covering.is_some_and(|((owner, _), segment)| {
            owner == tenant && segment.covers.contains(id) && self.blocks_of(tenant, segment).contains(&id)
        })
    }

    /// Returns whether the archive has the block, and has to have it.
    pub(crate) fn keeps(&self, tenant: &TenantId, id: BlockId, now: Timestamp) -> bool {
        let is_kept = self.full_expires_at.get(&(tenant.clone(), id)).is_some_and(|end| *end > now);
        is_kept && self.has(tenant, id)
    }

    /// Returns what a reader would leave out of the table that asks for the boundary at `now`.
    pub(crate) fn boundary(&self, tenant: &TenantId, now: Timestamp) -> Option<BlockRange> {
        let row = self.rows.get(tenant).filter(|_| self.is_on)?;
        let old = BlockId::lowest_at(now.saturating_sub(TIMES.read_from_table));
        Some(BlockRange { first: row.archived_from, end: row.archived_through.min(old) })
    }

    /// Deletes everything that may be deleted.
    pub(crate) fn delete_expired(&mut self, now: Timestamp) {
        let Self { rows, references, objects, .. } = self;
        rows.retain(|_, row| row.expires_at > now);
        references.retain(|_, segment| {
            let stays = segment.expires_at > now;
            if !stays {
                objects.remove(&segment.object_key);
            }
            stays
        });
    }

    fn blocks_of(&self, tenant: &TenantId, segment: &SegmentReference) -> Vec<BlockId> {
        let Some(bytes) = self.objects.get(&segment.object_key) else { return Vec::new() };
        let length = usize::try_from(SegmentIndex::tail_length(tenant, segment.blocks)).unwrap_or(usize::MAX);
        let tail = bytes.get(bytes.len().saturating_sub(length)..).unwrap_or_default();
        let index = SegmentIndex::read(tail, bytes.len() as u64, tenant, segment.covers);
        index.map(|index| index.blocks.iter().map(domain::archive::IndexedBlock::id).collect()).unwrap_or_default()
    }
}
