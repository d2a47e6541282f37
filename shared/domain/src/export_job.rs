//! The history of an export for its administrator: a job is a window, a task is one of its objects. Both are derived from the
//! stored state of the runs; nothing is stored for them.

use std::fmt;

use crate::{
    block::BlockId,
    configuration::{ConfigurationId, ExportConfiguration},
    connection::ConnectionError,
    digest::{DigestObject, Gap},
    export_health::ExportStanding,
    export_run::{Checkpoint, ExportState, WindowId, WindowRecord},
    time::Timestamp,
};

/// The message of a job that failed for a reason that customers can't fix.
pub const SERVICE_FAILURE: &str =
    "The export failed for a reason on the service's side. It is retried automatically; no action is needed.";

/// The ID of a job: `<configuration ID>.<sequence>`. It does not contain the tenant, which the caller's token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportJobId {
    pub configuration_id: ConfigurationId,
    /// The sequence of the window's digest.
    pub sequence: u64,
}

impl ExportJobId {
    /// Parses an ID. `None` unless `text` is exactly what [`fmt::Display`] writes: each ID has one spelling.
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

/// The state of a configuration's export at one moment, as the run table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSnapshot {
    pub state: ExportState,
    /// The time until which a run holds the lease. `None`: no run holds it.
    pub lease_expires_at: Option<Timestamp>,
}

/// An object that runs attempted to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub object: DigestObject,
    pub attempts: u32,
}

/// The status of a job or a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportJobStatus {
    /// The next run continues it.
    Pending,
    Running,
    Succeeded,
    /// The last run failed. The next one continues it.
    Failed(ExportFailure),
}

/// The reason why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportFailure {
    /// The customer has to change something.
    Connection(ConnectionError),
    /// A failure of the service.
    Service,
}

impl ExportFailure {
    /// Returns the message for the customer.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Connection(error) => &error.message,
            Self::Service => SERVICE_FAILURE,
        }
    }

    /// Returns the failure of the last run, if it failed. `None` also if the customer has changed or tested the connection
    /// since: the cause may be fixed, and the next run has to show it.
    fn last(configuration: &ExportConfiguration) -> Option<Self> {
        let refusal = configuration.connection.error().cloned().map(Self::Connection);
        refusal.or_else(|| ExportStanding::from(configuration).is_failing().then_some(Self::Service))
    }
}

/// One window of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportJob {
    pub sequence: u64,
    /// The window that its tasks are stored under. `None`: no run has fixed a window yet.
    pub window: Option<WindowId>,
    /// Inclusive, by the time of receipt.
    pub from: Timestamp,
    /// Exclusive. `None`: not fixed yet.
    pub to: Option<Timestamp>,
    /// The time at which the window was fixed.
    pub started_at: Option<Timestamp>,
    /// The time at which its digest, the last file, was delivered.
    pub ended_at: Option<Timestamp>,
    /// The number of runs that worked on it.
    pub attempts: u32,
    pub status: ExportJobStatus,
    pub gap: Option<Gap>,
    /// Corrupt blocks that were skipped, in order.
    pub skipped: Vec<BlockId>,
    pub delivered: Checkpoint,
}

impl ExportJob {
    #[must_use]
    pub fn finished(record: &WindowRecord) -> Self {
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

    /// Returns the unfinished job, if there is one: the window that was begun, or the runs that failed before they could begin
    /// one.
    #[must_use]
    pub fn unfinished(
        configuration: &ExportConfiguration,
        runs: Option<&ExportSnapshot>,
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
            let mut state = runs.map_or_else(|| ExportState::initial(configuration), |runs| runs.state.clone());
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

    /// Returns the gaps of the job, as in its digest.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        Gap::of_window(self.gap, self.skipped.iter().copied())
    }

    /// Returns the job's tasks, given all intents of its window in the order of their blocks.
    ///
    /// If the job is finished, intents after the last delivered object were given up: their events belong to another job.
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
    /// The position in the job, from 0.
    pub number: u64,
    /// The number of attempts to write it.
    pub attempts: u32,
    /// The number of events of the job that precede it.
    pub offset: u64,
    pub status: ExportJobStatus,
    pub object: DigestObject,
}

#[cfg(test)]
mod tests;
