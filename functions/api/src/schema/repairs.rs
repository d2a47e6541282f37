//! Repairs of past exports.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use domain::{
    configuration::ConfigurationId,
    export_job::ExportJobId,
    repair::{self, Repair, RepairMode, UnrepairedFile},
};

use super::{
    configuration::ConnectionError,
    context,
    scalars::{DateTime, Long},
};

#[derive(Default)]
pub struct RepairQuery;

#[Object]
impl RepairQuery {
    /// The last repair of an export. `NOT_FOUND`: there is no configuration with this ID, no repair was requested, or the last
    /// one is older than the history.
    async fn get_export_repair(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
    ) -> Result<Option<ExportRepair>> {
        let (service, caller) = context::of(context)?;
        let last = service.last_repair(caller, &export_configuration_id).await?;
        Ok(Some(with_id(export_configuration_id, last)))
    }
}

/// The state of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "repair::RepairStatus")]
pub enum ExportRepairStatus {
    /// Requested, and not started yet.
    Pending,
    Running,
    /// Every file of the range is in the bucket.
    Succeeded,
    /// Some files can't be repaired: see `unrepairedFiles`. All others are in the bucket.
    Incomplete,
    /// Something has to be changed first: see `error`. Request the repair again after that.
    Failed,
    /// It made no progress for 5 hours, as if the service had lost it. Request the repair again.
    Abandoned,
}

/// The reason why a file can't be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "repair::UnrepairedReason")]
pub enum UnrepairedReason {
    /// Its events are past their retention, and deleted.
    PastRetention,
    /// The digest of its job is older than the history, and deleted. The job, and earlier ones of the range, can't be checked.
    HistoryExpired,
    /// It is in a bucket, or under a path, that the export was configured for before. The service may not write there.
    OtherDestination,
    /// The events in the service no longer make the bytes that were signed. The operators are notified.
    ContentChanged,
}

/// A repair of past exports.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportRepair {
    id: ID,
    export_configuration_id: ID,
    status: ExportRepairStatus,
    /// Jobs that overlap the times from `from` to before `to` are repaired.
    from: DateTime,
    to: DateTime,
    /// True if files that are there are replaced.
    overwrite: bool,
    requested_by: String,
    requested_at: DateTime,
    /// The time of the last progress.
    updated_at: DateTime,
    /// What to change, if the status is `FAILED`.
    error: Option<ConnectionError>,
    /// The number of files that are done, digests and signatures included: `repaired`, `present` and `unrepaired`.
    checked: Long,
    /// The number of files that were written.
    repaired: Long,
    /// The number of files that were there, and were left as they are.
    present: Long,
    /// The number of files that can't be repaired.
    unrepaired: Long,
    /// The files that can't be repaired, at most 100.
    unrepaired_files: Vec<UnrepairedExportFile>,
}

/// A file that can't be repaired.
#[derive(Clone, Debug, SimpleObject)]
pub struct UnrepairedExportFile {
    export_job_id: ID,
    reason: UnrepairedReason,
    /// Null: the digest of the job has expired, and with it the names of its files.
    bucket_name: Option<String>,
    /// The file's name in the bucket.
    object_key: Option<String>,
}

/// Returns the mode of a repair.
pub fn mode(overwrite: bool) -> RepairMode {
    if overwrite { RepairMode::Overwrite } else { RepairMode::Missing }
}

/// Returns the repair of the configuration with this ID.
pub fn with_id(export_configuration_id: ID, repair: Repair) -> ExportRepair {
    let configuration_id = ConfigurationId::parse(&export_configuration_id);
    let file = |UnrepairedFile { sequence, place, reason }: UnrepairedFile| {
        let job = configuration_id.map(|configuration_id| ExportJobId { configuration_id, sequence }.to_string());
        let (bucket_name, object_key) = place.map(|place| (place.bucket.as_str().to_owned(), place.key)).unzip();
        UnrepairedExportFile {
            export_job_id: ID(job.unwrap_or_default()),
            reason: reason.into(),
            bucket_name,
            object_key,
        }
    };
    ExportRepair {
        id: ID(repair.id.to_string()),
        status: repair.status.into(),
        from: DateTime(repair.range.from),
        to: DateTime(repair.range.to),
        overwrite: repair.mode == RepairMode::Overwrite,
        requested_by: repair.requested_by,
        requested_at: DateTime(repair.requested_at),
        updated_at: DateTime(repair.updated_at),
        error: repair.failure.map(Into::into),
        checked: Long(repair.counts.checked),
        repaired: Long(repair.counts.repaired),
        present: Long(repair.counts.present),
        unrepaired: Long(repair.counts.unrepaired),
        unrepaired_files: repair.unrepaired.into_iter().map(file).collect(),
        export_configuration_id,
    }
}
