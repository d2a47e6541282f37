//! The table of events.

use std::sync::{Arc, PoisonError};

use domain::{
    archive::BlockLayout,
    block::{BlockId, Shard, StoredBlock},
    export_run::BlockRange,
    tenant::TenantId,
};
use export_engine::ports::{BlockPage, BlockSource, PortError, StoredItem};
use host::Clock;

use super::process::{Held, PAGE_BLOCKS, Ports};
use crate::{bug::KnownBug, world::WorldState};

impl BlockSource for Ports {
    async fn layout(&self, tenant: &TenantId, range: BlockRange) -> Result<BlockLayout, PortError> {
        if !self.world.lock().archive.is_on {
            return Ok(BlockLayout::in_table(range));
        }
        self.archived_blocks().layout(tenant, range).await
    }

    async fn archived_page(&self, tenant: &TenantId, range: BlockRange) -> Result<BlockPage, PortError> {
        let mut page = self.archived_blocks().archived_page(tenant, range).await?;
        self.world.lock().archive.blocks_read += page.items.len() as u64;
        for item in &mut page.items {
            if let StoredItem::Block(block) = item {
                block.deflate = Held::track(block.deflate.clone(), &self.memory);
            }
        }
        Ok(page)
    }

    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        if self.has(KnownBug::FewerShardsRead) && shard.number() >= 12 {
            return Ok(BlockPage::default());
        }
        let is_first = self.seen_shards.lock().unwrap_or_else(PoisonError::into_inner).insert(shard);
        let goes_on = range.first != BlockId::lowest_at(range.first.timestamp());
        let skips = self.has(KnownBug::ContinuationSkipsPage) && is_first && goes_on;
        let (partition, memory) = ((tenant.clone(), shard), Arc::clone(&self.memory));
        let moves = self.has(KnownBug::ArchiveBoundaryMoves).then(|| self.now());
        let effect = move |state: &mut WorldState| {
            let left_out = moves.and_then(|now| state.archive.boundary(&partition.0, now));
            let Some(blocks) = state.blocks.get(&partition) else { return Ok(BlockPage::default()) };
            if range.is_empty() {
                return Ok(BlockPage::default());
            }
            let is_read = |(id, _): &(&BlockId, &StoredBlock)| left_out.is_none_or(|left_out| !left_out.contains(**id));
            let found = blocks.range(range.first..range.end).filter(is_read);
            let mut found = found.skip(if skips { PAGE_BLOCKS } else { 0 });
            let mut page = BlockPage::default();
            for (_, block) in found.by_ref().take(PAGE_BLOCKS) {
                let mut block = block.clone();
                block.deflate = Held::track(block.deflate, &memory);
                page.items.push(StoredItem::Block(block));
            }
            if found.next().is_some() {
                page.next = page.items.last().map(|item| item.id().next());
            }
            Ok(page)
        };
        self.world.call("read blocks", effect).await
    }
}
