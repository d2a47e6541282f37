//! The reads, expiries and deletions of the housekeeper.

use std::time::Duration;

use aws_adapters::{
    configurations::{CreateOutcome, EditOutcome, SCHEDULE_SHARDS, TenantItem, TenantItems, Tombstone},
    runs::{NotesOutcome, RunItemKey, SignedStatement, StoredErasure},
};
use bytes::Bytes;
use domain::{
    configuration::{ConfigurationKey, ExportConfiguration},
    erasure::{ErasedConfiguration, Erasure},
    export_health::ExportStanding,
    export_run::{
        ExportState,
        test_support::{digest_reference, object, record, window},
    },
    operator_reason::OperatorReason,
    time::Timestamp,
};
use export_engine::ports::{
    Completion, ConfigurationStore, CorruptBlocks, EventPartition, ItemEraser, Lease, LeaseOutcome, LeaseRequest,
    ObservedExports, RunReport, RunStore, SealedDigest,
};

use crate::support::{Store, Table, author, eventually, now, stamp};

const HOUR: Duration = Duration::from_hours(1);
const HISTORY: Duration = Duration::from_hours(400 * 24);

/// Pages of a scan that a test reads.
const MAX_PAGES: usize = 200;

async fn created(store: &Store) -> ExportConfiguration {
    let configuration = store.configuration();
    let answer = store.editor().create(&configuration, None, &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));
    configuration
}

/// Exports one window, and leaves another one open.
async fn exported(store: &Store, key: &ConfigurationKey) {
    let runs = store.runs();
    let initial = ExportState::initial(&ExportConfiguration { key: key.clone(), ..store.configuration() });
    let request = LeaseRequest { holder: "a", message: "a", now: now(), expires_at: now().saturating_add(HOUR) };
    let LeaseOutcome::Granted { lease, .. } = runs.acquire_lease(key, &initial, &request).await.unwrap() else {
        panic!("the lease is held")
    };
    complete(store, &lease).await;
    runs.store_window(&lease, &window(1)).await.unwrap();
    runs.store_intent(&lease, window(1).id, &object(0)).await.unwrap();
}

async fn complete(store: &Store, lease: &Lease) {
    let runs = store.runs();
    let digest = SealedDigest {
        end_block: window(0).to,
        bytes: Bytes::from_static(b"digest"),
        signature: Bytes::from_static(b"signature"),
        is_tagged: true,
    };
    runs.store_window(lease, &window(0)).await.unwrap();
    runs.store_intent(lease, window(0).id, &object(0)).await.unwrap();
    runs.store_digest(lease, 0, &digest).await.unwrap();
    let completion = Completion {
        cursor: window(0).to,
        head: digest_reference(0),
        record: record(0),
        expires_at: now().saturating_add(HISTORY),
    };
    runs.complete_window(lease, &completion).await.unwrap();
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn standings_are_those_of_the_configurations_that_exist() {
    let store = Store::new();
    let failing = created(&store).await;
    let report = RunReport { ended_at: now(), exported_through: Some(now()), has_exported: false, has_failed: true };
    store.configurations().store_run(&failing.key, &report).await.unwrap();
    let disabled = ExportConfiguration { enabled: false, ..store.configuration() };
    let answer = store.editor().create(&disabled, None, &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));

    let keys = [failing.key.clone(), disabled.key.clone(), store.key()];
    let found = store.configurations().observe(&keys).await.unwrap();
    let mut found: Vec<_> = found.into_iter().map(|observed| observed.unwrap().standing).collect();
    // A batch has no order.
    found.sort_by_key(|standing| standing.enabled);
    let failing = ExportStanding {
        exported_through: report.exported_through,
        consecutive_failures: 1,
        last_failure_at: Some(report.ended_at),
        ..ExportStanding::from(&failing)
    };
    assert_eq!(found, [ExportStanding::from(&disabled), failing]);
}

async fn tombstones(store: &Store, before: Timestamp) -> Vec<Tombstone> {
    let mut found = Vec::new();
    for shard in 0..SCHEDULE_SHARDS {
        let of_shard = store.configurations().tombstones(shard, before).await.unwrap();
        found.extend(
            of_shard.into_iter().map(Result::unwrap).filter(|tombstone| tombstone.key.tenant_id == store.tenant),
        );
    }
    found
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn remains_of_a_deleted_configuration_are_found_and_expire() {
    let store = Store::new();
    let (table, runs) = (store.configurations(), store.runs());
    let (gone, kept) = (created(&store).await, created(&store).await);
    exported(&store, &gone.key).await;
    exported(&store, &kept.key).await;
    assert!(table.exists(&gone.key).await.unwrap());
    let deleted = stamp();
    assert_eq!(store.editor().delete(&gone, &author(), deleted).await, Ok(EditOutcome::Done));
    assert!(!table.exists(&gone.key).await.unwrap());

    let expected = [Tombstone { key: gone.key.clone(), deleted_at: deleted.at }];
    let later = deleted.at.saturating_add(HOUR);
    let found = eventually(|| tombstones(&store, later), |found| !found.is_empty()).await;
    assert_eq!(found, expected);
    assert_eq!(tombstones(&store, deleted.at).await, [], "it was deleted not before then");
    assert_eq!(
        table.list(&store.tenant).await.unwrap(),
        std::slice::from_ref(&kept),
        "a tombstone is no configuration"
    );

    let expires_at = deleted.at.saturating_add(HISTORY);
    let stopped = runs.expire_all(&gone.key, expires_at, || false).await.unwrap();
    assert_eq!((stopped.items, stopped.is_complete), (0, false));
    // The state and the intents of both windows; the digest and the record of the first have an expiry already.
    for items in [3, 0] {
        let done = runs.expire_all(&gone.key, expires_at, || true).await.unwrap();
        assert_eq!((done.items, done.is_complete), (items, true));
    }
    for (name, item) in &store.items(Table::Runs, &gone.key.to_string()).await {
        assert!(store.expiry(Table::Runs, item).await.is_some(), "{name}");
    }
    for (name, item) in &store.items(Table::Runs, &kept.key.to_string()).await {
        let is_completed = ["digest#0000000000", "job#0000000000"].contains(&name.as_str());
        assert_eq!(store.expiry(Table::Runs, item).await.is_some(), is_completed, "{name}");
    }
    for _ in 0..2 {
        table.remove_tombstone(&found[0]).await.unwrap();
    }
    let left = eventually(|| tombstones(&store, later), Vec::is_empty).await;
    assert_eq!(left, []);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_tenant_s_configurations_are_erased_with_all_that_lies_beside_them() {
    let store = Store::new();
    let table = store.configurations();
    let (gone, kept) = (created(&store).await, created(&store).await);
    let through = now();
    let report = RunReport { ended_at: now(), exported_through: Some(through), has_exported: true, has_failed: false };
    table.store_run(&kept.key, &report).await.unwrap();
    assert_eq!(store.editor().delete(&gone, &author(), stamp()).await, Ok(EditOutcome::Done));

    let configurations = table.first_items(&store.tenant, TenantItems::Configurations).await.unwrap();
    let expected = TenantItem::Configuration { id: kept.key.configuration_id, exported_through: Some(through) };
    assert_eq!(configurations, [expected]);
    let all = table.first_items(&store.tenant, TenantItems::All).await.unwrap();
    assert_eq!(all.len(), 4, "its usage, the tombstone and the notice as well: {all:?}");
    for item in &all {
        table.delete_item(&store.tenant, item).await.unwrap();
    }
    assert!(store.items(Table::Configurations, store.tenant.as_str()).await.is_empty());
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_tenant_s_runs_are_found_by_a_scan_that_can_be_resumed() {
    let (store, other) = (Store::new(), Store::new());
    let (runs, key, another) = (store.runs(), store.key(), store.key());
    exported(&store, &key).await;
    exported(&store, &another).await;
    let foreign = other.key();
    exported(&other, &foreign).await;
    runs.record_corrupt_block(&store.tenant, object(0).first_block, now(), now().saturating_add(HOUR)).await.unwrap();

    let head = ErasedConfiguration {
        configuration_id: key.configuration_id,
        exported_through: Some(window(0).to.timestamp()),
        head_digest: Some(digest_reference(0).sha256),
    };
    assert_eq!(runs.export_head(&key).await.unwrap(), Some(head));
    assert_eq!(runs.export_head(&store.key()).await.unwrap(), None);

    let (mut items, mut exports, mut after): (Vec<RunItemKey>, Vec<_>, _) = (Vec::new(), Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let page = runs.scan_tenant(&store.tenant, after.as_ref()).await.unwrap();
        items.extend(page.items);
        exports.extend(page.exports);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(after, None, "more than {MAX_PAGES} pages");
    assert_eq!(exports.len(), 2);
    assert!(exports.contains(&head));
    assert_eq!(items.len(), 2 * 5 + 1, "{items:?}");

    let before = other.items(Table::Runs, &foreign.to_string()).await;
    runs.delete_state(&key).await.unwrap();
    let left = runs.first_items(&key).await.unwrap();
    assert_eq!((left.items.len(), left.exports.len()), (4, 0));
    for _ in 0..2 {
        runs.delete_all(&items).await.unwrap();
    }
    for run in [key.to_string(), another.to_string(), format!("{}#corrupt", store.tenant)] {
        assert!(store.items(Table::Runs, &run).await.is_empty(), "{run}");
    }
    assert_eq!(other.items(Table::Runs, &foreign.to_string()).await, before);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_notes_of_an_erasure_are_written_by_one_at_a_time() {
    let store = Store::new();
    let runs = store.runs();
    assert_eq!(runs.load_erasure(&store.tenant).await, Ok(None));
    let reason = OperatorReason::try_from("ticket 4711".to_owned()).unwrap();
    let erasure = Erasure::new(store.tenant.clone(), reason, now());
    let mut first = StoredErasure { erasure, statement: None, revision: 0 };
    let expires_at = now().saturating_add(HISTORY);
    assert_eq!(runs.store_erasure(&mut first, expires_at).await, Ok(NotesOutcome::Stored));
    let mut second = runs.load_erasure(&store.tenant).await.unwrap().unwrap();
    assert_eq!(second, first);

    first.erasure.counts.blocks = 7;
    first.statement =
        Some(SignedStatement { bytes: Bytes::from_static(b"{}\n"), signature: Bytes::from_static(b"signature") });
    assert_eq!(runs.store_erasure(&mut first, expires_at).await, Ok(NotesOutcome::Stored));
    second.erasure.counts.blocks = 8;
    assert_eq!(runs.store_erasure(&mut second, expires_at).await, Ok(NotesOutcome::ChangedSince));
    assert_eq!(runs.load_erasure(&store.tenant).await, Ok(Some(first)));
    let items = store.items(Table::Runs, &format!("#erasure#{}", store.tenant)).await;
    assert!(store.expiry(Table::Runs, &items["notes"]).await.is_some());
    assert_eq!(runs.scan_tenant(&store.tenant, None).await.unwrap().items, [], "it is none of the tenant's");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_tenant_s_events_are_erased_partition_by_partition() {
    let (store, other) = (Store::new(), Store::new());
    // The event of each creation lies in one shard.
    for _ in 0..3 {
        created(&store).await;
    }
    created(&other).await;
    let mut erased = 0;
    for partition in EventPartition::all() {
        loop {
            match store.eraser().erase_items(&store.tenant, partition).await.unwrap() {
                0 => break,
                count => erased += count,
            }
        }
    }
    assert_eq!(erased, 3);
    assert!(store.items(Table::Events, &format!("{}#15", store.tenant)).await.is_empty());
    assert_eq!(other.items(Table::Events, &format!("{}#15", other.tenant)).await.len(), 1);
}
