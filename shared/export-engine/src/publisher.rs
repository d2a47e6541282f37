//! Publishing: takes notices from the outbox to the bus and to webhooks.
//!
//! A notice is removed from the outbox once everybody has it. What fails is repeated without what was done; after a crash, all of
//! it is sent again under the same ID.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use domain::{notice_id::NoticeId, tenant::TenantId, time::Timestamp, webhook::delivery::WebhookDelivery};
use futures::stream::{StreamExt, iter};
use host::Clock;

use crate::{
    alarms::LAST_EXPORT_STOPPED,
    ports::{NoticeBus, NoticeOutbox, PortError, QueuedNotice, QueuedNoticeKey, WebhookDeliveries},
};

/// The most notices of a shard in one pass.
pub const MAX_NOTICES_OF_A_SHARD: usize = 200;

/// The most pages of the list of a shard in one pass: that many tenants with many notices hide nobody.
pub const MAX_PAGES_OF_A_SHARD: usize = 16;

/// The concurrent deliveries and removals of a batch.
const MAX_CONCURRENT_NOTICES: usize = 10;

/// The time after which a pass starts with another shard, so that a slow one delays no other for longer.
const TURN: Duration = Duration::from_mins(1);

/// A pass over the outbox, over its ports.
#[derive(Clone, Copy, Debug)]
pub struct Publisher<'a, O, B, W, K> {
    pub outbox: &'a O,
    pub bus: &'a B,
    pub webhooks: &'a W,
    pub clock: &'a K,
    /// The time at which it ends. The rest waits for the next pass.
    pub deadline: Timestamp,
}

/// The outcome of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishOutcome {
    pub published: u64,
    /// The notices that were tried or could not be read, and are still in the outbox.
    pub failed: u64,
    /// The age of the oldest notice that the pass has seen and left.
    pub oldest_age: Duration,
    /// True if a store, the bus or the webhooks queue failed, or a notice could not be read. Each error was logged. A notice that the
    /// bus refused only counts as failed.
    pub has_errors: bool,
}

impl<O, B, W, K> Publisher<'_, O, B, W, K>
where
    O: NoticeOutbox,
    B: NoticeBus,
    W: WebhookDeliveries,
    K: Clock,
{
    /// Publishes a bounded number of notices of each shard, the oldest of a tenant first and the tenants in turn. A failure stops
    /// neither another batch nor another shard.
    pub async fn run(&self) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        let shards = u64::from(self.outbox.shards()).max(1);
        let first = self.clock.now().as_seconds() / TURN.as_secs() % shards;
        for turn in 0..shards {
            if self.clock.now() >= self.deadline {
                break;
            }
            // Below the number of shards, which is a u8.
            let shard = u8::try_from((first + turn) % shards).unwrap_or(0);
            let queued = self.queued(shard, &mut outcome).await;
            self.publish_shard(queued, &mut outcome).await;
        }
        outcome
    }

    /// Returns the notices of a shard, of each tenant at least as many as one pass publishes. After a failure, those that were
    /// read until then.
    async fn queued(&self, shard: u8, outcome: &mut PublishOutcome) -> Vec<QueuedNoticeKey> {
        let mut queued = Vec::new();
        let mut of_tenants: BTreeMap<TenantId, usize> = BTreeMap::new();
        let mut from = None;
        for _ in 0..MAX_PAGES_OF_A_SHARD {
            let page = match self.outbox.queued(shard, from).await {
                Ok(page) => page,
                Err(error) => {
                    outcome.note(&error);
                    return queued;
                }
            };
            let known = queued.len();
            queued.extend(page.keys.into_iter().filter_map(|key| outcome.readable(key)));
            for key in &queued[known..] {
                *of_tenants.entry(key.tenant_id.clone()).or_default() += 1;
            }
            let last = queued.last().and_then(|key| of_tenants.get(&key.tenant_id));
            let is_full = last.is_some_and(|known| *known >= MAX_NOTICES_OF_A_SHARD);
            let Some(next) = page.next else { return queued };
            from = Some(page.next_tenant.filter(|_| is_full).unwrap_or(next));
        }
        tracing::warn!(shard, known = queued.len(), "more notices wait than a pass reads");
        queued
    }

    async fn publish_shard(&self, queued: Vec<QueuedNoticeKey>, outcome: &mut PublishOutcome) {
        let mut left: BTreeSet<NoticeId> = queued.iter().map(|key| key.notice_id.clone()).collect();
        let chosen = in_turn(queued, MAX_NOTICES_OF_A_SHARD);
        for batch in chosen.chunks(O::MAX_BATCH.min(B::MAX_BATCH).max(1)) {
            if self.clock.now() >= self.deadline {
                break;
            }
            match self.publish_batch(batch, outcome).await {
                Ok(done) => left.retain(|id| !done.contains(id)),
                Err(error) => {
                    outcome.failed += batch.len() as u64;
                    outcome.note(&error);
                }
            }
        }
        if let Some(oldest) = left.first().and_then(NoticeId::timestamp) {
            outcome.oldest_age = outcome.oldest_age.max(self.clock.now().saturating_since(oldest));
        }
    }

    /// Returns the notices that are no longer in the outbox.
    async fn publish_batch(
        &self,
        batch: &[QueuedNoticeKey],
        outcome: &mut PublishOutcome,
    ) -> Result<Vec<NoticeId>, PortError> {
        let mut notices = Vec::new();
        for notice in self.outbox.notices(batch).await? {
            notices.extend(outcome.readable(notice));
        }
        // The alarm depends on neither the bus nor the queue. A copy of the line does no harm.
        for QueuedNotice { key, kind, configuration, .. } in notices.iter().filter(|notice| notice.is_last_export) {
            tracing::error!(tenant = %configuration.tenant_id, configuration = %configuration.configuration_id,
                notice = %key.notice_id, kind = kind.name(), alarm = LAST_EXPORT_STOPPED,
                "the last export of a tenant was stopped or moved");
        }
        if notices.is_empty() {
            return Ok(Vec::new());
        }
        let is_on_bus = self.send_to_bus(&notices, outcome).await;
        let results: Vec<_> = iter(notices.iter().zip(is_on_bus))
            .map(
                async |(notice, is_on_bus)| {
                    if is_on_bus { self.finish(notice).await.map(|()| true) } else { Ok(false) }
                },
            )
            .buffered(MAX_CONCURRENT_NOTICES)
            .collect()
            .await;
        let mut done = Vec::new();
        for (notice, result) in notices.iter().zip(results) {
            match result {
                Ok(true) => {
                    outcome.published += 1;
                    done.push(notice.key.notice_id.clone());
                }
                Ok(false) => outcome.failed += 1,
                Err(error) => {
                    outcome.failed += 1;
                    outcome.note(&error);
                }
            }
        }
        Ok(done)
    }

    /// Sends the notices of a batch that the bus has not. Returns for each, in the same order, whether it has it now.
    async fn send_to_bus(&self, notices: &[QueuedNotice], outcome: &mut PublishOutcome) -> Vec<bool> {
        let missing: Vec<_> = notices.iter().filter(|notice| !notice.is_on_bus).collect();
        let taken = if missing.is_empty() { Ok(Vec::new()) } else { self.bus.send(&missing).await };
        let mut taken = taken
            .unwrap_or_else(|error| {
                outcome.note(&error);
                Vec::new()
            })
            .into_iter();
        notices.iter().map(|notice| notice.is_on_bus || taken.next().unwrap_or(false)).collect()
    }

    /// Finishes a notice that the bus has. If that fails, the next pass repeats no more than that.
    async fn finish(&self, notice: &QueuedNotice) -> Result<(), PortError> {
        let finished = self.queue_and_remove(notice).await;
        if finished.is_err()
            && !notice.is_on_bus
            && let Err(error) = self.outbox.note_on_bus(&notice.key).await
        {
            tracing::warn!(%error, notice = %notice.key.notice_id, "the bus will get a notice again");
        }
        finished
    }

    /// Queues the deliveries of a notice, and removes it from the outbox.
    async fn queue_and_remove(&self, notice: &QueuedNotice) -> Result<(), PortError> {
        let (id, configuration) = (&notice.key.notice_id, &notice.configuration);
        let created_at = self.clock.now();
        let deliveries: Vec<_> = notice
            .receivers
            .iter()
            .map(|webhook| WebhookDelivery {
                notice_id: id.clone(),
                tenant_id: configuration.tenant_id.clone(),
                configuration_id: configuration.configuration_id,
                webhook: webhook.clone(),
                body: notice.body.clone(),
                created_at,
                next_attempt_at: None,
            })
            .collect();
        if !deliveries.is_empty() {
            self.webhooks.send(&deliveries).await?;
        }
        self.outbox.remove(&notice.key).await?;
        tracing::info!(tenant = %configuration.tenant_id, configuration = %configuration.configuration_id, notice = %id,
            kind = notice.kind.name(), receivers = notice.receivers.len(), "a notice was published");
        Ok(())
    }
}

impl PublishOutcome {
    /// Returns what could be read. The rest counts as failed, and stops nothing else.
    fn readable<T>(&mut self, read: Result<T, PortError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                self.failed += 1;
                self.note(&error);
                None
            }
        }
    }

    fn note(&mut self, error: &PortError) {
        tracing::error!(%error, "notices wait for the next pass");
        self.has_errors = true;
    }
}

/// Returns at most `limit` notices: the oldest of each tenant, then the next ones.
fn in_turn(mut queued: Vec<QueuedNoticeKey>, limit: usize) -> Vec<QueuedNoticeKey> {
    queued.sort();
    let mut of_tenants: BTreeMap<TenantId, VecDeque<QueuedNoticeKey>> = BTreeMap::new();
    for key in queued {
        of_tenants.entry(key.tenant_id.clone()).or_default().push_back(key);
    }
    let mut chosen = Vec::new();
    while chosen.len() < limit && !of_tenants.is_empty() {
        let mut round: Vec<_> = of_tenants.values_mut().filter_map(VecDeque::pop_front).collect();
        round.sort();
        chosen.extend(round);
        of_tenants.retain(|_, left| !left.is_empty());
    }
    chosen.truncate(limit);
    chosen
}

#[cfg(test)]
mod tests;
