//! The JSON file with the fields of an export configuration.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use domain::{
    configuration::{
        ServiceIdentity,
        access_key::AccessKeyId,
        arn::{AccountId, KmsKeyArn, RoleArn},
        field_error::FieldError,
        input::{RawAccessKey, RawSettings, parse_access_key, parse_assumed_role, parse_format, parse_interval},
        region::{Partition, Region},
    },
    customer_server::CustomerServers,
    event_filter::RawFilter,
    interval::ExportInterval,
    ocsf::{self, OcsfSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_with::{As, Map, Same};
use strum::VariantArray;
use zeroize::Zeroizing;

use super::suggestion::{hinted, misspelled_region, near_interval, near_region};
use crate::{failure::Failure, files::is_open_to_others, secret::Secret};

/// Bytes. A file with all fields at their longest has a tenth of that.
const MAX_FILE_LENGTH: u64 = 64 * 1_024;

/// The Jaro-Winkler similarity, from 0 to 1, of a suggestion. Clap uses 0.7.
const MIN_SIMILARITY: f64 = 0.8;

/// Longer unknown names are not shown, because they could be a misplaced secret.
const MAX_SHOWN_NAME_LENGTH_CHARACTERS: usize = 30;

/// An account that can't exist. The service's account is not known offline.
const NO_ACCOUNT: &str = "000000000000";

/// The error of a filter with another shape, or a misspelled name.
const FILTER_SHAPE: &str = "must be an object like {\"include\": {\"actions\": [\"DELETE*\"]}, \"exclude\": {\"actorTypes\": [\"SERVICE_ACTOR\"]}}; \
    include and exclude may have the lists actions, actorTypes and targetTypes";

/// The input field of an update that is stored even if its connection test fails.
pub const FORCE: &str = "force";

/// A field of the file, with the API's name.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Field {
    Interval,
    Format,
    Filter,
    Ocsf,
    BucketName,
    BucketPath,
    Region,
    EndpointUrl,
    RoleArn,
    AccessKeyId,
    SecretAccessKey,
    KmsKeyArn,
    ExpectedBucketOwner,
    Description,
    StartFrom,
    IdempotencyKey,
    Version,
}

impl Field {
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn parse(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// The authentication of an export to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    AccessKey,
    AssumedRole,
}

impl Kind {
    /// Parses the API's name of a type.
    pub fn of_type(name: &str) -> Option<Self> {
        match name {
            "S3_ACCESS_KEY" => Some(Self::AccessKey),
            "S3_ASSUMED_ROLE" => Some(Self::AssumedRole),
            _ => None,
        }
    }

    fn is_field(self, field: Field) -> bool {
        match self {
            Self::AccessKey => matches!(field, Field::EndpointUrl | Field::AccessKeyId | Field::SecretAccessKey),
            Self::AssumedRole => field == Field::RoleArn,
        }
    }
}

/// The use of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Create,
    Update,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Value {
    Null,
    Text(Secret),
    Filter(RawFilter),
    Number(u64),
    Flag(bool),
    Ocsf(ocsf::RawSettings),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Secret::new(text.into()))
    }
}

/// The file's content. Its secret is wiped on drop.
#[derive(Clone, Debug, Default)]
pub struct ConfigurationFile {
    values: BTreeMap<Field, Value>,
}

/// The problems of a file, one line each, without values.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => formatter.write_str(only),
            several => write!(formatter, "\n  {}", several.join("\n  ")),
        }
    }
}

impl Problems {
    pub fn one(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// Converts the problems to the failure of a command.
    pub fn at(self, path: &Path) -> Failure {
        Failure::InvalidFile { path: shown(path).to_owned(), reason: self.to_string() }
    }
}

fn shown(path: &Path) -> &Path {
    if path == Path::new("-") { Path::new("standard input") } else { path }
}

/// The entries of a JSON object in their order, including duplicates.
#[derive(Deserialize)]
struct Entries<'a>(#[serde(borrow, with = "As::<Map<Same, Same>>")] Vec<(Secret, &'a RawValue)>);

impl ConfigurationFile {
    /// Reads `path`, or standard input for `-`. Warns if others can read a secret in it.
    pub fn read(path: &Path, purpose: Purpose) -> Result<Self, Failure> {
        let mut text = Zeroizing::new(String::new());
        let mut is_open = false;
        let length = if path == Path::new("-") {
            io::stdin().lock().take(MAX_FILE_LENGTH + 1).read_to_string(&mut text)
        } else {
            File::open(path).and_then(|file| {
                let metadata = file.metadata()?;
                is_open = metadata.is_file() && is_open_to_others(&metadata);
                file.take(MAX_FILE_LENGTH + 1).read_to_string(&mut text)
            })
        };
        if length.map_err(Failure::text_file(shown(path)))? as u64 > MAX_FILE_LENGTH {
            return Err(Problems::one(format!("has more than {MAX_FILE_LENGTH} bytes")).at(path));
        }
        let file = Self::parse(&text, purpose).map_err(|problems| problems.at(path))?;
        if is_open && file.text(Field::SecretAccessKey).is_some() {
            terminal::warn(&format!(
                "other users can read the secret access key in {}; run: chmod 600 '{0}'",
                path.display()
            ));
        }
        Ok(file)
    }

    /// Parses the JSON text.
    pub fn parse(text: &str, purpose: Purpose) -> Result<Self, Problems> {
        // The error text of serde_json may contain a value.
        let Entries(entries) = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            Problems::one(match error.classify() {
                serde_json::error::Category::Data => "must be one JSON object: { \"interval\": …, … }".to_owned(),
                _ => format!("is not valid JSON: line {}, column {}", error.line(), error.column()),
            })
        })?;
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in entries {
            let inserted = parse_entry(name.expose(), value.get(), purpose).and_then(|(field, value)| {
                let earlier = values.insert(field, value);
                earlier.map_or(Ok(()), |_| Err(format!("{}: is given twice", field.name())))
            });
            problems.extend(inserted.err());
        }
        if problems.is_empty() { Ok(Self { values }) } else { Err(Problems(problems)) }
    }

    /// Returns the text of a field, unless it is empty.
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.values.get(&field) {
            Some(Value::Text(text)) => Some(text.expose()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Returns the filter, unless it is null.
    pub fn filter(&self) -> Option<&RawFilter> {
        match self.values.get(&Field::Filter) {
            Some(Value::Filter(filter)) => Some(filter),
            _ => None,
        }
    }

    /// Returns the choices of OCSF.
    pub fn ocsf(&self) -> Option<&ocsf::RawSettings> {
        match self.values.get(&Field::Ocsf) {
            Some(Value::Ocsf(choices)) => Some(choices),
            _ => None,
        }
    }

    pub fn set(&mut self, field: Field, value: Value) {
        self.values.insert(field, value);
    }

    /// Removes the fields of one kind of authentication.
    pub fn remove_kind(&mut self, kind: Kind) {
        self.values.retain(|field, _| !kind.is_field(*field));
    }

    /// Refuses a misspelled Region, which the service can't tell from a new one.
    pub fn check_region(&self) -> Result<(), Problems> {
        let problem = self.text(Field::Region).and_then(misspelled_region);
        problem.map_or(Ok(()), |problem| Err(Problems::one(format!("{}: {problem}", Field::Region.name()))))
    }

    /// Adds a suggestion to a line about a field.
    pub fn hinted(&self, line: &str) -> String {
        match line.trim_start().split_once(": ").and_then(|(name, _)| Field::parse(name)) {
            Some(field @ Field::Region) => hinted(line, self.text(field).and_then(near_region)),
            Some(field @ Field::Interval) => hinted(line, self.text(field).and_then(near_interval)),
            _ => line.to_owned(),
        }
    }

    /// Returns the authentication that the fields imply.
    pub fn kind(&self) -> Result<Option<Kind>, Problems> {
        let has = |kind: Kind| {
            Field::VARIANTS.iter().copied().any(|field| kind.is_field(field) && self.text(field).is_some())
        };
        match (has(Kind::AccessKey), has(Kind::AssumedRole)) {
            (true, true) => Err(Problems::one(
                "has both a role (roleArn) and an access key (accessKeyId, secretAccessKey, endpointUrl): give only one; a role \
                 is recommended, because it has no secret",
            )),
            (true, false) => Ok(Some(Kind::AccessKey)),
            (false, true) => Ok(Some(Kind::AssumedRole)),
            (false, false) => Ok(None),
        }
    }

    /// Returns the kind of a configuration to create, which must be the `expected` one.
    pub fn kind_to_create(&self, expected: Option<Kind>) -> Result<Kind, Problems> {
        let kind = self.kind()?;
        match (kind, expected) {
            (Some(Kind::AccessKey), Some(Kind::AssumedRole)) => {
                Err(Problems::one("has an access key and no roleArn: use create:s3:accessKey"))
            }
            (Some(Kind::AssumedRole), Some(Kind::AccessKey)) => {
                Err(Problems::one("has a roleArn and no access key: use create:s3:assumedRole"))
            }
            (Some(kind), _) => Ok(kind),
            (None, Some(Kind::AccessKey)) => Err(Problems::one("accessKeyId: Give a value for accessKeyId.")),
            (None, Some(Kind::AssumedRole)) => Err(Problems::one("roleArn: Give a value for roleArn.")),
            (None, None) => Err(Problems::one(
                "has no authentication: give roleArn (recommended, because it has no secret), or accessKeyId and \
                 secretAccessKey",
            )),
        }
    }

    /// Returns the input of a mutation, without the fields of the other kind.
    pub fn data(&self, kind: Kind, purpose: Purpose) -> BTreeMap<&'static str, Value> {
        let other = match kind {
            Kind::AccessKey => Kind::AssumedRole,
            Kind::AssumedRole => Kind::AccessKey,
        };
        let is_sent = |field: Field, value: &Value| {
            !other.is_field(field) && (purpose == Purpose::Update || !matches!(value, Value::Null))
        };
        let sent = self.values.iter().filter(|(field, value)| is_sent(**field, value));
        sent.map(|(field, value)| (field.name(), value.clone())).collect()
    }

    /// Checks the fields with the rules of the service. Its account and partition are not known offline.
    pub fn check(&self, kind: Kind, purpose: Purpose) -> Result<(), Problems> {
        let partition = (self.text(Field::Region).and_then(|text| Region::parse(text).ok()))
            .map(|region| region.partition())
            .or_else(|| {
                self.text(Field::RoleArn).and_then(|text| RoleArn::parse(text).ok()).map(|role| role.partition())
            })
            .unwrap_or(Partition::Commercial);
        let key_region =
            self.text(Field::KmsKeyArn).and_then(|text| KmsKeyArn::parse(text).ok()).map(|key| key.region().clone());
        // Whether an update is for a bucket on another server, only its fields can tell offline.
        let is_of_server = purpose == Purpose::Update
            && (self.text(Field::Region).is_some_and(|text| Region::parse(text).is_err())
                || self.text(Field::AccessKeyId).is_some_and(|text| AccessKeyId::parse_of_iam(text).is_err()));
        // An update keeps omitted fields, which are valid: any valid value represents them.
        let text = |field: Field| match field {
            _ if purpose == Purpose::Create || self.values.contains_key(&field) => self.text(field),
            Field::Interval => Some(ExportInterval::Every24Hours.name()),
            Field::BucketName => Some("example"),
            Field::Region => Some(key_region.as_ref().map_or("us-east-1", Region::as_str)),
            Field::EndpointUrl if is_of_server => Some("https://s3.example.com"),
            _ => None,
        };
        let (Ok(account), Ok(region)) = (AccountId::parse(NO_ACCOUNT), Region::parse("us-east-1")) else {
            return Err(Problems::one("can't be checked offline"));
        };
        // A missing secret is requested before sending.
        let is_left_out = |error: &FieldError| {
            Field::parse(error.field).is_some_and(|field| {
                (purpose == Purpose::Update || field == Field::SecretAccessKey) && !self.values.contains_key(&field)
            })
        };
        // The format of an update may be the configuration's, which is not known: only the choices themselves are checked.
        let (of_creation, of_update) = match purpose {
            Purpose::Create => (self.ocsf(), None),
            Purpose::Update => (None, self.ocsf()),
        };
        let of_ocsf = of_update.and_then(|choices| OcsfSettings::parse(choices).err()).unwrap_or_default();
        let service = ServiceIdentity { account, partition, region };
        let problems: Vec<String> = errors(kind, &service, self.filter(), of_creation, text)
            .iter()
            .chain(&of_ocsf)
            .filter(|error| !is_left_out(error))
            .map(|error| self.hinted(&format!("{}: {} ({})", error.field, error.message, error.code.name())))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

/// Checks the filter, the choices of OCSF, and the texts of the other fields, with the rules of `service`.
pub fn errors<'a>(
    kind: Kind,
    service: &ServiceIdentity,
    filter: Option<&RawFilter>,
    ocsf: Option<&ocsf::RawSettings>,
    text: impl Fn(Field) -> Option<&'a str>,
) -> Vec<FieldError> {
    let required = |field: Field| text(field).unwrap_or_default();
    let interval = parse_interval(required(Field::Interval));
    let format = text(Field::Format).map(parse_format).transpose();
    let settings = RawSettings {
        interval: interval.as_ref().copied().unwrap_or(ExportInterval::Every24Hours),
        format: format.as_ref().ok().copied().flatten(),
        filter,
        // Of an invalid format it is not known whether they suit it.
        ocsf: ocsf.filter(|_| format.is_ok()),
        bucket_name: required(Field::BucketName),
        bucket_path: text(Field::BucketPath),
        region: required(Field::Region),
        kms_key_arn: text(Field::KmsKeyArn),
        expected_bucket_owner: text(Field::ExpectedBucketOwner),
        description: text(Field::Description),
        start_from: text(Field::StartFrom),
        idempotency_key: text(Field::IdempotencyKey),
        webhooks: &[],
    };
    let servers = CustomerServers::Public;
    let outcome = match kind {
        Kind::AssumedRole => parse_assumed_role(&settings, required(Field::RoleArn), service, servers).map(drop),
        Kind::AccessKey => {
            let key = RawAccessKey {
                access_key_id: required(Field::AccessKeyId),
                secret_access_key: required(Field::SecretAccessKey),
                endpoint_url: text(Field::EndpointUrl),
            };
            parse_access_key(&settings, &key, service, servers).map(drop)
        }
    };
    interval.err().into_iter().chain(format.err()).chain(outcome.err().unwrap_or_default()).collect()
}

fn parse_entry(name: &str, json: &str, purpose: Purpose) -> Result<(Field, Value), String> {
    let field = Field::parse(name).ok_or_else(|| unknown_field(name))?;
    let problem = |reason: &str| format!("{}: {reason}", field.name());
    let value = if field == Field::Version {
        Value::Number(serde_json::from_str(json).map_err(|_| problem("must be a number, without quotes"))?)
    } else if field == Field::Filter {
        let filter: Option<RawFilter> = serde_json::from_str(json).map_err(|_| problem(FILTER_SHAPE))?;
        filter.map_or(Value::Null, Value::Filter)
    } else if field == Field::Ocsf {
        let choices: Option<ocsf::RawSettings> = serde_json::from_str(json).map_err(|_| {
            problem("must be an object with version and classes, each of these with action, class and, if wanted, targetType and activity")
        })?;
        choices.map_or(Value::Null, Value::Ocsf)
    } else {
        let text: Option<Secret> = serde_json::from_str(json).map_err(|_| problem("must be a string, in quotes"))?;
        text.map_or(Value::Null, Value::Text)
    };
    match (purpose, field) {
        (Purpose::Create, Field::Version) => Err(problem("is only for updates")),
        (Purpose::Update, Field::StartFrom) => Err(problem("can't be changed after creation")),
        (Purpose::Update, Field::IdempotencyKey) => {
            Err(problem("is only for creation; version makes an update safe to repeat"))
        }
        _ => Ok((field, value)),
    }
}

fn unknown_field(name: &str) -> String {
    let similarity = |field: &Field| strsim::jaro_winkler(&name.to_lowercase(), &field.name().to_lowercase());
    let nearest = Field::VARIANTS.iter().copied().max_by(|left, right| similarity(left).total_cmp(&similarity(right)));
    let name = terminal::text::printable(name);
    let name = if name.chars().count() > MAX_SHOWN_NAME_LENGTH_CHARACTERS { "(a long name)" } else { &name };
    if let Some(field) = nearest.filter(|field| similarity(field) >= MIN_SIMILARITY) {
        format!("{name}: unknown field; did you mean {}?", field.name())
    } else {
        let names = Field::VARIANTS.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        format!("{name}: unknown field; the known fields are {names}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn role() -> serde_json::Value {
        json!({
            "interval": "EVERY_24_HOURS",
            "bucketName": "acme-audit",
            "bucketPath": "logs",
            "region": "eu-west-1",
            "roleArn": "arn:aws:iam::222222222222:role/audit-export",
        })
    }

    fn access_key() -> serde_json::Value {
        json!({
            "interval": "EVERY_2_HOURS",
            "bucketName": "acme-audit",
            "region": "eu-west-1",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "secretAccessKey": SECRET,
        })
    }

    fn with(mut file: serde_json::Value, changes: &serde_json::Value) -> String {
        file.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        file.to_string()
    }

    fn parse(text: &str) -> ConfigurationFile {
        ConfigurationFile::parse(text, Purpose::Create).unwrap()
    }

    fn problems(text: &str, purpose: Purpose) -> String {
        let problems = ConfigurationFile::parse(text, purpose).and_then(|file| {
            let kind = match purpose {
                Purpose::Create => file.kind_to_create(None)?,
                Purpose::Update => file.kind()?.unwrap_or(Kind::AssumedRole),
            };
            file.check(kind, purpose)
        });
        problems.unwrap_err().to_string()
    }

    #[test]
    fn the_fields_decide_the_kind() {
        assert_eq!(parse(&role().to_string()).kind_to_create(None), Ok(Kind::AssumedRole));
        assert_eq!(parse(&access_key().to_string()).kind_to_create(None), Ok(Kind::AccessKey));
        // As in the Immuta CLI's documentation: all fields, and empty ones for the other kind.
        let empty = with(role(), &json!({ "accessKeyId": "", "secretAccessKey": null }));
        assert_eq!(parse(&empty).kind_to_create(Some(Kind::AssumedRole)), Ok(Kind::AssumedRole));
        let data = parse(&empty).data(Kind::AssumedRole, Purpose::Create);
        assert!(!data.contains_key("accessKeyId") && data.contains_key("roleArn"), "{data:?}");
    }

    #[test]
    fn a_file_of_the_other_kind_is_refused() {
        let refused = |file: serde_json::Value, expected| {
            parse(&file.to_string()).kind_to_create(Some(expected)).unwrap_err().to_string()
        };
        assert!(refused(role(), Kind::AccessKey).contains("create:s3:assumedRole"));
        assert!(refused(access_key(), Kind::AssumedRole).contains("create:s3:accessKey"));
        assert_eq!(refused(json!({}), Kind::AccessKey), "accessKeyId: Give a value for accessKeyId.");
        assert_eq!(refused(json!({}), Kind::AssumedRole), "roleArn: Give a value for roleArn.");
    }

    #[test]
    fn errors_of_a_file_are_named() {
        let both = with(role(), &json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE" }));
        let cases = [
            ("both kinds", both, Purpose::Create),
            ("no kind", json!({ "interval": "EVERY_24_HOURS" }).to_string(), Purpose::Create),
            ("a typing error", with(role(), &json!({ "buckeName": "a", "bucket_path": "b" })), Purpose::Create),
            ("an unknown field", with(role(), &json!({ "frequency": "daily" })), Purpose::Create),
            ("a secret as a name", with(role(), &json!({ SECRET: "a" })), Purpose::Create),
            ("numbers", with(role(), &json!({ "expectedBucketOwner": 222_222_222_222_u64 })), Purpose::Create),
            ("a version to create", with(role(), &json!({ "version": 1 })), Purpose::Create),
            ("no JSON", "{\n \"interval\": EVERY_24_HOURS".to_owned(), Purpose::Create),
            ("a list", "[]".to_owned(), Purpose::Create),
            ("a text", format!("\"{SECRET}\""), Purpose::Create),
            ("a filter that is a list", with(role(), &json!({ "filter": ["QUERY"] })), Purpose::Create),
            (
                "a misspelled list",
                with(role(), &json!({ "filter": { "include": { "action": ["A"] } } })),
                Purpose::Create,
            ),
            (
                "a filter without values",
                with(role(), &json!({ "filter": { "include": { "actions": [] } } })),
                Purpose::Create,
            ),
            (
                "a filter of an update",
                json!({ "filter": { "exclude": { "actions": ["*"] } } }).to_string(),
                Purpose::Update,
            ),
            ("a field twice", r#"{"region": "eu-west-1", "region": "eu-west-2"}"#.to_owned(), Purpose::Create),
            (
                "values",
                with(role(), &json!({ "interval": "DAILY", "bucketName": "Acme", "region": "", "startFrom": "x" })),
                Purpose::Create,
            ),
            ("another partition", with(role(), &json!({ "region": "cn-north-1" })), Purpose::Create),
            (
                "what can't be updated",
                json!({ "idempotencyKey": "a", "startFrom": "now" }).to_string(),
                Purpose::Update,
            ),
            ("an update", json!({ "interval": null, "kmsKeyArn": "alias/x" }).to_string(), Purpose::Update),
            ("a version in quotes", json!({ "version": "1" }).to_string(), Purpose::Update),
        ];
        let shown: Vec<String> =
            cases.iter().map(|(what, text, purpose)| format!("{what}: {}", problems(text, *purpose))).collect();
        let shown = shown.join("\n\n");
        assert!(!shown.contains(SECRET));
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn choices_of_ocsf_and_the_path_have_to_suit_the_format() {
        let choices = json!({ "version": "1.8.0" });
        let long = "p".repeat(400);
        for (changes, reason) in [
            (json!({ "ocsf": choices }), "(OCSF_CONFLICT)"),
            (json!({ "ocsf": choices, "format": "PARQUET" }), "(OCSF_CONFLICT)"),
            (json!({ "ocsf": choices, "format": "csv" }), "(FORMAT_INVALID)"),
            (json!({ "ocsf": { "version": "2" }, "format": "OCSF_PARQUET" }), "(OCSF_VERSION_INVALID)"),
            (json!({ "bucketPath": long, "format": "OCSF_PARQUET" }), "(BUCKET_PATH_INVALID)"),
        ] {
            let problems = problems(&with(role(), &changes), Purpose::Create);
            assert!(problems.ends_with(reason) && problems.lines().count() == 1, "{problems}");
        }
        let wrong = json!({ "ocsf": { "version": "2" } }).to_string();
        assert!(problems(&wrong, Purpose::Update).ends_with("(OCSF_VERSION_INVALID)"));
        let suits = parse(&with(role(), &json!({ "ocsf": choices, "format": "OCSF_PARQUET" })));
        suits.check(Kind::AssumedRole, Purpose::Create).unwrap();
        // The format may be the configuration's.
        for update in [json!({ "ocsf": choices }), json!({ "format": "OCSF_PARQUET" })] {
            let update = ConfigurationFile::parse(&update.to_string(), Purpose::Update).unwrap();
            update.check(Kind::AssumedRole, Purpose::Update).unwrap();
        }
    }

    #[test]
    fn a_valid_file_passes_the_offline_check() {
        for file in [role().to_string(), access_key().to_string(), with(role(), &json!({ "description": "Für uns" }))]
        {
            let file = parse(&file);
            file.check(file.kind_to_create(None).unwrap(), Purpose::Create).unwrap();
        }
        // The secret may come from another source.
        let mut key = access_key();
        key.as_object_mut().unwrap().remove("secretAccessKey");
        parse(&key.to_string()).check(Kind::AccessKey, Purpose::Create).unwrap();
        for update in [
            json!({}),
            json!({ "interval": "EVERY_4_HOURS", "version": 3 }),
            json!({ "filter": { "include": { "actions": ["DELETE*"] } } }),
            json!({ "filter": null }),
            json!({ "bucketPath": null, "kmsKeyArn": null }),
            json!({ "roleArn": "arn:aws-cn:iam::222222222222:role/export" }),
            json!({ "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab" }),
        ] {
            let file = ConfigurationFile::parse(&update.to_string(), Purpose::Update).unwrap();
            file.check(file.kind().unwrap().unwrap_or(Kind::AssumedRole), Purpose::Update).unwrap();
        }
    }

    #[test]
    fn the_fields_of_a_file_are_sent_unchanged() {
        let sent = |file: serde_json::Value, kind, purpose| {
            let file = ConfigurationFile::parse(&file.to_string(), purpose).unwrap();
            serde_json::to_value(file.data(kind, purpose)).unwrap()
        };
        assert_eq!(sent(role(), Kind::AssumedRole, Purpose::Create), role());
        let mut filtered = role();
        filtered["filter"] = json!({ "include": { "actions": ["B", "A*"] }, "exclude": { "actorTypes": ["C"] } });
        assert_eq!(sent(filtered.clone(), Kind::AssumedRole, Purpose::Create), filtered);
        assert_eq!(sent(access_key(), Kind::AccessKey, Purpose::Create), access_key());
        let update = json!({ "bucketPath": null, "filter": null, "version": 4 });
        assert_eq!(sent(update.clone(), Kind::AssumedRole, Purpose::Update), update);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let file = parse(&access_key().to_string());
        assert!(!format!("{file:?} {:?}", file.data(Kind::AccessKey, Purpose::Create)).contains(SECRET));
    }
}
