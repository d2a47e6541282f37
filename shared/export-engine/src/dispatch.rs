//! The dispatch of a slot: one message for each enabled configuration of an interval.

use domain::{
    configuration::ConfigurationKey,
    export_run::{RunRequest, RunTrigger},
    interval::ExportInterval,
    time::Timestamp,
};
use futures::stream::{Stream, StreamExt, TryStreamExt, iter, try_unfold};

use crate::ports::{EnabledConfigurations, PortError, RunQueue};

/// The concurrent batches. One takes 5 to 10 ms on AWS: sent one after the other, those of 100,000 configurations take a minute
/// or two; 16 at a time, a few seconds.
pub const MAX_CONCURRENT_SENDS: usize = 16;

/// Requests an export through `through` for every enabled configuration of the interval, and returns their number.
///
/// It can be repeated: a run of an exported slot does nothing, so messages that are sent twice change nothing. Memory is
/// bounded by one page and the batches in flight.
///
/// # Errors
/// Those of the index or the queue. Other batches may have been sent, or may still be sent.
pub async fn dispatch<Q: RunQueue>(
    index: &impl EnabledConfigurations,
    queue: &Q,
    interval: ExportInterval,
    through: Timestamp,
) -> Result<u64, PortError> {
    iter(0..index.shards())
        .flat_map(|shard| pages(index, interval, shard))
        .map_ok(|page| iter(batches(page, Q::MAX_BATCH, through)).map(Ok))
        .try_flatten()
        .map_ok(|batch| async move { queue.send(&batch).await.map(|()| batch.len() as u64) })
        .try_buffer_unordered(MAX_CONCURRENT_SENDS)
        .try_fold(0, async |dispatched, sent| Ok(dispatched + sent))
        .await
}

/// Returns the pages of one shard of the index. Each is read when it is polled.
fn pages<I: EnabledConfigurations>(
    index: &I,
    interval: ExportInterval,
    shard: u8,
) -> impl Stream<Item = Result<Vec<ConfigurationKey>, PortError>> {
    try_unfold(Some(None), move |after| async move {
        let Some(after) = after else { return Ok(None) };
        let (keys, next) = index.page(interval, shard, after).await?;
        Ok(Some((keys, next.map(Some))))
    })
}

fn batches(keys: Vec<ConfigurationKey>, length: usize, through: Timestamp) -> Vec<Vec<RunRequest>> {
    let requests: Vec<_> = keys.into_iter().map(|key| RunRequest::new(key, through, RunTrigger::Schedule)).collect();
    requests.chunks(length.max(1)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests;
