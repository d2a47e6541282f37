//! Settings from environment variables.

use std::time::Duration;

use domain::{
    archive::{ArchiveTimes, BlockTerms},
    configuration::bucket::BucketName,
};
use function_runtime::{environment::Environment, timing};

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) events_table: String,
    pub(crate) runs_table: String,
    pub(crate) archive_bucket: BucketName,
    pub(crate) settle: Duration,
    pub(crate) retention: Duration,
    pub(crate) terms: BlockTerms,
    pub(crate) times: ArchiveTimes,
}

impl Settings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let mode = environment.deployment_mode();
        let events_table = environment.text("EVENTS_TABLE");
        let runs_table = environment.text("RUNS_TABLE");
        let archive_bucket = timing::archive_bucket(environment);
        let schedule = timing::export_schedule(environment, mode);
        let retention = timing::retention(environment);
        let terms = timing::block_terms(environment, retention);
        let times = timing::archive_times(environment, mode);
        Some(Self {
            events_table: events_table?,
            runs_table: runs_table?,
            archive_bucket: archive_bucket?,
            settle: schedule?.settle,
            retention: retention?,
            terms: terms?,
            times: times?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table_days: &'static str) -> Result<Settings, String> {
        let mut environment = Environment::from_map([
            ("DEPLOYMENT_MODE", "production"),
            ("EVENTS_TABLE", "events"),
            ("RUNS_TABLE", "runs"),
            ("ARCHIVE_BUCKET", "archive"),
            ("SETTLE_SECONDS", "1200"),
            ("RETENTION_DAYS", "90"),
            ("TABLE_DAYS", table_days),
        ]);
        let settings = Settings::read(&mut environment);
        environment.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn the_times_of_production_are_the_archives() {
        let settings = read("7").unwrap();
        assert_eq!((settings.times, settings.settle), (ArchiveTimes::PRODUCTION, Duration::from_mins(20)));
        assert!(settings.terms.table().is_some());
        assert!(read("0").unwrap().terms.table().is_none());
        assert!(read("1").unwrap_err().contains("TABLE_DAYS"));
    }
}
