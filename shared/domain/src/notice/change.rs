//! The notices of changes that people make.

use super::{Notice, NoticeEvent, event::ChangeFacts};
use crate::{
    configuration::{
        ExportConfiguration,
        change::{Author, Change, Stamp},
    },
    webhook::Webhook,
};

/// Returns whether a change stops an export. The tenant's last one is worth a second channel.
#[must_use]
pub fn stops_an_export(change: Change<'_>) -> bool {
    match change {
        Change::Create(_) | Change::Repair { .. } | Change::Replay { .. } | Change::CancelReplay { .. } => false,
        Change::Update { before, after } => before.enabled && !after.enabled,
        Change::Delete(before) => before.enabled,
    }
}

/// Returns the notices of a change. `is_last_export`: the change stops the tenant's last enabled export.
#[must_use]
pub fn notices_of(change: Change<'_>, author: &Author, is_last_export: bool, stamp: Stamp) -> Vec<Notice> {
    let facts = |of: &ExportConfiguration, is_last| ChangeFacts::new(&author.subject, of.version, is_last);
    let mut events = Vec::new();
    match change {
        Change::Create(_) | Change::Repair { .. } | Change::Replay { .. } | Change::CancelReplay { .. } => {}
        Change::Update { before, after } => {
            match (before.enabled, after.enabled) {
                (true, false) => events.push(NoticeEvent::ExportDisabled(facts(after, is_last_export))),
                (false, true) => events.push(NoticeEvent::ExportEnabled(facts(after, false))),
                (true, true) | (false, false) => {}
            }
            if before.webhooks != after.webhooks {
                events.push(NoticeEvent::NotificationsChanged(facts(after, false)));
            }
        }
        Change::Delete(before) => events.push(NoticeEvent::ExportDeleted(facts(before, is_last_export))),
    }
    Notice::all(&change.subject().key, events, stamp.at, stamp.event)
}

/// Returns the receivers of the notices of a change: those in force before it, so that nobody can remove them unseen.
#[must_use]
pub fn receivers_of(change: Change<'_>) -> &[Webhook] {
    match change {
        Change::Create(_) | Change::Repair { .. } | Change::Replay { .. } | Change::CancelReplay { .. } => &[],
        Change::Update { before, .. } | Change::Delete(before) => &before.webhooks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::test_support::with_role,
        export_health::test_support::at,
        notice::NoticeKind,
        webhook::{SealedWebhookSecret, WebhookUrl},
    };

    fn author() -> Author {
        Author { subject: "user-1".to_owned(), issuer: "https://login.example".to_owned(), ip: None, request_id: None }
    }

    fn stamp() -> Stamp {
        Stamp { at: at("2026-11-22T12:00:00Z"), event: u128::MAX, block: 1 }
    }

    fn webhook(url: &str) -> Webhook {
        Webhook {
            url: WebhookUrl::try_from(url.to_owned()).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(vec![1]),
        }
    }

    #[test]
    fn each_change_that_people_have_to_know_is_a_notice() {
        let enabled = ExportConfiguration { enabled: true, ..with_role() };
        let disabled = ExportConfiguration { enabled: false, ..with_role() };
        let notified =
            ExportConfiguration { webhooks: vec![webhook("https://hooks.example.com/")], ..disabled.clone() };
        let update = |before, after| Change::Update { before, after };
        for (change, expected, stops) in [
            (Change::Create(&enabled), &[][..], false),
            (update(&enabled, &enabled), &[], false),
            (update(&enabled, &disabled), &[NoticeKind::ExportDisabled], true),
            (update(&disabled, &enabled), &[NoticeKind::ExportEnabled], false),
            (update(&disabled, &notified), &[NoticeKind::NotificationsChanged], false),
            (update(&notified, &enabled), &[NoticeKind::ExportEnabled, NoticeKind::NotificationsChanged], false),
            (Change::Delete(&enabled), &[NoticeKind::ExportDeleted], true),
            (Change::Delete(&disabled), &[NoticeKind::ExportDeleted], false),
        ] {
            let notices = notices_of(change, &author(), stops, stamp());
            assert_eq!(notices.iter().map(|notice| notice.kind).collect::<Vec<_>>(), expected, "{change:?}");
            assert_eq!(stops_an_export(change), stops, "{change:?}");
            assert!(notices.iter().all(|notice| notice.is_last_export() == stops), "{change:?}");
            let mut ids: Vec<_> = notices.iter().map(|notice| &notice.id).collect();
            ids.dedup();
            assert_eq!(ids.len(), notices.len(), "{change:?}");
        }
    }

    #[test]
    fn the_receivers_before_a_change_get_its_notices() {
        let of = |urls: &[&str]| ExportConfiguration {
            webhooks: urls.iter().map(|url| webhook(url)).collect(),
            ..with_role()
        };
        let (none, old, new) = (of(&[]), of(&["https://old.example.com/"]), of(&["https://new.example.com/"]));
        for (before, after, expected) in [(&old, &none, &old), (&old, &new, &old), (&none, &new, &none)] {
            assert_eq!(receivers_of(Change::Update { before, after }), expected.webhooks);
        }
        assert_eq!(receivers_of(Change::Delete(&old)), old.webhooks);
        assert!(receivers_of(Change::Create(&new)).is_empty());
    }
}
