//! Checking and sending audit events.

mod batches;
mod delivery;
mod import;
mod input;
mod send;
mod validate;

use clap::Subcommand;
use host::Random;

pub use self::import::ImportRefusal;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    Send(send::SendArguments),
    Import(import::ImportArguments),
    Validate(validate::ValidateArguments),
}

impl EventsCommand {
    pub async fn run(self, random: &dyn Random) -> Result<(), Failure> {
        match self {
            Self::Send(arguments) => send::run(&arguments, random).await,
            Self::Import(arguments) => import::run(&arguments, random).await,
            Self::Validate(arguments) => validate::run(&arguments),
        }
    }
}
