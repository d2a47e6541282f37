//! The table of events.

use std::sync::{Arc, PoisonError};

use domain::{
    block::{BlockId, Shard},
    export_run::BlockRange,
    tenant::TenantId,
};
use export_engine::ports::{BlockPage, BlockSource, PortError, StoredItem};

use super::process::{Held, PAGE_BLOCKS, Ports};
use crate::{bug::KnownBug, world::WorldState};
impl BlockSource for Ports {
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        if self.has(KnownBug::FewerShardsRead) && shard.number() >= 12 {
            return Ok(BlockPage::default());
        }
        let is_first = self.seen_shards.lock().unwrap_or_else(PoisonError::into_inner).insert(shard);
        let goes_on = range.first != BlockId::lowest_at(range.first.timestamp());
        let skips = self.has(KnownBug::ContinuationSkipsPage) && is_first && goes_on;
        let (partition, memory) = ((tenant.clone(), shard), Arc::clone(&self.memory));
        let effect = move |state: &mut WorldState| {
            let Some(blocks) = state.blocks.get(&partition) else { return Ok(BlockPage::default()) };
            if range.is_empty() {
                return Ok(BlockPage::default());
            }
            let mut found = blocks.range(range.first..range.end).skip(if skips { PAGE_BLOCKS } else { 0 });
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
