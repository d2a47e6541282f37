//! The state of exports: one holder of the lease at a time, and no write of a holder that has lost it.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::{ConfigurationKey, ExportConfiguration, test_support::with_role},
    digest::DigestObject,
    export_run::{
        ExportState, FencingToken, WindowId,
        test_support::{digest_reference, object, record, window},
    },
    time::Timestamp,
};
use export_engine::ports::{
    Completion, ErrorKind, IntentOutcome, Lease, LeaseOutcome, LeaseRequest, ReleaseOutcome, RunStore, SealedDigest,
};
use futures::{
    FutureExt,
    future::{join, join_all},
};

use crate::support::{Store, Table, is_fenced, settled};

/// Races between two requests: each of them wins some.
const RACES: u64 = 25;

fn at(seconds: u64) -> Timestamp {
    Timestamp::parse("2026-11-22T00:00:00Z").unwrap().saturating_add(Duration::from_secs(seconds))
}

fn initial() -> ExportState {
    ExportState::initial(&ExportConfiguration { start_from: at(0), ..with_role() })
}

fn held(fencing_token: FencingToken) -> LeaseOutcome {
    LeaseOutcome::Held { fencing_token, is_same_message: false }
}

/// Requests a lease of 90 s, each holder for a separate message.
async fn acquire(store: &Store, key: &ConfigurationKey, holder: &str, seconds: u64) -> LeaseOutcome {
    let request = LeaseRequest { holder, message: holder, now: at(seconds), expires_at: at(seconds + 90) };
    settled(|| async { store.runs().acquire_lease(key, &initial(), &request).await }).await.unwrap()
}

async fn granted(store: &Store, key: &ConfigurationKey, holder: &str, seconds: u64) -> (Lease, ExportState) {
    match acquire(store, key, holder, seconds).await {
        LeaseOutcome::Granted { lease, state, .. } => (lease, *state),
        held @ LeaseOutcome::Held { .. } => panic!("{held:?}"),
    }
}

/// The expiry of the history of these windows.
fn expires_at() -> Timestamp {
    at(400 * 24 * 3_600)
}

fn completion(sequence: u64) -> Completion {
    Completion {
        cursor: window(sequence).to,
        head: digest_reference(sequence),
        record: record(sequence),
        expires_at: expires_at(),
    }
}

fn digest(bytes: &[u8]) -> SealedDigest {
    SealedDigest {
        end_block: BlockId::lowest_at(at(1)),
        bytes: Bytes::copy_from_slice(bytes),
        signature: Bytes::from_static(b"signature"),
        is_tagged: true,
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_lease_that_nobody_let_go_of_is_known_as_abandoned() {
    async fn was_abandoned(store: &Store, key: &ConfigurationKey, holder: &str, seconds: u64) -> bool {
        match acquire(store, key, holder, seconds).await {
            LeaseOutcome::Granted { was_abandoned, .. } => was_abandoned,
            held @ LeaseOutcome::Held { .. } => panic!("{held:?}"),
        }
    }
    let store = Store::new();
    let key = store.key();
    assert!(!was_abandoned(&store, &key, "a", 0).await, "the first");
    assert!(!was_abandoned(&store, &key, "a", 1).await, "its own");
    assert!(was_abandoned(&store, &key, "b", 100).await, "it expired");
    let lease = Lease { key: key.clone(), fencing_token: FencingToken(3) };
    assert_eq!(store.runs().release(&lease, at(0)).await, Ok(ReleaseOutcome::Released));
    assert!(!was_abandoned(&store, &key, "c", 101).await, "it was let go of");
    store.runs().hand_over(&Lease { key: key.clone(), fencing_token: FencingToken(4) }).await.unwrap();
    assert!(!was_abandoned(&store, &key, "d", 102).await, "it was handed over");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_lease_knows_its_message() {
    let store = Store::new();
    let key = store.key();
    let (lease, _) = granted(&store, &key, "a", 0).await;
    let request = LeaseRequest { holder: "b", message: "a", now: at(1), expires_at: at(91) };
    let answer = store.runs().acquire_lease(&key, &initial(), &request).await.unwrap();
    assert_eq!(answer, LeaseOutcome::Held { fencing_token: FencingToken(1), is_same_message: true });
    store.runs().hand_over(&lease).await.unwrap();
    granted(&store, &key, "c", 2).await;
    let answer = store.runs().acquire_lease(&key, &initial(), &request).await.unwrap();
    assert_eq!(answer, LeaseOutcome::Held { fencing_token: FencingToken(2), is_same_message: false });
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_lease_is_held_by_one_until_it_expires() {
    let store = Store::new();
    let key = store.key();
    let (lease, state) = granted(&store, &key, "a", 0).await;
    assert_eq!(
        (lease.fencing_token, &state),
        (FencingToken(1), &ExportState { fencing_token: FencingToken(1), ..initial() })
    );
    assert_eq!(acquire(&store, &key, "b", 89).await, held(FencingToken(1)));
    // The response was lost: the holder may ask again.
    assert_eq!(granted(&store, &key, "a", 1).await.0.fencing_token, FencingToken(2));
    assert_eq!(acquire(&store, &key, "b", 90).await, held(FencingToken(2)));
    assert_eq!(granted(&store, &key, "b", 91).await.0.fencing_token, FencingToken(3), "it expired");
    assert_eq!(acquire(&store, &key, "a", 92).await, held(FencingToken(3)));

    let lease = Lease { key: key.clone(), fencing_token: FencingToken(3) };
    store.runs().renew_lease(&lease, at(300)).await.unwrap();
    assert_eq!(acquire(&store, &key, "a", 299).await, held(FencingToken(3)));
    assert_eq!(store.history().snapshot(&key).await.unwrap().unwrap().lease_expires_at, Some(at(300)));
    store.runs().hand_over(&lease).await.unwrap();
    assert_eq!(store.history().snapshot(&key).await.unwrap().unwrap().lease_expires_at, None);
    assert_eq!(granted(&store, &key, "a", 299).await.0.fencing_token, FencingToken(4), "it was handed over");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn of_many_who_ask_at_once_one_gets_the_lease() {
    let store = Store::new();
    let key = store.key();
    for round in 1..=5 {
        let holders: Vec<_> = (0..8).map(|number| format!("{round}-{number}")).collect();
        let answers = join_all(holders.iter().map(|holder| acquire(&store, &key, holder, round * 100))).await;
        let held = answers.iter().filter(|answer| **answer == held(FencingToken(round))).count();
        assert_eq!(held, 7, "{answers:?}");
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn every_write_of_whoever_lost_the_lease_is_refused() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (zombie, _) = granted(&store, &key, "a", 0).await;
    let (lease, _) = granted(&store, &key, "b", 90).await;
    runs.store_window(&lease, &window(0)).await.unwrap();
    assert_eq!(runs.store_intent(&lease, window(0).id, &object(0)).await, Ok(IntentOutcome::New));
    runs.store_digest(&lease, 0, &digest(b"digest")).await.unwrap();
    let before = store.items(Table::Runs, &key.to_string()).await;

    assert!(is_fenced(&runs.renew_lease(&zombie, at(500)).await));
    assert!(is_fenced(&runs.store_window(&zombie, &window(1)).await));
    for number in [0, 1] {
        assert!(is_fenced(&runs.store_intent(&zombie, window(0).id, &object(number)).await));
        assert!(is_fenced(&runs.store_digest(&zombie, number, &digest(b"other")).await));
        assert!(is_fenced(&runs.complete_window(&zombie, &completion(number)).await));
    }
    assert!(is_fenced(&runs.release(&zombie, at(500)).await));
    assert!(is_fenced(&runs.hand_over(&zombie).await));
    assert_eq!(runs.note_rerun(&key, zombie.fencing_token, at(500)).await, Ok(false));
    assert_eq!(store.items(Table::Runs, &key.to_string()).await, before);

    // Somebody who never had one, of a configuration that has none.
    let nobody = Lease { key: store.key(), fencing_token: FencingToken(1) };
    assert!(is_fenced(&runs.renew_lease(&nobody, at(500)).await));
    assert!(is_fenced(&runs.store_digest(&nobody, 0, &digest(b"other")).await));
    assert!(is_fenced(&runs.complete_window(&nobody, &completion(0)).await));
    assert!(store.items(Table::Runs, &nobody.key.to_string()).await.is_empty());
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_window_is_completed_before_the_lease_is_taken_over_or_not_at_all() {
    let store = Store::new();
    let runs = store.runs();
    for race in 0..RACES {
        let key = store.key();
        let (lease, _) = granted(&store, &key, "a", 0).await;
        runs.store_window(&lease, &window(0)).await.unwrap();
        runs.store_digest(&lease, 0, &digest(b"digest")).await.unwrap();
        let completing = completion(0);
        let complete = settled(|| async { runs.complete_window(&lease, &completing).await }).boxed_local();
        let take_over = granted(&store, &key, "b", 90).boxed_local();
        // The one that is asked for first comes first a little more often.
        let (completed, (_, state)) = if race % 2 == 0 {
            join(complete, take_over).await
        } else {
            let (taken, completed) = join(take_over, complete).await;
            (completed, taken)
        };
        let record = store.history().record(&key, 0).await.unwrap();
        match completed {
            Ok(()) => {
                assert_eq!((state.next_sequence, state.cursor, &state.window), (1, window(0).to, &None));
                assert_eq!(record, Some(completing.record));
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Fenced, "{error}");
                assert_eq!((state.next_sequence, state.window, record), (0, Some(window(0)), None));
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_rerun_is_noted_with_the_holder_or_found_to_be_too_late() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    let token = lease.fencing_token;
    assert_eq!(runs.note_rerun(&key, token, at(20)).await, Ok(true));
    assert_eq!(runs.note_rerun(&key, token, at(10)).await, Ok(true), "that is within what was noted");
    assert_eq!(runs.release(&lease, at(19)).await, Ok(ReleaseOutcome::Rerun { through: at(20) }));
    assert_eq!(acquire(&store, &key, "b", 0).await, held(token), "it is still held");
    assert_eq!(runs.note_rerun(&key, token, at(30)).await, Ok(true));
    assert_eq!(runs.release(&lease, at(20)).await, Ok(ReleaseOutcome::Rerun { through: at(30) }));
    assert_eq!(runs.release(&lease, at(30)).await, Ok(ReleaseOutcome::Released));
    assert_eq!(runs.note_rerun(&key, token, at(40)).await, Ok(false), "the holder has let go");

    let (lease, state) = granted(&store, &key, "b", 0).await;
    assert_eq!(state.rerun_through, None);
    assert_eq!(runs.note_rerun(&key, lease.fencing_token, at(50)).await, Ok(true));
    runs.hand_over(&lease).await.unwrap();
    assert_eq!(granted(&store, &key, "c", 0).await.1.rerun_through, Some(at(50)), "left to the next holder");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn no_rerun_is_lost_between_noting_and_letting_go() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    for race in 0..RACES {
        let (lease, _) = granted(&store, &key, "a", 0).await;
        let note = runs.note_rerun(&key, lease.fencing_token, at(20)).boxed_local();
        let release = runs.release(&lease, at(10)).boxed_local();
        let (noted, released) = if race % 2 == 0 {
            join(note, release).await
        } else {
            let (released, noted) = join(release, note).await;
            (noted, released)
        };
        match (noted, released) {
            (Ok(true), Ok(ReleaseOutcome::Rerun { through })) => {
                assert_eq!(through, at(20));
                assert_eq!(runs.release(&lease, at(20)).await, Ok(ReleaseOutcome::Released));
            }
            (Ok(false), Ok(ReleaseOutcome::Released)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_intent_is_new_once_and_known_as_it_was() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    let id = window(0).id;
    let again = WindowId { revision: 1, ..id };
    for (window, number) in [(id, 1), (id, 0), (again, 0), (window(1).id, 0)] {
        assert_eq!(runs.store_intent(&lease, window, &object(number)).await, Ok(IntentOutcome::New));
    }
    let differing = DigestObject { stored_length: 11, ..object(1) };
    let known = Ok(IntentOutcome::Known(Box::new(object(1))));
    assert_eq!(runs.store_intent(&lease, id, &differing).await, known);
    assert_eq!(runs.store_intent(&lease, id, &object(1)).await, known);
    assert_eq!(runs.intents(&lease, id).await.unwrap(), [object(0), object(1)]);
    assert_eq!(runs.intents(&lease, again).await.unwrap(), [object(0)]);
    assert_eq!(runs.intents(&lease, window(2).id).await.unwrap(), []);
    let attempts = store.history().intents(&key, id).await.unwrap();
    assert_eq!(attempts.iter().map(|intent| intent.attempts).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn intents_are_read_page_by_page() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    // 1.5 MB. Ours have less than 2 KB each; what matters is that a page ends among them.
    let objects: Vec<_> = (0..15).map(|number| DigestObject { key: "k".repeat(100_000), ..object(number) }).collect();
    for object in &objects {
        assert_eq!(runs.store_intent(&lease, window(0).id, object).await, Ok(IntentOutcome::New));
    }
    assert!(runs.intents(&lease, window(0).id).await.unwrap() == objects);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_digest_is_written_once() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    // As long as they can be.
    let (first, second) = (digest(&b"7".repeat(392_000)), digest(b"second"));
    assert_eq!(runs.digest(&lease, 0).await, Ok(None));
    assert!(runs.store_digest(&lease, 0, &first).await.as_ref() == Ok(&first));
    assert!(runs.store_digest(&lease, 0, &second).await.as_ref() == Ok(&first));
    assert!(runs.digest(&lease, 0).await.as_ref() == Ok(&Some(first)));
    assert_eq!(runs.store_digest(&lease, 1, &second).await.as_ref(), Ok(&second));
    let error = runs.store_digest(&lease, 2, &digest(&b"7".repeat(409_600))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    assert_eq!(runs.digest(&lease, 2).await, Ok(None));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_window_is_completed_wholly_and_once() {
    let store = Store::new();
    let (runs, history, key) = (store.runs(), store.history(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    runs.store_window(&lease, &window(0)).await.unwrap();
    assert_eq!(history.snapshot(&key).await.unwrap().unwrap().state.window, Some(window(0)));
    // Without its digest there is nothing to complete.
    let error = runs.complete_window(&lease, &completion(0)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    assert_eq!(history.snapshot(&key).await.unwrap().unwrap().state.window, Some(window(0)));
    runs.store_digest(&lease, 0, &digest(b"digest")).await.unwrap();
    for item in store.items(Table::Runs, &key.to_string()).await.values() {
        assert_eq!(store.expiry(Table::Runs, item).await, None, "the window is open");
    }
    runs.complete_window(&lease, &completion(0)).await.unwrap();
    let done = history.snapshot(&key).await.unwrap().unwrap().state;
    let Completion { cursor, head, record, .. } = completion(0);
    assert_eq!(
        done,
        ExportState { cursor, next_sequence: 1, head: Some(head), fencing_token: FencingToken(1), ..initial() }
    );
    assert_eq!(history.record(&key, 0).await.unwrap().as_ref(), Some(&record));

    // The answer was lost, and the caller asks again; what it asks for now is not what was done.
    let mut other = completion(0);
    other.cursor = window(5).to;
    other.record.attempts = 9;
    runs.complete_window(&lease, &other).await.unwrap();
    assert_eq!(history.snapshot(&key).await.unwrap().unwrap().state, done);
    assert_eq!(history.record(&key, 0).await.unwrap().as_ref(), Some(&record));

    // Its history goes by itself; how far the export came does not.
    let items = store.items(Table::Runs, &key.to_string()).await;
    assert_eq!(items.len(), 3, "{:?}", items.keys());
    for (name, item) in &items {
        let expected = (name != "state").then(expires_at);
        assert_eq!(store.expiry(Table::Runs, item).await, expected, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_history_is_read_from_its_end() {
    let store = Store::new();
    let (runs, history, key) = (store.runs(), store.history(), store.key());
    assert_eq!(history.snapshot(&key).await.unwrap(), None);
    let (lease, _) = granted(&store, &key, "a", 0).await;
    for sequence in 0..12 {
        // The other items of the partition.
        runs.store_digest(&lease, sequence, &digest(b"digest")).await.unwrap();
        runs.complete_window(&lease, &completion(sequence)).await.unwrap();
    }
    let sequences = async |before, limit| {
        let records = history.records(&key, before, limit).await.unwrap();
        records.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    assert_eq!(sequences(None, 5).await, [11, 10, 9, 8, 7]);
    assert_eq!(sequences(Some(7), 5).await, [6, 5, 4, 3, 2]);
    assert_eq!(sequences(Some(2), 5).await, [1, 0]);
    assert_eq!(sequences(Some(0), 5).await, [0_u64; 0]);
    assert_eq!(sequences(None, 100).await.len(), 12);
    assert_eq!(history.record(&key, 12).await.unwrap(), None);
    assert_eq!(history.records(&store.key(), None, 5).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_intents_of_one_sequence_expire_and_no_others() {
    let store = Store::new();
    let (runs, key) = (store.runs(), store.key());
    let (lease, _) = granted(&store, &key, "a", 0).await;
    let (first, open) = (window(1).id, window(2).id);
    // 1.5 MB: more than one page.
    let large = |number| DigestObject { key: "k".repeat(100_000), ..object(number) };
    for number in 0..15 {
        runs.store_intent(&lease, first, &large(number)).await.unwrap();
    }
    runs.store_intent(&lease, WindowId { revision: 1, ..first }, &object(0)).await.unwrap();
    runs.store_intent(&lease, open, &object(0)).await.unwrap();
    // That of another length of sequence.
    runs.store_intent(&lease, window(10).id, &object(0)).await.unwrap();
    for later in [0, 1] {
        runs.expire_intents(&lease, 1, at(400 * 24 * 3_600 + later)).await.unwrap();
        let items = store.items(Table::Runs, &key.to_string()).await;
        let mut expiring = 0;
        for (name, item) in &items {
            let is_of_first = name.starts_with("intent#0000000001.");
            expiring += u64::from(is_of_first);
            // An expiry that is set stays.
            assert_eq!(store.expiry(Table::Runs, item).await, is_of_first.then(expires_at), "{name}");
        }
        assert_eq!(expiring, 16);
    }
}
