//! The commands. Each has its arguments and a function `run`.

pub mod candidates;
mod completions;
mod config;
mod events;
mod explain;
mod keys;
mod period;
mod place;
mod profile;
mod query;
mod search;
mod setup;
mod verify;

use clap::Subcommand;
use host::Machine;

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

    Verify(Box<verify::VerifyArguments>),

    Search(Box<search::SearchArguments>),

    Query(Box<query::QueryArguments>),

    Keys(keys::KeysArguments),

    Explain(explain::ExplainArguments),

    Completions(completions::CompletionsArguments),
}

impl Command {
    /// Runs the command of `program` on this machine.
    pub async fn run(self, program: &mut clap::Command, machine: Machine) -> Result<(), Failure> {
        match self {
            Self::Setup(arguments) => Box::pin(setup::run(&arguments, &machine, &machine)).await,
            Self::Config(command) => command.run(&machine).await,
            Self::ExportConfig(command) => command.run(&machine).await,
            Self::Profile(command) => command.run(),
            Self::Events(command) => command.run(&machine).await,
            Self::Verify(arguments) => verify::run(&arguments, &machine).await,
            Self::Search(arguments) => search::run(&arguments, &machine).await,
            Self::Query(arguments) => query::run(&arguments, &machine).await,
            Self::Keys(arguments) => keys::run(&arguments).await,
            Self::Explain(arguments) => explain::run(&arguments),
            Self::Completions(arguments) => completions::run(&arguments, program),
        }
    }
}
