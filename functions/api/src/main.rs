//! The GraphQL API over export configurations.

mod digests;
mod handler;
mod jobs;
mod schema;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use aws_adapters::{
    allowance::Allowances,
    configurations::{ConfigurationEditor, ConfigurationTable, MAX_TRANSACTION_ATTEMPTS},
    events::{backlog::EventCounter, writer::EventTable},
    export_history::ExportHistory,
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys::SigningKeys,
    verifier_client::VerifierClient,
};
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use domain::{block::INGEST_WRITE_BOUND, configuration::ConfigurationId};
use function_runtime::{aws_configuration::aws_configuration, lazy::lazily, token::TokenVerifier};
use host::Clock;
use host::Machine;
use lambda_http::{Error, Request, run, service_fn};

use crate::{handler::Handler, schema::ApiSchema, service::Service, settings::Settings};

/// How long one call to DynamoDB, KMS or SQS may take with its retries. Three of them, one after the other, and a
/// connection test, which sets its own time-out, fit into a request.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(3);

// A change is written together with its event, which nothing may store long after its stamp. All attempts fit into that
// time, so that a late one is an exception.
const _: () = assert!(OPERATION_TIMEOUT.as_secs() * (MAX_TRANSACTION_ATTEMPTS as u64) < INGEST_WRITE_BOUND.as_secs());

/// How long one attempt of such a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let handler = Arc::new(build(settings)?);
    run(service_fn(move |request: Request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Error>(handler.handle(request).await) }
    }))
    .await
}

fn build(settings: Settings) -> Result<Handler, Error> {
    let configuration = aws_configuration()?;
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(OPERATION_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let configuration = configuration.into_builder().timeout_config(timeouts).build();

    let dynamodb = aws_sdk_dynamodb::Client::new(&configuration);
    let events = EventTable { name: settings.events_table.clone(), retention: settings.retention };
    let service = Service {
        editor: ConfigurationEditor::new(&dynamodb, settings.configurations_table.clone(), events),
        allowances: Allowances::new(dynamodb.clone(), settings.configurations_table.clone()),
        history: ExportHistory::new(dynamodb.clone(), settings.runs_table),
        event_counter: EventCounter::new(dynamodb.clone(), settings.events_table),
        configurations: ConfigurationTable::new(dynamodb, settings.configurations_table),
        secrets: lazily({
            let configuration = configuration.clone();
            move || SecretVault::new(aws_sdk_kms::Client::new(&configuration), settings.secret_key_arn)
        }),
        signing_keys: lazily({
            let configuration = configuration.clone();
            move || {
                let client = aws_sdk_kms::Client::new(&configuration);
                SigningKeys::new(client, settings.signing_key_arn, settings.retired_signing_key_arns)
            }
        }),
        verifier: lazily({
            let configuration = configuration.clone();
            move || VerifierClient::new(&aws_sdk_lambda::Client::new(&configuration), settings.verifier_function)
        }),
        manual_runs: lazily(move || {
            RunQueueClient::new(aws_sdk_sqs::Client::new(&configuration), settings.manual_run_queue_url)
        }),
        identity: settings.identity,
        customer_template: settings.customer_template,
        schedule: settings.schedule,
        retention: settings.retention,
        clock: Box::new(|| Machine.now()),
        new_id: Box::new(|| ConfigurationId::from_uuid(uuid::Uuid::new_v4())),
        random: Box::new(rand::random),
    };
    Ok(Handler {
        tokens: TokenVerifier::new(settings.token),
        minimum_client_version: settings.minimum_client_version,
        schema: ApiSchema::new(Arc::new(service), settings.introspection),
    })
}
