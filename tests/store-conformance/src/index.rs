//! The index of enabled configurations, from which exports are started. It is sparse, and its reads are eventually
//! consistent.

use aws_adapters::configurations::{CreateOutcome, EditOutcome, SCHEDULE_SHARDS};
use domain::{
    configuration::{
        ConfigurationId, ConfigurationKey, ExportConfiguration,
        update::{Edit, PlainSettings},
    },
    interval::ExportInterval,
};
use export_engine::ports::EnabledConfigurations;
use futures::future::join_all;
use host::{Machine, Random};

use crate::support::{Store, author, eventually, now, stamp};

/// Pages that a test reads of one shard.
const MAX_PAGES: usize = 10;

/// Returns the intervals and shards under which the configuration is found.
async fn places(store: &Store, key: &ConfigurationKey) -> Vec<(ExportInterval, u8)> {
    let mut places = Vec::new();
    for interval in ExportInterval::ALL {
        for shard in 0..SCHEDULE_SHARDS {
            let pages = pages(store, interval, shard).await;
            places.extend(pages.iter().flatten().filter(|found| *found == key).map(|_| (interval, shard)));
        }
    }
    places
}

async fn pages(store: &Store, interval: ExportInterval, shard: u8) -> Vec<Vec<ConfigurationKey>> {
    let (table, mut pages, mut after) = (store.configurations(), Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let (page, next) = table.page(interval, shard, after).await.unwrap();
        pages.push(page);
        if next.is_none() {
            return pages;
        }
        after = next;
    }
    panic!("the shard {shard} of {interval} has more than {MAX_PAGES} pages");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_configuration_is_where_its_interval_is_while_it_is_enabled() {
    let store = Store::new();
    let editor = store.editor();
    let edit = || Edit { by: "user-2", at: now() };
    let created = ExportConfiguration { enabled: false, ..store.configuration() };
    assert_eq!(editor.create(&created, None, &author(), stamp()).await, Ok(CreateOutcome::Created));
    assert_eq!(places(&store, &created.key).await, []);

    let enabled = created.with_enabled(true, edit());
    let settings = PlainSettings { interval: ExportInterval::Every12Hours, ..PlainSettings::of(&enabled) };
    let slower = enabled.with_settings(settings, edit());
    let disabled = slower.with_enabled(false, edit());
    let enabled_again = disabled.with_enabled(true, edit());
    let steps = [&created, &enabled, &slower, &disabled, &enabled_again];
    let shard = created.key.configuration_id.as_bytes()[15] % SCHEDULE_SHARDS;
    for step in steps.windows(2) {
        let [before, after] = step else { continue };
        assert_eq!(editor.update(before, after, &author(), stamp()).await, Ok(EditOutcome::Done));
        let expected = if after.enabled { vec![(after.interval, shard)] } else { Vec::new() };
        let found = eventually(|| places(&store, &created.key), |found| *found == expected).await;
        assert_eq!(found, expected, "version {}", after.version);
    }
    assert_eq!(editor.delete(&enabled_again, &author(), stamp()).await, Ok(EditOutcome::Done));
    let found = eventually(|| places(&store, &created.key), Vec::is_empty).await;
    assert_eq!(found, []);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_shard_of_many_configurations_is_read_page_by_page() {
    const TENANTS: usize = 6;
    const EACH: usize = 85;
    let stores: Vec<Store> = (0..TENANTS).map(|_| Store::new()).collect();
    let mut created: Vec<ConfigurationKey> = join_all(stores.iter().map(|store| async move {
        let editor = store.editor();
        let mut keys = Vec::new();
        for _ in 0..EACH {
            // All in the shard 0.
            let mut id = Machine.bits().to_be_bytes();
            id[15] = 0;
            let configuration_id = ConfigurationId::from_bytes(id);
            let configuration = ExportConfiguration {
                key: ConfigurationKey { tenant_id: store.tenant.clone(), configuration_id },
                interval: ExportInterval::Every24Hours,
                ..store.configuration()
            };
            let answer = editor.create(&configuration, None, &author(), stamp()).await;
            assert_eq!(answer, Ok(CreateOutcome::Created));
            keys.push(configuration.key);
        }
        keys
    }))
    .await
    .concat();
    created.sort();

    // Those of other tests come and go in the same shard.
    let ours = |pages: &Vec<Vec<ConfigurationKey>>| {
        let mut ours: Vec<_> = pages.iter().flatten().filter(|key| created.contains(key)).cloned().collect();
        ours.sort();
        ours
    };
    let look = || pages(&stores[0], ExportInterval::Every24Hours, 0);
    let pages = eventually(look, |pages| ours(pages) == created).await;
    assert!(ours(&pages) == created, "{} of {} are there, each once", ours(&pages).len(), created.len());
    assert!(pages.len() > 1, "all were in one page");
}
