//! `audit-export`: the command line of the audit-log export service.

mod access;
mod api;
mod aws_cli;
mod commands;
mod failure;
mod files;
mod hidden_input;
mod model;
mod output;
mod profile;
#[cfg(test)]
mod reference;
mod secret;
mod service;
mod spinner;
mod temporary_folder;
#[cfg(test)]
mod test_server;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    commands::{Command, candidates},
    failure::Failure,
};

const EXAMPLES_AND_EXIT_CODES: &str = "\
Examples:
  audit-export profile set production --url https://example.com/v1 \\
    --token-file token
  audit-export config create export.json
  audit-export config test 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b
  audit-export verify \\
    s3://acme-audit/logs/0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b \\
    --profile production

Exit codes:
  0  done
  1  the service or S3 could not be reached, or failed in all attempts
  2  wrong arguments
  3  the service refused the request: correct it before you repeat it
  4  the service refused the token, or S3 the credentials (401 or 403)
  5  a file could not be read or written, or its content is invalid
  6  the verified export is broken
  7  a test, a repair or a replay failed: the bucket can't be written to, or a webhook did not accept a notice
  8  there is no such export configuration, export job or replay
  9  the export configuration was changed meanwhile: show it, then repeat the change
 10  this version is too old for the service
 11  not confirmed: nothing was done
 12  not finished: it continues, or the same command continues it
 13  the verified copy is intact, but older than the service's newest export
 14  with config status --exit-code: the export is delayed, failing or disabled
 15  with config repair --wait: some files can't be repaired
 16  with query: DuckDB is not installed or too old, or did not complete the statement";

/// Export the audit log to your own S3 bucket: set up exports, follow their progress, and verify what was exported
///
/// Also sends audit events to the service.
#[derive(Debug, Parser)]
#[command(name = "audit-export", bin_name = "audit-export", version, propagate_version = true, after_help = EXAMPLES_AND_EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let mut program = Arguments::command();
    let outcome = match candidates::words(std::env::args_os()) {
        Some(words) => run(candidates::run(&words, &program)),
        None => run(Arguments::parse().command.run(&mut program, host::Machine)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::report("error", &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    let outcome = runtime.block_on(command);
    // Does not wait for a thread that reads standard input, which may never end.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
