//! The state of exports, guarded by leases.

use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::ConfigurationKey,
    digest::{DigestObject, DigestReference},
    export_run::{ExportState, FencingToken, Window, WindowId, WindowRecord},
    retention::RetentionHistory,
    time::Timestamp,
};

use super::{
    error::PortError,
    shared::{CorruptBlocks, SeenRetentions},
};

/// The right to advance one configuration's export. Every write made with it fails as `ErrorKind::Fenced` once a
/// newer lease was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub key: ConfigurationKey,
    pub fencing_token: FencingToken,
}

/// A request for a lease.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// The invocation that asks. A repeated request by the same holder is granted again.
    pub holder: &'a str,
    /// The message that it works on.
    pub message: &'a str,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

/// The outcome of a request for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    Granted {
        lease: Lease,
        state: Box<ExportState>,
        /// True if the previous run never released it: its process was killed, or paused until the lease had expired.
        was_abandoned: bool,
    },
    /// Another run holds the lease under this token.
    Held {
        fencing_token: FencingToken,
        /// True if that run works on the same message, which was received more than once.
        is_same_message: bool,
    },
}

/// The outcome of storing an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentOutcome {
    New,
    /// An earlier attempt announced the same key; its bytes must have been the same.
    Known(Box<DigestObject>),
}

/// The outcome of releasing a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    Released,
    /// While the lease was held, an export through this time was requested. The lease is still held.
    Rerun {
        through: Timestamp,
    },
}

/// A digest and its signature, stored before either is put into the bucket, so that every attempt puts the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDigest {
    /// The exclusive end of its window.
    pub end_block: BlockId,
    pub bytes: Bytes,
    /// ASN.1 DER.
    pub signature: Bytes,
    /// True if its name has a [`domain::digest::DigestTag`]. Digests that were sealed by earlier versions have none.
    pub is_tagged: bool,
}

/// The change of the state that completes a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub cursor: BlockId,
    pub head: DigestReference,
    pub record: WindowRecord,
    /// The expiry of the window's digest and record. Nothing of a window has an expiry before it is completed.
    pub expires_at: Timestamp,
}

/// The state of exports: cursor, lease, window, intents, digests and history. Every write is conditional on the lease.
pub trait RunStore: CorruptBlocks + SeenRetentions {
    /// Takes the lease if no other run holds it. Creates the state from `initial` if there is none.
    fn acquire_lease(
        &self,
        key: &ConfigurationKey,
        initial: &ExportState,
        request: &LeaseRequest<'_>,
    ) -> impl Future<Output = Result<LeaseOutcome, PortError>> + Send;

    fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Asks the holder of the lease with this token to export through `through` before it releases it. `false`: it has released it.
    fn note_rerun(
        &self,
        key: &ConfigurationKey,
        token: FencingToken,
        through: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Stores a window with its plan and checkpoint.
    fn store_window(&self, lease: &Lease, window: &Window) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Stores that an object of the window will be written, unless that is stored already.
    fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> impl Future<Output = Result<IntentOutcome, PortError>> + Send;

    /// Returns the intents of the window in the order of their blocks.
    fn intents(
        &self,
        lease: &Lease,
        window: WindowId,
    ) -> impl Future<Output = Result<Vec<DigestObject>, PortError>> + Send;

    /// Stores the digest of a sequence unless there is one, and returns the stored one.
    fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> impl Future<Output = Result<SealedDigest, PortError>> + Send;

    /// Returns the digest of a sequence if it is sealed.
    fn digest(
        &self,
        lease: &Lease,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<SealedDigest>, PortError>> + Send;

    /// Gives the intents of a sequence an expiry, in every revision. Its window has to be completed.
    fn expire_intents(
        &self,
        lease: &Lease,
        sequence: u64,
        expires_at: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Moves the cursor to the window's end, removes the window, writes the history and gives the digest an expiry, in one
    /// transaction.
    fn complete_window(
        &self,
        lease: &Lease,
        completion: &Completion,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Releases the lease after all work is done, unless a rerun beyond `exported_through` was requested.
    fn release(
        &self,
        lease: &Lease,
        exported_through: Timestamp,
    ) -> impl Future<Output = Result<ReleaseOutcome, PortError>> + Send;

    /// Releases the lease before all work is done. Returns the requested end of a rerun, which is left to the next holder.
    fn hand_over(&self, lease: &Lease) -> impl Future<Output = Result<Option<Timestamp>, PortError>> + Send;

    /// Records that everything received before `through` and not exported is lost because its retention has ended.
    fn record_lost(&self, lease: &Lease, through: Timestamp) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Replaces `current` with `history`. `false`: another run replaced it first.
    fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> impl Future<Output = Result<bool, PortError>> + Send;
}
