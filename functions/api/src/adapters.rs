//! The ports, implemented with the adapters of AWS.

mod replays;

use std::{collections::HashMap, time::Duration};

use aws_adapters::{
    allowance,
    configurations::{ConfigurationEditor, ConfigurationTable},
    events::backlog,
    export_history::ExportHistory,
    notifier_client::NotifierClient,
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys,
    verifier_client::VerifierClient,
};
use domain::{
    allowance::Allowance,
    block::BlockId,
    configuration::{
        ConfigurationKey, ExportConfiguration,
        access_key::{SealedSecret, SecretAccessKey},
        change::{Author, Stamp},
    },
    connection_test::{Candidate, ConnectionTestOutcome, progress::ConnectionTestProgress},
    export_job::{ExportSnapshot, Intent},
    export_run::{RunRequest, WindowId, WindowRecord},
    repair::{Repair, RepairRequest},
    tenant::TenantId,
    time::Timestamp,
    webhook::{
        SealedWebhookSecret, WebhookSecret,
        test::{WebhookTest, WebhookTestResult},
    },
};
use export_engine::ports::{ConfigurationStore, RunQueue};
use function_runtime::lazy::Lazy;

pub use self::replays::ReplayAdapter;
use crate::ports::{
    AllowanceOutcome, Allowances, Backlog, BacklogCache, ConfigurationChanges, Configurations, ConnectionTester,
    CountedBacklog, CreateOutcome, EditOutcome, EventCounter, IdempotentRequest, ManualRuns, PortFuture,
    RepairRequestOutcome, Repairs, RunHistory, RunRequestOutcome, SealedDigest, SecretSealer, SigningKeys,
    SigningPublicKey, WebhookTester,
};

impl Configurations for ConfigurationTable {
    fn load<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportConfiguration>> {
        Box::pin(ConfigurationStore::load(self, key))
    }

    fn load_with_progress<'a>(
        &'a self,
        key: &'a ConfigurationKey,
    ) -> PortFuture<'a, Option<(ExportConfiguration, Option<ConnectionTestProgress>)>> {
        Box::pin(self.load_with_progress(key))
    }

    fn list<'a>(&'a self, tenant: &'a TenantId) -> PortFuture<'a, Vec<ExportConfiguration>> {
        Box::pin(self.list(tenant))
    }

    fn request_run<'a>(
        &'a self,
        key: &'a ConfigurationKey,
        through: Timestamp,
        now: Timestamp,
        token: u128,
    ) -> PortFuture<'a, RunRequestOutcome> {
        Box::pin(self.request_run(key, through, now, token))
    }

    fn withdraw_run_request<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()> {
        Box::pin(async { self.end_run_request(key, Timestamp::MAX).await.map(drop) })
    }
}

impl ConfigurationChanges for ConfigurationEditor {
    fn create<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        idempotency: Option<IdempotentRequest<'a>>,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, CreateOutcome> {
        Box::pin(self.create(configuration, idempotency, author, stamp))
    }

    fn update<'a>(
        &'a self,
        before: &'a ExportConfiguration,
        after: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        Box::pin(self.update(before, after, author, stamp))
    }

    fn delete<'a>(
        &'a self,
        current: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        Box::pin(self.delete(current, author, stamp))
    }
}

impl Allowances for allowance::Allowances {
    fn take<'a>(
        &'a self,
        tenant: &'a TenantId,
        allowance: Allowance,
        now: Timestamp,
    ) -> PortFuture<'a, AllowanceOutcome> {
        Box::pin(self.take(tenant, allowance, now))
    }
}

impl RunHistory for ExportHistory {
    fn snapshot<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportSnapshot>> {
        Box::pin(self.snapshot(configuration))
    }

    fn snapshots<'a>(
        &'a self,
        configurations: &'a [&'a ConfigurationKey],
    ) -> PortFuture<'a, HashMap<ConfigurationKey, ExportSnapshot>> {
        Box::pin(self.snapshots(configurations))
    }

    fn record<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        sequence: u64,
    ) -> PortFuture<'a, Option<WindowRecord>> {
        Box::pin(self.record(configuration, sequence))
    }

    fn records<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        before: Option<u64>,
        limit: u16,
    ) -> PortFuture<'a, Vec<WindowRecord>> {
        Box::pin(self.records(configuration, before, limit))
    }

    fn intents<'a>(&'a self, configuration: &'a ConfigurationKey, window: WindowId) -> PortFuture<'a, Vec<Intent>> {
        Box::pin(self.intents(configuration, window))
    }

    fn digest<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        sequence: u64,
    ) -> PortFuture<'a, Option<SealedDigest>> {
        Box::pin(self.digest(configuration, sequence))
    }
}

impl EventCounter for backlog::EventCounter {
    fn count_from<'a>(
        &'a self,
        tenant: &'a TenantId,
        firsts: &'a [BlockId],
        now: Timestamp,
    ) -> PortFuture<'a, Vec<Backlog>> {
        Box::pin(self.count_from(tenant, firsts, now))
    }
}

impl BacklogCache for ConfigurationTable {
    fn load<'a>(&'a self, tenant: &'a TenantId, now: Timestamp) -> PortFuture<'a, Option<CountedBacklog>> {
        Box::pin(self.load_backlog(tenant, now))
    }

    fn store<'a>(&'a self, tenant: &'a TenantId, counted: &'a CountedBacklog) -> PortFuture<'a, ()> {
        Box::pin(self.store_backlog(tenant, counted))
    }
}

impl ConnectionTester for Lazy<VerifierClient> {
    fn test_stored<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()> {
        Box::pin(async { self.test(key).await.map(drop) })
    }

    fn test_candidate(&self, candidate: Candidate) -> PortFuture<'_, Option<ConnectionTestOutcome>> {
        Box::pin(self.try_out(candidate))
    }
}

impl SecretSealer for Lazy<SecretVault> {
    fn seal<'a>(&'a self, key: &'a ConfigurationKey, secret: &'a SecretAccessKey) -> PortFuture<'a, SealedSecret> {
        Box::pin(SecretVault::seal(self, key, secret))
    }

    fn seal_webhook<'a>(
        &'a self,
        key: &'a ConfigurationKey,
        secret: &'a WebhookSecret,
    ) -> PortFuture<'a, SealedWebhookSecret> {
        Box::pin(SecretVault::seal_webhook(self, key, secret))
    }
}

impl WebhookTester for Lazy<NotifierClient> {
    fn test(&self, test: WebhookTest) -> PortFuture<'_, Vec<WebhookTestResult>> {
        Box::pin(NotifierClient::test(self, test))
    }
}

impl SigningKeys for Lazy<signing_keys::SigningKeys> {
    fn all(&self) -> PortFuture<'_, Vec<&SigningPublicKey>> {
        Box::pin(signing_keys::SigningKeys::all(self))
    }
}

impl ManualRuns for Lazy<RunQueueClient> {
    fn send(&self, request: RunRequest) -> PortFuture<'_, ()> {
        Box::pin(async move { RunQueue::send(&**self, &[request]).await })
    }

    fn send_repair(&self, request: RepairRequest) -> PortFuture<'_, ()> {
        Box::pin(async move { RunQueueClient::send_repair(self, &request, Duration::ZERO).await })
    }
}

impl Repairs for ConfigurationEditor {
    fn last<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<Repair>> {
        Box::pin(self.last_repair(key))
    }

    fn request<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        repair: &'a Repair,
        expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, RepairRequestOutcome> {
        Box::pin(self.request_repair(configuration, repair, expires_at, author, stamp))
    }

    fn withdraw<'a>(&'a self, key: &'a ConfigurationKey, repair: &'a Repair) -> PortFuture<'a, ()> {
        Box::pin(self.withdraw_repair(key, repair))
    }
}
