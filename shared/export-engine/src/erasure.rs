//! The erasure of a tenant's events: its items of the events table, and its archive.

use std::time::Duration;

use domain::{
    archive::{ArchiveRow, ArchiveTimes, ForeignBucket},
    block::{INGEST_WRITE_BOUND, SIGNATURE_LIFETIME},
    configuration::bucket::BucketName,
    erasure::ErasureCounts,
    export_run::MAX_CLOCK_SKEW,
    tenant::TenantId,
    time::Timestamp,
};
use futures::stream::{FuturesUnordered, StreamExt};
use host::Clock;

use crate::ports::{ArchiveReset, EventPartition, ItemEraser, PortError, SegmentEraser};

/// The longest time of an invocation.
const INVOCATION: Duration = Duration::from_mins(15);

// A block that lands after the erasure has searched its partition lies behind the start of the new row. So it is archived or
// rescued, also if its writer gave it the short expiry by the earlier row.
const _: () = assert!(
    ArchiveTimes::PRODUCTION.new_row_age.as_secs()
        > INGEST_WRITE_BOUND.as_secs() + SIGNATURE_LIFETIME.as_secs() + MAX_CLOCK_SKEW.as_secs() + INVOCATION.as_secs()
);

/// The reason why an erasure stops before its end. What it has counted is erased.
#[derive(Debug)]
pub enum ErasureStop {
    /// The time of the invocation is over.
    OutOfTime,
    Failed(PortError),
}

impl From<PortError> for ErasureStop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

/// The settings of an erasure.
#[derive(Clone, Debug)]
pub struct ErasureSettings {
    /// The present bucket of segments.
    pub bucket: BucketName,
    /// The time for which blocks stay in the table that are archived.
    pub table_period: Duration,
    pub times: ArchiveTimes,
    /// The time after which no further page is begun.
    pub deadline: Timestamp,
}

/// The erasure of a tenant's events, over its ports. Its configurations are deleted before, so that no run reads blocks
/// meanwhile and delivers what is left of them.
#[derive(Debug)]
pub struct EventErasure<'a, I, S, A, K> {
    pub tenant: &'a TenantId,
    pub items: &'a I,
    pub segments: &'a S,
    pub archive: &'a A,
    pub clock: &'a K,
    pub settings: ErasureSettings,
}

impl<I, S, A, K> EventErasure<'_, I, S, A, K>
where
    I: ItemEraser,
    S: SegmentEraser,
    A: ArchiveReset,
    K: Clock,
{
    /// Erases blocks, other items and segments until none is left, and adds their numbers to `counts`, also if it stops early.
    /// It can be repeated from the start at any time.
    ///
    /// What was in progress when it began may store another item or segment after its end: a writer, or an archiver that has read
    /// blocks. No segment of an archiver that began before counts. A second erasure finds both (docs/OPERATIONS.md).
    ///
    /// # Errors
    /// [`ErasureStop`].
    pub async fn run(&self, counts: &mut ErasureCounts) -> Result<(), ErasureStop> {
        self.erase_items(counts).await?;
        self.in_time()?;
        // Else the statement would be signed over segments that are left there.
        ForeignBucket::check(self.archive.archive_bucket(self.tenant).await?.as_ref(), &self.settings.bucket)
            .map_err(|foreign| PortError::internal_from("erase archive", foreign))?;
        while self.erase_archive(counts).await? {}
        Ok(())
    }

    async fn erase_items(&self, counts: &mut ErasureCounts) -> Result<(), ErasureStop> {
        let mut erased: FuturesUnordered<_> = EventPartition::all().map(|of| self.erase_partition(of)).collect();
        let mut stop = None;
        while let Some((partition, count, result)) = erased.next().await {
            match partition {
                EventPartition::Blocks(_) => counts.blocks += count,
                EventPartition::Quota | EventPartition::Idempotency | EventPartition::Segments => {
                    counts.event_records += count;
                }
            }
            // The other partitions continue and are counted.
            stop = stop.or(result.err());
        }
        stop.map_or(Ok(()), Err)
    }

    /// Resets the row, so that an archiver that works on the tenant can't let its segment count; and erases the segments, and the
    /// references to those that counted meanwhile. `true`: there were some, so that an archiver of the new row may have let a
    /// segment count of which only a part was found. The next reset lets none count that is not whole.
    ///
    /// References are also erased right before the reset: to an archiver of the new row, one that is left would be damage.
    async fn erase_archive(&self, counts: &mut ErasureCounts) -> Result<bool, ErasureStop> {
        let ErasureSettings { bucket, table_period, times, .. } = &self.settings;
        let before = *counts;
        self.erase_references(counts).await?;
        self.in_time()?;
        let row =
            ArchiveRow::after_erasure(self.tenant.clone(), bucket.clone(), self.clock.now(), *table_period, times);
        self.archive.reset_archive_row(&row).await?;
        loop {
            self.in_time()?;
            match self.segments.erase_segments(self.tenant).await? {
                0 => break,
                erased => counts.segments += erased,
            }
        }
        self.erase_references(counts).await?;
        Ok(*counts != before)
    }

    async fn erase_references(&self, counts: &mut ErasureCounts) -> Result<(), ErasureStop> {
        let (_, count, result) = self.erase_partition(EventPartition::Segments).await;
        counts.event_records += count;
        result
    }

    /// Erases a partition, and returns the number of erased items.
    async fn erase_partition(&self, partition: EventPartition) -> (EventPartition, u64, Result<(), ErasureStop>) {
        let mut count = 0;
        loop {
            if let Err(stop) = self.in_time() {
                return (partition, count, Err(stop));
            }
            match self.items.erase_items(self.tenant, partition).await {
                Ok(0) => return (partition, count, Ok(())),
                Ok(erased) => count += erased,
                Err(error) => return (partition, count, Err(error.into())),
            }
        }
    }

    fn in_time(&self) -> Result<(), ErasureStop> {
        if self.clock.now() < self.settings.deadline { Ok(()) } else { Err(ErasureStop::OutOfTime) }
    }
}

#[cfg(test)]
mod tests;
