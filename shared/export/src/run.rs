//! One export run: lease, window, objects, cursor.

use std::time::Duration;

use domain::{
    configuration::ExportConfiguration,
    connection::Connection,
    export_run::{LEASE_DURATION, RunRecord, RunRequest, RunState, Window},
    time::Timestamp,
};

use crate::{
    connection_test::{ConnectionTest, TEST_VALIDITY, connection_after},
    merge::BlockMerge,
    object::{DataObject, assemble_next},
    ports::{
        BlockSource, Clock, ConfigurationStore, Connector, ErrorKind, Intent, IntentAnswer, Lease, LeaseAnswer,
        LeaseRequest, ObjectSink, PortError, ReleaseAnswer, RunStore, WriteCondition,
    },
    upload::{Upload, UploadShape, Uploaded, upload},
};

/// How often a run asks again for a lease whose holder let go in between.
const MAX_LEASE_REQUESTS: u32 = 3;

/// How many windows one run may export, one after the other, because others asked it to go on.
const MAX_WINDOWS: u32 = 16;

/// The engine, over its ports.
#[derive(Clone, Copy, Debug)]
pub struct ExportEngine<'a, S, R, B, N, K> {
    pub configurations: &'a S,
    pub runs: &'a R,
    pub blocks: &'a B,
    pub connector: &'a N,
    pub clock: &'a K,
    pub settings: EngineSettings,
    /// Who runs it: one invocation of the exporter.
    pub holder: &'a str,
}

/// What the operator chose.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How long after its receipt an event's block is sure to be readable.
    pub settle: Duration,
    /// How long after its receipt an event can be exported.
    pub retention: Duration,
}

/// How a run ended well: nothing of it has to be done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Windows that are now in the bucket, oldest first.
    Exported(Vec<RunRecord>),
    /// All that was asked for had been exported before.
    UpToDate,
    /// Another run is at work and was asked to do this too.
    LeftToAnother,
    /// The configuration was deleted or is disabled.
    NotWanted,
    /// The customer has to change something; the configuration tells what.
    Refused(Connection),
}

impl<S, R, B, N, K> ExportEngine<'_, S, R, B, N, K>
where
    S: ConfigurationStore,
    R: RunStore,
    B: BlockSource,
    N: Connector,
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
        self.run_leased(&lease, state, &configuration, request.through).await
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

    async fn run_leased(
        &self,
        lease: &Lease,
        mut state: RunState,
        configuration: &ExportConfiguration,
        mut through: Timestamp,
    ) -> Result<RunOutcome, PortError> {
        let mut records = Vec::new();
        for _ in 0..MAX_WINDOWS {
            let outcome = self.export_through(lease, &mut state, configuration, through, &mut records).await;
            if let Err(error) = outcome {
                return self.stop_at(lease, &state, configuration, error).await;
            }
            match self.runs.release(lease, state.exported_through).await? {
                ReleaseAnswer::Rerun { through: asked } if asked > state.exported_through => through = asked,
                ReleaseAnswer::Rerun { .. } | ReleaseAnswer::Released if records.is_empty() => {
                    return Ok(RunOutcome::UpToDate);
                }
                ReleaseAnswer::Rerun { .. } | ReleaseAnswer::Released => {
                    let success = Connection::Success { checked_at: self.clock.now() };
                    self.configurations.store_connection(&lease.key, configuration.version, &success).await?;
                    return Ok(RunOutcome::Exported(records));
                }
            }
        }
        Err(PortError::transient("export", format!("{MAX_WINDOWS} windows in one run; the next run goes on")))
    }

    /// The customer's errors end the run and are told; all others bring the request back.
    async fn stop_at(
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
        // Whoever asked meanwhile would meet the same error: the next slot asks again.
        self.runs.release(lease, Timestamp::MAX).await?;
        let connection = connection?;
        tracing::info!(exported_through = %state.exported_through, "the run stopped");
        self.configurations.store_connection(&lease.key, configuration.version, &connection).await?;
        Ok(RunOutcome::Refused(connection))
    }

    /// First the window that was begun, if there is one; then what is left up to `through`.
    async fn export_through(
        &self,
        lease: &Lease,
        state: &mut RunState,
        configuration: &ExportConfiguration,
        through: Timestamp,
        records: &mut Vec<RunRecord>,
    ) -> Result<(), PortError> {
        let retention_floor = self.clock.now().saturating_sub(self.settings.retention);
        let destination = &configuration.destination;
        while let Some(window) = state.window_through(through, retention_floor, self.clock.now(), destination) {
            if self.needs_test(configuration) {
                self.test(configuration).await?;
            }
            let is_new = state.window.is_none();
            if is_new {
                self.runs.store_window(lease, &window, self.lease_end()).await?;
            }
            let record = self.export_window(lease, window, configuration).await?;
            self.runs.complete_window(lease, &record, self.lease_end()).await?;
            state.exported_through = record.to;
            state.window = None;
            records.push(record);
        }
        Ok(())
    }

    fn needs_test(&self, configuration: &ExportConfiguration) -> bool {
        match configuration.connection {
            Connection::Success { checked_at } => self.clock.now().saturating_since(checked_at) > TEST_VALIDITY,
            Connection::Pending | Connection::Failed { .. } => true,
        }
    }

    async fn test(&self, configuration: &ExportConfiguration) -> Result<(), PortError> {
        let test = ConnectionTest { configurations: self.configurations, connector: self.connector, clock: self.clock };
        test.check(configuration).await
    }

    /// Assembles each object while the one before it is on its way.
    async fn export_window(
        &self,
        lease: &Lease,
        mut window: Window,
        configuration: &ExportConfiguration,
    ) -> Result<RunRecord, PortError> {
        let sink = self.connector.connect(configuration, &window.plan.destination).await?;
        let plan = window.plan.clone();
        let mut blocks = BlockMerge::new(self.blocks, &lease.key.tenant_id, window.remaining());
        let mut ready = assemble_next(&mut blocks, &lease.key, &plan, window.checkpoint).await?;
        while let Some(object) = ready {
            let (delivered, following) = futures::future::join(
                self.deliver(lease, &mut window, &object, &sink),
                assemble_next(&mut blocks, &lease.key, &plan, object.checkpoint),
            )
            .await;
            delivered?;
            ready = following?;
        }
        Ok(RunRecord {
            from: window.from,
            to: window.to,
            started_at: window.started_at,
            ended_at: self.clock.now(),
            delivered: window.checkpoint,
        })
    }

    /// Intent, object, checkpoint: in this order, so that after a crash at any point the object is either known to be ours
    /// or was never there.
    async fn deliver(
        &self,
        lease: &Lease,
        window: &mut Window,
        object: &DataObject,
        sink: &impl ObjectSink,
    ) -> Result<(), PortError> {
        let intent = Intent { object_key: object.key.clone(), sha256: object.sha256 };
        let intended = self.runs.store_intent(lease, &intent, self.lease_end()).await?;
        if let IntentAnswer::Known(earlier) = &intended
            && earlier.sha256 != intent.sha256
        {
            let detail = format!("{} would get other bytes than it was meant to have", object.key);
            return Err(PortError::internal("object differs from its intent", detail));
        }
        let part_size = usize::try_from(window.plan.part_size).unwrap_or(usize::MAX);
        let outcome = upload(
            sink,
            self.clock,
            &Upload {
                key: &object.key,
                bytes: object.bytes.clone(),
                sha256: object.sha256,
                shape: UploadShape::for_length(object.bytes.len(), part_size),
                condition: WriteCondition::Absent,
            },
        )
        .await?;
        if outcome == Uploaded::Existed && intended == IntentAnswer::New {
            // The answer to the first request was lost and the client repeated it.
            tracing::warn!(object_key = object.key, "the object was there at the first attempt that we know of");
        }
        window.checkpoint = object.checkpoint;
        self.runs.store_window(lease, window, self.lease_end()).await
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now().saturating_add(LEASE_DURATION)
    }
}
