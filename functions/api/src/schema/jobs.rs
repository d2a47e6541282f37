//! What has become of exports: jobs and their tasks.

use std::{fmt, str::FromStr};

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject, connection::Connection};
use domain::{
    configuration::ConfigurationId,
    digest,
    export_job::{self, ExportJobId},
    time::Timestamp,
};

use super::{
    context,
    pages::{self, Cursor, MAX_PAGE},
    types::{DateTime, ExportConfiguration, Long},
};
use crate::jobs::{NamedJob, Page, place_of};

/// Lists that grow, in pages and whole.
#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// The export configurations in pages, the oldest first.
    async fn export_configurations(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "From 1 to 100; 20 if it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last one that is known.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportConfiguration>>> {
        let (service, caller) = context::of(context)?;
        let place = pages::position::<Place>(after.as_deref())?;
        let page =
            service.page(caller, place.map(|Place(created_at, id)| (created_at, id)), pages::limit(first)?).await?;
        Ok(Some(pages::connection(page, after.is_none(), |configuration| {
            let (created_at, id) = place_of(configuration);
            Place(created_at, id)
        })))
    }

    /// The last 100 jobs of an export, the newest first; `exportJobs` has all of them, in pages.
    async fn get_all_export_jobs(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
    ) -> Result<Option<Vec<ExportJob>>> {
        let (service, caller) = context::of(context)?;
        let page = service.jobs(caller, &export_configuration_id, None, MAX_PAGE).await?;
        Ok(Some(page.items.into_iter().map(Into::into).collect()))
    }

    /// The jobs of an export in pages, the newest first.
    async fn export_jobs(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
        #[graphql(desc = "From 1 to 100; 20 if it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last one that is known.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportJob>>> {
        let (service, caller) = context::of(context)?;
        let before = pages::position::<u64>(after.as_deref())?;
        let page = service.jobs(caller, &export_configuration_id, before, pages::limit(first)?).await?;
        Ok(Some(pages::connection(page, after.is_none(), |named| named.id.sequence)))
    }

    /// The tasks of a job, in order. A job has at most 400, and those that are under way.
    async fn get_all_export_job_tasks(
        &self,
        context: &Context<'_>,
        export_job_id: ID,
    ) -> Result<Option<Vec<ExportJobTask>>> {
        let (service, caller) = context::of(context)?;
        let (job, tasks) = service.tasks(caller, &export_job_id).await?;
        Ok(Some(tasks.into_iter().map(|task| (job, task).into()).collect()))
    }

    /// The tasks of a job in pages, in order.
    async fn export_job_tasks(
        &self,
        context: &Context<'_>,
        export_job_id: ID,
        #[graphql(desc = "From 1 to 100; 20 if it is left out.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the last one that is known.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportJobTask>>> {
        let (service, caller) = context::of(context)?;
        let (after_task, limit) = (pages::position::<u64>(after.as_deref())?, pages::limit(first)?);
        let (job, tasks) = service.tasks(caller, &export_job_id).await?;
        let rest = tasks.into_iter().filter(|task| Some(task.number) > after_task);
        let page = Page::first(limit, rest.map(|task| (job, task)));
        Ok(Some(pages::connection(page, after.is_none(), |(_, task)| task.number)))
    }
}

/// Where a configuration stands among the others: `<time of creation>_<id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(Timestamp, ConfigurationId);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.0, self.1)
    }
}

/// A text that is no place.
#[derive(Clone, Copy, Debug)]
struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (created_at, id) = text.split_once('_').ok_or(NoPlace)?;
        Ok(Self(Timestamp::parse(created_at).map_err(|_| NoPlace)?, ConfigurationId::parse(id).ok_or(NoPlace)?))
    }
}

/// How a job or a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ExportJobStatus {
    /// Begun, and waiting for the next run to take it up.
    Pending,
    Running,
    /// All of it is in the bucket, and told of by a signed digest.
    Succeeded,
    /// The last run failed: see `failureReason`. The next one takes it up again.
    Failed,
}

/// Events that no job can export any more.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportGap {
    /// Received from then on.
    start_timestamp: DateTime,
    /// Received before then.
    end_timestamp: DateTime,
    reason: ExportGapReason,
    /// The block that was skipped, exactly if `reason` is `BLOCK_CORRUPT`: only its events are missing.
    block_id: Option<ID>,
}

/// Why events can't be exported any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "digest::GapReason")]
pub enum ExportGapReason {
    /// Their retention ended before an export reached them.
    RetentionEnded,
    /// The stored block was damaged, and an operator approved to skip it.
    BlockCorrupt,
    /// The export starts before what was still held when it was configured.
    StartBeforeRetention,
}

impl From<digest::Gap> for ExportGap {
    fn from(gap: digest::Gap) -> Self {
        Self {
            start_timestamp: DateTime(gap.from),
            end_timestamp: DateTime(gap.to),
            reason: gap.reason.into(),
            block_id: gap.block.map(|block| ID(block.to_string())),
        }
    }
}

/// One window of an export: the events that were received within it, and the digest that tells of them.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportJob {
    id: ID,
    export_configuration_id: ID,
    /// What was received from then on is exported.
    start_timestamp: DateTime,
    /// What was received from then on is another job's. Null: not fixed yet, because no run could begin.
    end_timestamp: Option<DateTime>,
    /// When a run began it.
    started_at: Option<DateTime>,
    /// When it had succeeded.
    ended_at: Option<DateTime>,
    /// How many runs worked on it.
    attempts: u32,
    status: ExportJobStatus,
    /// What to change, if the status is `FAILED`.
    failure_reason: Option<String>,
    /// Files in the bucket so far, without the digest.
    objects: u64,
    /// Events in those files.
    events: Long,
    /// Bytes of those files as they are stored.
    bytes: Long,
    /// Events of this window that are in no file, because they were past their retention.
    gap: Option<ExportGap>,
    /// All events of this window that are in no file: those of `gap`, and those of skipped blocks.
    gaps: Vec<ExportGap>,
}

impl From<NamedJob> for ExportJob {
    fn from(NamedJob { id, job }: NamedJob) -> Self {
        let (status, failure_reason) = status_of(&job.status);
        let gaps = job.gaps().into_iter().map(Into::into).collect();
        Self {
            id: ID(id.to_string()),
            export_configuration_id: ID(id.configuration_id.to_string()),
            start_timestamp: DateTime(job.from),
            end_timestamp: job.to.map(DateTime),
            started_at: job.started_at.map(DateTime),
            ended_at: job.ended_at.map(DateTime),
            attempts: job.attempts,
            status,
            failure_reason,
            objects: job.delivered.objects,
            events: Long(job.delivered.events),
            bytes: Long(job.delivered.stored_bytes),
            gap: job.gap.map(Into::into),
            gaps,
        }
    }
}

/// One file of a job.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportJobTask {
    id: ID,
    /// When its first events were received.
    start_timestamp: DateTime,
    /// When its last events were received.
    end_timestamp: DateTime,
    /// How many runs set out to write it.
    attempts: u32,
    /// Events of the job that come before it.
    offset: Long,
    /// Events that it holds from there on.
    limit: Long,
    status: ExportJobStatus,
    /// What to change, if the status is `FAILED`.
    failure_reason: Option<String>,
    /// Always 1: a task writes one file.
    objects: u64,
    /// The same as `limit`.
    events: Long,
    /// Bytes of the file as it is stored.
    bytes: Long,
    /// The file's name in the bucket.
    object_key: String,
}

impl From<(ExportJobId, export_job::ExportJobTask)> for ExportJobTask {
    fn from((job, task): (ExportJobId, export_job::ExportJobTask)) -> Self {
        let (status, failure_reason) = status_of(&task.status);
        let object = task.object;
        Self {
            id: ID(format!("{job}.{}", task.number)),
            start_timestamp: DateTime(object.first_block.timestamp()),
            end_timestamp: DateTime(object.last_block.timestamp()),
            attempts: task.attempts,
            offset: Long(task.offset),
            limit: Long(object.events),
            status,
            failure_reason,
            objects: 1,
            events: Long(object.events),
            bytes: Long(object.stored_length),
            object_key: object.key,
        }
    }
}

fn status_of(status: &export_job::ExportJobStatus) -> (ExportJobStatus, Option<String>) {
    match status {
        export_job::ExportJobStatus::Pending => (ExportJobStatus::Pending, None),
        export_job::ExportJobStatus::Running => (ExportJobStatus::Running, None),
        export_job::ExportJobStatus::Succeeded => (ExportJobStatus::Succeeded, None),
        export_job::ExportJobStatus::Failed(failure) => (ExportJobStatus::Failed, Some(failure.message().to_owned())),
    }
}
