//! The health of an export: the rule that customers, operators and alarms share.

use std::time::Duration;

use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};

use crate::{
    configuration::ExportConfiguration,
    connection::ConnectionStatus,
    interval::{ExportInterval, ExportSchedule},
    named::named,
    tenant::TenantId,
    time::Timestamp,
};

/// The lag up to which an export is not delayed: runs wait in a queue, and a run takes a while.
pub const LAG_TOLERANCE: Duration = Duration::from_hours(1);

/// The share of the retention from which on an export is delayed, in percent. Even a new export of 24 hours uses less of the
/// shortest retention, 7 days.
pub const DELAYED_RETENTION_PERCENT: u64 = 25;

/// The time that an export may take for the events of before its creation. A longer one has a lag.
pub const CATCH_UP_TIME: Duration = Duration::from_hours(48);

/// How an export is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportHealth {
    /// The last run succeeded, and no export is late.
    Ok,
    /// An export was due more than [`LAG_TOLERANCE`] ago, or events have used [`DELAYED_RETENTION_PERCENT`] of their retention.
    Delayed,
    /// The connection or the last run failed.
    Failing,
    /// The export is switched off.
    Disabled,
    /// No export has ended yet, and none is late.
    NeverRun,
}

named!(ExportHealth);

/// The stored facts that decide how the export of a configuration is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStanding {
    pub tenant_id: TenantId,
    pub enabled: bool,
    pub interval: ExportInterval,
    pub connection: ConnectionStatus,
    /// `None`: the connection was not tested since it was edited.
    pub connection_checked_at: Option<Timestamp>,
    /// The receipt time of the first event to export.
    pub start_from: Timestamp,
    /// `None`: no run has ended yet.
    pub exported_through: Option<Timestamp>,
    /// The failures of runs, of all causes.
    pub consecutive_failures: u32,
    pub last_failure_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl From<&ExportConfiguration> for ExportStanding {
    fn from(configuration: &ExportConfiguration) -> Self {
        Self {
            tenant_id: configuration.key.tenant_id.clone(),
            enabled: configuration.enabled,
            interval: configuration.interval,
            connection: configuration.connection.status(),
            connection_checked_at: configuration.connection.checked_at(),
            start_from: configuration.start_from,
            exported_through: configuration.progress.exported_through,
            consecutive_failures: configuration.progress.consecutive_failures,
            last_failure_at: configuration.progress.last_failure_at,
            created_at: configuration.created_at,
            updated_at: configuration.updated_at,
        }
    }
}

impl ExportStanding {
    /// Returns whether the customer has to change something before the export can continue.
    pub(crate) fn is_refused(&self) -> bool {
        self.connection == ConnectionStatus::Failed
    }

    /// Returns whether the last run failed for a reason on the service's side. If the customer has changed or tested the
    /// connection since, the cause may be fixed and the next run has to show it.
    pub(crate) fn is_failing(&self) -> bool {
        let found_at = match self.connection {
            ConnectionStatus::Failed => return false,
            ConnectionStatus::Success => self.connection_checked_at,
            ConnectionStatus::Pending => Some(self.updated_at),
        };
        let is_news = self.last_failure_at.zip(found_at).is_some_and(|(failed_at, found_at)| failed_at < found_at);
        self.consecutive_failures > 0 && !is_news
    }

    /// Returns whether the connection and the last run have succeeded.
    pub(crate) fn is_proven(&self) -> bool {
        self.connection == ConnectionStatus::Success && self.consecutive_failures == 0
    }

    /// Returns whether runs still export events that were received before the configuration was created, within
    /// [`CATCH_UP_TIME`]. This backlog was never due.
    fn is_catching_up(&self, now: Timestamp) -> bool {
        let has_started = self.exported_through.is_some_and(|exported_through| exported_through < self.created_at);
        has_started && now.saturating_since(self.created_at) < CATCH_UP_TIME
    }

    /// Returns the time before which everything is exported. Events that were received before the configuration was created are
    /// a backlog for its first run, and are not late.
    fn progress(&self) -> Timestamp {
        self.exported_through.unwrap_or(Timestamp::EPOCH).max(self.start_from).max(self.created_at)
    }

    /// Returns how late the oldest missing export is.
    ///
    /// Boundaries before the last edit don't count: the configuration may have been disabled then, or have had another interval
    /// or a broken connection. A disabled export has no lag, and neither has one that catches up with events from before its
    /// creation, within [`CATCH_UP_TIME`].
    #[must_use]
    pub fn lag(&self, schedule: ExportSchedule, now: Timestamp) -> Duration {
        if !self.enabled || self.is_catching_up(now) {
            return Duration::ZERO;
        }
        let slot_length = schedule.slot_length(self.interval);
        let done_through = self.progress().max(self.updated_at);
        let boundary = done_through.floor_to(slot_length).saturating_add(slot_length);
        now.saturating_since(boundary.saturating_add(schedule.settle))
    }

    /// Returns the number of slots whose exports are due and have not happened: 0 while there is no [`lag`](Self::lag).
    #[must_use]
    pub fn missed_slots(&self, schedule: ExportSchedule, now: Timestamp) -> u64 {
        let lag = self.lag(schedule, now).as_millis();
        let slot_length = schedule.slot_length(self.interval).as_millis().max(1);
        u64::try_from(lag.div_ceil(slot_length)).unwrap_or(u64::MAX)
    }

    /// Returns the share of the retention that the oldest unexported event has used, in percent. More than 100 means that events
    /// are lost.
    #[must_use]
    pub fn retention_used_percent(&self, retention: Duration, now: Timestamp) -> u64 {
        percent(now.saturating_since(self.progress()).as_secs(), retention.as_secs())
    }

    /// Returns the health. The first of these that applies counts: disabled, failing, delayed, never run, OK.
    #[must_use]
    pub fn health(&self, schedule: ExportSchedule, retention: Duration, now: Timestamp) -> ExportHealth {
        let is_delayed = || {
            self.lag(schedule, now) > LAG_TOLERANCE
                || self.retention_used_percent(retention, now) >= DELAYED_RETENTION_PERCENT
        };
        if !self.enabled {
            ExportHealth::Disabled
        } else if self.is_refused() || self.is_failing() {
            ExportHealth::Failing
        } else if is_delayed() {
            ExportHealth::Delayed
        } else if self.exported_through.is_none() {
            ExportHealth::NeverRun
        } else {
            ExportHealth::Ok
        }
    }
}

/// Returns the share in percent, rounded down.
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100) / whole.max(1)
}

#[cfg(test)]
pub(crate) mod test_support {
    use super::*;

    pub(crate) const SCHEDULE: ExportSchedule =
        ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None };
    pub(crate) const RETENTION: Duration = Duration::from_hours(90 * 24);

    pub(crate) fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    pub(crate) fn tenant(number: usize) -> TenantId {
        TenantId::parse(&format!("tenant-{number}")).unwrap()
    }

    /// An export that was created and last edited at the beginning of November, and is complete until the morning of the 22nd.
    pub(crate) fn standing() -> ExportStanding {
        ExportStanding {
            tenant_id: tenant(0),
            enabled: true,
            interval: ExportInterval::Every2Hours,
            connection: ConnectionStatus::Success,
            connection_checked_at: Some(at("2026-11-01T00:00:00Z")),
            start_from: at("2026-11-01T00:00:00Z"),
            exported_through: Some(at("2026-11-22T06:00:00Z")),
            consecutive_failures: 0,
            last_failure_at: None,
            created_at: at("2026-11-01T00:00:00Z"),
            updated_at: at("2026-11-01T00:00:00Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        test_support::{RETENTION, SCHEDULE, at, standing},
        *,
    };

    fn lag(standing: &ExportStanding, now: &str) -> u64 {
        standing.lag(SCHEDULE, at(now)).as_secs()
    }

    #[test]
    fn lag_is_the_time_since_the_oldest_export_was_due_that_has_not_happened() {
        let standing = standing();
        for (now, expected) in [
            ("2026-11-22T06:00:00Z", 0),
            ("2026-11-22T08:00:00Z", 0),
            ("2026-11-22T08:20:00Z", 0),
            ("2026-11-22T08:20:01Z", 1),
            // The slots after it are missed as well; the oldest counts.
            ("2026-11-22T12:20:00Z", 4 * 3_600),
        ] {
            assert_eq!(lag(&standing, now), expected, "{now}");
        }
        // A requested run went into the middle of a slot.
        let ahead = ExportStanding { exported_through: Some(at("2026-11-22T08:05:00Z")), ..standing };
        assert_eq!(lag(&ahead, "2026-11-22T10:20:00Z"), 0);
        assert_eq!(lag(&ahead, "2026-11-22T10:21:00Z"), 60);
    }

    #[test]
    fn nothing_is_late_that_was_never_due() {
        let now = "2026-11-22T12:00:00Z";
        let new = ExportStanding { exported_through: None, ..standing() };
        // It starts with events of before its creation: its first run exports them.
        let created = ExportStanding {
            created_at: at("2026-11-22T10:30:00Z"),
            updated_at: at("2026-11-22T10:30:00Z"),
            ..new.clone()
        };
        assert_eq!(lag(&created, now), 0);
        assert_eq!(created.retention_used_percent(RETENTION, at(now)), 0);
        assert_eq!(lag(&created, "2026-11-22T12:21:00Z"), 60);
        // It was disabled until now, or had another interval.
        let enabled_again = ExportStanding { updated_at: at("2026-11-22T11:59:00Z"), ..standing() };
        assert_eq!(lag(&enabled_again, now), 0);
        let starts_later = ExportStanding { start_from: at("2026-12-01T00:00:00Z"), ..new };
        assert_eq!(lag(&starts_later, now), 0);
        assert_eq!(starts_later.retention_used_percent(RETENTION, at(now)), 0);
    }

    #[test]
    fn development_slots_count_as_they_are() {
        let schedule =
            ExportSchedule { settle: Duration::from_secs(3), development_slot_length: Some(Duration::from_secs(10)) };
        assert_eq!(standing().lag(schedule, at("2026-11-22T06:00:20Z")).as_secs(), 7);
    }

    #[test]
    fn an_export_that_catches_up_with_what_was_before_it_has_no_lag() {
        let created = at("2026-11-22T00:30:00Z");
        let new = ExportStanding { created_at: created, updated_at: created, ..standing() };
        let through = |text: Option<&str>| ExportStanding { exported_through: text.map(at), ..new.clone() };
        assert_eq!(lag(&through(Some("2026-11-05T00:00:00Z")), "2026-11-22T12:20:00Z"), 0);
        // No run has ended, or all of the backlog is exported.
        for late in [None, Some("2026-11-22T00:30:00Z")] {
            assert_eq!(lag(&through(late), "2026-11-22T12:20:00Z"), 10 * 3_600, "{late:?}");
        }
        // It has no end in sight.
        let catching_up = through(Some("2026-11-05T00:00:00Z"));
        assert_eq!(lag(&catching_up, "2026-11-24T00:29:59Z"), 0);
        assert_eq!(lag(&catching_up, "2026-11-24T00:30:00Z"), (46 * 60 + 10) * 60);
    }

    fn health(standing: &ExportStanding, now: &str) -> ExportHealth {
        standing.health(SCHEDULE, RETENTION, at(now))
    }

    /// Some minutes after everything that was due has been exported.
    const ON_TIME: &str = "2026-11-22T06:25:00Z";
    /// The export of 08:00 was due at 08:20.
    const LATEST_ON_TIME: &str = "2026-11-22T09:20:00Z";
    const LATE: &str = "2026-11-22T09:20:00.001Z";

    #[test]
    fn an_export_is_ok_until_its_lag_exceeds_the_tolerance() {
        for (now, expected) in
            [(ON_TIME, ExportHealth::Ok), (LATEST_ON_TIME, ExportHealth::Ok), (LATE, ExportHealth::Delayed)]
        {
            assert_eq!(health(&standing(), now), expected, "{now}");
        }
    }

    #[test]
    fn an_export_without_a_finished_run_has_never_run_until_it_is_late() {
        let created = at("2026-11-22T06:00:00Z");
        let new = ExportStanding { exported_through: None, created_at: created, updated_at: created, ..standing() };
        for connection in [ConnectionStatus::Pending, ConnectionStatus::Success] {
            let new = ExportStanding { connection, ..new.clone() };
            for (now, expected) in [
                (ON_TIME, ExportHealth::NeverRun),
                (LATEST_ON_TIME, ExportHealth::NeverRun),
                (LATE, ExportHealth::Delayed),
            ] {
                assert_eq!(health(&new, now), expected, "{connection:?} {now}");
            }
        }
    }

    #[test]
    fn a_quarter_of_the_retention_is_a_delay_whatever_the_lag() {
        // Since the edit no export was due, so there is no lag.
        let edited = |now: &str| ExportStanding { updated_at: at(now), ..standing() };
        // 22.5 of 90 days.
        for (now, expected) in [
            ("2026-12-14T17:59:59.999Z", ExportHealth::Ok),
            ("2026-12-14T18:00:00Z", ExportHealth::Delayed),
            // All of it: events are lost.
            ("2027-03-01T00:00:00Z", ExportHealth::Delayed),
        ] {
            assert_eq!(lag(&edited(now), now), 0, "{now}");
            assert_eq!(health(&edited(now), now), expected, "{now}");
        }
    }

    #[test]
    fn a_refused_connection_and_a_failed_run_are_failing_also_if_they_are_late_or_the_first() {
        let refused = ExportStanding { connection: ConnectionStatus::Failed, ..standing() };
        let failed = ExportStanding { consecutive_failures: 1, last_failure_at: Some(at(ON_TIME)), ..standing() };
        for failing in [refused, failed] {
            let first = ExportStanding { exported_through: None, ..failing.clone() };
            for now in [ON_TIME, LATE] {
                assert_eq!(health(&failing, now), ExportHealth::Failing, "{failing:?} {now}");
                assert_eq!(health(&first, now), ExportHealth::Failing, "{first:?} {now}");
            }
        }
    }

    #[test]
    fn a_failure_before_the_last_test_or_edit_of_the_connection_does_not_count() {
        use ConnectionStatus::{Failed, Pending, Success};
        let (before, edited, after) = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        for (connection, failed_at, is_failing) in [
            (Pending, Some(before), false),
            (Pending, Some(edited), true),
            (Pending, Some(after), true),
            (Success, Some(before), false),
            (Success, Some(edited), true),
            (Success, Some(after), true),
            (Success, None, true),
            (Failed, Some(before), true),
        ] {
            let standing = ExportStanding {
                connection,
                connection_checked_at: (connection == Success).then(|| at(edited)),
                consecutive_failures: 3,
                last_failure_at: failed_at.map(at),
                updated_at: at(if connection == Pending { edited } else { before }),
                ..standing()
            };
            let expected = if is_failing { ExportHealth::Failing } else { ExportHealth::Ok };
            assert_eq!(health(&standing, ON_TIME), expected, "{connection:?} {failed_at:?}");
        }
    }

    #[test]
    fn a_disabled_export_is_disabled_whatever_else_holds() {
        let refused = ExportStanding { connection: ConnectionStatus::Failed, ..standing() };
        let first = ExportStanding { exported_through: None, ..standing() };
        for standing in [standing(), refused, first] {
            let disabled = ExportStanding { enabled: false, ..standing };
            for now in [ON_TIME, LATE, "2027-03-01T00:00:00Z"] {
                assert_eq!(health(&disabled, now), ExportHealth::Disabled, "{disabled:?} {now}");
                assert_eq!(lag(&disabled, now), 0);
            }
        }
    }

    #[test]
    fn the_longest_interval_is_on_time_with_the_shortest_retention() {
        let retention = Duration::from_hours(7 * 24);
        let daily = ExportStanding {
            interval: ExportInterval::Every24Hours,
            exported_through: Some(at("2026-11-22T00:00:00Z")),
            ..standing()
        };
        // The export of the next day is due at 00:20.
        assert_eq!(daily.health(SCHEDULE, retention, at("2026-11-23T01:20:00Z")), ExportHealth::Ok);
        assert_eq!(daily.health(SCHEDULE, retention, at("2026-11-23T01:20:01Z")), ExportHealth::Delayed);
    }

    #[test]
    fn names_are_the_apis() {
        for health in ExportHealth::VARIANTS {
            assert_eq!(serde_json::to_string(health).unwrap(), format!("\"{}\"", health.name()));
        }
        assert_eq!(ExportHealth::NeverRun.name(), "NEVER_RUN");
    }
}
