//! The notices of changes that people make.

use super::{
    Notice, NoticeEvent, NoticeKind,
    event::{ChangeFacts, MoveFacts},
};
use crate::{
    configuration::{
        Authentication, ExportConfiguration, Site,
        arn::KmsKeyArn,
        change::{Author, Change, Stamp},
        field,
    },
    connection::ConnectionStatus,
    export_health::ExportStanding,
    webhook::Webhook,
};

/// Returns the export that a change ends: one that is disabled or deleted, whose files arrive elsewhere or with fewer events from
/// now on, or whose identity is replaced untested. The end of the tenant's last one is worth a second channel.
#[must_use]
pub fn ended_by(change: Change<'_>) -> Option<&ExportConfiguration> {
    match change {
        Change::Create(_) | Change::Repair { .. } | Change::Replay { .. } | Change::CancelReplay { .. } => None,
        // Before the first files, a person still corrects what was set up.
        Change::Update { before, after } => {
            let is_moved = || has_delivered(before) && !moved_by(before, after).is_empty();
            (before.enabled && (!after.enabled || is_moved())).then_some(before)
        }
        Change::Delete(before) => before.enabled.then_some(before),
    }
}

/// Returns whether an export makes up for one that a change ends: it works, and delivers to the same account or, on another
/// server than AWS's, to the same bucket.
///
/// An export that has delivered nothing may be a decoy. So may one into another account or with a key of another one, which can
/// be that of an insider; but an export that has delivered nothing itself had no account to protect.
#[must_use]
pub fn makes_up_for(other: &ExportConfiguration, ended: &ExportConfiguration) -> bool {
    let works = other.enabled && ExportStanding::from(other).is_proven() && has_delivered(other);
    let delivers_there = || match (&other.destination.site, &ended.destination.site) {
        (Site::Aws(_), Site::Aws(_)) => {
            other.bucket_owner().is_some() && other.bucket_owner() == ended.bucket_owner() && is_key_known(other, ended)
        }
        // Nobody knows who owns another bucket of a server.
        (Site::Server(server), Site::Server(of_ended)) => {
            server.endpoint == of_ended.endpoint && other.destination.bucket_name == ended.destination.bucket_name
        }
        (Site::Aws(_), Site::Server(_)) | (Site::Server(_), Site::Aws(_)) => false,
    };
    // A filter may leave out everything that matters.
    let has_all_events = other.filter.is_none() || other.filter == ended.filter;
    other.key != ended.key && works && has_all_events && (!has_delivered(ended) || delivers_there())
}

/// Returns whether an export encrypts with no key, or with one of the account that owns the ended export's bucket or key.
fn is_key_known(other: &ExportConfiguration, ended: &ExportConfiguration) -> bool {
    let ended_key = ended.destination.kms_key_arn.as_ref();
    other
        .destination
        .kms_key_arn
        .as_ref()
        .is_none_or(|key| [ended.bucket_owner(), ended_key.map(KmsKeyArn::account)].contains(&Some(key.account())))
}

fn has_delivered(configuration: &ExportConfiguration) -> bool {
    configuration.progress.last_export_at.is_some()
}

/// Returns the fields with which an update moves an export: its files arrive elsewhere, or are encrypted with another key. A role
/// or access key of another account moves it too, if its account is the one that has to own the bucket. So does an untested one
/// of the same account: it may not exist. A filter that is set or replaced may leave out all events, as if they went elsewhere.
fn moved_by(before: &ExportConfiguration, after: &ExportConfiguration) -> Vec<&'static str> {
    let (old, new) = (&before.destination, &after.destination);
    let is_other_owner = before.bucket_owner() != after.bucket_owner();
    let names_owner = old.expected_bucket_owner != new.expected_bucket_owner;
    // The first test of an access key finds its account, and moves nothing.
    let is_other_account = is_other_owner && before.bucket_owner().is_some() && !names_owner;
    let is_other_server = old.site.endpoint() != new.site.endpoint();
    let identity = match &after.authentication {
        Authentication::AssumedRole { .. } => field::ROLE_ARN,
        Authentication::AccessKey { .. } => field::ACCESS_KEY_ID,
    };
    let fields = [
        (field::BUCKET_NAME, old.bucket_name != new.bucket_name),
        (field::BUCKET_PATH, old.bucket_path != new.bucket_path),
        (field::REGION, old.site.region_name() != new.site.region_name()),
        (field::ENDPOINT_URL, is_other_server),
        (field::KMS_KEY_ARN, old.kms_key_arn != new.kms_key_arn),
        (field::EXPECTED_BUCKET_OWNER, is_other_owner && names_owner),
        (field::FILTER, after.filter.is_some() && after.filter != before.filter),
        (identity, is_other_account && !is_other_server || replaces_identity_untested(before, after)),
    ];
    fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

/// Returns whether an update replaces the role or access key of an export that has delivered, without a test that succeeded. A
/// connection that is known to be broken may be repaired in steps; one that was edited a moment ago is pending, and not broken.
fn replaces_identity_untested(before: &ExportConfiguration, after: &ExportConfiguration) -> bool {
    before.authentication != after.authentication
        && has_delivered(before)
        && before.connection.status() != ConnectionStatus::Failed
        && after.connection.status() != ConnectionStatus::Success
}

/// Returns the notices of a change. `is_last_export`: the change [ends](ended_by) an export, and no other one
/// [makes up for it](makes_up_for). One notice says so: that the export was disabled, if it was also moved, because the move has
/// no effect before it is enabled again.
#[must_use]
pub fn notices_of(change: Change<'_>, author: &Author, is_last_export: bool, stamp: Stamp) -> Vec<Notice> {
    Notice::all(&change.subject().key, events_of(change, author, is_last_export), stamp.at, stamp.event)
}

fn events_of(change: Change<'_>, author: &Author, is_last_export: bool) -> Vec<NoticeEvent> {
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
            let changed_fields = moved_by(before, after);
            if !changed_fields.is_empty() {
                events.push(NoticeEvent::ExportDestinationChanged(MoveFacts {
                    change: facts(after, is_last_export && after.enabled),
                    changed_fields,
                    is_same_owner: before.bucket_owner().is_some() && before.bucket_owner() == after.bucket_owner(),
                    bucket_before: before.destination.bucket_name.clone(),
                    bucket_after: after.destination.bucket_name.clone(),
                }));
            }
            if before.webhooks != after.webhooks {
                events.push(NoticeEvent::NotificationsChanged(facts(after, false)));
            }
        }
        Change::Delete(before) => events.push(NoticeEvent::ExportDeleted(facts(before, is_last_export))),
    }
    events
}

/// Returns whether a change counts against the tenant's allowance of changes that make notices.
///
/// To enable an export is never refused, so nobody can keep one disabled by using up the allowance. The changes that disabled it
/// are counted, so there are no more of these notices either.
#[must_use]
pub fn is_counted(change: Change<'_>, author: &Author) -> bool {
    events_of(change, author, false).iter().any(|event| event.kind() != NoticeKind::ExportEnabled)
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
        configuration::{
            ConfigurationId, ConfigurationKey, Destination, ExportProgress,
            access_key::{AccessKeyId, SealedSecret},
            arn::{AccountId, RoleArn, UserArn},
            bucket::{BucketName, BucketPath},
            endpoint::EndpointUrl,
            region::Region,
            test_support::{on_server, with_key, with_role},
        },
        connection::Connection,
        customer_server::CustomerServers,
        event_filter::EventFilter,
        export_health::test_support::at,
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
            assert_eq!(ended_by(change).is_some(), stops, "{change:?}");
            let is_free = matches!(expected, [] | [NoticeKind::ExportEnabled]);
            assert_eq!(is_counted(change, &author()), !is_free, "{change:?}");
            assert!(notices.iter().all(|notice| notice.is_last_export() == stops), "{change:?}");
            let mut ids: Vec<_> = notices.iter().map(|notice| &notice.id).collect();
            ids.dedup();
            assert_eq!(ids.len(), notices.len(), "{change:?}");
        }
    }

    #[test]
    fn one_notice_of_a_change_says_that_the_last_export_ended() {
        let before = working(1);
        let bucket_name = BucketName::parse("other-audit").unwrap();
        let moved = to(Destination { bucket_name, ..before.destination.clone() });
        let moved_and_disabled = ExportConfiguration { enabled: false, ..moved.clone() };
        let all =
            ExportConfiguration { webhooks: vec![webhook("https://hooks.example.com/")], ..moved_and_disabled.clone() };
        let (disabled, destination) = (NoticeKind::ExportDisabled, NoticeKind::ExportDestinationChanged);
        for (after, expected) in [
            (&moved, &[(destination, true)][..]),
            (&moved_and_disabled, &[(disabled, true), (destination, false)]),
            (&all, &[(disabled, true), (destination, false), (NoticeKind::NotificationsChanged, false)]),
        ] {
            let change = Change::Update { before: &before, after };
            assert!(ended_by(change).is_some());
            let notices = notices_of(change, &author(), true, stamp());
            let found: Vec<_> = notices.iter().map(|notice| (notice.kind, notice.is_last_export())).collect();
            assert_eq!(found, expected);
        }
    }

    fn role(account: &str) -> Authentication {
        Authentication::AssumedRole {
            role_arn: RoleArn::parse(&format!("arn:aws:iam::{account}:role/export")).unwrap(),
        }
    }

    /// An export that works.
    fn working(number: u8) -> ExportConfiguration {
        let configuration_id = ConfigurationId::from_bytes([number; 16]);
        let at = Some(at("2026-11-22T06:20:00Z"));
        ExportConfiguration {
            key: ConfigurationKey { configuration_id, ..with_role().key },
            progress: ExportProgress { exported_through: at, last_export_at: at, ..ExportProgress::default() },
            ..with_role()
        }
    }

    fn to(destination: Destination) -> ExportConfiguration {
        ExportConfiguration { destination, ..working(1) }
    }

    #[test]
    fn each_move_of_an_export_is_a_notice_with_its_fields() {
        let before = working(1);
        let here = before.destination.clone();
        let key = |arn: &str| Some(KmsKeyArn::parse(arn).unwrap());
        let without_owner = Destination { expected_bucket_owner: None, ..here.clone() };
        let of_user = |user: Option<&str>, secret: &[u8]| ExportConfiguration {
            authentication: Authentication::AccessKey {
                access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
                secret: SealedSecret::from_ciphertext(secret.to_vec()),
            },
            user_arn: user.and_then(UserArn::parse),
            ..to(without_owner.clone())
        };
        let (user, other_user) = ("arn:aws:iam::222222222222:user/export", "arn:aws:iam::333333333333:user/export");
        let by_role = |of: &str, destination: &Destination| ExportConfiguration {
            authentication: role(of),
            ..to(destination.clone())
        };
        let moved_bucket = Destination { bucket_name: BucketName::parse("other-audit").unwrap(), ..here.clone() };
        let moved_path = Destination { bucket_path: Some(BucketPath::parse("other").unwrap()), ..here.clone() };
        let site = Region::parse("eu-west-2").unwrap().into();
        let moved_region = Destination { site, kms_key_arn: None, ..here.clone() };
        let other_key = key("arn:aws:kms:eu-west-1:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab");
        let other_key = Destination { kms_key_arn: other_key, ..here.clone() };
        let other_owner = Destination { expected_bucket_owner: AccountId::parse("333333333333").ok(), ..here.clone() };
        let mut other_server = on_server().destination;
        let endpoint = EndpointUrl::parse_for(CustomerServers::Public, "https://other.example.com").unwrap();
        if let Site::Server(server) = &mut other_server.site {
            server.endpoint = endpoint;
        }
        let with_other_key = |of: ExportConfiguration| ExportConfiguration {
            authentication: Authentication::AccessKey {
                access_key_id: AccessKeyId::parse("other").unwrap(),
                secret: SealedSecret::from_ciphertext(vec![2]),
            },
            ..of
        };
        let filtered = |action: &str| ExportConfiguration { filter: Some(filter_of(action)), ..before.clone() };
        let table = vec![
            (before.clone(), to(moved_bucket), &["bucketName"][..]),
            (before.clone(), to(moved_path), &["bucketPath"]),
            (before.clone(), to(moved_region), &["region", "kmsKeyArn"]),
            (before.clone(), to(other_key), &["kmsKeyArn"]),
            (before.clone(), to(other_owner), &["expectedBucketOwner"]),
            // The account of the role or access key owns the bucket, unless another one is named.
            (to(without_owner.clone()), by_role("333333333333", &without_owner), &["roleArn"]),
            (before.clone(), by_role("333333333333", &here), &[]),
            (before.clone(), by_role("333333333333", &without_owner), &["expectedBucketOwner"]),
            // The owner is named, or no longer, and stays.
            (before.clone(), by_role("222222222222", &without_owner), &[]),
            (to(without_owner.clone()), before.clone(), &[]),
            (of_user(Some(user), b"1"), of_user(Some(other_user), b"2"), &["accessKeyId"]),
            (of_user(Some(user), b"1"), of_user(None, b"2"), &["accessKeyId"]),
            // A rotation; and a first test that succeeds.
            (of_user(Some(user), b"1"), of_user(Some(user), b"2"), &[]),
            (of_user(None, b"1"), of_user(Some(user), b"2"), &[]),
            // To another server, and between servers. A bucket's name and server say which bucket it is, whatever the key.
            (
                before.clone(),
                to(on_server().destination),
                &["region", "endpointUrl", "kmsKeyArn", "expectedBucketOwner"],
            ),
            (to(on_server().destination), to(other_server), &["endpointUrl"]),
            // A filter that is set or replaced; and one that stays or is removed.
            (before.clone(), filtered("A"), &["filter"]),
            (filtered("A"), filtered("B"), &["filter"]),
            (filtered("A"), filtered("A"), &[]),
            (filtered("A"), before.clone(), &[]),
            (to(on_server().destination), with_other_key(to(on_server().destination)), &[]),
        ];
        for (before, after, fields) in table {
            let change = Change::Update { before: &before, after: &after };
            assert_eq!(ended_by(change).is_some(), !fields.is_empty(), "{fields:?}");
            let notices = notices_of(change, &author(), true, stamp());
            let details = notices.iter().map(|notice| serde_json::to_value(notice).unwrap());
            let changed: Vec<_> = details.map(|notice| notice["detail"]["changedFields"].clone()).collect();
            let expected: Vec<_> = (!fields.is_empty()).then(|| serde_json::json!(fields)).into_iter().collect();
            assert_eq!(changed, expected);
            assert!(notices.iter().all(Notice::is_last_export));
            // A disabled export, and one that has delivered nothing yet, have the notice as well. It is the end of neither.
            let disabled = ExportConfiguration { enabled: false, ..before.clone() };
            let new = ExportConfiguration { progress: ExportProgress::default(), ..before.clone() };
            for before in [disabled, new] {
                let after = ExportConfiguration { enabled: before.enabled, ..after.clone() };
                let change = Change::Update { before: &before, after: &after };
                assert_eq!(ended_by(change), None);
                assert_eq!(notices_of(change, &author(), false, stamp()).len(), expected.len());
            }
        }
    }

    fn filter_of(action: &str) -> EventFilter {
        serde_json::from_value(serde_json::json!({"include": {"actions": [action]}})).unwrap()
    }

    #[test]
    fn an_export_of_some_events_makes_up_for_none_of_others() {
        let ended = working(1);
        let with = |filter| ExportConfiguration { filter, ..working(2) };
        for (other, of_ended, makes_up) in [
            (None, None, true),
            (Some("A"), None, false),
            (None, Some("A"), true),
            (Some("A"), Some("A"), true),
            (Some("A"), Some("B"), false),
        ] {
            let ended = ExportConfiguration { filter: of_ended.map(filter_of), ..ended.clone() };
            assert_eq!(makes_up_for(&with(other.map(filter_of)), &ended), makes_up, "{other:?} {of_ended:?}");
        }
    }

    #[test]
    fn an_identity_that_was_not_tested_ends_an_export_that_worked() {
        let before = working(1);
        let failed = || Connection::Failed {
            checked_at: at("2026-11-22T06:00:00Z"),
            error: crate::connection::ConnectionError {
                code: crate::connection::ConnectionErrorCode::WriteDenied,
                message: String::new(),
            },
        };
        let replaced = |connection| ExportConfiguration {
            authentication: Authentication::AssumedRole {
                role_arn: RoleArn::parse("arn:aws:iam::222222222222:role/none").unwrap(),
            },
            connection,
            ..before.clone()
        };
        let with = |connection| ExportConfiguration { connection, ..before.clone() };
        let new = ExportConfiguration { progress: ExportProgress::default(), ..before.clone() };
        for (before, after, is_end) in [
            (before.clone(), replaced(Connection::Pending), true),
            (before.clone(), replaced(failed()), true),
            // An edit right before it hides nothing.
            (with(Connection::Pending), replaced(Connection::Pending), true),
            // It was tested first; nothing was replaced; a broken connection is repaired; nothing was delivered yet.
            (before.clone(), replaced(before.connection.clone()), false),
            (before.clone(), with(Connection::Pending), false),
            (with(failed()), replaced(Connection::Pending), false),
            (new, replaced(Connection::Pending), false),
        ] {
            let change = Change::Update { before: &before, after: &after };
            assert_eq!(ended_by(change).is_some(), is_end, "{before:?} {after:?}");
            assert_eq!(is_counted(change, &author()), is_end);
            let notices = notices_of(change, &author(), is_end, stamp());
            let details: Vec<_> = notices.iter().map(|notice| serde_json::to_value(notice).unwrap()).collect();
            assert_eq!(details.len(), usize::from(is_end));
            for notice in details {
                assert_eq!(notice["kind"], "EXPORT_DESTINATION_CHANGED");
                let detail = &notice["detail"];
                assert_eq!((&detail["changedFields"], &detail["isLastExport"]), (&["roleArn"].into(), &true.into()));
                let message = "The connection of the export to the bucket acme-audit was changed: roleArn. The bucket has to \
                               belong to the same AWS account as before, and no other working export delivers the tenant's \
                               audit events to that account.";
                assert_eq!(detail["message"], message);
            }
        }
    }

    #[test]
    fn only_a_working_export_into_the_same_account_makes_up_for_one_that_ends() {
        let ended = working(1);
        let other = || working(2);
        let elsewhere = || ExportConfiguration {
            destination: Destination {
                expected_bucket_owner: AccountId::parse("333333333333").ok(),
                ..other().destination
            },
            ..other()
        };
        let failed = Connection::Failed {
            checked_at: at("2026-11-22T06:00:00Z"),
            error: crate::connection::ConnectionError {
                code: crate::connection::ConnectionErrorCode::WriteDenied,
                message: String::new(),
            },
        };
        let of_user = || ExportConfiguration {
            destination: Destination { expected_bucket_owner: None, ..other().destination },
            ..ExportConfiguration { key: other().key, progress: other().progress, ..with_key() }
        };
        let with_key_of = |account: &str| {
            let key = format!("arn:aws:kms:eu-west-1:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
            let kms_key_arn = Some(KmsKeyArn::parse(&key).unwrap());
            ExportConfiguration { destination: Destination { kms_key_arn, ..other().destination }, ..other() }
        };
        let without_key = Destination { kms_key_arn: None, ..other().destination };
        let failures = ExportProgress { consecutive_failures: 1, ..other().progress };
        for (other, expected) in [
            (other(), true),
            (of_user(), true),
            (ended.clone(), false),
            (ExportConfiguration { enabled: false, ..other() }, false),
            (ExportConfiguration { connection: Connection::Pending, ..other() }, false),
            (ExportConfiguration { connection: failed, ..other() }, false),
            (ExportConfiguration { progress: failures, ..other() }, false),
            (ExportConfiguration { progress: ExportProgress::default(), ..other() }, false),
            (elsewhere(), false),
            (ExportConfiguration { destination: without_key, ..other() }, true),
            (with_key_of("333333333333"), false),
            (ExportConfiguration { user_arn: None, ..of_user() }, false),
        ] {
            assert_eq!(makes_up_for(&other, &ended), expected, "{other:?}");
        }
        let key_elsewhere = ExportConfiguration { destination: with_key_of("333333333333").destination, ..working(1) };
        assert!(makes_up_for(&with_key_of("333333333333"), &key_elsewhere));
        assert!(makes_up_for(&other(), &key_elsewhere));
        // On another server, only the same bucket is certain to be the customer's.
        let on_server = || ExportConfiguration { destination: on_server().destination, user_arn: None, ..of_user() };
        let other_bucket =
            Destination { bucket_name: BucketName::parse("other-audit").unwrap(), ..on_server().destination };
        let ended_there = ExportConfiguration { destination: on_server().destination, ..ended.clone() };
        assert!(makes_up_for(&on_server(), &ended_there));
        assert!(!makes_up_for(&ExportConfiguration { destination: other_bucket, ..on_server() }, &ended_there));
        assert!(!makes_up_for(&on_server(), &ended) && !makes_up_for(&other(), &ended_there));
        // One that has delivered nothing leaves no account without files.
        let new = ExportConfiguration { progress: ExportProgress::default(), ..ended };
        assert!(makes_up_for(&elsewhere(), &new));
        assert!(!makes_up_for(&ExportConfiguration { enabled: false, ..elsewhere() }, &new));
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
