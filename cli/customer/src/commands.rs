//! One module per group of commands; a group's module has its subcommands, each with its arguments and its `run`.

mod completions;
mod config;
mod events;
mod explain;
mod profile;
mod setup;
mod verify;

use clap::Subcommand;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum Command {
    Setup(setup::SetupArguments),

    /// Manage export configurations
    #[command(subcommand)]
    Config(config::ConfigCommand),

    /// Aliases that match the Immuta CLI (`immuta audit exportConfig …`)
    #[command(subcommand, name = "exportConfig")]
    ExportConfig(config::ExportConfigCommand),

    /// Manage profiles: the service's URL and the source of the token, under a name
    #[command(subcommand)]
    Profile(profile::ProfileCommand),

    /// Send audit events to the service
    #[command(subcommand)]
    Events(events::EventsCommand),

    Verify(verify::VerifyArguments),

    Explain(explain::ExplainArguments),

    Completions(completions::CompletionsArguments),
}

impl Command {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Setup(arguments) => setup::run(&arguments),
            Self::Config(command) => command.run(),
            Self::ExportConfig(command) => command.run(),
            Self::Profile(command) => command.run(),
            Self::Events(command) => command.run(),
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Explain(arguments) => explain::run(&arguments),
            Self::Completions(arguments) => completions::run(&arguments),
        }
    }
}
