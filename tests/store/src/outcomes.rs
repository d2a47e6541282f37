//! What tests and runs note of a configuration: late news changes nothing.

use std::time::Duration;

use aws::configurations::CreateAnswer;
use domain::{
    configuration::{ExportConfiguration, ExportProgress, arn::UserArn},
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    time::Timestamp,
};
use export::ports::{ConfigurationStore, RunReport};

use crate::support::{Store, author, now, stamp};

async fn created(store: &Store) -> ExportConfiguration {
    let configuration =
        ExportConfiguration { connection: Connection::Pending, user_arn: None, ..store.configuration() };
    let answer = store.editor().create(&configuration, None, &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateAnswer::Created));
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
async fn progress_never_goes_back_and_no_failure_counts_twice() {
    let store = Store::new();
    let (table, configuration) = (store.configurations(), created(&store).await);
    let at = |seconds| seconds_later(configuration.created_at, seconds);
    let report =
        |ended, through, succeeded| RunReport { ended_at: at(ended), exported_through: at(through), succeeded };
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
async fn what_is_noted_of_nothing_makes_nothing() {
    let store = Store::new();
    let (table, key) = (store.configurations(), store.key());
    table.store_connection(&key, 1, &Connection::Success { checked_at: now() }, None).await.unwrap();
    let report = RunReport { ended_at: now(), exported_through: now(), succeeded: true };
    table.store_run(&key, &report).await.unwrap();
    assert_eq!(table.load(&key).await.unwrap(), None);
    assert_eq!(table.list(&store.tenant).await.unwrap(), []);
}
