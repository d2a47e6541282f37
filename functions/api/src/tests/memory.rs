//! The ports in memory: configurations, allowances, the connection tester, keys and the queue.
//!
//! Runs and events are in [`super::history`]. That the adapters of AWS behave as these do is proven by
//! `tests/store-conformance`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use domain::{
    allowance::{Allowance, RUN_REQUEST_LIFETIME},
    configuration::{
        ConfigurationId, ConfigurationKey, ExportConfiguration,
        access_key::{SealedSecret, SecretAccessKey},
        arn::UserArn,
        change::{Author, Change, Stamp},
    },
    connection::{Connection, ConnectionError, ConnectionErrorCode},
    connection_test::{Candidate, ConnectionTestOutcome, progress::ConnectionTestProgress},
    digest::Hex32,
    export_run::RunRequest,
    repair::{Repair, RepairMessage, RepairRequest},
    replay::Replay,
    tenant::TenantId,
    time::Timestamp,
    webhook::{
        SealedWebhookSecret, WebhookSecret,
        failure::{WebhookFailure, WebhookFailureCode},
        test::{WebhookTest, WebhookTestOutcome, WebhookTestResult},
    },
};
use host::{Clock, Random};
use serde_json::{Value, json};

use crate::ports::{
    AllowanceOutcome, Allowances, BacklogCache, ConfigurationChanges, Configurations, ConnectionTester, CountedBacklog,
    CreateOutcome, EditOutcome, IdempotentRequest, MAX_CONFIGURATIONS_PER_TENANT, ManualRuns, PortError, PortFuture,
    RepairRequestOutcome, Repairs, RunRequestOutcome, SecretSealer, SigningKeys, SigningPublicKey, WebhookTester,
};

/// The time at which a test starts.
pub const NOW: &str = "2026-11-22T12:00:00.000Z";

/// The behaviour of the connection tester.
#[derive(Clone, Copy, Debug, Default)]
pub enum Tester {
    #[default]
    Succeeds,
    Fails,
    Crashes,
}

/// The content of the table of configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    pub configurations: BTreeMap<ConfigurationKey, ExportConfiguration>,
    /// The content hash and the configuration of each idempotency key.
    idempotency: BTreeMap<(TenantId, String), ([u8; 32], ConfigurationId)>,
    allowances: BTreeMap<(TenantId, String), u32>,
    pub backlogs: BTreeMap<TenantId, CountedBacklog>,
    pub repairs: BTreeMap<ConfigurationKey, Repair>,
}

/// The world around the service.
#[derive(Debug, Default)]
pub struct State {
    pub tables: Tables,
    /// The audit events of changes.
    pub changes: Vec<Value>,
    /// The number of coming changes that conflict with one of another person.
    pub interferences: usize,
    /// The time that a change takes.
    pub delay: Duration,
    /// The time since [`NOW`].
    pub elapsed: Duration,
    pub tester: Tester,
    pub tests: usize,
    /// The progress of the last test of each configuration.
    pub progress: BTreeMap<ConfigurationKey, ConnectionTestProgress>,
    /// The changes that were tested before they were stored.
    pub candidates: Vec<Value>,
    /// The number of times that the configurations of a tenant were listed.
    pub lists: usize,
    /// The secrets that were encrypted.
    pub plaintexts: Vec<String>,
    /// The messages in the queue of manual runs.
    pub messages: Vec<Value>,
    /// The replays of all configurations, the oldest first, and the number of requests for them.
    pub replays: Vec<Replay>,
    pub replay_requests: u64,
    /// True if the queue refuses every message.
    pub is_queue_down: bool,
    /// True if a signing key can't be read.
    pub is_signing_key_disabled: bool,
    random_numbers: u128,
}

/// The ports over one [`State`].
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

pub fn ready<'a, T: Send + 'a>(result: Result<T, PortError>) -> PortFuture<'a, T> {
    Box::pin(std::future::ready(result))
}

/// Reads the event in the block that would be stored with a change.
pub fn event_of(change: Change<'_>, author: &Author, stamp: Stamp) -> Value {
    let block = change.event(author, stamp).unwrap().block;
    block.check(&change.subject().key.tenant_id).unwrap();
    serde_json::from_slice(&block.inflate().unwrap()).unwrap()
}

impl State {
    /// Returns the configuration that a change of `before` applies to. `None`: another person has changed or deleted it.
    fn begin_edit(&mut self, before: &ExportConfiguration) -> Option<&mut ExportConfiguration> {
        self.elapsed += self.delay;
        let stored = self.tables.configurations.get_mut(&before.key)?;
        if self.interferences > 0 {
            self.interferences -= 1;
            stored.version += 1;
        }
        (stored.version == before.version).then_some(stored)
    }

    fn create(
        &mut self,
        configuration: &ExportConfiguration,
        idempotency: Option<IdempotentRequest<'_>>,
        event: Value,
    ) -> CreateOutcome {
        self.elapsed += self.delay;
        let (key, tenant) = (&configuration.key, &configuration.key.tenant_id);
        let record_of = |request: IdempotentRequest<'_>| (tenant.clone(), request.key.as_str().to_owned());
        if let Some(request) = idempotency
            && let Some((hash, id)) = self.tables.idempotency.get(&record_of(request))
        {
            let is_same = *hash == request.content_hash;
            return if is_same { CreateOutcome::Repeated(*id) } else { CreateOutcome::KeyReused };
        }
        let count = self.tables.configurations.keys().filter(|other| other.tenant_id == *tenant).count();
        if count >= usize::from(MAX_CONFIGURATIONS_PER_TENANT) {
            return CreateOutcome::LimitExceeded;
        }
        if let Some(request) = idempotency {
            self.tables.idempotency.insert(record_of(request), (request.content_hash, key.configuration_id));
        }
        assert!(self.tables.configurations.insert(key.clone(), configuration.clone()).is_none());
        self.changes.push(event);
        CreateOutcome::Created
    }

    fn request_run(&mut self, key: &ConfigurationKey, through: Timestamp, now: Timestamp) -> RunRequestOutcome {
        let Some(stored) = self.tables.configurations.get_mut(key) else { return RunRequestOutcome::NotFound };
        if stored.has_pending_run(now) {
            stored.requested_through = stored.requested_through.max(Some(through));
            return RunRequestOutcome::Pending;
        }
        stored.requested_through = Some(through);
        stored.requested_until = Some(now.saturating_add(RUN_REQUEST_LIFETIME));
        RunRequestOutcome::Queue
    }

    /// Returns the result of a connection test.
    fn test(&mut self) -> Result<ConnectionTestOutcome, PortError> {
        self.tests += 1;
        let checked_at = Timestamp::parse(NOW).unwrap();
        match self.tester {
            Tester::Succeeds => {
                let user_arn = UserArn::parse("arn:aws:iam::222222222222:user/export");
                Ok(ConnectionTestOutcome::Success { checked_at, user_arn })
            }
            Tester::Fails => {
                let message = "Allow s3:PutObject.".to_owned();
                let error = ConnectionError { code: ConnectionErrorCode::WriteDenied, message };
                Ok(ConnectionTestOutcome::Failed { checked_at, error })
            }
            Tester::Crashes => Err(PortError::transient("test connection", "the tester crashed")),
        }
    }
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        Timestamp::parse(NOW).unwrap().saturating_add(self.lock().elapsed)
    }
}

/// Numbers that rise from 1 on.
impl Random for Memory {
    fn bits(&self) -> u128 {
        let mut state = self.lock();
        state.random_numbers += 1;
        state.random_numbers
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

impl Configurations for Memory {
    fn load<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportConfiguration>> {
        ready(Ok(self.lock().tables.configurations.get(key).cloned()))
    }

    fn load_with_progress<'a>(
        &'a self,
        key: &'a ConfigurationKey,
    ) -> PortFuture<'a, Option<(ExportConfiguration, Option<ConnectionTestProgress>)>> {
        let state = self.lock();
        let found = state.tables.configurations.get(key).cloned();
        ready(Ok(found.map(|configuration| (configuration, state.progress.get(key).cloned()))))
    }

    fn list<'a>(&'a self, tenant: &'a TenantId) -> PortFuture<'a, Vec<ExportConfiguration>> {
        let mut state = self.lock();
        state.lists += 1;
        let of_tenant = state.tables.configurations.values().filter(|stored| stored.key.tenant_id == *tenant);
        ready(Ok(of_tenant.cloned().collect()))
    }

    fn request_run<'a>(
        &'a self,
        key: &'a ConfigurationKey,
        through: Timestamp,
        now: Timestamp,
        _token: u128,
    ) -> PortFuture<'a, RunRequestOutcome> {
        ready(Ok(self.lock().request_run(key, through, now)))
    }

    fn withdraw_run_request<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()> {
        if let Some(stored) = self.lock().tables.configurations.get_mut(key) {
            (stored.requested_through, stored.requested_until) = (None, None);
        }
        ready(Ok(()))
    }
}

impl ConfigurationChanges for Memory {
    fn create<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        idempotency: Option<IdempotentRequest<'a>>,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, CreateOutcome> {
        let event = event_of(Change::Create(configuration), author, stamp);
        ready(Ok(self.lock().create(configuration, idempotency, event)))
    }

    fn update<'a>(
        &'a self,
        before: &'a ExportConfiguration,
        after: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        let mut state = self.lock();
        let Some(stored) = state.begin_edit(before) else { return ready(Ok(EditOutcome::ChangedSince)) };
        // Runs store these at any time.
        *stored = ExportConfiguration {
            progress: stored.progress,
            requested_through: stored.requested_through,
            requested_until: stored.requested_until,
            ..after.clone()
        };
        state.changes.push(event_of(Change::Update { before, after }, author, stamp));
        ready(Ok(EditOutcome::Done))
    }

    fn delete<'a>(
        &'a self,
        current: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        let mut state = self.lock();
        if state.begin_edit(current).is_none() {
            return ready(Ok(EditOutcome::ChangedSince));
        }
        state.tables.configurations.remove(&current.key);
        state.changes.push(event_of(Change::Delete(current), author, stamp));
        ready(Ok(EditOutcome::Done))
    }
}

impl Allowances for Memory {
    fn take<'a>(
        &'a self,
        tenant: &'a TenantId,
        allowance: Allowance,
        now: Timestamp,
    ) -> PortFuture<'a, AllowanceOutcome> {
        let mut state = self.lock();
        let count = state.tables.allowances.entry((tenant.clone(), allowance.count_name(now))).or_default();
        if *count >= allowance.limit() {
            return ready(Ok(AllowanceOutcome::Exhausted { retry_after: allowance.retry_after(now) }));
        }
        *count += 1;
        ready(Ok(AllowanceOutcome::Granted))
    }
}

impl BacklogCache for Memory {
    fn load<'a>(&'a self, tenant: &'a TenantId, _now: Timestamp) -> PortFuture<'a, Option<CountedBacklog>> {
        ready(Ok(self.lock().tables.backlogs.get(tenant).cloned()))
    }

    fn store<'a>(&'a self, tenant: &'a TenantId, counted: &'a CountedBacklog) -> PortFuture<'a, ()> {
        self.lock().tables.backlogs.insert(tenant.clone(), counted.clone());
        ready(Ok(()))
    }
}

impl ConnectionTester for Memory {
    fn test_stored<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()> {
        let mut state = self.lock();
        let result = state.test().map(Connection::from);
        ready(result.map(|connection| {
            if let Some(stored) = state.tables.configurations.get_mut(key) {
                stored.connection = connection;
            }
        }))
    }

    fn test_candidate(&self, candidate: Candidate) -> PortFuture<'_, Option<ConnectionTestOutcome>> {
        let mut state = self.lock();
        let result = state.test();
        if result.is_ok() {
            state.candidates.push(json!(candidate));
        }
        ready(result.map(Some))
    }
}

impl SecretSealer for Memory {
    fn seal<'a>(&'a self, _key: &'a ConfigurationKey, secret: &'a SecretAccessKey) -> PortFuture<'a, SealedSecret> {
        self.lock().plaintexts.push(secret.expose().to_owned());
        ready(Ok(SealedSecret::from_ciphertext(secret.expose().bytes().map(|byte| !byte).collect())))
    }

    fn seal_webhook<'a>(
        &'a self,
        _key: &'a ConfigurationKey,
        secret: &'a WebhookSecret,
    ) -> PortFuture<'a, SealedWebhookSecret> {
        self.lock().plaintexts.push(secret.expose().to_owned());
        ready(Ok(SealedWebhookSecret::from_ciphertext(secret.expose().bytes().map(|byte| !byte).collect())))
    }
}

/// The first receiver accepts the notice, and all others are gone.
impl WebhookTester for Memory {
    fn test(&self, test: WebhookTest) -> PortFuture<'_, Vec<WebhookTestResult>> {
        let gone = WebhookFailure { code: WebhookFailureCode::WebhookGone, status: Some(410) };
        let outcomes = std::iter::once(WebhookTestOutcome::Delivered(204))
            .chain(std::iter::repeat(WebhookTestOutcome::Failed(gone)));
        let results = test.webhooks.iter().zip(outcomes);
        let results =
            results.map(|(webhook, outcome)| WebhookTestResult { url: webhook.url.clone(), outcome }).collect();
        self.lock().messages.push(json!(test));
        ready(Ok(results))
    }
}

impl ManualRuns for Memory {
    fn send(&self, request: RunRequest) -> PortFuture<'_, ()> {
        let mut state = self.lock();
        if state.is_queue_down {
            return ready(Err(PortError::transient("send run", "the queue is down")));
        }
        state.messages.push(json!(request));
        ready(Ok(()))
    }

    fn send_repair(&self, request: RepairRequest) -> PortFuture<'_, ()> {
        let mut state = self.lock();
        if state.is_queue_down {
            return ready(Err(PortError::transient("send repair", "the queue is down")));
        }
        state.messages.push(json!(RepairMessage { repair: request }));
        ready(Ok(()))
    }
}

impl Repairs for Memory {
    fn last<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<Repair>> {
        ready(Ok(self.lock().tables.repairs.get(key).cloned()))
    }

    fn request<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        repair: &'a Repair,
        _expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, RepairRequestOutcome> {
        let event = event_of(Change::Repair { configuration, repair }, author, stamp);
        let mut state = self.lock();
        if !state.tables.configurations.contains_key(&configuration.key) {
            return ready(Ok(RepairRequestOutcome::NotFound));
        }
        if state.tables.repairs.get(&configuration.key).is_some_and(|last| !last.is_replaceable(stamp.at)) {
            return ready(Ok(RepairRequestOutcome::InProgress));
        }
        state.tables.repairs.insert(configuration.key.clone(), repair.clone());
        state.changes.push(event);
        ready(Ok(RepairRequestOutcome::Requested))
    }

    fn withdraw<'a>(&'a self, key: &'a ConfigurationKey, repair: &'a Repair) -> PortFuture<'a, ()> {
        let mut state = self.lock();
        if state.tables.repairs.get(key) == Some(repair) {
            state.tables.repairs.remove(key);
        }
        ready(Ok(()))
    }
}

/// A current and a retired key.
#[derive(Debug)]
pub struct MemorySigningKeys {
    keys: [SigningPublicKey; 2],
    memory: Memory,
}

impl MemorySigningKeys {
    pub fn new(memory: Memory) -> Self {
        Self { keys: [new_public_key(), new_public_key()], memory }
    }

    /// Returns the fingerprints of the current and the retired key.
    pub fn fingerprints(&self) -> [Hex32; 2] {
        self.keys.each_ref().map(|key| key.fingerprint)
    }
}

impl SigningKeys for MemorySigningKeys {
    fn all(&self) -> PortFuture<'_, Vec<&SigningPublicKey>> {
        if self.memory.lock().is_signing_key_disabled {
            return ready(Err(PortError::internal("read signing keys", "a key is disabled")));
        }
        ready(Ok(self.keys.iter().collect()))
    }
}

fn new_public_key() -> SigningPublicKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let der = der.as_ref().to_vec();
    SigningPublicKey { fingerprint: Hex32::sha256_of(&der), der: der.into() }
}
