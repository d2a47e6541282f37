//! How exports went, and what waits for them: read from what the runs have stored, keyed by the caller's tenant.

use std::collections::HashMap;

use aws::events::backlog::Backlog;
use domain::{
    block::BlockId,
    configuration::{ConfigurationId, ExportConfiguration},
    export_job::{ExportJob, ExportJobId, ExportJobTask},
    export_run::RunState,
    time::Timestamp,
};
use runtime::token::Caller;
use tokio::sync::Mutex;

use crate::{schema::errors::ApiError, service::Service};

/// The most different backlogs that are counted for one request. Configurations that are exported equally far share one.
pub const MAX_BACKLOGS: usize = 20;

/// Some of a list, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub has_next: bool,
}

impl<T> Page<T> {
    /// The first `limit` of `items`.
    pub fn first(limit: u16, items: impl IntoIterator<Item = T>) -> Self {
        let limit = usize::from(limit);
        let mut items: Vec<T> = items.into_iter().take(limit + 1).collect();
        let has_next = items.len() > limit;
        items.truncate(limit);
        Self { items, has_next }
    }
}

/// A job and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedJob {
    pub id: ExportJobId,
    pub job: ExportJob,
}

/// What was counted for one request, so that it is counted once.
#[derive(Debug, Default)]
pub struct BacklogCounts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// One for the whole request: it moves with the clock.
    retention_floor: Option<Timestamp>,
    by_configuration: HashMap<ConfigurationId, Backlog>,
    by_first_block: HashMap<BlockId, Backlog>,
}

impl Service {
    /// The jobs of a configuration before the sequence `before`, newest first.
    pub async fn jobs(
        &self,
        caller: &Caller,
        configuration_id: &str,
        before: Option<u64>,
        limit: u16,
    ) -> Result<Page<NamedJob>, ApiError> {
        let configuration = self.get(caller, configuration_id).await?;
        // The state first: a window that ends in between is then found twice, and not missed.
        let unfinished = self.unfinished_job(&configuration).await?;
        let records = self.history.records(&configuration.key, before, limit.saturating_add(1)).await?;
        let newest = records.first().map(|record| record.sequence);
        let unfinished = unfinished
            .filter(|job| before.is_none_or(|before| job.sequence < before))
            .filter(|job| newest.is_none_or(|newest| newest < job.sequence));
        let configuration_id = configuration.key.configuration_id;
        let jobs = unfinished.into_iter().chain(records.iter().map(ExportJob::finished));
        let named = jobs.map(|job| NamedJob { id: ExportJobId { configuration_id, sequence: job.sequence }, job });
        Ok(Page::first(limit, named))
    }

    /// The tasks of a job, in order: no more than a digest has objects, and those that were given up.
    pub async fn tasks(&self, caller: &Caller, job_id: &str) -> Result<(ExportJobId, Vec<ExportJobTask>), ApiError> {
        let id = ExportJobId::parse(job_id).ok_or(ApiError::NotFound)?;
        let configuration = self.get(caller, &id.configuration_id.to_string()).await?;
        let unfinished = self.unfinished_job(&configuration).await?;
        let job = match self.history.record(&configuration.key, id.sequence).await? {
            Some(record) => ExportJob::finished(&record),
            None => unfinished.filter(|job| job.sequence == id.sequence).ok_or(ApiError::NotFound)?,
        };
        let Some(window) = job.window else { return Ok((id, Vec::new())) };
        let intents = self.history.intents(&configuration.key, window).await?;
        Ok((id, job.tasks(intents)))
    }

    /// The configurations behind `after` in the order of [`Service::list`].
    pub async fn page(
        &self,
        caller: &Caller,
        after: Option<(Timestamp, ConfigurationId)>,
        limit: u16,
    ) -> Result<Page<ExportConfiguration>, ApiError> {
        let configurations = self.list(caller).await?.into_iter();
        Ok(Page::first(limit, configurations.filter(|configuration| Some(place_of(configuration)) > after)))
    }

    /// When the next scheduled export starts that can hold something. `None`: none does, while it is disabled.
    pub fn next_export_at(&self, configuration: &ExportConfiguration) -> Option<Timestamp> {
        let exported_through = configuration.progress.exported_through.unwrap_or(Timestamp::EPOCH);
        let done_through = exported_through.max(configuration.start_from);
        configuration.enabled.then(|| self.schedule.next_export(configuration.interval, done_through, (self.clock)()))
    }

    /// What is received and not exported yet. Also of a configuration that was just deleted.
    pub async fn backlog(
        &self,
        configuration: &ExportConfiguration,
        counts: &BacklogCounts,
    ) -> Result<Backlog, ApiError> {
        let key = &configuration.key;
        let mut counts = counts.0.lock().await;
        if let Some(backlog) = counts.by_configuration.get(&key.configuration_id) {
            return Ok(*backlog);
        }
        let retention_floor = *counts.retention_floor.get_or_insert_with(|| self.retention_floor());
        let state = match self.history.snapshot(key).await? {
            Some(snapshot) => snapshot.state,
            None => RunState::initial(configuration),
        };
        let first = state.first_unexported(retention_floor);
        let backlog = match counts.by_first_block.get(&first) {
            Some(backlog) => *backlog,
            None if counts.by_first_block.len() >= MAX_BACKLOGS => return Err(too_many_backlogs()),
            None => self.event_counter.count_from(&key.tenant_id, first).await?,
        };
        counts.by_first_block.insert(first, backlog);
        counts.by_configuration.insert(key.configuration_id, backlog);
        Ok(backlog)
    }

    async fn unfinished_job(&self, configuration: &ExportConfiguration) -> Result<Option<ExportJob>, ApiError> {
        let runs = self.history.snapshot(&configuration.key).await?;
        Ok(ExportJob::unfinished(configuration, runs.as_ref(), self.retention_floor(), (self.clock)()))
    }

    fn retention_floor(&self) -> Timestamp {
        (self.clock)().saturating_sub(self.retention)
    }
}

/// The place of a configuration among those of its tenant.
pub fn place_of(configuration: &ExportConfiguration) -> (Timestamp, ConfigurationId) {
    (configuration.created_at, configuration.key.configuration_id)
}

fn too_many_backlogs() -> ApiError {
    ApiError::ValidationFailed(format!(
        "The backlogs of {MAX_BACKLOGS} export configurations are counted for one request. Ask for fewer at once, for \
         example with exportConfigurations(first: {MAX_BACKLOGS})."
    ))
}
