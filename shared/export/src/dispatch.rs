//! From a schedule's firing to one message per enabled configuration.

use domain::{
    export_run::{RunRequest, RunTrigger},
    interval::ExportInterval,
    time::Timestamp,
};

use crate::ports::{EnabledConfigurations, PortError, RunQueue};

/// Asks for an export through `through` of every enabled configuration of the interval, and says of how many.
///
/// Safe to repeat: a slot that was exported is a no-op, so a retry after a failure half-way sends the first half again and
/// changes nothing. Memory is bounded by one page.
///
/// # Errors
/// Of the index or the queue.
pub async fn dispatch(
    index: &impl EnabledConfigurations,
    queue: &impl RunQueue,
    interval: ExportInterval,
    through: Timestamp,
) -> Result<u64, PortError> {
    let mut dispatched = 0;
    for shard in 0..index.shards() {
        let mut position = None;
        loop {
            let (keys, next) = index.page(interval, shard, position).await?;
            let requests: Vec<RunRequest> =
                keys.into_iter().map(|key| RunRequest { key, through, trigger: RunTrigger::Schedule }).collect();
            queue.send(&requests).await?;
            dispatched += requests.len() as u64;
            if next.is_none() {
                break;
            }
            position = next;
        }
    }
    Ok(dispatched)
}
