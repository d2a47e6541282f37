//! Replays: one unfinished of a configuration at a time, no change after the end, and items apart from the export's own.

use std::time::Duration;

use aws_adapters::{
    configurations::{EditOutcome, ReplaySeries},
    replays::ReplayTables,
};
use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::ExportConfiguration,
    connection::{ConnectionError, ConnectionErrorCode},
    export_run::{
        ExportState, WindowId,
        test_support::{delivered, digest_reference, object, record, window},
    },
    replay::{
        MAX_REPLAYS, Replay, ReplayEnd, ReplayError, ReplayId, ReplayKey, ReplayProgress, ReplayState, ReplayStatus,
        ReplayTest, test_support,
    },
    time::Timestamp,
};
use export_engine::ports::{
    Completion, ConfigurationStore, LeaseOutcome, LeaseRequest, ReplayChange, ReplayStore, RunStore, SealedDigest,
};
use futures::future::join_all;
use host::{Machine, Random};

use crate::support::{Store, Table, author, now, settled, stamp};

/// The time that the record and the items of a replay are kept.
fn expires_at() -> Timestamp {
    now().saturating_add(Duration::from_hours(14 * 24))
}

impl Store {
    async fn configured(&self) -> ExportConfiguration {
        let configuration = self.configuration();
        settled(|| async { self.editor().create(&configuration, None, &author(), stamp()).await }).await.unwrap();
        configuration
    }

    fn new_replay(of: &ExportConfiguration) -> Replay {
        let key = ReplayKey::new(of.key.clone(), ReplayId::from_random(Machine.bits()));
        Replay::new(key, test_support::request(), "user-1", now())
    }

    async fn request(&self, of: &ExportConfiguration, series: &ReplaySeries, replay: &Replay) -> EditOutcome {
        let editor = self.editor();
        settled(|| async { editor.request_replay(of, series, replay, expires_at(), &author(), stamp()).await })
            .await
            .unwrap()
    }

    async fn requested(&self, of: &ExportConfiguration) -> Replay {
        let series = self.configurations().replays(&of.key).await.unwrap();
        let replay = Self::new_replay(of);
        assert_eq!(self.request(of, &series, &replay).await, EditOutcome::Done);
        replay
    }

    async fn change(&self, replay: &Replay, change: ReplayChange) -> Replay {
        let (configurations, runs) = (self.configurations(), self.runs());
        let tables = ReplayTables { configurations: &configurations, runs: &runs };
        tables.change_replay(replay, &change, expires_at()).await.unwrap();
        tables.load_replay(&replay.key).await.unwrap().unwrap()
    }
}

fn failure() -> ReplayEnd {
    let error = ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Denied.".to_owned() };
    ReplayEnd::Failed(ReplayError::of_connection(error, None))
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn of_concurrent_requests_for_replays_one_is_stored_with_its_event() {
    let store = Store::new();
    let configuration = store.configured().await;
    let series = store.configurations().replays(&configuration.key).await.unwrap();
    let replays: Vec<_> = (0..4).map(|_| Store::new_replay(&configuration)).collect();
    let outcomes = join_all(replays.iter().map(|replay| store.request(&configuration, &series, replay))).await;
    let done = outcomes.iter().filter(|outcome| **outcome == EditOutcome::Done).count();
    assert_eq!(done, 1, "{outcomes:?}");
    let stored = store.configurations().replays(&configuration.key).await.unwrap();
    assert_eq!(stored.replays.len(), 1);
    assert_eq!(store.backlog().await.events, 2, "the creation and the replay");
    // Neither the configuration nor the list of configurations shows it.
    let configurations = store.configurations();
    assert_eq!(configurations.load(&configuration.key).await, Ok(Some(configuration.clone())));
    assert_eq!(configurations.list(&store.tenant).await.unwrap(), std::slice::from_ref(&configuration));
    let items = store.items(Table::Configurations, store.tenant.as_str()).await;
    let record = items.iter().find(|(id, _)| id.starts_with("replay#")).unwrap().1;
    assert!(store.expiry(Table::Configurations, record).await.is_some());

    // Of a configuration that was deleted, none is stored.
    settled(|| async { store.editor().delete(&configuration, &author(), stamp()).await }).await.unwrap();
    let replay = Store::new_replay(&configuration);
    for series in [series, stored] {
        assert_eq!(store.request(&configuration, &series, &replay).await, EditOutcome::ChangedSince);
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_replay_changes_until_it_ends_and_again_after_it_was_continued() {
    let store = Store::new();
    let configuration = store.configured().await;
    let first = store.requested(&configuration).await;
    let at = first.requested_at;
    let running = store.change(&first, ReplayChange::Started { at }).await;
    assert_eq!((running.state.clone(), running.started_at), (ReplayState::Running, Some(at)));
    let test = ReplayTest { at, version: 7 };
    assert_eq!(store.change(&first, ReplayChange::Tested(test)).await.test, Some(test));
    let failed = store.change(&first, ReplayChange::Ended { at, end: failure() }).await;
    assert_eq!(failed.state, ReplayState::Ended { at, end: failure() });
    for late in [ReplayChange::Started { at }, ReplayChange::Ended { at, end: ReplayEnd::Succeeded }] {
        assert_eq!(store.change(&first, late).await, failed);
    }
    let cancelled = store.editor().cancel_replay(&configuration, &failed, &author(), stamp()).await;
    assert_eq!(cancelled, Ok(EditOutcome::ChangedSince));

    assert_eq!(store.configurations().repeat_replay(&failed.repeated()).await, Ok(EditOutcome::ChangedSince));
    let second = failed.continued(test_support::request(), at).unwrap();
    let series = store.configurations().replays(&configuration.key).await.unwrap();
    assert_eq!(store.request(&configuration, &series, &second).await, EditOutcome::Done);
    assert_eq!(store.request(&configuration, &series, &second).await, EditOutcome::ChangedSince);
    let late = store.change(&first, ReplayChange::Ended { at, end: failure() }).await;
    assert_eq!(late.state, ReplayState::Pending, "a run of the first attempt changes nothing");
    let third = second.repeated();
    for outcome in [EditOutcome::Done, EditOutcome::ChangedSince] {
        assert_eq!(store.configurations().repeat_replay(&third).await, Ok(outcome));
    }
    let late = store.change(&second, ReplayChange::Ended { at, end: ReplayEnd::Succeeded }).await;
    assert_eq!((late.state, late.attempt), (ReplayState::Pending, 3), "a run before the repetition changes nothing");
    let editor = store.editor();
    let cancelled = settled(|| async { editor.cancel_replay(&configuration, &third, &author(), stamp()).await }).await;
    assert_eq!(cancelled, Ok(EditOutcome::Done));
    let ended = store.change(&third, ReplayChange::Ended { at, end: ReplayEnd::Succeeded }).await;
    assert_eq!(ended.state.status(), ReplayStatus::Cancelled);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn another_replay_replaces_the_oldest_that_has_ended() {
    let store = Store::new();
    let configuration = store.configured().await;
    let mut ids = Vec::new();
    for _ in 0..=MAX_REPLAYS {
        let replay = store.requested(&configuration).await;
        store.change(&replay, ReplayChange::Ended { at: now(), end: ReplayEnd::Succeeded }).await;
        ids.push(replay.key.replay_id);
        // The order of two requests in one millisecond is that of their random IDs.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let listed = store.configurations().replays(&configuration.key).await.unwrap().replays;
    let listed: Vec<_> = listed.into_iter().map(|replay| replay.key.replay_id).collect();
    ids.reverse();
    assert_eq!(listed, ids[..MAX_REPLAYS]);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_items_of_a_replay_are_its_own_and_expire_with_it_or_with_its_configuration() {
    let store = Store::new();
    let configuration = store.configured().await;
    let replay = store.requested(&configuration).await;
    let export = replay.export(&configuration);
    let (own, runs) = (store.runs(), store.runs().of_replay(&replay.key, expires_at()));
    let request = LeaseRequest {
        holder: "a",
        message: "a",
        now: now(),
        expires_at: now().saturating_add(Duration::from_secs(90)),
    };
    own.acquire_lease(&configuration.key, &ExportState::initial(&configuration), &request).await.unwrap();
    let granted = runs.acquire_lease(&export.key, &ExportState::initial(&export), &request).await.unwrap();
    let LeaseOutcome::Granted { lease, .. } = granted else { panic!("{granted:?}") };
    let open = WindowId { sequence: 0, revision: 0 };
    runs.store_intent(&lease, open, &object(1)).await.unwrap();
    assert_eq!(runs.intents(&lease, open).await.unwrap(), [object(1)]);
    let own_lease = export_engine::ports::Lease {
        key: configuration.key.clone(),
        fencing_token: domain::export_run::FencingToken(1),
    };
    assert_eq!(own.intents(&own_lease, open).await.unwrap(), []);
    let sealed = SealedDigest {
        end_block: BlockId::lowest_at(now()),
        bytes: Bytes::from_static(b"digest"),
        signature: Bytes::from_static(b"signature"),
        is_tagged: true,
    };
    runs.store_digest(&lease, 0, &sealed).await.unwrap();
    let mut record = record(0);
    record.delivered = delivered(3);
    let completion = Completion { cursor: window(0).to, head: digest_reference(0), record, expires_at: expires_at() };
    for _ in 0..2 {
        // The second time, the response to the first was lost: nothing counts twice.
        runs.complete_window(&lease, &completion).await.unwrap();
    }
    let progress = ReplayProgress {
        exported_through: Some(window(0).to.timestamp()),
        objects: 3,
        events: delivered(3).events,
        stored_bytes: delivered(3).stored_bytes,
    };
    let exported_through = progress.exported_through;
    assert_eq!(store.change(&replay, ReplayChange::Delivered { exported_through }).await.progress, progress);
    assert_eq!(store.history().records(&configuration.key, None, 10).await.unwrap(), []);
    assert_eq!(store.history().digest(&configuration.key, 0).await.unwrap(), None);

    let partition = configuration.key.to_string();
    let items = store.items(Table::Runs, &partition).await;
    assert_eq!(items.len(), 5, "the state of the export; state, intent, digest and job of the replay");
    for (name, item) in &items {
        let has_expiry = store.expiry(Table::Runs, item).await.is_some();
        assert_eq!(has_expiry, name.starts_with("replay#"), "{name}");
    }
    let expired = store.runs().expire_all(&configuration.key, expires_at(), || true).await.unwrap();
    assert_eq!(expired.items, 1);
    let page = store.runs().first_items(&configuration.key).await.unwrap();
    assert_eq!((page.items.len(), page.exports.len()), (5, 1), "an erasure finds all of them");
}
