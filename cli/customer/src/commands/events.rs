//! Audit events: made up, and sent to the service.

mod batches;
mod generate;
mod send;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    Generate(generate::GenerateArguments),
    Send(send::SendArguments),
}

impl EventsCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Generate(arguments) => generate::run(&arguments),
            Self::Send(arguments) => send::run(&arguments),
        }
    }
}
