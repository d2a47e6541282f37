//! One module per group of commands; a group's module has its subcommands, each with its arguments and its `run`.

mod completions;
mod config;
mod cost;
mod events;
mod explain;
mod profile;
mod setup;
mod token;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    Setup(setup::SetupArguments),

    /// Say what is exported into which bucket, and see what became of it
    #[command(subcommand)]
    Config(config::ConfigCommand),

    /// The same by the names of the product's documentation
    #[command(subcommand, name = "exportConfig")]
    ExportConfig(config::ExportConfigCommand),

    /// Keep the service's URL and the token's source under a name
    #[command(subcommand)]
    Profile(profile::ProfileCommand),

    /// Make a key pair for a development stack, and sign tokens with it
    #[command(subcommand)]
    Token(token::TokenCommand),

    /// Generate audit events, and send them to the service
    #[command(subcommand)]
    Events(events::EventsCommand),

    Verify(verify::VerifyArguments),

    Explain(explain::ExplainArguments),

    Cost(cost::CostArguments),

    Completions(completions::CompletionsArguments),
}

impl Command {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Setup(arguments) => setup::run(&arguments),
            Self::Config(command) => command.run(),
            Self::ExportConfig(command) => command.run(),
            Self::Profile(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Events(command) => command.run(),
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Explain(arguments) => explain::run(&arguments),
            Self::Cost(arguments) => cost::run(&arguments),
            Self::Completions(arguments) => completions::run(&arguments),
        }
    }
}
