use std::path::PathBuf;

use clap::{ArgGroup, Args};
use host::Random;
use serde_json::json;

use super::{
    dry_run,
    file::{Field, Kind, Purpose, Value},
    options::{FieldOptions, Fields, StartOption},
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

With a bucket on another S3 server than AWS's, in addition to its access key:
    "endpointUrl": "https://minio.example.com:9000"

With some events only, whose values are texts or, with an asterisk at the end, their beginnings:
    "filter": {
      "include": {"actions": ["DELETE*", "UPDATE"], "targetTypes": ["POLICY"]},
      "exclude": {"actorTypes": ["SERVICE_ACTOR"]}
    }

interval is EVERY_2_HOURS, EVERY_4_HOURS, EVERY_6_HOURS, EVERY_12_HOURS or EVERY_24_HOURS. Optional: format (NDJSON_GZIP, NDJSON_ZSTD, PARQUET or OCSF_PARQUET), ocsf (version and classes, for OCSF_PARQUET), filter, bucketPath, kmsKeyArn, expectedBucketOwner, description, startFrom ("now", "earliest" or a time) and idempotencyKey.

Examples:
  audit-export config create --bucket acme-audit --path logs \
    --region eu-west-1 --interval 24h \
    --role-arn arn:aws:iam::222222222222:role/audit-export
  audit-export config create export.json --dry-run
  audit-export config create export.json \
    --include-action 'DELETE*' --exclude-actor-type SERVICE_ACTOR
  audit-export config create export.json --path test --output json
  audit-export config create export.json --secret-file secret
  jq '.bucketPath = "test"' export.json | audit-export config create -

The exit code is 0 if the configuration was created, even if its bucket can't be written to yet."#;

/// Create an export configuration, and show the next steps
///
/// The fields are options, a JSON file, or both; an option takes precedence over the file's field. With an access key the
/// connection is tested at once. A role needs the configuration's ID in its trust policy, so the connection is tested after the
/// role is created.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("fields").args(["file", "bucket"]).required(true).multiple(true))]
pub struct CreateArguments {
    /// The JSON file; - for standard input
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,

    /// Only check the fields offline, and print the request; the secret is not shown
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    options: FieldOptions,

    #[command(flatten)]
    start: StartOption,

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
    let (file, start) = (arguments.file.as_ref(), Some(&arguments.start));
    let mut fields = Fields::read(file, &arguments.options, start, Purpose::Create)?;
    let kind = match (fields.values.kind(), expected) {
        // The check below says what else is missing.
        (Ok(None), None) if arguments.file.is_none() => Kind::AssumedRole,
        _ => fields.values.kind_to_create(expected).map_err(|problems| fields.failure(problems))?,
    };
    // Before somebody is asked for the secret.
    if arguments.file.is_none() {
        fields.values.check(kind, Purpose::Create).map_err(|problems| fields.failure(problems))?;
    }
    if kind == Kind::AccessKey {
        arguments.secret.complete(&mut fields.values, !arguments.dry_run)?;
    }
    if let Some(key) = &arguments.idempotency_key {
        fields.values.set(Field::IdempotencyKey, Value::text(key));
    }
    let operation = operation(kind);
    if arguments.dry_run {
        fields.values.check(kind, Purpose::Create).map_err(|problems| fields.failure(problems))?;
        return dry_run::print(operation.field, fields.values.data(kind, Purpose::Create), &arguments.service.output);
    }
    let mut data = fields.values.data(kind, Purpose::Create);
    let new_key = || Value::text(idempotency_key(random));
    let key = data.entry(Field::IdempotencyKey.name()).or_insert_with(new_key).clone();
    let outcome = arguments.service.show(operation, &json!({ "data": data }), render::created).await;
    outcome.map_err(|failure| match (fields.explained(failure), key) {
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
