use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{block::encode_block, time::Timestamp};
use tokio::time::sleep;

use super::*;
use crate::ports::ErrorKind;

const PAGE: usize = 3;

/// A table with latency.
struct Table {
    tenant: TenantId,
    shards: BTreeMap<Shard, Vec<StoredBlock>>,
    /// The first block of a page that can't be read.
    unreadable: Option<BlockId>,
    seen: Mutex<Seen>,
    taken: AtomicUsize,
}

#[derive(Debug, Default)]
struct Seen {
    reading: usize,
    most_reading: usize,
    blocks_read: usize,
    most_blocks_held: usize,
    pages: Vec<(Shard, BlockId)>,
}

fn id(number: u64) -> BlockId {
    BlockId::lowest_at(Timestamp::from_millis(number).unwrap())
}

fn all() -> BlockRange {
    BlockRange { first: id(0), end: id(1_000_000) }
}

impl Table {
    /// Creates a table with each block in the shard that `shard_of` returns.
    fn new(blocks: u64, shard_of: impl Fn(u64) -> u64) -> Self {
        let tenant = TenantId::parse("acme").unwrap();
        let mut shards: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for number in 0..blocks {
            let shard = Shard::new(u8::try_from(shard_of(number)).unwrap()).unwrap();
            let block = encode_block(&tenant, id(number), b"{}\n", Timestamp::EPOCH, Timestamp::EPOCH).unwrap();
            shards.entry(shard).or_default().push(block);
        }
        Self { tenant, shards, unreadable: None, seen: Mutex::default(), taken: AtomicUsize::new(0) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn take(&self, merge: &mut BlockMerge<'_, Self>) -> Result<Option<BlockId>, PortError> {
        let block = merge.next().await?;
        self.taken.fetch_add(usize::from(block.is_some()), Ordering::Relaxed);
        Ok(block.map(|block| block.id))
    }
}

impl BlockSource for Table {
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        assert_eq!(*tenant, self.tenant);
        {
            let mut seen = self.seen();
            seen.reading += 1;
            seen.most_reading = seen.most_reading.max(seen.reading);
            seen.pages.push((shard, range.first));
        }
        sleep(Duration::from_millis(10)).await;
        let mut seen = self.seen();
        seen.reading -= 1;
        let all = self.shards.get(&shard).map(Vec::as_slice).unwrap_or_default();
        let mut found = all.iter().filter(|block| (range.first..range.end).contains(&block.id));
        let blocks: Vec<_> = found.by_ref().take(PAGE).cloned().collect();
        if self.unreadable.is_some() && blocks.first().map(|block| block.id) == self.unreadable {
            return Err(PortError::transient("query", "busy"));
        }
        seen.blocks_read += blocks.len();
        seen.most_blocks_held = seen.most_blocks_held.max(seen.blocks_read - self.taken.load(Ordering::Relaxed));
        let next = found.next().and(blocks.last()).map(|last| last.id.next());
        Ok(BlockPage { items: blocks.into_iter().map(StoredItem::Block).collect(), next })
    }
}

#[tokio::test(start_paused = true)]
async fn blocks_come_in_order_and_each_page_is_read_once() {
    for shards in [1, 4, 16] {
        let table = Table::new(500, |number| (number * number + number / 7) % shards);
        let mut merge = BlockMerge::new(&table, &table.tenant, all());
        for number in 0..500 {
            assert_eq!(table.take(&mut merge).await, Ok(Some(id(number))), "{shards} shards");
            if number % 5 == 0 {
                merge.poll_reads();
            }
            if number % 50 == 0 {
                merge.read_ahead().await;
            }
        }
        assert_eq!(table.take(&mut merge).await, Ok(None));
        let seen = table.seen();
        // Including those of empty shards.
        let pages: usize = Shard::ALL
            .iter()
            .map(|shard| table.shards.get(shard).map_or(1, |blocks| blocks.len().div_ceil(PAGE)))
            .sum();
        assert_eq!(seen.pages.len(), pages, "{shards} shards");
        assert_eq!(seen.most_reading, MAX_CONCURRENT_READS);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_pages_are_held_than_may_be() {
    let table = Table::new(2_000, |number| number % 16);
    let mut merge = BlockMerge::new(&table, &table.tenant, all());
    while table.take(&mut merge).await.unwrap().is_some() {
        merge.read_ahead().await;
    }
    assert_eq!(table.seen().most_blocks_held, MAX_PAGES * PAGE - 1);
}

/// Shard 5 has nine blocks out of ten: unless it is read ahead of all others, the reader waits for each of its pages.
#[tokio::test(start_paused = true)]
async fn the_page_that_is_needed_first_is_read_first() {
    let table = Table::new(1_000, |number| if number % 10 == 0 { number / 10 % 16 } else { 5 });
    let mut merge = BlockMerge::new(&table, &table.tenant, all());
    table.take(&mut merge).await.unwrap();
    let started_at = tokio::time::Instant::now();
    loop {
        // The time that assembling an object from a page takes.
        futures::future::join(merge.read_ahead(), sleep(Duration::from_millis(10))).await;
        let waited = tokio::time::Instant::now();
        for _ in 0..PAGE {
            if table.take(&mut merge).await.unwrap().is_none() {
                return assert!(started_at.elapsed() < Duration::from_secs(4));
            }
        }
        assert_eq!(waited.elapsed(), Duration::ZERO, "the reader waited for a page");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_can_not_be_read_fails_when_its_turn_comes_and_from_then_on() {
    let table = Table { unreadable: Some(id(PAGE as u64)), ..Table::new(50, |_| 3) };
    let mut merge = BlockMerge::new(&table, &table.tenant, all());
    for number in 0..PAGE as u64 {
        assert_eq!(table.take(&mut merge).await, Ok(Some(id(number))));
        merge.read_ahead().await;
    }
    for _ in 0..3 {
        assert_eq!(table.take(&mut merge).await, Err(PortError::transient("query", "busy")));
    }
    assert_eq!(table.seen().pages.len(), 16 + 1);
}

#[tokio::test(start_paused = true)]
async fn skipped_blocks_are_not_checked() {
    let table = Table::new(20, |number| number % 4);
    let skipped = [id(0), id(7), id(8), id(19)];
    let mut merge = BlockMerge::new(&table, &table.tenant, all()).with_corrupt_blocks(&skipped, &[]);
    let mut taken = Vec::new();
    while let Some(block) = table.take(&mut merge).await.unwrap() {
        taken.push(block);
    }
    assert_eq!(taken, (0..20).map(id).filter(|id| !skipped.contains(id)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_corrupt_block_still_stops_the_run() {
    for missing in [0, 3, 9] {
        let mut table = Table::new(10, |number| number % 4);
        table.shards.values_mut().for_each(|blocks| blocks.retain(|block| block.id != id(missing)));
        let expected = [id(missing), id(missing + 100)];
        let mut merge = BlockMerge::new(&table, &table.tenant, all()).with_corrupt_blocks(&[], &expected);
        for number in 0..missing {
            assert_eq!(table.take(&mut merge).await, Ok(Some(id(number))));
        }
        for _ in 0..2 {
            let error = table.take(&mut merge).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::CorruptBlock(id(missing)));
        }
    }
    let table = Table::new(10, |number| number % 4);
    let mut merge = BlockMerge::new(&table, &table.tenant, all()).with_corrupt_blocks(&[], &[id(3), id(9)]);
    for number in 0..10 {
        assert_eq!(table.take(&mut merge).await, Ok(Some(id(number))), "restored");
    }
    assert_eq!(table.take(&mut merge).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn of_an_empty_range_nothing_is_read() {
    let table = Table::new(50, |_| 3);
    let mut merge = BlockMerge::new(&table, &table.tenant, BlockRange { first: id(7), end: id(7) });
    merge.read_ahead().await;
    assert_eq!(table.take(&mut merge).await, Ok(None));
    assert_eq!(table.seen().pages, []);
}
