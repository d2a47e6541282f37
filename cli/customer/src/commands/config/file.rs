//! The JSON file that says what to export where.

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
        arn::{AccountId, KmsKeyArn, RoleArn},
        field_error::FieldError,
        input::{RawSettings, parse_access_key, parse_assumed_role, parse_interval},
        region::{Partition, Region},
    },
    interval::ExportInterval,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use zeroize::Zeroizing;

use crate::{failure::Failure, output, profile::is_open_to_others, secret::Secret};

/// Bytes. A file with every field at its longest has a tenth of it.
const MAX_FILE_LENGTH: u64 = 64 * 1_024;

/// Of 0 to 1, by Jaro and Winkler; clap suggests from 0.7 on.
const MIN_SIMILARITY: f64 = 0.8;

/// How a name that nobody knows may be shown: it could be a secret in the wrong place.
const MAX_SHOWN_NAME_LENGTH_CHARACTERS: usize = 30;

/// An account that can't exist: which one is the service's is not known offline.
const NO_ACCOUNT: &str = "000000000000";

/// What a file may say, by the names of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Field {
    Interval,
    BucketName,
    BucketPath,
    Region,
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
    pub const ALL: [Self; 13] = [
        Self::Interval,
        Self::BucketName,
        Self::BucketPath,
        Self::Region,
        Self::RoleArn,
        Self::AccessKeyId,
        Self::SecretAccessKey,
        Self::KmsKeyArn,
        Self::ExpectedBucketOwner,
        Self::Description,
        Self::StartFrom,
        Self::IdempotencyKey,
        Self::Version,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::BucketName => "bucketName",
            Self::BucketPath => "bucketPath",
            Self::Region => "region",
            Self::RoleArn => "roleArn",
            Self::AccessKeyId => "accessKeyId",
            Self::SecretAccessKey => "secretAccessKey",
            Self::KmsKeyArn => "kmsKeyArn",
            Self::ExpectedBucketOwner => "expectedBucketOwner",
            Self::Description => "description",
            Self::StartFrom => "startFrom",
            Self::IdempotencyKey => "idempotencyKey",
            Self::Version => "version",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// How an export proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    AccessKey,
    AssumedRole,
}

impl Kind {
    /// The API's name of a configuration's type.
    #[must_use]
    pub fn of_type(name: &str) -> Option<Self> {
        match name {
            "S3_ACCESS_KEY" => Some(Self::AccessKey),
            "S3_ASSUMED_ROLE" => Some(Self::AssumedRole),
            _ => None,
        }
    }

    fn is_field(self, field: Field) -> bool {
        match self {
            Self::AccessKey => matches!(field, Field::AccessKeyId | Field::SecretAccessKey),
            Self::AssumedRole => field == Field::RoleArn,
        }
    }
}

/// What is to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Create,
    Update,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Text(Secret),
    Number(u64),
    Flag(bool),
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// A value of JSON as far as a file may have one.
enum RawValue {
    Known(Value),
    /// True, a list, a negative number…
    Other,
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = RawValue;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a number or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
                Ok(RawValue::Known(Value::Text(Secret::new(Zeroizing::new(text.to_owned())))))
            }

            fn visit_u64<E>(self, number: u64) -> Result<RawValue, E> {
                Ok(RawValue::Known(Value::Number(number)))
            }

            fn visit_unit<E>(self) -> Result<RawValue, E> {
                Ok(RawValue::Known(Value::Null))
            }

            fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
                Ok(RawValue::Other)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<RawValue, A::Error> {
                while sequence.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(RawValue::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(RawValue::Other)
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}

/// The file's content. It may hold a secret, which is wiped when it is dropped.
#[derive(Clone, Debug, Default)]
pub struct ConfigurationFile {
    values: BTreeMap<Field, Value>,
}

/// What is wrong with a file, one line each. Values are never repeated.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => formatter.write_str(only),
            several => write!(formatter, "\n  {}", several.join("\n  ")),
        }
    }
}

impl Problems {
    fn one(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }

    /// As the failure of a command that was given `path`.
    pub fn at(self, path: &Path) -> Failure {
        Failure::InvalidFile { path: shown(path).to_owned(), reason: self.to_string() }
    }
}

fn shown(path: &Path) -> &Path {
    if path == Path::new("-") { Path::new("standard input") } else { path }
}

/// The entries of a JSON object in their order, those given twice included.
struct Entries(Vec<(Zeroizing<String>, RawValue)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, RawValue>()? {
                    entries.push((Zeroizing::new(name), value));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl ConfigurationFile {
    /// Reads `path`, or standard input for `-`. Warns of a secret that others can read too.
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
        if length.map_err(Failure::file(shown(path)))? as u64 > MAX_FILE_LENGTH {
            return Err(Problems::one(format!("has more than {MAX_FILE_LENGTH} bytes")).at(path));
        }
        let file = Self::parse(&text, purpose).map_err(|problems| problems.at(path))?;
        if is_open && file.text(Field::SecretAccessKey).is_some() {
            output::warn(&format!(
                "others on this machine can read the secret access key in {}; run: chmod 600 '{0}'",
                path.display()
            ));
        }
        Ok(file)
    }

    /// # Errors
    /// All that is wrong with its form.
    pub fn parse(text: &str, purpose: Purpose) -> Result<Self, Problems> {
        // The error of serde_json may repeat a value.
        let Entries(entries) = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            Problems::one(match error.classify() {
                serde_json::error::Category::Data => "has to hold one JSON object: { \"interval\": …, … }".to_owned(),
                _ => format!("is no JSON: the error is at line {}, column {}", error.line(), error.column()),
            })
        })?;
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in entries {
            let Some(field) = Field::parse(&name) else {
                problems.push(unknown_field(&name));
                continue;
            };
            let value = match (value, field) {
                (RawValue::Known(value @ (Value::Text(_) | Value::Null)), field) if field != Field::Version => value,
                (RawValue::Known(value @ Value::Number(_)), Field::Version) => value,
                (_, Field::Version) => {
                    problems.push("version: give a number, without quotes".to_owned());
                    continue;
                }
                _ => {
                    problems.push(format!("{}: give a text, in quotes", field.name()));
                    continue;
                }
            };
            let reason = match (purpose, field) {
                (Purpose::Create, Field::Version) => Some("only an update has it"),
                (Purpose::Update, Field::StartFrom) => Some("is decided when a configuration is created"),
                (Purpose::Update, Field::IdempotencyKey) => {
                    Some("only creating has it; version makes an update safe to repeat")
                }
                _ => None,
            };
            if let Some(reason) = reason {
                problems.push(format!("{}: {reason}", field.name()));
            } else if values.insert(field, value).is_some() {
                problems.push(format!("{}: is there twice", field.name()));
            }
        }
        if problems.is_empty() { Ok(Self { values }) } else { Err(Problems(problems)) }
    }

    /// The text of a field; an empty one counts as none.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.values.get(&field) {
            Some(Value::Text(text)) => Some(text.expose()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    pub fn set(&mut self, field: Field, value: Value) {
        self.values.insert(field, value);
    }

    /// How the export is to prove who it is, by the fields that are there. `None`: none of them is.
    ///
    /// # Errors
    /// Those of both kinds are there.
    pub fn kind(&self) -> Result<Option<Kind>, Problems> {
        let has = |kind: Kind| Field::ALL.into_iter().any(|field| kind.is_field(field) && self.text(field).is_some());
        match (has(Kind::AccessKey), has(Kind::AssumedRole)) {
            (true, true) => Err(Problems::one(
                "has both a role (roleArn) and an access key (accessKeyId, secretAccessKey): give the one that the \
                 export is to use; a role is the better choice, as it has no secret",
            )),
            (true, false) => Ok(Some(Kind::AccessKey)),
            (false, true) => Ok(Some(Kind::AssumedRole)),
            (false, false) => Ok(None),
        }
    }

    /// [`Self::kind`] of a configuration that is created, which has to be `expected` if one is.
    pub fn kind_to_create(&self, expected: Option<Kind>) -> Result<Kind, Problems> {
        let kind = self.kind()?;
        match (kind, expected) {
            (Some(Kind::AccessKey), Some(Kind::AssumedRole)) => {
                Err(Problems::one("has an access key, and no roleArn: this is a file for create:s3:accessKey"))
            }
            (Some(Kind::AssumedRole), Some(Kind::AccessKey)) => {
                Err(Problems::one("has a roleArn, and no access key: this is a file for create:s3:assumedRole"))
            }
            (Some(kind), _) => Ok(kind),
            (None, Some(Kind::AccessKey)) => Err(Problems::one("needs accessKeyId")),
            (None, Some(Kind::AssumedRole)) => Err(Problems::one("needs roleArn")),
            (None, None) => Err(Problems::one(
                "doesn't say how the export proves who it is: give roleArn (the better choice, as it has no secret), or \
                 accessKeyId and secretAccessKey",
            )),
        }
    }

    /// What the API is sent: the input of a mutation, without the fields of the other kind.
    #[must_use]
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

    /// Checks with the rules of the service what can be checked without it: not whether the role lies in the service's own
    /// account, nor whether the service is of the same partition.
    ///
    /// # Errors
    /// Every field that has to change.
    pub fn check(&self, kind: Kind, purpose: Purpose) -> Result<(), Problems> {
        let partition = (self.text(Field::Region).and_then(|text| Region::parse(text).ok()))
            .map(|region| region.partition())
            .or_else(|| {
                self.text(Field::RoleArn).and_then(|text| RoleArn::parse(text).ok()).map(|role| role.partition())
            })
            .unwrap_or(Partition::Commercial);
        let key_region =
            self.text(Field::KmsKeyArn).and_then(|text| KmsKeyArn::parse(text).ok()).map(|key| key.region().clone());
        // What an update leaves out stays, and is right: anything right stands for it.
        let or = |field: Field, kept: &str| match self.values.get(&field) {
            None if purpose == Purpose::Update => kept.to_owned(),
            _ => self.text(field).unwrap_or_default().to_owned(),
        };
        let interval = parse_interval(&or(Field::Interval, ExportInterval::Every24Hours.name()));
        let bucket_name = or(Field::BucketName, "example");
        let region = or(Field::Region, key_region.as_ref().map_or("us-east-1", Region::as_str));
        let settings = RawSettings {
            interval: interval.as_ref().copied().unwrap_or(ExportInterval::Every24Hours),
            bucket_name: &bucket_name,
            bucket_path: self.text(Field::BucketPath),
            region: &region,
            kms_key_arn: self.text(Field::KmsKeyArn),
            expected_bucket_owner: self.text(Field::ExpectedBucketOwner),
            description: self.text(Field::Description),
            start_from: self.text(Field::StartFrom),
            idempotency_key: self.text(Field::IdempotencyKey),
        };
        let (Ok(account), Ok(service_region)) = (AccountId::parse(NO_ACCOUNT), Region::parse("us-east-1")) else {
            return Err(Problems::one("can't be checked offline"));
        };
        let service = ServiceIdentity { account, partition, region: service_region };
        let outcome = match kind {
            Kind::AssumedRole => {
                let role = self.text(Field::RoleArn).unwrap_or_default();
                parse_assumed_role(&settings, role, &service).map(drop)
            }
            Kind::AccessKey => {
                let id = self.text(Field::AccessKeyId).unwrap_or_default();
                let secret = self.text(Field::SecretAccessKey).unwrap_or_default();
                parse_access_key(&settings, id, secret, &service).map(drop)
            }
        };
        // A secret that isn't in the file is asked for when it is sent.
        let is_left_out = |error: &FieldError| {
            Field::parse(error.field).is_some_and(|field| {
                (purpose == Purpose::Update || field == Field::SecretAccessKey) && !self.values.contains_key(&field)
            })
        };
        let errors: Vec<FieldError> = interval.err().into_iter().chain(outcome.err().unwrap_or_default()).collect();
        let problems: Vec<String> = errors
            .iter()
            .filter(|error| !is_left_out(error))
            .map(|error| format!("{}: {} ({})", error.field, error.message, error.code.name()))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

fn unknown_field(name: &str) -> String {
    let similarity = |field: &Field| strsim::jaro_winkler(&name.to_lowercase(), &field.name().to_lowercase());
    let nearest = Field::ALL.into_iter().max_by(|left, right| similarity(left).total_cmp(&similarity(right)));
    let name = terminal::text::printable(name);
    // A secret access key has 40 characters.
    let name = if name.chars().count() > MAX_SHOWN_NAME_LENGTH_CHARACTERS { "(a long name)" } else { &name };
    if let Some(field) = nearest.filter(|field| similarity(field) >= MIN_SIMILARITY) {
        format!("{name}: there is no such field; did you mean {}?", field.name())
    } else {
        let names = Field::ALL.map(Field::name).join(", ");
        format!("{name}: there is no such field; those that exist are {names}")
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
    fn the_kind_is_told_from_the_fields() {
        assert_eq!(parse(&role().to_string()).kind_to_create(None), Ok(Kind::AssumedRole));
        assert_eq!(parse(&access_key().to_string()).kind_to_create(None), Ok(Kind::AccessKey));
        // As the product's documentation has it: every field is there, and those that don't apply are empty.
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
        assert_eq!(refused(json!({}), Kind::AccessKey), "needs accessKeyId");
        assert_eq!(refused(json!({}), Kind::AssumedRole), "needs roleArn");
    }

    /// As they are printed.
    #[test]
    fn what_is_wrong_with_a_file() {
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
        let told: Vec<String> =
            cases.iter().map(|(what, text, purpose)| format!("{what}: {}", problems(text, *purpose))).collect();
        let told = told.join("\n\n");
        assert!(!told.contains(SECRET));
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_can_be_checked_offline_is_right() {
        for file in [role().to_string(), access_key().to_string(), with(role(), &json!({ "description": "Für uns" }))]
        {
            let file = parse(&file);
            file.check(file.kind_to_create(None).unwrap(), Purpose::Create).unwrap();
        }
        // The secret may still come from elsewhere.
        let mut key = access_key();
        key.as_object_mut().unwrap().remove("secretAccessKey");
        parse(&key.to_string()).check(Kind::AccessKey, Purpose::Create).unwrap();
        for update in [
            json!({}),
            json!({ "interval": "EVERY_4_HOURS", "version": 3 }),
            json!({ "bucketPath": null, "kmsKeyArn": null }),
            json!({ "roleArn": "arn:aws-cn:iam::222222222222:role/export" }),
            json!({ "kmsKeyArn": "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab" }),
        ] {
            let file = ConfigurationFile::parse(&update.to_string(), Purpose::Update).unwrap();
            file.check(file.kind().unwrap().unwrap_or(Kind::AssumedRole), Purpose::Update).unwrap();
        }
    }

    #[test]
    fn what_is_sent_is_what_the_file_says() {
        let sent = |file: serde_json::Value, kind, purpose| {
            let file = ConfigurationFile::parse(&file.to_string(), purpose).unwrap();
            serde_json::to_value(file.data(kind, purpose)).unwrap()
        };
        assert_eq!(sent(role(), Kind::AssumedRole, Purpose::Create), role());
        assert_eq!(sent(access_key(), Kind::AccessKey, Purpose::Create), access_key());
        let update = json!({ "bucketPath": null, "version": 4 });
        assert_eq!(sent(update.clone(), Kind::AssumedRole, Purpose::Update), update);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let file = parse(&access_key().to_string());
        assert!(!format!("{file:?} {:?}", file.data(Kind::AccessKey, Purpose::Create)).contains(SECRET));
    }
}
