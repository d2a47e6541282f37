//! The lag of exports over all configurations, for the operator's alarms.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use crate::{
    export_health::{ExportHealth, ExportStanding, percent},
    interval::ExportSchedule,
    tenant::TenantId,
    time::Timestamp,
};

/// The fewest tenants for which a share of refused ones is reported. With fewer, one customer's mistake is a large share.
pub const MIN_TENANTS_OF_A_SHARE: usize = 8;

/// The percentage from which on events are lost. Another alarm reports the gap.
const ALL_RETENTION_PERCENT: u64 = 100;

/// The result of a sweep over the enabled configurations. Metric filters read the field names in its log line. Each configuration
/// is either healthy, never run, delayed, failing or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LagReport {
    pub configurations: u64,
    /// Of exports that aren't refused: of these the operator has to act.
    pub largest_lag_seconds: u64,
    /// Configurations whose health is [`ExportHealth::Ok`].
    pub healthy_configurations: u64,
    pub never_run_configurations: u64,
    pub delayed_configurations: u64,
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

    /// Adds a configuration, unless it is disabled.
    pub fn add(&mut self, standing: &ExportStanding) {
        let report = &mut self.report;
        *match standing.health(self.schedule, self.retention, self.now) {
            ExportHealth::Disabled => return,
            ExportHealth::Failing if standing.is_refused() => &mut report.refused_configurations,
            ExportHealth::Failing => &mut report.failing_configurations,
            ExportHealth::Delayed => &mut report.delayed_configurations,
            ExportHealth::NeverRun => &mut report.never_run_configurations,
            ExportHealth::Ok => &mut report.healthy_configurations,
        } += 1;
        report.configurations += 1;
        if !standing.is_refused() {
            let lag = standing.lag(self.schedule, self.now).as_secs();
            report.largest_lag_seconds = report.largest_lag_seconds.max(lag);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::ConnectionStatus,
        export_health::test_support::{RETENTION, SCHEDULE, at, standing, tenant},
    };

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
    fn each_enabled_configuration_counts_once_and_the_largest_lag_is_reported() {
        let failing = ExportStanding { consecutive_failures: 1, ..standing() };
        let refused = ExportStanding {
            connection: ConnectionStatus::Failed,
            exported_through: Some(at("2026-11-22T02:00:00Z")),
            ..standing()
        };
        let delayed = ExportStanding {
            connection: ConnectionStatus::Pending,
            exported_through: Some(at("2026-11-22T04:00:00Z")),
            ..standing()
        };
        let new = ExportStanding { exported_through: None, updated_at: at("2026-11-22T07:00:00Z"), ..standing() };
        let new = ExportStanding { created_at: new.updated_at, ..new };
        let disabled = ExportStanding { enabled: false, ..delayed.clone() };
        let expected = LagReport {
            configurations: 6,
            // That of the refused one is larger.
            largest_lag_seconds: 2 * 3_600,
            healthy_configurations: 2,
            never_run_configurations: 1,
            delayed_configurations: 1,
            failing_configurations: 1,
            refused_configurations: 1,
            ..LagReport::default()
        };
        let standings = [standing(), failing, refused, delayed, new, disabled, standing()];
        assert_eq!(survey(standings, "2026-11-22T08:20:00Z"), expected);
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
