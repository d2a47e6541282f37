//! The history of an export as its administrator sees it: a job is a window, a task is one of its objects. Both are worked
//! out from what the runs have stored; nothing is stored for them.

use std::fmt;

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, ExportConfiguration, ExportProgress},
    connection::{Connection, ConnectionError},
    digest::{DigestObject, Gap},
    export_run::{Checkpoint, RunRecord, RunState, WindowId},
    time::Timestamp,
};

/// What a job says that failed for a reason which no customer can mend.
pub const SERVICE_FAILURE: &str =
    "The export failed for a reason on our side. It is tried again by itself; nothing has to be changed.";

/// The name of a job: `<configuration id>.<sequence>`. Whose it is, it doesn't say: that comes from the caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportJobId {
    pub configuration_id: ConfigurationId,
    /// That of the digest that tells of the window.
    pub sequence: u64,
}

impl ExportJobId {
    /// `None` unless `text` is exactly what [`fmt::Display`] writes: one id, one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (configuration_id, sequence) = text.split_once('.')?;
        let id = Self { configuration_id: ConfigurationId::parse(configuration_id)?, sequence: sequence.parse().ok()? };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ExportJobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.configuration_id, self.sequence)
    }
}

/// What the run table says of a configuration's export at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSnapshot {
    pub state: RunState,
    /// Until when a run holds the lease. `None`: none does.
    pub lease_expires_at: Option<Timestamp>,
}

/// An object that a run set out to write, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub object: DigestObject,
    pub attempts: u32,
}

/// How a job or a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportJobStatus {
    /// The next run takes it up.
    Pending,
    Running,
    Succeeded,
    /// The last run failed; the next one takes it up again.
    Failed(ExportFailure),
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportFailure {
    /// The customer has to change something.
    Connection(ConnectionError),
    /// Ours.
    Service,
}

impl ExportFailure {
    /// One sentence or more for the customer.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Connection(error) => &error.message,
            Self::Service => SERVICE_FAILURE,
        }
    }

    /// How the last run failed, if it did, and unless the customer has changed or tested the connection since: then what
    /// it failed at may be mended, and nothing is known until the next run.
    fn last(configuration: &ExportConfiguration) -> Option<Self> {
        let ExportProgress { consecutive_failures, last_failure_at, .. } = configuration.progress;
        let found_at = match &configuration.connection {
            Connection::Failed { error, .. } => return Some(Self::Connection(error.clone())),
            Connection::Success { checked_at } => *checked_at,
            Connection::Pending => configuration.updated_at,
        };
        let is_news = last_failure_at.is_some_and(|failed_at| failed_at < found_at);
        (consecutive_failures > 0 && !is_news).then_some(Self::Service)
    }
}

/// One window of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportJob {
    pub sequence: u64,
    /// What its tasks are stored under. `None`: no run got as far as to fix a window.
    pub window: Option<WindowId>,
    /// What was received from then on is exported.
    pub from: Timestamp,
    /// Exclusive. `None`: not fixed yet.
    pub to: Option<Timestamp>,
    /// When the window was fixed.
    pub started_at: Option<Timestamp>,
    /// When the last of it, its digest, was in the bucket.
    pub ended_at: Option<Timestamp>,
    /// How many runs worked on it.
    pub attempts: u32,
    pub status: ExportJobStatus,
    pub gap: Option<Gap>,
    /// Corrupt blocks that were left out, in order.
    pub skipped: Vec<BlockId>,
    pub delivered: Checkpoint,
}

impl ExportJob {
    #[must_use]
    pub fn finished(record: &RunRecord) -> Self {
        Self {
            sequence: record.sequence,
            window: Some(record.window_id()),
            from: record.from,
            to: Some(record.to),
            started_at: Some(record.started_at),
            ended_at: Some(record.ended_at),
            attempts: record.attempts,
            status: ExportJobStatus::Succeeded,
            gap: record.gap,
            skipped: record.skipped.clone(),
            delivered: record.delivered,
        }
    }

    /// The job that is not done, if there is one: the window that was begun, or the runs that failed before they could
    /// begin one.
    #[must_use]
    pub fn unfinished(
        configuration: &ExportConfiguration,
        runs: Option<&RunSnapshot>,
        retention_floor: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let is_running = runs.and_then(|runs| runs.lease_expires_at).is_some_and(|end| end > now);
        let status = match ExportFailure::last(configuration) {
            _ if is_running => ExportJobStatus::Running,
            Some(failure) => ExportJobStatus::Failed(failure),
            None => ExportJobStatus::Pending,
        };
        if let Some(window) = runs.and_then(|runs| runs.state.window.as_ref()) {
            return Some(Self {
                sequence: window.id.sequence,
                window: Some(window.id),
                from: window.from.timestamp(),
                to: Some(window.to.timestamp()),
                started_at: Some(window.started_at),
                ended_at: None,
                attempts: window.attempts,
                status,
                gap: window.gap,
                skipped: window.skipped.clone(),
                delivered: window.checkpoint,
            });
        }
        let attempts = configuration.progress.consecutive_failures;
        (attempts > 0).then(|| {
            let mut state = runs.map_or_else(|| RunState::initial(configuration), |runs| runs.state.clone());
            state.begin_at_earliest(configuration, retention_floor);
            Self {
                sequence: state.next_sequence,
                window: None,
                from: state.exported_through(),
                to: None,
                started_at: None,
                ended_at: None,
                attempts,
                status,
                gap: state.lost_through.map(|lost| Gap::retention_ended(state.exported_through(), lost)),
                skipped: Vec::new(),
                delivered: Checkpoint::default(),
            }
        })
    }

    /// Returns everything of the job that is in no object, as its digest says it.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        self.gap.into_iter().chain(self.skipped.iter().copied().map(Gap::of_corrupt_block)).collect()
    }

    /// The job's tasks, of all intents of its window in the order of their blocks.
    ///
    /// Of a job that is done, an intent beyond what it delivered was given up: its events are another job's.
    #[must_use]
    pub fn tasks(&self, intents: Vec<Intent>) -> Vec<ExportJobTask> {
        let mut offset = 0;
        let task = |(number, Intent { object, attempts }): (u64, Intent)| {
            let is_delivered = Some(object.first_block) <= self.delivered.last_block;
            let status = if is_delivered { ExportJobStatus::Succeeded } else { self.status.clone() };
            let task = ExportJobTask { number, attempts, offset, status, object };
            offset += task.object.events;
            (is_delivered || self.ended_at.is_none()).then_some(task)
        };
        (0..).zip(intents).map_while(task).collect()
    }
}

/// One object of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportJobTask {
    /// Its place in the job, from 0 on.
    pub number: u64,
    /// How often a run set out to write it.
    pub attempts: u32,
    /// Events of the job that come before it.
    pub offset: u64,
    pub status: ExportJobStatus,
    pub object: DigestObject,
}

#[cfg(test)]
mod tests;
