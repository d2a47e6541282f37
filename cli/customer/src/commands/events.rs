//! Sending audit events.

mod batches;
mod send;

use clap::Subcommand;
use host::Random;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    Send(send::SendArguments),
}

impl EventsCommand {
    pub async fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::Send(arguments) => send::run(&arguments, random).await,
        }
    }
}
