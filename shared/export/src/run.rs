//! One export run: lease, window, objects, digest, cursor.

use std::{pin::pin, time::Duration};

use bytes::BytesMut;
use domain::{
    block::BlockId,
    configuration::ExportConfiguration,
    connection::{Connection, ConnectionFailure},
    export_run::{
        Checkpoint, HEARTBEAT, LEASE_DURATION, Plan, PlanLimits, RunRecord, RunRequest, RunState, SLICE, Window,
    },
    gzip::EncoderVersion,
    time::Timestamp,
};
use futures::future::{Either, select};

use crate::{
    connection_test::{ConnectionTest, TEST_VALIDITY, connection_after},
    merge::BlockMerge,
    object::{Assembly, DataObject},
    ports::{
        BlockSource, Clock, Completion, ConfigurationStore, Connector, DigestSigner, ErrorKind, IntentAnswer, Lease,
        LeaseAnswer, LeaseRequest, ObjectSink, PortError, ReleaseAnswer, RunReport, RunStore, SealedDigest,
        WriteCondition,
    },
    seal,
    upload::{Upload, UploadShape, Uploaded, upload},
};

/// How often a run asks again for a lease whose holder let go in between.
const MAX_LEASE_REQUESTS: u32 = 3;

/// The engine, over its ports.
#[derive(Clone, Copy, Debug)]
pub struct ExportEngine<'a, S, R, B, N, D, K> {
    pub configurations: &'a S,
    pub runs: &'a R,
    pub blocks: &'a B,
    pub connector: &'a N,
    pub signer: &'a D,
    pub clock: &'a K,
    pub settings: EngineSettings,
    /// Who runs it: one invocation of the exporter.
    pub holder: &'a str,
    /// When the invocation has to be over.
    pub deadline: Timestamp,
}

/// What the operator chose.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How long after its receipt an event's block is sure to be readable.
    pub settle: Duration,
    /// How long after its receipt an event can be exported.
    pub retention: Duration,
    /// How long after that its block is still sure to be there, for windows that were begun before.
    pub grace: Duration,
    /// That of new plans.
    pub encoder_version: EncoderVersion,
    /// Those of new plans.
    pub limits: PlanLimits,
}

/// How a run ended well: nothing of it has to be done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Windows that are now in the bucket, oldest first; none: all that was asked for had been exported before.
    Exported(Vec<RunRecord>),
    /// The slice is over, and this request goes on where it ended: it has to be queued.
    Paused { windows: Vec<RunRecord>, next: RunRequest },
    /// Another run is at work and was asked to do this too.
    LeftToAnother,
    /// The configuration was deleted or is disabled.
    NotWanted,
    /// The customer has to change something; the configuration tells what.
    Refused(Connection),
}

/// What one run did so far.
#[derive(Debug, Default)]
struct Progress {
    windows: Vec<RunRecord>,
    /// Whether an object or a digest reached the bucket. A slice doesn't end before: so every slice gets on.
    moved: bool,
}

/// Why the export of windows came to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// All is exported that was asked for.
    Done,
    /// The slice is over, or a person has changed the configuration and the rest is for a run that knows the new one.
    Unfinished,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Done,
    /// It was left alone: a person has changed the configuration.
    Edited,
}

impl<S, R, B, N, D, K> ExportEngine<'_, S, R, B, N, D, K>
where
    S: ConfigurationStore,
    R: RunStore,
    B: BlockSource,
    N: Connector,
    D: DigestSigner,
    K: Clock,
{
    /// Does what the request asks for, or finds it done.
    ///
    /// # Errors
    /// Transient: repeat the request later. Fenced: another run took over. Internal: repeat, and tell an operator.
    pub async fn run(&self, request: &RunRequest) -> Result<RunOutcome, PortError> {
        let now = self.clock.now();
        if request.through > now.saturating_sub(self.settings.settle) {
            let detail = format!("asked at {now} for an export through {}", request.through);
            return Err(PortError::transient("window not settled", detail));
        }
        let Some(configuration) = self.configurations.load(&request.key).await? else {
            return Ok(RunOutcome::NotWanted);
        };
        if !configuration.enabled {
            return Ok(RunOutcome::NotWanted);
        }
        let Some((lease, state)) = self.acquire_lease(&configuration, request.through).await? else {
            return Ok(RunOutcome::LeftToAnother);
        };
        let work = pin!(self.run_leased(&lease, state, &configuration, request));
        let heart = pin!(self.keep_lease(&lease));
        match select(work, heart).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right((lost, _)) => Err(lost),
        }
    }

    /// `None`: whoever holds it was asked to go on to `through`.
    async fn acquire_lease(
        &self,
        configuration: &ExportConfiguration,
        through: Timestamp,
    ) -> Result<Option<(Lease, RunState)>, PortError> {
        let key = &configuration.key;
        let initial = RunState::initial(configuration);
        for _ in 0..MAX_LEASE_REQUESTS {
            let request = LeaseRequest { holder: self.holder, now: self.clock.now(), expires_at: self.lease_end() };
            match self.runs.acquire_lease(key, &initial, &request).await? {
                LeaseAnswer::Granted { lease, state } => return Ok(Some((lease, *state))),
                LeaseAnswer::Held { fencing_token } => {
                    if self.runs.note_rerun(key, fencing_token, through).await? {
                        return Ok(None);
                    }
                }
            }
        }
        Err(PortError::transient("acquire lease", format!("{MAX_LEASE_REQUESTS} holders let go while they were asked")))
    }

    /// Renews the lease until it is lost. A renewal that fails otherwise is only logged: the lease outlasts two of them,
    /// and if it ends, every write is refused.
    async fn keep_lease(&self, lease: &Lease) -> PortError {
        loop {
            self.clock.sleep(HEARTBEAT).await;
            match self.runs.renew_lease(lease, self.lease_end()).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Fenced => return error,
                Err(error) => tracing::warn!(%error, "the lease was not renewed this time"),
            }
        }
    }

    async fn run_leased(
        &self,
        lease: &Lease,
        mut state: RunState,
        configuration: &ExportConfiguration,
        request: &RunRequest,
    ) -> Result<RunOutcome, PortError> {
        let mut progress = Progress::default();
        let pause_at = self.clock.now().saturating_add(SLICE).min(self.deadline);
        let mut through = request.through.max(state.rerun_through.unwrap_or(request.through));
        loop {
            let stop =
                match self.export_through(lease, &mut state, configuration, through, pause_at, &mut progress).await {
                    Ok(stop) => stop,
                    Err(error) => return self.fail(lease, &state, configuration, error).await,
                };
            // Before the lease goes: whoever repeats a run that could not tell how it ended finds nothing left to do.
            if let Err(error) = self.report(configuration, &state, Ok(())).await {
                return self.fail(lease, &state, configuration, error).await;
            }
            if stop == Stop::Unfinished {
                self.runs.hand_over(lease).await?;
                let next = RunRequest { through, ..request.clone() };
                return Ok(RunOutcome::Paused { windows: progress.windows, next });
            }
            match self.runs.release(lease, state.exported_through()).await? {
                ReleaseAnswer::Rerun { through: asked } => through = through.max(asked),
                ReleaseAnswer::Released => return Ok(RunOutcome::Exported(progress.windows)),
            }
        }
    }

    /// The customer's errors end the run and are told; all others bring the request back.
    async fn fail(
        &self,
        lease: &Lease,
        state: &RunState,
        configuration: &ExportConfiguration,
        error: PortError,
    ) -> Result<RunOutcome, PortError> {
        if error.kind == ErrorKind::Fenced {
            return Err(error);
        }
        let connection = connection_after(Err(error), configuration, self.clock.now());
        self.runs.hand_over(lease).await?;
        match connection {
            Ok(connection) => {
                self.report(configuration, state, Err(Some(&connection))).await?;
                Ok(RunOutcome::Refused(connection))
            }
            Err(error) => {
                // The error itself is what has to be told; that it could not be noted is not.
                if let Err(second) = self.report(configuration, state, Err(None)).await {
                    tracing::warn!(error = %second, "the failure was not noted on the configuration");
                }
                Err(error)
            }
        }
    }

    /// Tells the configuration how the run ended: `Err(None)` is a failure that is not the customer's.
    async fn report(
        &self,
        configuration: &ExportConfiguration,
        state: &RunState,
        outcome: Result<(), Option<&Connection>>,
    ) -> Result<(), PortError> {
        let ended_at = self.clock.now();
        let succeeded = outcome.is_ok();
        let report = RunReport { ended_at, exported_through: state.exported_through(), succeeded };
        self.configurations.store_run(&configuration.key, &report).await?;
        // A success is stored by the test alone: its time says when the trust policy was last probed.
        let Err(Some(connection)) = outcome else { return Ok(()) };
        self.configurations.store_connection(&configuration.key, configuration.version, connection, None).await
    }

    /// First the window that was begun, if there is one; then what is left up to `through`.
    async fn export_through(
        &self,
        lease: &Lease,
        state: &mut RunState,
        configuration: &ExportConfiguration,
        through: Timestamp,
        pause_at: Timestamp,
        progress: &mut Progress,
    ) -> Result<Stop, PortError> {
        let destination = &configuration.destination;
        // One floor for all that follows: what was just found to be the earliest must not be a gap a moment later.
        let retention_floor = self.retention_floor();
        loop {
            state.begin_at_earliest(configuration, retention_floor);
            let now = self.clock.now();
            let plan = || Plan {
                destination: destination.clone(),
                encoder_version: self.settings.encoder_version.number(),
                limits: self.settings.limits,
            };
            let Some(mut window) = state.window_through(through, retention_floor, now, plan) else {
                return Ok(Stop::Done);
            };
            if progress.moved && now >= pause_at {
                return Ok(Stop::Unfinished);
            }
            // Before the test: a run that can't connect has tried as well.
            let is_taken_up_again = state.window.is_some();
            if is_taken_up_again {
                window = window.taken_up_again();
                self.runs.store_window(lease, &window).await?;
                state.window = Some(window.clone());
            }
            if self.needs_test(configuration, progress) {
                self.test_connection(configuration).await?;
            }
            // What an earlier run sealed stays sealed, with the end that it has.
            let sealed = if is_taken_up_again {
                self.runs.digest(lease, window.id.sequence).await?
            } else {
                self.runs.store_window(lease, &window).await?;
                state.window = Some(window.clone());
                None
            };
            let end = if let Some(sealed) = &sealed {
                Some(sealed.end_block)
            } else if window.plan.destination == *destination {
                let exported = self.export_objects(lease, &mut window, configuration, pause_at, progress).await;
                match exported.map_err(unreachable_is_transient)? {
                    Ok(end) => end,
                    Err(stop) => return Ok(stop),
                }
            } else {
                // The destination was edited: the window ends with what went to the old one.
                window.delivered_end()
            };
            let Some(end) = end else {
                // Nothing of it was delivered: another window takes its place, from the same block on.
                state.cursor = window.from;
                state.next_revision = window.id.revision + 1;
                state.window = None;
                continue;
            };
            let sealed = match sealed {
                Some(sealed) => sealed,
                None => seal::seal(self.runs, self.signer, lease, state, &window, end).await?,
            };
            let completed = self.complete(lease, state, &window, &sealed, configuration, progress).await;
            completed.map_err(unreachable_is_transient)?;
        }
    }

    /// Whether the rest of a window may have been deleted by now: then it ends with what is delivered, and the window after
    /// it says what is gone.
    fn is_stale(&self, window: &Window) -> bool {
        let surely_there_since = self.clock.now().saturating_sub(self.settings.retention + self.settings.grace);
        window.remaining().first.timestamp() < surely_there_since
    }

    fn needs_test(&self, configuration: &ExportConfiguration, progress: &Progress) -> bool {
        let is_fresh = match configuration.connection {
            Connection::Success { checked_at } => self.clock.now().saturating_since(checked_at) <= TEST_VALIDITY,
            Connection::Pending | Connection::Failed { .. } => false,
        };
        !is_fresh && !progress.moved
    }

    /// A failure is stored with the end of the run; a success at once, because the run may take long.
    async fn test_connection(&self, configuration: &ExportConfiguration) -> Result<(), PortError> {
        let test = ConnectionTest { configurations: self.configurations, connector: self.connector, clock: self.clock };
        test.check(configuration).await?;
        let success = Connection::Success { checked_at: self.clock.now() };
        self.configurations.store_connection(&configuration.key, configuration.version, &success, None).await
    }

    /// Brings the rest of the window into the bucket, assembling each object while the one before it is on its way. Gives
    /// the end of what the window's digest can tell of (`None`: of nothing), or why it stopped before.
    ///
    /// Of a stale window only what was intended before is brought to an end, as it may be in the bucket already.
    async fn export_objects(
        &self,
        lease: &Lease,
        window: &mut Window,
        configuration: &ExportConfiguration,
        pause_at: Timestamp,
        progress: &mut Progress,
    ) -> Result<Result<Option<BlockId>, Stop>, PortError> {
        let range = window.remaining();
        if range.is_empty() {
            return Ok(Ok(Some(window.to)));
        }
        let intended = if self.is_stale(window) { Some(self.runs.intents(lease, window.id).await?) } else { None };
        let plan = window.plan.clone();
        let Some(encoder_version) = EncoderVersion::from_number(plan.encoder_version) else {
            let detail = format!("the window was planned with encoder {}", plan.encoder_version);
            return Err(PortError::internal("encode objects", detail));
        };
        let sink = self.connector.connect(configuration, &plan.destination).await?;
        let mut blocks = BlockMerge::new(self.blocks, &lease.key.tenant_id, range);
        let assembly = Assembly { key: &lease.key, plan: &plan, encoder_version };
        let mut ready = assembly.next(&mut blocks, window.checkpoint, None).await?;
        let mut spare = None;
        while let Some(object) = ready {
            let is_given_up = intended.as_ref().is_some_and(|intended| !intended.contains(&object.description));
            if window.is_full() || is_given_up {
                return Ok(Ok(window.delivered_end()));
            }
            if progress.moved && self.clock.now() >= pause_at {
                return Ok(Err(Stop::Unfinished));
            }
            let delivering = self.deliver(lease, window, configuration, &object, &sink);
            let (delivered, following) =
                overlap(delivering, &assembly, &mut blocks, object.checkpoint, spare.take()).await;
            if delivered? == Delivery::Edited {
                return Ok(Err(Stop::Unfinished));
            }
            progress.moved = true;
            spare = object.into_buffer();
            ready = following?;
        }
        Ok(Ok(if intended.is_some() { window.delivered_end() } else { Some(window.to) }))
    }

    /// Whether the run's own copy of the configuration still says who may write where.
    async fn is_edited(&self, configuration: &ExportConfiguration) -> Result<bool, PortError> {
        let current = self.configurations.load(&configuration.key).await?;
        Ok(current.is_none_or(|current| current.version != configuration.version))
    }

    /// Unless a person has changed the configuration: intent, object, checkpoint; in this order, so that after a crash at any
    /// point the object is either known to be ours or was never there.
    async fn deliver(
        &self,
        lease: &Lease,
        window: &mut Window,
        configuration: &ExportConfiguration,
        object: &DataObject,
        sink: &impl ObjectSink,
    ) -> Result<Delivery, PortError> {
        if self.is_edited(configuration).await? {
            return Ok(Delivery::Edited);
        }
        let description = &object.description;
        let intended = self.runs.store_intent(lease, window.id, description).await?;
        if let IntentAnswer::Known(earlier) = &intended
            && **earlier != *description
        {
            let detail = format!("{} would get other bytes than it was meant to have", description.key);
            return Err(PortError::internal("object differs from its intent", detail));
        }
        let part_size = usize::try_from(window.plan.limits.part_size).unwrap_or(usize::MAX);
        let outcome = upload(
            sink,
            self.clock,
            &Upload {
                key: &description.key,
                bytes: object.bytes.clone(),
                sha256: description.sha256.0,
                shape: UploadShape::for_length(object.bytes.len(), part_size),
                condition: WriteCondition::Absent,
            },
        )
        .await?;
        if outcome == Uploaded::Existed && intended == IntentAnswer::New {
            // The answer to the first request was lost and the client repeated it.
            tracing::warn!(object_key = description.key, "the object was there at the first attempt that we know of");
        }
        window.checkpoint = object.checkpoint;
        self.runs.store_window(lease, window).await?;
        Ok(Delivery::Done)
    }

    /// The sealed digest, then the cursor.
    async fn complete(
        &self,
        lease: &Lease,
        state: &mut RunState,
        window: &Window,
        sealed: &SealedDigest,
        configuration: &ExportConfiguration,
        progress: &mut Progress,
    ) -> Result<(), PortError> {
        let destination = &configuration.destination;
        let sink = self.connector.connect(configuration, destination).await?;
        let head = seal::put(&sink, self.clock, lease, window.id.sequence, sealed, destination).await?;
        let record = RunRecord {
            sequence: window.id.sequence,
            revision: window.id.revision,
            from: window.from.timestamp(),
            to: sealed.end_block.timestamp(),
            gap: window.gap,
            started_at: window.started_at,
            ended_at: self.clock.now(),
            delivered: window.checkpoint,
            attempts: window.attempts,
        };
        let completion = Completion { cursor: sealed.end_block, head: head.clone(), record: record.clone() };
        self.runs.complete_window(lease, &completion).await?;
        log_window(lease, &record);
        state.cursor = sealed.end_block;
        state.next_sequence = window.id.sequence + 1;
        state.next_revision = 0;
        state.head = Some(head);
        state.window = None;
        progress.windows.push(record);
        progress.moved = true;
        Ok(())
    }

    fn retention_floor(&self) -> Timestamp {
        self.clock.now().saturating_sub(self.settings.retention)
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now().saturating_add(LEASE_DURATION)
    }
}

/// Delivers one object and assembles the next, unless that is in vain: nothing follows what was not delivered. There is no
/// memory for a third, but for some pages of it: they are read for as long as the delivery lasts.
async fn overlap(
    delivering: impl Future<Output = Result<Delivery, PortError>>,
    assembly: &Assembly<'_>,
    blocks: &mut BlockMerge<'_, impl BlockSource>,
    delivered: Checkpoint,
    spare: Option<BytesMut>,
) -> (Result<Delivery, PortError>, Result<Option<DataObject>, PortError>) {
    let mut delivering = pin!(delivering);
    let assembled = match select(delivering.as_mut(), pin!(assembly.next(blocks, delivered, spare))).await {
        Either::Left((Ok(Delivery::Done), assembling)) => return (Ok(Delivery::Done), assembling.await),
        Either::Left((undelivered, _)) => return (undelivered, Ok(None)),
        Either::Right((assembled, _)) => assembled,
    };
    match select(delivering, pin!(blocks.read_ahead())).await {
        Either::Left((delivered, _)) => (delivered, assembled),
        Either::Right(((), delivering)) => (delivering.await, assembled),
    }
}

/// A region's endpoint was there when the connection was tested: that it can't be reached now will pass.
fn unreachable_is_transient(error: PortError) -> PortError {
    match error.kind {
        ErrorKind::Customer(ConnectionFailure::EndpointUnreachable) => {
            PortError { kind: ErrorKind::Transient, ..error }
        }
        _ => error,
    }
}

/// At once, whatever becomes of the rest of the run.
fn log_window(lease: &Lease, record: &RunRecord) {
    let (tenant, configuration) = (&lease.key.tenant_id, &lease.key.configuration_id);
    let RunRecord { sequence, from, to, gap, delivered, .. } = record;
    tracing::info!(%tenant, %configuration, sequence, %from, %to, objects = delivered.objects, blocks = delivered.blocks,
        events = delivered.events, raw_bytes = delivered.raw_bytes, stored_bytes = delivered.stored_bytes,
        "a window was exported");
    if let Some(gap) = gap {
        tracing::error!(%tenant, %configuration, sequence, from = %gap.from, to = %gap.to, alarm = "RETENTION_GAP",
            "events were past their retention before they could be exported");
    }
}
