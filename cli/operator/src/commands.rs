//! The commands.

pub mod cost;
mod digest;
mod doctor;
mod policy;
mod redrive;
mod skip_block;
mod status;
mod tenant;
mod token;

use std::future::Future;

use clap::Subcommand;
use host::Machine;

use crate::failure::Failure;

/// The first word of a command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    Status(status::StatusArguments),
    Doctor(doctor::DoctorArguments),
    Redrive(redrive::RedriveArguments),
    SkipBlock(skip_block::SkipBlockArguments),
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    #[command(subcommand)]
    Digest(digest::DigestCommand),
    #[command(subcommand)]
    Token(token::TokenCommand),
    Policy(policy::PolicyArguments),
    Cost(cost::CostArguments),
}

impl Command {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// The failure, whose exit code `--help` lists.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Status(arguments) => wait(status::run(arguments, &Machine)),
            Self::Doctor(arguments) => wait(doctor::run(arguments, &Machine)),
            Self::Redrive(arguments) => wait(redrive::run(arguments)),
            Self::SkipBlock(arguments) => wait(skip_block::run(arguments)),
            Self::Tenant(command) => wait(tenant::run(command, &Machine)),
            Self::Digest(command) => wait(digest::run(command)),
            Self::Token(command) => wait(token::run(command)),
            Self::Policy(arguments) => policy::run(arguments),
            Self::Cost(arguments) => cost::run(arguments),
        }
    }
}

fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
