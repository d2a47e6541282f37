use std::path::PathBuf;

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

/// Change an export configuration
///
/// What the JSON file leaves out stays as it is, and null takes an optional field away. With roleArn the export uses a
/// role from now on, with accessKeyId an access key. A new access key is tested before it replaces the old one; after any
/// other change of destination or role the connection is tested at once.
#[derive(Debug, Args)]
#[command(after_help = r#"Examples:
  echo '{"interval": "EVERY_12_HOURS"}' | audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b -
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b export.json --expect-version 3
  audit-export config update 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b new-key.json --secret-file secret

The exit code is 7 if a new access key can't write to the bucket (nothing was changed then), and 9 if somebody else changed the configuration meanwhile."#)]
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

    #[command(flatten)]
    secret: SecretArguments,

    #[command(flatten)]
    service: ServiceArguments,
}

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
        data.insert("id", Value::Text(crate::secret::Secret::new(arguments.id.to_string().into())));
        return dry_run::print(operation(kind).field, data, &arguments.service.output);
    }
    let service = Service::connect(&arguments.service)?;
    let kind = match kind {
        Some(Kind::AssumedRole) => Kind::AssumedRole,
        other => complete_from_current(arguments, &service, &mut file, other)?,
    };
    let mut data = file.data(kind, Purpose::Update);
    data.insert("id", Value::Text(crate::secret::Secret::new(arguments.id.to_string().into())));
    let answer = service.ask(operation(kind), &json!({ "data": data }))?;
    service.output.print(&answer, |style| {
        let configuration: Configuration = answer.parse()?;
        Ok(render::updated(&configuration, style))
    })
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
