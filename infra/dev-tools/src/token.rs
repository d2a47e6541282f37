//! Tokens for development stacks.

mod key_pair;
mod keygen;
mod sign;

use clap::Subcommand;
use host::Clock;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    Keygen(keygen::KeygenArguments),
    Sign(sign::SignArguments),
}

impl TokenCommand {
    pub fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        match self {
            Self::Keygen(arguments) => keygen::run(&arguments),
            Self::Sign(arguments) => sign::run(&arguments, clock),
        }
    }
}
