//! One module per group of commands; a group's module has its subcommands, each with its arguments and its `run`.

mod config;
mod events;
mod explain;
mod token;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is exported into which bucket, and see what became of it
    #[command(subcommand)]
    Config(config::ConfigCommand),

    /// Make a key pair for a development stack, and sign tokens with it
    #[command(subcommand)]
    Token(token::TokenCommand),

    /// Generate audit events, and send them to the service
    #[command(subcommand)]
    Events(events::EventsCommand),

    Verify(verify::VerifyArguments),

    Explain(explain::ExplainArguments),
}

impl Command {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Config(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Events(command) => command.run(),
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Explain(arguments) => explain::run(&arguments),
        }
    }
}
