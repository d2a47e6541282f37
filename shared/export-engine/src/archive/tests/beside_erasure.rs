//! An archiver that works on a tenant that is being erased.

use domain::erasure::ErasureCounts;
use tokio::task::yield_now;

use super::*;
use crate::{
    erasure::{ErasureSettings, EventErasure},
    ports::{ArchiveReset, EventPartition, ItemEraser, SegmentEraser},
    test_support::AlarmLines,
};

/// The stores of a tenant, where a pass of the archiver goes before each step of an erasure, once references were searched.
struct Beside<'a>(&'a Store);

impl Beside<'_> {
    async fn pass(&self) {
        self.0.archiver().run(0).await.unwrap();
    }
}

impl ItemEraser for Beside<'_> {
    async fn erase_items(&self, _tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        if let EventPartition::Blocks(_) = partition {
            // Blocks take longer than the references.
            yield_now().await;
            self.pass().await;
        }
        let mut state = self.0.lock();
        Ok(match partition {
            EventPartition::Blocks(shard) => {
                let found = state.blocks.keys().find(|(of, _)| *of == shard).copied();
                u64::from(found.and_then(|found| state.blocks.remove(&found)).is_some())
            }
            EventPartition::Segments => u64::from(state.references.pop_first().is_some()),
            EventPartition::Quota | EventPartition::Idempotency => 0,
        })
    }
}

impl SegmentEraser for Beside<'_> {
    async fn erase_segments(&self, _tenant: &TenantId) -> Result<u64, PortError> {
        self.pass().await;
        Ok(u64::from(self.0.lock().objects.pop_first().is_some()))
    }
}

impl ArchiveReset for Beside<'_> {
    async fn archive_bucket(&self, _tenant: &TenantId) -> Result<Option<BucketName>, PortError> {
        Ok(self.0.row().bucket)
    }

    async fn reset_archive_row(&self, row: &ArchiveRow) -> Result<(), PortError> {
        self.pass().await;
        self.0.lock().row = Some(row.clone());
        Ok(())
    }
}

/// The archiver archives blocks that are not erased yet, after the references of the earlier segments are.
#[tokio::test]
async fn an_archiver_beside_an_erasure_raises_no_alarm() {
    let store = Store::with_blocks((0..40).map(|number| Duration::from_mins(number * 7)));
    store.set_now(start().saturating_add(DAY));
    let settings = ErasureSettings { bucket: bucket(), table_period: DAY * 7, times: TIMES, deadline: Timestamp::MAX };
    let (tenant, beside, mut counts) = (tenant(), Beside(&store), ErasureCounts::default());
    let erasure =
        EventErasure { tenant: &tenant, items: &beside, segments: &beside, archive: &beside, clock: &store, settings };
    let alarms = AlarmLines::default();
    alarms.of(erasure.run(&mut counts)).await.unwrap();
    assert_eq!(alarms.taken(), Vec::<String>::new());
    // Some blocks were archived meanwhile.
    assert!(counts.segments > 0 && counts.event_records > 0, "{counts:?}");
    let state = store.lock();
    assert_eq!((state.blocks.len(), state.references.len(), state.objects.len()), (0, 0, 0));
}
