//! `audit-export-operator`: the command line for operators of the audit-log export service.

mod aws;
mod call;
mod commands;
mod confirmation;
mod cost;
mod failure;
mod output;
mod ports;
#[cfg(test)]
mod reference;
mod stack;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;

const EXAMPLES_AND_EXIT_CODES: &str = "\
Examples:
  export AUDIT_EXPORT_STACK=production AWS_PROFILE=operator \\
    AWS_REGION=eu-central-1
  audit-export-operator doctor
  audit-export-operator status --unhealthy
  audit-export-operator policy read-only > policy.json

AWS credentials, Region and endpoint are found as by the AWS CLI.

Exit codes:
  0  done, and all is well
  1  AWS could not be reached, or failed in all attempts
  2  wrong arguments
  3  AWS or the service refused it: correct it before you repeat it
  4  there are no AWS credentials, or they lack a permission; or a checked token is refused
  5  a file could not be read or written
  6  a check of doctor failed, or a digest's signature is not valid
  8  there is no such tenant or digest
 11  not confirmed: nothing was done
 12  not finished: it continues, or the same command continues it";

/// Plan and run a stack of the audit-log export service
#[derive(Debug, Parser)]
#[command(
    name = "audit-export-operator",
    bin_name = "audit-export-operator",
    version,
    propagate_version = true,
    after_help = EXAMPLES_AND_EXIT_CODES
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::report("error", &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
