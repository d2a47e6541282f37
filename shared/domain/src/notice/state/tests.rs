use proptest::prelude::*;

use super::*;
use crate::{
    configuration::{ConfigurationId, ConfigurationKey},
    digest::GapReason,
    export_health::test_support::{RETENTION, SCHEDULE, at, standing},
    notice::NoticeKind::{
        AccessKeyAging, AccessKeyRefused, ExportDelayed, ExportFailing, ExportRecovered, ExportStillFailing, GapSigned,
    },
};

const TERMS: NoticeTerms = NoticeTerms { schedule: SCHEDULE, retention: RETENTION };

/// Some minutes after everything that was due has been exported.
const ON_TIME: &str = "2026-11-22T06:25:00Z";

/// An export that was observed before, and works.
fn observed() -> ObservedExport {
    let standing = standing();
    ObservedExport {
        key: ConfigurationKey {
            tenant_id: standing.tenant_id.clone(),
            configuration_id: ConfigurationId::from_bytes([7; 16]),
        },
        version: 1,
        standing,
        connection_error: None,
        secret_stored_at: None,
        signed_gap: None,
        noticed: StoredNoticeState::parse("{}"),
        webhooks: Vec::new(),
    }
}

fn failed(standing: &ExportStanding) -> ExportStanding {
    ExportStanding { consecutive_failures: 1, last_failure_at: Some(at(ON_TIME)), ..standing.clone() }
}

fn refused_with(code: ConnectionErrorCode) -> ObservedExport {
    let export = observed();
    ObservedExport {
        standing: ExportStanding { connection: ConnectionStatus::Failed, ..failed(&export.standing) },
        connection_error: Some(ConnectionError { code, message: "The bucket is gone.".to_owned() }),
        ..export
    }
}

/// Observes an export, stores what changed as the sweep does, and returns the kinds of the notices.
fn observe(export: &mut ObservedExport, now: &str) -> Vec<NoticeKind> {
    let Some(NoticeTransition { next, notices }) = export.transition(TERMS, at(now), 5) else { return Vec::new() };
    export.noticed = StoredNoticeState::parse(&serde_json::to_string(&next).unwrap());
    assert_eq!(export.transition(TERMS, at(now), 6), None, "an observation that is repeated changes nothing");
    notices.iter().map(|notice| notice.kind).collect()
}

#[test]
fn an_export_that_works_is_worth_no_notice_and_no_write() {
    assert_eq!(observed().transition(TERMS, at(ON_TIME), 0), None);
}

#[test]
fn a_failure_and_its_end_are_one_notice_each() {
    for mut export in [
        refused_with(ConnectionErrorCode::BucketNotFound),
        ObservedExport { standing: failed(&standing()), ..observed() },
    ] {
        assert_eq!(observe(&mut export, ON_TIME), [ExportFailing]);
        export.standing.consecutive_failures = 20;
        assert_eq!(observe(&mut export, "2026-11-22T07:00:00Z"), []);
        export = ObservedExport { standing: standing(), connection_error: None, ..export };
        assert_eq!(observe(&mut export, "2026-11-22T07:15:00Z"), [ExportRecovered]);
        assert_eq!(observe(&mut export, "2026-11-22T07:30:00Z"), []);
    }
}

#[test]
fn an_edit_alone_ends_no_failure() {
    let mut export = refused_with(ConnectionErrorCode::BucketNotFound);
    assert_eq!(observe(&mut export, ON_TIME), [ExportFailing]);
    let edited_at = at("2026-11-22T06:40:00Z");
    export.standing.connection = ConnectionStatus::Pending;
    export.standing.updated_at = edited_at;
    export.connection_error = None;
    assert_eq!(observe(&mut export, "2026-11-22T06:45:00Z"), []);
    // The test succeeds, and the next run has still to show it.
    export.standing.connection = ConnectionStatus::Success;
    export.standing.connection_checked_at = Some(edited_at);
    assert_eq!(observe(&mut export, "2026-11-22T06:50:00Z"), []);
    export.standing.consecutive_failures = 0;
    assert_eq!(observe(&mut export, "2026-11-22T07:00:00Z"), [ExportRecovered]);
}

#[test]
fn an_export_that_stays_broken_is_named_again_after_three_slots_and_then_daily() {
    let mut export = refused_with(ConnectionErrorCode::WriteDenied);
    assert_eq!(observe(&mut export, ON_TIME), [ExportFailing]);
    // The exports of 08:00, 10:00 and 12:00 are due 20 minutes later.
    for (now, expected) in [
        ("2026-11-22T12:20:00Z", &[][..]),
        ("2026-11-22T12:20:01Z", &[ExportStillFailing]),
        ("2026-11-22T14:30:00Z", &[]),
        ("2026-11-23T12:20:00Z", &[]),
        ("2026-11-23T12:20:01Z", &[ExportStillFailing]),
        ("2026-11-24T12:35:00Z", &[ExportStillFailing]),
    ] {
        assert_eq!(observe(&mut export, now), expected, "{now}");
    }
}

#[test]
fn each_threshold_of_a_delay_is_one_notice_until_it_is_over() {
    // 22.5, 45 and 90 of 90 days.
    let mut export = observed();
    for (now, expected) in [
        ("2026-12-14T05:59:59Z", &[][..]),
        ("2026-12-14T18:00:00Z", &[ExportDelayed]),
        ("2026-12-20T00:00:00Z", &[]),
        ("2027-01-06T06:00:00Z", &[ExportDelayed]),
        ("2027-02-20T06:00:00Z", &[]),
    ] {
        assert_eq!(observe(&mut export, now), expected, "{now}");
    }
    // Below half, but not below a quarter: it is not over, and half is no news.
    export.standing.exported_through = Some(at("2027-01-20T00:00:00Z"));
    assert_eq!(observe(&mut export, "2027-02-20T06:00:00Z"), []);
    assert_eq!(observe(&mut export, "2027-03-20T06:00:00Z"), []);
    export.standing.exported_through = Some(at("2027-03-20T06:00:00Z"));
    assert_eq!(observe(&mut export, "2027-03-20T06:20:00Z"), [ExportRecovered]);
    // Both thresholds at once are one notice.
    assert_eq!(observe(&mut export, "2027-06-10T06:00:00Z"), [ExportDelayed]);
}

#[test]
fn a_refused_key_is_a_notice_until_aws_accepts_it() {
    let mut export = refused_with(ConnectionErrorCode::AccessKeyUnknown);
    assert_eq!(observe(&mut export, ON_TIME), [ExportFailing, AccessKeyRefused]);
    export.connection_error.as_mut().unwrap().code = ConnectionErrorCode::SecretAccessKeyWrong;
    assert_eq!(observe(&mut export, ON_TIME), []);
    export.connection_error.as_mut().unwrap().code = ConnectionErrorCode::WriteDenied;
    assert_eq!(observe(&mut export, ON_TIME), []);
    export.connection_error.as_mut().unwrap().code = ConnectionErrorCode::AccessKeyUnknown;
    assert_eq!(observe(&mut export, ON_TIME), [AccessKeyRefused]);
}

#[test]
fn an_old_secret_is_one_notice_and_its_successor_another() {
    let mut export = ObservedExport { secret_stored_at: Some(at("2026-08-24T06:25:00Z")), ..observed() };
    assert_eq!(observe(&mut export, "2026-11-22T06:24:59Z"), []);
    assert_eq!(observe(&mut export, ON_TIME), [AccessKeyAging]);
    export.secret_stored_at = Some(at(ON_TIME));
    export.standing.exported_through = Some(at("2027-02-20T06:00:00Z"));
    assert_eq!(observe(&mut export, "2027-02-20T06:24:00Z"), []);
    assert_eq!(observe(&mut export, "2027-02-20T06:25:00Z"), [AccessKeyAging]);
}

#[test]
fn a_signed_gap_is_one_notice_for_each_digest() {
    let gap = |sequence| SignedGap {
        sequence,
        from: at("2026-11-01T00:00:00Z"),
        to: at("2026-11-02T00:00:00Z"),
        reason: GapReason::RetentionEnded,
        gaps: 1,
    };
    let mut export = ObservedExport { signed_gap: Some(gap(0)), ..observed() };
    assert_eq!(observe(&mut export, ON_TIME), [GapSigned]);
    export.signed_gap = Some(gap(4));
    assert_eq!(observe(&mut export, ON_TIME), [GapSigned]);
}

#[test]
fn nothing_is_said_of_a_disabled_export() {
    let mut export = refused_with(ConnectionErrorCode::BucketNotFound);
    export.standing.enabled = false;
    for noticed in [None, StoredNoticeState::parse("{}")] {
        assert_eq!(ObservedExport { noticed, ..export.clone() }.transition(TERMS, at(ON_TIME), 0), None);
    }
}

#[test]
fn what_was_so_before_there_were_notices_is_noted_in_silence() {
    let mut export = ObservedExport {
        noticed: None,
        secret_stored_at: Some(at("2025-01-01T00:00:00Z")),
        ..refused_with(ConnectionErrorCode::AccessKeyUnknown)
    };
    // It has missed many slots, and has used a third of the retention.
    let deployed = "2026-12-22T06:00:00Z";
    assert_eq!(observe(&mut export, deployed), []);
    assert!(export.noticed.is_some());
    assert_eq!(observe(&mut export, "2026-12-23T05:59:59Z"), []);
    assert_eq!(observe(&mut export, "2026-12-23T06:00:00Z"), [ExportStillFailing]);
    // One that works has a state from then on, so its first failure is news.
    let mut working = ObservedExport { noticed: None, ..observed() };
    assert_eq!(observe(&mut working, ON_TIME), []);
    working.standing = failed(&working.standing);
    assert_eq!(observe(&mut working, ON_TIME), [ExportFailing]);
}

#[test]
fn a_state_of_a_later_version_is_read() {
    let text = r#"{"failing":{"since":"2026-11-22T00:00:00.000Z"},"later":true}"#;
    let stored = StoredNoticeState::parse(text).unwrap();
    assert_eq!(stored.as_str(), text);
    assert!(stored.state.failing.is_some());
    assert_eq!(StoredNoticeState::parse("failing"), None);
}

/// A step of a random history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fails,
    Refused,
    Works,
    Edited,
    Toggled,
    /// The sweep reads, and stores or dies before it does.
    Sweep {
        stores: bool,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Fails),
        Just(Step::Refused),
        Just(Step::Works),
        Just(Step::Edited),
        Just(Step::Toggled),
        any::<bool>().prop_map(|stores| Step::Sweep { stores }),
        (1_u64..3 * 24 * 60).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Failures and recoveries alternate whatever happens between sweeps, and reminders are a day apart.
    #[test]
    fn a_history_has_one_notice_for_each_change(steps in prop::collection::vec(step(), 1..80)) {
        let mut export = observed();
        let mut now = at(ON_TIME);
        let mut sent: Vec<(NoticeEvent, Timestamp)> = Vec::new();
        for step in steps {
            match step {
                Step::Fails => {
                    export.standing.consecutive_failures += 1;
                    export.standing.last_failure_at = Some(now);
                }
                Step::Refused => {
                    export.standing.connection = ConnectionStatus::Failed;
                    let code = ConnectionErrorCode::BucketNotFound;
                    export.connection_error = Some(ConnectionError { code, message: String::new() });
                }
                Step::Works => {
                    export.standing.connection = ConnectionStatus::Success;
                    export.standing.consecutive_failures = 0;
                    export.standing.exported_through = Some(now);
                    export.connection_error = None;
                }
                Step::Edited => {
                    export.standing.connection = ConnectionStatus::Pending;
                    export.standing.updated_at = now;
                    export.connection_error = None;
                }
                Step::Toggled => export.standing.enabled = !export.standing.enabled,
                Step::Wait(minutes) => now = now.saturating_add(Duration::from_mins(minutes)),
                Step::Sweep { stores } => {
                    let transition = export.transition(TERMS, now, 0);
                    if let Some(NoticeTransition { next, notices }) = transition.filter(|_| stores) {
                        export.noticed = StoredNoticeState::parse(&serde_json::to_string(&next).unwrap());
                        sent.extend(notices.into_iter().map(|notice| (notice.detail.event, now)));
                        prop_assert_eq!(export.transition(TERMS, now, 1), None);
                    }
                }
            }
        }
        let reminders: Vec<_> =
            sent.iter().filter(|(event, _)| event.kind() == ExportStillFailing).map(|(_, at)| *at).collect();
        for pair in reminders.windows(2) {
            prop_assert!(pair[1].saturating_since(pair[0]) >= REMINDED_EVERY, "{sent:?}");
        }
        // Between two first failures there is a recovery, and no other notice of a failure without a first one.
        let mut is_failing = false;
        for (event, _) in &sent {
            match event {
                NoticeEvent::ExportFailing { .. } => {
                    prop_assert!(!is_failing, "{sent:?}");
                    is_failing = true;
                }
                NoticeEvent::ExportStillFailing { .. } => prop_assert!(is_failing, "{sent:?}"),
                NoticeEvent::ExportRecovered { ended, .. } if ended.contains(&ExportFailing) => {
                    prop_assert!(is_failing, "{sent:?}");
                    is_failing = false;
                }
                _ => {}
            }
        }
    }
}
