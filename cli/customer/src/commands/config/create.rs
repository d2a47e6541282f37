use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::{
    dry_run,
    file::{ConfigurationFile, Field, Kind, Purpose, Value},
    render,
    secret_access_key::SecretArguments,
};
use crate::{
    api::Operation,
    failure::Failure,
    model::{Configuration, all_configuration_fields},
    secret::Secret,
    service::{Service, ServiceArguments},
};

pub const ACCESS_KEY: Operation = Operation {
    what: "to create the export configuration",
    field: "createS3AccessKeyExportConfiguration",
    document: concat!(
        "mutation($data: CreateS3AccessKeyExportConfigurationInput!) { \
         createS3AccessKeyExportConfiguration(data: $data) { ",
        all_configuration_fields!(),
        " } }"
    ),
};

pub const ASSUMED_ROLE: Operation = Operation {
    what: "to create the export configuration",
    field: "createS3AssumedRoleExportConfiguration",
    document: concat!(
        "mutation($data: CreateS3AssumedRoleExportConfigurationInput!) { \
         createS3AssumedRoleExportConfiguration(data: $data) { ",
        all_configuration_fields!(),
        " } }"
    ),
};

pub const EXAMPLES: &str = r#"With a role in your account (the better choice: it has no secret), FILE holds for example:
  {
    "interval": "EVERY_24_HOURS",
    "bucketName": "acme-audit",
    "bucketPath": "logs",
    "region": "eu-west-1",
    "roleArn": "arn:aws:iam::222222222222:role/audit-export"
  }

With an access key of an IAM user, instead of roleArn:
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "…"

interval is EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS or EVERY_24_HOURS. bucketPath, kmsKeyArn, expectedBucketOwner, description, startFrom ("now", "earliest" or a time) and idempotencyKey may be left out.

Examples:
  audit-export config create export.json --dry-run
  audit-export config create export.json
  audit-export config create export.json --secret-file secret
  jq '.bucketPath = "test"' export.json | audit-export config create - --output json

The exit code is 0 if the configuration was created, whether or not its bucket can be written to yet."#;

/// Create an export configuration from a JSON file, and show what to do next
///
/// Whether the export uses a role or an access key is told from the file's fields. With an access key the connection is
/// tested at once; a role needs the configuration's id in its trust policy, so it is tested when the role is there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateArguments {
    /// The JSON file; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Only check the file, without the service, and print what would be sent; the secret is not shown
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    secret: SecretArguments,

    /// Repeats a request that was perhaps answered by nobody: the same key and content create one configuration
    ///
    /// For 24 hours. Without it, or idempotencyKey in the file, each call creates another configuration.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    #[command(flatten)]
    service: ServiceArguments,
}

/// `expected`: what the command's name says, if it says so.
pub fn run(arguments: &CreateArguments, expected: Option<Kind>) -> Result<(), Failure> {
    let mut file = ConfigurationFile::read(&arguments.file, Purpose::Create)?;
    let kind = file.kind_to_create(expected).map_err(|problems| problems.at(&arguments.file))?;
    if kind == Kind::AccessKey {
        arguments.secret.complete(&mut file, !arguments.dry_run)?;
    }
    if let Some(key) = &arguments.idempotency_key {
        file.set(Field::IdempotencyKey, Value::Text(Secret::new(key.clone().into())));
    }
    let operation = operation(kind);
    if arguments.dry_run {
        file.check(kind, Purpose::Create).map_err(|problems| problems.at(&arguments.file))?;
        return dry_run::print(operation.field, file.data(kind, Purpose::Create), &arguments.service.output);
    }
    create(&Service::connect(&arguments.service)?, operation, file.data(kind, Purpose::Create))
}

pub fn operation(kind: Kind) -> &'static Operation {
    match kind {
        Kind::AccessKey => &ACCESS_KEY,
        Kind::AssumedRole => &ASSUMED_ROLE,
    }
}

fn create(service: &Service, operation: &Operation, mut data: BTreeMap<&'static str, Value>) -> Result<(), Failure> {
    let minted = || Value::Text(Secret::new(Uuid::new_v4().to_string().into()));
    let key = data.entry(Field::IdempotencyKey.name()).or_insert_with(minted).clone();
    let answer = service.ask(operation, &json!({ "data": data })).map_err(|failure| match (failure, key) {
        (failure @ (Failure::NoAnswer(_) | Failure::Unavailable(_)), Value::Text(key)) => Failure::Unsure {
            failure: Box::new(failure),
            hint: format!("Repeating it with --idempotency-key {} creates no second one.", key.expose()),
        },
        (failure, _) => failure,
    })?;
    service.output.print(&answer, |style| {
        let configuration: Configuration = answer.parse()?;
        Ok(render::created(&configuration, style))
    })
}
