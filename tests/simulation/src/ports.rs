//! The engine's ports as one process sees them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{
    block::{BlockId, Shard},
    circuit::Circuit,
    configuration::{ConfigurationKey, Destination, ExportConfiguration, arn::UserArn, region::Region},
    connection::{Connection, ConnectionFailure},
    digest::{DigestObject, Hex32},
    export_run::{BlockRange, PlanLimits, RunState, Window, WindowId},
    gzip::EncoderVersion,
    object_key::MARKER_NAME,
    retention::RetentionHistory,
    tenant::TenantId,
    time::Timestamp,
};
use export_engine::{
    message::ReceivedMessage,
    ports::{
        BlockPage, BlockSource, Completion, ConfigurationStore, Connected, Connector, ContentType, DigestSigner,
        ErrorKind, IntentAnswer, KnownCorruptBlock, Lease, LeaseAnswer, LeaseRequest, ObjectSink, PartAnswer,
        PortError, ProbeAnswer, ProbeWith, PutObject, RegionCircuits, ReleaseAnswer, RunReport, RunStore, SealedDigest,
        ShareRequest, StoredItem, TenantShare, TenantShares, UploadId, UploadedPart, WriteAnswer,
    },
};
use host::{Clock, Timer};
use sha2::{Digest, Sha256};

use crate::{
    bug::KnownBug,
    world::{HeldLease, PendingUpload, RunItems, Timestamp0, World, WorldState},
};

/// Blocks in one page of a shard.
pub(crate) const PAGE_BLOCKS: usize = 3;

/// How long credentials last; a process that was frozen meanwhile finds them ended.
const SESSION: Duration = Duration::from_mins(4);

/// How long a request waits for an answer that doesn't come.
const UNANSWERED: Duration = Duration::from_secs(10);

/// The fingerprint of the simulated signing key.
pub(crate) const FINGERPRINT: Hex32 = Hex32([7; 32]);

/// What differs between deploys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) encoder_version: EncoderVersion,
    pub(crate) limits: PlanLimits,
}

/// One process's view of the world.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) world: Arc<World>,
    /// How far this process's clock is ahead of the true time.
    pub(crate) ahead: Duration,
    /// What the code that this process runs would plan.
    pub(crate) release: Release,
    memory: Arc<Memory>,
    /// Through when this process was asked to export, once it held the lease.
    tried_through: Arc<Mutex<Option<Timestamp>>>,
    /// Through when a person asked for a run, as the configuration said that this process read.
    asked_through: Arc<Mutex<Option<Timestamp>>>,
    seen_shards: Arc<Mutex<BTreeSet<Shard>>>,
}

impl Ports {
    pub(crate) fn new(world: &Arc<World>, ahead: Duration, release: Release) -> Self {
        Self {
            world: Arc::clone(world),
            ahead,
            release,
            memory: Arc::default(),
            tried_through: Arc::default(),
            asked_through: Arc::default(),
            seen_shards: Arc::default(),
        }
    }

    fn has(&self, bug: KnownBug) -> bool {
        self.world.has(bug)
    }

    /// Through when somebody had asked this process to export as it took the lease; `None`: it never held it.
    pub(crate) fn tried_through(&self) -> Option<Timestamp> {
        *self.tried_through.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most bytes of pages that this process held at once.
    pub(crate) fn peak_page_bytes(&self) -> usize {
        self.memory.peak.load(Ordering::Relaxed)
    }
}

/// Bytes of pages that a process holds.
#[derive(Debug, Default)]
struct Memory {
    held: AtomicUsize,
    peak: AtomicUsize,
}

struct Held {
    bytes: Bytes,
    memory: Arc<Memory>,
}

impl Held {
    fn track(bytes: Bytes, memory: &Arc<Memory>) -> Bytes {
        let held = memory.held.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        memory.peak.fetch_max(held, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, memory: Arc::clone(memory) })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A message that a process received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) number: u64,
}

impl ReceivedMessage for Received<'_> {
    async fn show_after(&self, delay: Duration) -> Result<(), PortError> {
        let (world, number) = (Arc::clone(&self.ports.world), self.number);
        let effect = move |state: &mut WorldState| {
            if let Some(queued) = state.queue.iter_mut().find(|queued| queued.number == number) {
                queued.visible_at = world.now().saturating_add(delay);
            }
            Ok(())
        };
        self.ports.world.call("show message", effect).await
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        self.world.now().saturating_add(self.ahead)
    }
}

impl Timer for Ports {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl ConfigurationStore for Ports {
    async fn load(&self, key: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        let key = key.clone();
        let found =
            self.world.call("load configuration", move |state| Ok(state.configurations.get(&key).cloned())).await?;
        if let Some(asked) = found.as_ref().and_then(|configuration| configuration.requested_through) {
            *self.asked_through.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        }
        Ok(found)
    }

    async fn store_connection(
        &self,
        key: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        _user_arn: Option<&UserArn>,
    ) -> Result<(), PortError> {
        let (key, connection) = (key.clone(), connection.clone());
        let effect = move |state: &mut WorldState| {
            if let Some(configuration) = state.configurations.get_mut(&key)
                && configuration.version == version
            {
                configuration.connection = connection.clone();
            }
            Ok(())
        };
        self.world.call("store connection", effect).await
    }

    async fn store_run(&self, key: &ConfigurationKey, report: &RunReport) -> Result<(), PortError> {
        let (key, report) = (key.clone(), report.clone());
        let effect = move |state: &mut WorldState| {
            let has_digest = state.runs.get(&key).is_some_and(|items| items.state.head.is_some());
            if !has_digest && (report.has_exported || report.exported_through.is_some()) {
                state.violations.push(format!("{key}: reports an export and has no digest"));
            }
            if let Some(configuration) = state.configurations.get_mut(&key) {
                let progress = &mut configuration.progress;
                progress.exported_through = progress.exported_through.max(report.exported_through);
                progress.last_export_at =
                    Some(report.ended_at).filter(|_| report.has_exported).or(progress.last_export_at);
                progress.consecutive_failures = u32::from(report.has_failed);
            }
            Ok(())
        };
        self.world.call("store run", effect).await
    }

    async fn clear_run_request(
        &self,
        key: &ConfigurationKey,
        through: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let key = key.clone();
        let effect = move |state: &mut WorldState| {
            let Some(configuration) = state.configurations.get_mut(&key) else { return Ok(None) };
            configuration.requested_through = configuration.requested_through.filter(|asked| *asked > through);
            Ok(configuration.requested_through)
        };
        self.world.call("clear run request", effect).await
    }
}

impl BlockSource for Ports {
    async fn page(&self, tenant: &TenantId, shard: Shard, range: BlockRange) -> Result<BlockPage, PortError> {
        if self.has(KnownBug::FewerShardsRead) && shard.number() >= 12 {
            return Ok(BlockPage::default());
        }
        let is_first = self.seen_shards.lock().unwrap_or_else(PoisonError::into_inner).insert(shard);
        let goes_on = range.first != BlockId::lowest_at(range.first.timestamp());
        let skips = self.has(KnownBug::ContinuationSkipsPage) && is_first && goes_on;
        let (partition, memory) = ((tenant.clone(), shard), Arc::clone(&self.memory));
        let effect = move |state: &mut WorldState| {
            let Some(blocks) = state.blocks.get(&partition) else { return Ok(BlockPage::default()) };
            if range.is_empty() {
                return Ok(BlockPage::default());
            }
            let mut found = blocks.range(range.first..range.end).skip(if skips { PAGE_BLOCKS } else { 0 });
            let mut page = BlockPage::default();
            for (_, block) in found.by_ref().take(PAGE_BLOCKS) {
                let mut block = block.clone();
                block.deflate = Held::track(block.deflate, &memory);
                page.items.push(StoredItem::Block(block));
            }
            if found.next().is_some() {
                page.next = page.items.last().map(|item| item.id().next());
            }
            Ok(page)
        };
        self.world.call("read blocks", effect).await
    }
}

impl DigestSigner for Ports {
    async fn fingerprint(&self) -> Result<Hex32, PortError> {
        self.world.call("get public key", |_| Ok(FINGERPRINT)).await
    }

    /// Like ECDSA's, no two signatures are the same.
    async fn sign(&self, sha256: [u8; 32]) -> Result<Bytes, PortError> {
        let effect = move |state: &mut WorldState| {
            let nonce = state.chance.bits().to_be_bytes();
            Ok(Bytes::from([&sha256[..], &nonce[..]].concat()))
        };
        self.world.call("sign", effect).await
    }
}

/// A connection to a bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketSink {
    ports: Ports,
    bucket: String,
    /// When its credentials end, by the true time.
    valid_until: Timestamp,
}

impl Connector for Ports {
    type Sink = BucketSink;

    async fn connect(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<BucketSink, PortError> {
        self.connect_afresh(configuration, destination).await.map(|connected| connected.sink)
    }

    async fn connect_afresh(
        &self,
        configuration: &ExportConfiguration,
        destination: &Destination,
    ) -> Result<Connected<BucketSink>, PortError> {
        let key = configuration.key.clone();
        let effect = move |state: &mut WorldState| {
            if state.untrusting.contains(&key) {
                return Err(PortError::customer("connect", ConnectionFailure::RoleNotAssumable, "403 AccessDenied"));
            }
            Ok(())
        };
        self.world.call("connect", effect).await?;
        let valid_until = self.world.now().saturating_add(SESSION);
        let bucket = destination.bucket_name.as_str().to_owned();
        Ok(Connected { sink: BucketSink { ports: self.clone(), bucket, valid_until }, user_arn: None })
    }

    async fn probe(
        &self,
        _configuration: &ExportConfiguration,
        _with: ProbeWith,
    ) -> Result<Option<ProbeAnswer>, PortError> {
        self.world.call("probe", |_| Ok(Some(ProbeAnswer::Refused))).await
    }
}

impl BucketSink {
    /// A request to S3: the bucket may be busy, closed to us, or forget an upload.
    async fn request<T: Send + 'static>(
        &self,
        operation: &'static str,
        effect: impl Fn(&mut WorldState, &str) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (bucket, world, valid_until) = (self.bucket.clone(), Arc::clone(&self.ports.world), self.valid_until);
        let guarded = move |state: &mut WorldState| {
            let now = Timestamp0(world.now());
            if now.0 >= valid_until {
                return Err(PortError::transient(operation, "400 ExpiredToken"));
            }
            let status = state.bucket(&bucket);
            if now < status.busy_until {
                return Err(PortError::transient(operation, "503 SlowDown"));
            }
            if now < status.silent_until {
                return Err(PortError::customer(operation, ConnectionFailure::EndpointUnreachable, "no answer"));
            }
            if now < status.denied_until {
                return Err(PortError::customer(operation, ConnectionFailure::WriteDenied, "403 AccessDenied"));
            }
            effect(state, &bucket)
        };
        let latency = self.ports.world.lock().bucket_latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let answer = self.ports.world.call(operation, guarded).await;
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Customer(ConnectionFailure::EndpointUnreachable))
        {
            tokio::time::sleep(UNANSWERED).await;
        }
        answer
    }
}

fn write(state: &mut WorldState, bucket: &str, key: &str, bytes: &Bytes) -> WriteAnswer {
    let objects = &mut state.bucket(bucket).objects;
    let Some(present) = objects.get(key) else {
        objects.insert(key.to_owned(), bytes.clone());
        return WriteAnswer::Written;
    };
    if present != bytes && !key.ends_with(MARKER_NAME) {
        state.violations.push(format!("{bucket}/{key} was to be written with two contents"));
    }
    WriteAnswer::Exists { was_repeated: false }
}

impl ObjectSink for BucketSink {
    async fn put_object(&self, object: PutObject<'_>) -> Result<WriteAnswer, PortError> {
        let PutObject { key, bytes, sha256, .. } = object;
        let key = key.to_owned();
        let effect = move |state: &mut WorldState, bucket: &str| {
            if <[u8; 32]>::from(Sha256::digest(&bytes)) != sha256 {
                return Err(PortError::internal("put object", "BadDigest"));
            }
            if state.chance.happens(state.weather.upload_lost) {
                return Ok(WriteAnswer::Lost);
            }
            Ok(write(state, bucket, &key, &bytes))
        };
        self.request("put object", effect).await
    }

    async fn try_put(&self, _key: &str) -> Result<(), PortError> {
        self.request("try to put", |_, _| Ok(())).await
    }

    async fn create_multipart_upload(&self, key: &str, _type: ContentType) -> Result<UploadId, PortError> {
        let key = key.to_owned();
        let effect = move |state: &mut WorldState, bucket: &str| {
            let id = format!("upload-{}", state.number());
            let upload = PendingUpload { bucket: bucket.to_owned(), key: key.clone(), parts: BTreeMap::default() };
            state.uploads.insert(id.clone(), upload);
            Ok(UploadId(id))
        };
        self.request("create upload", effect).await
    }

    async fn upload_part(
        &self,
        _key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<PartAnswer, PortError> {
        let upload = upload.0.clone();
        let effect = move |state: &mut WorldState, _: &str| {
            if state.chance.happens(state.weather.upload_lost) {
                state.uploads.remove(&upload);
            }
            let Some(pending) = state.uploads.get_mut(&upload) else { return Ok(PartAnswer::Lost) };
            pending.parts.insert(number, bytes.clone());
            let part = UploadedPart { number, entity_tag: format!("{upload}-{number}"), sha256: String::new() };
            Ok(PartAnswer::Uploaded(part))
        };
        self.request("upload part", effect).await
    }

    async fn complete_multipart_upload(
        &self,
        _key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<WriteAnswer, PortError> {
        let (upload, numbers) = (upload.0.clone(), parts.iter().map(|part| part.number).collect::<Vec<_>>());
        let effect = move |state: &mut WorldState, _: &str| {
            let Some(pending) = state.uploads.get(&upload).cloned() else { return Ok(WriteAnswer::Lost) };
            let chunks = numbers.iter().filter_map(|number| pending.parts.get(number));
            let bytes = Bytes::from(chunks.flat_map(|chunk| chunk.iter().copied()).collect::<Vec<u8>>());
            let answer = write(state, &pending.bucket, &pending.key, &bytes);
            if answer == WriteAnswer::Written {
                state.uploads.remove(&upload);
            }
            Ok(answer)
        };
        self.request("complete upload", effect).await
    }
}

impl Ports {
    /// A write that only the holder of the lease can make.
    async fn fenced<T: Send + 'static>(
        &self,
        operation: &'static str,
        lease: &Lease,
        effect: impl Fn(&mut RunItems) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let (lease, ignores) = (lease.clone(), self.has(KnownBug::NoFencing));
        let effect = move |state: &mut WorldState| match state.runs.get_mut(&lease.key) {
            Some(items) if ignores || items.state.fencing_token == lease.fencing_token => Ok(effect(items)),
            _ => Err(PortError::fenced(operation)),
        };
        self.world.call(operation, effect).await
    }

    /// The state as it is read at the start of a run; some bugs are that less was stored than should have been.
    fn read(&self, state: &RunState) -> RunState {
        let mut state = state.clone();
        if self.has(KnownBug::WindowNotStored) || self.has(KnownBug::CursorBeforeUpload) {
            state.window = None;
        }
        if let Some(window) = &mut state.window {
            if self.has(KnownBug::PlanNotStored) {
                window.plan.limits = self.release.limits;
            }
            if self.has(KnownBug::EncoderNotStored) {
                window.plan.encoder_version = self.release.encoder_version.number();
            }
            if self.has(KnownBug::RetentionByDeletion) {
                window.gap = None;
            }
        }
        state
    }
}

impl RunStore for Ports {
    async fn acquire_lease(
        &self,
        key: &ConfigurationKey,
        initial: &RunState,
        request: &LeaseRequest<'_>,
    ) -> Result<LeaseAnswer, PortError> {
        let (key, initial, ports) = (key.clone(), initial.clone(), self.clone());
        let (holder, now, expires_at) = (request.holder.to_owned(), request.now, request.expires_at);
        let (message, forgets) = (request.message.to_owned(), self.has(KnownBug::OnlyMessageDeleted));
        let asked = *self.asked_through.lock().unwrap_or_else(PoisonError::into_inner);
        let effect = move |state: &mut WorldState| {
            let items = state.runs.entry(key.clone()).or_insert_with(|| RunItems {
                state: initial.clone(),
                lease: None,
                intents: BTreeMap::default(),
                digests: BTreeMap::default(),
                records: Vec::new(),
                expired_intents: BTreeSet::default(),
                expired_digests: BTreeSet::default(),
            });
            let was_abandoned = items.lease.as_ref().is_some_and(|lease| lease.holder != holder);
            if let Some(lease) = &items.lease
                && lease.until > now
                && lease.holder != holder
            {
                let is_same_message = lease.message == message && !forgets;
                return Ok(LeaseAnswer::Held { fencing_token: items.state.fencing_token, is_same_message });
            }
            items.state.fencing_token += 1;
            *ports.tried_through.lock().unwrap_or_else(PoisonError::into_inner) =
                items.state.rerun_through.max(asked).or(Some(Timestamp::EPOCH));
            items.lease = Some(HeldLease { holder: holder.clone(), message: message.clone(), until: expires_at });
            let lease = Lease { key: key.clone(), fencing_token: items.state.fencing_token };
            Ok(LeaseAnswer::Granted { lease, state: Box::new(ports.read(&items.state)), was_abandoned })
        };
        self.world.call("acquire lease", effect).await
    }

    async fn renew_lease(&self, lease: &Lease, expires_at: Timestamp) -> Result<(), PortError> {
        let effect = move |items: &mut RunItems| {
            if let Some(lease) = &mut items.lease {
                lease.until = expires_at;
            }
        };
        self.fenced("renew lease", lease, effect).await
    }

    async fn note_rerun(&self, key: &ConfigurationKey, holder: u64, through: Timestamp) -> Result<bool, PortError> {
        let key = key.clone();
        let effect = move |state: &mut WorldState| {
            let Some(items) = state.runs.get_mut(&key) else { return Ok(false) };
            let is_held_by_same = items.lease.is_some() && items.state.fencing_token == holder;
            if is_held_by_same {
                items.state.rerun_through = items.state.rerun_through.max(Some(through));
            }
            Ok(is_held_by_same)
        };
        self.world.call("note rerun", effect).await
    }

    async fn store_window(&self, lease: &Lease, window: &Window) -> Result<(), PortError> {
        let (mut window, moves_cursor) = (window.clone(), self.has(KnownBug::CursorBeforeUpload));
        if self.has(KnownBug::SkipNotStored) {
            window.skipped.clear();
        }
        let effect = move |items: &mut RunItems| {
            if moves_cursor {
                items.state.cursor = window.to;
            }
            items.state.window = Some(window.clone());
        };
        self.fenced("store window", lease, effect).await
    }

    async fn store_intent(
        &self,
        lease: &Lease,
        window: WindowId,
        object: &DigestObject,
    ) -> Result<IntentAnswer, PortError> {
        if self.has(KnownBug::NoIntent) {
            return Ok(IntentAnswer::New);
        }
        let (object, checkpoints) = (object.clone(), self.has(KnownBug::CheckpointBeforeCompletion));
        let effect = move |items: &mut RunItems| {
            if let Some(window) = &mut items.state.window
                && checkpoints
            {
                window.checkpoint.last_block = Some(object.last_block);
                window.checkpoint.objects += 1;
            }
            let name = (window, object.first_block);
            if let Some(known) = items.intents.get(&name) {
                return IntentAnswer::Known(Box::new(known.clone()));
            }
            items.intents.insert(name, object.clone());
            IntentAnswer::New
        };
        self.fenced("store intent", lease, effect).await
    }

    async fn intents(&self, lease: &Lease, window: WindowId) -> Result<Vec<DigestObject>, PortError> {
        let key = lease.key.clone();
        let effect = move |state: &mut WorldState| {
            let of_window =
                |(name, object): (&(WindowId, BlockId), &DigestObject)| (name.0 == window).then(|| object.clone());
            Ok(state
                .runs
                .get(&key)
                .filter(|items| !items.expired_intents.contains(&window.sequence))
                .map(|items| items.intents.iter().filter_map(of_window).collect())
                .unwrap_or_default())
        };
        self.world.call("read intents", effect).await
    }

    async fn store_digest(
        &self,
        lease: &Lease,
        sequence: u64,
        digest: &SealedDigest,
    ) -> Result<SealedDigest, PortError> {
        let (digest, replaces) = (digest.clone(), self.has(KnownBug::DigestSignedAgain));
        let effect = move |items: &mut RunItems| {
            if replaces || items.expired_digests.contains(&sequence) {
                items.digests.insert(sequence, digest.clone());
            }
            items.digests.entry(sequence).or_insert_with(|| digest.clone()).clone()
        };
        self.fenced("store digest", lease, effect).await
    }

    async fn digest(&self, lease: &Lease, sequence: u64) -> Result<Option<SealedDigest>, PortError> {
        let (key, forgets) = (lease.key.clone(), self.has(KnownBug::DigestSignedAgain));
        let effect = move |state: &mut WorldState| {
            let items = state.runs.get(&key).filter(|items| !forgets && !items.expired_digests.contains(&sequence));
            Ok(items.and_then(|items| items.digests.get(&sequence).cloned()))
        };
        self.world.call("read digest", effect).await
    }

    /// Not conditional on the lease, as in the table.
    async fn expire_intents(&self, lease: &Lease, sequence: u64, _expires_at: Timestamp) -> Result<(), PortError> {
        let key = lease.key.clone();
        let sequence = if self.has(KnownBug::IntentsExpireEarly) { sequence + 1 } else { sequence };
        let effect = move |state: &mut WorldState| {
            let WorldState { runs, violations, .. } = state;
            if let Some(items) = runs.get_mut(&key) {
                if sequence >= items.state.next_sequence {
                    violations.push(format!("{key}: the intents of the open window {sequence} may expire"));
                }
                items.expired_intents.insert(sequence);
            }
            Ok(())
        };
        self.world.call("expire intents", effect).await
    }

    async fn complete_window(&self, lease: &Lease, completion: &Completion) -> Result<(), PortError> {
        let (lease, completion) = (lease.clone(), completion.clone());
        let ignores = self.has(KnownBug::NoFencing);
        let moves_before = self.has(KnownBug::CursorBeforeUpload);
        let effect = move |state: &mut WorldState| {
            let WorldState { runs, violations, .. } = state;
            let Some(items) = runs.get_mut(&lease.key) else { return Err(PortError::fenced("complete window")) };
            if !ignores && items.state.fencing_token != lease.fencing_token {
                return Err(PortError::fenced("complete window"));
            }
            if items.records.iter().any(|record| record.sequence == completion.record.sequence) {
                return Ok(());
            }
            if completion.cursor < items.state.cursor && !moves_before {
                violations.push(format!("the cursor moved back to {}", completion.cursor));
            }
            items.state.cursor = completion.cursor;
            items.state.next_sequence = completion.record.sequence + 1;
            items.state.head = Some(completion.head.clone());
            items.state.window = None;
            items.expired_digests.insert(completion.record.sequence);
            items.records.push(completion.record.clone());
            Ok(())
        };
        self.world.call("complete window", effect).await
    }

    async fn release(&self, lease: &Lease, exported_through: Timestamp) -> Result<ReleaseAnswer, PortError> {
        let tried_through = Arc::clone(&self.tried_through);
        let effect = move |items: &mut RunItems| match items.state.rerun_through {
            Some(through) if through > exported_through => {
                *tried_through.lock().unwrap_or_else(PoisonError::into_inner) = Some(through);
                ReleaseAnswer::Rerun { through }
            }
            _ => {
                items.state.rerun_through = None;
                items.lease = None;
                ReleaseAnswer::Released
            }
        };
        self.fenced("release lease", lease, effect).await
    }

    async fn hand_over(&self, lease: &Lease) -> Result<Option<Timestamp>, PortError> {
        let forgets = self.has(KnownBug::NoteForgotten);
        let effect = move |items: &mut RunItems| {
            items.lease = None;
            items.state.rerun_through.filter(|_| !forgets)
        };
        self.fenced("hand over lease", lease, effect).await
    }

    async fn record_lost(&self, lease: &Lease, through: Timestamp) -> Result<(), PortError> {
        let forgets = self.has(KnownBug::LossNotRecorded);
        let effect = move |items: &mut RunItems| {
            if !forgets {
                items.state.lost_through = items.state.lost_through.max(Some(through));
            }
        };
        self.fenced("record lost", lease, effect).await
    }

    async fn retention_history(&self) -> Result<RetentionHistory, PortError> {
        let forgets = self.has(KnownBug::RetentionHistoryForgotten);
        let effect = move |state: &mut WorldState| {
            Ok(if forgets { RetentionHistory::default() } else { state.retention_history.clone() })
        };
        self.world.call("read retentions", effect).await
    }

    async fn replace_retention_history(
        &self,
        current: &RetentionHistory,
        history: &RetentionHistory,
    ) -> Result<bool, PortError> {
        let (current, history, forgets) =
            (current.clone(), history.clone(), self.has(KnownBug::RetentionHistoryForgotten));
        let effect = move |state: &mut WorldState| {
            // The same again is what became of a request that was repeated.
            let is_current = forgets || state.retention_history == current || state.retention_history == history;
            if is_current {
                state.retention_history = history.clone();
            }
            Ok(is_current)
        };
        self.world.call("store retentions", effect).await
    }

    async fn corrupt_blocks(&self, tenant: &TenantId) -> Result<Vec<KnownCorruptBlock>, PortError> {
        let tenant = tenant.clone();
        let effect = move |state: &mut WorldState| {
            let of_tenant = state.corrupt_blocks.iter().filter(|((owner, _), _)| *owner == tenant);
            let known = |((_, block), is_skip_approved): (&(TenantId, BlockId), &bool)| KnownCorruptBlock {
                block: *block,
                is_skip_approved: *is_skip_approved,
            };
            Ok(of_tenant.map(known).collect())
        };
        self.world.call("read corrupt blocks", effect).await
    }

    async fn record_corrupt_block(
        &self,
        tenant: &TenantId,
        block: BlockId,
        _found_at: Timestamp,
        _expires_at: Timestamp,
    ) -> Result<(), PortError> {
        let (name, forgets) = ((tenant.clone(), block), self.has(KnownBug::CorruptBlockForgotten));
        let effect = move |state: &mut WorldState| {
            state.reported.insert(name.clone());
            if !forgets {
                state.corrupt_blocks.entry(name.clone()).or_default();
            }
            Ok(())
        };
        self.world.call("record corrupt block", effect).await
    }
}

impl TenantShares for Ports {
    async fn take_share(&self, request: &ShareRequest<'_>) -> Result<Option<TenantShare>, PortError> {
        let ShareRequest { tenant, trigger, shares, holder, now, expires_at } = *request;
        let (tenant, holder) = (tenant.clone(), holder.to_owned());
        let effect = move |state: &mut WorldState| {
            let is_free = |number: &u32| {
                let taken = state.shares.get(&(tenant.clone(), trigger, *number));
                taken.is_none_or(|(other, until)| *until <= now || *other == holder)
            };
            let Some(number) = (0..shares).find(is_free) else { return Ok(None) };
            state.shares.insert((tenant.clone(), trigger, number), (holder.clone(), expires_at));
            Ok(Some(TenantShare { tenant: tenant.clone(), trigger, number, holder: holder.clone() }))
        };
        self.world.call("take share", effect).await
    }

    async fn renew_share(&self, share: &TenantShare, expires_at: Timestamp) -> Result<(), PortError> {
        let share = share.clone();
        let effect = move |state: &mut WorldState| {
            if let Some((holder, until)) = state.shares.get_mut(&(share.tenant.clone(), share.trigger, share.number))
                && *holder == share.holder
            {
                *until = expires_at;
            }
            Ok(())
        };
        self.world.call("renew share", effect).await
    }

    async fn return_share(&self, share: &TenantShare) -> Result<(), PortError> {
        let share = share.clone();
        let effect = move |state: &mut WorldState| {
            let name = (share.tenant.clone(), share.trigger, share.number);
            if state.shares.get(&name).is_some_and(|(holder, _)| *holder == share.holder) {
                state.shares.remove(&name);
            }
            Ok(())
        };
        self.world.call("return share", effect).await
    }
}

impl RegionCircuits for Ports {
    async fn circuit(&self, region: &Region) -> Result<Option<Circuit>, PortError> {
        let region = region.clone();
        if self.has(KnownBug::CircuitForgotten) {
            return Ok(None);
        }
        self.world.call("read circuit", move |state| Ok(state.circuits.get(&region).cloned())).await
    }

    async fn replace_circuit(
        &self,
        region: &Region,
        current: Option<&Circuit>,
        circuit: Option<&Circuit>,
    ) -> Result<bool, PortError> {
        let (region, current, circuit) = (region.clone(), current.cloned(), circuit.cloned());
        let effect = move |state: &mut WorldState| {
            if state.circuits.get(&region) != current.as_ref() {
                return Ok(false);
            }
            match circuit.clone() {
                Some(circuit) => state.circuits.insert(region.clone(), circuit),
                None => state.circuits.remove(&region),
            };
            Ok(true)
        };
        self.world.call("store circuit", effect).await
    }
}
