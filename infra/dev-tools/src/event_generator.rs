//! Realistic audit events in the Universal Audit Model, generated from a seed. The same seed gives the same bytes on every
//! machine and in every version of this program; a test checks their hash.

mod random;
mod vocabulary;

use std::{borrow::Cow, fmt, net::Ipv4Addr, time::Duration};

use domain::{tenant::TenantId, time::Timestamp};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use self::{
    random::Random,
    vocabulary::{
        COLUMNS, FAILURES, FAMILY_NAMES, GIVEN_NAMES, IDENTITY_PROVIDERS, KINDS, Kind, POLICIES, PROJECTS, PayloadKind,
        SCHEMAS, TABLES, TAGS, TECHNOLOGIES, USER_AGENTS,
    },
};

const ACTORS: usize = 240;
const SESSIONS: usize = 320;
const DATA_SOURCES: usize = 400;
/// Events between two new sessions, each of which replaces another.
const EVENTS_PER_NEW_SESSION: u64 = 40;
const CREDENTIAL_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// The version of the payloads in the Universal Audit Model.
const PAYLOAD_VERSION: u8 = 1;

/// A generator of one tenant's audit log.
#[derive(Clone, Debug)]
pub struct EventGenerator {
    tenant: TenantId,
    random: Random,
    population: Population,
    sessions: Vec<Session>,
    next_timestamp: Timestamp,
    spacing: Duration,
    total_weight: u64,
}

/// The actors and resources of a tenant, generated once, so that names recur as in a real log.
#[derive(Clone, Debug)]
struct Population {
    actors: Vec<Actor>,
    data_sources: Vec<Entity>,
    projects: Vec<Entity>,
    policies: Vec<Entity>,
    tags: Vec<Entity>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    id: String,
    name: String,
    r#type: &'static str,
    identity_provider: &'static str,
    profile_id: u64,
}

#[derive(Clone, Debug, Serialize)]
struct Entity {
    id: u64,
    name: String,
    r#type: &'static str,
}

/// A number with 12 digits, or 16 if it needs them.
#[derive(Clone, Copy, Debug)]
struct Hexadecimal(u64);

impl fmt::Display for Hexadecimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:012x}", self.0)
    }
}

impl Serialize for Hexadecimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Clone, Debug)]
struct Session {
    id: Hexadecimal,
    actor: usize,
    address: Ipv4Addr,
    user_agent: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the Universal Audit Model's")]
struct Event<'a> {
    id: Uuid,
    action: &'static str,
    action_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_status_reason: Option<&'static str>,
    actor: &'a Actor,
    actor_ip: Ipv4Addr,
    event_timestamp: Timestamp,
    tenant_id: &'a TenantId,
    target_type: &'static str,
    targets: Vec<Cow<'a, Entity>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_resources: Vec<&'a Entity>,
    audit_payload: Payload<'a>,
    request_id: Hexadecimal,
    session_id: Hexadecimal,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Payload<'a> {
    #[serde(rename = "QueryAuditPayload", rename_all = "camelCase")]
    Query {
        version: u8,
        query: String,
        technology: &'static str,
        duration_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        rows_produced: Option<u64>,
    },
    #[serde(rename = "AuthenticationAuditPayload", rename_all = "camelCase")]
    Authentication { version: u8, method: &'static str, user_agent: &'static str, multi_factor: bool },
    #[serde(rename = "MembershipAuditPayload", rename_all = "camelCase")]
    Membership { version: u8, member: &'a str, role: &'static str, approved_by: Option<&'a str> },
    #[serde(rename = "PolicyAuditPayload", rename_all = "camelCase")]
    Policy { version: u8, policy_type: &'static str, certified: bool, rules: Vec<Rule>, affected_columns: u64 },
    #[serde(rename = "ChangeAuditPayload", rename_all = "camelCase")]
    Change { version: u8, changes: Vec<Change>, user_agent: &'static str },
    #[serde(rename = "AttributeAuditPayload", rename_all = "camelCase")]
    Attribute { version: u8, name: &'static str, origin: &'static str, confidence: f32, columns: Vec<&'static str> },
    #[serde(rename = "CredentialAuditPayload", rename_all = "camelCase")]
    Credential { version: u8, name: String, scopes: Vec<&'static str>, expires_at: Timestamp },
}

#[derive(Serialize)]
struct Rule {
    r#type: &'static str,
    fields: Vec<&'static str>,
}

#[derive(Serialize)]
struct Change {
    field: &'static str,
    old: Option<u64>,
    new: u64,
}

impl EventGenerator {
    /// Creates a generator of events of `tenant`, the first at `start`, then `spacing` apart on average. Each event is within
    /// its own period of that length, so that times never decrease.
    #[must_use]
    pub fn new(tenant: TenantId, seed: u64, start: Timestamp, spacing: Duration) -> Self {
        let mut random = Random::new(seed);
        let population = Population::new(&mut random);
        let sessions = (0..SESSIONS).map(|_| Session::new(&mut random)).collect();
        let total_weight = KINDS.iter().map(|kind| kind.weight).sum();
        Self { tenant, random, population, sessions, next_timestamp: start, spacing, total_weight }
    }

    /// Appends one event as a line of JSON, with its line feed.
    ///
    /// # Errors
    /// Never in practice, because every event has a JSON form.
    pub fn write_next(&mut self, output: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if self.random.one_in(EVENTS_PER_NEW_SESSION) {
            let ended = self.random.index(SESSIONS);
            self.sessions[ended] = Session::new(&mut self.random);
        }
        let spacing_millis = u64::try_from(self.spacing.as_millis()).unwrap_or(u64::MAX);
        let event_timestamp =
            self.next_timestamp.saturating_add(Duration::from_millis(self.random.below(spacing_millis)));
        self.next_timestamp = self.next_timestamp.saturating_add(self.spacing);

        let kind = self.pick_kind();
        let event = make_event(kind, event_timestamp, &self.tenant, &self.population, &self.sessions, &mut self.random);
        serde_json::to_writer(&mut *output, &event)?;
        output.push(b'\n');
        Ok(())
    }

    fn pick_kind(&mut self) -> Kind {
        let mut left = self.random.below(self.total_weight);
        for kind in KINDS {
            match left.checked_sub(kind.weight) {
                Some(rest) => left = rest,
                None => return kind,
            }
        }
        KINDS[0]
    }
}

impl Population {
    fn new(random: &mut Random) -> Self {
        let actors = (0..ACTORS).map(|number| Actor::new(number, random)).collect();
        let data_sources = (0..DATA_SOURCES)
            .map(|number| {
                let name = format!("{}.{}_{}", random.word(&SCHEMAS), random.word(&TABLES), number / TABLES.len());
                Entity { id: 1_000 + number as u64, name, r#type: "DATASOURCE" }
            })
            .collect();
        let entities = |names: &[&str], r#type| {
            (1..).zip(names).map(|(id, name)| Entity { id, name: (*name).to_owned(), r#type }).collect()
        };
        Self {
            actors,
            data_sources,
            projects: entities(&PROJECTS, "PROJECT"),
            policies: entities(&POLICIES, "POLICY"),
            tags: entities(&TAGS, "TAG"),
        }
    }
}

impl Actor {
    fn new(number: usize, random: &mut Random) -> Self {
        let profile_id = 100 + number as u64;
        if number % 12 == 11 {
            let name = format!("svc-{}-{number}", random.word(&SCHEMAS));
            return Self { id: name.clone(), name, r#type: "SERVICE_ACTOR", identity_provider: "bim", profile_id };
        }
        let (given, family) = (random.word(&GIVEN_NAMES), random.word(&FAMILY_NAMES));
        let mailbox: String = format!("{given}.{family}").chars().filter(char::is_ascii).collect();
        Self {
            id: format!("{}{number}", mailbox.to_ascii_lowercase().replace('\'', "")),
            name: format!("{given} {family}"),
            r#type: "USER_ACTOR",
            identity_provider: random.common_word(&IDENTITY_PROVIDERS),
            profile_id,
        }
    }
}

impl Session {
    fn new(random: &mut Random) -> Self {
        let actor = random.skewed_index(ACTORS);
        let [.., third, fourth] = random.next().to_be_bytes();
        Self {
            id: Hexadecimal(random.next()),
            actor,
            address: Ipv4Addr::new(10, 20, third % 16, fourth),
            user_agent: random.common_word(&USER_AGENTS),
        }
    }
}

fn make_event<'a>(
    kind: Kind,
    event_timestamp: Timestamp,
    tenant_id: &'a TenantId,
    population: &'a Population,
    sessions: &[Session],
    random: &mut Random,
) -> Event<'a> {
    let session = random.common(sessions);
    let actor = &population.actors[session.actor];
    let failed = random.one_in(if kind.payload == PayloadKind::Authentication { 9 } else { 28 });
    let targets = make_targets(kind, actor, population, random);
    let related_resources = match kind.payload {
        PayloadKind::Policy | PayloadKind::Attribute => vec![random.common(&population.data_sources)],
        PayloadKind::Query | PayloadKind::Change if random.one_in(4) => vec![random.common(&population.projects)],
        _ => Vec::new(),
    };
    let audit_payload = make_payload(kind, failed, event_timestamp, &targets, session, population, random);
    Event {
        id: random.uuid(),
        action: kind.action,
        action_status: if failed { "FAILURE" } else { "SUCCESS" },
        action_status_reason: failed.then(|| random.word(&FAILURES)),
        actor,
        actor_ip: session.address,
        event_timestamp,
        tenant_id,
        target_type: kind.target_type,
        targets,
        related_resources,
        audit_payload,
        request_id: Hexadecimal(random.next() >> 16),
        session_id: session.id,
    }
}

fn make_targets<'a>(
    kind: Kind,
    actor: &Actor,
    population: &'a Population,
    random: &mut Random,
) -> Vec<Cow<'a, Entity>> {
    let first = match kind.target_type {
        "DATASOURCE" => Cow::Borrowed(random.common(&population.data_sources)),
        "PROJECT" => Cow::Borrowed(random.common(&population.projects)),
        "GLOBAL_POLICY" | "LOCAL_POLICY" => Cow::Borrowed(random.common(&population.policies)),
        "TAG" => Cow::Borrowed(random.common(&population.tags)),
        other => Cow::Owned(Entity { id: actor.profile_id, name: actor.name.clone(), r#type: other }),
    };
    let joins_a_second = kind.payload == PayloadKind::Query && random.one_in(6);
    let second = joins_a_second.then(|| Cow::Borrowed(random.common(&population.data_sources)));
    std::iter::once(first).chain(second).collect()
}

fn make_payload<'a>(
    kind: Kind,
    failed: bool,
    event_timestamp: Timestamp,
    targets: &[Cow<'a, Entity>],
    session: &Session,
    population: &'a Population,
    random: &mut Random,
) -> Payload<'a> {
    let version = PAYLOAD_VERSION;
    match kind.payload {
        PayloadKind::Query => Payload::Query {
            version,
            query: make_query(targets, random),
            technology: random.common_word(&TECHNOLOGIES),
            duration_ms: 12 + random.skewed_below(9_000),
            rows_produced: (!failed).then(|| random.skewed_below(250_000)),
        },
        PayloadKind::Authentication => Payload::Authentication {
            version,
            method: random.word(&["SAML", "OIDC", "PASSWORD"]),
            user_agent: session.user_agent,
            multi_factor: !random.one_in(5),
        },
        PayloadKind::Membership => Payload::Membership {
            version,
            member: &population.actors[random.index(ACTORS)].id,
            role: random.word(&["subscriber", "owner", "expert"]),
            approved_by: random.one_in(3).then(|| random.common(&population.actors).id.as_str()),
        },
        PayloadKind::Policy => Payload::Policy {
            version,
            policy_type: random.word(&["MASKING", "ROW_LEVEL", "SUBSCRIPTION"]),
            certified: random.one_in(4),
            rules: (0..=random.below(2))
                .map(|_| Rule { r#type: random.word(&["HASH", "NULLIFY", "FILTER"]), fields: pick_columns(random) })
                .collect(),
            affected_columns: random.skewed_below(400),
        },
        PayloadKind::Change => Payload::Change {
            version,
            changes: (0..=random.below(3))
                .map(|_| Change {
                    field: random.word(&["columns", "owners", "statsExpiration", "subscriptionPolicy"]),
                    old: (kind.action == "UPDATE").then(|| random.below(500)),
                    new: random.below(500),
                })
                .collect(),
            user_agent: session.user_agent,
        },
        PayloadKind::Attribute => Payload::Attribute {
            version,
            name: random.common_word(&TAGS),
            origin: random.word(&["MANUAL", "DISCOVERY", "CATALOG"]),
            // Hundredths, which floats print without many digits.
            confidence: [0.25, 0.5, 0.75, 0.875, 1.0][random.index(5)],
            columns: pick_columns(random),
        },
        PayloadKind::Credential => Payload::Credential {
            version,
            name: format!("{}-{}", random.word(&SCHEMAS), random.below(1_000)),
            scopes: vec![random.word(&["read", "write"]), random.word(&["audit", "governance", "datasource"])],
            expires_at: event_timestamp.saturating_add(CREDENTIAL_LIFETIME),
        },
    }
}

fn make_query(targets: &[Cow<'_, Entity>], random: &mut Random) -> String {
    let table = targets.first().map_or("t", |target| target.name.as_str());
    let (column, filter) = (random.word(&COLUMNS), random.word(&COLUMNS));
    match (targets.get(1), random.below(3)) {
        (Some(second), _) => {
            format!(
                "SELECT a.{column} FROM {table} a JOIN {} b ON a.id = b.id WHERE b.{filter} IS NOT NULL",
                second.name
            )
        }
        (None, 0) => format!("SELECT {column}, COUNT(*) AS \"n\" FROM {table} GROUP BY 1"),
        (None, 1) => {
            let limit = 10 * (1 + random.below(50));
            format!("SELECT {column}, {filter} FROM {table} WHERE {filter} = '{}' LIMIT {limit}", random.below(10_000))
        }
        (None, _) => format!("SELECT\n\t*\nFROM {table}\nWHERE {filter} > {}", random.below(1_000_000)),
    }
}

fn pick_columns(random: &mut Random) -> Vec<&'static str> {
    (0..=random.below(3)).map(|_| random.word(&COLUMNS)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};

    use super::*;

    fn generate(tenant: &str, seed: u64, count: usize) -> Vec<u8> {
        let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let mut generator =
            EventGenerator::new(TenantId::parse(tenant).unwrap(), seed, start, Duration::from_millis(250));
        let mut output = Vec::new();
        for _ in 0..count {
            generator.write_next(&mut output).unwrap();
        }
        output
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_in_every_version() {
        let hash = BASE64_STANDARD.encode(Sha256::digest(generate("acme", 7, 10_000)));
        assert_eq!(hash, "oZTUtEz2fAgnZTgzNeFPEYBnMjslAe3l/vD8M8WX3SA=");
        assert_ne!(generate("acme", 8, 10), generate("acme", 7, 10));
    }

    #[test]
    fn an_event_is_as_long_as_in_a_real_log() {
        let average = generate("acme", 1, 20_000).len() / 20_000;
        assert!((600..=650).contains(&average), "{average} bytes");
    }

    #[test]
    fn events_are_valid_various_unique_and_in_order() {
        let output = generate("acme", 3, 20_000);
        let mut ids = HashSet::new();
        let mut kinds = HashSet::new();
        let mut last = String::new();
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            let event: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert!(ids.insert(event["id"].as_str().unwrap().to_owned()));
            let timestamp = event["eventTimestamp"].as_str().unwrap().to_owned();
            assert!(last <= timestamp);
            last = timestamp;
            assert_eq!(event["tenantId"], "acme");
            kinds.insert(format!("{} {}", event["action"], event["targetType"]));
        }
        assert_eq!(ids.len(), 20_000);
        assert_eq!(kinds.len(), KINDS.len());
    }
}
