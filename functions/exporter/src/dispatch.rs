//! The dispatch of a slot's runs when a schedule fires.

use domain::{interval::ExportInterval, time::Timestamp};
use export_engine::{GzipEncoders, dispatch, retention::observe_retention};
use export_runs::{Exporter, RunSettings};
use host::Clock;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

/// The placeholder that EventBridge Scheduler replaces with the scheduled time. An emulator may leave it unchanged.
/// Source: <https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html>.
const UNSUBSTITUTED: &str = "<aws.scheduler.scheduled-time>";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DispatchRequest {
    interval: ExportInterval,
    scheduled_time: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DispatchOutcome {
    interval: ExportInterval,
    through: Timestamp,
    dispatched: u64,
}

/// Queues one run of each enabled configuration with the interval of the request.
pub(crate) async fn dispatch_slot(
    exporter: &Exporter<GzipEncoders>,
    request: &DispatchRequest,
) -> Result<DispatchOutcome, Error> {
    let Exporter { configurations, runs, queues, machine, settings, .. } = exporter;
    let interval = request.interval;
    let through = slot(request, settings, machine.now())?;
    // Detects a change of the retention even if no configuration is enabled. After a failure, the next run detects it.
    if let Err(error) = observe_retention(runs, settings.engine.retention, machine).await {
        tracing::warn!(%error, "the retention was not observed this time");
    }
    let dispatched = dispatch::dispatch(configurations, &*queues.scheduled, interval, through)
        .await
        .inspect_err(|error| tracing::error!(%error, %interval, %through, "the slot was not dispatched"))?;
    tracing::info!(%interval, %through, dispatched, "the slot was dispatched");
    Ok(DispatchOutcome { interval, through, dispatched })
}

/// Returns the end of the slot. It is derived from the scheduled time, so that a late or repeated firing dispatches the
/// same slot. In development the clock replaces the scheduled time if an emulator doesn't provide it.
fn slot(request: &DispatchRequest, settings: &RunSettings, now: Timestamp) -> Result<Timestamp, Error> {
    let scheduled_at = match request.scheduled_time.as_str() {
        UNSUBSTITUTED if settings.mode.is_development() => now,
        time => Timestamp::parse(time).map_err(|error| format!("scheduledTime: {error}"))?,
    };
    Ok(settings.schedule.boundary(request.interval, scheduled_at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        archive::ArchiveTimes, configuration::bucket::BucketName, export_run::PlanLimits, interval::ExportSchedule,
    };
    use export_engine::run::EngineSettings;
    use export_runs::QueueUrls;
    use function_runtime::{environment::DeploymentMode, local_servers::LocalServers};

    use super::*;

    fn settings(mode: DeploymentMode) -> RunSettings {
        RunSettings {
            events_table: String::new(),
            configurations_table: String::new(),
            runs_table: String::new(),
            archive_bucket: BucketName::parse("archive").unwrap(),
            archive_times: ArchiveTimes::PRODUCTION,
            queues: QueueUrls { scheduled: String::new(), manual: String::new() },
            secret_key_arn: String::new(),
            signing_key_arn: String::new(),
            local_servers: LocalServers::default(),
            mode,
            engine: EngineSettings {
                settle: Duration::from_mins(20),
                retention: Duration::from_hours(24),
                history: Duration::from_hours(24),
                retention_at: None,
                grace: Duration::ZERO,
                deploy_margin: Duration::ZERO,
                max_runs_per_tenant: 2,
                limits: PlanLimits::CURRENT,
            },
            schedule: ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None },
        }
    }

    fn request(scheduled_time: &str) -> DispatchRequest {
        DispatchRequest { interval: ExportInterval::Every6Hours, scheduled_time: scheduled_time.to_owned() }
    }

    #[test]
    fn the_slot_comes_from_the_scheduled_time() {
        let late = Timestamp::parse("2026-11-22T09:00:00Z").unwrap();
        let slot = slot(&request("2026-11-22T06:20:00Z"), &settings(DeploymentMode::Production), late).unwrap();
        assert_eq!(slot.to_string(), "2026-11-22T06:00:00.000Z");
    }

    #[test]
    fn the_clock_stands_in_in_development_only() {
        let now = Timestamp::parse("2026-11-22T06:21:00Z").unwrap();
        let request = request(UNSUBSTITUTED);
        assert!(slot(&request, &settings(DeploymentMode::Production), now).is_err());
        let slot = slot(&request, &settings(DeploymentMode::Development), now).unwrap();
        assert_eq!(slot.to_string(), "2026-11-22T06:00:00.000Z");
    }
}
