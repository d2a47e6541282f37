//! The audit event of a change to a configuration. It is stored in the same transaction as the change.

use std::net::IpAddr;

use serde::Serialize;

use super::{
    access_key::AccessKeyId,
    arn::RoleArn,
    description::Description,
    destination::{Destination, Layout},
    export_configuration::{Authentication, ExportConfiguration},
    key::ConfigurationId,
};
use crate::{
    block::{BlockId, EncodeError, Packer, Shard, StoredBlock},
    event::{BodyForm, EventBatch, RejectedEvents},
    event_filter::EventFilter,
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::OcsfSettings,
    repair::{Repair, RepairId, RepairMode},
    replay::{Replay, ReplayId, ReplayPeriod},
    time::Timestamp,
    webhook::{Webhook, WebhookUrl},
};

/// The `targetType` of these events.
pub const TARGET_TYPE: &str = "AUDIT_EXPORT_CONFIGURATION";

/// The `auditPayload.type` of these events.
pub const PAYLOAD_TYPE: &str = "AuditExportConfigurationChange";

/// The `auditPayload.type` of the events of repairs.
pub const REPAIR_PAYLOAD_TYPE: &str = "AuditExportRepair";

/// The `auditPayload.type` of the events of replays.
pub const REPLAY_PAYLOAD_TYPE: &str = "AuditExportReplay";

/// A change that a person made to a configuration, or a repair or replay that a person requested: those write to a bucket.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    Create(&'a ExportConfiguration),
    /// An update, which includes enabling and disabling.
    Update {
        before: &'a ExportConfiguration,
        after: &'a ExportConfiguration,
    },
    Delete(&'a ExportConfiguration),
    /// No change of the configuration: files are put into its bucket again.
    Repair {
        configuration: &'a ExportConfiguration,
        repair: &'a Repair,
    },
    /// A replay of the configuration was requested, or continued.
    Replay {
        of: &'a ExportConfiguration,
        replay: &'a Replay,
    },
    /// A replay of the configuration was cancelled.
    CancelReplay {
        of: &'a ExportConfiguration,
        replay: &'a Replay,
    },
}

/// The author of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The subject of the token, which is unique within its issuer.
    pub subject: String,
    pub issuer: String,
    /// The address that the request came from, if it is known.
    pub ip: Option<IpAddr>,
    /// The ID of the request in logs.
    pub request_id: Option<String>,
}

/// The time of a change, and random bits for the IDs of its event and of the event's block.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Read right before the write, because an event may not be stored long after its stamp.
    pub at: Timestamp,
    pub event: u128,
    pub block: u128,
}

/// A change that has no event. This is a defect of the service: every text in the event is bounded.
#[derive(Debug, thiserror::Error)]
pub enum ChangeEventError {
    #[error("a change can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the event of a change is refused: {0}")]
    Event(#[from] RejectedEvents),
    #[error("the event of a change can't be encoded: {0}")]
    Block(#[from] EncodeError),
    #[error("the event of a change doesn't fit into one block")]
    TooLarge,
}

/// The block that holds the event of one change, and the block's shard.
#[derive(Clone, Debug)]
pub struct ChangeEvent {
    pub shard: Shard,
    pub block: StoredBlock,
}

impl<'a> Change<'a> {
    /// Returns the configuration after the change, the deleted one, or the one that is replayed.
    #[must_use]
    pub fn subject(&self) -> &'a ExportConfiguration {
        match self {
            Self::Create(configuration) | Self::Delete(configuration) | Self::Repair { configuration, .. } => {
                configuration
            }
            Self::Update { after, .. } => after,
            Self::Replay { of, .. } | Self::CancelReplay { of, .. } => of,
        }
    }

    /// Returns the event's `action`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "CREATE",
            Self::Update { before, after } => match (before.enabled, after.enabled) {
                (false, true) => "ENABLE",
                (true, false) => "DISABLE",
                (true, true) | (false, false) => "UPDATE",
            },
            Self::Delete(_) => "DELETE",
            Self::Repair { .. } => "REPAIR",
            Self::Replay { .. } => "REPLAY",
            Self::CancelReplay { .. } => "CANCEL_REPLAY",
        }
    }

    /// Makes the event, alone in a block, with a stamp as ingest makes it.
    ///
    /// # Errors
    /// [`ChangeEventError`].
    pub fn event(&self, author: &Author, stamp: Stamp) -> Result<ChangeEvent, ChangeEventError> {
        let tenant = &self.subject().key.tenant_id;
        let event = serde_json::to_vec(&self.audit_event(author, stamp))?;
        let batch = EventBatch::parse(tenant.clone(), &event, BodyForm::Lines)?;
        let blocks = Packer::default().pack(tenant, &batch, BlockId::from_parts(stamp.at, stamp.block))?;
        let [block] = <[StoredBlock; 1]>::try_from(blocks).map_err(|_| ChangeEventError::TooLarge)?;
        Ok(ChangeEvent { shard: Shard::CHANGES, block })
    }

    fn audit_event<'b>(self, author: &'b Author, stamp: Stamp) -> AuditEvent<'b>
    where
        'a: 'b,
    {
        let subject = self.subject();
        AuditEvent {
            id: uuid::Builder::from_random_bytes(stamp.event.to_be_bytes()).into_uuid(),
            action: self.action(),
            action_status: "SUCCESS",
            actor: Actor { id: &author.subject, kind: "USER", issuer: &author.issuer },
            actor_ip: author.ip,
            event_timestamp: stamp.at,
            target_type: TARGET_TYPE,
            targets: [Target { id: subject.key.configuration_id, kind: TARGET_TYPE, name: name(subject) }],
            audit_payload: match self {
                Self::Create(after) => Payload::change(None, Some(after)),
                Self::Update { before, after } => Payload::change(Some(before), Some(after)),
                Self::Delete(before) => Payload::change(Some(before), None),
                Self::Repair { repair, .. } => Payload::repair(repair),
                Self::Replay { replay, .. } | Self::CancelReplay { replay, .. } => Payload::replay(replay),
            },
            request_id: author.request_id.as_deref(),
        }
    }
}

/// A change in the Universal Audit Model. The service adds `tenantId` and `receivedTimestamp`, as to any event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent<'a> {
    id: uuid::Uuid,
    action: &'static str,
    action_status: &'static str,
    actor: Actor<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_ip: Option<IpAddr>,
    event_timestamp: Timestamp,
    target_type: &'static str,
    targets: [Target<'a>; 1],
    audit_payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Actor<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    issuer: &'a str,
}

#[derive(Serialize)]
struct Target<'a> {
    id: ConfigurationId,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u8,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Change(Box<Sides<'a>>),
    Repair { repair: RepairTerms },
    Replay { replay: Box<ReplaySettings<'a>> },
}

/// The settings before and after a change.
#[derive(Serialize)]
struct Sides<'a> {
    before: Option<Settings<'a>>,
    after: Option<Settings<'a>>,
}

impl<'a> Payload<'a> {
    fn change(before: Option<&'a ExportConfiguration>, after: Option<&'a ExportConfiguration>) -> Self {
        let has_other_secret = before
            .zip(after)
            .is_some_and(|(before, after)| has_other_secret(&before.authentication, &after.authentication));
        let has_other_webhook_secret = before
            .zip(after)
            .is_some_and(|(before, after)| has_other_webhook_secret(&before.webhooks, &after.webhooks));
        let after = after.map(|after| Settings {
            secret_access_key: has_other_secret.then_some("CHANGED"),
            notification_secrets: has_other_webhook_secret.then_some("CHANGED"),
            ..Settings::of(after)
        });
        Self {
            kind: PAYLOAD_TYPE,
            version: 1,
            content: Content::Change(Box::new(Sides { before: before.map(Settings::of), after })),
        }
    }

    fn repair(repair: &Repair) -> Self {
        let Repair { id, range, mode, .. } = repair;
        let terms = RepairTerms { id: *id, from: range.from, to: range.to, overwrite: *mode == RepairMode::Overwrite };
        Self { kind: REPAIR_PAYLOAD_TYPE, version: 1, content: Content::Repair { repair: terms } }
    }

    fn replay(replay: &'a Replay) -> Self {
        let replay = ReplaySettings {
            id: replay.key.replay_id,
            period: replay.period,
            destination: without_layout(&replay.destination),
            format: replay.format,
            filter: replay.filter.as_ref(),
            ocsf: replay.ocsf.as_ref(),
            attempt: replay.attempt,
        };
        Self { kind: REPLAY_PAYLOAD_TYPE, version: 1, content: Content::Replay { replay: Box::new(replay) } }
    }
}

/// The terms of a repair, under the names of the API.
#[derive(Serialize)]
struct RepairTerms {
    id: RepairId,
    from: Timestamp,
    to: Timestamp,
    overwrite: bool,
}

/// The period of a replay, the place that it is copied to, and the contents of its files, under the names of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplaySettings<'a> {
    id: ReplayId,
    #[serde(flatten)]
    period: ReplayPeriod,
    #[serde(flatten)]
    destination: Destination,
    /// `None`: the configuration's.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<ExportFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a EventFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsf: Option<&'a OcsfSettings>,
    attempt: u32,
}

/// The settings that a person sets, under the names of the API. No field holds a secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'a> {
    id: ConfigurationId,
    version: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    description: Option<&'a Description>,
    interval: ExportInterval,
    format: ExportFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a EventFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsf: Option<&'a OcsfSettings>,
    enabled: bool,
    #[serde(flatten)]
    destination: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a RoleArn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'a AccessKeyId>,
    /// `CHANGED` if the secret was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_access_key: Option<&'static str>,
    /// The URLs of the webhooks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notifications: Vec<&'a WebhookUrl>,
    /// `CHANGED` if the secret of a webhook was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_secrets: Option<&'static str>,
    start_from: Timestamp,
}

impl<'a> Settings<'a> {
    fn of(configuration: &'a ExportConfiguration) -> Self {
        let (kind, role_arn, access_key_id) = match &configuration.authentication {
            Authentication::AssumedRole { role_arn } => ("S3_ASSUMED_ROLE", Some(role_arn), None),
            Authentication::AccessKey { access_key_id, secret: _ } => ("S3_ACCESS_KEY", None, Some(access_key_id)),
        };
        Self {
            id: configuration.key.configuration_id,
            version: configuration.version,
            kind,
            description: configuration.description.as_ref(),
            interval: configuration.interval,
            format: configuration.format,
            filter: configuration.filter.as_ref(),
            ocsf: configuration.ocsf.as_ref(),
            enabled: configuration.enabled,
            destination: without_layout(&configuration.destination),
            role_arn,
            access_key_id,
            secret_access_key: None,
            notifications: configuration.webhooks.iter().map(|webhook| &webhook.url).collect(),
            notification_secrets: None,
            start_from: configuration.start_from,
        }
    }
}

/// Returns the fields of a destination that a person sets. The layout follows from the format.
fn without_layout(destination: &Destination) -> Destination {
    Destination { layout: Layout::default(), ..destination.clone() }
}

/// Returns the description, or the bucket name if there is none.
fn name(configuration: &ExportConfiguration) -> &str {
    let bucket_name = &configuration.destination.bucket_name;
    configuration.description.as_ref().map_or_else(|| bucket_name.as_str(), Description::as_str)
}

/// Returns whether an update replaced the secret of an access key.
fn has_other_secret(before: &Authentication, after: &Authentication) -> bool {
    match (before, after) {
        (Authentication::AccessKey { secret: before, .. }, Authentication::AccessKey { secret: after, .. }) => {
            before != after
        }
        _ => false,
    }
}

/// Returns whether an update replaced the secret of a webhook that stayed.
fn has_other_webhook_secret(before: &[Webhook], after: &[Webhook]) -> bool {
    after.iter().any(|new| before.iter().any(|old| old.url == new.url && old.sealed_secret != new.sealed_secret))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::configuration::{
        access_key::SealedSecret,
        description::MAX_DESCRIPTION_LENGTH,
        test_support::{ID, with_key, with_role},
        update::Edit,
    };
    use crate::{
        customer_server::CustomerServers,
        event_filter::{MAX_FILTER_VALUE_LENGTH, MAX_FILTER_VALUES, RawFilter, RawLists},
        webhook::{MAX_WEBHOOKS, SealedWebhookSecret, url::MAX_WEBHOOK_URL_LENGTH},
    };

    fn author() -> Author {
        Author {
            subject: "user-2".to_owned(),
            issuer: "https://login.example".to_owned(),
            ip: Some("192.0.2.7".parse().unwrap()),
            request_id: Some("request-1".to_owned()),
        }
    }

    fn stamp() -> Stamp {
        Stamp { at: Timestamp::parse("2026-11-23T00:00:00.123Z").unwrap(), event: 1, block: (2 << 96) | 7 }
    }

    fn event_of(change: Change<'_>, author: &Author) -> (Value, String) {
        let event = change.event(author, stamp()).unwrap();
        let tenant = &change.subject().key.tenant_id;
        assert_eq!(event.block.check(tenant), Ok(()));
        assert_eq!(event.block.event_count, 1);
        assert_eq!(event.block.id.timestamp(), stamp().at);
        assert_eq!(event.shard, Shard::CHANGES);
        let text = String::from_utf8(event.block.inflate().unwrap()).unwrap();
        (serde_json::from_str(&text).unwrap(), text)
    }

    fn edit() -> Edit<'static> {
        Edit { by: "user-2", at: stamp().at }
    }

    #[test]
    fn a_creation_is_reported_in_full() {
        let (event, text) = event_of(Change::Create(&with_role()), &author());
        assert!(text.starts_with("{\"id\":"), "{text}");
        let expected = json!({
            "id": "00000000-0000-4000-8000-000000000001",
            "action": "CREATE",
            "actionStatus": "SUCCESS",
            "actor": {"id": "user-2", "type": "USER", "issuer": "https://login.example"},
            "actorIp": "192.0.2.7",
            "eventTimestamp": "2026-11-23T00:00:00.123Z",
            "receivedTimestamp": "2026-11-23T00:00:00.123Z",
            "tenantId": "acme",
            "targetType": "AUDIT_EXPORT_CONFIGURATION",
            "targets": [{"id": ID, "type": "AUDIT_EXPORT_CONFIGURATION", "name": "For the auditors"}],
            "requestId": "request-1",
            "auditPayload": {"type": "AuditExportConfigurationChange", "version": 1, "before": null, "after": {
                "id": ID, "version": 7, "type": "S3_ASSUMED_ROLE", "description": "For the auditors",
                "interval": "EVERY_2_HOURS", "format": "NDJSON_GZIP", "enabled": true, "bucketName": "acme-audit", "bucketPath": "audit/log",
                "region": "eu-west-1",
                "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "expectedBucketOwner": "222222222222", "roleArn": "arn:aws:iam::222222222222:role/export",
                "startFrom": "1970-01-01T00:00:00.000Z",
            }},
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn each_change_has_its_action_and_both_sides() {
        let on = with_role();
        let off = on.with_enabled(false, edit());
        let on_again = off.with_enabled(true, edit());
        let moved = ExportConfiguration {
            destination: Destination { bucket_path: None, ..on.destination.clone() },
            ..on.with_enabled(true, edit())
        };
        for (change, action, before, after) in [
            (Change::Create(&on), "CREATE", json!(null), json!(7)),
            (Change::Update { before: &on, after: &moved }, "UPDATE", json!(7), json!(8)),
            (Change::Update { before: &on, after: &off }, "DISABLE", json!(7), json!(8)),
            (Change::Update { before: &off, after: &on_again }, "ENABLE", json!(8), json!(9)),
            (Change::Delete(&on), "DELETE", json!(7), json!(null)),
        ] {
            let (event, _) = event_of(change, &author());
            let payload = &event["auditPayload"];
            assert_eq!(event["action"], action);
            assert_eq!((&payload["before"]["version"], &payload["after"]["version"]), (&before, &after), "{action}");
        }
        let (event, _) = event_of(Change::Update { before: &on, after: &moved }, &author());
        let payload = &event["auditPayload"];
        assert_eq!(
            (&payload["before"]["bucketPath"], &payload["after"]["bucketPath"]),
            (&json!("audit/log"), &json!(null))
        );
    }

    #[test]
    fn a_filter_is_reported_before_and_after() {
        let filter = json!({"exclude": {"actions": ["QUERY"]}, "include": {"targetTypes": ["POLICY*"]}});
        let filtered = ExportConfiguration { filter: serde_json::from_value(filter.clone()).unwrap(), ..with_role() };
        for (before, after, sides) in
            [(&with_role(), &filtered, [None, Some(&filter)]), (&filtered, &with_role(), [Some(&filter), None])]
        {
            let (event, _) = event_of(Change::Update { before, after }, &author());
            let payload = &event["auditPayload"];
            assert_eq!([payload["before"].get("filter"), payload["after"].get("filter")], sides);
        }
    }

    #[test]
    fn a_repair_is_reported_with_its_terms() {
        let (from, to) = (stamp().at.saturating_sub(std::time::Duration::from_hours(48)), stamp().at);
        let range = crate::repair::RepairRange { from, to };
        let repair = Repair::requested(RepairId::from_random(9), range, RepairMode::Overwrite, "user-2", to);
        let (event, _) = event_of(Change::Repair { configuration: &with_role(), repair: &repair }, &author());
        assert_eq!((&event["action"], &event["targets"][0]["id"]), (&json!("REPAIR"), &json!(ID)));
        let expected = json!({"type": "AuditExportRepair", "version": 1, "repair": {
            "id": "00000000-0000-4000-8000-000000000009", "from": "2026-11-21T00:00:00.123Z",
            "to": "2026-11-23T00:00:00.123Z", "overwrite": true,
        }});
        assert_eq!(event["auditPayload"], expected);
    }

    #[test]
    fn a_replay_is_reported_with_its_period_and_its_place() {
        let (of, replay) = (with_role(), crate::replay::test_support::replay());
        for (change, action) in [
            (Change::Replay { of: &of, replay: &replay }, "REPLAY"),
            (Change::CancelReplay { of: &of, replay: &replay }, "CANCEL_REPLAY"),
        ] {
            let (event, _) = event_of(change, &author());
            assert_eq!((&event["action"], &event["targets"][0]["id"]), (&json!(action), &json!(ID)));
            let expected = json!({"type": "AuditExportReplay", "version": 1, "replay": {
                "id": crate::replay::test_support::REPLAY_ID,
                "from": "2026-11-22T00:00:00.000Z", "to": "2026-11-22T12:00:00.000Z",
                "bucketName": "acme-audit", "bucketPath": "replays/siem", "region": "eu-west-1",
                "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "expectedBucketOwner": "222222222222", "format": "NDJSON_GZIP", "attempt": 1,
            }});
            assert_eq!(event["auditPayload"], expected);
        }
        let filter = json!({"exclude": {"actions": ["QUERY"]}});
        let of_ocsf = crate::replay::Replay {
            format: Some(ExportFormat::OcsfParquet),
            filter: serde_json::from_value(filter.clone()).unwrap(),
            ocsf: Some(OcsfSettings::default()),
            ..replay
        };
        let (event, _) = event_of(Change::Replay { of: &of, replay: &of_ocsf }, &author());
        let replay = &event["auditPayload"]["replay"];
        let expected = [json!("OCSF_PARQUET"), filter, json!({"version": "1.3.0"})];
        assert_eq!([&replay["format"], &replay["filter"], &replay["ocsf"]].map(Clone::clone), expected);
    }

    #[test]
    fn of_a_secret_nothing_is_reported_but_that_it_changed() {
        let before = with_key();
        let access_key_id = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
        let secret = SealedSecret::from_ciphertext(b"resealed".to_vec());
        let after = ExportConfiguration {
            authentication: Authentication::AccessKey { access_key_id, secret },
            ..before.with_enabled(true, edit())
        };
        let (event, text) = event_of(Change::Update { before: &before, after: &after }, &author());
        let payload = &event["auditPayload"];
        assert_eq!(payload["after"]["secretAccessKey"], "CHANGED");
        assert_eq!(payload["after"]["accessKeyId"], "AKIAIOSFODNN7EXAMPLE");
        assert!(!text.contains("sealed"), "{text}");
        // The secret is the same, or the kind changed.
        let same = before.with_enabled(false, edit());
        for (before, after) in [(&before, &same), (&with_role(), &before), (&before, &with_role())] {
            let (_, text) = event_of(Change::Update { before, after }, &author());
            assert!(!text.contains("secret") && !text.contains("sealed"), "{text}");
        }
    }

    #[test]
    fn of_webhooks_the_urls_are_reported() {
        let webhook = |url: &str, secret: &[u8]| Webhook {
            url: WebhookUrl::parse_for(CustomerServers::Public, url).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(secret.to_vec()),
        };
        let (a, b) = (webhook("https://a.example/", b"one"), webhook("https://b.example/", b"two"));
        let with = |webhooks: &[Webhook]| with_role().with_webhooks(webhooks.to_vec());
        let other_secret = webhook("https://a.example/", b"three");
        for (before, after, urls, secrets) in [
            (
                with(&[]),
                with(&[a.clone(), b.clone()]),
                json!(["https://a.example/", "https://b.example/"]),
                json!(null),
            ),
            (with(&[a.clone(), b.clone()]), with(std::slice::from_ref(&b)), json!(["https://b.example/"]), json!(null)),
            (
                with(&[a]),
                with(&[other_secret, b]),
                json!(["https://a.example/", "https://b.example/"]),
                json!("CHANGED"),
            ),
        ] {
            let (event, _) = event_of(Change::Update { before: &before, after: &after }, &author());
            let after = &event["auditPayload"]["after"];
            assert_eq!((&after["notifications"], &after["notificationSecrets"]), (&urls, &secrets));
        }
    }

    #[test]
    fn the_largest_change_fits_and_what_is_unknown_is_left_out() {
        let nobody = Author { subject: "\u{1f512}".repeat(256), issuer: "i".repeat(512), ip: None, request_id: None };
        let description = Description::parse(&"\u{1f512}".repeat(MAX_DESCRIPTION_LENGTH)).ok();
        let url = format!("https://a.example/{}", "a".repeat(MAX_WEBHOOK_URL_LENGTH - 18));
        let webhook = Webhook {
            url: WebhookUrl::parse_for(CustomerServers::Public, &url).unwrap(),
            sealed_secret: SealedWebhookSecret::from_ciphertext(Vec::new()),
        };
        let webhooks = vec![webhook; MAX_WEBHOOKS];
        let value = |number: usize| format!("{number:0>MAX_FILTER_VALUE_LENGTH$}");
        let actions = Some((0..MAX_FILTER_VALUES).map(value).collect());
        let include = Some(RawLists { actions, ..RawLists::default() });
        let filter = EventFilter::parse(&RawFilter { include, exclude: None }).ok();
        assert!(filter.is_some());
        let largest = ExportConfiguration { description, filter, webhooks, ..with_role() };
        let (event, _) = event_of(Change::Update { before: &largest, after: &largest }, &nobody);
        assert!(event.get("actorIp").is_none() && event.get("requestId").is_none());
        let unnamed = ExportConfiguration { description: None, ..with_role() };
        let (event, _) = event_of(Change::Delete(&unnamed), &nobody);
        assert_eq!(event["targets"][0]["name"], "acme-audit");
    }
}
