//! Exporting windows: plan, objects, digest, cursor.

use domain::{
    digest::GapReason,
    encoding::Encoding,
    export_run::{Plan, Window, WindowRecord},
    notice::gap::SignedGap,
    time::Timestamp,
};

use super::{engine::EnginePorts, leased_run::LeasedRun, objects::ObjectsOutcome};
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

impl<P: EnginePorts> LeasedRun<'_, P> {
    /// Exports the open window if there is one, then the rest up to `through`.
    pub(super) async fn export_through(&mut self, through: Timestamp) -> Result<WindowsOutcome, PortError> {
        let (runs, configuration) = (self.engine.runs, self.configuration);
        let destination = &configuration.destination;
        let passing = |error| as_passing(error, &destination.site);
        let (encoders, encoding) = (self.engine.encoders, configuration.encoding());
        let Some(encoder_version) = encoders.current(&encoding) else {
            return Ok(WindowsOutcome::Elsewhere);
        };
        // One floor for all windows of the loop: the earliest time that was just found must not be a gap a moment later.
        let retention_floor = self.retention_floor();
        // The window that replaces an abandoned one makes the same objects of the same blocks: if the destination was edited
        // back, one of them may be in the bucket.
        let mut abandoned: Option<Plan> = None;
        loop {
            self.state.begin_at_earliest(configuration, retention_floor);
            let limits = encoders.limits(&encoding, self.engine.settings.limits);
            let Encoding { filter, ocsf, .. } = &encoding;
            let new_plan = || Plan {
                destination: destination.clone(),
                encoder_version,
                filter: filter.clone(),
                ocsf: ocsf.clone(),
                limits,
            };
            let plan = || {
                let abandoned = abandoned.take().filter(|plan| plan.encoding().as_ref() == Some(&encoding));
                Plan { destination: destination.clone(), ..abandoned.unwrap_or_else(new_plan) }
            };
            let now = self.now();
            let Some(mut window) = self.state.window_through(configuration, through, retention_floor, now, plan) else {
                return Ok(WindowsOutcome::Done);
            };
            if self.is_slice_over() {
                return Ok(WindowsOutcome::Unfinished);
            }
            // An open window keeps the encoding that it was begun with.
            if window.plan.encoding().is_some_and(|encoding| !encoders.makes(&encoding)) {
                return Ok(WindowsOutcome::Elsewhere);
            }
            let corrupt = self.corrupt_blocks(&window).await?;
            if !corrupt.is_announced {
                window = window.skipping(corrupt.skipped);
            }
            // Stored before the connection test: a run that can't connect counts as an attempt as well.
            let is_resumed = self.state.window.is_some();
            if is_resumed {
                window = window.taken_up_again();
                self.store_window(&window).await?;
            }
            self.test_connection_if_due().await?;
            // A digest that an earlier run sealed stays as it is, and so does its end.
            let sealed = if is_resumed {
                runs.digest(self.lease, window.id.sequence).await?
            } else {
                self.store_window(&window).await?;
                None
            };
            let end = if let Some(sealed) = &sealed {
                Some(sealed.end_block)
            } else if corrupt.is_announced {
                window.delivered_end()
            } else if window.plan.destination.is_same_place(destination) {
                match self.export_objects(&mut window, &corrupt.expected).await.map_err(passing)? {
                    ObjectsOutcome::Ended(end) => end,
                    ObjectsOutcome::Interrupted => return Ok(WindowsOutcome::Unfinished),
                }
            } else {
                // The destination was edited: the window ends with the objects in the old one.
                window.delivered_end()
            };
            let Some(end) = end else {
                // Nothing of it was delivered: another window replaces it, from the same block on.
                self.state.cursor = window.from;
                self.state.next_revision = window.id.revision + 1;
                self.state.window = None;
                abandoned = Some(window.plan);
                continue;
            };
            let (sealed, delivery) = match sealed {
                Some(sealed) => (sealed, DigestDelivery::Repeated),
                // Nothing is signed for a deleted configuration, not even a window without objects.
                None if self.is_edited().await? => return Ok(WindowsOutcome::Unfinished),
                None => {
                    let signer = self.engine.signer;
                    let sealed = seal::seal(runs, signer, self.lease, &self.state, &window, end).await?;
                    (sealed, DigestDelivery::First)
                }
            };
            self.complete(&window, &sealed, delivery).await.map_err(passing)?;
        }
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
