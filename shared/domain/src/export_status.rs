//! The status of an export for its administrator, derived from the stored configuration.

use std::time::Duration;

use crate::{
    configuration::ExportConfiguration,
    connection::ConnectionStatus,
    export_health::{DELAYED_RETENTION_PERCENT, ExportHealth, ExportStanding},
    export_job::SERVICE_FAILURE,
    interval::ExportSchedule,
    time::Timestamp,
};

/// How an export is doing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStatus {
    pub health: ExportHealth,
    /// How late the oldest missing export is.
    pub lag: Duration,
    /// The end of the last run that finished a window. `None`: none has.
    pub last_success_at: Option<Timestamp>,
    /// Everything received before it is in the bucket. `None`: no run has ended yet.
    pub exported_through: Option<Timestamp>,
    /// The runs that failed since the last success.
    pub consecutive_failures: u32,
    /// The start of the next scheduled export that can have events. `None`: the configuration is disabled.
    pub next_export_at: Option<Timestamp>,
    /// The share of the retention that the oldest unexported event can have used. From 100 on, events are lost.
    pub retention_used_percent: u64,
    /// What to do, in one or more sentences.
    pub advice: String,
}

impl ExportStatus {
    #[must_use]
    pub fn of(
        configuration: &ExportConfiguration,
        schedule: ExportSchedule,
        retention: Duration,
        now: Timestamp,
    ) -> Self {
        let standing = ExportStanding::from(configuration);
        let health = standing.health(schedule, retention, now);
        let next_export_at = configuration.next_export_at(schedule, now);
        let retention_used_percent = standing.retention_used_percent(retention, now);
        Self {
            health,
            lag: standing.lag(schedule, now),
            last_success_at: configuration.progress.last_export_at,
            exported_through: configuration.progress.exported_through,
            consecutive_failures: configuration.progress.consecutive_failures,
            next_export_at,
            retention_used_percent,
            advice: advice(configuration, health, next_export_at, retention_used_percent),
        }
    }
}

fn advice(
    configuration: &ExportConfiguration,
    health: ExportHealth,
    next_export_at: Option<Timestamp>,
    retention_used_percent: u64,
) -> String {
    let is_untested = configuration.connection.status() == ConnectionStatus::Pending;
    match (health, configuration.connection.error()) {
        (ExportHealth::Disabled, _) => {
            "Enable the export to continue it. Until then nothing is exported, and events are lost when their retention ends."
                .to_owned()
        }
        (ExportHealth::Failing, Some(error)) => format!("{} Then test the connection.", error.message),
        (ExportHealth::Failing, None) => SERVICE_FAILURE.to_owned(),
        (ExportHealth::Delayed, _) if retention_used_percent >= DELAYED_RETENTION_PERCENT => format!(
            "Contact the operator of the service: {retention_used_percent} % of the retention is used, and events are lost when \
             it ends. Until then the export continues automatically."
        ),
        (ExportHealth::Delayed, _) => "Wait: the export is late, and is continued automatically. Contact the operator of the \
                                       service if it stays late."
            .to_owned(),
        (ExportHealth::NeverRun | ExportHealth::Ok, _) if is_untested => {
            "Test the connection: it was not tested since it was last changed.".to_owned()
        }
        (ExportHealth::NeverRun, _) => match next_export_at {
            Some(next) => format!("No action is needed: the first export starts at {next}."),
            None => "No action is needed.".to_owned(),
        },
        (ExportHealth::Ok, _) => "No action is needed.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{ExportProgress, test_support::with_role},
        connection::{Connection, ConnectionError, ConnectionErrorCode},
        export_health::test_support::{RETENTION, SCHEDULE, at},
    };

    /// An export of every two hours that was created at midnight, and is complete until 06:00.
    fn configuration() -> ExportConfiguration {
        let progress = ExportProgress {
            exported_through: Some(at("2026-11-22T06:00:00Z")),
            last_export_at: Some(at("2026-11-22T06:20:07Z")),
            ..ExportProgress::default()
        };
        ExportConfiguration { progress, ..with_role() }
    }

    fn status(configuration: &ExportConfiguration, now: &str) -> ExportStatus {
        ExportStatus::of(configuration, SCHEDULE, RETENTION, at(now))
    }

    #[test]
    fn the_status_of_an_export_that_works() {
        let expected = ExportStatus {
            health: ExportHealth::Ok,
            lag: Duration::from_mins(10),
            last_success_at: Some(at("2026-11-22T06:20:07Z")),
            exported_through: Some(at("2026-11-22T06:00:00Z")),
            consecutive_failures: 0,
            next_export_at: Some(at("2026-11-22T10:20:00Z")),
            retention_used_percent: 0,
            advice: "No action is needed.".to_owned(),
        };
        assert_eq!(status(&configuration(), "2026-11-22T08:30:00Z"), expected);
    }

    #[test]
    fn each_health_has_its_advice() {
        let new = ExportConfiguration { progress: ExportProgress::default(), ..configuration() };
        let untested = |configuration| ExportConfiguration { connection: Connection::Pending, ..configuration };
        let error =
            ConnectionError { code: ConnectionErrorCode::WriteDenied, message: "Allow s3:PutObject.".to_owned() };
        let refused = ExportConfiguration {
            connection: Connection::Failed { checked_at: at("2026-11-22T06:20:00Z"), error },
            ..configuration()
        };
        let failed = ExportConfiguration {
            progress: ExportProgress { consecutive_failures: 2, ..configuration().progress },
            ..configuration()
        };
        let disabled = ExportConfiguration { enabled: false, ..refused.clone() };
        let soon = "2026-11-22T00:10:00Z";
        let (on_time, late, old) = ("2026-11-22T06:30:00Z", "2026-11-22T12:00:00Z", "2026-12-20T06:00:00Z");
        for (configuration, now, health, advice) in [
            (new.clone(), soon, ExportHealth::NeverRun, "the first export starts at 2026-11-22T00:20:00.000Z."),
            (untested(new), soon, ExportHealth::NeverRun, "Test the connection: "),
            (configuration(), on_time, ExportHealth::Ok, "No action is needed."),
            (untested(configuration()), on_time, ExportHealth::Ok, "Test the connection: "),
            (refused, on_time, ExportHealth::Failing, "Allow s3:PutObject. Then test the connection."),
            (failed, on_time, ExportHealth::Failing, SERVICE_FAILURE),
            (configuration(), late, ExportHealth::Delayed, "Wait: "),
            (configuration(), old, ExportHealth::Delayed, "31 % of the retention is used"),
            (disabled, old, ExportHealth::Disabled, "Enable the export"),
        ] {
            let status = status(&configuration, now);
            assert_eq!(status.health, health, "{now}");
            assert!(status.advice.contains(advice), "{}", status.advice);
        }
    }

    #[test]
    fn a_disabled_export_has_no_next_one_and_still_uses_retention() {
        let disabled = ExportConfiguration { enabled: false, ..configuration() };
        let status = status(&disabled, "2027-03-01T00:00:00Z");
        assert_eq!((status.next_export_at, status.lag), (None, Duration::ZERO));
        assert_eq!(status.retention_used_percent, 109);
    }
}
