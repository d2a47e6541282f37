//! The ports of the use cases: the stores, queues, keys and functions that they call.
//!
//! [`crate::adapters`] implements them with the adapters of `aws-adapters`; the tests implement them in memory. The ports
//! are objects, because a GraphQL schema and its resolvers can't be generic over them.

use std::collections::HashMap;

pub use aws_adapters::{
    allowance::AllowanceOutcome,
    configurations::{
        CountedBacklog, CreateOutcome, EditOutcome, IdempotentRequest, MAX_CONFIGURATIONS_PER_TENANT,
        RepairRequestOutcome, ReplaySeries, RunRequestOutcome,
    },
    events::backlog::Backlog,
    export_history::MAX_SNAPSHOTS,
    signing_keys::SigningPublicKey,
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
    replay::{Replay, ReplayMessage},
    tenant::TenantId,
    time::Timestamp,
    webhook::{
        SealedWebhookSecret, WebhookSecret,
        test::{WebhookTest, WebhookTestResult},
    },
};
pub use export_engine::ports::{ErrorKind, PortError, SealedDigest};
use futures::future::BoxFuture;

/// The future of a call to a port.
pub type PortFuture<'a, T> = BoxFuture<'a, Result<T, PortError>>;

/// The stored configurations. Reads are strongly consistent.
pub trait Configurations: Send + Sync {
    /// Returns a configuration. `None`: there is none under this key.
    fn load<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportConfiguration>>;

    /// Returns a configuration and the progress of its last connection test, if any is stored, as of the same moment.
    fn load_with_progress<'a>(
        &'a self,
        key: &'a ConfigurationKey,
    ) -> PortFuture<'a, Option<(ExportConfiguration, Option<ConnectionTestProgress>)>>;

    /// Returns all configurations of a tenant.
    fn list<'a>(&'a self, tenant: &'a TenantId) -> PortFuture<'a, Vec<ExportConfiguration>>;

    /// Notes that a run is to export through `through`. Of several requests at once, one has the outcome
    /// [`RunRequestOutcome::Queue`]. `token` is a random number of the request.
    fn request_run<'a>(
        &'a self,
        key: &'a ConfigurationKey,
        through: Timestamp,
        now: Timestamp,
        token: u128,
    ) -> PortFuture<'a, RunRequestOutcome>;

    /// Removes the request for a run.
    fn withdraw_run_request<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()>;
}

/// The changes that people make. Each is stored in one transaction with its audit event.
pub trait ConfigurationChanges: Send + Sync {
    /// Stores a new configuration, counts it, and remembers the idempotency key.
    fn create<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        idempotency: Option<IdempotentRequest<'a>>,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, CreateOutcome>;

    /// Stores the difference between `before` and `after`.
    fn update<'a>(
        &'a self,
        before: &'a ExportConfiguration,
        after: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome>;

    /// Deletes the configuration that was read as `current`.
    fn delete<'a>(
        &'a self,
        current: &'a ExportConfiguration,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome>;
}

/// The limits on how often a tenant may do something.
pub trait Allowances: Send + Sync {
    /// Counts one more use of an allowance, unless it is used up.
    fn take<'a>(
        &'a self,
        tenant: &'a TenantId,
        allowance: Allowance,
        now: Timestamp,
    ) -> PortFuture<'a, AllowanceOutcome>;
}

/// The state and history that runs have stored. Reads are strongly consistent.
pub trait RunHistory: Send + Sync {
    /// Returns the state of an export. `None`: no run has started yet.
    fn snapshot<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, Option<ExportSnapshot>>;

    /// Returns the states of at most [`MAX_SNAPSHOTS`] exports, without those that no run has started yet.
    fn snapshots<'a>(
        &'a self,
        configurations: &'a [&'a ConfigurationKey],
    ) -> PortFuture<'a, HashMap<ConfigurationKey, ExportSnapshot>>;

    /// Returns the record of a window. `None`: it is not exported.
    fn record<'a>(&'a self, configuration: &'a ConfigurationKey, sequence: u64)
    -> PortFuture<'a, Option<WindowRecord>>;

    /// Returns at most `limit` records of windows before the sequence `before`, the newest first.
    fn records<'a>(
        &'a self,
        configuration: &'a ConfigurationKey,
        before: Option<u64>,
        limit: u16,
    ) -> PortFuture<'a, Vec<WindowRecord>>;

    /// Returns the intents of a window, in the order of their blocks.
    fn intents<'a>(&'a self, configuration: &'a ConfigurationKey, window: WindowId) -> PortFuture<'a, Vec<Intent>>;

    /// Returns a sealed digest. `None`: it is not sealed, or has expired.
    fn digest<'a>(&'a self, configuration: &'a ConfigurationKey, sequence: u64)
    -> PortFuture<'a, Option<SealedDigest>>;
}

/// The number of events that are stored.
pub trait EventCounter: Send + Sync {
    /// Returns one backlog for each of `firsts`: the tenant's events from that block on, as of `now`.
    fn count_from<'a>(
        &'a self,
        tenant: &'a TenantId,
        firsts: &'a [BlockId],
        now: Timestamp,
    ) -> PortFuture<'a, Vec<Backlog>>;
}

/// The last count of each tenant's backlog.
pub trait BacklogCache: Send + Sync {
    /// Returns the last count. `None`: there is none, it is too old, or another version of the service stored it.
    fn load<'a>(&'a self, tenant: &'a TenantId, now: Timestamp) -> PortFuture<'a, Option<CountedBacklog>>;

    /// Stores a count, unless a later one is there.
    fn store<'a>(&'a self, tenant: &'a TenantId, counted: &'a CountedBacklog) -> PortFuture<'a, ()>;
}

/// The function that tests connections.
pub trait ConnectionTester: Send + Sync {
    /// Tests a stored configuration. The tester stores the outcome.
    fn test_stored<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, ()>;

    /// Tests a change before it is stored. `None`: the configuration is no longer the version that was to be changed.
    fn test_candidate(&self, candidate: Candidate) -> PortFuture<'_, Option<ConnectionTestOutcome>>;
}

/// The key that encrypts customers' secrets.
pub trait SecretSealer: Send + Sync {
    /// Encrypts a secret for one configuration.
    fn seal<'a>(&'a self, key: &'a ConfigurationKey, secret: &'a SecretAccessKey) -> PortFuture<'a, SealedSecret>;

    /// Encrypts the secret of a webhook of one configuration.
    fn seal_webhook<'a>(
        &'a self,
        key: &'a ConfigurationKey,
        secret: &'a WebhookSecret,
    ) -> PortFuture<'a, SealedWebhookSecret>;
}

/// The function that sends notices to webhooks.
pub trait WebhookTester: Send + Sync {
    /// Sends a test to each webhook, once. Returns a result for each.
    fn test(&self, test: WebhookTest) -> PortFuture<'_, Vec<WebhookTestResult>>;
}

/// The public keys of the digests.
pub trait SigningKeys: Send + Sync {
    /// Returns the current key, then the retired ones: all of them or none.
    fn all(&self) -> PortFuture<'_, Vec<&SigningPublicKey>>;
}

/// The queue of manual runs: those that people request, and those that a repaired connection starts.
pub trait ManualRuns: Send + Sync {
    /// Sends one request.
    fn send(&self, request: RunRequest) -> PortFuture<'_, ()>;

    /// Sends one request for a repair.
    fn send_repair(&self, request: RepairRequest) -> PortFuture<'_, ()>;
}

/// The last repair of each configuration.
pub trait Repairs: Send + Sync {
    /// Returns the last repair. `None`: none was requested, or it has expired.
    fn last<'a>(&'a self, key: &'a ConfigurationKey) -> PortFuture<'a, Option<Repair>>;

    /// Stores a new repair and its audit event, unless another one has not ended.
    fn request<'a>(
        &'a self,
        configuration: &'a ExportConfiguration,
        repair: &'a Repair,
        expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, RepairRequestOutcome>;

    /// Removes a repair that no process has claimed.
    fn withdraw<'a>(&'a self, key: &'a ConfigurationKey, repair: &'a Repair) -> PortFuture<'a, ()>;
}

/// The replays of configurations, and the queue of their messages. Reads are strongly consistent.
pub trait Replays: Send + Sync {
    /// Returns the replays of a configuration, the newest first.
    fn list<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, ReplaySeries>;

    /// Stores a new or continued replay, with its audit event, if none was requested since `series` was read.
    fn request<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        series: &'a ReplaySeries,
        replay: &'a Replay,
        expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome>;

    /// Cancels the replay that was read, with its audit event, unless it has ended since.
    fn cancel<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        replay: &'a Replay,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome>;

    /// Stores the attempt of a replay that was requested again, unless it has ended or was requested again since it was read.
    /// Earlier messages are not wanted then.
    fn repeat<'a>(&'a self, repeated: &'a Replay) -> PortFuture<'a, EditOutcome>;

    /// Sends the message that starts or continues a replay.
    fn send(&self, message: ReplayMessage) -> PortFuture<'_, ()>;
}

/// All ports.
pub struct Ports {
    pub configurations: Box<dyn Configurations>,
    pub changes: Box<dyn ConfigurationChanges>,
    pub allowances: Box<dyn Allowances>,
    pub history: Box<dyn RunHistory>,
    pub events: Box<dyn EventCounter>,
    pub backlogs: Box<dyn BacklogCache>,
    pub tester: Box<dyn ConnectionTester>,
    pub secrets: Box<dyn SecretSealer>,
    pub webhook_tester: Box<dyn WebhookTester>,
    pub signing_keys: Box<dyn SigningKeys>,
    pub manual_runs: Box<dyn ManualRuns>,
    pub repairs: Box<dyn Repairs>,
    pub replays: Box<dyn Replays>,
}
