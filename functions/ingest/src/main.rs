//! Ingest: takes audit events in, over HTTP and from a queue, and stores them as blocks.

mod body;
mod handler;
mod host;
mod http;
mod idempotency;
mod intake;
mod payload;
mod queue;
mod settings;

use aws::events::writer::EventWriter;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{aws_configuration::aws_configuration, token::TokenVerifier};

use crate::{handler::Ingest, host::SystemHost, intake::Intake, settings::Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = runtime::start(Settings::read)?;
    let writer = EventWriter::new(&aws_configuration()?, settings.events_table, settings.retention);
    let ingest = Ingest {
        verifier: TokenVerifier::new(settings.token),
        minimum_client_version: settings.minimum_client_version,
        intake: Intake { store: writer, host: SystemHost, write_shards: settings.write_shards },
    };
    let ingest = &ingest;
    lambda_runtime::run(service_fn(|event: LambdaEvent<_>| ingest.handle(event))).await
}
