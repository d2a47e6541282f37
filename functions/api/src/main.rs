//! The GraphQL API for export configurations.

mod adapters;
mod error;
mod handler;
mod ports;
mod schema;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use authentication::Authenticator;
use aws_adapters::{
    allowance::Allowances,
    configurations::{ConfigurationEditor, ConfigurationTable, MAX_TRANSACTION_ATTEMPTS},
    events::{backlog::EventCounter, writer::EventTable},
    export_history::ExportHistory,
    notifier_client::NotifierClient,
    run_queue::RunQueueClient,
    secrets::SecretVault,
    signing_keys::SigningKeys,
    verifier_client::VerifierClient,
};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use domain::block::INGEST_WRITE_BOUND;
use function_runtime::{
    aws_configuration::aws_configuration,
    lazy::{created_meanwhile, lazily},
};
use host::Machine;
use lambda_http::{Error, Request, run, service_fn};

use crate::{
    adapters::ReplayAdapter, handler::Handler, ports::Ports, schema::ApiSchema, service::Service, settings::Settings,
};

/// The time limit of one call to DynamoDB, KMS or SQS with its retries. Three calls, one after the other, fit into a request
/// together with a connection test, which sets its own time limit.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(3);

// A change is stored with its event, which may not happen long after the event's stamp. All attempts fit into that time,
// so a late change is an exception.
const _: () = assert!(OPERATION_TIMEOUT.as_secs() * (MAX_TRANSACTION_ATTEMPTS as u64) < INGEST_WRITE_BOUND.as_secs());

/// The time limit of one attempt of such a call.
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
    Ok(Handler {
        tokens: Authenticator::new(settings.issuers.clone()),
        minimum_client_version: settings.minimum_client_version.clone(),
        // Three quarters of the start, and not needed before the first request is authenticated.
        schema: created_meanwhile(move || {
            let introspection = settings.introspection;
            ApiSchema::new(Arc::new(build_service(configuration, settings)), introspection)
        }),
    })
}

fn build_service(configuration: SdkConfig, settings: Settings) -> Service {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(OPERATION_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let configuration = configuration.into_builder().timeout_config(timeouts).build();

    let dynamodb = aws_sdk_dynamodb::Client::new(&configuration);
    let configurations = ConfigurationTable::new(dynamodb.clone(), settings.configurations_table.clone());
    let events = EventTable { name: settings.events_table.clone(), retention: settings.retention };
    let changes = ConfigurationEditor::new(&dynamodb, settings.configurations_table.clone(), events);
    let manual_queue = || {
        let (configuration, url) = (configuration.clone(), settings.manual_run_queue_url.clone());
        lazily(move || RunQueueClient::new(aws_sdk_sqs::Client::new(&configuration), url))
    };
    let ports = Ports {
        replays: Box::new(ReplayAdapter {
            configurations: configurations.clone(),
            changes: changes.clone(),
            queue: manual_queue(),
        }),
        manual_runs: Box::new(manual_queue()),
        repairs: Box::new(changes.clone()),
        changes: Box::new(changes),
        allowances: Box::new(Allowances::new(dynamodb.clone(), settings.configurations_table)),
        history: Box::new(ExportHistory::new(dynamodb.clone(), settings.runs_table)),
        events: Box::new(EventCounter::new(dynamodb, settings.events_table)),
        backlogs: Box::new(configurations.clone()),
        configurations: Box::new(configurations),
        secrets: Box::new(lazily({
            let configuration = configuration.clone();
            move || SecretVault::new(aws_sdk_kms::Client::new(&configuration), settings.secret_key_arn)
        })),
        webhook_tester: Box::new(lazily({
            let configuration = configuration.clone();
            move || NotifierClient::new(&aws_sdk_lambda::Client::new(&configuration), settings.notifier_function)
        })),
        signing_keys: Box::new(lazily({
            let configuration = configuration.clone();
            move || {
                let client = aws_sdk_kms::Client::new(&configuration);
                SigningKeys::new(client, settings.signing_key_arn, settings.retired_signing_key_arns)
            }
        })),
        tester: Box::new(lazily({
            let configuration = configuration.clone();
            move || VerifierClient::new(&aws_sdk_lambda::Client::new(&configuration), settings.verifier_function)
        })),
    };
    Service {
        ports,
        clock: Box::new(Machine),
        random: Box::new(Machine),
        identity: settings.identity,
        servers: settings.servers,
        customer_template: settings.customer_template,
        schedule: settings.schedule,
        retention: settings.retention,
        history: settings.history,
    }
}
