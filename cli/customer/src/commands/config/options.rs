//! The options that stand for fields of the JSON file.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use clap::Args;
use domain::{
    configuration::{
        access_key::AccessKeyId,
        arn::{AccountId, KmsKeyArn, RoleArn},
        bucket::{BucketName, BucketPath},
        description::Description,
        endpoint::EndpointUrl,
        field::{FILTER_EXCLUDE, FILTER_INCLUDE},
        field_error::ValueError,
        input::StartFrom,
        region::SigningRegion,
    },
    customer_server::CustomerServers,
    event_filter::{EventFilter, RawFilter, RawLists},
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{OwnRules, RawRule, RawSettings, Version, word},
};

use super::{
    file::{ConfigurationFile, Field, Kind, Problems, Purpose, Value},
    suggestion::{parse_format, parse_interval, parse_region},
};
use crate::failure::Failure;

/// The fields that a creation and an update have in common.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Fields of the export, which take precedence over those of FILE")]
pub struct FieldOptions {
    /// The time between two exports: 2h, 4h, 6h, 12h or 24h
    #[arg(long, value_parser = parse_interval)]
    interval: Option<ExportInterval>,

    /// The format of the files: `ndjson-gzip` (the default), `ndjson-zstd`, `parquet`, or `ocsf-parquet` for Security
    /// Lake
    #[arg(long, value_parser = parse_format)]
    format: Option<ExportFormat>,

    /// The version of OCSF of the format `ocsf-parquet`: 1.3.0 (the default) or 1.8.0. In an update, this and
    /// `--ocsf-class` replace all choices of OCSF: without `--ocsf-class` the export loses its rules
    #[arg(long, value_name = "VERSION", value_parser = ocsf_version)]
    ocsf_version: Option<String>,

    /// The class, and the activity, of the events of an action, for the format `ocsf-parquet`: for example
    /// `PUBLISH=ENTITY_MANAGEMENT:Update`; can be repeated, and replaces the rules of FILE. In an update, this and
    /// `--ocsf-version` replace all choices of OCSF: without `--ocsf-version` the version is the default
    #[arg(long = "ocsf-class", value_name = "ACTION=CLASS[:ACTIVITY]", value_parser = ocsf_class)]
    ocsf_classes: Vec<RawRule>,

    /// The bucket's name
    #[arg(long, value_name = "NAME", value_parser = bucket)]
    bucket: Option<String>,

    /// The prefix of all files in the bucket
    #[arg(long, value_parser = path)]
    path: Option<String>,

    /// The bucket's Region, for example eu-west-1; with `--endpoint-url` the one that the server expects in signatures
    #[arg(long, value_parser = region)]
    region: Option<String>,

    /// The S3 server that the bucket is on, if it is not AWS's; with `--access-key-id`
    #[arg(long, value_name = "URL", value_parser = endpoint, conflicts_with = "role_arn")]
    endpoint_url: Option<String>,

    /// The role in your account that the service assumes (recommended: there is no secret)
    #[arg(long, value_name = "ARN", value_parser = role)]
    role_arn: Option<String>,

    /// The access key of an IAM user, instead of a role; `--secret-file` has its secret
    #[arg(long, value_name = "KEY-ID", value_parser = access_key, conflicts_with = "role_arn")]
    access_key_id: Option<String>,

    /// The KMS key that encrypts the files
    #[arg(long, value_name = "ARN", value_parser = kms_key)]
    kms_key_arn: Option<String>,

    /// The account that the bucket must belong to
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    owner: Option<String>,

    /// A text for people
    #[arg(long, value_name = "TEXT", value_parser = description)]
    description: Option<String>,

    #[command(flatten)]
    filter: FilterOptions,
}

/// The lists of the filter. A list that is given replaces the whole filter of the file.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter of the export, which takes precedence over that of FILE")]
struct FilterOptions {
    /// Export only events with this `action`, or with this beginning of it: `'DELETE*'`; repeatable
    #[arg(long, value_name = "ACTION", value_parser = filter_value)]
    include_action: Vec<String>,

    /// Export only events whose `actor` has this `type`; repeatable
    #[arg(long, value_name = "TYPE", value_parser = filter_value)]
    include_actor_type: Vec<String>,

    /// Export only events with this `targetType`; repeatable
    #[arg(long, value_name = "TYPE", value_parser = filter_value)]
    include_target_type: Vec<String>,

    /// Leave out events with this `action`; repeatable
    #[arg(long, value_name = "ACTION", value_parser = filter_value)]
    exclude_action: Vec<String>,

    /// Leave out events whose `actor` has this `type`; repeatable
    #[arg(long, value_name = "TYPE", value_parser = filter_value)]
    exclude_actor_type: Vec<String>,

    /// Leave out events with this `targetType`; repeatable
    #[arg(long, value_name = "TYPE", value_parser = filter_value)]
    exclude_target_type: Vec<String>,
}

/// The names of the options of [`FilterOptions`], as clap has them.
pub const FILTER_OPTIONS: [&str; 6] = [
    "include_action",
    "include_actor_type",
    "include_target_type",
    "exclude_action",
    "exclude_actor_type",
    "exclude_target_type",
];

/// The field that only a creation has.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Fields of the export, which take precedence over those of FILE")]
pub struct StartOption {
    /// The first events to export: `now` (the default), `earliest`, or a time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = start_from)]
    start_from: Option<String>,
}

/// The file and the options together.
#[derive(Debug)]
pub struct Fields<'a> {
    pub values: ConfigurationFile,
    file: Option<&'a Path>,
    /// The fields that options gave.
    given: Vec<Field>,
}

impl FilterOptions {
    /// Returns the filter. `None`: no option is given.
    fn filter(&self) -> Option<RawFilter> {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        let side = |actions: &[String], actor_types: &[String], target_types: &[String]| {
            let lists =
                RawLists { actions: list(actions), actor_types: list(actor_types), target_types: list(target_types) };
            (lists != RawLists::default()).then_some(lists)
        };
        let filter = RawFilter {
            include: side(&self.include_action, &self.include_actor_type, &self.include_target_type),
            exclude: side(&self.exclude_action, &self.exclude_actor_type, &self.exclude_target_type),
        };
        (filter != RawFilter::default()).then_some(filter)
    }
}

impl FieldOptions {
    /// Returns the choices of the file with those of the options.
    fn ocsf(&self, of_file: Option<&RawSettings>) -> Option<RawSettings> {
        if self.ocsf_version.is_none() && self.ocsf_classes.is_empty() {
            return None;
        }
        let mut choices = of_file.cloned().unwrap_or_default();
        if let Some(version) = &self.ocsf_version {
            choices.version = Some(version.clone());
        }
        if !self.ocsf_classes.is_empty() {
            choices.classes = Some(self.ocsf_classes.clone());
        }
        Some(choices)
    }

    fn all(&self) -> [(Field, Option<&str>); 11] {
        [
            (Field::Interval, self.interval.map(ExportInterval::name)),
            (Field::Format, self.format.map(ExportFormat::name)),
            (Field::BucketName, self.bucket.as_deref()),
            (Field::BucketPath, self.path.as_deref()),
            (Field::Region, self.region.as_deref()),
            (Field::EndpointUrl, self.endpoint_url.as_deref()),
            (Field::RoleArn, self.role_arn.as_deref()),
            (Field::AccessKeyId, self.access_key_id.as_deref()),
            (Field::KmsKeyArn, self.kms_key_arn.as_deref()),
            (Field::ExpectedBucketOwner, self.owner.as_deref()),
            (Field::Description, self.description.as_deref()),
        ]
    }
}

impl<'a> Fields<'a> {
    /// Reads the file, if there is one, and sets the fields of the options. They take precedence: a role replaces the file's
    /// access key, and an access key its role. An empty text clears an optional field.
    pub fn read(
        file: Option<&'a PathBuf>,
        options: &FieldOptions,
        start: Option<&StartOption>,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let mut values = match file {
            Some(path) => ConfigurationFile::read(path, purpose)?,
            None => ConfigurationFile::default(),
        };
        let start = start.and_then(|start| start.start_from.as_deref());
        let mut given = Vec::new();
        for (field, text) in options.all().into_iter().chain([(Field::StartFrom, start)]) {
            let Some(text) = text else { continue };
            match field {
                Field::RoleArn => values.remove_kind(Kind::AccessKey),
                Field::AccessKeyId | Field::EndpointUrl => values.remove_kind(Kind::AssumedRole),
                _ => {}
            }
            values.set(field, if text.is_empty() { Value::Null } else { Value::text(text) });
            given.push(field);
        }
        if let Some(filter) = options.filter.filter() {
            values.set(Field::Filter, Value::Filter(filter));
            given.push(Field::Filter);
        }
        if let Some(choices) = options.ocsf(values.ocsf()) {
            values.set(Field::Ocsf, Value::Ocsf(choices));
            given.push(Field::Ocsf);
        }
        if let (Some(region), false) = (&options.region, values.text(Field::EndpointUrl).is_some()) {
            parse_region(region).map_err(|reason| Failure::argument(option(Field::Region), reason))?;
        }
        let fields = Self { values, file: file.map(PathBuf::as_path), given };
        fields.values.check_region().map_err(|problems| fields.failure(problems))?;
        Ok(fields)
    }

    /// Clears an optional field, because an option asks for it.
    pub fn clear(&mut self, field: Field) {
        self.values.set(field, Value::Null);
        self.given.push(field);
    }

    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.given.is_empty()
    }

    /// Converts problems to the failure of a command, which names the file, or else the options.
    pub fn failure(&self, Problems(problems): Problems) -> Failure {
        let problems = Problems(problems.iter().map(|problem| self.in_options(problem)).collect());
        match self.file {
            Some(path) => problems.at(path),
            None => Failure::argument("the options", problems),
        }
    }

    /// Names the options instead of fields in the reason of a refusal, and suggests what may be meant.
    pub fn explained(&self, failure: Failure) -> Failure {
        match failure {
            Failure::InvalidInput { what, reason } => {
                let lines: Vec<String> =
                    reason.lines().map(|line| self.in_options(&self.values.hinted(line))).collect();
                Failure::InvalidInput { what, reason: lines.join("\n") }
            }
            other => other,
        }
    }

    /// Replaces the field that a line begins with by its option, if an option gave it or there is no file.
    fn in_options(&self, line: &str) -> String {
        let text = line.trim_start();
        let indent = line.get(..line.len() - text.len()).unwrap_or_default();
        let named = text.split_once(": ").and_then(|(name, rest)| Some((field_and_option(name)?, rest)));
        match named {
            Some(((field, option), rest)) if self.file.is_none() || self.given.contains(&field) => {
                let rest = rest.replace(&format!("Give a value for {}.", field.name()), "Give a value.");
                format!("{indent}{option}: {rest}")
            }
            _ => line.to_owned(),
        }
    }
}

/// Returns the field with a name of the API, which may be a list of the filter, and the option for it.
fn field_and_option(name: &str) -> Option<(Field, Cow<'static, str>)> {
    let mut lists = FILTER_INCLUDE.into_iter().chain(FILTER_EXCLUDE).zip(FILTER_OPTIONS);
    if let Some((_, id)) = lists.find(|(list, _)| *list == name) {
        return Some((Field::Filter, format!("--{}", id.replace('_', "-")).into()));
    }
    let field = name.parse().ok()?;
    Some((field, option(field).into()))
}

/// Returns the option for a field.
fn option(field: Field) -> &'static str {
    match field {
        Field::Interval => "--interval",
        Field::Format => "--format",
        Field::Filter => "the options of the filter",
        Field::Ocsf => "--ocsf-class",
        Field::BucketName => "--bucket",
        Field::BucketPath => "--path",
        Field::Region => "--region",
        Field::EndpointUrl => "--endpoint-url",
        Field::RoleArn => "--role-arn",
        Field::AccessKeyId => "--access-key-id",
        Field::SecretAccessKey => "--secret-file",
        Field::KmsKeyArn => "--kms-key-arn",
        Field::ExpectedBucketOwner => "--owner",
        Field::Description => "--description",
        Field::StartFrom => "--start-from",
        Field::IdempotencyKey => "--idempotency-key",
        Field::Version => "--expect-version",
    }
}

fn checked<T>(text: &str, parsed: Result<T, ValueError>) -> Result<String, &'static str> {
    parsed.map(|_| text.to_owned()).map_err(|error| error.rule)
}

/// Accepts an empty text too, which clears the field.
fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T, ValueError>) -> Result<String, &'static str> {
    if text.is_empty() { Ok(String::new()) } else { checked(text, parse(text)) }
}

fn filter_value(text: &str) -> Result<String, String> {
    let include = Some(RawLists { actions: Some(vec![text.to_owned()]), ..RawLists::default() });
    match EventFilter::parse(&RawFilter { include, exclude: None }) {
        Ok(_) => Ok(text.to_owned()),
        Err(errors) => Err(errors.into_iter().map(|error| error.message).collect()),
    }
}

fn bucket(text: &str) -> Result<String, &'static str> {
    checked(text, BucketName::parse(text))
}

fn path(text: &str) -> Result<String, &'static str> {
    optional(text, BucketPath::parse)
}

/// Accepts every region that one of AWS's Regions or another server may have: which of them, the other fields decide.
fn region(text: &str) -> Result<String, &'static str> {
    checked(text, SigningRegion::parse(text))
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    optional(text, |text| EndpointUrl::parse_for(CustomerServers::Public, text))
}

fn role(text: &str) -> Result<String, &'static str> {
    checked(text, RoleArn::parse(text))
}

fn access_key(text: &str) -> Result<String, &'static str> {
    checked(text, AccessKeyId::parse(text))
}

fn kms_key(text: &str) -> Result<String, &'static str> {
    optional(text, KmsKeyArn::parse)
}

fn account(text: &str) -> Result<String, &'static str> {
    optional(text, AccountId::parse)
}

fn description(text: &str) -> Result<String, &'static str> {
    optional(text, Description::parse)
}

fn ocsf_version(text: &str) -> Result<String, String> {
    let names = || Version::ALL.iter().map(|version| version.name()).collect::<Vec<_>>().join(" or ");
    Version::parse(text).map(|version| version.to_string()).ok_or_else(|| format!("the version is {}", names()))
}

/// Parses `ACTION=CLASS[:ACTIVITY]`, with the class in lower case and with hyphens too.
fn ocsf_class(text: &str) -> Result<RawRule, String> {
    let form = || "give ACTION=CLASS or ACTION=CLASS:ACTIVITY".to_owned();
    let (action, class) = text.rsplit_once('=').ok_or_else(form)?;
    let (class, activity) = match class.split_once(':') {
        Some((class, activity)) => (class, Some(activity.to_owned())),
        None => (class, None),
    };
    let rule = RawRule { action: action.to_owned(), target_type: None, class: word(class), activity };
    match OwnRules::parse(std::slice::from_ref(&rule)) {
        Ok(_) => Ok(rule),
        Err(errors) => Err(errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join(" ")),
    }
}

fn start_from(text: &str) -> Result<String, &'static str> {
    checked(text, StartFrom::parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_an_action_is_parsed_in_any_spelling_of_the_class() {
        let rule = |text| ocsf_class(text).map(|rule| (rule.action, rule.class, rule.activity));
        let update = Some("Update".to_owned());
        let publish = ("publish".to_owned(), "ENTITY_MANAGEMENT".to_owned(), update);
        assert_eq!(rule("publish=entity-management:Update"), Ok(publish));
        assert_eq!(rule("a=b=API_ACTIVITY"), Ok(("a=b".to_owned(), "API_ACTIVITY".to_owned(), None)));
        for (text, reason) in [
            ("publish", "give ACTION=CLASS or ACTION=CLASS:ACTIVITY"),
            ("a=files", "Rule 1: the class must be one of"),
            ("a=API_ACTIVITY:Logon", "Rule 1: the activity of API_ACTIVITY must be one of"),
            ("=API_ACTIVITY", "Rule 1: an action or a target type has 1 to 128"),
        ] {
            let error = rule(text).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
        assert_eq!(ocsf_version("1.8.0"), Ok("1.8.0".to_owned()));
        assert_eq!(ocsf_version("1.9.0"), Err("the version is 1.3.0 or 1.8.0".to_owned()));
    }

    #[test]
    fn options_replace_what_they_name_in_the_choices_of_a_file() {
        let rule = |text| ocsf_class(text).unwrap();
        let of_file = RawSettings { version: None, classes: Some(vec![rule("a=API_ACTIVITY")]) };
        let version = FieldOptions { ocsf_version: Some("1.8.0".to_owned()), ..FieldOptions::default() };
        let both = version.ocsf(Some(&of_file)).unwrap();
        assert_eq!((both.version.as_deref(), both.classes), (Some("1.8.0"), of_file.classes.clone()));
        let class = FieldOptions { ocsf_classes: vec![rule("b=API_ACTIVITY")], ..FieldOptions::default() };
        assert_eq!(class.ocsf(Some(&of_file)).unwrap().classes.unwrap()[0].action, "b");
        assert_eq!(FieldOptions::default().ocsf(Some(&of_file)), None);
    }
}
