use std::sync::Mutex;

use domain::block::BlockId;

use super::*;
use crate::ports::ErrorKind;

const TABLE_PERIOD: Duration = Duration::from_hours(7 * 24);

/// The items and segments of a tenant, by number, and an archiver that works on it.
struct Store {
    state: Mutex<State>,
}

struct State {
    now: Timestamp,
    blocks: u64,
    references: u64,
    segments: u64,
    row: Option<ArchiveRow>,
    /// The segments that an archiver of the row stores and lets count, one after each search that found no segment.
    archives: u64,
    /// What was done, in order.
    steps: Vec<&'static str>,
}

impl Store {
    fn new(blocks: u64, segments: u64) -> Self {
        let now = Timestamp::parse("2026-11-30T12:00:00Z").unwrap();
        let row = ArchiveRow::new(tenant(), bucket("present"), now, TABLE_PERIOD, &ArchiveTimes::PRODUCTION);
        let (references, row) = (segments, Some(row));
        let state = State { now, blocks, references, segments, row, archives: 0, steps: Vec::new() };
        Self { state: Mutex::new(state) }
    }

    async fn erase(&self, time: Duration) -> (ErasureCounts, Result<(), ErasureStop>) {
        let deadline = self.now().saturating_add(time);
        let settings = ErasureSettings {
            bucket: bucket("present"),
            table_period: TABLE_PERIOD,
            times: ArchiveTimes::PRODUCTION,
            deadline,
        };
        let (tenant, mut counts) = (tenant(), ErasureCounts::default());
        let erasure =
            EventErasure { tenant: &tenant, items: self, segments: self, archive: self, clock: self, settings };
        let result = erasure.run(&mut counts).await;
        (counts, result)
    }
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).unwrap()
}

/// Takes one, if there is one.
fn take(count: &mut u64) -> u64 {
    let taken = (*count).min(1);
    *count -= taken;
    taken
}

impl Clock for Store {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().now
    }
}

impl ItemEraser for Store {
    async fn erase_items(&self, _tenant: &TenantId, partition: EventPartition) -> Result<u64, PortError> {
        let mut state = self.state.lock().unwrap();
        state.now = state.now.saturating_add(Duration::from_secs(1));
        Ok(match partition {
            EventPartition::Blocks(shard) if shard.number() == 3 => take(&mut state.blocks),
            EventPartition::Segments => take(&mut state.references),
            _ => 0,
        })
    }
}

impl SegmentEraser for Store {
    async fn erase_segments(&self, _tenant: &TenantId) -> Result<u64, PortError> {
        let mut state = self.state.lock().unwrap();
        let erased = take(&mut state.segments);
        if erased == 0 {
            state.steps.push("searched");
            let archived = take(&mut state.archives);
            state.segments += archived;
            state.references += archived;
        }
        Ok(erased)
    }
}

impl ArchiveReset for Store {
    async fn archive_bucket(&self, _tenant: &TenantId) -> Result<Option<BucketName>, PortError> {
        Ok(self.state.lock().unwrap().row.as_ref().and_then(|row| row.bucket.clone()))
    }

    async fn reset_archive_row(&self, row: &ArchiveRow) -> Result<(), PortError> {
        let mut state = self.state.lock().unwrap();
        state.row = Some(row.clone());
        state.steps.push("reset");
        Ok(())
    }
}

#[tokio::test]
async fn everything_is_erased_and_the_row_begins_again_before_segments_are_searched() {
    let store = Store::new(5, 3);
    let begun = store.now();
    let (counts, result) = store.erase(Duration::from_mins(13)).await;
    assert!(result.is_ok());
    assert_eq!((counts.blocks, counts.event_records, counts.segments), (5, 3, 3));
    let state = store.state.lock().unwrap();
    assert_eq!((state.blocks, state.references, state.segments), (0, 0, 0));
    let row = state.row.clone().unwrap();
    assert!(row.archived_from > BlockId::lowest_at(begun.saturating_sub(ArchiveTimes::PRODUCTION.new_row_age)));
    assert_eq!(row.archived_from, row.segments_through);
    // The first found something, so there is another.
    assert_eq!(state.steps, ["reset", "searched", "reset", "searched"]);
}

/// Its object was not there when segments were searched, and its reference was when references were.
#[tokio::test]
async fn a_segment_that_counts_meanwhile_is_erased_as_a_whole() {
    let store = Store::new(0, 0);
    store.state.lock().unwrap().archives = 2;
    let (counts, result) = store.erase(Duration::from_mins(13)).await;
    assert!(result.is_ok());
    assert_eq!((counts.segments, counts.event_records), (2, 2));
    let state = store.state.lock().unwrap();
    assert_eq!((state.segments, state.references), (0, 0));
    assert_eq!(state.steps.iter().filter(|step| **step == "reset").count(), 4);
    assert_eq!(state.steps.last(), Some(&"searched"));
}

#[tokio::test]
async fn an_erasure_without_time_counts_what_it_has_erased_and_signs_nothing() {
    let store = Store::new(200, 3);
    let (counts, result) = store.erase(Duration::from_mins(1)).await;
    assert!(matches!(result, Err(ErasureStop::OutOfTime)), "{result:?}");
    assert!(counts.blocks > 0 && counts.segments == 0, "{counts:?}");
    assert_eq!(store.state.lock().unwrap().blocks, 200 - counts.blocks);
    assert!(store.state.lock().unwrap().steps.is_empty());
}

#[tokio::test]
async fn segments_in_another_bucket_stop_the_erasure() {
    let store = Store::new(5, 3);
    store.state.lock().unwrap().row.as_mut().unwrap().bucket = Some(bucket("first"));
    let (_, result) = store.erase(Duration::from_mins(13)).await;
    let Err(ErasureStop::Failed(error)) = result else { panic!("{result:?}") };
    assert_eq!((error.kind, error.operation), (ErrorKind::Internal, "erase archive"));
    let state = store.state.lock().unwrap();
    assert_eq!((state.segments, state.steps.len()), (3, 0));
}
