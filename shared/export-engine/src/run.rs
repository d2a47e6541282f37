//! One export run: lease, window, objects, digest, cursor.

use std::{pin::pin, time::Duration};

use bytes::BytesMut;
use domain::{
    block::BlockId,
    circuit::{Admission, Circuit, PROBE_TIME},
    configuration::{Destination, ExportConfiguration},
    connection::{Connection, ConnectionFailure},
    digest::GapReason,
    export_run::{
        Checkpoint, HEARTBEAT, LEASE_DURATION, MAX_SKIPPED_BLOCKS, Plan, PlanLimits, RunRecord, RunRequest, RunState,
        RunTrigger, SLICE, Window,
    },
    gzip::EncoderVersion,
    policy::AccountScope,
    retention::RetentionHistory,
    time::Timestamp,
};
use futures::future::{Either, select};
use host::{Clock, Timer};

use crate::{
    CORRUPT_BLOCK, MAX_SHARED_CHANGES, RETENTION_GAP, RUN_CRASHED,
    connection_test::{ConnectionTest, TEST_VALIDITY, connection_after},
    merge::BlockMerge,
    object::{Assembly, DataObject},
    ports::{
        BlockSource, Completion, ConfigurationStore, Connector, ContentType, DigestSigner, ErrorKind, IntentAnswer,
        Lease, LeaseAnswer, LeaseRequest, ObjectSink, PortError, RegionCircuits, ReleaseAnswer, RunReport, RunStore,
        SealedDigest, ShareRequest, TenantShare, TenantShares,
    },
    retention::observe_retention,
    seal::{self, DigestDelivery},
    upload::{Upload, UploadShape, upload},
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
    /// The ID of the message that asked for it; the same each time that the message is received.
    pub message: &'a str,
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
    /// How long digests, intents and the records of windows are kept after their window was completed.
    pub history: Duration,
    /// How long around a change of the retention writers may have used either.
    pub deploy_margin: Duration,
    /// How many runs of one tenant, of each trigger, may go on at the same time.
    pub max_runs_per_tenant: u32,
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
    /// The slice is over, or a person asked for more meanwhile. `next` goes on where it ended and has to be queued; `None`:
    /// the request has had as many slices as it may have, and the rest is for the next slot.
    Paused { windows: Vec<RunRecord>, next: Option<RunRequest> },
    /// Nothing was done, and the request has to be queued again, to come back later: the tenant has no free share of the
    /// runs, or the Region does not answer.
    Deferred { reason: DeferralReason, next: RunRequest },
    /// Another run is at work and was asked to do this too.
    LeftToAnother,
    /// The configuration was deleted or is disabled.
    NotWanted,
    /// The customer has to change something, as the configuration says. `next` was asked for meanwhile and has to be queued.
    Refused { connection: Connection, next: Option<RunRequest> },
}

impl RunOutcome {
    /// The same outcome, after which a run through `later` has to be queued that a person asked for meanwhile.
    fn followed_by(self, request: &RunRequest, later: Timestamp) -> Self {
        let next = Some(RunRequest::new(request.key.clone(), later, RunTrigger::Manual));
        match self {
            Self::Exported(windows) => Self::Paused { windows, next },
            Self::LeftToAnother => Self::Paused { windows: Vec::new(), next },
            Self::Refused { connection, .. } => Self::Refused { connection, next },
            outcome @ (Self::Paused { .. } | Self::Deferred { .. } | Self::NotWanted) => outcome,
        }
    }
}

/// Why a run has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeferralReason {
    /// As many runs of the tenant go on as it may have.
    NoFreeShare,
    /// The circuit of the destination's Region is open.
    RegionUnreachable { until: Timestamp },
}

/// What one run knows and did so far.
#[derive(Debug, Default)]
struct Progress {
    /// The retentions under which blocks were written.
    retention: RetentionHistory,
    /// Whether other runs got no answer from the Region lately.
    is_region_suspected: bool,
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

/// The corrupt blocks that a window meets, in order.
#[derive(Debug, Default)]
struct CorruptBlocks {
    /// Left out with an operator's approval.
    skipped: Vec<BlockId>,
    /// Not approved: each has to be there, and sound.
    expected: Vec<BlockId>,
    /// Whether the write of an object with one of those that are left out was announced. Nobody can make that object any
    /// more, but it may be in the bucket: so the window ends before it, and the next one has objects of other names.
    is_announced: bool,
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
    R: RunStore + TenantShares + RegionCircuits,
    B: BlockSource,
    N: Connector,
    D: DigestSigner,
    K: Clock + Timer,
{
    /// Does what the request asks for, or finds it done.
    ///
    /// # Errors
    /// Transient: repeat the request later. Fenced: another run took over. Internal: repeat, and tell an operator.
    pub async fn run(&self, request: &RunRequest) -> Result<RunOutcome, PortError> {
        let now = self.clock.now();
        let settled = now.saturating_sub(self.settings.settle);
        if request.through > settled {
            let detail = format!("asked at {now} for an export through {}", request.through);
            return Err(PortError::transient("window not settled", detail));
        }
        let Some(configuration) = self.configurations.load(&request.key).await? else {
            return Ok(RunOutcome::NotWanted);
        };
        if !configuration.enabled {
            // Who asks again once it is enabled finds no run pending that has no message any more.
            if let Some(asked) = configuration.requested_through {
                self.clear_run_request(&configuration, asked).await;
            }
            return Ok(RunOutcome::NotWanted);
        }
        let share_request = ShareRequest {
            tenant: &request.key.tenant_id,
            trigger: request.trigger,
            shares: self.settings.max_runs_per_tenant,
            holder: self.holder,
            now,
            expires_at: self.lease_end(),
        };
        let Some(share) = self.runs.take_share(&share_request).await? else {
            let next = request.clone().deferred();
            return Ok(RunOutcome::Deferred { reason: DeferralReason::NoFreeShare, next });
        };
        // A person may have asked again since the message was sent.
        let asked_through = configuration.requested_through.filter(|through| *through <= settled);
        let through = asked_through.map_or(request.through, |asked| asked.max(request.through));
        let request = RunRequest { through, ..request.clone() };
        let outcome = self.run_in_share(&share, &configuration, &request).await;
        if let Err(error) = self.runs.return_share(&share).await {
            tracing::warn!(%error, "the tenant's share was not returned; it expires");
        }
        let is_answered =
            matches!(outcome, Ok(RunOutcome::Exported(_) | RunOutcome::LeftToAnother | RunOutcome::Refused { .. }));
        if !is_answered || configuration.requested_through.is_none() {
            return outcome;
        }
        match self.clear_run_request(&configuration, through).await {
            None => outcome,
            // Its message was this one's.
            Some(later) => outcome.map(|outcome| outcome.followed_by(&request, later)),
        }
    }

    /// Clears the request for a run up to `through`. Returns through when a later one was made meanwhile. A failure is only
    /// logged: the request expires.
    async fn clear_run_request(&self, configuration: &ExportConfiguration, through: Timestamp) -> Option<Timestamp> {
        let cleared = self.configurations.clear_run_request(&configuration.key, through).await;
        cleared.unwrap_or_else(|error| {
            tracing::warn!(%error, "the request for a run was not cleared; it expires");
            None
        })
    }

    async fn run_in_share(
        &self,
        share: &TenantShare,
        configuration: &ExportConfiguration,
        request: &RunRequest,
    ) -> Result<RunOutcome, PortError> {
        let Some((lease, state)) = self.acquire_lease(configuration, request.through).await? else {
            return Ok(RunOutcome::LeftToAnother);
        };
        let work = pin!(self.run_leased(&lease, state, configuration, request));
        let heart = pin!(self.keep_lease(&lease, share));
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
            let request = LeaseRequest {
                holder: self.holder,
                message: self.message,
                now: self.clock.now(),
                expires_at: self.lease_end(),
            };
            match self.runs.acquire_lease(key, &initial, &request).await? {
                LeaseAnswer::Granted { lease, state, was_abandoned } => {
                    if was_abandoned {
                        tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id,
                            alarm = RUN_CRASHED, "the run before never let go of its lease");
                    }
                    return Ok(Some((lease, *state)));
                }
                // That run may be dead already. If this one left the work to it, nobody would ask again.
                LeaseAnswer::Held { is_same_message: true, .. } => {
                    return Err(PortError::transient("acquire lease", "an earlier run of the same message holds it"));
                }
                LeaseAnswer::Held { fencing_token, is_same_message: false } => {
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
    async fn keep_lease(&self, lease: &Lease, share: &TenantShare) -> PortError {
        loop {
            self.clock.sleep(HEARTBEAT).await;
            if let Err(error) = self.runs.renew_share(share, self.lease_end()).await {
                tracing::warn!(%error, "the tenant's share was not renewed this time");
            }
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
        let pause_at = self.clock.now().saturating_add(SLICE).min(self.deadline);
        let mut request = request.clone();
        request.through = state.rerun_through.map_or(request.through, |noted| noted.max(request.through));
        let retention = match observe_retention(self.runs, self.settings.retention, self.clock).await {
            Ok(retention) => retention,
            Err(error) => {
                let mut progress = Progress::default();
                return self.fail(lease, &state, configuration, &request, &mut progress, error).await;
            }
        };
        let mut progress = Progress { retention, ..Progress::default() };
        state.begin_at_earliest(configuration, self.retention_floor(&progress));
        match self.admission(configuration, &mut progress).await {
            Ok(None) => {}
            Ok(Some(until)) => {
                self.record_lost(lease, &state, configuration, &progress).await;
                self.runs.hand_over(lease).await?;
                let reason = DeferralReason::RegionUnreachable { until };
                return Ok(RunOutcome::Deferred { reason, next: request.deferred() });
            }
            Err(error) => return self.fail(lease, &state, configuration, &request, &mut progress, error).await,
        }
        loop {
            let through = request.through;
            let stop =
                match self.export_through(lease, &mut state, configuration, through, pause_at, &mut progress).await {
                    Ok(stop) => stop,
                    Err(error) => return self.fail(lease, &state, configuration, &request, &mut progress, error).await,
                };
            // Before the lease goes: whoever repeats a run that could not tell how it ended finds nothing left to do.
            if let Err(error) = self.report(configuration, &state, &progress, Ok(())).await {
                return self.fail(lease, &state, configuration, &request, &mut progress, error).await;
            }
            if progress.moved {
                self.note_reached(configuration, &mut progress).await;
            }
            if stop == Stop::Unfinished {
                self.runs.hand_over(lease).await?;
                return Ok(RunOutcome::Paused { windows: progress.windows, next: request.continued(through) });
            }
            match self.runs.release(lease, state.exported_through()).await? {
                ReleaseAnswer::Rerun { through: asked } => request.through = through.max(asked),
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
        request: &RunRequest,
        progress: &mut Progress,
        error: PortError,
    ) -> Result<RunOutcome, PortError> {
        match error.kind {
            ErrorKind::Fenced => return Err(error),
            ErrorKind::Unreachable | ErrorKind::Customer(ConnectionFailure::EndpointUnreachable) => {
                self.note_unreachable(configuration).await;
            }
            ErrorKind::Customer(_) => self.note_reached(configuration, progress).await,
            ErrorKind::CorruptBlock(block) => self.record_corrupt_block(configuration, block).await,
            ErrorKind::Transient | ErrorKind::Internal => {}
        }
        self.record_lost(lease, state, configuration, progress).await;
        let scope = AccountScope::of(&configuration.destination, configuration.writer_account());
        let connection = connection_after(Err(error), configuration, scope, self.clock.now());
        let noted = self.runs.hand_over(lease).await?;
        match connection {
            Ok(connection) => {
                self.report(configuration, state, progress, Err(Some(&connection))).await?;
                // Whoever asked while this run was failing may have mended what it failed at.
                let noted = noted.filter(|noted| *noted > request.through);
                let next = noted.map(|through| RunRequest { through, slices: 0, deferrals: 0, ..request.clone() });
                Ok(RunOutcome::Refused { connection, next })
            }
            Err(error) => {
                // The error itself is what has to be told; that it could not be noted is not.
                if let Err(second) = self.report(configuration, state, progress, Err(None)).await {
                    tracing::warn!(error = %second, "the failure was not noted on the configuration");
                }
                Err(error)
            }
        }
    }

    /// Stores on the configuration how the run ended: `Err(None)` is a failure that is not the customer's.
    async fn report(
        &self,
        configuration: &ExportConfiguration,
        state: &RunState,
        progress: &Progress,
        outcome: Result<(), Option<&Connection>>,
    ) -> Result<(), PortError> {
        let report = RunReport {
            ended_at: self.clock.now(),
            exported_through: state.head.as_ref().map(|_| state.exported_through()),
            has_exported: state.has_exported(&configuration.progress, progress.windows.len()),
            has_failed: outcome.is_err(),
        };
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
        let retention_floor = self.retention_floor(progress);
        // What takes the place of a window that was given up makes the same objects of the same blocks: one of them may be in
        // the bucket, if the destination was edited back.
        let mut given_up: Option<Plan> = None;
        loop {
            state.begin_at_earliest(configuration, retention_floor);
            let now = self.clock.now();
            let plan = || Plan {
                destination: destination.clone(),
                ..given_up.take().unwrap_or_else(|| self.plan(destination))
            };
            let Some(mut window) = state.window_through(configuration, through, retention_floor, now, plan) else {
                return Ok(Stop::Done);
            };
            if progress.moved && now >= pause_at {
                return Ok(Stop::Unfinished);
            }
            let corrupt = self.corrupt_blocks(lease, &window).await?;
            if !corrupt.is_announced {
                window = window.skipping(corrupt.skipped);
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
            } else if corrupt.is_announced {
                window.delivered_end()
            } else if window.plan.destination == *destination {
                let expected = &corrupt.expected;
                let exported =
                    self.export_objects(lease, &mut window, configuration, expected, pause_at, progress).await;
                match exported.map_err(reached_before)? {
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
                given_up = Some(window.plan);
                continue;
            };
            let delivery = if sealed.is_some() { DigestDelivery::Repeated } else { DigestDelivery::First };
            let sealed = match sealed {
                Some(sealed) => sealed,
                // Of a deleted configuration nothing is signed any more, in a window without objects neither.
                None if self.is_edited(configuration).await? => return Ok(Stop::Unfinished),
                None => seal::seal(self.runs, self.signer, lease, state, &window, end).await?,
            };
            let completed = self.complete(lease, state, &window, (&sealed, delivery), configuration, progress).await;
            completed.map_err(reached_before)?;
        }
    }

    fn plan(&self, destination: &Destination) -> Plan {
        Plan {
            destination: destination.clone(),
            encoder_version: self.settings.encoder_version.number(),
            limits: self.settings.limits,
        }
    }

    /// The corrupt blocks among those that the window has left.
    async fn corrupt_blocks(&self, lease: &Lease, window: &Window) -> Result<CorruptBlocks, PortError> {
        let range = window.remaining();
        let known = self.runs.corrupt_blocks(&lease.key.tenant_id).await?;
        let left =
            known.into_iter().filter(|known| range.contains(known.block) && !window.skipped.contains(&known.block));
        let (approved, expected): (Vec<_>, Vec<_>) = left.partition(|known| known.is_skip_approved);
        let mut corrupt = CorruptBlocks {
            skipped: approved.into_iter().map(|known| known.block).collect(),
            expected: expected.into_iter().map(|known| known.block).collect(),
            is_announced: false,
        };
        if corrupt.skipped.is_empty() {
            return Ok(corrupt);
        }
        let intents = self.runs.intents(lease, window.id).await?;
        corrupt.is_announced = intents.iter().any(|intent| {
            corrupt.skipped.iter().any(|block| intent.first_block <= *block && *block <= intent.last_block)
        });
        if window.skipped.len() + corrupt.skipped.len() > MAX_SKIPPED_BLOCKS {
            let detail =
                format!("more than {MAX_SKIPPED_BLOCKS} corrupt blocks in one window: restore the events table");
            return Err(PortError::internal(CORRUPT_BLOCK, detail));
        }
        Ok(corrupt)
    }

    /// What was found corrupt stays known, so that it can't be removed unseen. A failure to record it delays no export.
    async fn record_corrupt_block(&self, configuration: &ExportConfiguration, block: BlockId) {
        let found_at = self.clock.now();
        let expires_at = found_at.saturating_add(self.settings.retention + self.settings.grace);
        let tenant = &configuration.key.tenant_id;
        if let Err(error) = self.runs.record_corrupt_block(tenant, block, found_at, expires_at).await {
            tracing::warn!(%error, %block, "a corrupt block was not recorded");
        }
    }

    /// What is lost is recorded when it happens, for the gap that the next window signs. A failure to record it is made up for
    /// by the next run.
    async fn record_lost(
        &self,
        lease: &Lease,
        state: &RunState,
        configuration: &ExportConfiguration,
        progress: &Progress,
    ) {
        let floor = self.retention_floor(progress);
        let Some(gap) = state.lost(configuration, floor, self.grace_floor(progress)) else { return };
        let key = &configuration.key;
        if state.begins_loss(&gap) {
            tracing::error!(tenant = %key.tenant_id, configuration = %key.configuration_id, from = %gap.from, to = %gap.to,
                alarm = RETENTION_GAP, "events are past their retention, and the export fails");
        } else {
            tracing::warn!(tenant = %key.tenant_id, configuration = %key.configuration_id, from = %gap.from, to = %gap.to,
                "more events are past their retention, and the export still fails");
        }
        if state.lost_through < Some(gap.to)
            && let Err(error) = self.runs.record_lost(lease, gap.to).await
        {
            tracing::warn!(%error, "what is lost was not recorded this time");
        }
    }

    /// Until when the run has to wait for the Region. `None`: it may go on.
    async fn admission(
        &self,
        configuration: &ExportConfiguration,
        progress: &mut Progress,
    ) -> Result<Option<Timestamp>, PortError> {
        let region = &configuration.destination.region;
        let Some(circuit) = self.runs.circuit(region).await? else { return Ok(None) };
        progress.is_region_suspected = true;
        let now = self.clock.now();
        match circuit.admission(now) {
            Admission::Admitted => Ok(None),
            Admission::Closed { until } => Ok(Some(until)),
            Admission::Probe(probed) => {
                let is_first = self.runs.replace_circuit(region, Some(&circuit), Some(&probed)).await?;
                Ok((!is_first).then(|| now.saturating_add(PROBE_TIME)))
            }
        }
    }

    /// Notes for the other runs that the Region did not answer. A failure to do so is only logged: they find out by
    /// themselves.
    async fn note_unreachable(&self, configuration: &ExportConfiguration) {
        let (region, tenant) = (&configuration.destination.region, &configuration.key.tenant_id);
        for _ in 0..MAX_SHARED_CHANGES {
            let noted = async {
                let current = self.runs.circuit(region).await?;
                let Some(next) = Circuit::after_failure(current.as_ref(), tenant, self.clock.now()) else {
                    return Ok(true);
                };
                self.runs.replace_circuit(region, current.as_ref(), Some(&next)).await
            };
            match noted.await {
                Ok(true) => return,
                Ok(false) => {}
                Err::<_, PortError>(error) => return tracing::warn!(%error, %region, "the circuit was not changed"),
            }
        }
    }

    /// Closes the circuit of a Region that answered. A failure to do so is only logged: the next run that gets an answer
    /// does it.
    async fn note_reached(&self, configuration: &ExportConfiguration, progress: &mut Progress) {
        if !std::mem::take(&mut progress.is_region_suspected) {
            return;
        }
        let region = &configuration.destination.region;
        let closed = async {
            match self.runs.circuit(region).await? {
                Some(circuit) => self.runs.replace_circuit(region, Some(&circuit), None).await.map(|_| ()),
                None => Ok(()),
            }
        };
        if let Err::<_, PortError>(error) = closed.await {
            tracing::warn!(%error, %region, "the circuit was not closed");
        }
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
        expected: &[BlockId],
        pause_at: Timestamp,
        progress: &mut Progress,
    ) -> Result<Result<Option<BlockId>, Stop>, PortError> {
        let range = window.remaining();
        if range.is_empty() {
            return Ok(Ok(Some(window.to)));
        }
        let is_stale = window.is_stale(self.grace_floor(progress));
        let intended = if is_stale { Some(self.runs.intents(lease, window.id).await?) } else { None };
        let plan = window.plan.clone();
        let Some(encoder_version) = EncoderVersion::from_number(plan.encoder_version) else {
            let detail = format!("the window was planned with encoder {}", plan.encoder_version);
            return Err(PortError::internal("encode objects", detail));
        };
        let sink = self.connector.connect(configuration, &plan.destination).await?;
        let skipped = window.skipped.clone();
        // What may have been deleted by time to live has not been removed by anybody.
        let expected = if is_stale { &[] } else { expected };
        let mut blocks =
            BlockMerge::new(self.blocks, &lease.key.tenant_id, range).with_corrupt_blocks(&skipped, expected);
        let assembly = Assembly { key: &lease.key, plan: &plan, encoder_version, skipped: &skipped };
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
                content_type: ContentType::Gzip,
            },
        )
        .await?;
        if intended == IntentAnswer::New {
            outcome.alarm_if_foreign(&lease.key, &description.key);
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
        (sealed, delivery): (&SealedDigest, DigestDelivery),
        configuration: &ExportConfiguration,
        progress: &mut Progress,
    ) -> Result<(), PortError> {
        let destination = &configuration.destination;
        let sink = self.connector.connect(configuration, destination).await?;
        let head = seal::put(&sink, self.clock, lease, window.id.sequence, sealed, delivery, destination).await?;
        let record = RunRecord {
            sequence: window.id.sequence,
            revision: window.id.revision,
            from: window.from.timestamp(),
            to: sealed.end_block.timestamp(),
            gap: window.gap,
            skipped: window.skipped.iter().copied().filter(|block| *block < sealed.end_block).collect(),
            started_at: window.started_at,
            ended_at: self.clock.now(),
            delivered: window.checkpoint,
            attempts: window.attempts,
        };
        let expires_at = record.ended_at.saturating_add(self.settings.history);
        // Nothing of an open window may expire, however long it stays open: so its intents wait for the next one.
        if let Some(previous) = window.id.sequence.checked_sub(1) {
            self.runs.expire_intents(lease, previous, expires_at).await?;
        }
        let completion =
            Completion { cursor: sealed.end_block, head: head.clone(), record: record.clone(), expires_at };
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

    /// From then on every block that was written is within its retention.
    fn retention_floor(&self, progress: &Progress) -> Timestamp {
        progress.retention.floor(self.clock.now(), self.settings.deploy_margin)
    }

    /// From then on every block that was written is still in the table.
    fn grace_floor(&self, progress: &Progress) -> Timestamp {
        let now = self.clock.now().saturating_sub(self.settings.grace);
        progress.retention.floor(now, self.settings.deploy_margin)
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

/// A Region's endpoint was there when the connection was tested: that it can't be reached now will pass.
fn reached_before(error: PortError) -> PortError {
    match error.kind {
        ErrorKind::Customer(ConnectionFailure::EndpointUnreachable) => {
            PortError { kind: ErrorKind::Unreachable, ..error }
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
    // What was lost before the configuration was made is nobody's to mend.
    if let Some(gap) = gap.filter(|gap| gap.reason == GapReason::RetentionEnded) {
        tracing::error!(%tenant, %configuration, sequence, from = %gap.from, to = %gap.to, alarm = RETENTION_GAP,
            "events were past their retention before they could be exported");
    }
}
