//! Parsing the fields of a new configuration. All fields are parsed, and all errors are returned together.

use super::{
    access_key::{AccessKeyId, SecretAccessKey},
    arn::{AccountId, KmsKeyArn, RoleArn},
    bucket::{BucketName, BucketPath},
    description::Description,
    destination::{Destination, Layout},
    endpoint::EndpointUrl,
    field,
    field_error::{FieldError, FieldErrorCode, ValueError},
    region::{Region, SigningRegion},
    service_identity::ServiceIdentity,
    site::{S3Server, Site},
};
use crate::{
    customer_server::CustomerServers,
    event_filter::{EventFilter, RawFilter},
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{self, OcsfSettings},
    time::Timestamp,
    webhook::{
        Webhook,
        input::{NewWebhook, RawWebhook, parse_webhooks},
    },
};

/// The unparsed fields that both kinds of configuration have.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it may hold secrets of webhooks")]
pub struct RawSettings<'a> {
    pub interval: ExportInterval,
    /// `None`: the default.
    pub format: Option<ExportFormat>,
    /// `None`: all events.
    pub filter: Option<&'a RawFilter>,
    /// `None`: the defaults.
    pub ocsf: Option<&'a ocsf::RawSettings>,
    pub bucket_name: &'a str,
    pub bucket_path: Option<&'a str>,
    pub region: &'a str,
    pub kms_key_arn: Option<&'a str>,
    pub expected_bucket_owner: Option<&'a str>,
    pub description: Option<&'a str>,
    pub start_from: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    pub webhooks: &'a [RawWebhook<'a>],
}

/// The unparsed fields of a configuration with an access key.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct RawAccessKey<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    /// `None`: the bucket is in AWS.
    pub endpoint_url: Option<&'a str>,
}

/// The parsed fields that both kinds of configuration have.
#[derive(Clone, Debug)]
pub struct Settings {
    pub description: Option<Description>,
    pub interval: ExportInterval,
    pub format: ExportFormat,
    pub filter: Option<EventFilter>,
    pub ocsf: Option<OcsfSettings>,
    pub destination: Destination,
    pub start_from: StartFrom,
    pub idempotency_key: Option<IdempotencyKey>,
    pub webhooks: Vec<NewWebhook>,
}

/// The receipt time of the first event to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// The creation of the configuration.
    Now,
    /// The receipt of the oldest event that is still stored.
    Earliest,
    At(Timestamp),
}

impl StartFrom {
    /// # Errors
    /// `START_FROM_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        match text {
            "now" => Ok(Self::Now),
            "earliest" => Ok(Self::Earliest),
            time => Timestamp::parse(time).map(Self::At).map_err(|_| {
                ValueError::new(
                    FieldErrorCode::StartFromInvalid,
                    "Give \"now\", \"earliest\", or a time as in RFC 3339, for example 2026-01-31T00:00:00Z.",
                )
            }),
        }
    }

    /// Returns the receipt time for a configuration that is created at `now`.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::Earliest => Timestamp::EPOCH,
            Self::At(time) => time,
        }
    }
}

/// The longest key of a creation, in characters.
pub const MAX_IDEMPOTENCY_KEY_LENGTH: usize = 128;

/// A key that makes a creation safe to repeat: 1 to [`MAX_IDEMPOTENCY_KEY_LENGTH`] printable ASCII characters. The same key
/// returns the same configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// # Errors
    /// `IDEMPOTENCY_KEY_INVALID`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if (1..=MAX_IDEMPOTENCY_KEY_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                FieldErrorCode::IdempotencyKeyInvalid,
                "An idempotency key has 1 to 128 printable ASCII characters without spaces; a UUID is a good one.",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The errors of the fields parsed so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    pub(super) fn required<T>(
        &mut self,
        field: &'static str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        if text.is_empty() { self.missing(field) } else { self.optional(field, Some(text), parse) }
    }

    pub(super) fn optional<T>(
        &mut self,
        field: &'static str,
        text: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        parse(text?).map_err(|error| self.errors.push(error.at(field))).ok()
    }

    /// Notes that a required field has no value.
    pub(super) fn missing<T>(&mut self, field: &'static str) -> Option<T> {
        self.errors.push(FieldError::missing(field));
        None
    }

    fn refuse(&mut self, field: &'static str, code: FieldErrorCode, message: String) {
        self.errors.push(FieldError { field, code, message });
    }

    /// Parses a filter. `None` also if it has errors, which are noted.
    pub(super) fn filter(&mut self, raw: &RawFilter) -> Option<EventFilter> {
        EventFilter::parse(raw).map_err(|errors| self.errors.extend(errors)).ok()
    }

    fn settings<'a>(
        &mut self,
        raw: &RawSettings<'a>,
        endpoint_url: Option<&str>,
        service: &ServiceIdentity,
        servers: CustomerServers,
    ) -> Option<Settings> {
        // Forms send an empty path or description for none.
        let given = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
        let filter = raw.filter.and_then(|raw| self.filter(raw));
        let bucket_name = self.required(field::BUCKET_NAME, raw.bucket_name, BucketName::parse);
        let bucket_path = self.optional(field::BUCKET_PATH, given(raw.bucket_path), BucketPath::parse);
        let site = self.site(endpoint_url, raw.region, servers);
        let kms_key_arn = self.optional(field::KMS_KEY_ARN, raw.kms_key_arn, KmsKeyArn::parse);
        let expected_bucket_owner =
            self.optional(field::EXPECTED_BUCKET_OWNER, raw.expected_bucket_owner, AccountId::parse);
        let description = self.optional(field::DESCRIPTION, given(raw.description), Description::parse);
        let start_from = self.optional(field::START_FROM, raw.start_from, StartFrom::parse);
        let idempotency_key = self.optional(field::IDEMPOTENCY_KEY, raw.idempotency_key, IdempotencyKey::parse);

        let webhooks = self.webhooks(servers, &[], raw.webhooks);
        let format = raw.format.unwrap_or_default();
        let ocsf = self.ocsf(format, raw.ocsf);
        self.check_layout(format, bucket_path.as_ref());

        if endpoint_url.is_some() {
            self.refuse_fields_of_aws(raw.kms_key_arn.is_some(), raw.expected_bucket_owner.is_some());
        }
        self.check_site(site.as_ref(), kms_key_arn.as_ref(), service);
        Some(Settings {
            description,
            interval: raw.interval,
            format,
            filter,
            ocsf,
            destination: Destination {
                bucket_name: bucket_name?,
                bucket_path,
                site: site?,
                kms_key_arn,
                expected_bucket_owner,
                layout: Layout::of(format),
            },
            start_from: start_from.unwrap_or(StartFrom::Now),
            idempotency_key,
            webhooks,
        })
    }

    /// Checks that a path suits the layout of a format.
    pub(super) fn check_layout(&mut self, format: ExportFormat, path: Option<&BucketPath>) {
        self.errors.extend(Layout::of(format).check_path(path).err());
    }

    /// Parses the choices of OCSF. `None`: the defaults, also if they are given, or errors.
    pub(super) fn ocsf(&mut self, format: ExportFormat, raw: Option<&ocsf::RawSettings>) -> Option<OcsfSettings> {
        let raw = raw?;
        if format != ExportFormat::OcsfParquet {
            let message = format!("{} is for the format {}.", field::OCSF, ExportFormat::OcsfParquet);
            self.refuse(field::OCSF, FieldErrorCode::OcsfConflict, message);
            return None;
        }
        let choices = OcsfSettings::parse(raw).map_err(|errors| self.errors.extend(errors)).ok();
        choices.filter(|choices| *choices != OcsfSettings::default())
    }

    /// Parses the list that replaces `current`.
    pub(super) fn webhooks(
        &mut self,
        servers: CustomerServers,
        current: &[Webhook],
        raw: &[RawWebhook<'_>],
    ) -> Vec<NewWebhook> {
        let (webhooks, errors) = parse_webhooks(servers, current, raw);
        self.errors.extend(errors);
        webhooks
    }

    /// Parses the place of a bucket. Without an endpoint it is a Region of AWS.
    pub(super) fn site(&mut self, endpoint_url: Option<&str>, region: &str, servers: CustomerServers) -> Option<Site> {
        let Some(url) = endpoint_url else {
            return self.required(field::REGION, region, Region::parse).map(Site::Aws);
        };
        let region = self.required(field::REGION, region, SigningRegion::parse);
        let endpoint = self.required(field::ENDPOINT_URL, url, |url| EndpointUrl::parse_for(servers, url));
        Some(Site::Server(S3Server { endpoint: endpoint?, region: region? }))
    }

    /// Refuses the fields that only AWS knows, for a bucket on another server.
    pub(super) fn refuse_fields_of_aws(&mut self, has_kms_key: bool, has_owner: bool) {
        for (field, is_given) in [(field::KMS_KEY_ARN, has_kms_key), (field::EXPECTED_BUCKET_OWNER, has_owner)] {
            if is_given {
                let message =
                    format!("{field} is for buckets in AWS. It can't be combined with {}.", field::ENDPOINT_URL);
                self.refuse(field, FieldErrorCode::EndpointConflict, message);
            }
        }
    }

    /// Checks that a Region is in the service's partition, and the KMS key in the Region.
    pub(super) fn check_site(
        &mut self,
        site: Option<&Site>,
        kms_key_arn: Option<&KmsKeyArn>,
        service: &ServiceIdentity,
    ) {
        let Some(Site::Aws(region)) = site else { return };
        if region.partition() != service.partition {
            self.refuse(
                field::REGION,
                FieldErrorCode::RegionPartitionMismatch,
                format!(
                    "The Region is in partition {}, and the service in {}. Choose a bucket in {}.",
                    region.partition(),
                    service.partition,
                    service.partition
                ),
            );
        }
        if kms_key_arn.is_some_and(|key| key.region() != region || key.partition() != region.partition()) {
            self.refuse(
                field::KMS_KEY_ARN,
                FieldErrorCode::KmsKeyRegionMismatch,
                format!("S3 encrypts only with keys of the bucket's Region. Give a key in {region}."),
            );
        }
    }

    pub(super) fn check_role(&mut self, role: Option<&RoleArn>, service: &ServiceIdentity) {
        let Some(role) = role else { return };
        if role.partition() != service.partition {
            self.refuse(
                field::ROLE_ARN,
                FieldErrorCode::RolePartitionMismatch,
                format!(
                    "The role is in partition {}, and the service in {}. Roles can't be assumed across partitions.",
                    role.partition(),
                    service.partition
                ),
            );
        }
        if role.account() == &service.account {
            self.refuse(
                field::ROLE_ARN,
                FieldErrorCode::RoleInServiceAccount,
                "The role is in the service's account. Give a role in your own account.".to_owned(),
            );
        }
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(self.errors),
        }
    }
}

/// Parses a new configuration that assumes a role.
///
/// # Errors
/// Every field that has to change.
pub fn parse_assumed_role(
    settings: &RawSettings<'_>,
    role_arn: &str,
    service: &ServiceIdentity,
    servers: CustomerServers,
) -> Result<(Settings, RoleArn), Vec<FieldError>> {
    let mut fields = Fields::default();
    let settings = fields.settings(settings, None, service, servers);
    let role_arn = fields.required(field::ROLE_ARN, role_arn, RoleArn::parse);
    fields.check_role(role_arn.as_ref(), service);
    fields.finish(settings.zip(role_arn))
}

/// Parses a new configuration that uses an access key.
///
/// # Errors
/// Every field that has to change.
pub fn parse_access_key(
    settings: &RawSettings<'_>,
    access_key: &RawAccessKey<'_>,
    service: &ServiceIdentity,
    servers: CustomerServers,
) -> Result<(Settings, AccessKeyId, SecretAccessKey), Vec<FieldError>> {
    let mut fields = Fields::default();
    // Forms send an empty text for none.
    let endpoint_url = access_key.endpoint_url.filter(|url| !url.is_empty());
    let settings = fields.settings(settings, endpoint_url, service, servers);
    let rules = AccessKeyRules::of(endpoint_url.is_some());
    let access_key_id = fields.required(field::ACCESS_KEY_ID, access_key.access_key_id, rules.id);
    let secret = fields.required(field::SECRET_ACCESS_KEY, access_key.secret_access_key, rules.secret);
    let all = settings.zip(access_key_id).zip(secret).map(|((settings, id), secret)| (settings, id, secret));
    fields.finish(all)
}

/// The parsers of an access key: of IAM, or of another server.
#[derive(Clone, Copy)]
pub(super) struct AccessKeyRules {
    pub(super) id: fn(&str) -> Result<AccessKeyId, ValueError>,
    pub(super) secret: fn(&str) -> Result<SecretAccessKey, ValueError>,
}

impl AccessKeyRules {
    pub(super) fn of(is_on_server: bool) -> Self {
        if is_on_server {
            Self { id: AccessKeyId::parse, secret: SecretAccessKey::parse }
        } else {
            Self { id: AccessKeyId::parse_of_iam, secret: SecretAccessKey::parse_of_iam }
        }
    }
}

/// Parses an interval that comes as a text: from a configuration file or a terminal.
///
/// # Errors
/// `REQUIRED` or `INTERVAL_INVALID`.
pub fn parse_interval(text: &str) -> Result<ExportInterval, FieldError> {
    if text.is_empty() {
        return Err(FieldError::missing(field::INTERVAL));
    }
    let error = ValueError::new(
        FieldErrorCode::IntervalInvalid,
        "Choose one of EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS and EVERY_24_HOURS.",
    );
    ExportInterval::parse(text).ok_or_else(|| error.at(field::INTERVAL))
}

/// Parses a format that comes as a text: from a configuration file or a terminal.
///
/// # Errors
/// `REQUIRED` or `FORMAT_INVALID`. The message names the nearest format, and never repeats the text.
pub fn parse_format(text: &str) -> Result<ExportFormat, FieldError> {
    if text.is_empty() {
        return Err(FieldError::missing(field::FORMAT));
    }
    ExportFormat::parse(text).ok_or_else(|| {
        let names: Vec<_> = ExportFormat::ALL.iter().map(|format| format.name()).collect();
        let near = ExportFormat::near(text).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        let message = format!("Choose one of {}.{near}", names.join(", "));
        FieldError { field: field::FORMAT, code: FieldErrorCode::FormatInvalid, message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{
        destination::MAX_LAKE_PATH_LENGTH,
        test_support::{SECRET, service},
    };

    fn valid() -> RawSettings<'static> {
        RawSettings {
            interval: ExportInterval::Every24Hours,
            format: None,
            filter: None,
            ocsf: None,
            bucket_name: "acme-audit",
            bucket_path: None,
            region: "eu-west-1",
            kms_key_arn: None,
            expected_bucket_owner: None,
            description: None,
            start_from: None,
            idempotency_key: None,
            webhooks: &[],
        }
    }

    fn with_key(
        settings: &RawSettings<'_>,
        access_key_id: &str,
        secret_access_key: &str,
    ) -> Result<(Settings, AccessKeyId, SecretAccessKey), Vec<FieldError>> {
        let key = RawAccessKey { access_key_id, secret_access_key, endpoint_url: None };
        parse_access_key(settings, &key, &service(), CustomerServers::Public)
    }

    /// The access key of another server.
    const ON_SERVER: RawAccessKey<'_> = RawAccessKey {
        access_key_id: "GK31c2f218a2e44f485b94239e",
        secret_access_key: "b892c0665f0ada8a4755dae98baa3b13",
        endpoint_url: Some("https://s3.example.com:3900/"),
    };

    #[test]
    fn a_bucket_on_another_server_has_its_rules() {
        let raw = RawSettings { region: "garage", ..valid() };
        let parse = |raw: &RawSettings<'_>, key| parse_access_key(raw, &key, &service(), CustomerServers::Public);
        let (settings, id, secret) = parse(&raw, ON_SERVER).unwrap();
        let server = settings.destination.site.server().unwrap().clone();
        assert_eq!((server.endpoint.as_str(), server.region.as_str()), ("https://s3.example.com:3900", "garage"));
        assert_eq!((id.as_str(), secret.expose()), (ON_SERVER.access_key_id, ON_SERVER.secret_access_key));

        // A form's empty field is none, and then the rules are those of AWS.
        let errors = parse(&raw, RawAccessKey { endpoint_url: Some(""), ..ON_SERVER }).unwrap_err();
        let iam = [("region", "REGION_INVALID"), ("accessKeyId", "ACCESS_KEY_ID_INVALID")];
        assert_eq!(codes(&errors), [iam[0], iam[1], ("secretAccessKey", "SECRET_ACCESS_KEY_INVALID")]);

        let raw = RawSettings {
            region: "no region",
            kms_key_arn: Some("arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
            expected_bucket_owner: Some("222222222222"),
            ..valid()
        };
        let key =
            RawAccessKey { access_key_id: "a/b", secret_access_key: "a b", endpoint_url: Some("http://a.example") };
        assert_eq!(
            codes(&parse(&raw, key).unwrap_err()),
            [
                ("region", "REGION_INVALID"),
                ("endpointUrl", "ENDPOINT_URL_INVALID"),
                ("kmsKeyArn", "ENDPOINT_CONFLICT"),
                ("expectedBucketOwner", "ENDPOINT_CONFLICT"),
                ("accessKeyId", "ACCESS_KEY_ID_INVALID"),
                ("secretAccessKey", "SECRET_ACCESS_KEY_INVALID"),
            ]
        );
    }

    #[test]
    fn an_interval_is_one_of_the_names() {
        assert_eq!(parse_interval("EVERY_2_HOURS"), Ok(ExportInterval::Every2Hours));
        for (text, code) in [("", "REQUIRED"), ("EVERY_3_HOURS", "INTERVAL_INVALID")] {
            let error = parse_interval(text).unwrap_err();
            assert_eq!((error.field, error.code.name()), ("interval", code));
        }
    }

    #[test]
    fn a_format_is_one_of_the_names() {
        assert_eq!(parse_format("PARQUET"), Ok(ExportFormat::Parquet));
        let names = "Choose one of NDJSON_GZIP, NDJSON_ZSTD, PARQUET, OCSF_PARQUET.";
        for (text, code, message) in [
            ("", "REQUIRED", "Give a value for format.".to_owned()),
            ("zstd", "FORMAT_INVALID", format!("{names} Did you mean NDJSON_ZSTD?")),
            ("csv", "FORMAT_INVALID", names.to_owned()),
        ] {
            let error = parse_format(text).unwrap_err();
            assert_eq!((error.field, error.code.name(), error.message), ("format", code, message));
        }
    }

    #[test]
    fn choices_of_ocsf_are_for_its_format_and_decide_about_the_layout() {
        let choices = ocsf::RawSettings { version: Some("1.8.0".to_owned()), classes: None };
        let empty = ocsf::RawSettings::default();
        let defaults = ocsf::RawSettings { version: Some("1.3.0".to_owned()), classes: Some(Vec::new()) };
        let wrong = ocsf::RawSettings { version: Some("2".to_owned()), classes: None };
        let long = "p".repeat(MAX_LAKE_PATH_LENGTH + 1);
        let parsed = |format, ocsf, bucket_path| {
            let raw = RawSettings { format: Some(format), ocsf, bucket_path: Some(bucket_path), ..valid() };
            parse_assumed_role(&raw, "arn:aws:iam::222222222222:role/export", &service(), CustomerServers::Public)
        };
        let (settings, _) = parsed(ExportFormat::OcsfParquet, Some(&choices), "ext/audit").unwrap();
        assert_eq!(settings.ocsf.unwrap().version, ocsf::Version::V1_8_0);
        assert_eq!(settings.destination.layout, Layout::SecurityLake);
        let (settings, _) = parsed(ExportFormat::OcsfParquet, None, &long[1..]).unwrap();
        assert_eq!(settings.ocsf, None);
        for equal in [&defaults, &empty] {
            let (settings, _) = parsed(ExportFormat::OcsfParquet, Some(equal), "a").unwrap();
            assert_eq!(settings.ocsf, None, "{equal:?}");
        }
        let (settings, _) = parsed(ExportFormat::Parquet, None, &long).unwrap();
        assert_eq!(settings.destination.layout, Layout::Folder);
        for (format, ocsf, path, code) in [
            (ExportFormat::Parquet, Some(&choices), "a", ("ocsf", "OCSF_CONFLICT")),
            (ExportFormat::OcsfParquet, Some(&wrong), "a", ("ocsf.version", "OCSF_VERSION_INVALID")),
            (ExportFormat::OcsfParquet, None, &long, ("bucketPath", "BUCKET_PATH_INVALID")),
        ] {
            assert_eq!(codes(&parsed(format, ocsf, path).unwrap_err()), [code]);
        }
    }

    fn codes(errors: &[FieldError]) -> Vec<(&'static str, &'static str)> {
        errors.iter().map(|error| (error.field, error.code.name())).collect()
    }

    #[test]
    fn a_start_is_a_word_or_a_time_as_everywhere() {
        let time = Timestamp::parse("2026-01-31T00:00:00Z").unwrap();
        assert_eq!(StartFrom::parse("2026-01-31T01:00:00+01:00"), Ok(StartFrom::At(time)));
        assert_eq!(StartFrom::parse("now"), Ok(StartFrom::Now));
        assert_eq!(StartFrom::parse("earliest"), Ok(StartFrom::Earliest));
        let other_forms = ["20260131T000000Z", "2026-01-31 00:00:00Z", "2026-01-31T00Z", "2026-01-31T00:00:00Z[UTC]"];
        for text in ["", "Now", "2026-01-31", "1769817600", "2026-01-31T00:00:60Z"].iter().chain(&other_forms) {
            assert!(StartFrom::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn all_errors_come_at_once() {
        let no_value = RawFilter::default();
        let raw = RawSettings {
            interval: ExportInterval::Every2Hours,
            format: None,
            filter: Some(&no_value),
            ocsf: None,
            bucket_name: "Bad_Bucket",
            bucket_path: Some("/a"),
            region: "",
            kms_key_arn: Some("alias/key"),
            expected_bucket_owner: Some("1"),
            description: Some("a\nb"),
            start_from: Some("yesterday"),
            idempotency_key: Some(""),
            webhooks: &[RawWebhook { url: "http://a.example/", secret: None }],
        };
        let errors = with_key(&raw, "AKIA", "short").unwrap_err();
        assert_eq!(
            codes(&errors),
            [
                ("filter", "FILTER_EMPTY"),
                ("bucketName", "BUCKET_NAME_INVALID"),
                ("bucketPath", "BUCKET_PATH_INVALID"),
                ("region", "REQUIRED"),
                ("kmsKeyArn", "KMS_KEY_ARN_INVALID"),
                ("expectedBucketOwner", "ACCOUNT_ID_INVALID"),
                ("description", "DESCRIPTION_INVALID"),
                ("startFrom", "START_FROM_INVALID"),
                ("idempotencyKey", "IDEMPOTENCY_KEY_INVALID"),
                ("notifications[0].url", "WEBHOOK_URL_INVALID"),
                ("accessKeyId", "ACCESS_KEY_ID_INVALID"),
                ("secretAccessKey", "SECRET_ACCESS_KEY_INVALID"),
            ]
        );
    }

    #[test]
    fn an_idempotency_key_is_short_and_visible() {
        for good in ["k", &"k".repeat(MAX_IDEMPOTENCY_KEY_LENGTH)] {
            assert_eq!(IdempotencyKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "\u{e9}", &"k".repeat(MAX_IDEMPOTENCY_KEY_LENGTH + 1)] {
            let error = IdempotencyKey::parse(bad).unwrap_err();
            assert!(error.rule.contains(&format!(" 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} ")), "{bad:?}: {error}");
        }
    }

    #[test]
    fn a_role_lies_in_the_customers_account_and_our_partition() {
        let parse = |role| parse_assumed_role(&valid(), role, &service(), CustomerServers::Public);
        assert!(parse("arn:aws:iam::222222222222:role/export").is_ok());
        let errors = parse("arn:aws-cn:iam::222222222222:role/export").unwrap_err();
        assert_eq!(codes(&errors), [("roleArn", "ROLE_PARTITION_MISMATCH")]);
        let errors = parse("arn:aws:iam::111111111111:role/export").unwrap_err();
        assert_eq!(codes(&errors), [("roleArn", "ROLE_IN_SERVICE_ACCOUNT")]);
    }

    #[test]
    fn bucket_and_key_share_region_and_partition() {
        let key = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let raw = RawSettings { kms_key_arn: Some(key), ..valid() };
        let errors = with_key(&raw, "AKIAIOSFODNN7EXAMPLE", SECRET).unwrap_err();
        assert_eq!(codes(&errors), [("kmsKeyArn", "KMS_KEY_REGION_MISMATCH")]);
        let raw = RawSettings { region: "cn-north-1", ..valid() };
        let errors = with_key(&raw, "AKIAIOSFODNN7EXAMPLE", SECRET).unwrap_err();
        assert_eq!(codes(&errors), [("region", "REGION_PARTITION_MISMATCH")]);
    }

    #[test]
    fn defaults_are_the_root_of_the_bucket_from_now_on() {
        let raw = RawSettings { bucket_path: Some(""), ..valid() };
        let (settings, ..) = with_key(&raw, "AKIAIOSFODNN7EXAMPLE", SECRET).unwrap();
        assert_eq!((settings.start_from, settings.destination.bucket_path), (StartFrom::Now, None));
    }

    #[test]
    fn no_message_repeats_a_secret() {
        let errors = with_key(&valid(), SECRET, "not-a-secret-but-private").unwrap_err();
        assert!(errors.iter().all(|error| !error.message.contains(SECRET) && !error.message.contains("private")));
    }
}
