//! The status of an export.

use async_graphql::{Enum, SimpleObject};
use domain::{export_health, export_status};

use super::scalars::{DateTime, Long};

/// How an export is doing, and what to do about it.
#[derive(Clone, Debug, SimpleObject)]
pub struct ExportStatus {
    health: ExportHealth,
    /// How late the oldest missing export is, in seconds. 0: none is late, even if events wait. Exports before the last change of
    /// the configuration don't count, nor, in its first 48 hours, does a backlog from before its creation.
    lag_seconds: Long,
    /// The end of the last successful export, the same as `lastExport`. Null: none has succeeded yet.
    last_success_at: Option<DateTime>,
    /// The same as `exportedThrough` of the configuration.
    exported_through: Option<DateTime>,
    /// The number of exports that failed since the last successful one.
    consecutive_failures: u32,
    /// The same as `nextExportAt` of the configuration. Null: the configuration is disabled.
    next_export_at: Option<DateTime>,
    /// The share of the retention that the oldest event not yet exported can have used, in percent, of those received since the
    /// creation of the configuration. From 100 on, events are lost.
    retention_used_percent: u64,
    /// What to do, in one or more sentences.
    advice: String,
}

impl From<export_status::ExportStatus> for ExportStatus {
    fn from(status: export_status::ExportStatus) -> Self {
        Self {
            health: status.health.into(),
            lag_seconds: Long(status.lag.as_secs()),
            last_success_at: status.last_success_at.map(DateTime),
            exported_through: status.exported_through.map(DateTime),
            consecutive_failures: status.consecutive_failures,
            next_export_at: status.next_export_at.map(DateTime),
            retention_used_percent: status.retention_used_percent,
            advice: status.advice,
        }
    }
}

/// The health of an export. If several values apply, the first of `DISABLED`, `FAILING`, `DELAYED`, `NEVER_RUN`, `OK` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "export_health::ExportHealth")]
pub enum ExportHealth {
    /// The last export succeeded, and none is late.
    Ok,
    /// An export is more than an hour late, or events that are not exported have used 25 % of their retention.
    Delayed,
    /// The connection or the last export failed, and nobody has tested or changed the connection since.
    Failing,
    /// The configuration is disabled.
    Disabled,
    /// No export has ended yet, and none is late.
    NeverRun,
}
