//! Reading a tenant's blocks in the order of their IDs, over all shards and the archive.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    pin::Pin,
};

use domain::{
    archive::{BlockLayout, BlockPart},
    block::{BlockId, SHARDS, Shard, StoredBlock},
    export_run::BlockRange,
    tenant::TenantId,
};
use futures::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::task::yield_now;

use crate::ports::{BlockPage, BlockSource, PortError, StoredItem};

/// The concurrent reads of pages. A page that is being read takes several times the memory of its blocks.
const MAX_CONCURRENT_READS: usize = 4;

/// The shards that may have a second page, read or in flight. With one for each concurrent read, and for the shards that need it
/// first, nothing waits for a page as long as pages arrive faster than they are used.
const MAX_PAGES_AHEAD: usize = MAX_CONCURRENT_READS;

/// The most pages that a run holds in memory: one of each shard, and those read ahead. In the archive, one and one ahead.
pub const MAX_PAGES: usize = SHARDS as usize + MAX_PAGES_AHEAD;

/// The NDJSON of the blocks that are taken before other tasks of the run get their turn, such as requests in flight.
/// Compressing this much takes about 10 ms.
const TURN_RAW_LENGTH: u64 = 1024 * 1024;

/// A sorted merge of all shards, and of the archive where the blocks are archived. It holds at most [`MAX_PAGES`].
///
/// The parts of the range come one after the other: the 16 readers of the shards jump over the archived part, which has one
/// reader. The layout is read once, before the first block.
pub(crate) struct BlockMerge<'a, S> {
    source: &'a S,
    tenant: &'a TenantId,
    parts: Parts,
    /// The end of the present part.
    end: BlockId,
    /// The readers of the present part.
    readers: Vec<Reader>,
    /// Reads in flight, each with the index of its reader.
    reads: FuturesUnordered<PageRead<'a>>,
    /// The last block that was taken.
    taken: Option<BlockId>,
    /// The NDJSON of the blocks that were taken since other tasks had their turn.
    raw_length_of_turn: u64,
    /// The first block of every reader that has items.
    heads: BinaryHeap<Reverse<(BlockId, usize)>>,
    /// Blocks to skip, whatever is stored under their IDs.
    skipped: BTreeSet<BlockId>,
    /// Corrupt blocks that no operator has approved to skip, in order: each has to be there.
    expected: VecDeque<BlockId>,
}

type PageRead<'a> = Pin<Box<dyn Future<Output = (usize, Result<BlockPage, PortError>)> + Send + 'a>>;

/// The parts of the range that were not begun.
enum Parts {
    /// The layout of this range was not read yet.
    Unknown(BlockRange),
    Fixed(VecDeque<BlockPart>),
}

/// The place that a reader reads.
#[derive(Clone, Copy)]
enum Place {
    Shard(Shard),
    Archive,
}

struct Reader {
    place: Place,
    items: VecDeque<StoredItem>,
    following: Following,
}

/// The page that follows the items of a reader.
enum Following {
    /// It starts here and was not requested yet.
    Unread(BlockId),
    InFlight,
    /// A page or an error. The error is returned only when the page's turn comes, so that all blocks before it are exported.
    Read(Result<BlockPage, PortError>),
    Nothing,
}

impl Reader {
    fn new(place: Place, first: BlockId) -> Self {
        Self { place, items: VecDeque::new(), following: Following::Unread(first) }
    }

    /// Returns whether all readers have to wait for this one's next page: it could hold the first block of all.
    fn is_awaited(&self) -> bool {
        self.items.is_empty() && !matches!(self.following, Following::Nothing)
    }

    fn has_page_ahead(&self) -> bool {
        !self.items.is_empty() && matches!(self.following, Following::InFlight | Following::Read(_))
    }
}

impl<'a, S: BlockSource> BlockMerge<'a, S> {
    pub(crate) fn new(source: &'a S, tenant: &'a TenantId, range: BlockRange) -> Self {
        let parts = if range.is_empty() { Parts::Fixed(VecDeque::new()) } else { Parts::Unknown(range) };
        Self {
            source,
            tenant,
            parts,
            end: range.end,
            readers: Vec::new(),
            reads: FuturesUnordered::new(),
            taken: None,
            raw_length_of_turn: 0,
            heads: BinaryHeap::new(),
            skipped: BTreeSet::new(),
            expected: VecDeque::new(),
        }
    }

    /// Returns a merge of the table alone, for the archiver.
    pub(crate) fn in_table(source: &'a S, tenant: &'a TenantId, range: BlockRange) -> Self {
        let parts = Parts::Fixed(BlockLayout::in_table(range).parts.into());
        Self { parts, ..Self::new(source, tenant, range) }
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
            StoredItem::Block(block) => {
                self.raw_length_of_turn += u64::from(block.raw_length);
                Ok(Some(block))
            }
            StoredItem::Malformed { detail, .. } => Err(PortError::corrupt_block(id, detail)),
        }
    }

    /// Takes the first item of all readers.
    fn take(&mut self) -> Option<StoredItem> {
        let Reverse((_, index)) = self.heads.pop()?;
        let reader = self.readers.get_mut(index)?;
        let item = reader.items.pop_front();
        if let Some(following) = reader.items.front() {
            self.heads.push(Reverse((following.id(), index)));
        }
        item
    }

    /// Gives other tasks a turn after each [`TURN_RAW_LENGTH`] of blocks that were taken. Called after each block is used.
    pub(crate) async fn yield_turn(&mut self) {
        if self.raw_length_of_turn >= TURN_RAW_LENGTH {
            self.raw_length_of_turn = 0;
            self.poll_reads();
            yield_now().await;
        }
    }

    /// Polls the reads in flight without waiting.
    fn poll_reads(&mut self) {
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

    /// Reads until every reader has items or has reached its end, and begins the next part where all have.
    async fn fill(&mut self) -> Result<(), PortError> {
        loop {
            while self.readers.iter().any(Reader::is_awaited) {
                self.turn_pages()?;
                self.start_reads();
                if self.readers.iter().any(Reader::is_awaited)
                    && let Some(read) = self.reads.next().await
                {
                    self.keep(read);
                }
            }
            if !self.heads.is_empty() || !self.begin_part().await? {
                return Ok(());
            }
        }
    }

    /// Begins the next part. `false`: there is none.
    async fn begin_part(&mut self) -> Result<bool, PortError> {
        let parts = match &mut self.parts {
            Parts::Fixed(parts) => parts,
            Parts::Unknown(range) => {
                // Boxed, so that the future of a run stays small.
                let layout = Box::pin(self.source.layout(self.tenant, *range)).await?;
                self.parts = Parts::Fixed(layout.parts.into());
                return Ok(true);
            }
        };
        let Some(part) = parts.pop_front() else { return Ok(false) };
        let BlockRange { first, end } = part.range();
        self.end = end;
        self.readers = match part {
            BlockPart::Table(_) => {
                Shard::ALL.into_iter().map(|shard| Reader::new(Place::Shard(shard), first)).collect()
            }
            BlockPart::Archive(_) => vec![Reader::new(Place::Archive, first)],
        };
        Ok(true)
    }

    /// Replaces each page whose items are all taken with the next one.
    fn turn_pages(&mut self) -> Result<(), PortError> {
        for (index, reader) in self.readers.iter_mut().enumerate().filter(|(_, reader)| reader.items.is_empty()) {
            match std::mem::replace(&mut reader.following, Following::Nothing) {
                Following::Read(Ok(BlockPage { items, next })) => {
                    if let Some(first) = items.first() {
                        self.heads.push(Reverse((first.id(), index)));
                    }
                    reader.items = items.into();
                    reader.following = next.map_or(Following::Nothing, Following::Unread);
                }
                Following::Read(Err(error)) => {
                    // It stays: without this page nothing more may be taken.
                    reader.following = Following::Read(Err(error.clone()));
                    return Err(error);
                }
                following => reader.following = following,
            }
        }
        Ok(())
    }

    fn keep(&mut self, (index, page): (usize, Result<BlockPage, PortError>)) {
        if let Some(reader) = self.readers.get_mut(index) {
            reader.following = Following::Read(page);
        }
    }

    /// Starts reads up to the limit: first those that the merge waits for, then those that it will need soonest. The reader
    /// whose page ends with the smallest ID runs empty first.
    fn start_reads(&mut self) {
        let is_awaited = self.readers.iter().any(Reader::is_awaited);
        let mut ahead = self.readers.iter().filter(|reader| reader.has_page_ahead()).count();
        while self.reads.len() < MAX_CONCURRENT_READS {
            let unread = self.readers.iter().enumerate().filter_map(|(index, reader)| match reader.following {
                Following::Unread(first) => Some((reader.items.back().map(StoredItem::id), index, reader.place, first)),
                _ => None,
            });
            let Some((runs_empty_with, index, place, first)) = unread.min_by_key(|(last, ..)| *last) else { return };
            if runs_empty_with.is_some() {
                if is_awaited || ahead >= MAX_PAGES_AHEAD {
                    return;
                }
                ahead += 1;
            }
            let range = BlockRange { first, end: self.end };
            let (source, tenant) = (self.source, self.tenant);
            self.reads.push(match place {
                Place::Shard(shard) => Box::pin(async move { (index, source.page(tenant, shard, range).await) }),
                Place::Archive => Box::pin(async move { (index, source.archived_page(tenant, range).await) }),
            });
            if let Some(reader) = self.readers.get_mut(index) {
                reader.following = Following::InFlight;
            }
        }
    }
}

#[cfg(test)]
mod tests;
