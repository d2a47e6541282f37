//! Changes of a configuration: merging the fields of an update, and applying the result.

use super::{
    access_key::{AccessKeyId, SealedSecret, SecretAccessKey},
    arn::{AccountId, KmsKeyArn, RoleArn, UserArn},
    bucket::{BucketName, BucketPath},
    description::Description,
    destination::{Destination, Layout},
    endpoint::EndpointUrl,
    export_configuration::{Authentication, ExportConfiguration},
    field,
    field_error::{FieldError, ValueError},
    input::{AccessKeyRules, Fields},
    service_identity::ServiceIdentity,
};
use crate::{
    connection::Connection,
    customer_server::CustomerServers,
    event_filter::{EventFilter, RawFilter},
    export_format::ExportFormat,
    interval::ExportInterval,
    ocsf::{self, OcsfSettings},
    time::Timestamp,
    webhook::{
        Webhook,
        input::{NewWebhook, RawWebhook, is_unchanged},
    },
};

/// The part of an update that concerns one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RawField<T> {
    /// The field was left out: its value stays.
    #[default]
    Kept,
    /// The field was null: an optional field loses its value.
    Cleared,
    Given(T),
}

impl<T> RawField<T> {
    /// Returns the same part of an update with a reference to the value.
    #[must_use]
    pub fn as_ref(&self) -> RawField<&T> {
        match self {
            Self::Kept => RawField::Kept,
            Self::Cleared => RawField::Cleared,
            Self::Given(value) => RawField::Given(value),
        }
    }
}

/// A field that is parsed from text.
pub type RawText<'a> = RawField<&'a str>;

impl RawText<'_> {
    /// Takes an empty text as null, since forms send it for none.
    fn or_cleared(self) -> Self {
        if self == Self::Given("") { Self::Cleared } else { self }
    }
}

/// The unparsed changes of the fields that both kinds of configuration have.
#[derive(Clone, Copy, Default)]
#[expect(missing_debug_implementations, reason = "it may hold secrets of webhooks")]
pub struct RawUpdate<'a> {
    pub interval: RawField<ExportInterval>,
    /// Cleared: the default.
    pub format: RawField<ExportFormat>,
    /// Cleared: all events. A filter that is given replaces the whole current one.
    pub filter: RawField<&'a RawFilter>,
    /// Cleared: the defaults.
    pub ocsf: RawField<&'a ocsf::RawSettings>,
    pub bucket_name: RawText<'a>,
    pub bucket_path: RawText<'a>,
    pub region: RawText<'a>,
    pub kms_key_arn: RawText<'a>,
    pub expected_bucket_owner: RawText<'a>,
    pub description: RawText<'a>,
    /// `None`: the webhooks stay.
    pub webhooks: Option<&'a [RawWebhook<'a>]>,
}

/// The unparsed change of the role or access key.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it may hold a secret")]
pub enum RawIdentity<'a> {
    Role {
        role_arn: RawText<'a>,
    },
    AccessKey {
        access_key_id: RawText<'a>,
        secret_access_key: RawText<'a>,
        /// Cleared: the bucket is in AWS.
        endpoint_url: RawText<'a>,
    },
}

/// The settings that don't affect the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainSettings {
    pub interval: ExportInterval,
    pub format: ExportFormat,
    pub filter: Option<EventFilter>,
    pub ocsf: Option<OcsfSettings>,
    pub description: Option<Description>,
}

impl PlainSettings {
    /// Returns the settings of a stored configuration.
    #[must_use]
    pub fn of(configuration: &ExportConfiguration) -> Self {
        let ExportConfiguration { interval, format, filter, ocsf, description, .. } = configuration;
        let (filter, ocsf) = (filter.clone(), ocsf.clone());
        Self { interval: *interval, format: *format, filter, ocsf, description: description.clone() }
    }
}

/// The changes of an update, by their effect on the connection.
#[derive(Clone, Debug)]
pub enum Update {
    /// No setting changes.
    Nothing,
    /// The outcome of the last connection test still holds. Also for an update of the webhooks alone.
    Plain(PlainSettings),
    /// The destination or role changes. The connection has to be tested, before the change is stored where the stored
    /// connection works.
    Connection {
        settings: PlainSettings,
        destination: Destination,
        /// `None`: the role or access key stays.
        role_arn: Option<RoleArn>,
    },
    /// The access key changes, and maybe the destination. The new key is tested before it is stored.
    AccessKey { settings: PlainSettings, destination: Destination, access_key_id: AccessKeyId, secret: SecretAccessKey },
}

impl Update {
    /// Returns whether the change needs a connection test, before or after it is stored.
    #[must_use]
    pub fn needs_a_test(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::AccessKey { .. })
    }
}

/// Merges an update into `current`. Beside it, returns the list that replaces the webhooks. `None`: they stay.
///
/// # Errors
/// Every field that has to change. Rules that concern several fields are applied to the resulting configuration.
pub fn parse_update(
    current: &ExportConfiguration,
    raw: &RawUpdate<'_>,
    identity: &RawIdentity<'_>,
    service: &ServiceIdentity,
    servers: CustomerServers,
) -> Result<(Update, Option<Vec<NewWebhook>>), Vec<FieldError>> {
    let mut fields = Fields::default();
    let endpoint_url = match identity {
        // Roles are AWS's.
        RawIdentity::Role { .. } => None,
        RawIdentity::AccessKey { endpoint_url, .. } => match endpoint_url.or_cleared() {
            RawField::Kept => current.destination.site.endpoint().map(EndpointUrl::as_str),
            RawField::Cleared => None,
            RawField::Given(url) => Some(url),
        },
    };
    let settings = fields.updated_settings(current, raw, endpoint_url, service, servers);
    let webhooks = raw.webhooks.map(|raw| fields.webhooks(servers, &current.webhooks, raw));
    let webhooks = webhooks.filter(|webhooks| !is_unchanged(&current.webhooks, webhooks));
    let identity = fields.updated_identity(&current.authentication, identity, endpoint_url.is_some(), service);
    let ((settings, destination), identity) = fields.finish(settings.zip(identity))?;
    let is_unchanged = webhooks.is_none() && settings == PlainSettings::of(current);
    let is_same_destination = current.destination == destination;
    let update = match identity {
        UpdatedIdentity::Kept if is_unchanged && is_same_destination => Update::Nothing,
        UpdatedIdentity::Kept if is_same_destination => Update::Plain(settings),
        UpdatedIdentity::Kept => Update::Connection { settings, destination, role_arn: None },
        UpdatedIdentity::Role(role_arn) => Update::Connection { settings, destination, role_arn: Some(role_arn) },
        UpdatedIdentity::AccessKey { access_key_id, secret } => {
            Update::AccessKey { settings, destination, access_key_id, secret }
        }
    };
    Ok((update, webhooks))
}

enum UpdatedIdentity {
    Kept,
    Role(RoleArn),
    AccessKey { access_key_id: AccessKeyId, secret: SecretAccessKey },
}

impl Fields {
    fn replaced<T: Clone>(
        &mut self,
        field: &'static str,
        raw: RawText<'_>,
        current: Option<&T>,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        match (raw, current) {
            (RawField::Given(text), _) => self.required(field, text, parse),
            (RawField::Kept, Some(current)) => Some(current.clone()),
            (RawField::Kept, None) | (RawField::Cleared, _) => self.missing(field),
        }
    }

    fn replaced_optional<T: Clone>(
        &mut self,
        field: &'static str,
        raw: RawText<'_>,
        current: Option<&T>,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        match raw {
            RawField::Kept => current.cloned(),
            RawField::Cleared => None,
            RawField::Given(text) => self.optional(field, Some(text), parse),
        }
    }

    fn updated_settings(
        &mut self,
        current: &ExportConfiguration,
        raw: &RawUpdate<'_>,
        endpoint_url: Option<&str>,
        service: &ServiceIdentity,
        servers: CustomerServers,
    ) -> Option<(PlainSettings, Destination)> {
        let Destination { bucket_name, bucket_path, site, kms_key_arn, expected_bucket_owner, .. } =
            &current.destination;
        let interval = match raw.interval {
            RawField::Kept => Some(current.interval),
            RawField::Cleared => self.missing(field::INTERVAL),
            RawField::Given(interval) => Some(interval),
        };
        let format = match raw.format {
            RawField::Kept => current.format,
            RawField::Cleared => ExportFormat::default(),
            RawField::Given(format) => format,
        };
        let filter = match raw.filter {
            RawField::Kept => current.filter.clone(),
            RawField::Cleared => None,
            RawField::Given(raw) => self.filter(raw),
        };
        let ocsf = match raw.ocsf {
            RawField::Kept => current.ocsf.clone().filter(|_| format == ExportFormat::OcsfParquet),
            RawField::Cleared => None,
            RawField::Given(ocsf) => self.ocsf(format, Some(ocsf)),
        };
        let bucket_name = self.replaced(field::BUCKET_NAME, raw.bucket_name, Some(bucket_name), BucketName::parse);
        let bucket_path = self.replaced_optional(
            field::BUCKET_PATH,
            raw.bucket_path.or_cleared(),
            bucket_path.as_ref(),
            BucketPath::parse,
        );
        self.check_layout(format, bucket_path.as_ref());
        let site = match raw.region {
            RawField::Kept => self.site(endpoint_url, site.region_name(), servers),
            RawField::Cleared => self.missing(field::REGION),
            RawField::Given(region) => self.site(endpoint_url, region, servers),
        };
        let kms_key_arn =
            self.replaced_optional(field::KMS_KEY_ARN, raw.kms_key_arn, kms_key_arn.as_ref(), KmsKeyArn::parse);
        let expected_bucket_owner = self.replaced_optional(
            field::EXPECTED_BUCKET_OWNER,
            raw.expected_bucket_owner,
            expected_bucket_owner.as_ref(),
            AccountId::parse,
        );
        let description = self.replaced_optional(
            field::DESCRIPTION,
            raw.description.or_cleared(),
            current.description.as_ref(),
            Description::parse,
        );
        if endpoint_url.is_some() {
            self.refuse_fields_of_aws(kms_key_arn.is_some(), expected_bucket_owner.is_some());
        }
        self.check_site(site.as_ref(), kms_key_arn.as_ref(), service);
        let destination = Destination {
            bucket_name: bucket_name?,
            bucket_path,
            site: site?,
            kms_key_arn,
            expected_bucket_owner,
            layout: Layout::of(format),
        };
        Some((PlainSettings { interval: interval?, format, filter, ocsf, description }, destination))
    }

    fn updated_identity(
        &mut self,
        current: &Authentication,
        raw: &RawIdentity<'_>,
        is_on_server: bool,
        service: &ServiceIdentity,
    ) -> Option<UpdatedIdentity> {
        match *raw {
            RawIdentity::Role { role_arn } => {
                let current = match current {
                    Authentication::AssumedRole { role_arn } => Some(role_arn),
                    Authentication::AccessKey { .. } => None,
                };
                let role = self.replaced(field::ROLE_ARN, role_arn, current, RoleArn::parse);
                self.check_role(role.as_ref(), service);
                role.map(
                    |role| if Some(&role) == current { UpdatedIdentity::Kept } else { UpdatedIdentity::Role(role) },
                )
            }
            RawIdentity::AccessKey { access_key_id, secret_access_key, endpoint_url: _ } => {
                let rules = AccessKeyRules::of(is_on_server);
                let current = match current {
                    Authentication::AccessKey { access_key_id, secret: _ } => Some(access_key_id),
                    Authentication::AssumedRole { .. } => None,
                };
                let stays = match access_key_id {
                    RawField::Kept => current.is_some(),
                    RawField::Cleared => false,
                    RawField::Given(text) => current.is_some_and(|current| current.as_str() == text),
                };
                let id = match (access_key_id, current) {
                    // A key that stays has to suit the place of the bucket, which may be another one.
                    (RawField::Kept, Some(current)) => self.required(field::ACCESS_KEY_ID, current.as_str(), rules.id),
                    _ => self.replaced(field::ACCESS_KEY_ID, access_key_id, current, rules.id),
                };
                if stays && secret_access_key == RawField::Kept {
                    return id.map(|_| UpdatedIdentity::Kept);
                }
                // A given secret counts as new, because it can't be compared with the stored one.
                let secret = self.replaced(field::SECRET_ACCESS_KEY, secret_access_key, None, rules.secret);
                id.zip(secret).map(|(access_key_id, secret)| UpdatedIdentity::AccessKey { access_key_id, secret })
            }
        }
    }
}

/// The change of the identity that an export uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewIdentity {
    Kept,
    Role(RoleArn),
    AccessKey(TestedAccessKey),
}

/// An access key that passed a connection test with the destination that is stored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestedAccessKey {
    pub access_key_id: AccessKeyId,
    pub secret: SealedSecret,
    pub tested_at: Timestamp,
    /// The owner of the key.
    pub user_arn: Option<UserArn>,
}

/// The author and time of a change.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The subject of the token.
    pub by: &'a str,
    pub at: Timestamp,
}

impl ExportConfiguration {
    /// Returns the configuration with other plain settings. The outcome of the last connection test stays.
    #[must_use]
    pub fn with_settings(&self, settings: PlainSettings, edit: Edit<'_>) -> Self {
        let PlainSettings { interval, format, filter, ocsf, description } = settings;
        Self { description, interval, format, filter, ocsf, ..self.edited(edit) }
    }

    /// Returns the configuration with another destination or identity. Its connection is untested, except with a tested
    /// access key.
    #[must_use]
    pub fn with_connection(
        &self,
        settings: PlainSettings,
        destination: Destination,
        identity: NewIdentity,
        edit: Edit<'_>,
    ) -> Self {
        let (authentication, user_arn, connection) = match identity {
            NewIdentity::Kept => (self.authentication.clone(), self.user_arn.clone(), Connection::Pending),
            NewIdentity::Role(role_arn) => (Authentication::AssumedRole { role_arn }, None, Connection::Pending),
            NewIdentity::AccessKey(TestedAccessKey { access_key_id, secret, tested_at, user_arn }) => {
                let authentication = Authentication::AccessKey { access_key_id, secret };
                (authentication, user_arn, Connection::Success { checked_at: tested_at })
            }
        };
        // A user that AWS named means nothing to another server.
        let user_arn = user_arn.filter(|_| destination.site.server().is_none());
        Self { destination, authentication, user_arn, connection, ..self.with_settings(settings, edit) }
    }

    /// Returns the configuration after a connection test that succeeded before it was stored.
    #[must_use]
    pub fn having_passed(self, tested_at: Timestamp, user_arn: Option<UserArn>) -> Self {
        // A role has no user.
        let user_arn = match self.authentication {
            Authentication::AssumedRole { .. } => None,
            Authentication::AccessKey { .. } => user_arn.or(self.user_arn),
        };
        Self { connection: Connection::Success { checked_at: tested_at }, user_arn, ..self }
    }

    /// Returns the configuration enabled or disabled.
    #[must_use]
    pub fn with_enabled(&self, enabled: bool, edit: Edit<'_>) -> Self {
        Self { enabled, ..self.edited(edit) }
    }

    /// Returns the configuration with other webhooks, as a part of the same edit.
    #[must_use]
    pub fn with_webhooks(self, webhooks: Vec<Webhook>) -> Self {
        Self { webhooks, ..self }
    }

    /// Returns whether the outcome of a connection test of one configuration holds for the other.
    #[must_use]
    pub fn connects_like(&self, other: &Self) -> bool {
        self.destination == other.destination && self.authentication == other.authentication
    }

    fn edited(&self, edit: Edit<'_>) -> Self {
        Self {
            version: self.version.saturating_add(1),
            updated_by: edit.by.to_owned(),
            updated_at: edit.at,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        configuration::{
            region::Region,
            site::Site,
            test_support::{SECRET, on_server, service, with_key, with_role},
        },
        event_filter::RawLists,
    };

    fn update(
        current: &ExportConfiguration,
        raw: RawUpdate<'_>,
        identity: RawIdentity<'_>,
    ) -> Result<Update, Vec<(&'static str, &'static str)>> {
        parse_update(current, &raw, &identity, &service(), CustomerServers::Public)
            .map(|(update, _)| update)
            .map_err(|errors| errors.iter().map(|error| (error.field, error.code.name())).collect())
    }

    const SAME_ROLE: RawIdentity<'_> = RawIdentity::Role { role_arn: RawField::Kept };
    const SAME_KEY: RawIdentity<'_> = RawIdentity::AccessKey {
        access_key_id: RawField::Kept,
        secret_access_key: RawField::Kept,
        endpoint_url: RawField::Kept,
    };

    fn key<'a>(access_key_id: RawText<'a>, secret_access_key: RawText<'a>) -> RawIdentity<'a> {
        RawIdentity::AccessKey { access_key_id, secret_access_key, endpoint_url: RawField::Kept }
    }

    fn at_endpoint(endpoint_url: RawText<'_>) -> RawIdentity<'_> {
        RawIdentity::AccessKey { access_key_id: RawField::Kept, secret_access_key: RawField::Kept, endpoint_url }
    }

    #[test]
    fn an_export_moves_between_aws_and_other_servers() {
        let given = RawField::Given;
        // The endpoint alone, which is a move.
        let elsewhere = at_endpoint(given("https://other.example.com"));
        let Ok(Update::Connection { destination, .. }) = update(&on_server(), RawUpdate::default(), elsewhere) else {
            unreachable!()
        };
        assert_eq!(destination.site.endpoint().unwrap().as_str(), "https://other.example.com");
        assert_eq!(destination.site.region_name(), "garage");
        assert!(matches!(update(&on_server(), RawUpdate::default(), SAME_KEY), Ok(Update::Nothing)));

        // To AWS: the region, and a key that IAM can have issued.
        let key_of_iam = RawIdentity::AccessKey {
            access_key_id: given("AKIAIOSFODNN7EXAMPLE"),
            secret_access_key: given(SECRET),
            endpoint_url: RawField::Cleared,
        };
        let to_ireland = RawUpdate { region: given("eu-west-1"), ..RawUpdate::default() };
        let Ok(Update::AccessKey { destination, .. }) = update(&on_server(), to_ireland, key_of_iam) else {
            unreachable!()
        };
        assert_eq!(destination.site, Site::Aws(Region::parse("eu-west-1").unwrap()));
        assert_eq!(
            update(&on_server(), RawUpdate::default(), at_endpoint(given(""))).unwrap_err(),
            [("region", "REGION_INVALID"), ("accessKeyId", "ACCESS_KEY_ID_INVALID")]
        );

        // A role is AWS's: the endpoint goes with the access key.
        let role = RawIdentity::Role { role_arn: given("arn:aws:iam::222222222222:role/export") };
        let Ok(Update::Connection { destination, .. }) = update(&on_server(), to_ireland, role) else { unreachable!() };
        assert_eq!(destination.site.endpoint(), None);
        assert_eq!(update(&on_server(), RawUpdate::default(), role).unwrap_err(), [("region", "REGION_INVALID")]);

        // From AWS: what only AWS knows has to be cleared.
        let to_server = at_endpoint(given("https://s3.example.com:3900"));
        assert_eq!(
            update(&with_key(), RawUpdate::default(), to_server).unwrap_err(),
            [("kmsKeyArn", "ENDPOINT_CONFLICT"), ("expectedBucketOwner", "ENDPOINT_CONFLICT")]
        );
        let clear = RawField::Cleared;
        let bare = RawUpdate { kms_key_arn: clear, expected_bucket_owner: clear, ..RawUpdate::default() };
        assert!(matches!(update(&with_key(), bare, to_server), Ok(Update::Connection { .. })));
    }

    #[test]
    fn absent_and_equal_fields_change_nothing() {
        for (current, identity) in [(with_role(), SAME_ROLE), (with_key(), SAME_KEY)] {
            assert!(matches!(update(&current, RawUpdate::default(), identity), Ok(Update::Nothing)));
            let same = RawUpdate {
                interval: RawField::Given(ExportInterval::Every2Hours),
                format: RawField::Given(ExportFormat::NdjsonGzip),
                filter: RawField::Cleared,
                ocsf: RawField::Kept,
                bucket_name: RawField::Given("acme-audit"),
                bucket_path: RawField::Given("audit/log"),
                region: RawField::Given("eu-west-1"),
                kms_key_arn: RawField::Given(
                    "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                ),
                expected_bucket_owner: RawField::Given("222222222222"),
                description: RawField::Given("For the auditors"),
                webhooks: Some(&[]),
            };
            assert!(matches!(update(&current, same, identity), Ok(Update::Nothing)));
        }
        let same_role = RawIdentity::Role { role_arn: RawField::Given("arn:aws:iam::222222222222:role/export") };
        assert!(matches!(update(&with_role(), RawUpdate::default(), same_role), Ok(Update::Nothing)));
        let same_id = key(RawField::Given("AKIAIOSFODNN7EXAMPLE"), RawField::Kept);
        assert!(matches!(update(&with_key(), RawUpdate::default(), same_id), Ok(Update::Nothing)));
    }

    #[test]
    fn settings_that_are_not_of_the_connection_leave_it_alone() {
        let raw = RawUpdate {
            interval: RawField::Given(ExportInterval::Every4Hours),
            format: RawField::Given(ExportFormat::Parquet),
            description: RawField::Cleared,
            ..RawUpdate::default()
        };
        let Ok(Update::Plain(settings)) = update(&with_role(), raw, SAME_ROLE) else { unreachable!() };
        let expected = PlainSettings {
            interval: ExportInterval::Every4Hours,
            format: ExportFormat::Parquet,
            filter: None,
            ocsf: None,
            description: None,
        };
        assert_eq!(settings, expected);

        let changed = with_role().with_settings(settings, Edit { by: "user-2", at: Timestamp::EPOCH });
        assert!(changed.connects_like(&with_role()) && PlainSettings::of(&changed) == expected);
        let default = RawUpdate { format: RawField::Cleared, ..RawUpdate::default() };
        let Ok(Update::Plain(settings)) = update(&changed, default, SAME_ROLE) else { unreachable!() };
        assert_eq!(settings, PlainSettings { format: ExportFormat::NdjsonGzip, ..expected });
        assert!(matches!(update(&with_role(), default, SAME_ROLE), Ok(Update::Nothing)));
    }

    #[test]
    fn a_filter_is_replaced_as_a_whole_and_leaves_the_connection_alone() {
        let lists = |action: &str| RawLists { actions: Some(vec![action.to_owned()]), ..RawLists::default() };
        let both = RawFilter { include: Some(lists("A*")), exclude: Some(lists("AB")) };
        let one = RawFilter { exclude: None, ..both.clone() };
        let filter_of = |raw: &RawFilter| EventFilter::parse(raw).unwrap();
        let current = ExportConfiguration { filter: Some(filter_of(&both)), ..with_role() };
        let parse = |filter| update(&current, RawUpdate { filter, ..RawUpdate::default() }, SAME_ROLE);

        assert!(matches!(parse(RawField::Kept), Ok(Update::Nothing)));
        assert!(matches!(parse(RawField::Given(&both)), Ok(Update::Nothing)), "an equal filter");
        for (raw, expected) in [(RawField::Given(&one), Some(filter_of(&one))), (RawField::Cleared, None)] {
            let Ok(Update::Plain(settings)) = parse(raw) else { unreachable!() };
            let changed = current.with_settings(settings, Edit { by: "user-2", at: Timestamp::EPOCH });
            assert!(changed.connects_like(&current) && changed.filter == expected, "{raw:?}");
        }
        let not_possible = RawFilter { include: Some(lists("AB")), ..both.clone() };
        let refused = parse(RawField::Given(&not_possible)).unwrap_err();
        assert_eq!(refused, [("filter.include.actions", "FILTER_MATCHES_NOTHING")]);
    }

    #[test]
    fn the_format_of_security_lake_moves_objects_and_keeps_its_choices_until_another_format() {
        let choices = ocsf::RawSettings { version: Some("1.8.0".to_owned()), classes: None };
        let lake = RawUpdate {
            format: RawField::Given(ExportFormat::OcsfParquet),
            ocsf: RawField::Given(&choices),
            ..RawUpdate::default()
        };
        let Ok(Update::Connection { settings, destination, .. }) = update(&with_role(), lake, SAME_ROLE) else {
            unreachable!("other permissions are needed")
        };
        assert_eq!(destination.layout, Layout::SecurityLake);
        let edit = Edit { by: "user-2", at: Timestamp::EPOCH };
        let stored = with_role().with_connection(settings, destination, NewIdentity::Kept, edit);
        assert_eq!(stored.encoding().ocsf.unwrap().version, ocsf::Version::V1_8_0);
        assert!(matches!(update(&stored, RawUpdate::default(), SAME_ROLE), Ok(Update::Nothing)));
        let cleared = RawUpdate { ocsf: RawField::Cleared, ..RawUpdate::default() };
        let Ok(Update::Plain(settings)) = update(&stored, cleared, SAME_ROLE) else { unreachable!() };
        assert_eq!(settings.ocsf, None);
        let stored = stored.with_settings(settings, edit);
        let defaults = ocsf::RawSettings { version: Some("1.3.0".to_owned()), classes: None };
        for ocsf in [RawField::Cleared, RawField::Given(&defaults)] {
            let equal = RawUpdate { ocsf, ..RawUpdate::default() };
            assert!(matches!(update(&stored, equal, SAME_ROLE), Ok(Update::Nothing)), "{:?}", equal.ocsf);
        }
        let back = RawUpdate { format: RawField::Cleared, ..RawUpdate::default() };
        let Ok(Update::Connection { settings, destination, .. }) = update(&stored, back, SAME_ROLE) else {
            unreachable!()
        };
        assert_eq!((settings.ocsf, destination), (None, with_role().destination));
    }

    #[test]
    fn webhooks_are_replaced_as_a_list_and_leave_the_connection_alone() {
        let url = "https://hooks.example.com/";
        let stored = Webhook {
            url: crate::webhook::WebhookUrl::parse_for(CustomerServers::Public, url).unwrap(),
            sealed_secret: crate::webhook::SealedWebhookSecret::from_ciphertext(vec![1]),
        };
        let current = ExportConfiguration { webhooks: vec![stored], ..with_role() };
        let parse = |webhooks: Option<&[RawWebhook<'_>]>| {
            let raw = RawUpdate { webhooks, ..RawUpdate::default() };
            parse_update(&current, &raw, &SAME_ROLE, &service(), CustomerServers::Public).unwrap()
        };
        assert!(matches!(parse(None), (Update::Nothing, None)));
        assert!(matches!(parse(Some(&[RawWebhook { url, secret: None }])), (Update::Nothing, None)));
        let (Update::Plain(_), Some(none)) = parse(Some(&[])) else { unreachable!() };
        assert!(none.is_empty());
        let secret = Some("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let (Update::Plain(settings), Some(new)) = parse(Some(&[RawWebhook { url, secret }])) else { unreachable!() };
        assert!(matches!(new.as_slice(), [NewWebhook::Unsealed { .. }]));

        let edit = Edit { by: "user-2", at: Timestamp::EPOCH };
        let changed = current.with_settings(settings, edit).with_webhooks(Vec::new());
        assert!(changed.webhooks.is_empty() && changed.connects_like(&current) && changed.version == 8);
    }

    #[test]
    fn another_destination_or_role_has_to_be_tested() {
        let clear = RawField::Cleared;
        for raw in [
            RawUpdate { bucket_name: RawField::Given("other"), ..RawUpdate::default() },
            RawUpdate { bucket_path: clear, ..RawUpdate::default() },
            RawUpdate { bucket_path: RawField::Given(""), ..RawUpdate::default() },
            RawUpdate { region: RawField::Given("eu-west-2"), kms_key_arn: clear, ..RawUpdate::default() },
            RawUpdate { kms_key_arn: clear, ..RawUpdate::default() },
            RawUpdate { expected_bucket_owner: clear, ..RawUpdate::default() },
        ] {
            for (current, identity) in [(with_role(), SAME_ROLE), (with_key(), SAME_KEY)] {
                let Ok(Update::Connection { destination, role_arn, .. }) = update(&current, raw, identity) else {
                    unreachable!()
                };
                assert!(destination != current.destination && role_arn.is_none());
            }
        }
        let other = RawIdentity::Role { role_arn: RawField::Given("arn:aws:iam::222222222222:role/other") };
        for current in [with_role(), with_key()] {
            let Ok(Update::Connection { role_arn, .. }) = update(&current, RawUpdate::default(), other) else {
                unreachable!()
            };
            assert_eq!(role_arn.unwrap().as_str(), "arn:aws:iam::222222222222:role/other");
        }
    }

    #[test]
    fn a_new_key_is_an_id_with_its_secret_or_a_secret_alone() {
        let (new_id, secret) = (RawField::Given("AKIAIOSFODNN7OTHERRR"), RawField::Given(SECRET));
        for (current, identity, id) in [
            (with_key(), key(new_id, secret), "AKIAIOSFODNN7OTHERRR"),
            (with_key(), key(RawField::Kept, secret), "AKIAIOSFODNN7EXAMPLE"),
            (with_key(), key(RawField::Given("AKIAIOSFODNN7EXAMPLE"), secret), "AKIAIOSFODNN7EXAMPLE"),
            (with_role(), key(new_id, secret), "AKIAIOSFODNN7OTHERRR"),
        ] {
            let Ok(Update::AccessKey { access_key_id, destination, .. }) =
                update(&current, RawUpdate::default(), identity)
            else {
                unreachable!("{id}")
            };
            assert_eq!((access_key_id.as_str(), destination), (id, current.destination));
        }
    }

    #[test]
    fn required_fields_can_not_be_cleared_or_missing() {
        let (id, secret) = (("accessKeyId", "REQUIRED"), ("secretAccessKey", "REQUIRED"));
        let (kept, clear) = (RawField::Kept, RawField::Cleared);
        let new_id = RawField::Given("AKIAIOSFODNN7OTHERRR");
        for (current, identity, expected) in [
            (with_key(), key(new_id, kept), vec![secret]),
            (with_key(), key(new_id, clear), vec![secret]),
            (with_key(), key(kept, clear), vec![secret]),
            (with_key(), key(clear, kept), vec![id, secret]),
            (with_key(), key(clear, RawField::Given(SECRET)), vec![id]),
            (with_key(), key(RawField::Given("bad"), kept), vec![("accessKeyId", "ACCESS_KEY_ID_INVALID"), secret]),
            (with_role(), SAME_KEY, vec![id, secret]),
            (with_role(), key(new_id, kept), vec![secret]),
            (with_role(), key(kept, RawField::Given(SECRET)), vec![id]),
            (with_key(), SAME_ROLE, vec![("roleArn", "REQUIRED")]),
            (with_role(), RawIdentity::Role { role_arn: clear }, vec![("roleArn", "REQUIRED")]),
        ] {
            assert_eq!(update(&current, RawUpdate::default(), identity).unwrap_err(), expected);
        }
        let raw = RawUpdate {
            interval: RawField::Cleared,
            bucket_name: clear,
            region: RawField::Given(""),
            ..RawUpdate::default()
        };
        assert_eq!(
            update(&with_key(), raw, SAME_KEY).unwrap_err(),
            [("interval", "REQUIRED"), ("bucketName", "REQUIRED"), ("region", "REQUIRED")]
        );
    }

    #[test]
    fn all_errors_come_at_once_and_rules_hold_for_what_comes_out() {
        let bad = RawField::Given("\u{7}");
        let webhooks = [RawWebhook { url: "", secret: None }];
        let no_value = RawFilter::default();
        let raw = RawUpdate {
            interval: RawField::Kept,
            format: RawField::Kept,
            filter: RawField::Given(&no_value),
            ocsf: RawField::Kept,
            bucket_name: bad,
            bucket_path: bad,
            region: bad,
            kms_key_arn: bad,
            expected_bucket_owner: bad,
            description: bad,
            webhooks: Some(&webhooks),
        };
        assert_eq!(
            update(&with_key(), raw, key(bad, bad)).unwrap_err(),
            [
                ("filter", "FILTER_EMPTY"),
                ("bucketName", "BUCKET_NAME_INVALID"),
                ("bucketPath", "BUCKET_PATH_INVALID"),
                ("region", "REGION_INVALID"),
                ("kmsKeyArn", "KMS_KEY_ARN_INVALID"),
                ("expectedBucketOwner", "ACCOUNT_ID_INVALID"),
                ("description", "DESCRIPTION_INVALID"),
                ("notifications[0].url", "WEBHOOK_URL_INVALID"),
                ("accessKeyId", "ACCESS_KEY_ID_INVALID"),
                ("secretAccessKey", "SECRET_ACCESS_KEY_INVALID"),
            ]
        );
        // The key that stays is in the old Region.
        let region = RawUpdate { region: RawField::Given("eu-west-2"), ..RawUpdate::default() };
        assert_eq!(update(&with_key(), region, SAME_KEY).unwrap_err(), [("kmsKeyArn", "KMS_KEY_REGION_MISMATCH")]);
        let china =
            RawUpdate { region: RawField::Given("cn-north-1"), kms_key_arn: RawField::Cleared, ..RawUpdate::default() };
        assert_eq!(update(&with_key(), china, SAME_KEY).unwrap_err(), [("region", "REGION_PARTITION_MISMATCH")]);
        for (role, code) in [
            ("arn:aws-cn:iam::222222222222:role/export", "ROLE_PARTITION_MISMATCH"),
            ("arn:aws:iam::111111111111:role/export", "ROLE_IN_SERVICE_ACCOUNT"),
        ] {
            let role = RawIdentity::Role { role_arn: RawField::Given(role) };
            assert_eq!(update(&with_role(), RawUpdate::default(), role).unwrap_err(), [("roleArn", code)]);
        }
    }

    #[test]
    fn an_edit_raises_the_version_and_names_who_made_it() {
        let before = with_key();
        let edit = Edit { by: "user-2", at: Timestamp::parse("2026-11-23T00:00:00Z").unwrap() };
        let after = before.with_enabled(false, edit);
        assert_eq!((after.version, after.updated_by.as_str(), after.updated_at), (8, "user-2", edit.at));
        assert!(after.connects_like(&before) && !after.enabled);
        let restored = ExportConfiguration {
            version: before.version,
            enabled: true,
            updated_by: before.updated_by.clone(),
            updated_at: before.updated_at,
            ..after
        };
        assert_eq!(restored, before);

        let settings = PlainSettings { interval: ExportInterval::Every6Hours, ..PlainSettings::of(&before) };
        assert!(before.with_settings(settings.clone(), edit).connects_like(&before));
        let destination = Destination { bucket_path: None, ..before.destination.clone() };
        let moved = before.with_connection(settings.clone(), destination.clone(), NewIdentity::Kept, edit);
        assert!(!moved.connects_like(&before) && moved.connection == Connection::Pending);
        assert_eq!(moved.user_arn, before.user_arn, "the key is still the same user's");

        let elsewhere = before.with_connection(settings.clone(), on_server().destination, NewIdentity::Kept, edit);
        assert_eq!(elsewhere.having_passed(edit.at, None).user_arn, None, "it was a user of AWS");

        let passed = moved.having_passed(edit.at, None);
        assert_eq!(passed.connection, Connection::Success { checked_at: edit.at });
        assert_eq!(passed.user_arn, before.user_arn);

        let role_arn = RoleArn::parse("arn:aws:iam::222222222222:role/other").unwrap();
        let identity = NewIdentity::Role(role_arn);
        let switched = before.with_connection(settings.clone(), destination.clone(), identity, edit);
        assert_eq!((switched.connection, switched.user_arn), (Connection::Pending, None));

        let key = TestedAccessKey {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7OTHERRR").unwrap(),
            secret: SealedSecret::from_ciphertext(b"resealed".to_vec()),
            tested_at: edit.at,
            user_arn: UserArn::parse("arn:aws:iam::222222222222:user/other"),
        };
        let rotated = before.with_connection(settings, destination, NewIdentity::AccessKey(key.clone()), edit);
        assert_eq!(rotated.connection, Connection::Success { checked_at: edit.at });
        assert_eq!(rotated.user_arn, key.user_arn);
    }
}
