use proptest::prelude::*;

use super::*;
use crate::{
    configuration::{
        ExportProgress,
        test_support::{ID, with_role},
    },
    connection::{Connection, ConnectionErrorCode},
    export_run::{Window, test_support},
};

fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

fn floor() -> Timestamp {
    at("2026-08-22T12:00:00Z")
}

fn configuration(connection: Connection, consecutive_failures: u32) -> ExportConfiguration {
    ExportConfiguration {
        start_from: at("2026-11-21T00:00:00Z"),
        created_at: at("2026-11-21T00:00:00Z"),
        connection,
        progress: ExportProgress { consecutive_failures, last_failure_at: Some(now()), ..ExportProgress::default() },
        ..with_role()
    }
}

fn failed() -> Connection {
    let error = ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow s3:PutObject.".to_owned() };
    Connection::Failed { checked_at: now(), error }
}

fn window(checkpoint: Checkpoint) -> Window {
    Window { id: WindowId { sequence: 4, revision: 1 }, checkpoint, ..test_support::window(0) }
}

fn snapshot(window: Option<Window>, lease_expires_at: Option<&str>) -> ExportSnapshot {
    let mut state = ExportState::initial(&configuration(Connection::Pending, 0));
    state.next_sequence = 4;
    state.window = window;
    ExportSnapshot { state, lease_expires_at: lease_expires_at.map(at) }
}

fn unfinished(configuration: &ExportConfiguration, runs: &ExportSnapshot) -> Option<ExportJob> {
    ExportJob::unfinished(configuration, Some(runs), floor(), now())
}

fn record(delivered: Checkpoint) -> WindowRecord {
    WindowRecord { sequence: 4, revision: 1, delivered, ..test_support::record(0) }
}

/// Returns intents of consecutive objects with these numbers of events.
fn intents(events: &[u64]) -> Vec<Intent> {
    let object = |(number, events): (u64, &u64)| DigestObject { events: *events, ..test_support::object(number) };
    (0..).zip(events).map(|entry| Intent { object: object(entry), attempts: 1 }).collect()
}

/// Returns the checkpoint of a window after the first `count` objects.
fn delivered(intents: &[Intent], count: usize) -> Checkpoint {
    let done = &intents[..count];
    Checkpoint {
        last_block: done.last().map(|intent| intent.object.last_block),
        objects: done.len() as u64,
        events: done.iter().map(|intent| intent.object.events).sum(),
        ..Checkpoint::default()
    }
}

#[test]
fn a_job_has_one_spelling() {
    let id = ExportJobId::parse(&format!("{ID}.17")).unwrap();
    assert_eq!((id.configuration_id.to_string().as_str(), id.sequence), (ID, 17));
    assert_eq!(id.to_string(), format!("{ID}.17"));
    for bad in [
        "",
        ".",
        "17",
        ID,
        &format!("{ID}."),
        &format!("{ID}.017"),
        &format!("{ID}.+1"),
        &format!("{ID}.-1"),
        &format!("{ID}.1.1"),
        &format!("{ID}.99999999999999999999"),
        &format!("{}.1", ID.to_uppercase()),
    ] {
        assert_eq!(ExportJobId::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_window_that_was_begun_is_a_job() {
    let fine = Connection::Success { checked_at: now() };
    let (running, ended) = ("2026-11-22T12:00:00.001Z", "2026-11-22T12:00:00Z");
    let customers = ExportJobStatus::Failed(ExportFailure::Connection(failed().error().unwrap().clone()));
    for (connection, failures, lease, expected) in [
        (fine.clone(), 0, Some(running), ExportJobStatus::Running),
        (failed(), 2, Some(running), ExportJobStatus::Running),
        (fine.clone(), 0, None, ExportJobStatus::Pending),
        (fine.clone(), 0, Some(ended), ExportJobStatus::Pending),
        (fine, 1, None, ExportJobStatus::Failed(ExportFailure::Service)),
        (failed(), 0, None, customers.clone()),
        (failed(), 1, Some(ended), customers),
    ] {
        let case = format!("{connection:?} {failures} {lease:?}");
        let runs = snapshot(Some(window(Checkpoint::default())), lease);
        let job = unfinished(&configuration(connection, failures), &runs).unwrap();
        assert_eq!(job.status, expected, "{case}");
        assert_eq!((job.sequence, job.attempts, job.ended_at), (4, 3, None));
        assert_eq!(job.to, Some(at("2026-11-22T02:00:00Z")));
    }
}

#[test]
fn a_failure_says_what_to_change() {
    let runs = snapshot(Some(window(Checkpoint::default())), None);
    let reason = |connection, failures| match unfinished(&configuration(connection, failures), &runs).unwrap().status {
        ExportJobStatus::Failed(failure) => Some(failure.message().to_owned()),
        _ => None,
    };
    assert_eq!(reason(failed(), 1).as_deref(), Some("Allow s3:PutObject."));
    assert_eq!(reason(Connection::Success { checked_at: now() }, 1).as_deref(), Some(SERVICE_FAILURE));
}

#[test]
fn a_failure_that_the_customer_has_mended_is_not_put_down_to_us() {
    let runs = snapshot(Some(window(Checkpoint::default())), None);
    let (before, after) = (at("2026-11-22T11:59:59.999Z"), at("2026-11-22T12:00:00.001Z"));
    let status = |configuration: ExportConfiguration| unfinished(&configuration, &runs).unwrap().status;
    let ours = ExportJobStatus::Failed(ExportFailure::Service);
    // A test that succeeded before the failure, perhaps in the same run, or after it.
    assert_eq!(status(configuration(Connection::Success { checked_at: before }, 1)), ours);
    assert_eq!(status(configuration(Connection::Success { checked_at: after }, 1)), ExportJobStatus::Pending);
    // Another destination or role, not tested yet.
    let updated = |updated_at| ExportConfiguration { updated_at, ..configuration(Connection::Pending, 1) };
    assert_eq!(status(updated(before)), ours);
    assert_eq!(status(updated(after)), ExportJobStatus::Pending);
}

#[test]
fn runs_that_failed_before_a_window_was_begun_are_a_job_too() {
    let job = unfinished(&configuration(failed(), 2), &snapshot(None, None)).unwrap();
    assert_eq!((job.sequence, job.attempts, job.window, job.to, job.started_at), (4, 2, None, None, None));
    assert!(matches!(job.status, ExportJobStatus::Failed(ExportFailure::Connection(_))));
    assert_eq!(job.from, at("2026-11-21T00:00:00Z"));

    let never_leased = ExportJob::unfinished(&configuration(failed(), 1), None, floor(), now()).unwrap();
    assert_eq!((never_leased.sequence, never_leased.from), (0, at("2026-11-21T00:00:00Z")));

    let mut earliest = configuration(failed(), 1);
    earliest.start_from = Timestamp::EPOCH;
    assert_eq!(ExportJob::unfinished(&earliest, None, floor(), now()).unwrap().from, floor());
}

#[test]
fn without_a_window_or_a_failure_there_is_nothing_under_way() {
    // A failed test is not a failed export.
    for connection in [Connection::Pending, failed()] {
        assert_eq!(unfinished(&configuration(connection, 0), &snapshot(None, Some("2026-11-22T13:00:00Z"))), None);
    }
}

#[test]
fn the_object_under_way_shares_the_fate_of_its_job() {
    let intents = intents(&[5, 7]);
    let runs = snapshot(Some(window(delivered(&intents, 1))), None);
    let job = unfinished(&configuration(failed(), 1), &runs).unwrap();
    let tasks = job.tasks(intents);
    assert_eq!(tasks[0].status, ExportJobStatus::Succeeded);
    assert_eq!(tasks[1].status, job.status);
    assert_eq!((tasks[1].offset, tasks[1].object.events), (5, 7));
}

#[test]
fn an_object_that_was_given_up_is_no_task_of_a_job_that_is_done() {
    let intents = intents(&[5, 7]);
    let job = ExportJob::finished(&record(delivered(&intents, 1)));
    assert_eq!(job.tasks(intents).len(), 1);
    assert_eq!(ExportJob::finished(&record(Checkpoint::default())).tasks(Vec::new()), Vec::new());
}

proptest! {
    #[test]
    fn tasks_part_the_events_of_their_job(
        events in prop::collection::vec(1..5_000_u64, 0..30),
        done in any::<prop::sample::Index>(),
        is_finished in any::<bool>(),
    ) {
        let intents = intents(&events);
        let done = done.index(events.len() + 1);
        let checkpoint = delivered(&intents, done);
        let job = if is_finished {
            ExportJob::finished(&record(checkpoint))
        } else {
            let runs = snapshot(Some(window(checkpoint)), None);
            unfinished(&configuration(Connection::Pending, 0), &runs).unwrap()
        };
        let tasks = job.tasks(intents);
        let mut covered = 0;
        for (number, task) in (0..).zip(&tasks) {
            prop_assert_eq!((task.number, task.offset), (number, covered));
            covered += task.object.events;
        }
        let succeeded = tasks.iter().filter(|task| task.status == ExportJobStatus::Succeeded);
        prop_assert_eq!(succeeded.map(|task| task.object.events).sum::<u64>(), checkpoint.events);
        prop_assert_eq!(tasks.len(), if is_finished { done } else { events.len() });
    }
}
