//! The history of exports: jobs and their tasks.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject, connection::Connection};
use domain::{
    digest,
    export_job::{self, ExportJobId},
};

use super::{
    context,
    ocsf::OcsfClass,
    pages::{self, Cursor, MAX_PAGE},
    scalars::{DateTime, Long},
};
use crate::service::{IdentifiedJob, Page};

#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// The last 100 jobs of an export, the newest first. `exportJobs` has all of them, in pages.
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
        #[graphql(desc = "The number of items, from 1 to 100. The default is 20.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the item before the page.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportJob>>> {
        let (service, caller) = context::of(context)?;
        let before = pages::position::<u64>(after.as_deref())?;
        let page = service.jobs(caller, &export_configuration_id, before, pages::limit(first)?).await?;
        Ok(Some(pages::connection(page, after.is_none(), |job| job.id.sequence)))
    }

    /// The tasks of a job, in order. A job has at most 400, and those that are not finished.
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
        #[graphql(desc = "The number of items, from 1 to 100. The default is 20.")] first: Option<i32>,
        #[graphql(desc = "The cursor of the item before the page.")] after: Option<String>,
    ) -> Result<Option<Connection<Cursor, ExportJobTask>>> {
        let (service, caller) = context::of(context)?;
        let (after_task, limit) = (pages::position::<u64>(after.as_deref())?, pages::limit(first)?);
        let (job, tasks) = service.tasks(caller, &export_job_id).await?;
        let rest = tasks.into_iter().filter(|task| Some(task.number) > after_task);
        let page = Page::first(limit, rest.map(|task| (job, task)));
        Ok(Some(pages::connection(page, after.is_none(), |(_, task)| task.number)))
    }
}

/// The state of a job or task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ExportJobStatus {
    /// Started, and waiting for the next run to continue it.
    Pending,
    Running,
    /// All its files are in the bucket, and listed in a signed digest.
    Succeeded,
    /// The last run failed: see `failureReason`. The next run continues it.
    Failed,
}

/// Events that can no longer be exported.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportGap {
    /// The events were received from this time on.
    start_timestamp: DateTime,
    /// The events were received before this time.
    end_timestamp: DateTime,
    reason: ExportGapReason,
    /// The skipped block, if `reason` is `BLOCK_CORRUPT`: only its events are missing.
    block_id: Option<ID>,
}

/// The reason why events can no longer be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "digest::GapReason")]
pub enum ExportGapReason {
    /// Their retention ended before an export reached them.
    RetentionEnded,
    /// The stored block was damaged, and an operator approved skipping it.
    BlockCorrupt,
    /// The export starts before the oldest event that was still stored when it was configured.
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

/// One window of an export: the events received in it, and their digest.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportJob {
    id: ID,
    export_configuration_id: ID,
    /// Events received from this time on belong to the job.
    start_timestamp: DateTime,
    /// Events received from this time on belong to another job. Null: no run could start yet.
    end_timestamp: Option<DateTime>,
    /// The time when a run started the job.
    started_at: Option<DateTime>,
    /// The time when the job had succeeded.
    ended_at: Option<DateTime>,
    /// The number of runs that worked on the job.
    attempts: u32,
    status: ExportJobStatus,
    /// The cause and the remedy, if the status is `FAILED`.
    failure_reason: Option<String>,
    /// The number of files in the bucket so far, without the digest.
    objects: u64,
    /// The number of events in those files.
    events: Long,
    /// The number of events so far that are in no file because the export's filter left them out.
    left_out: Long,
    /// The size of those files as they are stored, in bytes.
    bytes: Long,
    /// Events of this window that are in no file, because their retention had ended.
    gap: Option<ExportGap>,
    /// All events of this window that are in no file: `gap`, and the events of skipped blocks.
    gaps: Vec<ExportGap>,
}

impl From<IdentifiedJob> for ExportJob {
    fn from(IdentifiedJob { id, job }: IdentifiedJob) -> Self {
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
            left_out: Long(job.delivered.left_out),
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
    /// The time when its first events were received.
    start_timestamp: DateTime,
    /// The time when its last events were received.
    end_timestamp: DateTime,
    /// The number of runs that started to write it.
    attempts: u32,
    /// The number of events of the job before this file.
    offset: Long,
    /// The number of events in this file.
    limit: Long,
    status: ExportJobStatus,
    /// The cause and the remedy, if the status is `FAILED`.
    failure_reason: Option<String>,
    /// Always 1: a task writes one file.
    objects: u64,
    /// The same as `limit`.
    events: Long,
    /// The size of the file as it is stored, in bytes.
    bytes: Long,
    /// The file's name in the bucket.
    object_key: String,
    /// The class of the records in the file. Null: the format is not `OCSF_PARQUET`.
    ocsf_class: Option<OcsfClass>,
    /// The number of those records whose action no rule knows: their activity is Other. Null: as `ocsfClass`.
    unknown_actions: Option<Long>,
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
            ocsf_class: object.class.map(Into::into),
            unknown_actions: object.other.map(Long),
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
