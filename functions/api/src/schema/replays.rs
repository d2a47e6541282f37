//! Replays: a past period of an export, exported again under a path of its own.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use domain::{
    object_key::export_prefix,
    replay::{self, RawReplay, Replay, ReplayEnd, ReplayState},
};

use super::{
    context,
    filter::ExportFilter,
    format::ExportFormat,
    ocsf::OcsfSettings,
    scalars::{DateTime, Long},
};

#[derive(Default)]
pub struct ReplayQuery;

#[Object]
impl ReplayQuery {
    /// The replays of an export, the newest first: at most 20.
    async fn export_replays(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
    ) -> Result<Option<Vec<ExportReplay>>> {
        let (service, caller) = context::of(context)?;
        let replays = service.replays(caller, &export_configuration_id).await?;
        Ok(Some(replays.into_iter().map(Into::into).collect()))
    }

    /// One replay of an export. `NOT_FOUND`: there is none with this ID.
    async fn get_export_replay(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
        id: ID,
    ) -> Result<Option<ExportReplay>> {
        let (service, caller) = context::of(context)?;
        Ok(Some(service.find_replay(caller, &export_configuration_id, &id).await?.into()))
    }
}

#[derive(Default)]
pub struct ReplayMutation;

#[Object]
impl ReplayMutation {
    /// Exports a past period again, under a path of its own and with a chain of digests of its own: for another reader, or
    /// after files were lost. The export itself is not affected. Returns before the replay ends; `getExportReplay` shows its
    /// progress. A replay that failed or was cancelled continues when the same request is sent again within 7 days.
    ///
    /// The role or user has to be allowed to write under the path: see `replayBucketPath` of
    /// `getExportConfigurationPolicies`. `REPLAY_IN_PROGRESS`: another replay of the export has not ended. Counts as a
    /// requested run (`TOO_MANY_RUNS`).
    async fn replay_export_configuration(
        &self,
        context: &Context<'_>,
        id: ID,
        #[graphql(desc = "Events received from this time on are exported: a boundary of the export's interval.")]
        from: String,
        #[graphql(
            desc = "Events received from this time on are not: a boundary of the interval, not after exportedThrough."
        )]
        to: String,
        #[graphql(
            desc = "The path in the export's bucket, apart from that of the export and those of its other replays."
        )]
        bucket_path: String,
    ) -> Result<Option<ExportReplay>> {
        let (service, caller, author) = context::of_change(context)?;
        let raw = RawReplay { from: &from, to: &to, bucket_path: &bucket_path };
        Ok(Some(service.replay(caller, author, &id, &raw).await?.into()))
    }

    /// Stops a replay. Files in the bucket stay; the digests prove those before `exportedThrough`. A replay that has ended
    /// stays as it is.
    async fn cancel_export_replay(
        &self,
        context: &Context<'_>,
        export_configuration_id: ID,
        id: ID,
    ) -> Result<Option<ExportReplay>> {
        let (service, caller, author) = context::of_change(context)?;
        Ok(Some(service.cancel_replay(caller, author, &export_configuration_id, &id).await?.into()))
    }
}

/// The state of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "replay::ReplayStatus")]
pub enum ExportReplayStatus {
    /// Requested, and not started yet.
    Pending,
    Running,
    /// The whole period is in the bucket, and listed in signed digests.
    Succeeded,
    /// See `error`. The same request continues it, within 7 days of the first one.
    Failed,
    /// Stopped by `cancelExportReplay`. The same request continues it, within 7 days of the first one.
    Cancelled,
}

/// A past period of an export, exported again.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportReplay {
    /// Names the folder of its digests and files, as the ID of an export configuration does. Files of the format
    /// `OCSF_PARQUET` are beside the folder.
    id: ID,
    export_configuration_id: ID,
    status: ExportReplayStatus,
    /// The failure that ended it, and what to change.
    error: Option<ExportReplayError>,
    /// Events received from this time on are exported.
    from: DateTime,
    /// Events received from this time on are not.
    to: DateTime,
    bucket_name: String,
    bucket_path: String,
    /// The format of its files. A later change of the export does not affect it. Null: as the configuration.
    format: Option<ExportFormat>,
    /// The filter of its files, which a later change of the export does not affect either. Null: all events are exported.
    filter: Option<ExportFilter>,
    /// The choices of its files for the format `OCSF_PARQUET`. Null: another format.
    ocsf: Option<OcsfSettings>,
    /// The folder of its digests and files: `s3://<bucket>/<path>/<id>`. Files of the format `OCSF_PARQUET` are beside it,
    /// and the digests name them. `audit-export verify` takes it, with `--expect-through`.
    place: String,
    /// The percentage of the period that is exported.
    percent: u8,
    /// Everything of the period received before it is in the bucket and in a digest. Null: there is no digest yet.
    exported_through: Option<DateTime>,
    /// The number of files in the bucket so far, without digests.
    objects: Long,
    /// The number of events in those files.
    events: Long,
    /// The size of those files as they are stored, in bytes.
    bytes: Long,
    /// The user who requested it first.
    requested_by: String,
    requested_at: DateTime,
    started_at: Option<DateTime>,
    ended_at: Option<DateTime>,
}

/// The failure that ended a replay.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportReplayError {
    /// A code of a connection error, or `REPLAY_TIMED_OUT`.
    code: String,
    message: String,
}

impl From<Replay> for ExportReplay {
    fn from(replay: Replay) -> Self {
        let (percent, status) = (replay.percent(), replay.state.status().into());
        let prefix = export_prefix(&replay.destination, replay.key.export().configuration_id);
        let place = format!("s3://{}/{prefix}", replay.destination.bucket_name);
        let (ended_at, error) = match replay.state {
            ReplayState::Pending | ReplayState::Running => (None, None),
            ReplayState::Ended { at, end: ReplayEnd::Failed(error) } => {
                let error = ExportReplayError { code: error.code.name().to_owned(), message: error.message };
                (Some(at), Some(error))
            }
            ReplayState::Ended { at, end: ReplayEnd::Succeeded | ReplayEnd::Cancelled } => (Some(at), None),
        };
        Self {
            id: ID(replay.key.replay_id.to_string()),
            export_configuration_id: ID(replay.key.configuration_id.to_string()),
            status,
            error,
            from: DateTime(replay.period.from),
            to: DateTime(replay.period.to),
            bucket_name: replay.destination.bucket_name.to_string(),
            bucket_path: replay.destination.bucket_path.map(|path| path.to_string()).unwrap_or_default(),
            format: replay.format.map(Into::into),
            filter: replay.filter.map(Into::into),
            ocsf: replay.ocsf.map(Into::into),
            place,
            percent,
            exported_through: replay.progress.exported_through.map(DateTime),
            objects: Long(replay.progress.objects),
            events: Long(replay.progress.events),
            bytes: Long(replay.progress.stored_bytes),
            requested_by: replay.requested_by,
            requested_at: DateTime(replay.requested_at),
            started_at: replay.started_at.map(DateTime),
            ended_at: ended_at.map(DateTime),
        }
    }
}
