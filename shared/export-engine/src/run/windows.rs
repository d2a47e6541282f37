//! Exporting windows: plan, objects, digest, cursor.

use domain::{
    digest::GapReason,
    encoding::Encoding,
    export_run::{Plan, Window, WindowRecord},
    notice::gap::SignedGap,
    time::Timestamp,
};

use super::{engine::EnginePorts, leased_run::LeasedRun, losses::WindowCorruptBlocks, objects::ObjectsOutcome};
use crate::{
    alarms::RETENTION_GAP,
    connection_test::ConnectionTest,
    outage::as_passing,
    ports::{Completion, ConfigurationStore, Connector, Encoders, Lease, PortError, RunStore, SealedDigest},
    seal::{self, DigestDelivery},
};

/// The outcome of exporting windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WindowsOutcome {
    /// Everything that was asked for is exported.
    Done,
    /// The slice is over, or a person has edited the configuration and the rest is left to a run that reads the new one.
    Unfinished,
    /// Another function makes the encoding of the next window, or of the open one.
    Elsewhere,
}

/// The outcome of exporting one window.
enum WindowOutcome {
    Completed,
    /// Nothing of it was delivered: another window replaces it, from the same block on.
    Abandoned(Box<Plan>),
    /// The slice is over, or a person has edited the configuration.
    Interrupted,
}

/// The terms that new windows of a run share.
struct Terms {
    encoding: Encoding,
    encoder_version: u32,
    through: Timestamp,
    /// The earliest time that was just found must not be a gap a moment later.
    retention_floor: Timestamp,
}

impl<P: EnginePorts> LeasedRun<'_, P> {
    /// Exports the open window if there is one, then the rest up to `through`.
    pub(super) async fn export_through(&mut self, through: Timestamp) -> Result<WindowsOutcome, PortError> {
        let encoders = self.engine.encoders;
        let encoding = self.configuration.encoding();
        let Some(encoder_version) = encoders.current(&encoding) else {
            return Ok(WindowsOutcome::Elsewhere);
        };
        let terms = Terms { encoding, encoder_version, through, retention_floor: self.retention_floor() };
        let mut abandoned = None;
        loop {
            let Some(window) = self.next_window(&terms, &mut abandoned) else { return Ok(WindowsOutcome::Done) };
            if self.is_slice_over() {
                return Ok(WindowsOutcome::Unfinished);
            }
            // An open window keeps the encoding that it was begun with.
            if window.plan.encoding().is_some_and(|encoding| !encoders.makes(&encoding)) {
                return Ok(WindowsOutcome::Elsewhere);
            }
            match self.export_window(window).await? {
                WindowOutcome::Completed => {}
                WindowOutcome::Abandoned(plan) => abandoned = Some(*plan),
                WindowOutcome::Interrupted => return Ok(WindowsOutcome::Unfinished),
            }
        }
    }

    /// Returns the open window, else a new one. `None`: everything is exported.
    ///
    /// A new one takes the plan of the abandoned window that it replaces, and makes the same objects of the same blocks:
    /// if the destination was edited back, one of them may be in the bucket.
    fn next_window(&mut self, terms: &Terms, abandoned: &mut Option<Plan>) -> Option<Window> {
        let Terms { encoding, encoder_version, through, retention_floor } = terms;
        let (engine, configuration) = (self.engine, self.configuration);
        let new_plan = || Plan {
            destination: configuration.destination.clone(),
            encoder_version: *encoder_version,
            filter: encoding.filter.clone(),
            ocsf: encoding.ocsf.clone(),
            limits: engine.encoders.limits(encoding, engine.settings.limits),
        };
        let plan = || {
            let abandoned = abandoned.take().filter(|plan| plan.encoding().as_ref() == Some(encoding));
            Plan { destination: configuration.destination.clone(), ..abandoned.unwrap_or_else(new_plan) }
        };
        self.state.begin_at_earliest(configuration, *retention_floor);
        self.state.window_through(configuration, *through, *retention_floor, self.now(), plan)
    }

    /// Exports a window: its objects, then its digest, then the cursor.
    async fn export_window(&mut self, window: Window) -> Result<WindowOutcome, PortError> {
        let destination = &self.configuration.destination;
        let passing = |error| as_passing(error, &destination.site);
        let WindowCorruptBlocks { skipped, expected, is_announced } = self.corrupt_blocks(&window).await?;
        let window = if is_announced { window } else { window.skipping(skipped) };
        let (mut window, sealed) = self.take_up(window).await?;
        let (sealed, delivery) = if let Some(sealed) = sealed {
            (sealed, DigestDelivery::Repeated)
        } else {
            // Such a window ends with the objects that are in the bucket: the next one can't be made again, or the
            // destination was edited.
            let ends_here = is_announced || !window.plan.destination.is_same_place(destination);
            let delivered = if ends_here {
                ObjectsOutcome::Ended(window.delivered_end())
            } else {
                self.export_objects(&mut window, &expected).await.map_err(passing)?
            };
            let end = match delivered {
                ObjectsOutcome::Interrupted => return Ok(WindowOutcome::Interrupted),
                ObjectsOutcome::Ended(None) => return Ok(self.abandon(window)),
                ObjectsOutcome::Ended(Some(end)) => end,
            };
            // Nothing is signed for a deleted configuration, not even a window without objects.
            if self.is_edited().await? {
                return Ok(WindowOutcome::Interrupted);
            }
            let (runs, signer) = (self.engine.runs, self.engine.signer);
            let sealed = seal::seal(runs, signer, self.lease, &self.state, &window, end).await?;
            (sealed, DigestDelivery::First)
        };
        self.complete(&window, &sealed, delivery).await.map_err(passing)?;
        Ok(WindowOutcome::Completed)
    }

    /// Stores a window before anything of it is exported, and tests the connection if that is due. Returns it with the
    /// digest that an earlier run sealed, which stays as it is, and so does its end.
    async fn take_up(&mut self, window: Window) -> Result<(Window, Option<SealedDigest>), PortError> {
        if self.state.window.is_none() {
            self.test_connection_if_due().await?;
            self.store_window(&window).await?;
            return Ok((window, None));
        }
        // Stored before the connection test: a run that can't connect counts as an attempt as well.
        let window = window.taken_up_again();
        self.store_window(&window).await?;
        self.test_connection_if_due().await?;
        let sealed = self.engine.runs.digest(self.lease, window.id.sequence).await?;
        Ok((window, sealed))
    }

    fn abandon(&mut self, window: Window) -> WindowOutcome {
        self.state.cursor = window.from;
        self.state.next_revision = window.id.revision + 1;
        self.state.window = None;
        WindowOutcome::Abandoned(Box::new(window.plan))
    }

    async fn store_window(&mut self, window: &Window) -> Result<(), PortError> {
        self.engine.runs.store_window(self.lease, window).await?;
        self.state.window = Some(window.clone());
        Ok(())
    }

    /// Tests the connection unless that was done lately or something was just written. A success is stored at once, because
    /// the run may take long; a failure is stored at the end of the run.
    async fn test_connection_if_due(&self) -> Result<(), PortError> {
        if self.has_moved {
            return Ok(());
        }
        let (configurations, connector, clock) = (self.engine.configurations, self.engine.connector, self.engine.clock);
        ConnectionTest { configurations, connector, clock }.check_if_due(self.configuration).await
    }

    /// Puts the sealed digest into the bucket, then moves the cursor.
    async fn complete(
        &mut self,
        window: &Window,
        sealed: &SealedDigest,
        delivery: DigestDelivery,
    ) -> Result<(), PortError> {
        let (engine, lease) = (self.engine, self.lease);
        let destination = &self.configuration.destination;
        let sink = engine.connector.connect(self.configuration, destination).await?;
        let head = seal::put(&sink, engine.clock, lease, window.id.sequence, sealed, delivery, destination).await?;
        let record = WindowRecord {
            sequence: window.id.sequence,
            revision: window.id.revision,
            from: window.from.timestamp(),
            to: sealed.end_block.timestamp(),
            gap: window.gap,
            skipped: window.skipped.iter().copied().filter(|block| *block < sealed.end_block).collect(),
            started_at: window.started_at,
            ended_at: self.now(),
            delivered: window.checkpoint,
            attempts: window.attempts,
        };
        let expires_at = record.ended_at.saturating_add(engine.settings.history);
        // Nothing of an open window may expire, however long it stays open. So its intents get an expiry with the next one.
        if let Some(previous) = window.id.sequence.checked_sub(1) {
            engine.runs.expire_intents(lease, previous, expires_at).await?;
        }
        if let Some(gap) = SignedGap::of(&record) {
            engine.configurations.store_signed_gap(&lease.key, &gap).await?;
        }
        let completion =
            Completion { cursor: sealed.end_block, head: head.clone(), record: record.clone(), expires_at };
        engine.runs.complete_window(lease, &completion).await?;
        log_window(lease, &record);
        self.state.cursor = sealed.end_block;
        self.state.next_sequence = window.id.sequence + 1;
        self.state.next_revision = 0;
        self.state.head = Some(head);
        self.state.window = None;
        self.windows.push(record);
        self.has_moved = true;
        self.has_advanced = true;
        Ok(())
    }
}

/// Logs a completed window at once: the rest of the run may still fail.
fn log_window(lease: &Lease, record: &WindowRecord) {
    let (tenant, configuration) = (&lease.key.tenant_id, &lease.key.configuration_id);
    let WindowRecord { sequence, from, to, gap, delivered, .. } = record;
    tracing::info!(%tenant, %configuration, sequence, %from, %to, objects = delivered.objects, blocks = delivered.blocks,
        events = delivered.events, left_out = delivered.left_out, raw_bytes = delivered.raw_bytes, stored_bytes = delivered.stored_bytes,
        "a window was exported");
    // A gap from before the configuration was created needs no alarm.
    if let Some(gap) = gap.filter(|gap| gap.reason == GapReason::RetentionEnded) {
        tracing::error!(%tenant, %configuration, sequence, from = %gap.from, to = %gap.to, alarm = RETENTION_GAP,
            "events were past their retention before they could be exported");
    }
}
