//! The port of replays.

use std::time::Duration;

use aws_adapters::{
    configurations::{ConfigurationEditor, ConfigurationTable},
    run_queue::RunQueueClient,
};
use domain::{
    configuration::{
        ConfigurationKey, ExportConfiguration,
        change::{Author, Stamp},
    },
    replay::{Replay, ReplayMessage},
    time::Timestamp,
};
use function_runtime::lazy::Lazy;

use crate::ports::{EditOutcome, PortFuture, ReplaySeries, Replays};

/// The records of replays, and the queue of manual runs.
pub struct ReplayAdapter {
    pub configurations: ConfigurationTable,
    pub changes: ConfigurationEditor,
    pub queue: Lazy<RunQueueClient>,
}

impl Replays for ReplayAdapter {
    fn list<'a>(&'a self, configuration: &'a ConfigurationKey) -> PortFuture<'a, ReplaySeries> {
        Box::pin(self.configurations.replays(configuration))
    }

    fn request<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        series: &'a ReplaySeries,
        replay: &'a Replay,
        expires_at: Timestamp,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        Box::pin(self.changes.request_replay(of, series, replay, expires_at, author, stamp))
    }

    fn cancel<'a>(
        &'a self,
        of: &'a ExportConfiguration,
        replay: &'a Replay,
        author: &'a Author,
        stamp: Stamp,
    ) -> PortFuture<'a, EditOutcome> {
        Box::pin(self.changes.cancel_replay(of, replay, author, stamp))
    }

    fn repeat<'a>(&'a self, repeated: &'a Replay) -> PortFuture<'a, EditOutcome> {
        Box::pin(self.configurations.repeat_replay(repeated))
    }

    fn send(&self, message: ReplayMessage) -> PortFuture<'_, ()> {
        Box::pin(async move { self.queue.send_replay(&message, Duration::ZERO).await })
    }
}
