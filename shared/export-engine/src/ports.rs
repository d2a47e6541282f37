//! What the engine needs of the world, and the kinds of error that the world may answer with.

use std::future::Future;

use bytes::Bytes;
use domain::{
    block::{BlockId, Shard, StoredBlock},
    circuit::Circuit,
    configuration::{ConfigurationKey, Destination, ExportConfiguration, arn::UserArn, region::Region},
    connection::{Connection, ConnectionFailure},
    digest::{DigestObject, DigestReference, Hex32},
    export_run::{BlockRange, RunRecord, RunRequest, RunState, RunTrigger, Window, WindowId},
    interval::ExportInterval,
    lag::ExportStanding,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};

use crate::CORRUPT_BLOCK;

/// A call to a port that did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {kind}: {detail}")]
pub struct PortError {
    pub kind: ErrorKind,
    /// What was tried, for the log.
    pub operation: &'static str,
    /// Whatever helps an operator. It never reaches a customer and never holds a secret.
    pub detail: String,
}

/// Who has to do something about an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// The customer. Trying again by ourselves can't help.
    #[error("customer: {0}")]
    Customer(ConnectionFailure),
    /// Nobody: throttling, time-outs, 5xx. The message goes back to the queue.
    #[error("transient")]
    Transient,
    /// Nobody: the customer's Region, which answered before, does not answer now. The message goes back to the queue.
    #[error("unreachable")]
    Unreachable,
    /// Nobody: another run holds the lease now, and this one must stop.
    #[error("fenced out")]
    Fenced,
    /// Us: a block of the events table is not what was written. An operator has to restore it, or to approve that it is left
    /// out.
    #[error("corrupt block {0}")]
    CorruptBlock(BlockId),
    /// Us.
    #[error("internal")]
    Internal,
}

impl PortError {
    #[must_use]
    pub fn internal(operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, operation, detail: detail.into() }
    }

    #[must_use]
    pub fn transient(operation: &'static str, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Transient, operation, detail: detail.into() }
    }

    #[must_use]
    pub fn customer(operation: &'static str, failure: ConnectionFailure, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Customer(failure), operation, detail: detail.into() }
    }

    #[must_use]
    pub fn corrupt_block(block: BlockId, detail: impl Into<String>) -> Self {
        Self { kind: ErrorKind::CorruptBlock(block), operation: CORRUPT_BLOCK, detail: detail.into() }
    }

    #[must_use]
    pub fn fenced(operation: &'static str) -> Self {
        Self { kind: ErrorKind::Fenced, operation, detail: "another run holds the lease".to_owned() }
    }
}

/// The configurations, as a run and a connection test see them.
pub trait ConfigurationStore: Send + Sync {
    fn load(
        &self,
        key: &ConfigurationKey,
    ) -> impl Future<Output = Result<Option<ExportConfiguration>, PortError>> + Send;

    /// Stores the outcome of a test or run, unless a person has changed destination or identity since `version`: then nothing
    /// happens, because the outcome speaks of what is no more. `user_arn` is stored with it if it is known.
    fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        user_arn: Option<&UserArn>,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Notes how a run ended, unless a later run was noted already or the configuration is gone.
    fn store_run(
        &self,
        key: &ConfigurationKey,
        report: &RunReport,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Clears the request for a run that a person made. Returns through when a later one was made meanwhile, which stays.
    fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, PortError>> + Send;
}

/// What a configuration stores of a run that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    pub ended_at: Timestamp,
    /// Everything received before it is in the bucket and in a digest. `None`: there is no digest yet.
    pub exported_through: Option<Timestamp>,
    /// Whether this is the configuration's last export.
    pub has_exported: bool,
    /// Makes a row of failures longer, or ends it.
    pub has_failed: bool,
}

/// The enabled configurations of an interval, in pages.
pub trait EnabledConfigurations: Send + Sync {
    /// Position in one shard of the index.
    type Position: Send;

    /// How many shards there are; each is paged through.
    fn shards(&self) -> u8;

    fn page(
        &self,
        interval: ExportInterval,
        shard: u8,
        after: Option<Self::Position>,
    ) -> impl Future<Output = Result<(Vec<ConfigurationKey>, Option<Self::Position>), PortError>> + Send;
}

/// How exports stand, for whoever watches over all of them.
pub trait ExportStandings: Send + Sync {
    /// The most configurations that are read at once.
    const MAX_BATCH: usize;

    /// Returns how the exports of at most [`ExportStandings::MAX_BATCH`] configurations stand. One that was deleted meanwhile is
    /// left out; one that can't be read is an error of its own.
    fn standings(
        &self,
        batch: &[ConfigurationKey],
    ) -> impl Future<Output = Result<Vec<Result<ExportStanding, PortError>>, PortError>> + Send;
}

/// The queue from which runs are started.
pub trait RunQueue: Send + Sync {
    /// The most requests that it takes at once.
    const MAX_BATCH: usize;

    /// Sends all of at most [`RunQueue::MAX_BATCH`] or fails; a failure may have sent some.
    fn send(&self, batch: &[RunRequest]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The right to move one configuration's export on. Every write made with it fails as [`ErrorKind::Fenced`] once a newer
/// lease was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub key: ConfigurationKey,
    pub fencing_token: u64,
}

/// Asking for a lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// Who asks: one invocation. Asking again, after an answer was lost, is granted again.
    pub holder: &'a str,
    /// The message that it works on.
    pub message: &'a str,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

/// What became of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    Granted {
        lease: Lease,
        state: Box<RunState>,
        /// Whether the run before never let go of it: its process was killed, or stood still until the lease had expired.
        was_abandoned: bool,
    },
    /// Somebody else is at work, under this token.
    Held {
        fencing_token: u64,
        /// Whether that run works on the same message, which was received more than once.
        is_same_message: bool,
    },
}

/// Whether an intent was new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentAnswer {
    New,
    /// An earlier attempt meant to write the same key; its bytes must have been the same.
    Known(Box<DigestObject>),
}

/// What a run leaves behind when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseAnswer {
    Released,
    /// While the lease was held, somebody asked for an export through this time. The lease is still held.
    Rerun {
        through: Timestamp,
    },
}

/// A digest and its signature, fixed before either is put into the bucket: every attempt puts the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDigest {
    /// Where its window ends, exclusive.
    pub end_block: BlockId,
    pub bytes: Bytes,
    /// ASN.1 DER.
    pub signature: Bytes,
    /// Whether its name has a [`domain::digest::DigestTag`]. Digests that were sealed by earlier versions have none.
    pub is_tagged: bool,
}

/// What the state becomes when a window is in the bucket and in a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub cursor: BlockId,
    pub head: DigestReference,
    pub record: RunRecord,
    /// When the window's digest and its record may go. Nothing of a window has an expiry before it is completed.
    pub expires_at: Timestamp,
}

/// The state of exports: how far they got, lease, window, intents, digests, history. Every write is conditional on the
/// lease.
pub trait RunStore: Send + Sync {
    /// Takes the lease if nobody else holds it; makes the state from `initial` if there is none.
    fn acquire_lease(
        &self,
        key: &ConfigurationKey,
        initial: &RunState,
        request: &LeaseRequest<'_>,
    ) -> impl Future<Output = Result<LeaseAnswer, PortError>> + Send;

    fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Asks the holder of the lease to export through `through` before it lets go. `false`: that holder has let go.
    fn note_rerun(
        &self,
        key: &ConfigurationKey,
        holder: u64,
        through: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Stores a window, its plan and how far it got.
    fn store_window(&self, lease: &Lease, window: &Window) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores that an object of the window will be written, unless that is known already.
    fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> impl Future<Output = Result<IntentAnswer, PortError>> + Send;

    /// The intents of the window, in the order of their blocks.
    fn intents(
        &self,
        lease: &Lease,
        window: WindowId,
    ) -> impl Future<Output = Result<Vec<DigestObject>, PortError>> + Send;

    /// Stores the digest of a sequence unless there is one, and gives the one that is there then.
    fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> impl Future<Output = Result<SealedDigest, PortError>> + Send;

    /// The digest of a sequence, if it was sealed before.
    fn digest(
        &self,
        lease: &Lease,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<SealedDigest>, PortError>> + Send;

    /// Lets the intents of a sequence go at `expires_at`, those of every revision. Its window has to be completed.
    fn expire_intents(
        &self,
        lease: &Lease,
        sequence: u64,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Moves the cursor to the window's end, drops the window, writes the history and lets the digest expire: all or nothing.
    fn complete_window(
        &self,
        lease: &Lease,
        completion: &Completion,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Lets go of the lease because all is done, unless a rerun beyond `exported_through` was asked for.
    fn release(
        &self,
        lease: &Lease,
        exported_through: Timestamp,
    ) -> impl Future<Output = Result<ReleaseAnswer, PortError>> + Send;

    /// Lets go of the lease before all is done. Returns through when somebody asked the holders of the lease to export: that
    /// is left to the next one.
    fn hand_over(&self, lease: &Lease) -> impl Future<Output = Result<Option<Timestamp>, PortError>> + Send;

    /// Records that everything received before `through` that is not exported is lost: its retention has ended.
    fn record_lost(&self, lease: &Lease, through: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the retentions that were in force, one history for all tenants.
    fn retention_history(&self) -> impl Future<Output = Result<RetentionHistory, PortError>> + Send;

    /// Stores the history in the place of `current`. `false`: another run was faster.
    fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Returns the blocks of the tenant that were found corrupt, in order.
    fn corrupt_blocks(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Vec<KnownCorruptBlock>, PortError>> + Send;

    /// Records that a block was found corrupt, until `expires_at`. Does nothing if that is known.
    fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        found_at: Timestamp,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A block that a run found corrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCorruptBlock {
    pub block: BlockId,
    /// Whether an operator has approved that exports leave it out.
    pub is_skip_approved: bool,
}

/// The shares that tenants have of the runs that go on at the same time: so many of one tenant and trigger, and no more.
pub trait TenantShares: Send + Sync {
    /// Takes a free share. `None`: all are taken.
    fn take_share(
        &self,
        request: &ShareRequest<'_>,
    ) -> impl Future<Output = Result<Option<TenantShare>, PortError>> + Send;

    /// Keeps a share until `expires_at`. Does nothing if it has expired and was taken by another run.
    fn renew_share(
        &self,
        share: &TenantShare,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Gives a share back, unless another run has it.
    fn return_share(&self, share: &TenantShare) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A request for a share.
#[derive(Clone, Copy, Debug)]
pub struct ShareRequest<'a> {
    pub tenant: &'a TenantId,
    pub trigger: RunTrigger,
    /// How many shares there are.
    pub shares: u32,
    /// Who asks: one invocation. Asking again, after an answer was lost, gives the same share.
    pub holder: &'a str,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

/// The right to be one of a tenant's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantShare {
    pub tenant: TenantId,
    pub trigger: RunTrigger,
    /// From 0 on.
    pub number: u32,
    pub holder: String,
}

/// The circuit breakers of Regions, shared by all runs.
pub trait RegionCircuits: Send + Sync {
    /// Returns the circuit of a Region; `None`: it answers.
    fn circuit(&self, region: &Region) -> impl Future<Output = Result<Option<Circuit>, PortError>> + Send;

    /// Stores a circuit in the place of `current` (`None`: of none), or removes that (`circuit` is `None`). `false`: another
    /// run was faster.
    fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// The key that signs digests.
pub trait DigestSigner: Send + Sync {
    /// SHA-256 of the public key, as DER of its `SubjectPublicKeyInfo`.
    fn fingerprint(&self) -> impl Future<Output = Result<Hex32, PortError>> + Send;

    /// ECDSA over P-256 of a SHA-256 hash, as ASN.1 DER.
    fn sign(&self, sha256: [u8; 32]) -> impl Future<Output = Result<Bytes, PortError>> + Send;
}

/// An item of the events table under a block's ID.
#[derive(Clone, Debug)]
pub enum StoredItem {
    /// A block, not yet verified.
    Block(StoredBlock),
    /// No version of ingest wrote it.
    Malformed { id: BlockId, detail: String },
}

impl StoredItem {
    #[must_use]
    pub fn id(&self) -> BlockId {
        match self {
            Self::Block(block) => block.id,
            Self::Malformed { id, .. } => *id,
        }
    }
}

/// Some items of one shard, in the order of their IDs.
#[derive(Clone, Debug, Default)]
pub struct BlockPage {
    pub items: Vec<StoredItem>,
    /// Where the next page starts; `None`: this was the last.
    pub next: Option<BlockId>,
}

/// The events of a tenant, as blocks. Reads are strongly consistent.
pub trait BlockSource: Send + Sync {
    fn page(
        &self,
        tenant: &TenantId,
        shard: Shard,
        range: BlockRange,
    ) -> impl Future<Output = Result<BlockPage, PortError>> + Send;
}

/// A connection to the customer's bucket. No write replaces an object: each one is conditional (`If-None-Match: *`), and all
/// of them, the trial included, carry the same headers, so that a policy permits all or none.
pub trait ObjectSink: Send + Sync {
    fn put_object(&self, object: PutObject<'_>) -> impl Future<Output = Result<WriteAnswer, PortError>> + Send;

    /// Fails as a write of `key` would; writes nothing.
    fn try_put(&self, key: &str) -> impl Future<Output = Result<(), PortError>> + Send;

    fn create_multipart_upload(
        &self,
        key: &str,
        content_type: ContentType,
    ) -> impl Future<Output = Result<UploadId, PortError>> + Send;

    fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> impl Future<Output = Result<PartAnswer, PortError>> + Send;

    fn complete_multipart_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> impl Future<Output = Result<WriteAnswer, PortError>> + Send;
}

/// An object that is written with one request.
#[derive(Clone, Debug)]
pub struct PutObject<'a> {
    pub key: &'a str,
    pub bytes: Bytes,
    pub sha256: [u8; 32],
    pub content_type: ContentType,
}

/// The media type of an object. It depends on what the object is and on nothing else, so every attempt sends the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Data objects. They have no `Content-Encoding`: a client that decodes it would get other bytes than the digest states.
    Gzip,
    /// Digests.
    Json,
    /// Signatures, which are ASN.1 DER.
    Binary,
    /// The connection test's marker.
    Text,
}

impl ContentType {
    /// Returns the value of the header.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::Json => "application/json",
            Self::Binary => "application/octet-stream",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// What S3 said to a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteAnswer {
    Written,
    /// 412: the key exists. `was_repeated`: this call had sent the object before, so that it may have been written by that.
    Exists {
        was_repeated: bool,
    },
    /// 409 (another conditional write is under way) or a lost upload: nothing is known, upload afresh.
    Lost,
    /// 409 (another operation on the bucket is in progress): upload again. The error applies if that does not help.
    Aborted(PortError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadId(pub String);

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartAnswer {
    Uploaded(UploadedPart),
    /// S3 knows no such upload, or no longer.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    pub number: u16,
    pub entity_tag: String,
    /// SHA-256 of the part, as base 64.
    pub sha256: String,
}

/// What STS said to an attempt to take a role that we should not be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// `AccessDenied`, and nothing else, is a refusal.
    Refused,
    Granted,
}

/// The external ID that a probe sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeWith {
    NoExternalId,
    AnotherExternalId,
}

/// A connection that was just made, and what was learned by making it.
#[derive(Clone, Debug)]
pub struct Connected<S> {
    pub sink: S,
    /// Whose the access key is; `None` if a role was assumed.
    pub user_arn: Option<UserArn>,
}

/// Becoming somebody who may write to the customer's bucket.
pub trait Connector: Send + Sync {
    type Sink: ObjectSink;

    /// Assumes the role or decrypts the access key, for writes to `destination`.
    fn connect_afresh(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> impl Future<Output = Result<Connected<Self::Sink>, PortError>> + Send;

    /// The same, or a connection of before that outlasts any run and was made for this version of the configuration.
    fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> impl Future<Output = Result<Self::Sink, PortError>> + Send;

    /// Tries to assume the configuration's role as somebody else's request would. `None`: it has no role.
    fn probe(
        &self,
        configuration: &ExportConfiguration,
        with: ProbeWith,
    ) -> impl Future<Output = Result<Option<ProbeAnswer>, PortError>> + Send;
}
