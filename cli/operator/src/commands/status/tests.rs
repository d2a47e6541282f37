use std::time::Duration;

use domain::{
    archive::{ArchiveRow, ArchiveTimes},
    block::BlockId,
    configuration::bucket::BucketName,
};
use export_engine::ports::PortError;

use super::{
    test_support::{Noon, OnePage, failing, overview},
    *,
};
use crate::stack::test_support::stack;

fn source() -> OnePage {
    let mut disabled = overview("acme", "2026-11-20T00:00:00Z");
    disabled.standing.enabled = false;
    let mut new = overview("new", "2026-11-28T10:00:00Z");
    new.standing.exported_through = None;
    new.standing.created_at = Noon.now();
    new.standing.updated_at = Noon.now();
    OnePage::new(vec![
        disabled,
        overview("acme", "2026-11-28T10:00:00Z"),
        overview("a-tenant-with-a-rather-long-name", "2026-11-28T04:00:00Z"),
        overview("late", "2026-11-24T04:00:00Z"),
        failing("broken"),
        new,
    ])
}

fn filter() -> StatusFilter {
    StatusFilter { tenant: None, unhealthy: false, limit: 50 }
}

#[tokio::test]
async fn the_worst_come_first() {
    let survey = Survey::of(&source(), &stack(), &filter(), &Noon).await.unwrap();
    for width in [80, 120] {
        let style = Style { width: Some(width), ..Style::for_tests() };
        let text = survey.show(OutputFormat::Table, &style).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        insta::assert_snapshot!(format!("status_of_{width}_columns"), text);
    }
}

#[tokio::test]
async fn the_limit_keeps_the_worst_and_the_totals_count_all() {
    let filter = StatusFilter { unhealthy: true, limit: 2, ..filter() };
    let survey = Survey::of(&source(), &stack(), &filter, &Noon).await.unwrap();
    let text = survey.show(OutputFormat::Json, &Style::for_tests()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let listed: Vec<_> = value["configurations"].as_array().unwrap().iter().map(|one| &one["tenantId"]).collect();
    assert_eq!(listed, ["broken", "late"]);
    assert_eq!(value["configurations"][0]["health"], "FAILING");
    assert_eq!(value["configurations"][0]["consecutiveFailures"], 3);
    assert_eq!(value["totals"]["configurations"], 6);
    assert_eq!(value["totals"]["tenants"], 5);
    assert_eq!(value["totals"]["delayed"], 2);
    assert_eq!(value["totals"]["neverRun"], 1);
}

#[tokio::test]
async fn a_configuration_that_can_not_be_read_hides_no_other() {
    let source = source();
    source.0.lock().unwrap().push(Err(PortError::internal("read item", "the item's attribute interval is missing")));
    let survey = Survey::of(&source, &stack(), &filter(), &Noon).await.unwrap();
    assert_eq!((survey.totals.configurations, survey.totals.unreadable), (6, 1));
    let text = survey.show(OutputFormat::Table, &Style::for_tests()).unwrap();
    assert!(text.ends_with("1 items can't be read: repair them from recovery"), "{text}");
}

#[tokio::test]
async fn one_tenant_is_shown_alone() {
    let tenant = TenantId::parse("acme").unwrap();
    let (statuses, totals) = Survey::of_tenant(&source(), &stack(), &tenant, &Noon).await.unwrap();
    assert_eq!((statuses.len(), totals.configurations, totals.tenants), (2, 2, 1));
}

#[tokio::test]
async fn the_tenant_whose_archive_is_furthest_behind_is_named() {
    let mut survey = Survey::of(&source(), &stack(), &filter(), &Noon).await.unwrap();
    let mut archive = ArchiveStanding::default();
    let bucket = |name: &str| BucketName::parse(name).unwrap();
    for (tenant, hours) in [("acme", 2), ("late", 30), ("new", 3)] {
        let tenant = TenantId::parse(tenant).unwrap();
        let through = Noon.now().saturating_sub(Duration::from_hours(hours));
        let row =
            ArchiveRow::new(tenant, bucket("first"), Noon.now(), Duration::from_hours(24), &ArchiveTimes::PRODUCTION);
        archive.add(
            Some(ArchiveRow { archived_through: BlockId::lowest_at(through), ..row }),
            &bucket("first"),
            Noon.now(),
        );
    }
    assert_eq!((archive.foreign, &archive.foreign_bucket), (0, &None));
    let row = ArchiveRow::new(
        TenantId::parse("moved").unwrap(),
        bucket("second"),
        Noon.now(),
        Duration::from_hours(24),
        &ArchiveTimes::PRODUCTION,
    );
    archive.add(Some(row), &bucket("first"), Noon.now());
    archive.add(None, &bucket("first"), Noon.now());
    survey.archive = Some(archive);
    let text = survey.show(OutputFormat::Table, &Style::for_tests()).unwrap();
    assert!(text.contains("The archive of 5 tenants is at most 30h behind: late"), "{text}");
    assert!(text.contains("The segments of 1 tenants are in another bucket: second"), "{text}");
    assert!(text.ends_with("registry rows that can't be read: 1"), "{text}");
    let json: Value = serde_json::from_str(&survey.show(OutputFormat::Json, &Style::for_tests()).unwrap()).unwrap();
    assert_eq!((&json["archive"]["lagSeconds"], &json["archive"]["furthest"]), (&108_000.into(), &"late".into()));
}

#[test]
fn durations_are_brief() {
    let shown = [0, 59, 60, 3_599, 3_600, 172_799, 172_800, 86_400 * 90].map(brief);
    assert_eq!(shown, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "90d"]);
}
