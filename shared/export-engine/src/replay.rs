//! Replays: a past period is exported again, by the same engine, as an export of its own.
//!
//! The engine works with the replay's own key, destination and state. [`ReplayConfigurations`] provides its configuration, and
//! what a run reports goes to the record of the replay, never to the configuration whose period is exported again.

use std::{marker::PhantomData, time::Duration};

use domain::{
    configuration::{ConfigurationKey, ExportConfiguration, arn::UserArn},
    connection::{Connection, ConnectionError},
    export_run::{RunRequest, RunTrigger, WindowRecord},
    notice::gap::SignedGap,
    replay::{Replay, ReplayEnd, ReplayError, ReplayMessage, ReplayState, ReplayTest},
    time::Timestamp,
};
use host::Clock;

use crate::{
    ports::{ConfigurationStore, PortError, ReplayChange, ReplayStore, RunReport},
    run::{DeferralReason, EnginePorts, EngineSettings, ExportEngine, RunOutcome},
};

/// The outcome of a run of a replay that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// The whole period is in the bucket. The windows are those of this run.
    Succeeded(Vec<WindowRecord>),
    /// The slice is over: the message has to be queued again.
    Paused,
    /// Another function makes the format: the message has to be queued for it.
    Elsewhere,
    /// Nothing was done: the message has to be queued again, with a delay.
    Deferred(DeferralReason),
    /// Another run holds the lease. The message has to be queued again, with a delay: no slot of a schedule follows if that run
    /// fails and its own message is gone.
    LeftToAnother,
    /// The replay has ended or was requested again since the message was sent, or it or its configuration was deleted.
    NotWanted,
    /// The replay has ended with a failure, which its record says.
    Failed(ReplayError),
}

impl<P: EnginePorts> ExportEngine<'_, P> {
    /// Continues a replay for one slice. The engine's store of runs has to be the one of the replay.
    ///
    /// A message of an earlier attempt does nothing: each request for the replay sends a message, and only the messages of the
    /// last one follow each other.
    ///
    /// Unlike a slot, a replay has no number of slices: it continues until it has ended, within
    /// [`domain::replay::MAX_REPLAY_DURATION`].
    ///
    /// # Errors
    /// As [`ExportEngine::run`].
    pub async fn replay(&self, store: &impl ReplayStore, message: &ReplayMessage) -> Result<ReplayOutcome, PortError> {
        let Some(replay) = store.load_replay(&message.replay).await? else { return Ok(ReplayOutcome::NotWanted) };
        if replay.has_ended() || replay.attempt != message.attempt {
            return Ok(ReplayOutcome::NotWanted);
        }
        let now = self.clock.now();
        let expires_at = Replay::kept_until(now, self.settings.history);
        if now >= replay.deadline() {
            let error = ReplayError::timed_out(replay.progress.exported_through);
            let end = ReplayEnd::Failed(error.clone());
            store.change_replay(&replay, &ReplayChange::Ended { at: now, end }, expires_at).await?;
            return Ok(ReplayOutcome::Failed(error));
        }
        if replay.state == ReplayState::Pending {
            store.change_replay(&replay, &ReplayChange::Started { at: now }, expires_at).await?;
        }
        let request = RunRequest::new(replay.key.export(), replay.period.to, RunTrigger::Manual);
        Ok(match self.run_of_replay(store, &replay, &request).await? {
            RunOutcome::Paused { .. } => ReplayOutcome::Paused,
            RunOutcome::Elsewhere { .. } => ReplayOutcome::Elsewhere,
            RunOutcome::Deferred { reason, .. } => ReplayOutcome::Deferred(reason),
            RunOutcome::LeftToAnother => ReplayOutcome::LeftToAnother,
            RunOutcome::Exported(windows) => {
                let ended = ReplayChange::Ended { at: self.clock.now(), end: ReplayEnd::Succeeded };
                store.change_replay(&replay, &ended, expires_at).await?;
                ReplayOutcome::Succeeded(windows)
            }
            RunOutcome::NotWanted => ReplayOutcome::NotWanted,
            RunOutcome::Refused { connection, .. } => {
                let failed = connection.error().map(|error| failure(&replay, error));
                failed.map_or(ReplayOutcome::NotWanted, ReplayOutcome::Failed)
            }
        })
    }

    async fn run_of_replay(
        &self,
        store: &impl ReplayStore,
        replay: &Replay,
        request: &RunRequest,
    ) -> Result<RunOutcome, PortError> {
        let history = self.settings.history;
        let configurations = ReplayConfigurations { configurations: self.configurations, store, replay, history };
        let engine = ExportEngine::<ReplayPorts<'_, P, _>> {
            configurations: &configurations,
            runs: self.runs,
            blocks: self.blocks,
            connector: self.connector,
            signer: self.signer,
            encoders: self.encoders,
            clock: self.clock,
            settings: EngineSettings { retention_at: Some(replay.requested_at), ..self.settings },
            holder: self.holder,
            message: self.message,
            deadline: self.deadline,
        };
        engine.run(request).await
    }
}

fn failure(replay: &Replay, error: &ConnectionError) -> ReplayError {
    ReplayError::of_connection(error.clone(), replay.destination.bucket_path.as_ref())
}

/// The ports of a run of a replay: those of the engine, with other configurations.
struct ReplayPorts<'a, P, S>(PhantomData<(&'a S, P)>);

impl<'a, P, S> EnginePorts for ReplayPorts<'a, P, S>
where
    P: EnginePorts,
    P::Configurations: 'a,
    S: ReplayStore + 'a,
{
    type Configurations = ReplayConfigurations<'a, P::Configurations, S>;
    type Runs = P::Runs;
    type Blocks = P::Blocks;
    type Connector = P::Connector;
    type Signer = P::Signer;
    type Encoders = P::Encoders;
    type Clock = P::Clock;
}

/// The configuration of a replay, derived from the one whose period it exports again. The reports of runs go to the record of
/// the replay.
#[derive(Clone, Copy, Debug)]
struct ReplayConfigurations<'a, C, S> {
    configurations: &'a C,
    store: &'a S,
    /// The replay, as it was when the run started.
    replay: &'a Replay,
    history: Duration,
}

impl<C: ConfigurationStore, S: ReplayStore> ReplayConfigurations<'_, C, S> {
    async fn change(&self, change: ReplayChange, at: Timestamp) -> Result<(), PortError> {
        let expires_at = Replay::kept_until(at, self.history);
        self.store.change_replay(self.replay, &change, expires_at).await
    }
}

impl<C: ConfigurationStore, S: ReplayStore> ConfigurationStore for ReplayConfigurations<'_, C, S> {
    /// `None`: the replay has ended or was requested again, or the configuration was deleted.
    async fn load(&self, _: &ConfigurationKey) -> Result<Option<ExportConfiguration>, PortError> {
        let Some(replay) = self.store.load_replay(&self.replay.key).await? else { return Ok(None) };
        if replay.has_ended() || replay.attempt != self.replay.attempt {
            return Ok(None);
        }
        let configuration = self.configurations.load(&replay.key.configuration()).await?;
        Ok(configuration.map(|configuration| replay.export(&configuration)))
    }

    /// A failure ends the replay, whichever version of the configuration it was made with: its run has ended, and a person has
    /// to request it again.
    async fn store_connection(
        &self,
        _: &ConfigurationKey,
        version: u64,
        connection: &Connection,
        _: Option<&UserArn>,
    ) -> Result<(), PortError> {
        match connection {
            Connection::Pending => Ok(()),
            Connection::Success { checked_at: at } => {
                self.change(ReplayChange::Tested(ReplayTest { at: *at, version }), *at).await
            }
            Connection::Failed { checked_at: at, error } => {
                let end = ReplayEnd::Failed(failure(self.replay, error));
                self.change(ReplayChange::Ended { at: *at, end }, *at).await
            }
        }
    }

    async fn store_run(&self, _: &ConfigurationKey, report: &RunReport) -> Result<(), PortError> {
        let RunReport { ended_at, exported_through, .. } = *report;
        self.change(ReplayChange::Delivered { exported_through }, ended_at).await
    }

    /// Does nothing: the gap of a replay is in its own digest, and is no news about the export.
    async fn store_signed_gap(&self, _: &ConfigurationKey, _: &SignedGap) -> Result<(), PortError> {
        Ok(())
    }

    /// Does nothing: only a message requests a run of a replay.
    async fn clear_run_request(&self, _: &ConfigurationKey, _: Timestamp) -> Result<Option<Timestamp>, PortError> {
        Ok(None)
    }
}
