use aws_adapters::configurations::{OverviewPage, OverviewPosition};
use domain::{configuration::bucket::BucketName, tenant::TenantId, time::Timestamp};

use super::*;
use crate::{
    call::Call,
    commands::status::test_support::{Noon, OnePage, failing, overview},
    failure::{CallFailure, CallFailureKind},
    ports::{
        AlarmState, ArchiveStanding, Archives, Concurrency, DataPoint, KeyState, MetricQuery, QueueState, Queues,
        TableState,
    },
    stack::test_support::stack,
};

/// A stack in an account: a healthy one, with some changes.
struct Account {
    exports: OnePage,
    messages: u64,
    age_seconds: f64,
    is_enabled: bool,
    dispatched_hours_ago: u64,
    /// An interval that was not dispatched for days.
    missed: Option<&'static str>,
    alarm: AlarmState,
    throttles: f64,
    table: TableState,
    key: KeyState,
    archive: ArchiveStanding,
    concurrency: Result<Concurrency, CallFailure>,
    skew: Duration,
}

fn healthy() -> Account {
    Account {
        exports: OnePage::new(vec![overview("acme", "2026-11-28T10:00:00Z")]),
        messages: 0,
        age_seconds: 0.0,
        is_enabled: true,
        dispatched_hours_ago: 1,
        missed: None,
        alarm: AlarmState { name: String::new(), state: "OK".to_owned(), has_actions: true },
        throttles: 0.0,
        table: TableState { status: "ACTIVE".to_owned(), has_time_to_live: true, has_recovery: true },
        key: KeyState { state: "Enabled".to_owned(), is_rotated: Some(true) },
        archive: ArchiveStanding { tenants: 3, lag_seconds: 5_400, ..ArchiveStanding::default() },
        concurrency: Ok(Concurrency { limit: 1_000, unreserved: 900 }),
        skew: Duration::from_secs(1),
    }
}

fn broken() -> Account {
    let denied = CallFailure {
        call: Call::GetAccountSettings,
        kind: CallFailureKind::Denied,
        detail: "AccessDenied: no".to_owned(),
    };
    Account {
        exports: OnePage::new(vec![overview("acme", "2026-11-03T10:00:00Z"), failing("broken")]),
        messages: 3,
        age_seconds: 7_200.0,
        is_enabled: true,
        dispatched_hours_ago: 29,
        missed: None,
        alarm: AlarmState { name: String::new(), state: "ALARM".to_owned(), has_actions: false },
        throttles: 11.0,
        table: TableState { status: "UPDATING".to_owned(), has_time_to_live: false, has_recovery: false },
        key: KeyState { state: "PendingDeletion".to_owned(), is_rotated: Some(false) },
        archive: ArchiveStanding {
            tenants: 3,
            lag_seconds: 100_000,
            furthest: TenantId::parse("acme").ok(),
            unreadable: 1,
            foreign: 2,
            foreign_bucket: BucketName::parse("audit-export-archivebucket-1abc").ok(),
        },
        concurrency: Err(denied),
        skew: Duration::from_mins(6),
    }
}

impl Queues for Account {
    async fn queue(&self, url: &str) -> Result<QueueState, CallFailure> {
        Ok(QueueState { arn: url.to_owned(), visible: self.messages, ..QueueState::default() })
    }
}

impl Inspection for Account {
    async fn is_schedule_enabled(&self, _: &str, _: &str) -> Result<bool, CallFailure> {
        Ok(self.is_enabled)
    }

    async fn key(&self, _: &str, is_rotated: bool) -> Result<KeyState, CallFailure> {
        let KeyState { state, is_rotated: rotation } = self.key.clone();
        Ok(KeyState { state, is_rotated: rotation.filter(|_| is_rotated) })
    }

    async fn table(&self, _: &str) -> Result<TableState, CallFailure> {
        Ok(self.table.clone())
    }

    async fn alarms(&self, names: &[String]) -> Result<Vec<AlarmState>, CallFailure> {
        Ok(names.iter().map(|name| AlarmState { name: name.clone(), ..self.alarm.clone() }).collect())
    }

    async fn metric(&self, query: &MetricQuery) -> Result<Vec<DataPoint>, CallFailure> {
        let (hours_ago, value) = match query.name {
            "Dispatched" if query.dimensions.iter().any(|(_, value)| Some(&**value) == self.missed) => (100, 1.0),
            "Dispatched" => (self.dispatched_hours_ago, 1.0),
            "ApproximateAgeOfOldestMessage" => (0, self.age_seconds),
            _ => (0, self.throttles),
        };
        let at = query.until.saturating_sub(Duration::from_hours(hours_ago));
        Ok(vec![DataPoint { at, value }].into_iter().filter(|_| hours_ago < query.hours).collect())
    }

    async fn concurrency(&self) -> Result<Concurrency, CallFailure> {
        self.concurrency.clone()
    }

    async fn aws_time(&self) -> Result<Timestamp, CallFailure> {
        Ok(Noon.now().saturating_add(self.skew))
    }
}

impl Overviews for Account {
    async fn overviews(
        &self,
        stack: &Stack,
        tenant: Option<&TenantId>,
        after: Option<OverviewPosition>,
    ) -> Result<OverviewPage, Failure> {
        self.exports.overviews(stack, tenant, after).await
    }
}

impl Archives for Account {
    async fn archive(&self, _: &Stack, _: Timestamp) -> Result<ArchiveStanding, Failure> {
        Ok(self.archive.clone())
    }
}

async fn results(account: &Account) -> Vec<CheckResult> {
    examine(account, &stack(), &Noon).await
}

fn shown(results: &[CheckResult], width: usize) -> String {
    let style = Style { width: Some(width), ..Style::for_tests() };
    let text = show(results, OutputFormat::Table, &style).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
    text
}

#[tokio::test]
async fn a_healthy_stack_has_ticks_alone() {
    let results = results(&healthy()).await;
    assert!(results.iter().all(|result| result.is_good && result.advice.is_none()), "{results:?}");
    insta::assert_snapshot!("healthy", shown(&results, 80));
}

#[tokio::test]
async fn every_check_can_fail_and_none_stops_the_others() {
    let results = results(&broken()).await;
    // The housekeeper's schedules have no metric of their own.
    let good: Vec<&str> = results.iter().filter(|result| result.is_good).map(|result| &*result.check).collect();
    assert_eq!(good, ["SweepSchedule", "PublishNoticesSchedule", "ArchiveSchedule"]);
    for width in [80, 120] {
        insta::assert_snapshot!(format!("broken_of_{width}_columns"), shown(&results, width));
    }
}

#[tokio::test]
async fn a_schedule_that_is_disabled_or_not_dispatched_fails() {
    let schedules = |results: Vec<CheckResult>| {
        results.into_iter().filter(|result| result.check.ends_with("Schedule")).collect::<Vec<_>>()
    };
    let disabled = schedules(results(&Account { is_enabled: false, ..healthy() }).await);
    assert!(disabled.len() == 8 && disabled.iter().all(|result| !result.is_good && result.detail == "disabled"));
    let missed = schedules(results(&Account { missed: Some("EVERY_24_HOURS"), ..healthy() }).await);
    let bad: Vec<&str> = missed.iter().filter(|result| !result.is_good).map(|result| &*result.detail).collect();
    assert_eq!(bad, ["enabled, no dispatch in 30 h"]);
    // No interval was dispatched: the stack is new.
    let unknown = schedules(results(&Account { dispatched_hours_ago: 100, ..healthy() }).await);
    assert!(unknown.iter().all(|result| result.is_good), "{unknown:?}");
}

#[tokio::test]
async fn programs_get_every_check() {
    let json = show(&results(&broken()).await, OutputFormat::Json, &Style::for_tests()).unwrap();
    let checks: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let concurrency = checks.iter().find(|check| check["check"] == "Lambda's concurrency").unwrap();
    assert_eq!(concurrency["isGood"], false);
    let detail = "the permission lambda:GetAccountSettings is missing: AccessDenied: no";
    assert_eq!(concurrency["detail"], detail);
}
