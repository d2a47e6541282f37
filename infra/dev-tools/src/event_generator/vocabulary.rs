//! The vocabulary of generated events.

/// A kind of event: its action, its target and its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) action: &'static str,
    pub(super) target_type: &'static str,
    pub(super) payload: PayloadKind,
    /// The frequency relative to other kinds.
    pub(super) weight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadKind {
    Query,
    Authentication,
    Membership,
    Policy,
    Change,
    Attribute,
    Credential,
}

const fn kind(action: &'static str, target_type: &'static str, payload: PayloadKind, weight: u64) -> Kind {
    Kind { action, target_type, payload, weight }
}

/// Mostly queries and logins, as in the log of a data platform; configuration changes are rare.
pub(super) const KINDS: [Kind; 26] = [
    kind("QUERY", "DATASOURCE", PayloadKind::Query, 420),
    kind("AUTHENTICATE", "USER", PayloadKind::Authentication, 150),
    kind("LOGOUT", "USER", PayloadKind::Authentication, 45),
    kind("SUBSCRIBE", "DATASOURCE", PayloadKind::Membership, 60),
    kind("UNSUBSCRIBE", "DATASOURCE", PayloadKind::Membership, 20),
    kind("JOIN", "PROJECT", PayloadKind::Membership, 30),
    kind("LEAVE", "PROJECT", PayloadKind::Membership, 12),
    kind("ADD", "GROUP_MEMBERSHIP", PayloadKind::Membership, 20),
    kind("REMOVE", "GROUP_MEMBERSHIP", PayloadKind::Membership, 8),
    kind("CREATE", "DATASOURCE", PayloadKind::Change, 24),
    kind("UPDATE", "DATASOURCE", PayloadKind::Change, 36),
    kind("DELETE", "DATASOURCE", PayloadKind::Change, 6),
    kind("CREATE", "PROJECT", PayloadKind::Change, 8),
    kind("UPDATE", "PROJECT", PayloadKind::Change, 14),
    kind("CREATE", "PURPOSE", PayloadKind::Change, 5),
    kind("CREATE", "GLOBAL_POLICY", PayloadKind::Policy, 10),
    kind("UPDATE", "GLOBAL_POLICY", PayloadKind::Policy, 18),
    kind("CREATE", "LOCAL_POLICY", PayloadKind::Policy, 14),
    kind("DELETE", "LOCAL_POLICY", PayloadKind::Policy, 4),
    kind("APPLY", "TAG", PayloadKind::Attribute, 40),
    kind("REMOVE", "TAG", PayloadKind::Attribute, 8),
    kind("APPLY", "USER_ATTRIBUTE", PayloadKind::Attribute, 18),
    kind("APPLY", "PERMISSION", PayloadKind::Attribute, 10),
    kind("CREATE", "API_KEY", PayloadKind::Credential, 8),
    kind("DELETE", "API_KEY", PayloadKind::Credential, 4),
    kind("CREATE", "WEBHOOK", PayloadKind::Credential, 3),
];

/// Includes letters outside of ASCII and an apostrophe, which readers of the export have to handle.
pub(super) const GIVEN_NAMES: [&str; 24] = [
    "Amara", "Björn", "Chen", "Diego", "Elif", "Fatima", "Grace", "Hiro", "Ines", "Jonas", "Kavya", "Liam", "Mei",
    "Noor", "Olga", "Priya", "Quinn", "Rosa", "Søren", "Tomás", "Uma", "Viktor", "Wanjiru", "Zoë",
];

pub(super) const FAMILY_NAMES: [&str; 20] = [
    "Andersson",
    "Baptiste",
    "Chowdhury",
    "Dvořák",
    "Eriksen",
    "Fischer",
    "García",
    "Huang",
    "Ibrahim",
    "Jansen",
    "Kimura",
    "Lopes",
    "Moreau",
    "Novak",
    "O'Brien",
    "Petrova",
    "Rossi",
    "Sato",
    "Tanaka",
    "Williams",
];

pub(super) const IDENTITY_PROVIDERS: [&str; 4] = ["okta", "entra-id", "ping", "bim"];

pub(super) const SCHEMAS: [&str; 10] =
    ["sales", "finance", "hr", "claims", "clinical", "marketing", "logistics", "risk", "web", "iot"];

pub(super) const TABLES: [&str; 16] = [
    "orders",
    "customers",
    "invoices",
    "payments",
    "employees",
    "shipments",
    "policies",
    "patients",
    "visits",
    "campaigns",
    "clickstream",
    "positions",
    "ledger",
    "inventory",
    "suppliers",
    "sensor_readings",
];

pub(super) const COLUMNS: [&str; 14] = [
    "id",
    "created_at",
    "region",
    "amount",
    "currency",
    "email",
    "phone",
    "status",
    "customer_id",
    "country",
    "birth_date",
    "product",
    "quantity",
    "iban",
];

pub(super) const TECHNOLOGIES: [&str; 5] = ["SNOWFLAKE", "DATABRICKS", "REDSHIFT", "BIGQUERY", "STARBURST"];

pub(super) const PROJECTS: [&str; 12] = [
    "Fraud detection",
    "Churn model",
    "Quarterly close",
    "Clinical trial 7",
    "Market basket",
    "Capacity planning",
    "GDPR requests",
    "Pricing",
    "Supplier risk",
    "Warehouse routing",
    "Data quality",
    "Board reporting",
];

pub(super) const POLICIES: [&str; 10] = [
    "Mask personal data",
    "Only own region",
    "Minimise to 25 %",
    "Hide payment data",
    "Purpose: research",
    "Null out e-mail",
    "Row filter by country",
    "Time window 90 days",
    "Hash identifiers",
    "Group HR only",
];

pub(super) const TAGS: [&str; 10] = [
    "Discovered.Entity.Person Name",
    "Discovered.Entity.Electronic Mail Address",
    "Discovered.Country.DE",
    "Sensitivity.High",
    "Sensitivity.Low",
    "PII",
    "PHI",
    "Finance.Payment Card",
    "Legal.Hold",
    "Owner.Data Platform",
];

pub(super) const USER_AGENTS: [&str; 5] =
    ["Chrome/131 (macOS)", "Firefox/133 (Linux)", "Edge/131 (Windows)", "python-requests/2.32", "Terraform/1.9"];

pub(super) const FAILURES: [&str; 5] = [
    "Invalid credentials",
    "Insufficient permission: GOVERNANCE",
    "Statement timed out",
    "The object \"v2\" already exists",
    "Session expired",
];
