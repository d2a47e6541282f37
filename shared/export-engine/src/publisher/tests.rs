use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use domain::{
    configuration::{ConfigurationId, ConfigurationKey},
    connection::ConnectionStatus,
    export_health::ExportStanding,
    interval::{ExportInterval, ExportSchedule},
    notice::{
        NoticeKind,
        state::{NoticeTransition, ObservedExport, StoredNoticeState},
    },
    webhook::{SealedWebhookSecret, Webhook, WebhookUrl, delivery::WebhookBody},
};
use host::Random;

use super::*;
use crate::{
    ports::{EnabledConfigurations, NoticeRecords, ObservedExports, QueuedPage, RecordOutcome},
    sweep::Sweep,
    test_support::AlarmLines,
};

/// The most notices of a page.
const PAGE_SIZE: usize = 100;

/// A place in the list of a shard.
#[derive(Debug)]
enum QueuedPosition {
    Notice(QueuedNoticeKey),
    Behind(TenantId),
}

/// A table with one export and the outbox, a bus and a queue. Each call may fail, before or after it has its effect: that is
/// what a caller sees of a crash, too.
#[derive(Debug, Default)]
struct World {
    export: Mutex<Option<ObservedExport>>,
    outbox: Mutex<BTreeMap<QueuedNoticeKey, QueuedNotice>>,
    bus: Mutex<Vec<NoticeId>>,
    deliveries: Mutex<Vec<WebhookDelivery>>,
    /// Milliseconds since the epoch.
    now: AtomicU64,
    /// The state of the random numbers. 0: nothing fails.
    chance: AtomicU64,
    /// The tenant whose notices the bus refuses.
    refused: Option<TenantId>,
    /// The number of keys that can't be read, before the others.
    unreadable: usize,
    /// The notice whose partition is throttled.
    throttled: Option<QueuedNoticeKey>,
    /// True if the queue of webhooks takes nothing.
    is_queue_down: AtomicBool,
    /// The number of notes that the bus has a notice.
    notes: AtomicU64,
    /// The number of pages that were read.
    pages: AtomicU64,
}

impl World {
    fn draw(&self) -> u64 {
        let next =
            |state: u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        let state = self.chance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap();
        state >> 33
    }

    /// Makes a call that fails before its effect, after it, or not at all.
    fn call<T>(&self, effect: impl FnOnce() -> T) -> Result<T, PortError> {
        let lost = PortError::transient("call", "lost");
        if self.chance.load(Ordering::Relaxed) == 0 {
            return Ok(effect());
        }
        match self.draw() % 6 {
            0 => Err(lost),
            1 => {
                effect();
                Err(lost)
            }
            _ => Ok(effect()),
        }
    }

    fn queue(&self, tenant: &str, number: u64) -> QueuedNoticeKey {
        let notice = queued(tenant, number);
        let key = notice.key.clone();
        self.outbox.lock().unwrap().insert(key.clone(), notice);
        key
    }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn malformed() -> PortError {
    PortError::internal("read queued notice", "malformed")
}

fn webhook() -> Webhook {
    Webhook {
        url: WebhookUrl::try_from("https://hooks.example.com/".to_owned()).unwrap(),
        sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1]),
    }
}

fn queued(name: &str, number: u64) -> QueuedNotice {
    let at = Timestamp::from_millis(1_000 * number).unwrap();
    let tenant_id = tenant(name);
    let notice_id = NoticeId::from_parts(at, number.into());
    QueuedNotice {
        key: QueuedNoticeKey { item: notice_id.to_string(), notice_id, tenant_id: tenant_id.clone() },
        kind: NoticeKind::ExportDeleted,
        configuration: ConfigurationKey { tenant_id, configuration_id: ConfigurationId::from_bytes([1; 16]) },
        body: WebhookBody::new(format!("{{\"number\":{number}}}")).unwrap(),
        receivers: vec![webhook()],
        is_last_export: true,
        is_on_bus: false,
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed)).unwrap()
    }
}

impl Random for World {
    fn bits(&self) -> u128 {
        u128::from(self.now.load(Ordering::Relaxed))
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

impl NoticeOutbox for World {
    const MAX_BATCH: usize = 100;

    type Position = QueuedPosition;

    fn shards(&self) -> u8 {
        2
    }

    /// Positions are numbers of tenants and of their notices that were read, in the order of the table.
    async fn queued(&self, shard: u8, from: Option<QueuedPosition>) -> Result<QueuedPage<QueuedPosition>, PortError> {
        self.call(|| {
            self.pages.fetch_add(1, Ordering::Relaxed);
            if shard != 0 {
                return QueuedPage { keys: Vec::new(), next: None, next_tenant: None };
            }
            let outbox = self.outbox.lock().unwrap();
            let mut listed: Vec<_> =
                outbox.keys().map(|key| (key.tenant_id.clone(), key.notice_id.clone(), key)).collect();
            listed.sort();
            let mut rest = listed.into_iter().filter(|(tenant, id, _)| match &from {
                None => true,
                Some(QueuedPosition::Notice(key)) => (tenant, id) > (&key.tenant_id, &key.notice_id),
                Some(QueuedPosition::Behind(behind)) => tenant > behind,
            });
            let unreadable = std::iter::repeat_n(Err(malformed()), if from.is_none() { self.unreadable } else { 0 });
            let readable = rest.by_ref().take(PAGE_SIZE).map(|(_, _, key)| Ok(key.clone()));
            let keys: Vec<_> = unreadable.chain(readable).collect();
            let last = keys.last().and_then(|key| key.as_ref().ok()).filter(|_| rest.next().is_some());
            QueuedPage {
                next: last.map(|key| QueuedPosition::Notice(key.clone())),
                next_tenant: last.map(|key| QueuedPosition::Behind(key.tenant_id.clone())),
                keys,
            }
        })
    }

    async fn notices(&self, batch: &[QueuedNoticeKey]) -> Result<Vec<Result<QueuedNotice, PortError>>, PortError> {
        self.call(|| {
            let outbox = self.outbox.lock().unwrap();
            let throttled = || Err(PortError::transient("read notices", "a key was left unprocessed"));
            let read = |key: &QueuedNoticeKey| {
                if self.throttled.as_ref() == Some(key) { Some(throttled()) } else { outbox.get(key).cloned().map(Ok) }
            };
            batch.iter().filter_map(read).collect()
        })
    }

    async fn note_on_bus(&self, key: &QueuedNoticeKey) -> Result<(), PortError> {
        self.call(|| {
            self.notes.fetch_add(1, Ordering::Relaxed);
            if let Some(notice) = self.outbox.lock().unwrap().get_mut(key) {
                notice.is_on_bus = true;
            }
        })
    }

    async fn remove(&self, key: &QueuedNoticeKey) -> Result<(), PortError> {
        self.call(|| {
            self.outbox.lock().unwrap().remove(key);
        })
    }
}

impl NoticeBus for World {
    const MAX_BATCH: usize = 3;

    async fn send(&self, batch: &[&QueuedNotice]) -> Result<Vec<bool>, PortError> {
        assert!(batch.len() <= <Self as NoticeBus>::MAX_BATCH);
        self.call(|| {
            let take = |notice: &&QueuedNotice| {
                let is_taken = self.refused.as_ref() != Some(&notice.key.tenant_id);
                if is_taken {
                    self.bus.lock().unwrap().push(notice.key.notice_id.clone());
                }
                is_taken
            };
            batch.iter().map(take).collect()
        })
    }
}

impl WebhookDeliveries for World {
    async fn send(&self, deliveries: &[WebhookDelivery]) -> Result<(), PortError> {
        if self.is_queue_down.load(Ordering::Relaxed) {
            return Err(PortError::transient("send", "busy"));
        }
        self.call(|| self.deliveries.lock().unwrap().extend_from_slice(deliveries))
    }
}

async fn publish(world: &World) -> PublishOutcome {
    let deadline = world.now().saturating_add(Duration::from_secs(45));
    Publisher { outbox: world, bus: world, webhooks: world, clock: world, deadline }.run().await
}

#[tokio::test]
async fn a_notice_reaches_the_bus_and_its_receivers_and_leaves_the_outbox() {
    let world = World::default();
    let keys: Vec<_> = (1..=7).map(|number| world.queue("acme", number)).collect();
    let outcome = publish(&world).await;
    assert_eq!(outcome, PublishOutcome { published: 7, ..PublishOutcome::default() });
    assert_eq!(*world.bus.lock().unwrap(), keys.iter().map(|key| key.notice_id.clone()).collect::<Vec<_>>());
    let deliveries = world.deliveries.lock().unwrap();
    assert_eq!(deliveries.len(), 7);
    let expected = queued("acme", 1);
    assert_eq!(deliveries[0].notice_id, expected.key.notice_id);
    assert_eq!((&deliveries[0].body, &deliveries[0].webhook), (&expected.body, &webhook()));
    assert!(world.outbox.lock().unwrap().is_empty());
    assert_eq!(world.notes.load(Ordering::Relaxed), 0, "nothing more is written if all goes well");
}

#[tokio::test]
async fn a_throttled_notice_delays_no_other_of_its_batch() {
    let mut world = World::default();
    let keys: Vec<_> = (1..=3).map(|number| world.queue("acme", number)).collect();
    world.throttled = Some(keys[1].clone());
    let outcome = publish(&world).await;
    assert_eq!((outcome.published, outcome.failed), (2, 1));
    assert_eq!(*world.bus.lock().unwrap(), [keys[0].notice_id.clone(), keys[2].notice_id.clone()]);
    assert_eq!(world.outbox.lock().unwrap().keys().collect::<Vec<_>>(), [&keys[1]]);
}

#[tokio::test]
async fn the_bus_gets_a_notice_once_while_the_queue_of_webhooks_is_down() {
    let world = World { is_queue_down: AtomicBool::new(true), ..World::default() };
    let key = world.queue("acme", 1);
    for _ in 0..3 {
        let outcome = publish(&world).await;
        assert_eq!((outcome.published, outcome.failed, outcome.has_errors), (0, 1, true));
    }
    assert_eq!(*world.bus.lock().unwrap(), std::slice::from_ref(&key.notice_id));
    assert_eq!(world.notes.load(Ordering::Relaxed), 1);
    world.is_queue_down.store(false, Ordering::Relaxed);
    // Beside it, the bus gets what it has not.
    let other = world.queue("acme", 2);
    assert_eq!(publish(&world).await, PublishOutcome { published: 2, ..PublishOutcome::default() });
    assert_eq!(*world.bus.lock().unwrap(), [key.notice_id, other.notice_id]);
    assert_eq!(world.deliveries.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_bus_refuses_stays_and_its_age_is_reported() {
    let world = World { refused: Some(tenant("acme")), now: AtomicU64::new(600_000), ..World::default() };
    let refused = world.queue("acme", 100);
    world.queue("other", 90);
    let outcome = publish(&world).await;
    let oldest_age = Duration::from_secs(500);
    assert_eq!(outcome, PublishOutcome { published: 1, failed: 1, oldest_age, has_errors: false });
    assert_eq!(world.outbox.lock().unwrap().keys().collect::<Vec<_>>(), [&refused]);
    assert_eq!(world.deliveries.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_alarm_of_a_last_export_waits_for_neither_bus_nor_queue() {
    for world in [
        World { refused: Some(tenant("acme")), ..World::default() },
        World { is_queue_down: AtomicBool::new(true), ..World::default() },
        World::default(),
    ] {
        let key = world.queue("acme", 1);
        let other = QueuedNotice { is_last_export: false, ..queued("acme", 2) };
        world.outbox.lock().unwrap().insert(other.key.clone(), other);
        let lines = AlarmLines::default();
        lines.of(publish(&world)).await;
        let expected = [LAST_EXPORT_STOPPED.to_owned(), key.notice_id.to_string()];
        assert_eq!(lines.taken_with(["alarm", "notice"]), [expected]);
    }
}

#[tokio::test]
async fn a_key_that_can_not_be_read_stops_no_other_and_is_a_failure() {
    let world = World { unreadable: 2, ..World::default() };
    world.queue("acme", 1);
    let outcome = publish(&world).await;
    assert_eq!(outcome, PublishOutcome { published: 1, failed: 2, has_errors: true, ..PublishOutcome::default() });
    assert!(world.outbox.lock().unwrap().is_empty());
}

#[test]
fn tenants_take_turns_and_the_oldest_come_first() {
    let key = |name: &str, number| queued(name, number).key;
    let flood = (0..300).map(|number| key("flood", number));
    let others = [key("quiet", 400), key("silent", 350)];
    let chosen = in_turn(flood.chain(others).collect(), 5);
    let expected = [key("flood", 0), key("silent", 350), key("quiet", 400), key("flood", 1), key("flood", 2)];
    assert_eq!(chosen, expected);
    assert_eq!(in_turn(Vec::new(), 5), []);
}

#[tokio::test]
async fn a_tenant_that_fills_pages_hides_no_other() {
    let world = World { now: AtomicU64::new(10_000_000), ..World::default() };
    for number in 0..10 * PAGE_SIZE as u64 {
        world.queue("flood", number);
    }
    let others = [world.queue("quiet", 5_000), world.queue("silent", 6_000), world.queue("another", 7_000)];
    let outcome = publish(&world).await;
    assert_eq!((outcome.published, outcome.has_errors), (MAX_NOTICES_OF_A_SHARD as u64, false));
    let outbox = world.outbox.lock().unwrap();
    assert!(others.iter().all(|key| !outbox.contains_key(key)));
    // The oldest notices of the flood are gone, and the first that is left has the age that is reported.
    let oldest = outbox.keys().next().unwrap().notice_id.timestamp().unwrap();
    assert_eq!(oldest, Timestamp::from_millis(1_000 * 197).unwrap());
    assert_eq!(outcome.oldest_age, world.now().saturating_since(oldest));
    // Three pages of the first shard, one behind the flood, and one of the other shard: 200 notices of a tenant are enough.
    assert_eq!(world.pages.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_pass_reads_a_bounded_number_of_pages() {
    let world = World::default();
    // Each tenant fills a page, and none has as many as a pass publishes.
    for tenant in 0..=MAX_PAGES_OF_A_SHARD as u64 {
        for number in 0..PAGE_SIZE as u64 {
            world.queue(&format!("tenant-{tenant:02}"), 1_000 * tenant + number);
        }
    }
    assert_eq!(publish(&world).await.published, MAX_NOTICES_OF_A_SHARD as u64);
    assert_eq!(world.pages.load(Ordering::Relaxed), MAX_PAGES_OF_A_SHARD as u64 + 1);
    // The last tenant gets its turn once the others have had theirs.
    while publish(&world).await.published > 0 {}
    assert!(world.outbox.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_pass_is_bounded_by_number_and_time() {
    let world = World::default();
    for number in 0..=MAX_NOTICES_OF_A_SHARD as u64 {
        world.queue("acme", number);
    }
    assert_eq!(publish(&world).await.published, MAX_NOTICES_OF_A_SHARD as u64);
    assert_eq!(world.outbox.lock().unwrap().len(), 1);
    let late = Publisher { outbox: &world, bus: &world, webhooks: &world, clock: &world, deadline: world.now() };
    assert_eq!(late.run().await, PublishOutcome::default());
}

// A history of sweeps and passes, each of whose calls may fail.

impl EnabledConfigurations for World {
    type Position = ();

    fn shards(&self) -> u8 {
        1
    }

    async fn page(
        &self,
        interval: ExportInterval,
        _shard: u8,
        _after: Option<()>,
    ) -> Result<(Vec<ConfigurationKey>, Option<()>), PortError> {
        self.call(|| {
            let export = self.export.lock().unwrap();
            let keys = export.iter().filter(|export| export.standing.interval == interval);
            (keys.map(|export| export.key.clone()).collect(), None)
        })
    }
}

impl ObservedExports for World {
    const MAX_BATCH: usize = 100;

    async fn observe(&self, _batch: &[ConfigurationKey]) -> Result<Vec<Result<ObservedExport, PortError>>, PortError> {
        self.call(|| self.export.lock().unwrap().iter().cloned().map(Ok).collect())
    }
}

impl NoticeRecords for World {
    /// As the transaction of the table: all of it or nothing, and only if the state is the one that was observed.
    async fn record(
        &self,
        observed: &ObservedExport,
        transition: &NoticeTransition,
    ) -> Result<RecordOutcome, PortError> {
        self.call(|| {
            let mut export = self.export.lock().unwrap();
            let Some(stored) = export.as_mut().filter(|stored| stored.noticed == observed.noticed) else {
                return RecordOutcome::ChangedSince;
            };
            stored.noticed = StoredNoticeState::parse(&serde_json::to_string(&transition.next).unwrap());
            for notice in &transition.notices {
                let (notice_id, tenant_id) = (notice.id.clone(), notice.tenant_id.clone());
                let key = QueuedNoticeKey { item: notice_id.to_string(), notice_id, tenant_id };
                let queued = QueuedNotice {
                    key: key.clone(),
                    kind: notice.kind,
                    body: WebhookBody::new(serde_json::to_string(notice).unwrap()).unwrap(),
                    ..queued("acme", 0)
                };
                assert_eq!(self.outbox.lock().unwrap().insert(key, queued), None, "one ID for two notices");
            }
            RecordOutcome::Recorded
        })
    }
}

fn working() -> ObservedExport {
    let key = queued("acme", 0).configuration;
    let standing = ExportStanding {
        tenant_id: key.tenant_id.clone(),
        enabled: true,
        interval: ExportInterval::Every24Hours,
        connection: ConnectionStatus::Success,
        connection_checked_at: None,
        start_from: Timestamp::EPOCH,
        exported_through: Some(Timestamp::EPOCH),
        consecutive_failures: 0,
        last_failure_at: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    ObservedExport {
        key,
        version: 1,
        standing,
        connection_error: None,
        secret_stored_at: None,
        signed_gap: None,
        noticed: StoredNoticeState::parse("{}"),
        webhooks: vec![webhook()],
    }
}

async fn sweep(world: &World) {
    let sweep = Sweep {
        index: world,
        exports: world,
        notices: world,
        random: world,
        clock: world,
        schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
        retention: Duration::from_hours(90 * 24),
        deadline: Timestamp::MAX,
    };
    // A sweep that fails is repeated by the next one.
    let _ = sweep.run().await;
}

#[tokio::test]
async fn each_change_is_one_notice_whatever_fails_and_each_notice_is_published() {
    for seed in 1..=300_u64 {
        let world =
            World { export: Mutex::new(Some(working())), chance: AtomicU64::new(seed << 20), ..World::default() };
        let mut expected = Vec::new();
        for round in 0..4_u32 {
            let is_failing = round % 2 == 0;
            world.export.lock().unwrap().as_mut().unwrap().standing.consecutive_failures = u32::from(is_failing);
            expected.push(if is_failing { NoticeKind::ExportFailing } else { NoticeKind::ExportRecovered });
            for _ in 0..3 + world.draw() % 3 {
                world.now.fetch_add(60_000, Ordering::Relaxed);
                // Two sweeps overlap.
                futures::join!(sweep(&world), sweep(&world), async {
                    let _outcome = publish(&world).await;
                });
            }
            // The last sweep of a round gets through.
            let chance = world.chance.swap(0, Ordering::Relaxed);
            world.now.fetch_add(60_000, Ordering::Relaxed);
            sweep(&world).await;
            world.chance.store(chance, Ordering::Relaxed);
        }
        world.chance.store(0, Ordering::Relaxed);
        let outcome = publish(&world).await;
        assert!(world.outbox.lock().unwrap().is_empty() && !outcome.has_errors, "seed {seed}");
        // Copies of a notice have its ID.
        let mut sent: BTreeMap<NoticeId, String> = BTreeMap::new();
        for delivery in world.deliveries.lock().unwrap().iter() {
            let body = delivery.body.as_str().to_owned();
            assert_eq!(*sent.entry(delivery.notice_id.clone()).or_insert_with(|| body.clone()), body, "seed {seed}");
        }
        let kinds: Vec<&str> = sent.values().map(|body| body.split("\"kind\":\"").nth(1).unwrap()).collect();
        assert_eq!(kinds.len(), expected.len(), "seed {seed}: {kinds:?}");
        for (kind, expected) in kinds.iter().zip(&expected) {
            assert!(kind.starts_with(expected.name()), "seed {seed}: {kinds:?}");
        }
        let on_the_bus: BTreeSet<NoticeId> = world.bus.lock().unwrap().iter().cloned().collect();
        assert_eq!(on_the_bus.into_iter().collect::<Vec<_>>(), sent.into_keys().collect::<Vec<_>>(), "seed {seed}");
    }
}
