//! Repairs: one unfinished one of a configuration, and one process that continues it.

use std::time::Duration;

use aws_adapters::configurations::{CreateOutcome, EditOutcome, RepairRequestOutcome, TenantItem, TenantItems};
use domain::{
    configuration::ExportConfiguration,
    repair::{FileOutcome, REPAIR_ABANDONED_AFTER, Repair, RepairId, RepairMode, RepairRange, UnrepairedReason},
    time::Timestamp,
};
use export_engine::ports::{ErrorKind, RepairStore};

use crate::support::{Store, Table, author, now, settled, stamp};

/// The time after which the record of a repair may be deleted.
const HISTORY: Duration = Duration::from_hours(400 * 24);

impl Store {
    async fn request_repair(&self, configuration: &ExportConfiguration, repair: &Repair) -> RepairRequestOutcome {
        let expires_at = now().saturating_add(HISTORY);
        settled(|| async { self.editor().request_repair(configuration, repair, expires_at, &author(), stamp()).await })
            .await
            .unwrap()
    }
}

async fn created(store: &Store) -> ExportConfiguration {
    let configuration = store.configuration();
    let outcome = store.editor().create(&configuration, None, &author(), stamp()).await;
    assert_eq!(outcome, Ok(CreateOutcome::Created));
    configuration
}

fn repair(number: u128, requested_at: Timestamp) -> Repair {
    let range = RepairRange { from: requested_at.saturating_sub(Duration::from_hours(1)), to: requested_at };
    Repair::requested(RepairId::from_random(number), range, RepairMode::Missing, "user-1", requested_at)
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn one_repair_of_a_configuration_is_unfinished_at_a_time() {
    let store = Store::new();
    let configuration = created(&store).await;
    let (key, table) = (&configuration.key, store.configurations());
    assert_eq!(table.load_repair(key).await, Ok(None));
    let first = repair(1, now());
    assert_eq!(store.request_repair(&configuration, &first).await, RepairRequestOutcome::Requested);
    assert_eq!(table.load_repair(key).await, Ok(Some(first.clone())));
    assert_eq!(store.editor().last_repair(key).await, Ok(Some(first.clone())));
    assert_eq!(store.request_repair(&configuration, &repair(2, now())).await, RepairRequestOutcome::InProgress);
    // The creation and the first repair.
    assert_eq!(store.backlog().await.events, 2);

    let mut ended = first.advanced(now());
    ended.count(7, None, FileOutcome::Unrepaired(UnrepairedReason::HistoryExpired));
    ended.end();
    assert_eq!(table.store_repair(key, &ended).await, Ok(()));
    assert_eq!(table.load_repair(key).await, Ok(Some(ended)));
    let second = repair(3, now());
    assert_eq!(store.request_repair(&configuration, &second).await, RepairRequestOutcome::Requested);
    assert_eq!(table.load_repair(key).await, Ok(Some(second)));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_abandoned_repair_is_replaced() {
    let store = Store::new();
    let configuration = created(&store).await;
    let long_ago = now().saturating_sub(REPAIR_ABANDONED_AFTER + Duration::from_secs(10));
    assert_eq!(store.request_repair(&configuration, &repair(1, long_ago)).await, RepairRequestOutcome::Requested);
    assert_eq!(store.request_repair(&configuration, &repair(2, now())).await, RepairRequestOutcome::Requested);
    // The process of the first one stops at its first write.
    let zombie = repair(1, long_ago).advanced(now());
    let error = store.configurations().store_repair(&configuration.key, &zombie).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Fenced);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn of_two_processes_the_first_to_store_progress_continues() {
    let store = Store::new();
    let configuration = created(&store).await;
    let (key, table) = (&configuration.key, store.configurations());
    let requested = repair(1, now());
    assert_eq!(store.request_repair(&configuration, &requested).await, RepairRequestOutcome::Requested);
    let mut progress = requested.advanced(now());
    progress.count(0, None, FileOutcome::Repaired);
    assert_eq!(table.store_repair(key, &progress).await, Ok(()));
    let late = requested.advanced(now());
    assert_eq!(table.store_repair(key, &late).await.unwrap_err().kind, ErrorKind::Fenced);
    assert_eq!(table.load_repair(key).await, Ok(Some(progress.clone())));
    // A process has claimed it: its message was sent.
    store.editor().withdraw_repair(key, &requested).await.unwrap();
    assert_eq!(table.load_repair(key).await, Ok(Some(progress)));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_repair_needs_its_configuration_and_is_erased_with_its_tenant() {
    let store = Store::new();
    let configuration = created(&store).await;
    let (key, table, editor) = (&configuration.key, store.configurations(), store.editor());
    let first = repair(1, now());
    assert_eq!(store.request_repair(&configuration, &first).await, RepairRequestOutcome::Requested);
    let id = format!("repair#{}", key.configuration_id);
    let item = store.items(Table::Configurations, store.tenant.as_str()).await.remove(&id).unwrap();
    assert!(store.expiry(Table::Configurations, &item).await.is_some());
    let found = table.first_items(&store.tenant, TenantItems::All).await.unwrap();
    assert!(found.contains(&TenantItem::Other { id }), "{found:?}");
    let configurations = table.first_items(&store.tenant, TenantItems::Configurations).await.unwrap();
    assert_eq!(configurations.len(), 1);
    assert_eq!(table.list(&store.tenant).await.unwrap().len(), 1);

    editor.withdraw_repair(key, &first).await.unwrap();
    assert_eq!(table.load_repair(key).await, Ok(None));
    assert_eq!(editor.delete(&configuration, &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(store.request_repair(&configuration, &repair(2, now())).await, RepairRequestOutcome::NotFound);
    assert_eq!(table.load_repair(key).await, Ok(None));
}
