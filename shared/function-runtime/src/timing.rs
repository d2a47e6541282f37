//! Settings of schedule, retention, archive and history, which several functions share.

use std::time::Duration;

use domain::{
    archive::{ArchiveTimes, BlockTerms, MAX_TABLE_DAYS},
    configuration::bucket::BucketName,
    export_run::MIN_SETTLE,
    interval::ExportSchedule,
};

use crate::environment::{DeploymentMode, Environment};

const SECONDS_PER_DAY: u64 = 24 * 3_600;

/// Reads `SETTLE_SECONDS` and `DEVELOPMENT_SLOT_SECONDS`. Production accepts neither a short settle time nor short
/// slots.
pub fn export_schedule(environment: &mut Environment, mode: Option<DeploymentMode>) -> Option<ExportSchedule> {
    let settle = environment.integer("SETTLE_SECONDS", 1..=7_200_u64).map(Duration::from_secs);
    let slot_seconds = environment.integer_or("DEVELOPMENT_SLOT_SECONDS", 0..=SECONDS_PER_DAY, 0);
    let is_production = mode == Some(DeploymentMode::Production);
    if is_production && slot_seconds.is_some_and(|seconds| seconds > 0) {
        environment.note("DEVELOPMENT_SLOT_SECONDS", "is for development only");
    }
    if is_production && settle.is_some_and(|settle| settle < MIN_SETTLE) {
        environment.note("SETTLE_SECONDS", format!("must be at least {} outside of development", MIN_SETTLE.as_secs()));
    }
    let development_slot_length = slot_seconds?;
    Some(ExportSchedule {
        settle: settle?,
        development_slot_length: (development_slot_length > 0).then(|| Duration::from_secs(development_slot_length)),
    })
}

/// Reads `RETENTION_DAYS`, the time after its receipt during which an event can be exported.
pub fn retention(environment: &mut Environment) -> Option<Duration> {
    let days = environment.integer("RETENTION_DAYS", 1..=3_650_u64)?;
    Some(Duration::from_secs(days * SECONDS_PER_DAY))
}

/// Reads `TABLE_DAYS`, the days for which archived blocks stay in the events table.
pub fn block_terms(environment: &mut Environment, retention: Option<Duration>) -> Option<BlockTerms> {
    let days = environment.integer("TABLE_DAYS", 0..=MAX_TABLE_DAYS)?;
    match BlockTerms::parse(days, retention?) {
        Ok(terms) => Some(terms),
        Err(error) => {
            environment.note("TABLE_DAYS", error.to_string());
            None
        }
    }
}

/// Reads `ARCHIVE_BUCKET`, the bucket of segments.
pub fn archive_bucket(environment: &mut Environment) -> Option<BucketName> {
    environment.parsed("ARCHIVE_BUCKET", "the name of a bucket", |text| BucketName::parse(text).ok())
}

/// Reads `DEVELOPMENT_ARCHIVE_SECONDS`, by which segments span so many seconds, and are read from the archive soon. Production has
/// the real times alone.
pub fn archive_times(environment: &mut Environment, mode: Option<DeploymentMode>) -> Option<ArchiveTimes> {
    let seconds = environment.integer_or("DEVELOPMENT_ARCHIVE_SECONDS", 0..=3_600_u64, 0)?;
    if seconds == 0 {
        return Some(ArchiveTimes::PRODUCTION);
    }
    if mode == Some(DeploymentMode::Production) {
        environment.note("DEVELOPMENT_ARCHIVE_SECONDS", "is for development only");
        return None;
    }
    let span = Duration::from_secs(seconds);
    Some(ArchiveTimes { span, idle: span, read_from_table: span * 2, ..ArchiveTimes::PRODUCTION })
}

/// Reads `HISTORY_DAYS`, the time for which the history of exports is kept.
pub fn history(environment: &mut Environment) -> Option<Duration> {
    let days = environment.integer("HISTORY_DAYS", 1..=3_650_u64)?;
    Some(Duration::from_secs(days * SECONDS_PER_DAY))
}

#[cfg(test)]
mod tests {
    use domain::interval::ExportInterval;

    use super::*;

    fn read(mode: DeploymentMode, settle_seconds: &str, slot_seconds: &str) -> Result<ExportSchedule, String> {
        let mut environment =
            Environment::from_map([("SETTLE_SECONDS", settle_seconds), ("DEVELOPMENT_SLOT_SECONDS", slot_seconds)]);
        let schedule = export_schedule(&mut environment, Some(mode));
        environment.finish(schedule).map_err(|error| error.to_string())
    }

    #[test]
    fn short_slots_are_for_development_only() {
        assert!(read(DeploymentMode::Production, "1200", "60").unwrap_err().contains("DEVELOPMENT_SLOT_SECONDS"));
        let schedule = read(DeploymentMode::Development, "1200", "60").unwrap();
        assert_eq!(schedule.slot_length(ExportInterval::Every24Hours), Duration::from_mins(1));
        for none in ["0", ""] {
            let schedule = read(DeploymentMode::Production, "1200", none).unwrap();
            assert_eq!(schedule.slot_length(ExportInterval::Every24Hours), Duration::from_hours(24));
        }
    }

    #[test]
    fn short_spans_of_the_archive_are_for_development_only() {
        let read = |mode, seconds| {
            let mut environment = Environment::from_map([("DEVELOPMENT_ARCHIVE_SECONDS", seconds)]);
            let times = archive_times(&mut environment, Some(mode));
            environment.finish(times).map_err(|error| error.to_string())
        };
        assert!(read(DeploymentMode::Production, "1").unwrap_err().contains("DEVELOPMENT_ARCHIVE_SECONDS"));
        assert_eq!(read(DeploymentMode::Development, "1").unwrap().span, Duration::from_secs(1));
        for mode in [DeploymentMode::Development, DeploymentMode::Production] {
            assert_eq!(read(mode, "0").unwrap(), ArchiveTimes::PRODUCTION);
        }
    }

    #[test]
    fn blocks_stay_in_the_table_for_a_week_at_least() {
        let read = |days| {
            let mut environment = Environment::from_map([("TABLE_DAYS", days)]);
            let terms = block_terms(&mut environment, Some(Duration::from_hours(90 * 24)));
            environment.finish(terms).map_err(|error| error.to_string())
        };
        assert!(read("6").unwrap_err().contains("TABLE_DAYS"));
        assert_eq!(read("7").unwrap().table(), Some(Duration::from_hours(7 * 24)));
        assert_eq!(read("0").unwrap().table(), None);
    }

    #[test]
    fn a_short_time_to_settle_is_for_development_only() {
        assert!(read(DeploymentMode::Production, "3", "0").unwrap_err().contains("SETTLE_SECONDS"));
        assert_eq!(read(DeploymentMode::Development, "3", "0").unwrap().settle, Duration::from_secs(3));
    }
}
