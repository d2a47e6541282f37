//! The lag of exports over all configurations, for the operator's alarms.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use crate::{
    connection::ConnectionStatus,
    interval::{ExportInterval, ExportSchedule},
    tenant::TenantId,
    time::Timestamp,
};

/// The fewest tenants for which a share of refused ones is reported. With fewer, one customer's mistake is a large share.
pub const MIN_TENANTS_OF_A_SHARE: usize = 8;

/// The percentage from which on events are lost. Another alarm reports the gap.
const ALL_RETENTION_PERCENT: u64 = 100;

/// The state of the export of an enabled configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStanding {
    pub tenant_id: TenantId,
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

impl ExportStanding {
    /// Returns whether the customer has to change something before the export can continue.
    fn is_refused(&self) -> bool {
        self.connection == ConnectionStatus::Failed
    }

    /// Returns whether the last run failed for a reason on the service's side. If the customer has changed or tested the
    /// connection since, the cause may be fixed and the next run has to show it, as in `export_job::ExportFailure`.
    fn is_failing(&self) -> bool {
        let found_at = match self.connection {
            ConnectionStatus::Failed => return false,
            ConnectionStatus::Success => self.connection_checked_at,
            ConnectionStatus::Pending => Some(self.updated_at),
        };
        let is_news = self.last_failure_at.zip(found_at).is_some_and(|(failed_at, found_at)| failed_at < found_at);
        self.consecutive_failures > 0 && !is_news
    }

    /// Returns whether runs still export events that were received before the configuration was created. This backlog was never
    /// due, however many runs it takes.
    fn is_catching_up(&self) -> bool {
        self.exported_through.is_some_and(|exported_through| exported_through < self.created_at)
    }

    /// Returns the time before which everything is exported. Events that were received before the configuration was created are
    /// a backlog for its first run, and are not late.
    fn progress(&self) -> Timestamp {
        self.exported_through.unwrap_or(Timestamp::EPOCH).max(self.start_from).max(self.created_at)
    }

    /// Returns the time since the oldest export was due that has not happened.
    ///
    /// Boundaries before the last edit don't count: the configuration may have been disabled then, or have had another interval
    /// or a broken connection. A refused export has no lag, because the customer has to act and not the operator. Neither has
    /// one that catches up with events from before its creation.
    #[must_use]
    pub fn lag(&self, schedule: ExportSchedule, now: Timestamp) -> Duration {
        if self.is_refused() || self.is_catching_up() {
            return Duration::ZERO;
        }
        let slot_length = schedule.slot_length(self.interval);
        let done_through = self.progress().max(self.updated_at);
        let boundary = done_through.floor_to(slot_length).saturating_add(slot_length);
        now.saturating_since(boundary.saturating_add(schedule.settle))
    }

    /// Returns the share of the retention that the oldest unexported event has used, in percent. More than 100 means that events
    /// are lost.
    #[must_use]
    pub fn retention_used_percent(&self, retention: Duration, now: Timestamp) -> u64 {
        percent(now.saturating_since(self.progress()).as_secs(), retention.as_secs())
    }
}

/// The result of a sweep over the enabled configurations. Metric filters read the field names in its log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LagReport {
    pub configurations: u64,
    pub largest_lag_seconds: u64,
    /// Configurations whose last run failed for a reason on the service's side.
    pub failing_configurations: u64,
    /// Configurations whose connection failed.
    pub refused_configurations: u64,
    /// The share of tenants with a refused configuration; 0 with fewer than [`MIN_TENANTS_OF_A_SHARE`] tenants. If all tenants
    /// fail, the fault is on the service's side.
    pub refused_tenants_percent: u64,
    /// The largest share of exports that aren't refused, without those that have lost events: they would hide the others.
    pub retention_used_percent: u64,
    /// The same for refused exports.
    pub refused_retention_used_percent: u64,
}

/// The sum over the configurations of a sweep.
#[derive(Debug)]
pub struct LagSurvey {
    schedule: ExportSchedule,
    retention: Duration,
    now: Timestamp,
    report: LagReport,
    tenants: BTreeSet<TenantId>,
    refused_tenants: BTreeSet<TenantId>,
}

impl LagSurvey {
    #[must_use]
    pub fn new(schedule: ExportSchedule, retention: Duration, now: Timestamp) -> Self {
        Self {
            schedule,
            retention,
            now,
            report: LagReport::default(),
            tenants: BTreeSet::new(),
            refused_tenants: BTreeSet::new(),
        }
    }

    pub fn add(&mut self, standing: &ExportStanding) {
        let report = &mut self.report;
        report.configurations += 1;
        report.largest_lag_seconds = report.largest_lag_seconds.max(standing.lag(self.schedule, self.now).as_secs());
        report.failing_configurations += u64::from(standing.is_failing());
        report.refused_configurations += u64::from(standing.is_refused());
        let used = standing.retention_used_percent(self.retention, self.now);
        if used < ALL_RETENTION_PERCENT {
            let largest = if standing.is_refused() {
                &mut report.refused_retention_used_percent
            } else {
                &mut report.retention_used_percent
            };
            *largest = used.max(*largest);
        }
        if standing.is_refused() {
            self.refused_tenants.insert(standing.tenant_id.clone());
        }
        self.tenants.insert(standing.tenant_id.clone());
    }

    #[must_use]
    pub fn report(&self) -> LagReport {
        let (refused, tenants) = (self.refused_tenants.len(), self.tenants.len());
        let refused_tenants_percent =
            if tenants < MIN_TENANTS_OF_A_SHARE { 0 } else { percent(refused as u64, tenants as u64) };
        LagReport { refused_tenants_percent, ..self.report }
    }
}

/// Returns the share in percent, rounded down.
fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100) / whole.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: ExportSchedule = ExportSchedule { settle: Duration::from_mins(20), development_slot_length: None };
    const RETENTION: Duration = Duration::from_hours(90 * 24);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn tenant(number: usize) -> TenantId {
        TenantId::parse(&format!("tenant-{number}")).unwrap()
    }

    /// An export that was created and last edited at the beginning of November, and is complete until the morning of the 22nd.
    fn standing() -> ExportStanding {
        ExportStanding {
            tenant_id: tenant(0),
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

    fn survey(standings: impl IntoIterator<Item = ExportStanding>, now: &str) -> LagReport {
        let mut survey = LagSurvey::new(SCHEDULE, RETENTION, at(now));
        for standing in standings {
            survey.add(&standing);
        }
        survey.report()
    }

    #[test]
    fn a_refused_export_counts_as_refused_and_uses_retention_but_has_no_lag() {
        let refused = ExportStanding { connection: ConnectionStatus::Failed, consecutive_failures: 9, ..standing() };
        let expected = LagReport {
            configurations: 1,
            refused_configurations: 1,
            // 45 of 90 days.
            refused_retention_used_percent: 50,
            ..LagReport::default()
        };
        assert_eq!(survey([refused], "2027-01-06T06:00:00Z"), expected);
    }

    #[test]
    fn an_export_that_has_lost_events_hides_no_other_one() {
        let now = "2027-02-20T06:00:00Z";
        let lost = standing();
        // 89 and 45 of 90 days.
        let next = ExportStanding { exported_through: Some(at("2026-11-23T06:00:00Z")), ..standing() };
        let later = ExportStanding { exported_through: Some(at("2027-01-06T06:00:00Z")), ..standing() };
        let refused =
            |standing: &ExportStanding| ExportStanding { connection: ConnectionStatus::Failed, ..standing.clone() };
        let used = |standings: Vec<ExportStanding>| {
            let report = survey(standings, now);
            (report.retention_used_percent, report.refused_retention_used_percent)
        };
        assert_eq!(lost.retention_used_percent(RETENTION, at(now)), 100);
        assert_eq!(used(vec![lost.clone(), refused(&lost)]), (0, 0));
        assert_eq!(used(vec![refused(&next), lost.clone(), later.clone()]), (50, 98));
        assert_eq!(used(vec![next, refused(&lost), refused(&later)]), (98, 50));
    }

    #[test]
    fn a_failure_before_the_last_change_of_the_connection_is_not_ours() {
        use ConnectionStatus::{Failed, Pending, Success};
        let (before, edited, after) = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        for (connection, failed_at, expected) in [
            (Pending, Some(before), 0),
            (Pending, Some(after), 1),
            (Success, Some(before), 0),
            (Success, Some(after), 1),
            (Success, None, 1),
            (Failed, Some(after), 0),
        ] {
            let standing = ExportStanding {
                connection,
                connection_checked_at: (connection == Success).then(|| at(edited)),
                consecutive_failures: 3,
                last_failure_at: failed_at.map(at),
                updated_at: at(if connection == Pending { edited } else { before }),
                ..standing()
            };
            assert_eq!(survey([standing], after).failing_configurations, expected, "{connection:?} {failed_at:?}");
        }
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
    }

    #[test]
    fn the_worst_of_all_is_reported() {
        let failing = ExportStanding { consecutive_failures: 1, tenant_id: tenant(1), ..standing() };
        let pending = ExportStanding {
            connection: ConnectionStatus::Pending,
            exported_through: Some(at("2026-11-22T04:00:00Z")),
            tenant_id: tenant(2),
            ..standing()
        };
        let expected = LagReport {
            configurations: 3,
            largest_lag_seconds: 2 * 3_600,
            failing_configurations: 1,
            ..LagReport::default()
        };
        assert_eq!(survey([standing(), failing, pending], "2026-11-22T08:20:00Z"), expected);
        assert_eq!(survey([], "2026-11-22T08:20:00Z"), LagReport::default());
    }

    #[test]
    fn refused_tenants_are_a_share_of_no_fewer_than_eight() {
        let tenants = |count: usize, refused: usize| {
            // Two configurations each: a tenant counts once.
            (0..2 * count).map(move |number| ExportStanding {
                tenant_id: tenant(number / 2),
                connection: if number / 2 < refused { ConnectionStatus::Failed } else { ConnectionStatus::Success },
                ..standing()
            })
        };
        for (count, refused, expected) in [(7, 7, 0), (8, 0, 0), (8, 2, 25), (8, 8, 100), (9, 1, 11)] {
            let report = survey(tenants(count, refused), "2026-11-22T08:00:00Z");
            assert_eq!(report.refused_tenants_percent, expected, "{refused} of {count}");
        }
    }
}
