use super::{
    event::{ChangeFacts, MoveFacts},
    gap::SignedGap,
    *,
};
use crate::{
    configuration::bucket::BucketName,
    connection::{ConnectionError, ConnectionErrorCode},
    digest::GapReason,
    export_health::test_support::at,
    webhook::delivery::WebhookBody,
};

/// One event of each kind.
fn events() -> Vec<NoticeEvent> {
    let error = |code: ConnectionErrorCode, message: &str| ConnectionError { code, message: message.to_owned() };
    let denied = || error(ConnectionErrorCode::WriteDenied, "Writing to the bucket acme-audit was denied.");
    let unknown = error(ConnectionErrorCode::AccessKeyUnknown, "AWS doesn't know the access key, or it is inactive.");
    let exported_through = Some(at("2026-11-22T06:00:00Z"));
    vec![
        NoticeEvent::ExportFailing {
            code: Some(ConnectionErrorCode::WriteDenied),
            consecutive_failures: 1,
            error: Some(denied()),
        },
        NoticeEvent::ExportStillFailing {
            code: Some(ConnectionErrorCode::WriteDenied),
            consecutive_failures: 4,
            missed_slots: 3,
            retention_used_percent: 0,
            exported_through,
            error: Some(denied()),
        },
        NoticeEvent::ExportRecovered { ended: vec![NoticeKind::ExportFailing], exported_through },
        NoticeEvent::ExportDelayed { threshold_percent: 25, retention_used_percent: 26, exported_through },
        NoticeEvent::GapSigned(SignedGap {
            sequence: 17,
            from: at("2026-08-24T06:00:00Z"),
            to: at("2026-08-24T08:00:00Z"),
            reason: GapReason::RetentionEnded,
            gaps: 1,
        }),
        NoticeEvent::ExportDisabled(ChangeFacts::new("user-1", 8, true)),
        NoticeEvent::ExportEnabled(ChangeFacts::new("user-1", 9, false)),
        NoticeEvent::ExportDeleted(ChangeFacts::new("user-1", 9, false)),
        NoticeEvent::ExportDestinationChanged(MoveFacts {
            change: ChangeFacts::new("user-1", 10, true),
            changed_fields: vec!["bucketName", "region"],
            is_same_owner: false,
            bucket_before: BucketName::parse("acme-audit").unwrap(),
            bucket_after: BucketName::parse("other-audit").unwrap(),
        }),
        NoticeEvent::NotificationsChanged(ChangeFacts::new("user-1", 10, false)),
        NoticeEvent::AccessKeyRefused { code: ConnectionErrorCode::AccessKeyUnknown, error: unknown },
        NoticeEvent::AccessKeyAging { stored_at: at("2026-08-24T12:00:00Z"), age_days: 90 },
    ]
}

fn key() -> ConfigurationKey {
    ConfigurationKey {
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::parse("0b0c7e1c-8d0f-4f3e-9f65-6f1d3c1f2a5b").unwrap(),
    }
}

fn notices(events: Vec<NoticeEvent>) -> Vec<Notice> {
    Notice::all(&key(), events, at("2026-11-22T12:00:00Z"), 0)
}

/// The JSON is a published format: docs/NOTICES.md has these examples.
#[test]
fn the_json_of_each_kind_is_the_documented_one() {
    let examples: Vec<String> =
        notices(events()).iter().map(|notice| serde_json::to_string_pretty(notice).unwrap()).collect();
    insta::assert_snapshot!(examples.join("\n"));
    let document = include_str!("../../../../docs/NOTICES.md");
    for example in examples {
        assert!(document.contains(&format!("```json\n{example}\n```")), "docs/NOTICES.md lacks:\n{example}");
    }
}

#[test]
fn there_is_an_example_of_each_kind() {
    let kinds: Vec<_> = events().iter().map(NoticeEvent::kind).collect();
    assert_eq!(kinds, NoticeKind::ALL);
    for kind in NoticeKind::ALL {
        assert_eq!(NoticeKind::parse(kind.name()), Some(*kind));
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
    }
}

#[test]
fn no_text_makes_a_notice_too_long_for_a_webhook() {
    let endless = "\u{1}".repeat(100_000);
    let error = ConnectionError { code: ConnectionErrorCode::KmsDenied, message: endless.clone() };
    let longest = vec![
        NoticeEvent::ExportStillFailing {
            code: Some(error.code),
            consecutive_failures: u32::MAX,
            missed_slots: u64::MAX,
            retention_used_percent: u64::MAX,
            exported_through: Some(Timestamp::MAX),
            error: Some(error),
        },
        NoticeEvent::ExportDeleted(ChangeFacts::new(&endless, u64::MAX, true)),
        NoticeEvent::ExportDeleted(ChangeFacts::new(&"\u{1f512}".repeat(100), u64::MAX, true)),
    ];
    for notice in notices(longest) {
        let json = serde_json::to_string(&notice).unwrap();
        assert!(json.contains('…'), "{json}");
        assert!(WebhookBody::new(json).is_ok(), "{:?}", notice.kind);
    }
}
