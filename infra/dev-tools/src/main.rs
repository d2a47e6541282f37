//! `dev-tools`: aids for development and tests of the audit-log export service.

mod events;
mod failure;
mod ocsf_records;
mod parquet;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Aids for development: tokens for local stacks, generated audit events
#[derive(Debug, Parser)]
#[command(name = "dev-tools", bin_name = "dev-tools", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key pair for a development stack, and sign tokens with it
    #[command(subcommand)]
    Token(token::TokenCommand),

    /// Generate audit events
    #[command(subcommand)]
    Events(events::EventsCommand),

    Parquet(parquet::ParquetArguments),
    /// Map audit events to records of the Open Cybersecurity Schema Framework
    #[command(subcommand)]
    Ocsf(ocsf_records::OcsfCommand),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Token(command) => command.run(&host::Machine),
        Command::Events(command) => command.run(),
        Command::Parquet(arguments) => parquet::run(&arguments),
        Command::Ocsf(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::report("error", &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
