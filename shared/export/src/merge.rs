//! Reading a tenant's blocks in the order of their ids, over all shards.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use domain::{
    block::{BlockId, Shard, StoredBlock},
    export_run::BlockRange,
    tenant::TenantId,
};
use futures::stream::{StreamExt, TryStreamExt, iter};

use crate::{
    CORRUPT_BLOCK,
    ports::{BlockPage, BlockSource, PortError},
};

/// How many pages are read at the same time. One that is being read takes several times the memory of its blocks.
const MAX_CONCURRENT_READS: usize = 4;

/// A sorted merge of all shards. It holds at most one page of each.
pub(crate) struct BlockMerge<'a, S> {
    source: &'a S,
    tenant: &'a TenantId,
    end: BlockId,
    shards: Vec<ShardReader>,
    /// The block that was taken last.
    taken: Option<BlockId>,
    /// The first block of every shard that has one at hand.
    heads: BinaryHeap<Reverse<(BlockId, usize)>>,
}

struct ShardReader {
    shard: Shard,
    blocks: VecDeque<StoredBlock>,
    /// Where to read on when `blocks` is empty.
    next: Option<BlockId>,
}

impl<'a, S: BlockSource> BlockMerge<'a, S> {
    pub(crate) fn new(source: &'a S, tenant: &'a TenantId, range: BlockRange) -> Self {
        let first = (!range.is_empty()).then_some(range.first);
        let shards =
            Shard::ALL.into_iter().map(|shard| ShardReader { shard, blocks: VecDeque::new(), next: first }).collect();
        Self { source, tenant, end: range.end, shards, taken: None, heads: BinaryHeap::new() }
    }

    /// The next block, left in place.
    pub(crate) async fn peek(&mut self) -> Result<Option<&StoredBlock>, PortError> {
        self.fill().await?;
        let head = self.heads.peek().map(|Reverse((_, index))| *index);
        Ok(head.and_then(|index| self.shards.get(index)).and_then(|shard| shard.blocks.front()))
    }

    /// The next block.
    pub(crate) async fn next(&mut self) -> Result<Option<StoredBlock>, PortError> {
        self.fill().await?;
        let Some(Reverse((id, index))) = self.heads.pop() else { return Ok(None) };
        if self.taken >= Some(id) {
            // Ingest never writes an id twice: somebody copied an item into another shard, or a shard is not sorted.
            return Err(PortError::internal(CORRUPT_BLOCK, format!("{id} comes twice or out of order")));
        }
        self.taken = Some(id);
        let Some(shard) = self.shards.get_mut(index) else { return Ok(None) };
        let block = shard.blocks.pop_front();
        if let Some(following) = shard.blocks.front() {
            self.heads.push(Reverse((following.id, index)));
        }
        Ok(block)
    }

    /// Reads a page of every shard that ran empty but has more. Nothing may be taken before that: its next block could
    /// be the first of all.
    async fn fill(&mut self) -> Result<(), PortError> {
        loop {
            let reads: Vec<_> = self
                .shards
                .iter()
                .enumerate()
                .filter(|(_, shard)| shard.blocks.is_empty())
                .filter_map(|(index, shard)| {
                    let range = BlockRange { first: shard.next?, end: self.end };
                    let page = self.source.page(self.tenant, shard.shard, range);
                    Some(async move { Ok::<_, PortError>((index, page.await?)) })
                })
                .collect();
            let pages: Vec<(usize, BlockPage)> =
                iter(reads).buffer_unordered(MAX_CONCURRENT_READS).try_collect().await?;
            if pages.is_empty() {
                return Ok(());
            }
            for (index, BlockPage { blocks, next }) in pages {
                let Some(shard) = self.shards.get_mut(index) else { continue };
                shard.next = next;
                if let Some(first) = blocks.first() {
                    self.heads.push(Reverse((first.id, index)));
                }
                shard.blocks = blocks.into();
            }
        }
    }
}
