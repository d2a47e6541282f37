//! The services that ingest needs, and their AWS implementations. Tests use implementations in memory.
//!
//! Each method does what the method of the same name in `aws_adapters` does.

use std::future::Future;

use aws_adapters::{
    archive::records::ArchiveTable,
    event_queue::{EventQueueClient, Redelivery},
    events::{
        quota::{CountOutcome, QuotaTable},
        writer::{EventWriter, IdempotencyRecord, StoreOutcome, WriteError},
    },
};
use domain::{
    archive::ArchiveRow,
    block::{Shard, StoredBlock},
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::ports::{ArchiveRecords, PortError};
use function_runtime::lazy::Lazy;
use host::{Clock, Random};

/// The table that blocks are written to.
pub(crate) trait BlockWriter: Send + Sync {
    /// See [`EventWriter::write`]. The expiry is the writer's to decide.
    fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        records: &[IdempotencyRecord],
    ) -> impl Future<Output = Result<StoreOutcome, WriteError>> + Send;
}

/// The table that blocks are written to, with the expiry that they get.
pub(crate) trait ExpiringBlockWriter: Send + Sync {
    /// See [`EventWriter::write`].
    fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        expires_at: Timestamp,
        records: &[IdempotencyRecord],
    ) -> impl Future<Output = Result<StoreOutcome, WriteError>> + Send;
}

impl ExpiringBlockWriter for EventWriter {
    async fn write(
        &self,
        tenant: &TenantId,
        shard: Shard,
        blocks: &[StoredBlock],
        expires_at: Timestamp,
        records: &[IdempotencyRecord],
    ) -> Result<StoreOutcome, WriteError> {
        EventWriter::write(self, tenant, shard, blocks, expires_at, records).await
    }
}

/// The registry rows of tenants' archives.
pub(crate) trait ArchiveRows: Send + Sync {
    /// See [`ArchiveRecords::archive_row`].
    fn archive_row(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<ArchiveRow>, PortError>> + Send;

    /// See [`ArchiveRecords::create_archive_row`].
    fn create_archive_row(&self, row: &ArchiveRow) -> impl Future<Output = Result<bool, PortError>> + Send;
}

impl ArchiveRows for Lazy<ArchiveTable> {
    async fn archive_row(&self, tenant: &TenantId) -> Result<Option<ArchiveRow>, PortError> {
        ArchiveRecords::archive_row(&**self, tenant).await
    }

    async fn create_archive_row(&self, row: &ArchiveRow) -> Result<bool, PortError> {
        ArchiveRecords::create_archive_row(&**self, row).await
    }
}

/// The counts of bytes that all instances of the function share.
pub(crate) trait QuotaCounter: Send + Sync {
    /// See [`QuotaTable::add`].
    fn add(
        &self,
        tenant: &TenantId,
        minute: Timestamp,
        bytes: u64,
        limit: u64,
    ) -> impl Future<Output = Result<CountOutcome, PortError>> + Send;
}

impl QuotaCounter for Lazy<QuotaTable> {
    async fn add(
        &self,
        tenant: &TenantId,
        minute: Timestamp,
        bytes: u64,
        limit: u64,
    ) -> Result<CountOutcome, PortError> {
        QuotaTable::add(self, tenant, minute, bytes, limit).await
    }
}

/// The queue that delivers the messages.
pub(crate) trait MessageQueue: Send + Sync {
    /// See [`EventQueueClient::show_again`].
    fn show_again(&self, batch: &[Redelivery]) -> impl Future<Output = Result<(), PortError>> + Send;
}

impl MessageQueue for Lazy<EventQueueClient> {
    async fn show_again(&self, batch: &[Redelivery]) -> Result<(), PortError> {
        EventQueueClient::show_again(self, batch).await
    }
}

/// The clock and the random numbers that make up the ID of a block.
pub(crate) trait Host: Clock + Random {}

impl<T: Clock + Random> Host for T {}
