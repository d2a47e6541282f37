//! Jobs and tasks, derived from the history that runs have stored.

use authentication::Caller;
use domain::{
    configuration::ExportConfiguration,
    export_job::{ExportJob, ExportJobId, ExportJobTask},
};

use super::{page::Page, shared::Service};
use crate::error::ApiError;

/// A job with its ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifiedJob {
    pub id: ExportJobId,
    pub job: ExportJob,
}

impl Service {
    /// Returns the jobs of a configuration before the sequence `before`, the newest first.
    pub async fn jobs(
        &self,
        caller: &Caller,
        configuration_id: &str,
        before: Option<u64>,
        limit: u16,
    ) -> Result<Page<IdentifiedJob>, ApiError> {
        let configuration = self.get(caller, configuration_id).await?;
        // The state is read first: a window that is completed in between is then found twice, and not missed.
        let unfinished = self.unfinished_job(&configuration).await?;
        let records = self.ports.history.records(&configuration.key, before, limit.saturating_add(1)).await?;
        let newest = records.first().map(|record| record.sequence);
        let unfinished = unfinished
            .filter(|job| before.is_none_or(|before| job.sequence < before))
            .filter(|job| newest.is_none_or(|newest| newest < job.sequence));
        let configuration_id = configuration.key.configuration_id;
        let jobs = unfinished.into_iter().chain(records.iter().map(ExportJob::finished));
        let identified =
            jobs.map(|job| IdentifiedJob { id: ExportJobId { configuration_id, sequence: job.sequence }, job });
        Ok(Page::first(limit, identified))
    }

    /// Returns the tasks of a job, in order: at most as many as a digest has objects, and those that were given up.
    pub async fn tasks(&self, caller: &Caller, job_id: &str) -> Result<(ExportJobId, Vec<ExportJobTask>), ApiError> {
        let id = ExportJobId::parse(job_id).ok_or(ApiError::NotFound)?;
        let configuration = self.get(caller, &id.configuration_id.to_string()).await?;
        let unfinished = self.unfinished_job(&configuration).await?;
        let job = match self.ports.history.record(&configuration.key, id.sequence).await? {
            Some(record) => ExportJob::finished(&record),
            None => unfinished.filter(|job| job.sequence == id.sequence).ok_or(ApiError::NotFound)?,
        };
        let Some(window) = job.window else { return Ok((id, Vec::new())) };
        let intents = self.ports.history.intents(&configuration.key, window).await?;
        Ok((id, job.tasks(intents)))
    }

    async fn unfinished_job(&self, configuration: &ExportConfiguration) -> Result<Option<ExportJob>, ApiError> {
        let runs = self.ports.history.snapshot(&configuration.key).await?;
        Ok(ExportJob::unfinished(configuration, runs.as_ref(), self.retention_floor(), self.clock.now()))
    }
}
