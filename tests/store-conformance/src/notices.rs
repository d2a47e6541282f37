//! The outbox: a notice is stored with its cause or not at all.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_adapters::configurations::{ConfigurationTable, CreateOutcome, EditOutcome};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{
        Destination, ExportConfiguration, ExportProgress,
        arn::AccountId,
        update::{Edit, NewIdentity, PlainSettings},
    },
    connection::Connection,
    digest::GapReason,
    interval::ExportSchedule,
    notice::{
        NoticeKind,
        gap::SignedGap,
        state::{NoticeTerms, NoticeTransition, ObservedExport},
    },
    tenant::TenantId,
};
use export_engine::ports::{
    ConfigurationStore, ErrorKind, NoticeOutbox, NoticeRecords, ObservedExports, QueuedNotice, QueuedNoticeKey,
    RecordOutcome,
};
use futures::stream::{StreamExt, iter};

use crate::support::{RETENTION, Store, Table, author, eventually, now, stamp};

const TERMS: NoticeTerms = NoticeTerms {
    schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
    retention: RETENTION,
};

async fn created(store: &Store, configuration: ExportConfiguration) -> ExportConfiguration {
    let answer = store.editor().create(&configuration, None, &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));
    configuration
}

/// Returns an export that works.
fn working(store: &Store) -> ExportConfiguration {
    let through = Some(now());
    ExportConfiguration {
        connection: Connection::Success { checked_at: now() },
        progress: ExportProgress { exported_through: through, last_export_at: through, ..ExportProgress::default() },
        ..store.configuration()
    }
}

async fn disable(store: &Store, configuration: &ExportConfiguration) {
    let disabled = configuration.with_enabled(false, Edit { by: "user-2", at: now() });
    assert_eq!(store.editor().update(configuration, &disabled, &author(), stamp()).await, Ok(EditOutcome::Done));
}

async fn observed(table: &ConfigurationTable, configuration: &ExportConfiguration) -> ObservedExport {
    let found = table.observe(std::slice::from_ref(&configuration.key)).await.unwrap();
    let [observed] = found.try_into().unwrap();
    observed.unwrap()
}

fn transition(observed: &ObservedExport) -> Option<NoticeTransition> {
    observed.transition(TERMS, now(), 7)
}

/// Returns the keys of a shard, without those behind a page that ends with a notice of the tenant `skipped`.
async fn listed(table: &ConfigurationTable, shard: u8, skipped: Option<&TenantId>) -> Vec<QueuedNoticeKey> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = table.queued(shard, from).await.unwrap();
        found.extend(page.keys.into_iter().flatten());
        let skips = skipped.is_some() && found.last().map(|key: &QueuedNoticeKey| &key.tenant_id) == skipped;
        from = page.next.map(|next| page.next_tenant.filter(|_| skips).unwrap_or(next));
        if from.is_none() {
            return found;
        }
    }
}

/// Returns the queued notices of the tenant.
async fn queued(store: &Store) -> Vec<QueuedNotice> {
    let table = store.configurations();
    let mut found = Vec::new();
    for shard in 0..table.shards() {
        let keys = listed(&table, shard, None).await.into_iter();
        let of_tenant: Vec<_> = keys.filter(|key| key.tenant_id == store.tenant).collect();
        found.extend(table.notices(&of_tenant).await.unwrap().into_iter().map(Result::unwrap));
    }
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

async fn queued_once_there_are(store: &Store, count: usize) -> Vec<(NoticeKind, bool)> {
    let found = eventually(|| queued(store), |found| found.len() >= count).await;
    let mut found: Vec<_> = found.into_iter().map(|notice| (notice.kind, notice.is_last_export)).collect();
    found.sort_unstable();
    found
}

/// Returns the number of notices in the table, without the index.
async fn stored(store: &Store) -> usize {
    let items = store.items(Table::Configurations, store.tenant.as_str()).await;
    items.keys().filter(|id| id.starts_with("notice#")).count()
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn what_two_sweeps_notice_at_once_is_one_notice() {
    let store = Store::new();
    let table = store.configurations();
    // Its connection failed.
    let failing = created(&store, store.configuration()).await;
    let seen = observed(&table, &failing).await;
    let noticed = transition(&seen).unwrap();
    assert_eq!(table.record(&seen, &noticed).await, Ok(RecordOutcome::Recorded));
    // The other sweep has read before, and draws another ID.
    let other = seen.transition(TERMS, now(), 8).unwrap();
    assert_eq!(table.record(&seen, &other).await, Ok(RecordOutcome::ChangedSince));
    assert_eq!(transition(&observed(&table, &failing).await), None);
    let [notice] = queued_notices(&store).await;
    assert_eq!((notice.kind, &notice.configuration), (NoticeKind::ExportFailing, &failing.key));
    assert!(notice.body.as_str().contains("\"code\":\"WRITE_DENIED\""), "{:?}", notice.body);
    // A state without a notice is a write of its own, under the same condition.
    let quiet = NoticeTransition { notices: Vec::new(), ..noticed };
    assert_eq!(table.record(&seen, &quiet).await, Ok(RecordOutcome::ChangedSince));
    assert_eq!(stored(&store).await, 1);

    // The bus has it, and the rest failed.
    table.note_on_bus(&notice.key).await.unwrap();
    let noted = QueuedNotice { is_on_bus: true, ..notice.clone() };
    assert_eq!(table.notices(std::slice::from_ref(&notice.key)).await.unwrap(), [Ok(noted)]);

    // Published once, and a second time after a crash.
    for _ in 0..2 {
        table.remove(&notice.key).await.unwrap();
    }
    assert_eq!(stored(&store).await, 0);
    assert_eq!(table.notices(std::slice::from_ref(&notice.key)).await.unwrap(), []);
    // What is gone stays gone.
    table.note_on_bus(&notice.key).await.unwrap();
    assert_eq!(stored(&store).await, 0);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_tenant_that_fills_a_page_is_skipped() {
    const SHARD: u8 = 3;
    /// One more than a page has.
    const FLOOD: usize = 501;
    /// An emulator takes no 500 connections at a time.
    const CONCURRENCY: usize = 20;
    let store = Store::new();
    let table = store.configurations();
    let behind = TenantId::parse(&format!("{}-2", store.tenant)).unwrap();
    let of_flood = (0..FLOOD).map(|number| (&store.tenant, format!("{number:03}")));
    let names = of_flood.chain([(&behind, "1".to_owned())]);
    let puts = names.map(|(tenant, id)| {
        let item = [
            ("tenantId", tenant.to_string()),
            ("id", format!("notice#{tenant}#{id}")),
            ("schedulePartition", format!("NOTICE#{SHARD}")),
        ];
        let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
        store.put(Table::Configurations, HashMap::from(item))
    });
    iter(puts).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await;
    let count =
        |keys: &[QueuedNoticeKey], tenant: &TenantId| keys.iter().filter(|key| key.tenant_id == *tenant).count();
    let are_all = |keys: &Vec<_>| (count(keys, &store.tenant), count(keys, &behind)) == (FLOOD, 1);
    let all = eventually(|| listed(&table, SHARD, None), are_all).await;
    let of_flood: Vec<_> = all.iter().filter(|key| key.tenant_id == store.tenant).collect();
    assert!(of_flood.is_sorted_by_key(|key| &key.notice_id), "the oldest come first");
    let skipping = listed(&table, SHARD, Some(&store.tenant)).await;
    assert!((1..FLOOD).contains(&count(&skipping, &store.tenant)));
    assert_eq!(count(&skipping, &behind), 1);
    let written = all.iter().filter(|key| [&store.tenant, &behind].contains(&&key.tenant_id));
    let removals = iter(written.map(|key| table.remove(key))).buffer_unordered(CONCURRENCY);
    removals.collect::<Vec<_>>().await.into_iter().collect::<Result<(), _>>().unwrap();
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_notice_of_an_earlier_version_is_read_and_removed() {
    let store = Store::new();
    let table = store.configurations();
    let configuration = created(&store, store.configuration()).await;
    assert_eq!(store.editor().delete(&configuration, &author(), stamp()).await, Ok(EditOutcome::Done));
    let [notice] = queued_notices(&store).await;
    let mut item = store.items(Table::Configurations, store.tenant.as_str()).await.remove(&notice.key.item).unwrap();
    table.remove(&notice.key).await.unwrap();
    let earlier = format!("notice#{}", notice.key.notice_id);
    item.insert("id".to_owned(), AttributeValue::S(earlier.clone()));
    store.put(Table::Configurations, item).await;
    let key = QueuedNoticeKey { item: earlier, ..notice.key.clone() };
    let found = eventually(|| queued(&store), |found| found.iter().any(|found| found.key == key)).await;
    assert!(found.contains(&QueuedNotice { key: key.clone(), ..notice }));
    table.remove(&key).await.unwrap();
    assert_eq!(stored(&store).await, 0);
}

async fn queued_notices(store: &Store) -> [QueuedNotice; 1] {
    eventually(|| queued(store), |found| !found.is_empty()).await.try_into().unwrap()
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn nothing_is_noticed_of_what_was_edited_or_deleted_since() {
    let store = Store::new();
    let table = store.configurations();
    let failing = created(&store, store.configuration()).await;
    let seen = observed(&table, &failing).await;
    let noticed = transition(&seen).unwrap();
    let disabled = failing.with_enabled(false, Edit { by: "user-2", at: now() });
    assert_eq!(store.editor().update(&failing, &disabled, &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(table.record(&seen, &noticed).await, Ok(RecordOutcome::ChangedSince));
    assert_eq!(store.editor().delete(&disabled, &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(table.record(&seen, &noticed).await, Ok(RecordOutcome::ChangedSince));
    assert_eq!(table.load(&failing.key).await, Ok(None));
    let kinds = queued_once_there_are(&store, 2).await;
    assert_eq!(kinds, [(NoticeKind::ExportDisabled, true), (NoticeKind::ExportDeleted, false)]);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_last_export_is_known_also_if_two_are_stopped_at_once() {
    let store = Store::new();
    let (one, two) = (created(&store, working(&store)).await, created(&store, working(&store)).await);
    let stop = async |configuration: &ExportConfiguration| {
        let disabled = configuration.with_enabled(false, Edit { by: "user-2", at: now() });
        // As the API does, which reads it again.
        for _ in 0..20 {
            match store.editor().update(configuration, &disabled, &author(), stamp()).await {
                Ok(EditOutcome::Done) => return,
                Ok(EditOutcome::ChangedSince) => {}
                Err(error) => assert!(error.kind == ErrorKind::Transient, "{error}"),
            }
        }
        panic!("it met others too often");
    };
    futures::join!(stop(&one), stop(&two));
    let found: BTreeSet<_> = queued_once_there_are(&store, 2).await.into_iter().collect();
    assert_eq!(found, BTreeSet::from([(NoticeKind::ExportDisabled, false), (NoticeKind::ExportDisabled, true)]));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_export_that_fails_or_delivers_to_another_account_hides_no_end() {
    let store = Store::new();
    let (real, spare) = (created(&store, working(&store)).await, created(&store, working(&store)).await);
    created(&store, store.configuration()).await;
    disable(&store, &spare).await;
    let owner = AccountId::parse("333333333333").ok();
    let elsewhere = Destination { expected_bucket_owner: owner, ..real.destination.clone() };
    created(&store, ExportConfiguration { destination: elsewhere.clone(), ..working(&store) }).await;
    let settings = PlainSettings::of(&real);
    let edit = Edit { by: "user-2", at: now() };
    let moved = real.with_connection(settings, elsewhere, NewIdentity::Kept, edit);
    assert_eq!(store.editor().update(&real, &moved, &author(), stamp()).await, Ok(EditOutcome::Done));
    disable(&store, &moved).await;
    let expected = [
        (NoticeKind::ExportDisabled, false),
        // Another one that works delivers to the account to which it was moved.
        (NoticeKind::ExportDisabled, false),
        (NoticeKind::ExportDestinationChanged, true),
    ];
    assert_eq!(queued_once_there_are(&store, 3).await, expected);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_newest_signed_gap_stays() {
    let store = Store::new();
    let table = store.configurations();
    let configuration = created(&store, store.configuration()).await;
    let gap = |sequence| SignedGap { sequence, from: now(), to: now(), reason: GapReason::RetentionEnded, gaps: 1 };
    let (first, second) = (gap(1), gap(2));
    for stored in [first, second, second, first] {
        table.store_signed_gap(&configuration.key, &stored).await.unwrap();
    }
    assert_eq!(observed(&table, &configuration).await.signed_gap, Some(second));
    let gone = store.key();
    table.store_signed_gap(&gone, &first).await.unwrap();
    assert_eq!(table.load(&gone).await, Ok(None));
}
