//! The blocks of events: all of a request or nothing, and read as they were written.

use std::{ops::Range, time::Duration};

use aws_adapters::events::{
    item::MAX_ATTRIBUTES_LENGTH,
    writer::{
        AcceptedBefore, IDEMPOTENCY_LIFETIME, IdempotencyRecord, MAX_TRANSACTION_LENGTH, StoreOutcome, WriteError,
    },
};
use bytes::Bytes;
use domain::{
    block::{BlockId, MAX_BLOCK_RAW_LENGTH, Shard, StoredBlock, encode_block, partition_key},
    export_run::BlockRange,
    time::Timestamp,
};
use export_engine::ports::{BlockSource, ErrorKind, PortError, StoredItem};
use host::{Machine, Random};

use crate::support::{RETENTION, Store, Table, now};

const MEGABYTE: usize = 1_048_576;
const MAX_ITEM_LENGTH: usize = 409_600;

/// Everything that can be read.
fn all() -> BlockRange {
    BlockRange { first: BlockId::lowest_at(Timestamp::EPOCH), end: BlockId::lowest_at(Timestamp::MAX) }
}

/// When the blocks of these tests expire.
fn expires_at() -> Timestamp {
    now().saturating_add(RETENTION)
}

fn shard(number: u8) -> Shard {
    Shard::new(number).unwrap()
}

/// Returns one event of that length, which can't be compressed.
fn incompressible(length: usize) -> Vec<u8> {
    let random = std::iter::repeat_with(|| Machine.bits().to_ne_bytes());
    let mut raw: Vec<u8> = random.flatten().take(length).collect();
    for byte in raw.iter_mut().filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
    raw[length - 1] = b'\n';
    raw
}

impl Store {
    /// Blocks of one request, each as long as a block can be.
    fn largest_blocks(&self, count: usize) -> Vec<StoredBlock> {
        let raw = incompressible(MAX_BLOCK_RAW_LENGTH);
        self.blocks_of(count, &raw)
    }

    fn blocks(&self, count: usize) -> Vec<StoredBlock> {
        self.blocks_of(count, b"{\"id\":\"1\"}\n{\"id\":\"2\"}\n")
    }

    fn blocks_of(&self, count: usize, raw: &[u8]) -> Vec<StoredBlock> {
        self.blocks_from(BlockId::from_parts(now(), Machine.bits()), count, raw)
    }

    fn blocks_from(&self, first: BlockId, count: usize, raw: &[u8]) -> Vec<StoredBlock> {
        let ids = std::iter::successors(Some(first), |id| Some(id.next())).take(count);
        ids.map(|id| encode_block(&self.tenant, id, raw, first.timestamp(), first.timestamp()).unwrap()).collect()
    }

    async fn write(&self, number: u8, blocks: &[StoredBlock]) -> Result<StoreOutcome, WriteError> {
        self.writer().write(&self.tenant, shard(number), blocks, expires_at(), &[]).await
    }

    async fn pages(&self, number: u8, range: BlockRange) -> Vec<Vec<StoredBlock>> {
        let (reader, mut pages, mut first) = (self.reader(), Vec::new(), Some(range.first));
        while let Some(from) = first {
            let page = reader.page(&self.tenant, shard(number), BlockRange { first: from, ..range }).await.unwrap();
            pages.push(page.items.into_iter().map(block_of).collect());
            first = page.next;
        }
        pages
    }

    async fn read(&self, number: u8, range: BlockRange) -> Vec<StoredBlock> {
        self.pages(number, range).await.concat()
    }
}

fn block_of(item: StoredItem) -> StoredBlock {
    match item {
        StoredItem::Block(block) => block,
        malformed @ StoredItem::Malformed { .. } => panic!("{malformed:?}"),
    }
}

fn stored_length(blocks: &[StoredBlock]) -> usize {
    blocks.iter().map(|block| block.deflate.len()).sum()
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn written_blocks_are_read_at_once() {
    let (store, other) = (Store::new(), Store::new());
    for _ in 0..20 {
        let blocks = store.blocks(1);
        assert_eq!(store.write(3, &blocks).await, Ok(StoreOutcome::Written));
        let range = BlockRange { first: blocks[0].id, end: blocks[0].id.next() };
        assert_eq!(store.read(3, range).await, blocks);
    }
    assert_eq!(store.read(3, all()).await.len(), 20);
    assert_eq!(store.read(4, all()).await, [], "another shard");
    assert_eq!(other.read(3, all()).await, [], "another tenant");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_range_has_its_first_block_and_not_its_end() {
    let store = Store::new();
    let blocks = store.blocks(5);
    assert_eq!(store.write(0, &blocks).await, Ok(StoreOutcome::Written));
    let range = |range: Range<usize>| BlockRange { first: blocks[range.start].id, end: blocks[range.end].id };
    assert_eq!(store.read(0, range(1..3)).await, blocks[1..3]);
    let after_all = BlockRange { first: blocks[4].id.next(), ..all() };
    assert_eq!(store.read(0, after_all).await, []);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_write_whose_answer_was_lost_is_repeated_and_no_other_takes_its_place() {
    let store = Store::new();
    for (number, count) in [(0, 1), (1, 3)] {
        let blocks = store.blocks(count);
        assert_eq!(store.write(number, &blocks).await, Ok(StoreOutcome::Written));
        assert_eq!(store.write(number, &blocks).await, Ok(StoreOutcome::Written));
        let last = blocks.last().unwrap();
        // By chance: other events under the same ID, alone and behind others.
        let collision = store.blocks_from(last.id, 1, b"{\"id\":\"3\"}\n");
        let mut request = store.blocks_from(BlockId::from_parts(now(), Machine.bits()), 2, b"{\"id\":\"4\"}\n");
        for colliding in [collision.clone(), {
            request.extend(collision);
            request
        }] {
            let answer = store.write(number, &colliding).await;
            assert!(
                matches!(answer, Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))),
                "{answer:?}"
            );
            assert_eq!(store.read(number, all()).await, blocks);
        }
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_shard_is_read_in_pages_of_one_megabyte() {
    let store = Store::new();
    for (number, count) in [(0_u8, 1), (1, 3), (15, 11)] {
        let blocks = store.largest_blocks(count);
        assert_eq!(store.write(number, &blocks).await, Ok(StoreOutcome::Written));
        let pages = store.pages(number, all()).await;
        assert!(pages.concat() == blocks, "shard {number}: other blocks, or another order");
        for block in pages.iter().flatten() {
            block.check(&store.tenant).unwrap();
        }
        let lengths: Vec<_> = pages.iter().map(|page| stored_length(page)).collect();
        assert!(lengths.iter().all(|length| *length < MEGABYTE + MAX_ITEM_LENGTH), "shard {number}: {lengths:?}");
        let fewest = stored_length(&blocks).div_ceil(MEGABYTE + MAX_ITEM_LENGTH);
        assert!(pages.len() >= fewest, "shard {number}: {lengths:?}");
        // From within a page, too.
        let rest = BlockRange { first: blocks[count / 2].id, ..all() };
        assert!(store.read(number, rest).await == blocks[count / 2..]);
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_largest_request_that_is_sent_is_taken() {
    let store = Store::new();
    let blocks = store.largest_blocks(12);
    let length: usize = blocks.iter().map(|block| block.deflate.len() + MAX_ATTRIBUTES_LENGTH).sum();
    let last = store.blocks_from(blocks[11].id.next(), 1, &incompressible(MAX_TRANSACTION_LENGTH - length - 4_096));
    let blocks = [blocks, last].concat();
    assert_eq!(store.write(0, &blocks).await, Ok(StoreOutcome::Written));
    assert!(store.read(0, all()).await == blocks);
    assert_eq!(store.write(1, &store.largest_blocks(13)).await, Err(WriteError::TooLarge));
}

/// Longer than any block: the limit of an item is DynamoDB's.
#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_item_of_more_than_400_kb_is_refused() {
    let store = Store::new();
    let mut block = store.blocks(1).remove(0);
    block.deflate = Bytes::from(vec![7; MAX_ITEM_LENGTH - MAX_ATTRIBUTES_LENGTH]);
    assert_eq!(store.write(0, &[block.clone()]).await, Ok(StoreOutcome::Written));
    let [id, next] = [block.id.next(), block.id.next().next()];
    let too_large = StoredBlock { id, deflate: Bytes::from(vec![7; MAX_ITEM_LENGTH]), ..block.clone() };
    let small = StoredBlock { id: next, deflate: Bytes::from_static(b"7"), ..block.clone() };
    for blocks in [vec![too_large.clone()], vec![small, too_large]] {
        let answer = store.write(0, &blocks).await;
        assert!(matches!(answer, Err(WriteError::Failed(PortError { kind: ErrorKind::Internal, .. }))), "{answer:?}");
    }
    assert!(store.read(0, all()).await == [block]);
}

fn record(key: &str, body: u8, accepted: u64) -> IdempotencyRecord {
    IdempotencyRecord { key_hash: key.to_owned(), body_hash: [body; 32], accepted }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_idempotency_key_takes_one_body_until_it_expires() {
    let (store, other) = (Store::new(), Store::new());
    let writer = store.writer();
    let write = |blocks: Vec<StoredBlock>, record: IdempotencyRecord| {
        let (writer, store) = (&writer, &store);
        async move { writer.write(&store.tenant, shard(0), &blocks, expires_at(), &[record]).await }
    };
    let blocks = store.blocks(2);
    assert_eq!(write(blocks.clone(), record("key", 1, 4)).await, Ok(StoreOutcome::Written));
    let again = write(store.blocks(2), record("key", 1, 4)).await;
    assert_eq!(again, Ok(StoreOutcome::AcceptedBefore(vec![AcceptedBefore { index: 0, accepted: 4 }])));
    assert_eq!(write(store.blocks(2), record("key", 2, 4)).await, Err(WriteError::KeyReused));
    assert_eq!(store.read(0, all()).await, blocks);
    // The very request again, after a lost answer. Within ten minutes DynamoDB knows it by its token.
    let same = write(blocks.clone(), record("key", 1, 4)).await;
    assert!(matches!(same, Ok(StoreOutcome::Written | StoreOutcome::AcceptedBefore(_))), "{same:?}");
    assert_eq!(store.read(0, all()).await, blocks);

    let of_other = other.blocks(1);
    let answer = other.writer().write(&other.tenant, shard(0), &of_other, expires_at(), &[record("key", 2, 2)]).await;
    assert_eq!(answer, Ok(StoreOutcome::Written), "another tenant's key");

    // DynamoDB may not have deleted the record by then.
    let later = blocks[0].id.timestamp().saturating_add(IDEMPOTENCY_LIFETIME).saturating_add(Duration::from_secs(2));
    let later = store.blocks_from(BlockId::from_parts(later, 1), 1, b"{\"id\":\"1\"}\n");
    assert_eq!(write(later.clone(), record("key", 2, 1)).await, Ok(StoreOutcome::Written));
    assert_eq!(store.read(0, all()).await, [blocks, later].concat());
}

/// The record distinguishes a collision from a repeat, so neither is written without the other.
#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn blocks_and_record_are_written_both_or_neither() {
    let store = Store::new();
    let there = store.blocks(1);
    assert_eq!(store.write(0, &there).await, Ok(StoreOutcome::Written));
    let colliding = store.blocks_from(there[0].id, 2, b"{\"id\":\"3\"}\n");
    let answer = store.writer().write(&store.tenant, shard(0), &colliding, expires_at(), &[record("key", 1, 2)]).await;
    assert!(matches!(answer, Err(WriteError::Failed(PortError { kind: ErrorKind::Transient, .. }))), "{answer:?}");
    assert_eq!(store.read(0, all()).await, there);
    let answer =
        store.writer().write(&store.tenant, shard(0), &store.blocks(1), expires_at(), &[record("key", 2, 2)]).await;
    assert_eq!(answer, Ok(StoreOutcome::Written), "the key was taken by what was not written");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn blocks_and_records_expire() {
    let store = Store::new();
    let blocks = store.blocks(1);
    let stamp = blocks[0].id.timestamp();
    let expires_at = stamp.saturating_add(RETENTION);
    let answer = store.writer().write(&store.tenant, shard(0), &blocks, expires_at, &[record("key", 1, 2)]).await;
    assert_eq!(answer, Ok(StoreOutcome::Written));
    for (partition, name, lifetime) in [
        (partition_key(&store.tenant, shard(0)), blocks[0].id.to_string(), RETENTION),
        (format!("{}#idempotency", store.tenant), "key".to_owned(), IDEMPOTENCY_LIFETIME),
    ] {
        let items = store.items(Table::Events, &partition).await;
        let expiry = store.expiry(Table::Events, &items[&name]).await;
        assert_eq!(expiry, Some(stamp.saturating_add(lifetime).floor_to(Duration::from_secs(1))));
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_backlog_is_counted_over_all_shards() {
    let store = Store::new();
    assert_eq!((store.backlog().await.events, store.backlog().await.oldest), (0, None));
    let oldest = store.blocks(1);
    for (number, blocks) in [(15, oldest.clone()), (0, store.blocks(3)), (7, store.largest_blocks(2))] {
        assert_eq!(store.write(number, &blocks).await, Ok(StoreOutcome::Written));
    }
    let backlog = store.backlog().await;
    assert_eq!((backlog.events, backlog.is_complete), (2 + 6 + 2, true));
    assert_eq!(backlog.oldest, Some(oldest[0].id.timestamp()));
}

/// A page ends by what was read, not by what is returned: a backlog larger than one page is counted in part.
#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn counting_ends_at_its_bound() {
    let store = Store::new();
    for _ in 0..2 {
        assert_eq!(store.write(0, &store.largest_blocks(10)).await, Ok(StoreOutcome::Written));
    }
    let backlog = store.backlog().await;
    assert!(!backlog.is_complete, "all of {} MB were looked at", 20 * MAX_BLOCK_RAW_LENGTH / MEGABYTE);
    assert!((2..8).contains(&backlog.events), "{backlog:?}");
}
