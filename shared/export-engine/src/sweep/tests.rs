use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use domain::{
    connection::ConnectionStatus, export_health::ExportStanding, interval::ExportInterval,
    notice::state::StoredNoticeState,
};
use host::{Clock, Random};

use super::*;
use crate::test_support::key;

const PAGE: usize = 3;
const NOW: &str = "2026-11-22T12:20:00Z";

/// An index with all configurations in one shard of one interval. Its clock advances by a minute with each page.
#[derive(Debug, Default)]
struct Fake {
    configurations: usize,
    /// The first configurations of the index, which were deleted since.
    deleted: usize,
    disabled: Option<usize>,
    corrupt: Option<usize>,
    /// The configuration whose partition is throttled.
    throttled: Option<usize>,
    /// The configuration whose whole batch fails.
    refused: Option<usize>,
    /// The configuration that is older than notices.
    unnoticed: Option<usize>,
    /// The configurations of which nothing can be stored.
    unwritable: Option<usize>,
    edited: Option<usize>,
    recorded: Mutex<Vec<(usize, usize)>>,
    pages: AtomicUsize,
    largest_batch: AtomicUsize,
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn number(key: &ConfigurationKey) -> usize {
    usize::try_from(u128::from_be_bytes(*key.configuration_id.as_bytes())).unwrap()
}

impl EnabledConfigurations for Fake {
    type Position = usize;

    fn shards(&self) -> u8 {
        2
    }

    async fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<usize>,
    ) -> Result<(Vec<ConfigurationKey>, Option<usize>), PortError> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        if interval != ExportInterval::Every4Hours || shard != 1 {
            return Ok((Vec::new(), None));
        }
        let start = after.unwrap_or(0);
        let end = (start + PAGE).min(self.configurations);
        Ok(((start..end).map(key).collect(), (end < self.configurations).then_some(end)))
    }
}

impl ObservedExports for Fake {
    const MAX_BATCH: usize = 2;

    async fn observe(&self, batch: &[ConfigurationKey]) -> Result<Vec<Result<ObservedExport, PortError>>, PortError> {
        self.largest_batch.fetch_max(batch.len(), Ordering::Relaxed);
        if batch.iter().any(|key| self.refused == Some(number(key))) {
            return Err(PortError::transient("read configurations", "throttled"));
        }
        let there = batch.iter().filter(|key| number(key) >= self.deleted);
        let observed = |key: &ConfigurationKey| {
            if self.corrupt == Some(number(key)) {
                return Err(PortError::internal("read configuration", "corrupt"));
            }
            if self.throttled == Some(number(key)) {
                return Err(PortError::transient("read configurations", "a key was left unprocessed"));
            }
            let standing = ExportStanding {
                tenant_id: key.tenant_id.clone(),
                enabled: self.disabled != Some(number(key)),
                interval: ExportInterval::Every4Hours,
                connection: ConnectionStatus::Success,
                connection_checked_at: None,
                start_from: Timestamp::EPOCH,
                exported_through: Some(at("2026-11-22T08:00:00Z")),
                consecutive_failures: 1,
                last_failure_at: None,
                created_at: at("2026-11-01T00:00:00Z"),
                updated_at: at("2026-11-01T00:00:00Z"),
            };
            Ok(ObservedExport {
                key: key.clone(),
                version: 1,
                standing,
                connection_error: None,
                secret_stored_at: None,
                signed_gap: None,
                noticed: if self.unnoticed == Some(number(key)) { None } else { StoredNoticeState::parse("{}") },
                webhooks: Vec::new(),
            })
        };
        Ok(there.map(observed).collect())
    }
}

impl NoticeRecords for Fake {
    async fn record(&self, export: &ObservedExport, transition: &NoticeTransition) -> Result<RecordOutcome, PortError> {
        let number = number(&export.key);
        if self.unwritable == Some(number) {
            return Err(PortError::internal("record", "refused"));
        }
        if self.edited == Some(number) {
            return Ok(RecordOutcome::ChangedSince);
        }
        self.recorded.lock().unwrap().push((number, transition.notices.len()));
        Ok(RecordOutcome::Recorded)
    }
}

impl Random for Fake {
    fn bits(&self) -> u128 {
        7
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        at(NOW).saturating_add(Duration::from_mins(self.pages.load(Ordering::Relaxed) as u64))
    }
}

async fn sweep(fake: &Fake, deadline: &str) -> SweepOutcome {
    let sweep = Sweep {
        index: fake,
        exports: fake,
        notices: fake,
        random: fake,
        clock: fake,
        schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
        retention: Duration::from_hours(24 * 90),
        deadline: at(deadline),
    };
    sweep.run().await.unwrap()
}

const IN_A_YEAR: &str = "2027-11-22T00:00:00Z";

#[tokio::test]
async fn every_enabled_configuration_is_counted_once() {
    let fake = Fake { configurations: 21, deleted: 2, disabled: Some(5), ..Fake::default() };
    let SweepOutcome { report, is_complete, notices, unrecorded } = sweep(&fake, IN_A_YEAR).await;
    assert!(is_complete);
    // All of them fail.
    assert_eq!((notices, unrecorded), (18, 0));
    assert_eq!((report.configurations, report.failing_configurations), (18, 18));
    // The lag is that of the start of the sweep, however long it takes.
    assert_eq!(report.largest_lag_seconds, 0);
    assert_eq!(fake.largest_batch.load(Ordering::Relaxed), Fake::MAX_BATCH);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_hides_no_other() {
    let fake = Fake { configurations: 20, corrupt: Some(4), ..Fake::default() };
    let SweepOutcome { report, is_complete, .. } = sweep(&fake, IN_A_YEAR).await;
    assert!(!is_complete);
    assert_eq!(report.configurations, 19);
}

#[tokio::test]
async fn a_throttled_partition_hides_no_other_export_and_no_notice() {
    let fake = Fake { configurations: 20, throttled: Some(4), ..Fake::default() };
    let SweepOutcome { report, is_complete, notices, unrecorded } = sweep(&fake, IN_A_YEAR).await;
    assert_eq!((report.configurations, is_complete, notices, unrecorded), (19, false, 19, 0));
    // A page has a batch of two configurations and one of the third.
    let fake = Fake { configurations: 20, refused: Some(3), ..Fake::default() };
    let SweepOutcome { report, is_complete, notices, unrecorded } = sweep(&fake, IN_A_YEAR).await;
    assert_eq!((report.configurations, is_complete, notices, unrecorded), (18, false, 18, 0));
}

#[tokio::test]
async fn a_sweep_ends_at_its_deadline_with_what_it_has_seen() {
    let fake = Fake { configurations: 3_000, ..Fake::default() };
    let SweepOutcome { report, is_complete, .. } = sweep(&fake, "2026-11-22T12:30:00Z").await;
    assert!(!is_complete);
    // Three pages of empty shards come first.
    assert_eq!((fake.pages.load(Ordering::Relaxed), report.configurations), (10, 7 * PAGE as u64));
}

#[tokio::test]
async fn a_sweep_reads_so_many_pages_and_no_more() {
    let fake = Fake { configurations: MAX_INDEX_PAGES * PAGE, ..Fake::default() };
    let SweepOutcome { is_complete, .. } = sweep(&fake, IN_A_YEAR).await;
    assert!(!is_complete);
    assert_eq!(fake.pages.load(Ordering::Relaxed), MAX_INDEX_PAGES);
}

#[tokio::test]
async fn what_is_noticed_is_recorded_and_a_failure_stops_no_other() {
    let fake = Fake { configurations: 6, unnoticed: Some(0), unwritable: Some(1), edited: Some(2), ..Fake::default() };
    let SweepOutcome { is_complete, notices, unrecorded, .. } = sweep(&fake, IN_A_YEAR).await;
    assert_eq!((is_complete, notices, unrecorded), (true, 3, 1));
    let mut recorded = fake.recorded.lock().unwrap().clone();
    recorded.sort_unstable();
    assert_eq!(recorded, [(0, 0), (3, 1), (4, 1), (5, 1)]);
}
