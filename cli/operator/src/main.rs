//! `audit-export-operator`: the command line for operators of the audit-log export service.

mod command;
mod cost;
#[cfg(test)]
mod reference;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Plan and run a stack of the audit-log export service
#[derive(Debug, Parser)]
#[command(name = "audit-export-operator", bin_name = "audit-export-operator", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Cost(command::CostArguments),
}

fn main() -> ExitCode {
    let Arguments { command: Command::Cost(arguments) } = Arguments::parse();
    match command::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::report("error", &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
