use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use domain::configuration::ConfigurationId;
use serde_json::json;

use super::{
    dry_run,
    file::{ConfigurationFile, Field, Kind, Problems, Purpose, Value},
    get, parse_id, render,
    secret_access_key::SecretArguments,
};
use crate::{
    api::{Diagnosis, Operation},
    failure::Failure,
    model::{Configuration, all_configuration_fields},
    secret::Secret,
    service::{Service, ServiceArguments},
};

pub const ACCESS_KEY: Operation = Operation {
    what: "to update the export configuration",
    field: "updateS3AccessKeyExportConfiguration",
    document: concat!(
        "mutation($data: UpdateS3AccessKeyExportConfigurationInput!) { \
         updateS3AccessKeyExportConfiguration(data: $data) { ",
        all_configuration_fields!(),
        " } }"
    ),
};

pub const ASSUMED_ROLE: Operation = Operation {
    what: "to update the export configuration",
    field: "updateS3AssumedRoleExportConfiguration",
    document: concat!(
        "mutation($data: UpdateS3AssumedRoleExportConfigurationInput!) { \
         updateS3AssumedRoleExportConfiguration(data: $data) { ",
        all_configuration_fields!(),
        " } }"
    ),
};

/// The input field of an update that is stored even if its connection test fails.
pub const FORCE: &str = "force";

/// Change an export configuration
///
/// What the JSON file leaves out stays as it is, and null takes an optional field away. With roleArn the export uses a
/// role from now on, with accessKeyId an access key. Another bucket, path, region, KMS key, owner or role is tested before it
/// replaces a connection that works, and a new access key always: unless the test succeeds, nothing is changed. Where the
/// connection does not work, a change is stored and then tested, so that it can be repaired in steps.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  echo '{"interval": "EVERY_12_HOURS"}' | audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b -
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b export.json --expect-version 3
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b new-key.json --secret-file secret

The exit code is 7 if the connection test failed (the message says whether anything was changed), and 9 if somebody else changed the configuration meanwhile."#)]
pub struct UpdateArguments {
    /// The configuration's id
    #[arg(value_name = "ID", value_parser = parse_id)]
    id: ConfigurationId,

    /// The JSON file, as for `config create`; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Only check the file, without the service, and print what would be sent; the secret is not shown
    #[arg(long)]
    dry_run: bool,

    /// Change it only if this is its version, as `config get` showed it; so is `version` in the file
    #[arg(long, value_name = "VERSION")]
    expect_version: Option<u64>,

    /// Change it even if the connection test fails and the export works as it is
    ///
    /// For a bucket or role whose permissions are not there yet. A new access key is tested first all the same.
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    secret: SecretArguments,

    #[command(flatten)]
    service: ServiceArguments,
}

/// What a change of has the connection tested.
const CONNECTION: [Field; 8] = [
    Field::BucketName,
    Field::BucketPath,
    Field::Region,
    Field::RoleArn,
    Field::AccessKeyId,
    Field::SecretAccessKey,
    Field::KmsKeyArn,
    Field::ExpectedBucketOwner,
];

/// The `connectionStatus` of what no test was made of.
const UNTESTED: &str = "PENDING";

pub fn run(arguments: &UpdateArguments) -> Result<(), Failure> {
    let at = |problems: Problems| problems.at(&arguments.file);
    let mut file = ConfigurationFile::read(&arguments.file, Purpose::Update)?;
    if let Some(version) = arguments.expect_version {
        file.set(Field::Version, Value::Number(version));
    }
    if file.text(Field::AccessKeyId).is_some() || arguments.secret.secret_file.is_some() {
        arguments.secret.complete(&mut file, false)?;
    }
    let kind = file.kind().map_err(at)?;
    if arguments.dry_run {
        // A file that says nothing of role or key keeps what is there: offline, either mutation stands for it.
        let kind = kind.unwrap_or(Kind::AssumedRole);
        file.check(kind, Purpose::Update).map_err(at)?;
        let mut data = file.data(kind, Purpose::Update);
        arguments.complete(&mut data);
        return dry_run::print(operation(kind).field, data, &arguments.service.output);
    }
    let service = Service::connect(&arguments.service)?;
    let kind = match kind {
        Some(Kind::AssumedRole) => Kind::AssumedRole,
        other => complete_from_current(arguments, &service, &mut file, other)?,
    };
    let mut data = file.data(kind, Purpose::Update);
    arguments.complete(&mut data);
    let answer = service.ask(operation(kind), &json!({ "data": data }))?;
    let configuration: Configuration = answer.parse()?;
    service.output.print(&answer, |style| Ok(render::updated(&configuration, style)))?;
    if let Some(code) = failed_test(&configuration) {
        return Err(Failure::ConnectionFailed(format!("{code}; the change is stored")));
    }
    if is_untested(&configuration, &data) {
        let advice = "the change is stored and could not be tested; test it with audit-export config test";
        return Err(Failure::ConnectionFailed(advice.to_owned()));
    }
    Ok(())
}

impl UpdateArguments {
    /// Adds what is not in the file.
    fn complete(&self, data: &mut BTreeMap<&'static str, Value>) {
        data.insert("id", Value::Text(Secret::new(self.id.to_string().into())));
        if self.force {
            data.insert(FORCE, Value::Flag(true));
        }
    }
}

/// The code of the test that followed the change, if it failed. One of before says nothing of the change.
fn failed_test(configuration: &Configuration) -> Option<&str> {
    let error = configuration.connection_error.as_ref()?;
    // All times of the service have one form, and sort like their texts.
    let is_of_change = configuration.connection_checked_at.as_deref()? >= &*configuration.updated_at;
    is_of_change.then_some(&*error.code)
}

/// Whether the change was of the connection, and no test of it was made.
fn is_untested(configuration: &Configuration, data: &BTreeMap<&'static str, Value>) -> bool {
    CONNECTION.iter().any(|field| data.contains_key(field.name())) && &*configuration.connection_status == UNTESTED
}

/// Looks at the configuration as it is: to change the right kind, and to ask for the secret of a new access key.
fn complete_from_current(
    arguments: &UpdateArguments,
    service: &Service,
    file: &mut ConfigurationFile,
    kind: Option<Kind>,
) -> Result<Kind, Failure> {
    let answer = service.ask(&get::OPERATION, &json!({ "id": arguments.id.to_string() }))?;
    let current: Configuration = answer.parse()?;
    if let Some(new_key) = file.text(Field::AccessKeyId)
        && current.endpoint_configuration.access_key_id.as_deref() != Some(new_key)
    {
        arguments.secret.complete(file, true)?;
    }
    kind.or_else(|| Kind::of_type(&current.kind)).ok_or_else(|| {
        Failure::NoAnswer(Diagnosis {
            what: format!("the configuration is of a type that this version doesn't know: {}", current.kind),
            check: "Install a newer version of audit-export, or give roleArn or accessKeyId in the file.",
        })
    })
}

pub fn operation(kind: Kind) -> &'static Operation {
    match kind {
        Kind::AccessKey => &ACCESS_KEY,
        Kind::AssumedRole => &ASSUMED_ROLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::configuration_json;

    #[test]
    fn a_failed_test_of_this_change_is_a_failure() {
        let tested = |error: serde_json::Value, checked_at: &str| {
            let mut json = configuration_json();
            json["connectionError"] = error;
            json["connectionCheckedAt"] = json!(checked_at);
            json["updatedAt"] = json!("2026-11-22T12:00:00.000Z");
            let configuration: Configuration = serde_json::from_value(json).unwrap();
            failed_test(&configuration).map(ToOwned::to_owned)
        };
        let error = json!({ "code": "WRITE_DENIED", "message": "Allow it." });
        assert_eq!(tested(error.clone(), "2026-11-22T12:00:01.000Z").as_deref(), Some("WRITE_DENIED"));
        // The description of what fails since yesterday was changed.
        assert_eq!(tested(error, "2026-11-21T12:00:00.000Z"), None);
        assert_eq!(tested(json!(null), "2026-11-22T12:00:01.000Z"), None);
    }

    #[test]
    fn a_change_of_the_connection_that_could_not_be_tested_is_a_failure() {
        let is_untested = |status: &str, field: Field| {
            let mut json = configuration_json();
            json["connectionStatus"] = json!(status);
            let configuration: Configuration = serde_json::from_value(json).unwrap();
            is_untested(&configuration, &BTreeMap::from([(field.name(), Value::Null)]))
        };
        assert!(is_untested("PENDING", Field::BucketName) && is_untested("PENDING", Field::KmsKeyArn));
        assert!(!is_untested("PENDING", Field::Description) && !is_untested("SUCCESS", Field::BucketName));
    }
}
