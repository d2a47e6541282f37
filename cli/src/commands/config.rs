//! Export configurations: what is exported where, and what became of it.

mod get;
mod list;
mod render;

use clap::Subcommand;
use domain::configuration::ConfigurationId;

use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    List(list::ListArguments),
    Get(get::GetArguments),
}

impl ConfigCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(arguments) => list::run(&arguments),
            Self::Get(arguments) => get::run(&arguments),
        }
    }
}

fn parse_id(text: &str) -> Result<ConfigurationId, &'static str> {
    ConfigurationId::parse(text)
        .ok_or("an id is a UUID in lower case, for example 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b; see: audit-export config list")
}
