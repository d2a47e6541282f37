//! Settings from environment variables.

use std::time::Duration;

use domain::{
    archive::{ArchiveTimes, BlockTerms},
    configuration::bucket::BucketName,
    interval::ExportSchedule,
};
use function_runtime::{environment::Environment, timing};

/// The time after a configuration's deletion before its items in the runs table expire, so that every run of it has
/// ended: an invocation of exporter or converter takes at most 6 minutes.
const DELETION_REST: Duration = Duration::from_hours(1);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) events_table: String,
    pub(crate) configurations_table: String,
    pub(crate) runs_table: String,
    pub(crate) archive_bucket: BucketName,
    pub(crate) terms: BlockTerms,
    pub(crate) archive_times: ArchiveTimes,
    pub(crate) signing_key_arn: String,
    pub(crate) notice_bus_name: String,
    pub(crate) webhook_queue_url: String,
    pub(crate) schedule: ExportSchedule,
    pub(crate) retention: Duration,
    pub(crate) history: Duration,
    pub(crate) deletion_rest: Duration,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let configurations_table = environment.text("CONFIGURATIONS_TABLE");
        let runs_table = environment.text("RUNS_TABLE");
        let archive_bucket = timing::archive_bucket(environment);
        let signing_key_arn = environment.text("SIGNING_KEY_ARN");
        let notice_bus_name = environment.text("NOTICE_BUS_NAME");
        let webhook_queue_url = environment.text("WEBHOOK_QUEUE_URL");
        let schedule = timing::export_schedule(environment, mode);
        let retention = timing::retention(environment);
        let terms = timing::block_terms(environment, retention);
        let archive_times = timing::archive_times(environment, mode);
        let history = timing::history(environment);
        Some(Self {
            events_table: events_table?,
            configurations_table: configurations_table?,
            runs_table: runs_table?,
            archive_bucket: archive_bucket?,
            terms: terms?,
            archive_times: archive_times?,
            signing_key_arn: signing_key_arn?,
            notice_bus_name: notice_bus_name?,
            webhook_queue_url: webhook_queue_url?,
            schedule: schedule?,
            retention: retention?,
            history: history?,
            deletion_rest: if mode?.is_development() { Duration::ZERO } else { DELETION_REST },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mode: &str) -> Settings {
        Settings::read(&mut Environment::from_map([
            ("DEPLOYMENT_MODE", mode),
            ("EVENTS_TABLE", "events"),
            ("CONFIGURATIONS_TABLE", "configurations"),
            ("RUNS_TABLE", "runs"),
            ("ARCHIVE_BUCKET", "archive"),
            ("TABLE_DAYS", "7"),
            ("SIGNING_KEY_ARN", "arn"),
            ("NOTICE_BUS_NAME", "bus"),
            ("WEBHOOK_QUEUE_URL", "queue"),
            ("SETTLE_SECONDS", "1200"),
            ("RETENTION_DAYS", "90"),
            ("HISTORY_DAYS", "400"),
        ]))
        .unwrap()
    }

    #[test]
    fn a_deleted_configuration_rests_for_longer_than_a_run_lasts() {
        assert!(settings("production").deletion_rest > 2 * Duration::from_mins(15));
        assert_eq!(settings("development").deletion_rest, Duration::ZERO);
        assert_eq!(settings("production").history, Duration::from_hours(400 * 24));
    }
}
