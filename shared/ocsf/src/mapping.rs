//! An event's line as a record.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use domain::{
    ocsf::{Activity, Class, Version, word},
    time::{InvalidTimestamp, Timestamp},
};
use serde_json::value::RawValue;

use crate::{
    json::{Fields, elements, text, text_or_number},
    record::{
        Actor, Api, Endpoint, Entity, IdentityProvider, Metadata, OcsfEvent, Product, Request, Resource, Service,
        Session, User,
    },
    table::{Rule, Status, Table},
};

/// The name of what a class requires and an event doesn't tell.
const UNKNOWN: &str = "Unknown";

/// The most bytes of `targetType` that the resources of a record have together. Otherwise an event with one long type and very many
/// targets would become a record of gigabytes.
const MAX_INHERITED_LENGTH: usize = 64 * 1024;

/// The number of a value that the schema doesn't know.
const OTHER_ID: u8 = 99;

/// A line that ingest would not have stored.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    #[error("the line is not UTF-8: {0}")]
    Text(#[from] std::str::Utf8Error),
    #[error("the line is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the event has no id")]
    NoId,
    #[error("the event has no eventTimestamp")]
    NoTime,
    #[error("eventTimestamp: {0}")]
    Time(#[from] InvalidTimestamp),
}

/// Maps the line of an event, without its line feed. Nothing of an event is lost: a field that has no attribute, doesn't fit into
/// one, or got another word there, stays in `unmapped`, and `raw_data` is the line.
///
/// # Errors
/// [`InvalidEvent`].
pub fn map<'a>(line: &'a [u8], version: Version, table: &'a Table) -> Result<OcsfEvent<'a>, InvalidEvent> {
    let line = std::str::from_utf8(line)?;
    let mut source = Source { fields: serde_json::from_str(line)?, version, table };
    let (metadata, time) = source.metadata()?;
    let targets = source.targets();
    let rule = metadata.event_code.as_ref().and_then(|action| table.rule(action, targets.rule_type()));
    let Rule { class, activity } = match rule {
        Some(rule) => Rule { activity: rule.activity.in_version(version), ..rule },
        None if metadata.event_code.is_some() => Rule { class: Class::ApiActivity, activity: Activity::OTHER },
        None => Rule { class: Class::ApiActivity, activity: Activity::UNKNOWN },
    };
    let activity_name = match &metadata.event_code {
        Some(action) if activity == Activity::OTHER => action.clone(),
        _ => Cow::Borrowed(activity.caption),
    };
    let Outcome { status, status_id, severity, severity_id } = source.outcome();
    let (user, idp) = source.actor();
    let mut record = OcsfEvent {
        class,
        is_other: rule.is_none(),
        activity_id: activity.id,
        activity_name,
        actor: Actor { idp, session: None, user },
        api: None,
        category_name: class.category_caption(),
        category_uid: class.category_uid(),
        class_name: class.caption(),
        class_uid: class.uid(),
        entity: None,
        metadata,
        raw_data: None,
        resources: None,
        service: None,
        session: None,
        severity,
        severity_id,
        src_endpoint: source.address().map(|ip| Endpoint { ip: Some(ip), name: None }),
        status,
        status_detail: source.take_text("actionStatusReason"),
        status_id,
        time,
        type_name: format!("{}: {}", class.caption(), activity.caption),
        type_uid: u32::from(class.uid()) * 100 + u32::from(activity.id),
        unmapped: BTreeMap::new(),
        user: None,
    };
    source.add_class_attributes(targets, &mut record);
    record.unmapped = source.fields.into_texts();
    if fits(line, version) {
        record.raw_data = Some(line);
    } else {
        record.unmapped.insert(Cow::Borrowed("raw_data"), line);
    }
    Ok(record)
}

fn fits(text: &str, version: Version) -> bool {
    version.max_text_length().is_none_or(|max| text.len() <= max || text.chars().count() <= max)
}

/// Returns whether a record has the event's own word for a type.
fn same_word(own: Option<&str>, written: Option<&str>) -> bool {
    own.map(word) == written.map(word)
}

/// The fields that no attribute has taken yet.
#[derive(Debug)]
struct Source<'a> {
    fields: Fields<'a>,
    version: Version,
    table: &'a Table,
}

/// The field `targets`, and the type of all of them, from `targetType`.
#[derive(Debug)]
struct Targets<'a> {
    list: Vec<Target<'a>>,
    kind: Option<Cow<'a, str>>,
}

/// An element of `targets`.
#[derive(Debug)]
struct Target<'a> {
    uid: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    r#type: Option<Cow<'a, str>>,
    /// It holds nothing else.
    whole: bool,
}

impl Targets<'_> {
    /// Returns the type that decides about the rule.
    fn rule_type(&self) -> Option<&str> {
        self.kind.as_deref().or_else(|| self.list.first()?.r#type.as_deref())
    }
}

#[derive(Debug)]
struct Outcome<'a> {
    status: Cow<'a, str>,
    status_id: u8,
    severity: &'static str,
    severity_id: u8,
}

impl<'a> Source<'a> {
    fn fitting(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        fits(&text, self.version).then_some(text)
    }

    fn take_text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let version = self.version;
        self.fields.take(name, |value| text(value).filter(|text| fits(text, version)))
    }

    /// Takes what every event has or may have, and returns it with the event's time in milliseconds.
    fn metadata(&mut self) -> Result<(Metadata<'a>, u64), InvalidEvent> {
        let uid = self.take_text("id").ok_or(InvalidEvent::NoId)?;
        let original_time = self.take_text("eventTimestamp").ok_or(InvalidEvent::NoTime)?;
        let time = Timestamp::parse(&original_time)?.as_millis();
        let product = self.table.product();
        let metadata = Metadata {
            correlation_uid: self.take_text("requestId"),
            event_code: self.take_text("action"),
            logged_time: self.fields.take("receivedTimestamp", |value| {
                text(value).and_then(|text| Timestamp::parse(&text).ok()).map(Timestamp::as_millis)
            }),
            original_event_uid: (self.version >= Version::V1_8_0).then(|| uid.clone()),
            original_time,
            product: Product { name: &product.name, vendor_name: &product.vendor_name, version: &product.version },
            profiles: None,
            tenant_uid: self.take_text("tenantId"),
            uid,
            version: self.version.into(),
        };
        Ok((metadata, time))
    }

    /// Reads the targets, which stay where they are until a record has them.
    fn targets(&self) -> Targets<'a> {
        let list = self.fields.get("targets").map(elements).unwrap_or_default();
        Targets {
            list: list.into_iter().map(|target| self.target(target)).collect(),
            kind: self.fields.get("targetType").and_then(text).and_then(|text| self.fitting(text)),
        }
    }

    fn add_class_attributes(&mut self, targets: Targets<'a>, record: &mut OcsfEvent<'a>) {
        let session = self.take_text("sessionId").map(|uid| Session { uid });
        match record.class {
            Class::Authentication => {
                record.user = Some(record.actor.user.clone());
                record.service = Some(Service { name: &self.table.product().name });
                record.session = session;
            }
            Class::AccountChange => {
                record.actor.session = session;
                record.user = Some(self.account(targets));
            }
            Class::EntityManagement => {
                record.actor.session = session;
                record.entity = Some(self.entity(targets));
                // Version 1.3 gives this class an actor only with the profile.
                record.metadata.profiles = (self.version == Version::V1_3_0).then_some(&["host"]);
            }
            Class::ApiActivity => {
                record.actor.session = session;
                record.api = Some(Api {
                    operation: record.metadata.event_code.clone().unwrap_or(Cow::Borrowed(UNKNOWN)),
                    request: record.metadata.correlation_uid.clone().map(|uid| Request { uid }),
                });
                record.resources = self.resources(targets);
                record.src_endpoint.get_or_insert(Endpoint { ip: None, name: Some(UNKNOWN) });
            }
        }
    }

    /// Takes an address. Whatever else the field holds stays unmapped: it is no address that a record may claim.
    fn address(&mut self) -> Option<IpAddr> {
        self.fields.take("actorIp", |value| text(value)?.parse().ok())
    }

    fn outcome(&mut self) -> Outcome<'a> {
        let version = self.version;
        let status = self.fields.get("actionStatus").and_then(text).filter(|text| fits(text, version));
        let Some(status) = status else {
            return Outcome { status: UNKNOWN.into(), status_id: 0, severity: "Informational", severity_id: 1 };
        };
        let outcome = match self.table.status(&status) {
            Some(Status::Success) => {
                Outcome { status: "Success".into(), status_id: 1, severity: "Informational", severity_id: 1 }
            }
            Some(Status::Failure) => {
                Outcome { status: "Failure".into(), status_id: 2, severity: "Low", severity_id: 2 }
            }
            None => Outcome { status: status.clone(), status_id: OTHER_ID, severity: "Informational", severity_id: 1 },
        };
        if word(&outcome.status) == word(&status) {
            self.fields.remove("actionStatus");
        }
        outcome
    }

    /// Takes the actor and its identity provider, unless the actor has other fields.
    fn actor(&mut self) -> (User<'a>, Option<IdentityProvider<'a>>) {
        let unknown = || User { name: Some(UNKNOWN.into()), ..User::default() };
        let Some(value) = self.fields.get("actor") else { return (unknown(), None) };
        let Some(mut actor) = Fields::of(value) else {
            // A text names the actor, and a number identifies it.
            let name = text(value).and_then(|text| self.fitting(text));
            let uid = if name.is_none() { text_or_number(value).and_then(|uid| self.fitting(uid)) } else { None };
            if name.is_none() && uid.is_none() {
                return (unknown(), None);
            }
            self.fields.remove("actor");
            return (User { name, uid, ..User::default() }, None);
        };
        let version = self.version;
        let mut take = |name: &str| actor.take(name, |value| text_or_number(value).filter(|text| fits(text, version)));
        let (uid, name, kind) = (take("id"), take("name"), take("type"));
        let provider = IdentityProvider { name: take("identityProvider"), uid: take("issuer") };
        let whole = actor.is_empty();
        let idp = (provider.name.is_some() || provider.uid.is_some()).then_some(provider);
        let name = if uid.is_none() && name.is_none() { Some(UNKNOWN.into()) } else { name };
        let user = self.user(uid, name, kind.as_ref());
        if whole && same_word(kind.as_deref(), user.r#type.as_deref()) {
            self.fields.remove("actor");
        }
        (user, idp)
    }

    fn user(&self, uid: Option<Cow<'a, str>>, name: Option<Cow<'a, str>>, kind: Option<&Cow<'a, str>>) -> User<'a> {
        let known = kind.and_then(|kind| self.table.user_type(kind));
        let (r#type, type_id) = match known.and_then(|known| Some((known, known.id(self.version)?))) {
            Some((known, id)) => (Some(Cow::Borrowed(known.into())), Some(id)),
            None => (kind.cloned(), kind.map(|_| OTHER_ID)),
        };
        User { name, r#type, type_id, uid }
    }

    /// Reads an element of `targets`. A text is a name, and a number an ID.
    fn target(&self, value: &'a RawValue) -> Target<'a> {
        let fitting = |text: Option<Cow<'a, str>>| text.filter(|text| fits(text, self.version));
        let Some(mut fields) = Fields::of(value) else {
            let name = fitting(text(value));
            let uid = if name.is_none() { fitting(text_or_number(value)) } else { None };
            return Target { whole: name.is_some() || uid.is_some(), uid, name, r#type: None };
        };
        let mut take = |name| fields.take(name, |value| fitting(text_or_number(value)));
        let (uid, name, kind) = (take("id"), take("name"), take("type"));
        Target { whole: fields.is_empty() && (uid.is_some() || name.is_some()), uid, name, r#type: kind }
    }

    /// Drops the fields that the targets come from, if the record has `all` of them, and their type as `written`.
    fn took(
        &mut self,
        all: bool,
        target_type: Option<&Cow<'a, str>>,
        kind: Option<&Cow<'a, str>>,
        written: Option<&str>,
    ) {
        let same = same_word(kind.map(AsRef::as_ref), written);
        if all && same {
            self.fields.remove("targets");
        }
        if same && target_type.is_some() && target_type == kind {
            self.fields.remove("targetType");
        }
    }

    /// Returns the first target as the managed entity. An event without a target still has the entity's type.
    fn entity(&mut self, Targets { list, kind: target_type }: Targets<'a>) -> Entity<'a> {
        let all = list.len() == 1 && list.iter().all(|target| target.whole);
        let (uid, name, own) =
            list.into_iter().next().map_or((None, None, None), |target| (target.uid, target.name, target.r#type));
        let kind = own.or_else(|| target_type.clone());
        let name = if uid.is_none() && name.is_none() { Some(UNKNOWN.into()) } else { name };
        let (r#type, type_id) = match kind.as_ref().and_then(|kind| self.table.entity_type(kind)) {
            Some(known) => (Some(Cow::Borrowed(known.into())), Some(known.id())),
            None => (kind.clone(), kind.as_ref().map(|_| OTHER_ID)),
        };
        self.took(all, target_type.as_ref(), kind.as_ref(), r#type.as_deref());
        Entity { name, r#type, type_id, uid }
    }

    /// Returns the account that was changed: the first target that is one, by its own type or by that of all targets.
    fn account(&mut self, Targets { list, kind: target_type }: Targets<'a>) -> User<'a> {
        let all = list.len() == 1 && list.iter().all(|target| target.whole);
        let account = list.into_iter().find(|target| {
            let kind = target.r#type.as_ref().or(target_type.as_ref());
            (target.uid.is_some() || target.name.is_some()) && kind.is_none_or(|kind| self.table.is_account(kind))
        });
        let Some(Target { uid, name, r#type: own, .. }) = account else {
            return User { name: Some(UNKNOWN.into()), ..User::default() };
        };
        let kind = own.or_else(|| target_type.clone());
        let user = self.user(uid, name, kind.as_ref());
        self.took(all, target_type.as_ref(), kind.as_ref(), user.r#type.as_deref());
        user
    }

    fn resources(&mut self, Targets { list, kind: target_type }: Targets<'a>) -> Option<Vec<Resource<'a>>> {
        let all = list.iter().all(|target| target.whole);
        let inherited = target_type.as_ref().filter(|kind| {
            let heirs = list.iter().filter(|target| target.r#type.is_none()).count();
            heirs.saturating_mul(kind.len()) <= MAX_INHERITED_LENGTH
        });
        let resources: Vec<_> = list
            .into_iter()
            .filter(|target| target.uid.is_some() || target.name.is_some())
            .map(|Target { uid, name, r#type: own, .. }| Resource {
                name,
                r#type: own.or_else(|| inherited.cloned()),
                uid,
            })
            .collect();
        let kind = resources.first()?.r#type.clone();
        self.took(all, target_type.as_ref(), kind.as_ref(), kind.as_deref());
        Some(resources)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use domain::ocsf::OwnRules;

    fn mapped(line: &str, version: Version, rules: &str) -> (bool, Value) {
        let table = Table::new(&serde_json::from_str(rules).unwrap()).unwrap();
        let record = map(line.as_bytes(), version, &table).unwrap();
        (record.is_other, serde_json::to_value(&record).unwrap())
    }

    #[test]
    fn a_text_that_is_too_long_for_a_version_stays_unmapped() {
        for (letter, length, fits) in [("x", 65_535, true), ("é", 65_535, true), ("x", 65_536, false)] {
            let reason = letter.repeat(length);
            let line = format!(
                r#"{{"id":"1","eventTimestamp":"2026-01-01T00:00:00Z","action":"LOGIN","actionStatusReason":"{reason}"}}"#
            );
            let (_, old) = mapped(&line, Version::V1_3_0, "[]");
            assert_eq!(old["status_detail"] == *reason, fits);
            assert_eq!(old["unmapped"]["actionStatusReason"] == format!("\"{reason}\""), !fits);
            // The line is longer than the text in it.
            assert_eq!((&old["raw_data"], &old["unmapped"]["raw_data"]), (&Value::Null, &Value::from(&*line)));
            let (_, new) = mapped(&line, Version::V1_8_0, "[]");
            assert_eq!((&new["status_detail"], &new["raw_data"]), (&Value::from(reason), &Value::from(line)));
            assert_eq!(new["unmapped"], Value::Null);
        }
    }

    #[test]
    fn an_action_without_a_rule_is_counted_until_the_configuration_has_one() {
        let line = r#"{"id":"1","eventTimestamp":"2026-01-01T00:00:00Z","action":"INVITE","targets":[{"id":"u","type":"MEMBER"}]}"#;
        let (is_other, record) = mapped(line, Version::V1_3_0, "[]");
        assert!(is_other);
        assert_eq!((&record["type_uid"], &record["activity_name"]), (&600_399.into(), &"INVITE".into()));
        let rule = r#"[{"action":"INVITE","targetType":"MEMBER","class":"ACCOUNT_CHANGE","activity":"Create"}]"#;
        let (is_other, record) = mapped(line, Version::V1_3_0, rule);
        assert!(!is_other);
        assert_eq!((&record["type_uid"], &record["user"]["uid"]), (&300_101.into(), &"u".into()));
    }

    #[test]
    fn targets_inherit_no_types_that_are_long_together() {
        for (count, inherits) in [(1_024, true), (1_025, false)] {
            let (kind, targets) = ("T".repeat(64), vec!["1"; count].join(","));
            let line = format!(
                r#"{{"id":"1","eventTimestamp":"2026-01-01T00:00:00Z","action":"QUERY","targets":[{targets}],"targetType":"{kind}"}}"#
            );
            let (_, record) = mapped(&line, Version::V1_8_0, "[]");
            let resources = record["resources"].as_array().unwrap();
            let types = resources.iter().filter(|resource| resource["type"] == *kind).count();
            assert_eq!((resources.len(), types), (count, if inherits { count } else { 0 }));
            // What no resource has stays.
            assert_eq!(record["unmapped"]["targetType"] == format!("\"{kind}\""), !inherits);
            assert_eq!(record["unmapped"]["targets"], Value::Null);
        }
    }

    #[test]
    fn an_activity_of_a_later_version_is_other_before() {
        let line = r#"{"id":"1","eventTimestamp":"2026-01-01T00:00:00Z","action":"UNLOCK","targetType":"USER"}"#;
        let names = |version| {
            let (is_other, record) = mapped(line, version, "[]");
            assert!(!is_other);
            (record["type_uid"].clone(), record["activity_name"].clone(), record["type_name"].clone())
        };
        assert_eq!(names(Version::V1_3_0), (300_199.into(), "UNLOCK".into(), "Account Change: Other".into()));
        assert_eq!(names(Version::V1_8_0), (300_112.into(), "Unlock".into(), "Account Change: Unlock".into()));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let table = Table::new(&OwnRules::default()).unwrap();
        let error = |line: &[u8]| map(line, Version::V1_3_0, &table).unwrap_err();
        assert!(matches!(error(b"[]"), InvalidEvent::Json(_)));
        assert!(matches!(error(b"{\"id\":\"\xff\"}"), InvalidEvent::Text(_)));
        assert!(matches!(error(br#"{"eventTimestamp":"2026-01-01T00:00:00Z"}"#), InvalidEvent::NoId));
        assert!(matches!(error(br#"{"id":"1"}"#), InvalidEvent::NoTime));
        assert!(matches!(error(br#"{"id":"1","eventTimestamp":"yesterday"}"#), InvalidEvent::Time(_)));
    }
}
