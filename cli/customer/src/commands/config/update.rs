use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{
    dry_run,
    file::{ConfigurationFile, FORCE, Field, Kind, Purpose, Value},
    options::{FILTER_OPTIONS, FieldOptions, Fields},
    render,
    secret_access_key::SecretArguments,
    target::parse_id,
    test,
};
use crate::{
    api::{Operation, operations},
    failure::{Diagnosis, Failure},
    model::Configuration,
    service::{Service, ServiceArguments},
};

/// Change an export configuration
///
/// The changes are options, a JSON file, or both; an option takes precedence over the file's field. Fields that are not given
/// stay unchanged. An empty text (`--description ""`), or null in the file, clears an optional field. A filter replaces the
/// whole earlier one, and options of OCSF replace all earlier choices of OCSF, its version and its rules. With a role the export uses it from now on, and with an access key that. A new access key is always tested
/// first, and so is another bucket, path, Region, endpoint, KMS key, owner or role, or a change to or from the format
/// `OCSF_PARQUET`, if the connection works: nothing is changed unless the test succeeds. If the connection does not work, the change is stored and then tested, so that it can be repaired in
/// steps.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --interval 12h
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \
    --bucket acme-audit-eu --region eu-central-1 --expect-version 3
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \
    --include-action 'DELETE*' --exclude-actor-type SERVICE_ACTOR
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b --no-filter
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b export.json
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \
    --access-key-id AKIAIOSFODNN7EXAMPLE --secret-file secret
  echo '{"interval": "EVERY_12_HOURS"}' |
    audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b -

The exit code is 7 if the connection test failed or could not be made (the message says whether the change is stored), and 9 if the configuration was changed meanwhile."#)]
pub struct UpdateArguments {
    /// The configuration's ID
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    /// The JSON file, as for `config create`; - for standard input
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,

    /// Only check the fields offline, and print the request; the secret is not shown
    #[arg(long)]
    dry_run: bool,

    /// Change it only if this is its version in `config get`; the same as `version` in the file
    #[arg(long, value_name = "VERSION")]
    expect_version: Option<u64>,

    /// Store the change even if the connection test fails
    ///
    /// For a bucket or role that does not have its permissions yet. A new access key is always tested first.
    #[arg(long)]
    force: bool,

    /// Remove the filter: all events are exported from the next window on; the same as `"filter": null` in the file
    #[arg(long, conflicts_with_all = FILTER_OPTIONS)]
    no_filter: bool,

    #[command(flatten)]
    options: FieldOptions,

    #[command(flatten)]
    secret: SecretArguments,

    #[command(flatten)]
    service: ServiceArguments,
}

/// The fields that cause a connection test when they change. Of formats, only a change to or from `OCSF_PARQUET` does; the
/// answer has not the earlier format.
const CONNECTION: [Field; 10] = [
    Field::Format,
    Field::BucketName,
    Field::BucketPath,
    Field::Region,
    Field::EndpointUrl,
    Field::RoleArn,
    Field::AccessKeyId,
    Field::SecretAccessKey,
    Field::KmsKeyArn,
    Field::ExpectedBucketOwner,
];

/// The `connectionStatus` of an untested connection.
const UNTESTED: &str = "PENDING";

pub async fn run(arguments: &UpdateArguments) -> Result<(), Failure> {
    let mut fields = Fields::read(arguments.file.as_ref(), &arguments.options, None, Purpose::Update)?;
    if arguments.no_filter {
        fields.clear(Field::Filter);
    }
    if fields.is_empty() && arguments.secret.secret_file.is_none() {
        let reason = "give options such as --interval 12h, or a JSON file; see audit-export config update --help";
        return Err(Failure::argument("no changes are given", reason));
    }
    if let Some(version) = arguments.expect_version {
        fields.values.set(Field::Version, Value::Number(version));
    }
    if fields.values.text(Field::AccessKeyId).is_some() || arguments.secret.secret_file.is_some() {
        arguments.secret.complete(&mut fields.values, false)?;
    }
    let kind = fields.values.kind().map_err(|problems| fields.failure(problems))?;
    if arguments.dry_run {
        // Without a role or a key the kind stays, and is not known offline.
        let kind = kind.unwrap_or(Kind::AssumedRole);
        fields.values.check(kind, Purpose::Update).map_err(|problems| fields.failure(problems))?;
        let mut data = fields.values.data(kind, Purpose::Update);
        arguments.complete(&mut data);
        return dry_run::print(operation(kind).field, data, &arguments.service.output);
    }
    let service = Service::connect(&arguments.service).await?;
    let kind = match kind {
        Some(Kind::AssumedRole) => Kind::AssumedRole,
        other => complete_from_current(arguments, &service, &mut fields.values, other).await?,
    };
    let mut data = fields.values.data(kind, Purpose::Update);
    arguments.complete(&mut data);
    let answer = test::update(&service, &arguments.id.to_string(), operation(kind), &json!({ "data": data })).await;
    let answer = answer.map_err(|failure| fields.explained(failure))?;
    let configuration: Configuration = answer.parse()?;
    service.output.print(&answer, |style| Ok(render::updated(&configuration, style)))?;
    if let Some(code) = failed_test(&configuration) {
        return Err(Failure::ConnectionFailed(format!("{code}; the change is stored")));
    }
    if is_untested(&configuration, &data) {
        let advice = "the change is stored, but the connection is untested; test it with audit-export config test";
        return Err(Failure::ConnectionFailed(advice.to_owned()));
    }
    Ok(())
}

impl UpdateArguments {
    /// Adds the fields that are not in the file.
    fn complete(&self, data: &mut BTreeMap<&'static str, Value>) {
        data.insert("id", Value::text(self.id.to_string()));
        if self.force {
            data.insert(FORCE, Value::Flag(true));
        }
    }
}

/// Returns the error code of the test that followed the change, if it failed. An earlier error is not the change's.
fn failed_test(configuration: &Configuration) -> Option<&str> {
    let error = configuration.connection_error.as_ref()?;
    // Times of the service have one format, and sort like their texts.
    let is_of_change = configuration.connection_checked_at.as_deref()? >= &*configuration.updated_at;
    is_of_change.then_some(&*error.code)
}

/// Returns whether the connection was changed and not tested.
fn is_untested(configuration: &Configuration, data: &BTreeMap<&'static str, Value>) -> bool {
    CONNECTION.iter().any(|field| data.contains_key(field.name())) && &*configuration.connection_status == UNTESTED
}

/// Gets the current configuration to find its kind, and asks for the secret of a new access key.
async fn complete_from_current(
    arguments: &UpdateArguments,
    service: &Service,
    file: &mut ConfigurationFile,
    kind: Option<Kind>,
) -> Result<Kind, Failure> {
    let answer = service.ask(&operations::GET, &json!({ "id": arguments.id.to_string() })).await?;
    let current: Configuration = answer.parse()?;
    if let Some(new_key) = file.text(Field::AccessKeyId)
        && current.endpoint_configuration.access_key_id.as_deref() != Some(new_key)
    {
        arguments.secret.complete(file, true)?;
    }
    kind.or_else(|| Kind::of_type(&current.kind)).ok_or_else(|| {
        Failure::NoAnswer(Diagnosis::new(
            format!("this version does not know the type of the configuration: {}", current.kind),
            "Install a newer version of audit-export, or give roleArn or accessKeyId in the file.",
        ))
    })
}

pub fn operation(kind: Kind) -> &'static Operation {
    match kind {
        Kind::AccessKey => &operations::UPDATE_WITH_ACCESS_KEY,
        Kind::AssumedRole => &operations::UPDATE_WITH_ROLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::configuration;

    #[test]
    fn a_failed_test_of_this_change_is_a_failure() {
        let error = json!({ "code": "WRITE_DENIED", "message": "Allow it." });
        for (error, checked_at, expected) in [
            (&error, "2026-11-22T12:00:01.000Z", Some("WRITE_DENIED")),
            // The error is of yesterday, before the change.
            (&error, "2026-11-21T12:00:00.000Z", None),
            (&json!(null), "2026-11-22T12:00:01.000Z", None),
        ] {
            let configuration = configuration(&json!({
                "connectionError": error, "connectionCheckedAt": checked_at, "updatedAt": "2026-11-22T12:00:00.000Z",
            }));
            assert_eq!(failed_test(&configuration), expected, "{checked_at}");
        }
    }

    #[test]
    fn a_change_of_the_connection_that_could_not_be_tested_is_a_failure() {
        for (status, field, expected) in [
            ("PENDING", Field::BucketName, true),
            ("PENDING", Field::KmsKeyArn, true),
            ("PENDING", Field::Format, true),
            ("PENDING", Field::Description, false),
            ("SUCCESS", Field::BucketName, false),
            ("SUCCESS", Field::Format, false),
        ] {
            let configuration = configuration(&json!({ "connectionStatus": status }));
            let data = BTreeMap::from([(field.name(), Value::Null)]);
            assert_eq!(is_untested(&configuration, &data), expected, "{status} {field:?}");
        }
    }
}
