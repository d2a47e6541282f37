//! Reading a tenant's blocks in the order of their IDs, over all shards.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    pin::Pin,
};

use domain::{
    block::{BlockId, SHARDS, Shard, StoredBlock},
    export_run::BlockRange,
    tenant::TenantId,
};
use futures::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};

use crate::ports::{BlockPage, BlockSource, PortError, StoredItem};

/// The concurrent reads of pages. A page that is being read takes several times the memory of its blocks.
const MAX_CONCURRENT_READS: usize = 4;

/// The shards that may have a second page, read or in flight. With one for each concurrent read, and for the shards that need it
/// first, nothing waits for a page as long as pages arrive faster than they are used.
const MAX_PAGES_AHEAD: usize = MAX_CONCURRENT_READS;

/// The most pages that a run holds in memory: one of each shard, and those read ahead.
pub const MAX_PAGES: usize = SHARDS as usize + MAX_PAGES_AHEAD;

/// A sorted merge of all shards. It holds at most [`MAX_PAGES`].
pub(crate) struct BlockMerge<'a, S> {
    source: &'a S,
    tenant: &'a TenantId,
    end: BlockId,
    shards: Vec<ShardReader>,
    /// Reads in flight, each with the index of its shard.
    reads: FuturesUnordered<PageRead<'a>>,
    /// The last block that was taken.
    taken: Option<BlockId>,
    /// The first block of every shard that has items.
    heads: BinaryHeap<Reverse<(BlockId, usize)>>,
    /// Blocks to skip, whatever is stored under their IDs.
    skipped: BTreeSet<BlockId>,
    /// Corrupt blocks that no operator has approved to skip, in order: each has to be there.
    expected: VecDeque<BlockId>,
}

type PageRead<'a> = Pin<Box<dyn Future<Output = (usize, Result<BlockPage, PortError>)> + Send + 'a>>;

struct ShardReader {
    shard: Shard,
    items: VecDeque<StoredItem>,
    following: Following,
}

/// The page that follows the items of a shard.
enum Following {
    /// It starts here and was not requested yet.
    Unread(BlockId),
    InFlight,
    /// A page or an error. The error is returned only when the page's turn comes, so that all blocks before it are exported.
    Read(Result<BlockPage, PortError>),
    Nothing,
}

impl ShardReader {
    /// Returns whether all shards have to wait for this one's next page: it could hold the first block of all.
    fn is_awaited(&self) -> bool {
        self.items.is_empty() && !matches!(self.following, Following::Nothing)
    }

    fn has_page_ahead(&self) -> bool {
        !self.items.is_empty() && matches!(self.following, Following::InFlight | Following::Read(_))
    }
}

impl<'a, S: BlockSource> BlockMerge<'a, S> {
    pub(crate) fn new(source: &'a S, tenant: &'a TenantId, range: BlockRange) -> Self {
        let reader = |shard| {
            let following = if range.is_empty() { Following::Nothing } else { Following::Unread(range.first) };
            ShardReader { shard, items: VecDeque::new(), following }
        };
        Self {
            source,
            tenant,
            end: range.end,
            shards: Shard::ALL.into_iter().map(reader).collect(),
            reads: FuturesUnordered::new(),
            taken: None,
            heads: BinaryHeap::new(),
            skipped: BTreeSet::new(),
            expected: VecDeque::new(),
        }
    }

    /// Sets the blocks to skip, and those whose absence is an error, in order.
    pub(crate) fn with_corrupt_blocks(mut self, skipped: &[BlockId], expected: &[BlockId]) -> Self {
        self.skipped = skipped.iter().copied().collect();
        self.expected = expected.iter().copied().collect();
        self
    }

    /// Returns the ID of the next block without taking it.
    pub(crate) async fn peek(&mut self) -> Result<Option<BlockId>, PortError> {
        loop {
            self.fill().await?;
            let head = self.heads.peek().map(|Reverse((id, _))| *id);
            if let Some(expected) = self.expected.front()
                && head.is_none_or(|head| *expected < head)
            {
                let detail = "it was found corrupt before, and now it is missing: no operator has approved to skip it";
                return Err(PortError::corrupt_block(*expected, detail));
            }
            match head {
                Some(id) if self.skipped.contains(&id) => drop(self.take()),
                head => return Ok(head),
            }
        }
    }

    /// Takes the next block.
    pub(crate) async fn next(&mut self) -> Result<Option<StoredBlock>, PortError> {
        let Some(id) = self.peek().await? else { return Ok(None) };
        let Some(item) = self.take() else { return Ok(None) };
        if self.taken >= Some(id) {
            // Ingest never writes an ID twice: an item was copied into another shard, or a shard is not sorted.
            return Err(PortError::corrupt_block(id, "it comes twice or out of order"));
        }
        self.taken = Some(id);
        self.expected.pop_front_if(|expected| *expected == id);
        match item {
            StoredItem::Block(block) => Ok(Some(block)),
            StoredItem::Malformed { detail, .. } => Err(PortError::corrupt_block(id, detail)),
        }
    }

    /// Takes the first item of all shards.
    fn take(&mut self) -> Option<StoredItem> {
        let Reverse((_, index)) = self.heads.pop()?;
        let shard = self.shards.get_mut(index)?;
        let item = shard.items.pop_front();
        if let Some(following) = shard.items.front() {
            self.heads.push(Reverse((following.id(), index)));
        }
        item
    }

    /// Polls the reads in flight without waiting.
    pub(crate) fn poll_reads(&mut self) {
        self.start_reads();
        while let Some(Some(read)) = self.reads.next().now_or_never() {
            self.keep(read);
            self.start_reads();
        }
    }

    /// Reads all pages that may be read ahead.
    pub(crate) async fn read_ahead(&mut self) {
        self.start_reads();
        while let Some(read) = self.reads.next().await {
            self.keep(read);
            self.start_reads();
        }
    }

    /// Reads until every shard has items or has reached its end.
    async fn fill(&mut self) -> Result<(), PortError> {
        while self.shards.iter().any(ShardReader::is_awaited) {
            self.turn_pages()?;
            self.start_reads();
            if self.shards.iter().any(ShardReader::is_awaited)
                && let Some(read) = self.reads.next().await
            {
                self.keep(read);
            }
        }
        Ok(())
    }

    /// Replaces each page whose items are all taken with the next one.
    fn turn_pages(&mut self) -> Result<(), PortError> {
        for (index, shard) in self.shards.iter_mut().enumerate().filter(|(_, shard)| shard.items.is_empty()) {
            match std::mem::replace(&mut shard.following, Following::Nothing) {
                Following::Read(Ok(BlockPage { items, next })) => {
                    if let Some(first) = items.first() {
                        self.heads.push(Reverse((first.id(), index)));
                    }
                    shard.items = items.into();
                    shard.following = next.map_or(Following::Nothing, Following::Unread);
                }
                Following::Read(Err(error)) => {
                    // It stays: without this page nothing more may be taken.
                    shard.following = Following::Read(Err(error.clone()));
                    return Err(error);
                }
                following => shard.following = following,
            }
        }
        Ok(())
    }

    fn keep(&mut self, (index, page): (usize, Result<BlockPage, PortError>)) {
        if let Some(shard) = self.shards.get_mut(index) {
            shard.following = Following::Read(page);
        }
    }

    /// Starts reads up to the limit: first those that the merge waits for, then those that it will need soonest. The shard
    /// whose page ends with the smallest ID runs empty first.
    fn start_reads(&mut self) {
        let is_awaited = self.shards.iter().any(ShardReader::is_awaited);
        let mut ahead = self.shards.iter().filter(|shard| shard.has_page_ahead()).count();
        while self.reads.len() < MAX_CONCURRENT_READS {
            let unread = self.shards.iter().enumerate().filter_map(|(index, shard)| match shard.following {
                Following::Unread(first) => Some((shard.items.back().map(StoredItem::id), index, shard.shard, first)),
                _ => None,
            });
            let Some((runs_empty_with, index, shard, first)) = unread.min_by_key(|(last, ..)| *last) else { return };
            if runs_empty_with.is_some() {
                if is_awaited || ahead >= MAX_PAGES_AHEAD {
                    return;
                }
                ahead += 1;
            }
            let range = BlockRange { first, end: self.end };
            let page = self.source.page(self.tenant, shard, range);
            self.reads.push(Box::pin(async move { (index, page.await) }));
            if let Some(reader) = self.shards.get_mut(index) {
                reader.following = Following::InFlight;
            }
        }
    }
}

#[cfg(test)]
mod tests;
