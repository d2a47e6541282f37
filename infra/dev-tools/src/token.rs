//! Tokens for development stacks, and checks of tokens of an identity provider, which a production stack trusts instead.

mod check;
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
    Check(check::CheckArguments),
}

impl TokenCommand {
    pub fn run(self, clock: &dyn Clock) -> Result<(), Failure> {
        match self {
            Self::Keygen(arguments) => keygen::run(&arguments),
            Self::Sign(arguments) => sign::run(&arguments, clock),
            Self::Check(arguments) => check::run(&arguments),
        }
    }
}
