use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::sleep;

use super::*;
use crate::test_support::key;

const INTERVAL: ExportInterval = ExportInterval::Every2Hours;
const PAGE: usize = 205;

/// An index of some shards and a queue, with the latency of AWS.
#[derive(Debug, Default)]
struct Fake {
    shards: Vec<Vec<ConfigurationKey>>,
    /// The number of a batch that is refused.
    refused: Option<usize>,
    /// The number of a page that can't be read.
    unread: Option<usize>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    pages: usize,
    batches: usize,
    concurrent: usize,
    most_concurrent: usize,
    keys_read: usize,
    most_keys_held: usize,
    sent: BTreeMap<ConfigurationKey, usize>,
}

impl Fake {
    fn with_shards(lengths: &[usize]) -> Self {
        let mut keys = (0..).map(key);
        let shards = lengths.iter().map(|length| keys.by_ref().take(*length).collect()).collect();
        Self { shards, ..Self::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn dispatch(&self) -> Result<u64, PortError> {
        dispatch(self, self, INTERVAL, Timestamp::EPOCH).await
    }
}

impl EnabledConfigurations for Fake {
    type Position = usize;

    fn shards(&self) -> u8 {
        u8::try_from(self.shards.len()).unwrap()
    }

    async fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<usize>,
    ) -> Result<(Vec<ConfigurationKey>, Option<usize>), PortError> {
        assert_eq!(interval, INTERVAL);
        sleep(Duration::from_millis(7)).await;
        let keys = &self.shards[usize::from(shard)];
        let start = after.unwrap_or(0);
        let end = keys.len().min(start + PAGE);
        let mut seen = self.seen();
        seen.pages += 1;
        if self.unread == Some(seen.pages) {
            return Err(PortError::transient("query", "busy"));
        }
        seen.keys_read += end - start;
        seen.most_keys_held = seen.most_keys_held.max(seen.keys_read - seen.sent.len());
        Ok((keys[start..end].to_vec(), (end < keys.len()).then_some(end)))
    }
}

impl RunQueue for Fake {
    const MAX_BATCH: usize = 10;

    async fn send(&self, batch: &[RunRequest]) -> Result<(), PortError> {
        assert!((1..=Self::MAX_BATCH).contains(&batch.len()));
        let number = {
            let mut seen = self.seen();
            seen.batches += 1;
            seen.concurrent += 1;
            seen.most_concurrent = seen.most_concurrent.max(seen.concurrent);
            seen.batches
        };
        // The latencies differ, so that batches end in another order than they began.
        sleep(Duration::from_millis(5 + u64::try_from(number % 7).unwrap())).await;
        let mut seen = self.seen();
        seen.concurrent -= 1;
        if self.refused == Some(number) {
            return Err(PortError::transient("sqs:SendMessage", "1 not sent"));
        }
        for request in batch {
            assert_eq!((request.through, request.trigger), (Timestamp::EPOCH, RunTrigger::Schedule));
            *seen.sent.entry(request.key.clone()).or_default() += 1;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_configuration_is_sent_once_in_full_batches() {
    let fake = Fake::with_shards(&[1_025, 0, 1_024, 1, 205, 206]);
    assert_eq!(fake.dispatch().await, Ok(2_461));
    let seen = fake.seen();
    assert!(seen.sent.values().all(|count| *count == 1));
    assert_eq!(seen.sent.len(), 2_461);
    assert_eq!(seen.pages, 5 + 1 + 5 + 1 + 1 + 2);
    assert_eq!(seen.batches, 5 * 21 + 5 * 21 + 1 + 21 + 22);
}

#[tokio::test(start_paused = true)]
async fn batches_are_sent_at_once_up_to_the_bound_and_pages_are_read_as_they_are_needed() {
    let fake = Fake::with_shards(&[2_000, 2_000]);
    fake.dispatch().await.unwrap();
    let seen = fake.seen();
    assert_eq!(seen.most_concurrent, MAX_CONCURRENT_SENDS);
    assert!(seen.most_keys_held <= PAGE + MAX_CONCURRENT_SENDS * Fake::MAX_BATCH, "{}", seen.most_keys_held);
}

#[tokio::test(start_paused = true)]
async fn no_configuration_means_no_batch() {
    let fake = Fake::with_shards(&[0, 0]);
    assert_eq!(fake.dispatch().await, Ok(0));
    assert_eq!(fake.seen().batches, 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_or_a_page_that_fails_fails_the_dispatch() {
    for number in [1, 17, 51] {
        let refused = Fake { refused: Some(number), ..Fake::with_shards(&[500]) };
        assert_eq!(refused.dispatch().await, Err(PortError::transient("sqs:SendMessage", "1 not sent")), "{number}");
    }
    for number in [1, 2, 4] {
        let unread = Fake { unread: Some(number), ..Fake::with_shards(&[500, 10]) };
        assert_eq!(unread.dispatch().await, Err(PortError::transient("query", "busy")), "{number}");
    }
}
