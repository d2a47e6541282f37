//! Audit events for development and tests.

mod generate;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    Generate(generate::GenerateArguments),
}

impl EventsCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Generate(arguments) => generate::run(&arguments),
        }
    }
}
