//! How exports went, and what waits for them: read from what the runs have stored, keyed by the caller's tenant.

use std::{iter, time::Duration};

use aws_adapters::{
    allowance::AllowanceOutcome, configurations::CountedBacklog, events::backlog::Backlog,
    export_history::MAX_SNAPSHOTS,
};
use domain::{
    allowance::Allowance,
    block::BlockId,
    configuration::{ConfigurationId, ExportConfiguration},
    export_job::{ExportJob, ExportJobId, ExportJobTask},
    export_run::RunState,
    time::Timestamp,
};
use function_runtime::token::Caller;
use tokio::sync::Mutex;

use crate::{schema::errors::ApiError, service::Service};

/// For how long a count of a tenant's backlog is served without another one.
pub const BACKLOG_FRESHNESS: Duration = Duration::from_secs(10);

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

/// A backlog, and when it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatedBacklog {
    pub backlog: Backlog,
    pub counted_at: Timestamp,
}

/// What one request knows of its tenant's backlog, so that it counts once at most.
#[derive(Debug, Default)]
pub struct BacklogCounts(Mutex<Counts>);

#[derive(Debug, Default)]
enum Counts {
    #[default]
    NotRead,
    /// What another request has counted a short time ago.
    Kept(CountedBacklog),
    /// The result of the request's only attempt.
    Attempted(Result<CountedBacklog, ApiError>),
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
        let (interval, done_through) = (configuration.interval, configuration.done_through());
        configuration.enabled.then(|| self.schedule.next_export(interval, done_through, (self.clock)()))
    }

    /// Returns through when the requested run exports that is in the queue.
    pub fn requested_run_through(&self, configuration: &ExportConfiguration) -> Option<Timestamp> {
        configuration.pending_run_through((self.clock)())
    }

    /// What is received and not exported yet. Also of a configuration that was just deleted.
    ///
    /// The backlogs of a tenant's configurations are counted together, in one pass. A count is served to all requests for
    /// [`BACKLOG_FRESHNESS`], and for longer while the tenant's allowance is used up.
    pub async fn backlog(
        &self,
        configuration: &ExportConfiguration,
        counts: &BacklogCounts,
    ) -> Result<DatedBacklog, ApiError> {
        let (tenant, id) = (&configuration.key.tenant_id, configuration.key.configuration_id);
        let now = (self.clock)();
        let mut counts = counts.0.lock().await;
        if matches!(*counts, Counts::NotRead) {
            let kept = self.configurations.load_backlog(tenant, now).await;
            *counts = match kept {
                Ok(Some(kept)) if now.saturating_since(kept.counted_at) < BACKLOG_FRESHNESS => Counts::Kept(kept),
                Ok(kept) => Counts::Attempted(self.count_backlog(configuration, kept).await),
                Err(error) => Counts::Attempted(Err(error.into())),
            };
        }
        if let Counts::Kept(kept) = &*counts {
            if let Some(found) = find(kept, id) {
                return Ok(found);
            }
            // It was created, or last asked for, after that count.
            let kept = Some(kept.clone());
            *counts = Counts::Attempted(self.count_backlog(configuration, kept).await);
        }
        match &*counts {
            Counts::Attempted(Ok(counted)) => find(counted, id).ok_or_else(|| too_many_counts(now)),
            Counts::Attempted(Err(error)) => Err(error.clone()),
            Counts::NotRead | Counts::Kept(_) => Err(ApiError::Internal),
        }
    }

    /// Counts the backlogs of all of the tenant's configurations, and of `asked`. Where the allowance is used up, it is what
    /// was kept, however old.
    async fn count_backlog(
        &self,
        asked: &ExportConfiguration,
        kept: Option<CountedBacklog>,
    ) -> Result<CountedBacklog, ApiError> {
        let tenant = &asked.key.tenant_id;
        let counted_at = (self.clock)();
        match self.allowances.take(tenant, Allowance::BacklogCounts, counted_at).await? {
            AllowanceOutcome::Granted => {}
            AllowanceOutcome::Exhausted { .. } => return kept.ok_or_else(|| too_many_counts(counted_at)),
        }
        let others = self.configurations.list(tenant).await?;
        let others = others.iter().filter(|other| other.key != asked.key);
        // A tenant has no more than that, but one that was just deleted may be asked for.
        let configurations: Vec<&ExportConfiguration> = iter::once(asked).chain(others).take(MAX_SNAPSHOTS).collect();
        let keys: Vec<_> = configurations.iter().map(|configuration| &configuration.key).collect();
        let snapshots = self.history.snapshots(&keys).await?;
        let retention_floor = self.retention_floor();
        let first_unexported = |configuration: &&ExportConfiguration| match snapshots.get(&configuration.key) {
            Some(snapshot) => snapshot.state.first_unexported(retention_floor),
            None => RunState::initial(configuration).first_unexported(retention_floor),
        };
        let firsts: Vec<BlockId> = configurations.iter().map(first_unexported).collect();
        let backlogs = self.event_counter.count_from(tenant, &firsts).await?;
        let ids = configurations.iter().map(|configuration| configuration.key.configuration_id);
        let counted = CountedBacklog { counted_at, by_configuration: ids.zip(backlogs).collect() };
        if let Err(error) = self.configurations.store_backlog(tenant, &counted).await {
            tracing::warn!(%error, "what was counted could not be kept; the next request counts again");
        }
        Ok(counted)
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

fn find(counted: &CountedBacklog, id: ConfigurationId) -> Option<DatedBacklog> {
    let backlog = *counted.by_configuration.get(&id)?;
    Some(DatedBacklog { backlog, counted_at: counted.counted_at })
}

fn too_many_counts(now: Timestamp) -> ApiError {
    let allowance = Allowance::BacklogCounts;
    ApiError::AllowanceExhausted { allowance, retry_after_seconds: allowance.retry_after(now).as_secs() }
}
