//! The commands `tenant`: what the stack holds of a tenant, what it costs, and its erasure.

mod cost;
mod erase;
mod show;

use clap::Subcommand;
use host::Clock;

use crate::failure::Failure;

/// Show, price or erase what the stack holds of a tenant
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    Show(show::ShowArguments),
    Cost(cost::CostArguments),
    Erase(erase::EraseArguments),
}

pub async fn run(command: &TenantCommand, clock: &impl Clock) -> Result<(), Failure> {
    match command {
        TenantCommand::Show(arguments) => show::run(arguments, clock).await,
        TenantCommand::Cost(arguments) => cost::run(arguments, clock).await,
        TenantCommand::Erase(arguments) => erase::run(arguments).await,
    }
}
