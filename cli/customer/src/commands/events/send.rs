use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use host::Random;

use super::{
    batches::Batches,
    delivery::{Delivery, DeliveryArguments, Sender, Summary, progress_bar},
    input,
};
use crate::{
    failure::Failure,
    output::{self, OutputFormat},
};

/// Send events to the service: NDJSON (one JSON object per line) or a JSON array, plain or compressed with gzip
///
/// Repeats a request with growing pauses after a temporary failure (429, 500, 502, 503, 504, no connection). Every request
/// has an Idempotency-Key derived from its events: neither repeating it nor sending the same file again within 24 hours
/// stores an event twice, as long as --batch-size stays the same. For history, use `events import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  audit-export events send events.ndjson --url https://example.com/v1 \\
    --token-file token
  audit-export events send events.json.gz --profile production
  tail -n 1000 app.log |
    audit-export events send - --profile production --output json

The exit code is 0 only if every event was accepted; `audit-export --help` lists the others.")]
pub struct SendArguments {
    /// The file with the events; - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    #[command(flatten)]
    delivery: DeliveryArguments,

    /// The format of the result
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

pub async fn run(arguments: &SendArguments, random: &dyn Random) -> Result<(), Failure> {
    let sender = Sender::new(&arguments.delivery, random).await?;
    let input = input::open(&arguments.file)?;
    let progress = progress_bar(event_length(&arguments.file))?;
    let started = Instant::now();
    let mut summary = Summary::default();
    let delivery = Delivery {
        path: arguments.file.clone(),
        batches: Batches::new(input, arguments.delivery.batch_size, Vec::new()),
        is_accepted: Box::new(|_| false),
    };
    let outcome = sender.deliver_all(delivery, |_, delivered| {
        summary.add(delivered);
        progress.inc(delivered.event_bytes);
        progress.set_message(format!("{} events accepted", summary.accepted));
        Ok(())
    });
    let outcome = outcome.await;
    progress.finish_and_clear();
    summary.seconds = started.elapsed().as_secs_f64();
    output::print_result(&summary, arguments.output)?;
    outcome
}

/// Returns about how many bytes the events have, if that is known before they are read.
fn event_length(file: &Path) -> Option<u64> {
    let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file() && !is_compressed);
    metadata.map(|metadata| metadata.len())
}
