//! The settings of a function that exports, from environment variables.

use std::time::Duration;

use domain::{
    archive::ArchiveTimes, block::EXPIRY_GRACE, configuration::bucket::BucketName, export_run::PlanLimits,
    interval::ExportSchedule, retention::DEPLOY_MARGIN,
};
use export_engine::run::EngineSettings;
use function_runtime::{
    environment::{DeploymentMode, Environment},
    local_servers::LocalServers,
    timing,
};

/// The settings of a function that exports.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub events_table: String,
    pub configurations_table: String,
    pub runs_table: String,
    pub archive_bucket: BucketName,
    pub archive_times: ArchiveTimes,
    pub queues: QueueUrls,
    pub secret_key_arn: String,
    pub signing_key_arn: String,
    pub local_servers: LocalServers,
    pub mode: DeploymentMode,
    pub engine: EngineSettings,
    pub schedule: ExportSchedule,
}

/// The URLs of the queues of a function that exports.
#[derive(Clone, Debug)]
pub struct QueueUrls {
    pub scheduled: String,
    pub manual: String,
}

impl QueueUrls {
    /// Reads the URLs of the function's own queues.
    fn read_own(environment: &mut Environment) -> Option<Self> {
        Self::read(environment, "RUN_QUEUE_URL", "MANUAL_RUN_QUEUE_URL")
    }

    /// Reads the URLs of the queues of the converter.
    pub fn read_of_converter(environment: &mut Environment) -> Option<Self> {
        Self::read(environment, "CONVERSION_QUEUE_URL", "MANUAL_CONVERSION_QUEUE_URL")
    }

    /// Reads both variables, so that every missing one is reported.
    fn read(environment: &mut Environment, scheduled: &str, manual: &str) -> Option<Self> {
        let (scheduled, manual) = (environment.text(scheduled), environment.text(manual));
        Some(Self { scheduled: scheduled?, manual: manual? })
    }
}

/// The largest number of concurrent runs of a tenant that can be set: a run that finds no free share has tried all of
/// them.
const MAX_SHARES_PER_TENANT: u32 = 20;

/// The time before its deletion from which a block counts as deleted. It is longer than any run.
const GRACE_MARGIN: Duration = Duration::from_hours(24);

impl RunSettings {
    /// Reads the variables. `None`: one is missing or invalid.
    pub fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let runs_table = environment.text("RUNS_TABLE");
        let archive_bucket = timing::archive_bucket(environment);
        let archive_times = timing::archive_times(environment, mode);
        let queues = QueueUrls::read_own(environment);
        let max_runs_per_tenant = environment.integer("MAX_RUNS_PER_TENANT", 1..=MAX_SHARES_PER_TENANT);
        let secret_key_arn = environment.text("SECRET_KEY_ARN");
        let signing_key_arn = environment.text("SIGNING_KEY_ARN");
        let local_servers = LocalServers::read(environment, mode);
        let schedule = timing::export_schedule(environment, mode);
        let retention = timing::retention(environment);
        let history = timing::history(environment);
        Some(Self {
            events_table: events_table?,
            configurations_table: configurations_table?,
            runs_table: runs_table?,
            archive_bucket: archive_bucket?,
            archive_times: archive_times?,
            queues: queues?,
            secret_key_arn: secret_key_arn?,
            signing_key_arn: signing_key_arn?,
            local_servers: local_servers?,
            mode: mode?,
            engine: EngineSettings {
                settle: schedule?.settle,
                retention: retention?,
                history: history?,
                retention_at: None,
                grace: EXPIRY_GRACE.saturating_sub(GRACE_MARGIN),
                deploy_margin: DEPLOY_MARGIN,
                max_runs_per_tenant: max_runs_per_tenant?,
                limits: PlanLimits::CURRENT,
            },
            schedule: schedule?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn settings() -> RunSettings {
        RunSettings::read(&mut environment("development", "60")).unwrap()
    }

    fn environment(mode: &str, slot_seconds: &str) -> Environment {
        Environment::from_map([
            ("DEPLOYMENT_MODE", mode),
            ("EVENTS_TABLE", "events"),
            ("CONFIGURATIONS_TABLE", "configurations"),
            ("RUNS_TABLE", "runs"),
            ("ARCHIVE_BUCKET", "archive"),
            ("RUN_QUEUE_URL", "http://127.0.0.1/queue"),
            ("MANUAL_RUN_QUEUE_URL", "http://127.0.0.1/manual"),
            ("MAX_RUNS_PER_TENANT", "2"),
            ("SECRET_KEY_ARN", "arn"),
            ("SIGNING_KEY_ARN", "arn"),
            ("SETTLE_SECONDS", "1200"),
            ("RETENTION_DAYS", "90"),
            ("HISTORY_DAYS", "400"),
            ("DEVELOPMENT_SLOT_SECONDS", slot_seconds),
        ])
    }

    #[test]
    fn the_schedule_and_the_engine_settle_alike() {
        let mut production = environment("production", "60");
        let refused = RunSettings::read(&mut production);
        assert!(production.finish(refused).is_err());
        let settings = settings();
        assert_eq!(settings.schedule.settle, settings.engine.settle);
        assert_eq!(settings.engine.retention, Duration::from_hours(90 * 24));
        assert_eq!(settings.engine.history, Duration::from_hours(400 * 24));
    }
}
