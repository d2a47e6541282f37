//! The commands `tenant`: what the stack holds of a tenant, and its erasure.

mod erase;
mod show;

use clap::Subcommand;
use host::Clock;

use crate::failure::Failure;

/// Show or erase what the stack holds of a tenant
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    Show(show::ShowArguments),
    Erase(erase::EraseArguments),
}

pub async fn run(command: &TenantCommand, clock: &impl Clock) -> Result<(), Failure> {
    match command {
        TenantCommand::Show(arguments) => show::run(arguments, clock).await,
        TenantCommand::Erase(arguments) => erase::run(arguments).await,
    }
}
