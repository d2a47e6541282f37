//! The outcomes of tests and runs on a configuration: a late report changes nothing.

use std::time::Duration;

use aws_adapters::{
    configurations::{CountedBacklog, CreateOutcome, EditOutcome, RunRequestOutcome},
    events::backlog::Backlog,
};
use domain::{
    allowance::RUN_REQUEST_LIFETIME,
    configuration::{
        Destination, ExportConfiguration, ExportProgress,
        arn::UserArn,
        update::{Edit, NewIdentity, PlainSettings},
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    connection_test::progress::{ConnectionTestProgress, TestStep},
    time::Timestamp,
};
use export_engine::ports::{ConfigurationStore, RunReport, TestProgressStore};
use futures::future::join_all;

use crate::support::{Store, Table, author, now, stamp};

async fn created(store: &Store) -> ExportConfiguration {
    let configuration =
        ExportConfiguration { connection: Connection::Pending, user_arn: None, ..store.configuration() };
    let answer = store.editor().create(&configuration, None, &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));
    configuration
}

fn seconds_later(time: Timestamp, seconds: u64) -> Timestamp {
    time.saturating_add(Duration::from_secs(seconds))
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_latest_outcome_of_the_current_version_stays() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let (key, version) = (&configuration.key, configuration.version);
    let failed = |seconds| Connection::Failed {
        checked_at: seconds_later(configuration.created_at, seconds),
        error: ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow it.".to_owned() },
    };
    let success = |seconds| Connection::Success { checked_at: seconds_later(configuration.created_at, seconds) };
    let user = UserArn::parse("arn:aws:iam::222222222222:user/export");

    for (connection, of_version, user_arn, expected) in [
        (failed(1), version, None, failed(1)),
        (success(3), version, user.as_ref(), success(3)),
        // Of a test that began earlier, and of one of another version.
        (failed(2), version, None, success(3)),
        (failed(4), version + 1, None, success(3)),
        (failed(4), version - 1, None, success(3)),
        (failed(5), version, None, failed(5)),
        (Connection::Pending, version, None, Connection::Pending),
        (success(6), version, None, success(6)),
    ] {
        table.store_connection(key, of_version, &connection, user_arn).await.unwrap();
        assert_eq!(table.load(key).await.unwrap().unwrap().connection, expected);
    }
    let expected = ExportConfiguration { connection: success(6), user_arn: user, ..configuration.clone() };
    assert_eq!(table.load(key).await.unwrap(), Some(expected));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_progress_of_the_latest_test_stays_and_never_goes_back() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let key = &configuration.key;
    assert_eq!(table.load_with_progress(key).await, Ok(Some((configuration.clone(), None))));

    let progress = |seconds, steps: &[TestStep]| {
        let start = seconds_later(configuration.created_at, seconds);
        let mut progress = ConnectionTestProgress::started(&configuration, start);
        for step in steps {
            progress.reach(*step);
        }
        progress
    };
    let ended = |mut progress: ConnectionTestProgress| {
        progress.end();
        progress
    };
    let connected = progress(2, &[TestStep::Connected]);
    let answered = progress(2, &[TestStep::Connected, TestStep::BucketAnswered]);
    for (stored, expected) in [
        (&progress(2, &[]), &progress(2, &[])),
        (&connected, &connected),
        // A request that was repeated, and one that was late.
        (&connected, &connected),
        (&progress(2, &[]), &connected),
        (&answered, &answered),
        // Of an earlier test.
        (&ended(progress(1, &[TestStep::Connected, TestStep::BucketAnswered])), &answered),
        (&ended(answered.clone()), &ended(answered.clone())),
        (&answered, &ended(answered.clone())),
        // Of a later one.
        (&progress(3, &[]), &progress(3, &[])),
    ] {
        assert_eq!(table.store_progress(key, stored).await, Ok(()));
        let loaded = table.load_with_progress(key).await;
        assert_eq!(loaded, Ok(Some((configuration.clone(), Some(expected.clone())))), "nothing else changes");
    }

    // An outcome, and an edit of a person, leave it alone.
    let success = Connection::Success { checked_at: seconds_later(configuration.created_at, 4) };
    table.store_connection(key, configuration.version, &success, None).await.unwrap();
    let tested = table.load(key).await.unwrap().unwrap();
    let disabled = tested.with_enabled(false, Edit { by: "user-2", at: configuration.created_at });
    assert_eq!(store.editor().update(&tested, &disabled, &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(table.load_with_progress(key).await.unwrap().unwrap().1, Some(progress(3, &[])));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn progress_ends_with_its_configuration() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let key = &configuration.key;
    let mut progress = ConnectionTestProgress::started(&configuration, configuration.created_at);
    assert_eq!(table.store_progress(key, &progress).await, Ok(()));
    assert_eq!(store.editor().delete(&configuration, &author(), stamp()).await, Ok(EditOutcome::Done));
    // The test is still running.
    progress.reach(TestStep::Connected);
    assert_eq!(table.store_progress(key, &progress).await, Ok(()));
    assert_eq!(table.load_with_progress(key).await, Ok(None));
    let items = store.items(Table::Configurations, store.tenant.as_str()).await;
    assert!(!items.contains_key(&key.configuration_id.to_string()), "{items:?}");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_outcome_outlasts_edits_that_leave_the_connection_alone() {
    let store = Store::new();
    let (table, editor, configuration) = (store.configurations(), store.editor(), created(&store).await);
    let key = &configuration.key;
    let success = |seconds| Connection::Success { checked_at: seconds_later(configuration.created_at, seconds) };
    let edit = Edit { by: "user-2", at: configuration.created_at };
    let settings = PlainSettings { description: None, ..PlainSettings::of(&configuration) };
    // Described differently while the connection of version 1 is being tested.
    let described = configuration.with_settings(settings.clone(), edit);
    assert_eq!(editor.update(&configuration, &described, &author(), stamp()).await, Ok(EditOutcome::Done));
    table.store_connection(key, configuration.version, &success(5), None).await.unwrap();
    let stored = table.load(key).await.unwrap().unwrap();
    assert_eq!((stored.version, &stored.connection), (2, &success(5)));

    // Moved while it is being tested: what the test found is of another place.
    let destination = Destination { bucket_path: None, ..stored.destination.clone() };
    let moved = stored.with_connection(settings.clone(), destination, NewIdentity::Kept, edit);
    assert_ne!(moved.destination, stored.destination);
    assert_eq!(editor.update(&stored, &moved, &author(), stamp()).await, Ok(EditOutcome::Done));
    let described = moved.with_settings(settings, edit);
    assert_eq!(editor.update(&moved, &described, &author(), stamp()).await, Ok(EditOutcome::Done));
    for (version, expected) in [(2, Connection::Pending), (3, success(6)), (4, success(6))] {
        table.store_connection(key, version, &success(6), None).await.unwrap();
        assert_eq!(table.load(key).await.unwrap().unwrap().connection, expected, "{version}");
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn progress_never_goes_back_and_no_failure_counts_twice() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let at = |seconds| seconds_later(configuration.created_at, seconds);
    let report = |ended, through, succeeded| RunReport {
        ended_at: at(ended),
        exported_through: Some(at(through)),
        has_exported: succeeded,
        has_failed: !succeeded,
    };
    for (report, exported_through, last_export_at, last_failure_at, consecutive_failures) in [
        (report(10, 0, false), 0, None, Some(10), 1),
        (report(10, 0, false), 0, None, Some(10), 1),
        (report(11, 0, false), 0, None, Some(11), 2),
        (report(9, 0, false), 0, None, Some(11), 2),
        (report(12, 5, false), 5, None, Some(12), 3),
        (report(13, 5, true), 5, Some(13), Some(12), 0),
        // Late: of before the last.
        (report(12, 5, false), 5, Some(13), Some(12), 0),
        (report(20, 4, false), 5, Some(13), Some(12), 0),
        (report(14, 5, false), 5, Some(13), Some(14), 1),
        (report(14, 6, true), 6, Some(14), Some(14), 0),
    ] {
        table.store_run(&configuration.key, &report).await.unwrap();
        let expected = ExportProgress {
            exported_through: Some(at(exported_through)),
            last_export_at: last_export_at.map(at),
            last_failure_at: last_failure_at.map(at),
            consecutive_failures,
        };
        let loaded = table.load(&configuration.key).await.unwrap().unwrap();
        assert_eq!(loaded.progress, expected, "after {report:?}");
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn outcomes_of_missing_configurations_store_nothing() {
    let store = Store::new();
    let (table, key) = (store.configurations(), store.key());
    table.store_connection(&key, 1, &Connection::Success { checked_at: now() }, None).await.unwrap();
    let report = RunReport { ended_at: now(), exported_through: Some(now()), has_exported: true, has_failed: false };
    table.store_run(&key, &report).await.unwrap();
    assert_eq!(table.load(&key).await.unwrap(), None);
    assert_eq!(table.list(&store.tenant).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn one_of_many_requests_at_once_is_queued_and_the_latest_is_kept() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let (key, at) = (&configuration.key, |seconds| seconds_later(configuration.created_at, seconds));
    let requests =
        join_all((1..=4).map(|second| table.request_run(key, at(second), at(100 + second), second.into()))).await;
    let count = |outcome| requests.iter().filter(|request| **request == Ok(outcome)).count();
    assert_eq!((count(RunRequestOutcome::Queue), count(RunRequestOutcome::Pending)), (1, 3), "{requests:?}");
    let loaded = table.load(key).await.unwrap().unwrap();
    assert_eq!(loaded.requested_through, Some(at(4)));
    assert!(loaded.has_pending_run(at(104)) && !loaded.has_pending_run(at(105).saturating_add(RUN_REQUEST_LIFETIME)));

    // An end of a run before the latest request leaves it; one through it clears it.
    assert_eq!(table.end_run_request(key, at(3)).await, Ok(Some(at(4))));
    assert_eq!(table.load(key).await.unwrap().unwrap().requested_through, Some(at(4)));
    assert_eq!(table.end_run_request(key, at(4)).await, Ok(None));
    assert_eq!(table.load(key).await.unwrap().as_ref(), Some(&configuration));
    assert_eq!(table.end_run_request(key, at(4)).await, Ok(None));

    assert_eq!(table.request_run(key, at(5), at(110), 5).await, Ok(RunRequestOutcome::Queue));
    let after = at(111).saturating_add(RUN_REQUEST_LIFETIME);
    assert_eq!(table.request_run(key, at(6), after, 6).await, Ok(RunRequestOutcome::Queue), "the first may be lost");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_requested_run_outlives_a_change_and_not_the_configuration() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let (key, now) = (&configuration.key, configuration.created_at);
    assert_eq!(table.request_run(key, now, now, 7).await, Ok(RunRequestOutcome::Queue));
    let edit = domain::configuration::update::Edit { by: "user-2", at: now };
    let disabled = configuration.with_enabled(false, edit);
    store.editor().update(&configuration, &disabled, &author(), stamp()).await.unwrap();
    let loaded = table.load(key).await.unwrap().unwrap();
    assert_eq!((loaded.requested_through, loaded.enabled), (Some(now), false));
    store.editor().delete(&loaded, &author(), stamp()).await.unwrap();
    assert_eq!(table.request_run(key, now, now, 7).await, Ok(RunRequestOutcome::NotFound));
    assert_eq!(table.end_run_request(key, now).await, Ok(None));
    assert_eq!(table.load(key).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_count_is_not_a_configuration_and_keeps_the_newest() {
    let (store, now) = (Store::new(), now());
    let table = store.configurations();
    let backlog = Backlog { events: 7, oldest: Some(now), is_complete: false };
    let counted = |seconds| CountedBacklog {
        counted_at: seconds_later(now, seconds),
        by_configuration: [(store.key().configuration_id, backlog)].into(),
    };
    let (first, second) = (counted(1), counted(2));
    assert_eq!(table.load_backlog(&store.tenant, now).await, Ok(None));
    for (stored, expected) in [(&first, &first), (&second, &second), (&first, &second)] {
        assert_eq!(table.store_backlog(&store.tenant, stored).await, Ok(()));
        assert_eq!(table.load_backlog(&store.tenant, now).await.as_ref(), Ok(&Some(expected.clone())));
    }
    assert_eq!(table.list(&store.tenant).await.unwrap(), []);
}
