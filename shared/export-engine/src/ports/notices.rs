//! Notices: where the sweep and the publisher find, store and send them.

use domain::{
    configuration::ConfigurationKey,
    notice::{
        NoticeKind,
        state::{NoticeTransition, ObservedExport},
    },
    notice_id::NoticeId,
    tenant::TenantId,
    webhook::{
        Webhook,
        delivery::{WebhookBody, WebhookDelivery},
    },
};

use super::error::PortError;

/// The outcome of storing what the sweep noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    Recorded,
    /// A person edited the export, or another sweep noticed something, since it was observed.
    ChangedSince,
}

/// What was noticed of exports.
pub trait NoticeRecords: Send + Sync {
    /// Replaces what was noticed of an export and queues its notices, in one transaction.
    fn record(
        &self,
        export: &ObservedExport,
        transition: &NoticeTransition,
    ) -> impl Future<Output = Result<RecordOutcome, PortError>> + Send;
}

/// The place of a queued notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuedNoticeKey {
    /// IDs sort by their times.
    pub notice_id: NoticeId,
    pub tenant_id: TenantId,
    /// The name of its item, as the outbox gave it.
    pub item: String,
}

/// A page of the notices of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedPage<P> {
    /// The keys; each that can't be read is an error inside the list.
    pub keys: Vec<Result<QueuedNoticeKey, PortError>>,
    /// The position of the next page. `None`: this is the last one.
    pub next: Option<P>,
    /// The position behind all notices of the last key's tenant, if it is behind the page.
    pub next_tenant: Option<P>,
}

/// A notice in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedNotice {
    pub key: QueuedNoticeKey,
    pub kind: NoticeKind,
    pub configuration: ConfigurationKey,
    /// The notice as JSON.
    pub body: WebhookBody,
    /// The receivers when it was queued.
    pub receivers: Vec<Webhook>,
    /// True if it is about the end of the last export of a tenant.
    pub is_last_export: bool,
    /// True if the bus has it, and the rest failed.
    pub is_on_bus: bool,
}

/// The outbox: notices that were stored with their causes, and are not published yet.
pub trait NoticeOutbox: Send + Sync {
    /// The most notices of a batch.
    const MAX_BATCH: usize;

    /// A place in the list of a shard.
    type Position: Send;

    /// Returns the number of shards. All notices of a tenant are in the same one.
    fn shards(&self) -> u8;

    /// Returns the page of the notices of a shard that begins at a position. The notices of a tenant follow each other, the oldest
    /// first; those that an earlier version of the service queued may stand apart.
    fn queued(
        &self,
        shard: u8,
        from: Option<Self::Position>,
    ) -> impl Future<Output = Result<QueuedPage<Self::Position>, PortError>> + Send;

    /// Returns at most [`NoticeOutbox::MAX_BATCH`] notices, in any order. Leaves out those that were removed; each that can't be
    /// read is an error inside the list.
    fn notices(
        &self,
        batch: &[QueuedNoticeKey],
    ) -> impl Future<Output = Result<Vec<Result<QueuedNotice, PortError>>, PortError>> + Send;

    /// Notes that the bus has a notice. One that is gone is no error.
    fn note_on_bus(&self, key: &QueuedNoticeKey) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Removes a notice. One that is gone is no error.
    fn remove(&self, key: &QueuedNoticeKey) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The bus of the stack.
pub trait NoticeBus: Send + Sync {
    /// The most notices of a batch.
    const MAX_BATCH: usize;

    /// Sends at most [`NoticeBus::MAX_BATCH`] notices. Returns for each, in the same order, whether the bus took it.
    fn send(&self, batch: &[&QueuedNotice]) -> impl Future<Output = Result<Vec<bool>, PortError>> + Send;
}

/// The queue of deliveries to webhooks.
pub trait WebhookDeliveries: Send + Sync {
    /// Sends all deliveries of a notice or fails. After a failure, some may have been sent.
    fn send(&self, deliveries: &[WebhookDelivery]) -> impl Future<Output = Result<(), PortError>> + Send;
}
