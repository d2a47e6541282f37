//! Changes of configurations by persons: each change with its event, or not at all.

use std::time::Duration;

use aws_adapters::{
    configurations::{CreateOutcome, EditOutcome, IdempotentRequest, MAX_CONFIGURATIONS_PER_TENANT},
    events::writer::IDEMPOTENCY_LIFETIME,
};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    configuration::{
        Authentication, ExportConfiguration, ExportProgress,
        access_key::{AccessKeyId, SealedSecret},
        input::IdempotencyKey,
        test_support,
        update::{Edit, NewIdentity, PlainSettings},
    },
    connection::Connection,
    export_format::ExportFormat,
    interval::ExportInterval,
};
use export_engine::ports::{ConfigurationStore, ErrorKind, RunReport};
use futures::future::join_all;

use crate::support::{Item, Store, Table, author, is_transient, now, settled, stamp};

/// The item that counts a tenant's configurations.
const USAGE: &str = "usage";

impl Store {
    async fn create(&self, configuration: &ExportConfiguration) -> CreateOutcome {
        settled(|| async { self.editor().create(configuration, None, &author(), stamp()).await }).await.unwrap()
    }

    async fn created(&self, configuration: ExportConfiguration) -> ExportConfiguration {
        assert_eq!(self.create(&configuration).await, CreateOutcome::Created);
        configuration
    }

    async fn load(&self, configuration: &ExportConfiguration) -> Option<ExportConfiguration> {
        self.configurations().load(&configuration.key).await.unwrap()
    }

    /// Returns the count of the tenant's configurations, by which its limit is checked.
    async fn usage(&self) -> u16 {
        let items = self.items(Table::Configurations, self.tenant.as_str()).await;
        items.get(USAGE).map_or(0, |item| item["configurations"].as_n().unwrap().parse().unwrap())
    }

    async fn set_usage(&self, configurations: u16) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let item = Item::from([
            ("tenantId".to_owned(), text(self.tenant.as_str())),
            ("id".to_owned(), text(USAGE)),
            ("configurations".to_owned(), AttributeValue::N(configurations.to_string())),
        ]);
        self.put(Table::Configurations, item).await;
    }

    /// Returns the number of audit events of the tenant: one for each change.
    async fn audited(&self) -> u64 {
        self.backlog().await.events
    }
}

fn edit() -> Edit<'static> {
    Edit { by: "user-2", at: now() }
}

fn settings(interval: ExportInterval) -> PlainSettings {
    PlainSettings { interval, format: ExportFormat::default(), filter: None, ocsf: None, description: None }
}

/// Returns the configuration without its optional parts.
fn bare(configuration: ExportConfiguration) -> ExportConfiguration {
    let mut bare = configuration;
    bare.description = None;
    bare.enabled = false;
    bare.destination.bucket_path = None;
    bare.destination.kms_key_arn = None;
    bare.destination.expected_bucket_owner = None;
    bare.user_arn = None;
    bare.connection = Connection::Pending;
    bare.webhooks = Vec::new();
    bare
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_created_configuration_is_read_listed_counted_and_audited() {
    let store = Store::new();
    let full = store.created(store.configuration()).await;
    let bare = store.created(bare(store.configuration())).await;
    for created in [&full, &bare] {
        assert_eq!(store.load(created).await.as_ref(), Some(created));
    }
    let mut expected = vec![full, bare];
    expected.sort_by_key(|configuration| configuration.key.configuration_id.to_string());
    assert_eq!(store.configurations().list(&store.tenant).await.unwrap(), expected);
    assert_eq!((store.usage().await, store.audited().await), (2, 2));

    let other = Store::new();
    assert_eq!(other.configurations().list(&other.tenant).await.unwrap(), []);
    assert_eq!(store.configurations().load(&other.key()).await.unwrap(), None);
    for item in store.items(Table::Configurations, store.tenant.as_str()).await.values() {
        assert_eq!(store.expiry(Table::Configurations, item).await, None);
    }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_id_is_taken_once() {
    let store = Store::new();
    let first = store.created(store.configuration()).await;
    let second = ExportConfiguration { enabled: false, ..first.clone() };
    let error = store.editor().create(&second, None, &author(), stamp()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal, "{error}");
    assert_eq!(store.load(&first).await, Some(first));
    assert_eq!((store.usage().await, store.audited().await), (1, 1));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_idempotency_key_makes_one_configuration_until_it_expires() {
    let store = Store::new();
    let editor = store.editor();
    let key = IdempotencyKey::parse("a-key").unwrap();
    let request = |content: u8| Some(IdempotentRequest { key: &key, content_hash: [content; 32] });
    let (first, second) = (store.configuration(), store.configuration());

    let answer = editor.create(&first, request(1), &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));
    let answer = editor.create(&second, request(1), &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Repeated(first.key.configuration_id)));
    let answer = editor.create(&second, request(2), &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::KeyReused));
    // A done request is repeated even for a tenant at its limit.
    store.set_usage(MAX_CONFIGURATIONS_PER_TENANT).await;
    let answer = editor.create(&second, request(1), &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Repeated(first.key.configuration_id)));
    store.set_usage(1).await;
    assert_eq!(store.configurations().list(&store.tenant).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.audited().await, 1);

    let items = store.items(Table::Configurations, store.tenant.as_str()).await;
    let records: Vec<_> = items.iter().filter(|(id, _)| id.starts_with("idempotency#")).collect();
    let [(_, record)] = records[..] else { panic!("{records:?}") };
    let expiry = store.expiry(Table::Configurations, record).await.unwrap();
    let whole_second = first.created_at.floor_to(Duration::from_secs(1));
    assert_eq!(expiry, whole_second.saturating_add(IDEMPOTENCY_LIFETIME));

    // DynamoDB may not have deleted it by then.
    let created_at = first.created_at.saturating_add(IDEMPOTENCY_LIFETIME);
    let later = ExportConfiguration { created_at, ..second };
    let answer = editor.create(&later, request(2), &author(), stamp()).await;
    assert_eq!(answer, Ok(CreateOutcome::Created));
    assert_eq!((store.usage().await, store.audited().await), (2, 2));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_same_request_at_the_same_time_makes_one_configuration() {
    let store = Store::new();
    let editor = store.editor();
    let key = IdempotencyKey::parse("a-key").unwrap();
    let request = IdempotentRequest { key: &key, content_hash: [1; 32] };
    let configurations: Vec<_> = (0..4).map(|_| store.configuration()).collect();
    let creations = configurations.iter().map(|configuration| {
        settled(|| async { editor.create(configuration, Some(request), &author(), stamp()).await })
    });
    let answers = join_all(creations).await;
    let made = store.configurations().list(&store.tenant).await.unwrap();
    let [made] = &made[..] else { panic!("{} were made: {answers:?}", made.len()) };
    for (configuration, answer) in configurations.iter().zip(answers) {
        let is_first = configuration.key == made.key;
        let expected =
            if is_first { CreateOutcome::Created } else { CreateOutcome::Repeated(made.key.configuration_id) };
        assert_eq!(answer, Ok(expected));
    }
    assert_eq!((store.usage().await, store.audited().await), (1, 1));
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn the_limit_holds_however_many_create_at_once() {
    let store = Store::new();
    store.set_usage(MAX_CONFIGURATIONS_PER_TENANT - 2).await;
    let configurations: Vec<_> = (0..6).map(|_| store.configuration()).collect();
    let answers = join_all(configurations.iter().map(|configuration| store.create(configuration))).await;
    let created: Vec<_> = configurations
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == CreateOutcome::Created)
        .map(|(configuration, _)| configuration)
        .collect();
    let refused = answers.iter().filter(|answer| **answer == CreateOutcome::LimitExceeded).count();
    assert_eq!((created.len(), refused), (2, 4), "{answers:?}");
    assert_eq!((store.usage().await, store.audited().await), (MAX_CONFIGURATIONS_PER_TENANT, 2));

    // One that goes makes room for one.
    assert_eq!(store.editor().delete(created[0], &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(store.create(&store.configuration()).await, CreateOutcome::Created);
    assert_eq!(store.create(&store.configuration()).await, CreateOutcome::LimitExceeded);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn one_of_several_changes_of_the_same_version_is_made() {
    let store = Store::new();
    let (editor, before) = (store.editor(), store.created(store.configuration()).await);
    let intervals = [ExportInterval::Every4Hours, ExportInterval::Every6Hours, ExportInterval::Every12Hours];
    let changed = intervals.map(|interval| before.with_settings(settings(interval), edit()));
    let answers = join_all(changed.iter().map(|after| {
        let (editor, before) = (&editor, &before);
        settled(move || async move { editor.update(before, after, &author(), stamp()).await })
    }))
    .await;
    let is_done: Vec<_> = answers.iter().map(|answer| *answer == Ok(EditOutcome::Done)).collect();
    assert_eq!(is_done.iter().filter(|done| **done).count(), 1, "{answers:?}");
    for (after, is_done) in changed.iter().zip(is_done) {
        assert_eq!(store.load(&before).await.as_ref() == Some(after), is_done);
    }

    let stale = before.with_enabled(false, edit());
    assert_eq!(editor.update(&before, &stale, &author(), stamp()).await, Ok(EditOutcome::ChangedSince));
    assert_eq!(editor.delete(&before, &author(), stamp()).await, Ok(EditOutcome::ChangedSince));
    assert_eq!((store.usage().await, store.audited().await), (1, 2), "a refused change has no event");
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn an_update_touches_only_what_it_changes() {
    let store = Store::new();
    let (editor, table) = (store.editor(), store.configurations());
    let before = store.created(store.configuration()).await;
    // Runs and tests continue between a person's read and write.
    let checked_at = before.created_at.saturating_add(Duration::from_secs(1));
    let connection = Connection::Success { checked_at };
    table.store_connection(&before.key, before.version, &connection, None).await.unwrap();
    let report = RunReport {
        ended_at: checked_at,
        exported_through: Some(before.created_at),
        has_exported: true,
        has_failed: false,
    };
    table.store_run(&before.key, &report).await.unwrap();
    let progress = ExportProgress {
        exported_through: report.exported_through,
        last_export_at: Some(report.ended_at),
        ..ExportProgress::default()
    };

    let renamed = before.with_settings(settings(ExportInterval::Every24Hours), edit());
    assert_eq!(editor.update(&before, &renamed, &author(), stamp()).await, Ok(EditOutcome::Done));
    let expected = ExportConfiguration { connection, progress, ..renamed };
    assert_eq!(store.load(&before).await.as_ref(), Some(&expected));
    assert_eq!(expected.description, None);

    // Another bucket: what is known of the old one's connection goes, whatever was read.
    let mut destination = expected.destination.clone();
    destination.bucket_path = None;
    let moved = ExportConfiguration { connection: Connection::Pending, ..expected.clone() }.with_connection(
        settings(ExportInterval::Every24Hours),
        destination,
        NewIdentity::Kept,
        edit(),
    );
    assert_eq!(editor.update(&expected, &moved, &author(), stamp()).await, Ok(EditOutcome::Done));
    let loaded = store.load(&before).await.unwrap();
    assert_eq!((&loaded.connection, &loaded.progress), (&Connection::Pending, &progress));
    assert_eq!(loaded, moved);
    assert_eq!(store.audited().await, 3);
}

/// If the event can't be stored, because another block has its ID, nothing is changed either.
#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_change_and_its_event_are_stored_both_or_neither() {
    let store = Store::new();
    let (editor, stamp) = (store.editor(), stamp());
    let there = store.configuration();
    assert_eq!(editor.create(&there, None, &author(), stamp).await, Ok(CreateOutcome::Created));
    let before = store.items(Table::Configurations, store.tenant.as_str()).await;

    let key = IdempotencyKey::parse("a-key").unwrap();
    let request = IdempotentRequest { key: &key, content_hash: [1; 32] };
    let another = store.configuration();
    assert!(is_transient(&editor.create(&another, Some(request), &author(), stamp).await));
    let changed = there.with_enabled(false, edit());
    assert!(is_transient(&editor.update(&there, &changed, &author(), stamp).await));
    assert!(is_transient(&editor.delete(&there, &author(), stamp).await));
    assert_eq!(store.items(Table::Configurations, store.tenant.as_str()).await, before);
    assert_eq!(store.audited().await, 1);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_deletion_is_counted_once() {
    let store = Store::new();
    let (editor, table) = (store.editor(), store.configurations());
    let (gone, kept) = (store.created(store.configuration()).await, store.created(store.configuration()).await);
    assert_eq!(editor.delete(&gone, &author(), stamp()).await, Ok(EditOutcome::Done));
    assert_eq!(editor.delete(&gone, &author(), stamp()).await, Ok(EditOutcome::ChangedSince));
    let changed = gone.with_enabled(false, edit());
    assert_eq!(editor.update(&gone, &changed, &author(), stamp()).await, Ok(EditOutcome::ChangedSince));
    // A test and a run that were under way.
    table.store_connection(&gone.key, gone.version, &Connection::Success { checked_at: now() }, None).await.unwrap();
    let report = RunReport { ended_at: now(), exported_through: Some(now()), has_exported: false, has_failed: true };
    table.store_run(&gone.key, &report).await.unwrap();

    assert_eq!(store.load(&gone).await, None);
    assert_eq!(table.list(&store.tenant).await.unwrap(), [kept]);
    assert_eq!((store.usage().await, store.audited().await), (1, 3));
}

/// Real configurations are smaller; this fills more pages than they can.
fn large(store: &Store, length: usize) -> ExportConfiguration {
    let authentication = Authentication::AccessKey {
        access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
        secret: SealedSecret::from_ciphertext(vec![7; length]),
    };
    ExportConfiguration { authentication, ..store.configuration() }
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn as_many_and_as_large_configurations_as_allowed_are_listed_stopped_and_deleted() {
    let store = Store::new();
    let largest = || ExportConfiguration { key: store.key(), ..test_support::largest() };
    let mut configurations: Vec<_> = (0..MAX_CONFIGURATIONS_PER_TENANT).map(|_| largest()).collect();
    for configuration in &configurations {
        assert_eq!(store.create(configuration).await, CreateOutcome::Created);
    }
    configurations.sort_by_key(|configuration| configuration.key.configuration_id.to_string());
    assert!(store.configurations().list(&store.tenant).await.unwrap() == configurations);

    let [first, second, ..] = &configurations[..] else { panic!("the limit is below two") };
    let disabled = first.with_enabled(false, edit());
    let stopped = settled(|| async { store.editor().update(first, &disabled, &author(), stamp()).await }).await;
    assert_eq!(stopped, Ok(EditOutcome::Done));
    let deleted = settled(|| async { store.editor().delete(second, &author(), stamp()).await }).await;
    assert_eq!(deleted, Ok(EditOutcome::Done));
    assert_eq!(store.usage().await, MAX_CONFIGURATIONS_PER_TENANT - 1);
}

#[tokio::test]
#[ignore = "needs tables: make stores"]
async fn a_list_of_too_many_pages_is_given_up() {
    let store = Store::new();
    // 15.6 MB: more pages than the largest configurations fill, wherever each of them ends.
    for _ in 0..40 {
        assert_eq!(store.create(&large(&store, 390_000)).await, CreateOutcome::Created);
    }
    let error = store.configurations().list(&store.tenant).await.unwrap_err();
    assert!(error.kind == ErrorKind::Internal && error.detail.contains("pages"), "{error}");
}
