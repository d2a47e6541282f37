//! Reading a tenant's blocks in the order of their ids, over all shards.

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

/// How many pages are read at the same time. One that is being read takes several times the memory of its blocks.
const MAX_CONCURRENT_READS: usize = 4;

/// How many shards may have a page behind the one that blocks are taken from, or one on its way. With as many as are read
/// at a time, and for those that need it first, nothing waits for a page as long as pages come faster than they are used.
const MAX_PAGES_AHEAD: usize = MAX_CONCURRENT_READS;

/// How many pages a run has in memory at most: one of each shard, and those ahead.
pub const MAX_PAGES: usize = SHARDS as usize + MAX_PAGES_AHEAD;

/// A sorted merge of all shards. It holds at most [`MAX_PAGES`].
pub(crate) struct BlockMerge<'a, S> {
    source: &'a S,
    tenant: &'a TenantId,
    end: BlockId,
    shards: Vec<ShardReader>,
    /// Pages on their way, each with the index of its shard.
    reads: FuturesUnordered<PageRead<'a>>,
    /// The block that was taken last.
    taken: Option<BlockId>,
    /// The first block of every shard that has one at hand.
    heads: BinaryHeap<Reverse<(BlockId, usize)>>,
    /// Blocks that are left out, whatever lies under their IDs.
    skipped: BTreeSet<BlockId>,
    /// Blocks that were found corrupt and that nobody has approved to leave out, in order: each has to be there.
    expected: VecDeque<BlockId>,
}

type PageRead<'a> = Pin<Box<dyn Future<Output = (usize, Result<BlockPage, PortError>)> + Send + 'a>>;

struct ShardReader {
    shard: Shard,
    items: VecDeque<StoredItem>,
    following: Following,
}

/// What comes behind the blocks that are at hand of a shard.
enum Following {
    /// What starts here and wasn't asked for yet.
    Unread(BlockId),
    OnItsWay,
    /// A page, or why there is none: that is told only when its turn comes, so that all before it are exported.
    Read(Result<BlockPage, PortError>),
    Nothing,
}

impl ShardReader {
    /// Nothing may be taken of any shard before this one's next page is there: it could hold the first block of all.
    fn is_awaited(&self) -> bool {
        self.items.is_empty() && !matches!(self.following, Following::Nothing)
    }

    fn has_page_ahead(&self) -> bool {
        !self.items.is_empty() && matches!(self.following, Following::OnItsWay | Following::Read(_))
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

    /// The same merge without the blocks `skipped`, and with an error where one of `expected`, which are in order, is missing.
    pub(crate) fn with_corrupt_blocks(mut self, skipped: &[BlockId], expected: &[BlockId]) -> Self {
        self.skipped = skipped.iter().copied().collect();
        self.expected = expected.iter().copied().collect();
        self
    }

    /// The ID of the next block, which is left in place.
    pub(crate) async fn peek(&mut self) -> Result<Option<BlockId>, PortError> {
        loop {
            self.fill().await?;
            let head = self.heads.peek().map(|Reverse((id, _))| *id);
            if let Some(expected) = self.expected.front()
                && head.is_none_or(|head| *expected < head)
            {
                let detail = "it was found corrupt before, and now it is gone: nobody has approved to leave it out";
                return Err(PortError::corrupt_block(*expected, detail));
            }
            match head {
                Some(id) if self.skipped.contains(&id) => drop(self.take()),
                head => return Ok(head),
            }
        }
    }

    /// The next block.
    pub(crate) async fn next(&mut self) -> Result<Option<StoredBlock>, PortError> {
        let Some(id) = self.peek().await? else { return Ok(None) };
        let Some(item) = self.take() else { return Ok(None) };
        if self.taken >= Some(id) {
            // Ingest never writes an id twice: somebody copied an item into another shard, or a shard is not sorted.
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

    /// Lets pages on their way come nearer, without waiting for any.
    pub(crate) fn move_on(&mut self) {
        self.start_reads();
        while let Some(Some(read)) = self.reads.next().now_or_never() {
            self.keep(read);
            self.start_reads();
        }
    }

    /// Waits until all pages are there that may be read ahead.
    pub(crate) async fn read_ahead(&mut self) {
        self.start_reads();
        while let Some(read) = self.reads.next().await {
            self.keep(read);
            self.start_reads();
        }
    }

    /// Sees to it that every shard has blocks at hand that has any left.
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

    /// Where all blocks of a page are taken, the next page takes its place.
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
                    // For whoever goes on all the same: without this page nothing more may be taken.
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

    /// Asks for as many pages as may be on their way: for those that are waited for; once all of them are there, for those
    /// that will be soonest. The order of ids tells which these are: the shard whose page ends with the smallest id runs
    /// empty first.
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
                reader.following = Following::OnItsWay;
            }
        }
    }
}

#[cfg(test)]
mod tests;
