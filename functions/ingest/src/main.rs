//! The `ingest` function: accepts audit events over HTTP and OTLP, and from the queues of SQS, SNS and `EventBridge`, and
//! stores them as blocks.

mod body;
mod endpoint;
mod expiry;
mod handler;
mod idempotency;
mod intake;
mod logs;
mod payload;
mod ports;
mod queue;
mod quota;
mod redelivery;
mod settings;
mod source;

use std::sync::Mutex;

use authentication::Authenticator;
use aws_adapters::{
    archive::records::ArchiveTable,
    event_queue::EventQueueClient,
    events::{quota::QuotaTable, writer::EventWriter},
};
use function_runtime::{aws_configuration::aws_configuration, lazy::lazily};
use host::Machine;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::{
    endpoint::Endpoint,
    expiry::{Expiring, RowCache},
    handler::Ingest,
    intake::Intake,
    quota::Quota,
    settings::Settings,
    source::{MessageForm, Source, Sources},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let settings = function_runtime::start(Settings::read)?;
    let aws = aws_configuration()?;
    // The first request creates what it uses, which is half of the start: clients, and the compressor's 380 KB.
    let ingest = lazily(move || {
        let counter = lazily({
            let (aws, table) = (aws.clone(), settings.events_table.clone());
            move || QuotaTable::new(&aws, table)
        });
        let source = |url: String, form| {
            let (aws, name) = (aws.clone(), url.clone());
            Source::new(&name, form, lazily(move || EventQueueClient::new(&aws, url)))
        };
        let rows = lazily({
            let (aws, table) = (aws.clone(), settings.events_table.clone());
            move || ArchiveTable::for_ingest(&aws, table)
        });
        let writer = Expiring {
            writer: EventWriter::new(&aws, settings.events_table),
            rows: RowCache::new(rows, Machine, settings.archive_bucket, settings.terms, settings.archive_times),
        };
        Ingest {
            endpoint: Endpoint {
                authenticator: Authenticator::new(settings.issuers),
                minimum_client_version: settings.minimum_client_version,
                quota: Quota::new(counter, settings.megabytes_per_tenant_minute),
            },
            intake: Intake { writer, host: Machine, write_shards: settings.write_shards, packer: Mutex::default() },
            sources: Sources {
                senders: source(settings.events_queue_url, MessageForm::Plain),
                services: [
                    source(settings.topic_events_queue_url, MessageForm::Topic(settings.topic_delivery)),
                    source(settings.rule_events_queue_url, MessageForm::Rule(settings.rule_tenant_path)),
                ],
            },
        }
    });
    let ingest: &'static _ = Box::leak(Box::new(ingest));
    // A wake of a task is a step of the scheduler. One of the main future is a write to the kernel, several in a request.
    tokio::spawn(lambda_runtime::run(service_fn(|event: LambdaEvent<_>| ingest.handle(event)))).await?
}
