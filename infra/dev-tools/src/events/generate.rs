use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use dev_tools::event_generator::EventGenerator;
use domain::{tenant::TenantId, time::Timestamp};

use crate::failure::Failure;

/// Bytes of one write: so many that system calls take no noticeable time.
const WRITE_LENGTH_BYTES: usize = 256 * 1_024;

/// Generate realistic audit events, one JSON object per line
///
/// The same arguments always give the same bytes. IDs of different seeds don't collide.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dev-tools events generate --tenant acme --count 100000 --seed 1 > events.ndjson
  dev-tools events generate --tenant acme --count 10 --seed 2 --start 2026-03-01T00:00:00Z --spacing-ms 60000
  dev-tools events generate --tenant acme --count 5000 --seed 3 | \\
    audit-export events send - --url https://example.com/production --token-file token")]
pub struct GenerateArguments {
    /// The tenant named in the events
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,

    /// The number of events
    #[arg(long)]
    count: u64,

    /// The seed that all values are derived from
    #[arg(long)]
    seed: u64,

    /// The time of the first event (RFC 3339)
    #[arg(long, default_value = "2026-01-01T00:00:00Z", value_name = "TIME", value_parser = Timestamp::parse)]
    start: Timestamp,

    /// The average time between two events, in milliseconds
    #[arg(long, default_value_t = 250, value_name = "MILLISECONDS")]
    spacing_ms: u64,
}

pub fn run(arguments: &GenerateArguments) -> Result<(), Failure> {
    Ok(write_events(arguments, &mut io::stdout().lock()).or_else(terminal::ignore_closed_pipe)?)
}

fn write_events(arguments: &GenerateArguments, output: &mut impl Write) -> io::Result<()> {
    let spacing = Duration::from_millis(arguments.spacing_ms);
    let mut generator = EventGenerator::new(arguments.tenant.clone(), arguments.seed, arguments.start, spacing);
    let mut buffer = Vec::with_capacity(WRITE_LENGTH_BYTES * 2);
    for _ in 0..arguments.count {
        generator.write_next(&mut buffer)?;
        if buffer.len() >= WRITE_LENGTH_BYTES {
            output.write_all(&buffer)?;
            buffer.clear();
        }
    }
    output.write_all(&buffer)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_lines_as_asked_for() {
        for count in [0, 1, 3_000] {
            let arguments = GenerateArguments {
                tenant: TenantId::parse("acme").unwrap(),
                count,
                seed: 1,
                start: Timestamp::EPOCH,
                spacing_ms: 0,
            };
            let mut output = Vec::new();
            write_events(&arguments, &mut output).unwrap();
            assert_eq!(output.split_inclusive(|byte| *byte == b'\n').count() as u64, count);
        }
    }
}
