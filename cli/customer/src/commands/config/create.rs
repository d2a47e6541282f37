use std::path::PathBuf;

use clap::Args;
use host::Random;
use serde_json::json;

use super::{
    dry_run,
    file::{ConfigurationFile, Field, Kind, Purpose, Value},
    render,
    secret_access_key::SecretArguments,
};
use crate::{
    api::{Operation, operations},
    failure::Failure,
    service::ServiceArguments,
};

const EXAMPLES: &str = r#"FILE with a role in your account (recommended: there is no secret):
  {
    "interval": "EVERY_24_HOURS",
    "bucketName": "acme-audit",
    "bucketPath": "logs",
    "region": "eu-west-1",
    "roleArn": "arn:aws:iam::222222222222:role/audit-export"
  }

With an access key of an IAM user instead of roleArn:
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "…"

interval is EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS or EVERY_24_HOURS. Optional: bucketPath, kmsKeyArn, expectedBucketOwner, description, startFrom ("now", "earliest" or a time) and idempotencyKey.

Examples:
  audit-export config create export.json --dry-run
  audit-export config create export.json
  audit-export config create export.json --secret-file secret
  jq '.bucketPath = "test"' export.json | audit-export config create - --output json

The exit code is 0 if the configuration was created, even if its bucket can't be written to yet."#;

/// Create an export configuration from a JSON file, and show the next steps
///
/// The file's fields decide whether the export uses a role or an access key. With an access key the connection is tested at
/// once. A role needs the configuration's ID in its trust policy, so the connection is tested after the role is created.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateArguments {
    /// The JSON file; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Only check the file offline, and print the request; the secret is not shown
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    secret: SecretArguments,

    /// Makes repeating the command safe: requests with the same key and content create one configuration
    ///
    /// The key is valid for 24 hours. Without it, or idempotencyKey in the file, each call creates another configuration.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    #[command(flatten)]
    service: ServiceArguments,
}

/// Creates a configuration of the `expected` kind, or of any kind.
pub async fn run(arguments: &CreateArguments, expected: Option<Kind>, random: &dyn Random) -> Result<(), Failure> {
    let mut file = ConfigurationFile::read(&arguments.file, Purpose::Create)?;
    let kind = file.kind_to_create(expected).map_err(|problems| problems.at(&arguments.file))?;
    if kind == Kind::AccessKey {
        arguments.secret.complete(&mut file, !arguments.dry_run)?;
    }
    if let Some(key) = &arguments.idempotency_key {
        file.set(Field::IdempotencyKey, Value::text(key));
    }
    let operation = operation(kind);
    if arguments.dry_run {
        file.check(kind, Purpose::Create).map_err(|problems| problems.at(&arguments.file))?;
        return dry_run::print(operation.field, file.data(kind, Purpose::Create), &arguments.service.output);
    }
    let mut data = file.data(kind, Purpose::Create);
    let new_key = || Value::text(idempotency_key(random));
    let key = data.entry(Field::IdempotencyKey.name()).or_insert_with(new_key).clone();
    let outcome = arguments.service.show(operation, &json!({ "data": data }), render::created).await;
    outcome.map_err(|failure| match (failure, key) {
        (failure @ (Failure::NoAnswer(_) | Failure::Unavailable(_)), Value::Text(key)) => Failure::Unsure {
            failure: Box::new(failure),
            hint: format!("Repeating it with --idempotency-key {} creates no second one.", key.expose()),
        },
        (failure, _) => failure,
    })
}

pub fn operation(kind: Kind) -> &'static Operation {
    match kind {
        Kind::AccessKey => &operations::CREATE_WITH_ACCESS_KEY,
        Kind::AssumedRole => &operations::CREATE_WITH_ROLE,
    }
}

/// Draws a random idempotency key, a UUID of version 4.
pub fn idempotency_key(random: &dyn Random) -> String {
    uuid::Builder::from_random_bytes(random.bits().to_be_bytes()).into_uuid().to_string()
}
