//! The registry, the segments and the expiry of blocks.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    archive::{ArchiveRow, RegistryShard, SegmentReference},
    block::{BlockId, Shard},
    export_run::BlockRange,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::{
    archive::{ArchivedBlocks, ReaderSettings},
    ports::{
        AdvanceOutcome, ArchiveRecords, ArchiveRowPage, BlockExpiry, PortError, RowPosition, SeenRetentions,
        SegmentStore,
    },
};

use super::process::{PAGE_BLOCKS, Ports};
use crate::{
    archive::{DEPLOY_MARGIN, TIMES},
    bug::KnownBug,
    world::WorldState,
};

impl Ports {
    /// Returns the source of the blocks in table and archive.
    pub(super) fn archived_blocks(&self) -> ArchivedBlocks<Self, Self, Self, ReaderRetentions, Self> {
        let grace = self.world.lock().archive.grace;
        let settings =
            ReaderSettings { bucket: self.archive_bucket.clone(), times: TIMES, grace, deploy_margin: DEPLOY_MARGIN };
        ArchivedBlocks::new(
            self.clone(),
            self.clone(),
            self.clone(),
            ReaderRetentions(self.clone()),
            self.clone(),
            settings,
        )
    }

    /// Makes a call that is repeated as the SDK does: rescue and erasure have so many that they would rarely end without.
    pub(super) async fn repeated<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl Fn(&mut WorldState) -> Result<T, PortError> + Clone + Send + 'static,
    ) -> Result<T, PortError> {
        for _ in 0..2 {
            if let Ok(done) = self.world.call(operation, effect.clone()).await {
                return Ok(done);
            }
        }
        self.world.call(operation, effect).await
    }
}

/// Returns the row as a process with the known bug sees it.
fn seen(row: &ArchiveRow, ignores_bucket: bool) -> ArchiveRow {
    ArchiveRow { bucket: row.bucket.clone().filter(|_| !ignores_bucket), ..row.clone() }
}

impl ArchiveRecords for Ports {
    async fn archive_rows(
        &self,
        shard: RegistryShard,
        _after: Option<&RowPosition>,
    ) -> Result<ArchiveRowPage, PortError> {
        let is_in_shard = move |row: &&ArchiveRow| RegistryShard::of(&row.tenant) == shard;
        if !self.world.lock().archive.rows.values().any(|row| is_in_shard(&row)) {
            // Not worth the time of a call.
            return Ok(ArchiveRowPage::default());
        }
        let ignores_bucket = self.has(KnownBug::ForeignBucketIgnored);
        let effect = move |state: &mut WorldState| {
            let rows = state.archive.rows.values().filter(is_in_shard);
            let rows = rows.map(|row| Ok(seen(row, ignores_bucket))).collect();
            Ok(ArchiveRowPage { rows, next: None })
        };
        self.repeated("read registry", effect).await
    }

    async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        let tenant = tenant.clone();
        let ignores_bucket = self.has(KnownBug::ForeignBucketIgnored);
        let effect =
            move |state: &mut WorldState| Ok(state.archive.rows.get(&tenant).map(|row| seen(row, ignores_bucket)));
        self.world.call("read registry row", effect).await
    }

    async fn create_archive_row(&self, row: &ArchiveRow) -> Result<bool, PortError> {
        let row = row.clone();
        let effect = move |state: &mut WorldState| {
            let is_new = !state.archive.rows.contains_key(&row.tenant);
            state.archive.rows.entry(row.tenant.clone()).or_insert_with(|| row.clone());
            Ok(is_new)
        };
        self.world.call("create registry row", effect).await
    }

    async fn advance_archive(
        &self,
        current: &ArchiveRow,
        next: &ArchiveRow,
        segment: Option<&SegmentReference>,
    ) -> Result<AdvanceOutcome, PortError> {
        let (current, next, segment) = (current.clone(), next.clone(), segment.cloned());
        let ignores = self.has(KnownBug::ArchiveMovesUnconditionally);
        let ignores_bucket = self.has(KnownBug::ForeignBucketIgnored);
        let effect = move |state: &mut WorldState| {
            let WorldState { archive, violations, .. } = state;
            let Some(row) = archive.rows.get_mut(&current.tenant) else { return Ok(AdvanceOutcome::Moved) };
            let is_in_bucket = row.bucket == current.bucket || ignores_bucket;
            let is_current = is_in_bucket
                && (row.archived_from, row.archived_through) == (current.archived_from, current.archived_through);
            if !is_current && !ignores {
                return Ok(AdvanceOutcome::Moved);
            }
            if next.archived_through < row.archived_through {
                violations.push(format!("the archive of {} moved back to {}", row.tenant, next.archived_through));
            }
            let (extended_through, kept_through) = (row.extended_through, row.kept_through);
            *row = ArchiveRow { extended_through, kept_through, ..next.clone() };
            if let Some(segment) = &segment {
                let name = (current.tenant.clone(), segment.id());
                if archive.references.insert(name, segment.clone()).is_some() && !ignores {
                    violations.push(format!("a segment of {} was there twice", current.tenant));
                }
            }
            Ok(AdvanceOutcome::Done)
        };
        self.world.call("advance archive", effect).await
    }

    async fn extend_archive_row(&self, current: &ArchiveRow, next: &ArchiveRow) -> Result<bool, PortError> {
        let (current, next) = (current.clone(), next.clone());
        let effect = move |state: &mut WorldState| {
            let Some(row) = state.archive.rows.get_mut(&current.tenant) else { return Ok(false) };
            let identity = |row: &ArchiveRow| (row.archived_from, row.extended_through, row.kept_through);
            let is_current = identity(row) == identity(&current);
            if is_current {
                (row.extended_through, row.kept_through) = (next.extended_through, next.kept_through);
            }
            Ok(is_current)
        };
        self.repeated("extend registry row", effect).await
    }

    async fn segments(&self, tenant: &TenantId, range: BlockRange) -> Result<Vec<SegmentReference>, PortError> {
        let tenant = tenant.clone();
        let believes_row = self.has(KnownBug::LostRowHidesArchive);
        let effect = move |state: &mut WorldState| {
            let row = state.archive.rows.get(&tenant);
            let is_seen = |segment: &SegmentReference| !believes_row || row.is_some_and(|row| row.counts(segment));
            let from = state.archive.references.range((tenant.clone(), range.first)..);
            let of_range = from
                .take_while(|((owner, _), segment)| *owner == tenant && segment.covers.first < range.end)
                .map(|(_, segment)| segment.clone())
                .filter(is_seen);
            Ok(of_range.take(PAGE_BLOCKS).collect())
        };
        self.world.call("read segments", effect).await
    }
}

impl SegmentStore for Ports {
    async fn put_segment(&self, key: &str, bytes: Bytes, _sha256: [u8; 32]) -> Result<(), PortError> {
        let name = (self.archive_bucket.as_str().to_owned(), key.to_owned());
        self.put_segments.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), bytes.clone());
        let effect = move |state: &mut WorldState| {
            if state.archive.objects.contains_key(&name) {
                return Ok(());
            }
            // A store that loses what it has accepted: the archiver must not rely on the answer.
            let is_lost = state.archive_chance.happens(state.weather.upload_lost);
            if !is_lost {
                state.archive.objects.insert(name.clone(), bytes.clone());
            }
            Ok(())
        };
        self.world.call("put segment", effect).await
    }

    async fn read_segment(&self, key: &str, offset: u64, length: u64) -> Result<Bytes, PortError> {
        let name = (self.archive_bucket.as_str().to_owned(), key.to_owned());
        let put = Arc::clone(&self.put_segments);
        let trusts = self.has(KnownBug::SegmentNotReadBack);
        let effect = move |state: &mut WorldState| {
            let own = put.lock().unwrap_or_else(PoisonError::into_inner).get(&name).filter(|_| trusts).cloned();
            let found = own.or_else(|| state.archive.objects.get(&name).cloned());
            let bytes = found.ok_or_else(|| PortError::internal("read segment", format!("{} is missing", name.1)))?;
            let end = usize::try_from(offset + length).unwrap_or(usize::MAX);
            let range = usize::try_from(offset).unwrap_or(usize::MAX)..end;
            if bytes.get(range.clone()).is_none() {
                return Err(PortError::internal("read segment", format!("{} is too short", name.1)));
            }
            Ok(bytes.slice(range))
        };
        self.world.call("read segment", effect).await
    }
}

impl BlockExpiry for Ports {
    async fn extend_expiry(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
        lifetime: Duration,
    ) -> Result<Option<BlockId>, PortError> {
        let tenant = tenant.clone();
        let effect = move |state: &mut WorldState| {
            let WorldState { blocks, expires_at, .. } = state;
            let Some(blocks) = blocks.get(&(tenant.clone(), shard)).filter(|_| !range.is_empty()) else {
                return Ok(None);
            };
            let mut blocks = blocks.range(range.first..range.end).map(|(id, _)| *id);
            for id in blocks.by_ref().take(PAGE_BLOCKS) {
                if let Some(end) = expires_at.get_mut(&(tenant.clone(), id)) {
                    *end = (*end).max(id.timestamp().saturating_add(lifetime));
                }
            }
            Ok(blocks.next())
        };
        self.repeated("extend expiry", effect).await
    }
}

/// The retentions as the reader of the archive sees them.
pub(crate) struct ReaderRetentions(Ports);

impl SeenRetentions for ReaderRetentions {
    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        if self.0.has(KnownBug::LostReferenceExpires) {
            return Ok(RetentionHistory::default().observed(Duration::ZERO, Timestamp::EPOCH).unwrap_or_default());
        }
        self.0.retention_history().await
    }
}
